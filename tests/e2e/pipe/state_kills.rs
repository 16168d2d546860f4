//! Processes killed at any of their calls to the system between the first row and the last state
//! (M19, K09, K13): no state that was printed covers a row that is not there, and going on from the
//! last one loses none.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::faults::{each, figure, tries};
use support::invariants::{KILLED, Partition, Place, Table, explains, states_cover};
use support::messages::{Lines, columns};
use support::pipes::{DAY, to_lake};
use support::run::{Outcome, Run, file};
use support::strace::{counts, traced};
use support::{binaries_dir, folder};

/// What a process talks to others by.
const CALLS: &str = "read,write,sendto,recvfrom,poll,ppoll,fsync,fdatasync,renameat2,rename,openat";

/// Streams and how many rows of each come between two states.
const STREAMS: [(&str, i64); 3] = [("few", 1), ("dozens", 40), ("many", 230)];
const ROUNDS: i64 = 8;

/// Rows of all streams mixed, from behind these numbers on, with states in between; an
/// `ACTIVATE_VERSION` has each of them passed on at once.
fn mixed(after: [i64; 3]) -> Vec<u8> {
    let schema =
        |lines: Lines, (stream, _): &(&str, i64)| lines.schema(stream, &columns(), &["id"]);
    let mut lines = STREAMS.iter().fold(Lines::default(), schema);
    for round in 1..=ROUNDS {
        for ((stream, rows), after) in STREAMS.into_iter().zip(after) {
            for id in (round - 1) * rows + 1..=round * rows {
                if id > after {
                    lines = lines.record(stream, &json!({ "id": id, "name": "a".repeat(50) }));
                }
            }
        }
        let marks =
            STREAMS.map(|(stream, rows)| (stream.to_owned(), json!({ "id": round * rows })));
        let marks: serde_json::Map<_, _> = marks.into_iter().collect();
        lines = lines
            .state(&json!({ "bookmarks": marks }))
            .message(&json!({ "type": "ACTIVATE_VERSION", "stream": "few", "version": 1 }));
    }
    lines.0
}

/// One stream after the other, as taps of this project write them; from a stream on.
fn in_turns(from: usize) -> Vec<u8> {
    let mut lines = Lines::default();
    let mut marks = json!({});
    for (at, (stream, rows)) in STREAMS.into_iter().enumerate() {
        let last = rows * ROUNDS;
        if at >= from {
            lines = lines.state(&json!({ "bookmarks": marks, "currently_syncing": stream }));
            lines = lines.schema(stream, &columns(), &["id"]);
            for id in 1..=last {
                lines = lines.record(stream, &json!({ "id": id, "name": "a".repeat(50) }));
            }
        }
        marks[stream] = json!({ "id": last });
    }
    lines.state(&json!({ "bookmarks": marks, "currently_syncing": null })).0
}

fn settings(target: &Database, method: &str) -> Value {
    target.settings_with(&json!({
        "default_target_schema": "public", "add_record_metadata": false, "load_method": method,
        "activate_version": false, "state_interval_seconds": 0, "batch_size_rows": 100,
    }))
}

fn tables(database: &Database) -> [Table<'_>; 3] {
    STREAMS.map(|(name, _)| Table { database, schema: "public", name, columns: "id, name" })
}

/// A call and which of its name it is.
type Point = (String, usize);

/// Each call of the run, or only some of them.
fn some_of(counts: impl IntoIterator<Item = (String, usize)>, most: usize) -> Vec<Point> {
    let all = counts.into_iter().flat_map(|(call, count)| {
        let step = (count / most).max(1);
        (1..=count).step_by(step).map(move |nth| (call.clone(), nth))
    });
    all.collect()
}

fn killed_at((call, nth): &Point, name: &str) -> Run {
    traced(name, &[format!("{call}:signal=KILL:when={nth}")])
}

/// What came of the kills: in how many runs some states, but not all, were printed.
#[derive(Default)]
struct Seen(Mutex<[usize; 2]>);

impl Seen {
    fn note(&self, outcome: &Outcome) {
        let mut seen = self.0.lock().unwrap();
        seen[0] += usize::from(outcome.code == KILLED);
        seen[1] += usize::from(outcome.code == KILLED && !outcome.stdout.is_empty());
    }

    #[track_caller]
    fn report(self, what: &str) {
        let [killed, between] = self.0.into_inner().unwrap();
        figure(what, killed);
        figure("of them after a first state", between);
        assert!(between > 0 && between < killed, "the kills meet no states: {between} of {killed}");
    }
}

#[test]
fn a_target_postgres_killed_at_any_call_printed_no_state_ahead_of_its_rows() {
    let seen = Seen::default();
    each(3, &["upsert", "append-only"], |method| {
        let target = database("killed_at_calls");
        let clean = || target.psql("DROP TABLE IF EXISTS few, dozens, many");
        let config = settings(&target, method);
        let scratch = folder();
        let input = file(scratch.path(), "input", mixed([0; 3]));
        let run = |run: Run| run.config(&config).args(["--input".as_ref(), input.as_os_str()]);
        let made = counts("target-postgres", CALLS, run);
        for point in some_of(made, tries(2, 10_000)) {
            clean();
            let outcome = run(killed_at(&point, "target-postgres")).go();
            explains(&outcome, &[0, KILLED]);
            seen.note(&outcome);
            let places = tables(&target);
            let marks = [0, 1, 2].map(|at| states_cover(&outcome, &places[at]));
            let config = config.clone();
            let rest = Run::new(&binaries_dir().join("target-postgres")).config(&config);
            rest.input(mixed(marks)).go().success();
            for (place, (_, rows)) in places.iter().zip(STREAMS) {
                assert_eq!(place.ids(), (1..=rows * ROUNDS).collect(), "{point:?}");
                let count = format!("SELECT count(*) - count(DISTINCT id) FROM {}", place.name);
                assert!(method == &"append-only" || target.psql(&count) == "0", "{point:?}");
            }
        }
    });
    seen.report("kills of target-postgres at a call");
}

fn partitions(lake: &Path) -> [Partition<'_>; 3] {
    STREAMS.map(|(table, _)| Partition { lake, source: "s", day: DAY, table })
}

#[test]
fn a_target_csv_killed_at_any_call_printed_no_state_ahead_of_its_rows() {
    let scratch = folder();
    let input = file(scratch.path(), "input", in_turns(0));
    let run = |run: Run, lake: &Path| {
        let run = run.set("output_path", lake.display()).set("source", "s").set("datestamp", DAY);
        run.args(["--input".as_ref(), input.as_os_str()])
    };
    let recorded = scratch.path().join("recorded");
    let made = counts("target-csv", CALLS, |traced| run(traced, &recorded));
    let seen = Seen::default();
    each(4, &some_of(made, tries(3, 10_000)), |point| {
        let folder = folder();
        let lake = folder.path();
        let outcome = run(killed_at(point, "target-csv"), lake).go();
        explains(&outcome, &[0, KILLED]);
        seen.note(&outcome);
        let done =
            partitions(lake).iter().filter(|place| states_cover(&outcome, *place) > 0).count();
        // A tap that is given the last state reads the rest; the day is whole when that is there.
        if outcome.code != 0 {
            to_lake(lake, "s", DAY).input(in_turns(done)).go().success();
        }
        for (place, (_, rows)) in partitions(lake).iter().zip(STREAMS) {
            assert_eq!(place.ids(), (1..=rows * ROUNDS).collect());
        }
        partitions(lake)[0].check_swept();
    });
    seen.report("kills of target-csv at a call");
}

/// The numbers of the rows that a tap wrote before its last state, or at all, by stream; and that
/// state. The last line may be cut.
fn written(outcome: &Outcome, covered: bool) -> (BTreeSet<(String, i64)>, Option<Value>) {
    let (mut rows, mut fresh, mut state) = (BTreeSet::new(), Vec::new(), None);
    for line in outcome.text().lines() {
        let Ok(mut message) = serde_json::from_str::<Value>(line) else { continue };
        if message["type"] == "RECORD" {
            let id = &message["record"]["id"];
            let id = id.as_i64().or_else(|| id.as_str()?.parse().ok()).unwrap();
            fresh.push((message["stream"].as_str().unwrap().to_owned(), id));
        } else if message["type"] == "STATE" {
            rows.extend(fresh.drain(..));
            state = Some(message["value"].take());
        }
    }
    if !covered {
        rows.extend(fresh);
    }
    (rows, state)
}

/// Kills a tap at its calls; what it wrote before its last state and what it reads from there on is
/// all.
fn kills_of_a_tap(name: &str, run: impl Fn(Run) -> Run + Sync) {
    let whole = run(Run::new(&binaries_dir().join(name))).go().success();
    let (all, _) = written(&whole, false);
    assert!(all.len() > 10_000);
    let made = counts(name, "write,read,sendto,recvfrom", &run);
    let seen = Seen::default();
    each(3, &some_of(made, tries(4, 10_000)), |point| {
        let outcome = run(killed_at(point, name)).go();
        explains(&outcome, &[0, KILLED]);
        seen.note(&outcome);
        let (mut rows, state) = written(&outcome, true);
        let rest = run(Run::new(&binaries_dir().join(name)));
        let rest = match state {
            Some(state) => rest.json("--state", &state),
            None => rest,
        };
        rows.extend(written(&rest.go().success(), false).0);
        assert!(rows == all, "{} rows lost", all.difference(&rows).count());
    });
    seen.report(&format!("kills of {name} at a call"));
}

#[test]
fn a_tap_postgres_killed_at_any_call_goes_on_from_its_last_state() {
    let source = database("killed_reads");
    for table in ["a", "b", "c", "d"] {
        source.psql(&format!(
            "CREATE TABLE {table} (id integer PRIMARY KEY, at timestamptz NOT NULL, v text);
             INSERT INTO {table} SELECT n, '2026-11-20'::timestamptz + n * '1 second'::interval,
               repeat('x', 100) FROM generate_series(1, 8000) n"
        ));
    }
    let run = |run: Run| run.config(&source.settings());
    let catalog = run(Run::new(&binaries_dir().join("tap-postgres"))).args(["--discover"]).go();
    let mut catalog: Value = serde_json::from_slice(&catalog.success().stdout).unwrap();
    for stream in catalog["streams"].as_array_mut().unwrap() {
        for entry in stream["metadata"].as_array_mut().unwrap() {
            if entry["breadcrumb"] == json!([]) {
                entry["metadata"]["replication-method"] = "INCREMENTAL".into();
                entry["metadata"]["replication-key"] = "at".into();
            }
        }
    }
    kills_of_a_tap("tap-postgres", |run| {
        run.config(&source.settings()).json("--catalog", &catalog)
    });
}

#[test]
fn a_tap_csv_killed_at_any_call_goes_on_from_its_last_state() {
    let scratch = folder();
    for table in ["a", "b"] {
        for part in 0..4 {
            let rows =
                (part * 3000..(part + 1) * 3000).map(|id| format!("{id},{}\n", "x".repeat(90)));
            let text = format!("id,v\n{}", rows.collect::<String>());
            file(scratch.path(), &format!("{table}/{part}.csv"), text);
        }
    }
    let entity = |name: &str| {
        let path = scratch.path().join(name).join("*.csv");
        json!({ "entity": name, "path": path, "keys": ["id"] })
    };
    let files = json!({ "files": [entity("a"), entity("b")] });
    kills_of_a_tap("tap-csv", |run| run.config(&files));
}
