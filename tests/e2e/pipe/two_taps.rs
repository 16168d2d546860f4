//! Two taps that write into one pipe: only the run that began a stream can complete it.

use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{DAY, to_database, to_lake};
use support::run::{file, ours};
use support::{folder, lake};

/// What tap-csv writes of a file with these rows, as lines.
fn tap(folder: &Path, stream: &str, rows: usize) -> Vec<Vec<u8>> {
    let text = (0..rows).fold("id,name\n".to_owned(), |text, id| text + &format!("{id},new\n"));
    let path = file(folder, &format!("{stream}.csv"), text);
    let files = json!([{ "entity": stream, "path": path, "keys": ["id"] }]);
    let outcome = ours("tap-csv").config(&json!({ "files": files })).go().success();
    outcome.stdout.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// The lines of a tap that died with its last states unsaid.
fn cut(lines: &[Vec<u8>]) -> Vec<u8> {
    let records = lines.iter().rposition(|line| line.starts_with(b"{\"type\":\"RECORD\"")).unwrap();
    lines[..records].concat()
}

#[test]
fn a_stream_ends_by_the_word_of_the_run_that_began_it() {
    let scratch = folder();
    let (a, b) = (tap(scratch.path(), "a", 5), tap(scratch.path(), "b", 3));
    let again = tap(scratch.path(), "a", 5);
    let foreign = |stream: &str| {
        Lines::default()
            .syncing(stream)
            .schema(stream, &json!({ "id": { "type": "integer" } }), &["id"])
            .record(stream, &json!({ "id": 1 }))
    };
    let nothing = ours("tap-csv").config(&json!({ "files": [] })).go();
    let nothing = if nothing.code == 0 { nothing.stdout } else { Lines::default().done().0 };
    let silent = Lines::default().state(&json!({ "bookmarks": {} })).0;
    for (name, input, code, published) in [
        ("both whole", [a.concat(), b.concat()].concat(), 0, "a b"),
        ("the second is cut", [a.concat(), cut(&b)].concat(), 76, "a"),
        ("the first is cut", [cut(&a), b.concat()].concat(), 76, ""),
        ("the same tap again", [cut(&a), again.concat()].concat(), 76, ""),
        ("both at once", [cut(&a), cut(&b), a[a.len() - 2..].concat()].concat(), 76, ""),
        ("cut, and an end without a run", [cut(&a), Lines::default().done().0].concat(), 76, ""),
        ("cut, and a tap without streams", [cut(&a), nothing].concat(), 76, ""),
        ("cut, and a state that says nothing", [cut(&a), silent].concat(), 76, ""),
        ("cut, and a foreign tap", [cut(&a), foreign("f").done().0].concat(), 76, ""),
        ("a foreign tap is cut", [foreign("f").0, b.concat()].concat(), 76, ""),
        ("foreign ones tell no runs", [foreign("f").0, foreign("g").done().0].concat(), 0, "f g"),
        ("a foreign tap before", [foreign("f").done().0, b.concat()].concat(), 0, "b f"),
    ] {
        let output = folder();
        let outcome = to_lake(output.path(), "s", DAY).input(input).go().exits(code);
        let there = |table: &&str| lake::partition(output.path(), "s", DAY, table).exists();
        let found: Vec<&str> = ["a", "b", "f", "g"].into_iter().filter(there).collect();
        assert_eq!(found.join(" "), published, "{name}: {outcome:?}");
        assert!(!outcome.text().contains("syncing_run"), "{name}: {outcome:?}");
    }
}

#[test]
fn a_table_is_not_replaced_by_what_a_tap_that_died_has_sent() {
    let database = database("two_taps");
    database.psql("CREATE TABLE a (id bigint PRIMARY KEY, name text)");
    database.psql("INSERT INTO a SELECT n, 'old' FROM generate_series(1, 9) n");
    let scratch = folder();
    let (a, b) = (tap(scratch.path(), "a", 5), tap(scratch.path(), "b", 3));
    for method in ["overwrite", "upsert", "append-only"] {
        let settings = json!({ "load_method": method, "require_complete": true });
        let input = [cut(&a), b.concat()].concat();
        let outcome = to_database(&database, &settings).input(input).go().exits(76);
        assert!(outcome.stderr.contains("another tap started"), "{method}: {outcome:?}");
        assert!(outcome.stderr.contains("stream: a\n"), "{method}: {outcome:?}");
        assert_eq!(database.psql("SELECT count(*) FROM a WHERE name = 'old'"), "9", "{method}");
        assert_eq!(database.psql("SELECT to_regclass('public.b') IS NULL"), "t", "{method}");
    }
}

#[test]
fn the_name_of_a_run_is_said_with_a_stream_alone_and_not_kept() {
    let scratch = folder();
    let lines = tap(scratch.path(), "a", 3);
    let messages = lines.iter().map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let states: Vec<Value> = messages.filter(|message| message["type"] == "STATE").collect();
    let mut runs = Vec::new();
    for state in &states {
        let value = &state["value"];
        assert_eq!(value["syncing_run"].is_null(), value["currently_syncing"].is_null(), "{state}");
        runs.extend(value["syncing_run"]["id"].as_str());
    }
    assert!(states.last().unwrap()["value"]["currently_syncing"].is_null());
    assert!(runs.len() > 1 && runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    // A target that does not know the name has kept it.
    let kept = states.iter().find(|state| !state["value"]["syncing_run"].is_null()).unwrap();
    let files = json!([{ "entity": "a", "path": scratch.path().join("a.csv"), "keys": ["id"] }]);
    let again = ours("tap-csv").config(&json!({ "files": files })).json("--state", &kept["value"]);
    let again = again.go().success();
    assert!(!again.text().contains(runs[0]), "{again:?}");
    assert!(!again.text().lines().last().unwrap().contains("syncing_run"), "{again:?}");
}
