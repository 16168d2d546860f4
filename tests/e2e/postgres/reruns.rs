//! Runs again, backwards, twice at once (R01 to R16 of the catalogue).

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

use support::cluster::{Database, database};
use support::faults::{figure, test, tries};
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, from_lake, load, to_database, to_lake};
use support::run::{Outcome, Run, feed, file, ours, pipe, pipe_succeeds};
use support::{folder, lake};

const DAYS: [&str; 4] = ["2026-11-17", "2026-11-18", "2026-11-19", DAY];

fn by_partition() -> Value {
    json!({ "load_method": "replace-partition" })
}

fn rows(names: &[&str]) -> Vec<u8> {
    let rows: Vec<_> = (1..).zip(names.iter().copied()).collect();
    Lines::whole(&rows).0
}

fn publish(lake: &Path, day: &str, names: &[&str]) {
    to_lake(lake, "s", day).input(rows(names)).go().success();
}

/// Every row with what changes when it is written again.
fn fingerprint(target: &Database) -> String {
    target.psql("SELECT xmin, ctid, t FROM t ORDER BY ctid")
}

fn content(target: &Database) -> String {
    let of = "string_agg(name, ',' ORDER BY id)";
    target.psql(&format!("SELECT _sdc_datestamp, {of} FROM t GROUP BY 1 ORDER BY 1"))
}

#[test]
fn the_same_again_changes_nothing_and_fewer_rows_are_fewer() {
    let (scratch, target) = (folder(), database("again"));
    publish(scratch.path(), DAY, &["a", "b", "c"]);
    load(scratch.path(), DAY, &target, &by_partition());
    let (files, table) = (lake::data_sums(scratch.path()), fingerprint(&target));
    publish(scratch.path(), DAY, &["a", "b", "c"]);
    let again = load(scratch.path(), DAY, &target, &by_partition());
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
    assert_eq!(lake::data_sums(scratch.path()), files);
    assert_eq!(fingerprint(&target), table);

    publish(scratch.path(), DAY, &["a", "B"]);
    lake::check(scratch.path());
    lake::check_swept(scratch.path());
    load(scratch.path(), DAY, &target, &by_partition());
    assert_eq!(content(&target), "2026-11-20|a,B");
}

#[test]
fn days_in_any_order_leave_the_same() {
    let (scratch, target) = (folder(), database("any_order"));
    for day in [3, 0, 2, 1, 0, 3] {
        publish(scratch.path(), DAYS[day], &["a", DAYS[day]]);
        load(scratch.path(), DAYS[day], &target, &by_partition());
    }
    let wanted = DAYS.map(|day| format!("{day}|a,{day}")).join("\n");
    assert_eq!(content(&target), wanted);
    // A day that fails leaves itself and the others as they are; the others can go on.
    let cut = Lines::opened().row(1, "half").0;
    to_lake(scratch.path(), "s", DAYS[2]).input(cut).go().exits(76);
    let partition = lake::partition(scratch.path(), "s", DAYS[1], "t");
    let mut data = fs::read_dir(&partition).unwrap().map(|entry| entry.unwrap().path());
    let data = data.find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    fs::write(&data, "id,name\n9,forged\n").unwrap();
    pipe(from_lake(scratch.path(), DAYS[1]), to_database(&target, &by_partition())).1.exits(76);
    for day in [DAYS[3], DAYS[2], DAYS[0]] {
        load(scratch.path(), day, &target, &by_partition());
    }
    assert_eq!(content(&target), wanted);
}

#[test]
fn an_empty_day_and_back() {
    let (scratch, target) = (folder(), database("empty_day"));
    for names in [&[][..], &["a", "b"], &[], &["a"]] {
        publish(scratch.path(), DAY, names);
        lake::check(scratch.path());
        load(scratch.path(), DAY, &target, &by_partition());
        let wanted =
            if names.is_empty() { String::new() } else { format!("{DAY}|{}", names.join(",")) };
        assert_eq!(content(&target), wanted);
    }
}

#[test]
fn different_days_at_once_do_not_meet() {
    let (scratch, target) = (folder(), database("days_at_once"));
    let publish = |day: &&'static str| to_lake(scratch.path(), "s", day).input(rows(&["a", day]));
    let runs: Vec<_> = DAYS.iter().map(|day| publish(day).start(true)).collect();
    for run in runs {
        run.wait().success();
    }
    lake::check(scratch.path());
    let read = |day: &str| from_lake(scratch.path(), day).go().success().stdout;
    let inputs: Vec<_> = DAYS.iter().map(|day| read(day)).collect();
    let load = |input: Vec<u8>| to_database(&target, &by_partition()).input(input).start(true);
    let runs: Vec<_> = inputs.into_iter().map(load).collect();
    let outcomes: Vec<_> = runs.into_iter().map(|run| run.wait()).collect();
    // The first to come makes the table; one that saw none then steps back and is run again.
    for (outcome, day) in outcomes.iter().zip(DAYS) {
        assert!([0, 75].contains(&outcome.code), "{}", outcome.stderr);
        if outcome.code == 75 {
            let input = read(day);
            to_database(&target, &by_partition()).input(input).go().success();
        }
    }
    assert_eq!(content(&target), DAYS.map(|day| format!("{day}|a,{day}")).join("\n"));
}

#[test]
fn two_loads_of_one_table_at_once_leave_one_whole_result() {
    std::thread::scope(|scope| {
        for method in ["replace-partition", "overwrite", "upsert"] {
            let thread = std::thread::Builder::new().name(test());
            thread.spawn_scoped(scope, move || two_loads_at_once(method)).unwrap();
        }
    });
}

fn two_loads_at_once(method: &str) {
    let target = database("loads_at_once");
    let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    let rounds = tries(20, 100);
    for round in 0..rounds {
        // Else the second round on finds the table as the first one left it.
        if round % 4 == 0 {
            target.psql("DROP TABLE IF EXISTS t");
        }
        let run = |name: &str, count: i64| {
            let rows: Vec<_> = (0..count).map(|id| (id, name)).collect();
            to_database(&target, &more).input(Lines::whole(&rows).0).start(true)
        };
        let (a, b) = (run("a", 300), run("b", 200));
        let (a, b) = (a.wait(), b.wait());
        assert!([a.code, b.code].iter().all(|code| [0, 75].contains(code)), "{a:?} {b:?}");
        assert!(a.code == 0 || b.code == 0, "round {round}: both stepped back");
        let of = "SELECT count(*) FILTER (WHERE name = 'a'), count(*) FROM t";
        let held = target.psql(of);
        let whole: &[&str] = match method {
            "upsert" => &["300|300", "100|300", "200|200", "0|200"],
            _ => &["300|300", "0|200"],
        };
        assert!(whole.contains(&held.as_str()), "{method}: {held}");
    }
    figure("rounds of two loads at once", rounds);
}

#[test]
fn a_table_emptied_by_hand_is_loaded_again_without_the_state_alone() {
    let (scratch, target) = (folder(), database("emptied"));
    publish(scratch.path(), DAY, &["a", "b"]);
    let loaded = load(scratch.path(), DAY, &target, &by_partition());
    let state: Value = serde_json::from_str(loaded.text().lines().last().unwrap()).unwrap();
    for emptied in ["DELETE FROM t", "TRUNCATE t", "DROP TABLE t"] {
        target.psql(emptied);
        let known = from_lake(scratch.path(), DAY).json("--state", &state);
        let (tap, into) = pipe(known, to_database(&target, &by_partition()));
        let says = "skipping stream t: unchanged since it was read";
        assert!(tap.success().stderr.contains(says));
        if emptied == "DROP TABLE t" {
            assert!(into.exits(78).stderr.contains("cannot find the tables"));
        } else {
            // The state says that these very rows were loaded, and who took them may have use of
            // them.
            assert!(into.success().text().contains("\"currently_syncing\":null"));
            assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
        }
        load(scratch.path(), DAY, &target, &by_partition());
        assert_eq!(content(&target), format!("{DAY}|a,b"), "{emptied}");
    }
}

#[test]
fn a_file_changed_after_its_load_is_loaded_again() {
    let (scratch, target) = (folder(), database("changed_file"));
    let tap = |state: Option<&Value>| {
        let path = scratch.path().join("in.csv");
        let files = json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] });
        let tap = ours("tap-csv").config(&files);
        match state {
            Some(state) => tap.json("--state", state),
            None => tap,
        }
    };
    let run = |state: Option<&Value>| -> Value {
        let outcome = pipe(tap(state), to_database(&target, &json!({ "load_method": "upsert" })));
        let text = outcome.1.success().text();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    file(scratch.path(), "in.csv", "id,name\n1,a\n");
    let first = run(None);
    assert_eq!(tap(Some(&first)).go().success().records("t").len(), 0);
    file(scratch.path(), "in.csv", "id,name\n1,b\n2,c\n");
    let second = run(Some(&first));
    assert_eq!(target.psql("SELECT * FROM t ORDER BY id"), "1|b\n2|c");
    assert_eq!(tap(Some(&second)).go().success().records("t").len(), 0);
    // An older state, or none: rows come again and nothing is lost or doubled.
    for state in [Some(&first), None] {
        run(state);
        assert_eq!(target.psql("SELECT * FROM t ORDER BY id"), "1|b\n2|c");
    }
}

/// Makes a table of one row, and its catalog, to be read incrementally.
fn growing(source: &Database) -> Value {
    source.psql("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
    let catalog = ours("tap-postgres").config(&source.settings()).args(["--discover"]).go();
    let mut catalog: Value = serde_json::from_slice(&catalog.success().stdout).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!([]) {
            entry["metadata"]["replication-method"] = "INCREMENTAL".into();
            entry["metadata"]["replication-key"] = "id".into();
        }
    }
    catalog
}

/// Extracts by this tap into a day, without a state and then, after more is there, with the state
/// of that; then what puts it right.
fn a_day_goes_on_from_its_own_state(tap: impl Fn() -> Run, more: impl Fn()) {
    let scratch = folder();
    let extract = |day: &str, state: &Value| {
        let tap = tap().json("--state", state);
        pipe(tap, to_lake(scratch.path(), "s", day)).1
    };
    let last = |outcome: &Outcome| -> Value {
        serde_json::from_str(outcome.text().lines().last().unwrap()).unwrap()
    };
    let rows = |day: &str| {
        let data = lake::data(&lake::partition(scratch.path(), "s", day, "t"));
        data.lines().skip(1).map(|line| line[..1].to_owned()).collect::<String>()
    };
    let first = last(&extract(DAY, &json!({})).success());
    more();
    let refused = extract(DAY, &first).exits(78);
    assert!(refused.stderr.contains("run again with the same state and settings"), "{refused:?}");
    assert_eq!(rows(DAY), "1", "the day has lost rows");
    // The next day is what is new, and again when it is read again from where it began.
    let next = "2026-11-21";
    extract(next, &first).success();
    let new = rows(next);
    assert!(new.ends_with('2'), "{new}");
    extract(next, &first).success();
    assert_eq!(rows(next), new);
    extract(DAY, &json!({})).success();
    assert_eq!(rows(DAY), "12");
}

#[test]
fn a_day_is_not_replaced_by_a_part_of_its_rows() {
    let source = database("resumed");
    let mut catalog = growing(&source);
    catalog["streams"][0]["stream"] = "t".into();
    let tap = || ours("tap-postgres").config(&source.settings()).json("--catalog", &catalog);
    let more = || drop(source.psql("INSERT INTO t VALUES (2, 'b')"));
    a_day_goes_on_from_its_own_state(tap, more);

    let files = folder();
    let path = |name: &str| files.path().join(name);
    file(files.path(), "a.csv", "id,v\n1,a\n");
    let table = json!({ "entity": "t", "path": path("*.csv"), "keys": ["id"] });
    let settings = json!({ "files": [table] });
    let tap = || ours("tap-csv").config(&settings);
    a_day_goes_on_from_its_own_state(tap, || drop(file(files.path(), "b.csv", "id,v\n2,b\n")));

    // Nor is a table overwritten by one.
    let target = database("resumed_target");
    let state = json!({ "bookmarks": { "public-t": { "replication_key_value": 2 } } });
    let tap = ours("tap-postgres").config(&source.settings()).json("--catalog", &catalog);
    let load = to_database(&target, &json!({ "load_method": "overwrite" }));
    let refused = pipe(tap.json("--state", &state), load).1.exits(78);
    assert!(refused.stderr.contains("upsert"), "{}", refused.stderr);
}

#[test]
fn an_older_state_or_none_reads_more_never_less() {
    let (source, target) = (database("older_state"), database("older_state_target"));
    let catalog = growing(&source);
    let run = |state: &Value| -> Value {
        let tap = ours("tap-postgres").config(&source.settings());
        let tap = tap.json("--catalog", &catalog).json("--state", state);
        let outcome = pipe(tap, to_database(&target, &json!({}))).1.success();
        serde_json::from_str(outcome.text().lines().last().unwrap()).unwrap()
    };
    let first = run(&json!({}));
    source.psql("INSERT INTO t VALUES (2, 'b'), (3, 'c')");
    run(&first);
    source.psql("INSERT INTO t VALUES (4, 'd')");
    for state in [&first, &json!({}), &json!({ "bookmarks": { "another": { "x": 1 } } })] {
        run(state);
        let held = target.psql("SELECT string_agg(v, '' ORDER BY id), count(*) FROM t");
        assert_eq!(held, "abcd|4");
    }
    for broken in [json!([]), json!("x"), json!({ "bookmarks": [] })] {
        let tap = ours("tap-postgres").config(&source.settings()).json("--state", &broken);
        let outcome = tap.go().exits(78);
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("state"), "{outcome:?}");
    }
    let scratch = folder();
    for text in ["{\"bookmarks\"", "", "garbage", "\u{feff}{}x", "{}{}"] {
        let garbage = file(scratch.path(), "state", text);
        let tap = ours("tap-postgres").config(&source.settings()).args(["--state"]);
        let outcome = tap.args([garbage]).go().exits(78);
        assert!(outcome.stderr.contains("cannot read the state"), "{}", outcome.stderr);
    }
}

#[test]
fn manifests_of_another_format_and_strangers_folders_are_left_alone() {
    let scratch = folder();
    publish(scratch.path(), DAY, &["a"]);
    let path = lake::partition(scratch.path(), "s", DAY, "t").join("_manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["format_version"] = 2.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let outcome = from_lake(scratch.path(), DAY).go();
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("format"), "{}", outcome.stderr);
    assert!(outcome.records("t").is_empty());

    let strange = lake::partition(scratch.path(), "s", "2026-11-19", "t");
    file(&strange, "theirs.csv", "id\n1\n");
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": "2026-11-19" });
    let outcome = feed("target-csv", &config, &rows(&["a"]));
    assert_ne!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(strange.join("theirs.csv")).unwrap(), "id\n1\n");
}

#[test]
fn a_day_of_two_sources_is_read_by_source() {
    let (source, scratch, target) = (database("two_sources"), folder(), database("two_into"));
    source
        .psql("CREATE TABLE t (id integer PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'p')");
    extract(&source, scratch.path(), DAY);
    publish(scratch.path(), DAY, &["s"]);
    // Streams `t` and `public-t` would share a table, and may not.
    let both = pipe(from_lake(scratch.path(), DAY), to_database(&target, &by_partition())).1;
    let both = both.exits(78);
    assert!(both.stderr.contains("other stream: public-t"), "{}", both.stderr);
    let load = |source: &str, more: &Value| {
        let tap = from_lake(scratch.path(), DAY).set("source", source);
        pipe(tap, to_database(&target, &by_partition()).config(more)).1
    };
    target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
    load("s", &json!({})).success();
    assert!(load("postgres", &json!({})).exits(78).stderr.contains("filled by: t"));
    load("postgres", &json!({ "table_names": { "public-t": "u" } })).success();
    let rows = "SELECT _sdc_source, name FROM t UNION SELECT _sdc_source, name FROM u ORDER BY 1";
    assert_eq!(target.psql(rows), "postgres|p\ns|s");
}

/// A scan that others have begun would start where they are: Postgres lets large scans join.
#[test]
fn other_readers_do_not_change_the_order_of_rows() {
    let (source, scratch) = (database("joined_scans"), folder());
    // More than a quarter of the server's shared buffers.
    source.psql(
        "CREATE TABLE t (id integer, name text);
         INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 150000) n",
    );
    let publish = || {
        let tap = from_database(&source, &json!({}));
        pipe_succeeds(tap, to_lake(scratch.path(), "s", DAYS[0])).1.stderr
    };
    publish();
    for _ in 0..3 {
        let mut other = source.psql_command();
        let mut other = other
            .args(["-c", "COPY t TO STDOUT"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It has begun, and waits in the middle.
        std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut vec![0; 4 << 20]).unwrap();
        let said = publish();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(said.contains("stream public-t: unchanged"), "{said}");
    }
}
