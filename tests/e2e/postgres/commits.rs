//! COMMITs whose answer is lost (K12): the load finds out what became of them, and its rows are
//! there once, also with `append-only`.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use support::cluster::{Database, cluster, database, database_of, private};
use support::faults::{each, figure, tries};
use support::invariants::{Place, Saw, Table, Trial};
use support::messages::{Lines, columns};
use support::pg_proxy::{Fault, MOMENTS, Moment, PgProxy};
use support::pipes::{DAY, to_database};
use support::run::{Outcome, Run};

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

/// How to load; a restarted server is waited for a little.
fn settings(method: &str) -> Value {
    json!({
        "load_method": method, "source": "s", "datestamp": DAY, "connect_timeout_seconds": 5,
    })
}

fn through(proxy: &PgProxy) -> Value {
    json!({ "host": "127.0.0.1", "port": proxy.port, "ssl_mode": "disable" })
}

fn load(target: &Database, method: &str) -> Run {
    to_database(target, &settings(method))
}

/// Rows from 1 on.
fn rows(name: &str, count: i64) -> Vec<u8> {
    (1..=count).fold(Lines::opened(), |lines, id| lines.row(id, name)).done().0
}

/// What the table has: rows of this name up to that number each, in the order of a comparison.
fn held(names: &[(&str, i64)]) -> String {
    let mut rows: Vec<(i64, &str)> = Vec::new();
    for (name, count) in names {
        rows.extend((1..=*count).map(|id| (id, *name)));
    }
    rows.sort_unstable();
    rows.iter().fold(String::new(), |mut text, (id, name)| {
        let _ = writeln!(text, "{id},{name}");
        text
    })
}

const NEW: i64 = 150;

/// One load that finds an old table, or none.
struct Stage<'a> {
    target: &'a Database,
    method: &'static str,
    replaces: bool,
}

impl Stage<'_> {
    fn prepare(&self) {
        self.target.psql("DROP TABLE IF EXISTS public.t");
        if self.replaces {
            load(self.target, self.method).input(rows("old", 3)).go().success();
        }
    }

    fn trial<'a>(&self, place: &'a dyn Place) -> Trial<'a> {
        let old = self.replaces.then(|| held(&[("old", 3)]));
        let appends = self.replaces && self.method == "append-only";
        let new = if appends { held(&[("old", 3), ("new", NEW)]) } else { held(&[("new", NEW)]) };
        Trial { place, old, new, gaps: false }
    }

    fn run(&self, proxy: &PgProxy) -> Outcome {
        load(self.target, self.method).config(&through(proxy)).input(rows("new", NEW)).go()
    }

    /// Runs with this fault, then again if that is what the exit code asks for.
    #[track_caller]
    fn case(&self, proxy: &PgProxy) -> (Outcome, Saw) {
        let place = table(self.target);
        self.prepare();
        let trial = self.trial(&place);
        let outcome = self.run(proxy);
        assert!(proxy.happened(), "the fault never happened: {outcome:?}");
        let saw = trial.after_fault(&outcome, &[0, 75]);
        if outcome.code == 75 {
            // What was added is not taken back by adding it again.
            let doubled = self.method == "append-only" && saw == Saw::New;
            assert!(!doubled, "a rerun would double the rows: {outcome:?}");
            trial.after_rerun(&load(self.target, self.method).input(rows("new", NEW)).go());
        }
        (outcome, saw)
    }
}

fn table(database: &Database) -> Table<'_> {
    Table { database, schema: "public", name: "t", columns: "id, name" }
}

/// Every method, with and without a table before.
fn stages(target: &Database) -> impl Iterator<Item = Stage<'_>> {
    let both = |method| [true, false].map(|replaces| Stage { target, method, replaces });
    METHODS.into_iter().flat_map(both)
}

#[test]
fn a_commit_whose_answer_is_lost_has_exactly_one_effect() {
    let counts = std::sync::Mutex::new((0, 0));
    each(4, &METHODS, |method| {
        let target = database("lost_answers");
        let socket = cluster().socket();
        for stage in stages(&target).filter(|stage| stage.method == *method) {
            stage.prepare();
            let recorded = PgProxy::start(&socket, Fault::None);
            stage.run(&recorded).success();
            assert!(recorded.commits() > 0);
            let last = recorded.commits();
            for nth in 1..=last {
                let few = if nth == last { MOMENTS.len() } else { tries(1, MOMENTS.len()) };
                for moment in MOMENTS.into_iter().rev().take(few) {
                    let proxy = PgProxy::start(&socket, Fault::Commit(nth, moment));
                    let (outcome, _) = stage.case(&proxy);
                    if moment == Moment::Answered {
                        assert_eq!(outcome.code, 0, "{method} {nth}: {}", outcome.stderr);
                    }
                    let mut counts = counts.lock().unwrap();
                    counts.0 += 1;
                    counts.1 += usize::from(outcome.code == 75);
                }
            }
        }
    });
    let (cut, again) = *counts.lock().unwrap();
    figure("COMMITs cut before, in and after", cut);
    figure("of them runs that had to be repeated", again);
    assert!(again > 0 && again < cut);
}

#[test]
fn a_commit_that_nobody_can_tell_of_is_said_to_be_so() {
    each(2, &["append-only", "overwrite"], |method| {
        let target = database("untold");
        let stage = Stage { target: &target, method, replaces: true };
        stage.prepare();
        let recorded = PgProxy::start(&cluster().socket(), Fault::None);
        stage.run(&recorded).success();
        stage.prepare();
        let fault = Fault::Commit(recorded.commits(), Moment::AnsweredForGood);
        let proxy = PgProxy::start(&cluster().socket(), fault);
        let run = load(&target, method).config(&through(&proxy)).input(rows("new", NEW));
        let outcome = run.config(&json!({ "connect_timeout_seconds": 1 })).go();
        let place = table(&target);
        assert_eq!(stage.trial(&place).after_fault(&outcome, &[75]), Saw::New);
        let says = |text: &str| outcome.stderr.contains(text);
        assert!(says("cannot find out whether the rows were committed"), "{}", outcome.stderr);
        assert!(says("hint: run again; with `append-only` first check"), "{}", outcome.stderr);
    });
}

#[test]
fn a_crash_of_the_server_at_a_commit_takes_all_rows_or_none() {
    let cluster = private("");
    let target = database_of(&cluster, "crash");
    target.psql("CREATE TABLE busy (at serial)");
    let mut crashes = 0;
    for stage in stages(&target).step_by(tries(2, 1)) {
        stage.prepare();
        let recorded = PgProxy::start(&cluster.socket(), Fault::None);
        stage.run(&recorded).success();
        let nth = recorded.commits();
        for moment in [Moment::Unsent, Moment::Sent, Moment::Answered] {
            for busy in [true, false].into_iter().take(tries(1, 2)) {
                let (broken, others) = (Arc::clone(&cluster), target.clone());
                let crash = move || {
                    broken.control(&["restart", "-m", "immediate"]);
                    // Others get the numbers of transactions that the crash took back.
                    let some = if busy { 300 } else { 0 };
                    others.psql(&"INSERT INTO busy DEFAULT VALUES;\n".repeat(some));
                };
                let fault = Fault::Commit(nth, moment);
                let proxy = PgProxy::start_with(&cluster.socket(), fault, crash);
                let (outcome, saw) = stage.case(&proxy);
                let method = stage.method;
                match moment {
                    Moment::Unsent => assert_eq!((outcome.code, saw), (75, Saw::Old), "{method}"),
                    // With keys a run again is as good as knowing.
                    Moment::Answered if method != "append-only" => assert_eq!(saw, Saw::New),
                    Moment::Answered => assert_eq!(outcome.code, 0, "{}", outcome.stderr),
                    _ => {}
                }
                crashes += 1;
            }
        }
    }
    figure("crashes of the server at a COMMIT", crashes);
}

/// Streams that are staged side by side, while one is committed.
#[test]
fn streams_beside_one_whose_answer_is_lost_lose_no_row() {
    let target = database("beside");
    let socket = cluster().socket();
    let names = ["a", "b", "t"];
    let input = |name: &str| {
        let schema = |lines: Lines, stream: &&str| lines.schema(stream, &columns(), &["id"]);
        let mut lines = names.iter().fold(Lines::default(), schema);
        for id in 1..=300 {
            for stream in names {
                lines = lines.record(stream, &json!({ "id": id, "name": name }));
            }
            if id % 60 == 0 {
                let of = |stream: &str| (stream.to_owned(), json!({ "id": id }));
                let bookmarks: serde_json::Map<_, _> = names.into_iter().map(of).collect();
                lines = lines.state(&json!({ "bookmarks": bookmarks }));
            }
        }
        lines.0
    };
    let run = |name: &str, more: &Value| {
        let early = json!({ "batch_size_rows": 70, "state_interval_seconds": 0 });
        load(&target, "upsert").config(&early).config(more).input(input(name)).go()
    };
    let prepare = || run("old", &json!({})).success();
    prepare();
    let recorded = PgProxy::start(&socket, Fault::None);
    run("new", &through(&recorded)).success();
    let mut cut = 0;
    for nth in (1..=recorded.commits()).step_by(tries(5, 1)) {
        for moment in [Moment::Unsent, Moment::Answered] {
            prepare();
            let proxy = PgProxy::start(&socket, Fault::Commit(nth, moment));
            let outcome = run("new", &through(&proxy));
            assert!([0, 75].contains(&outcome.code), "{outcome:?}");
            // What the last state covers is there.
            for stream in names {
                let mark = outcome.text().lines().last().map_or(0, |state| {
                    let state: Value = serde_json::from_str(state).unwrap();
                    state["bookmarks"][stream]["id"].as_i64().unwrap()
                });
                let there =
                    format!("SELECT count(*) FROM {stream} WHERE name = 'new' AND id <= {mark}");
                assert_eq!(target.psql(&there), mark.to_string(), "{stream} {nth} {moment:?}");
            }
            run("new", &json!({})).success();
            for stream in names {
                let all = format!("SELECT count(*), min(name), max(name) FROM {stream}");
                assert_eq!(target.psql(&all), "300|new|new");
            }
            cut += 1;
        }
    }
    figure("COMMITs of streams side by side that were cut", cut);
}
