//! Changes of several tables from one log, by the example of a tap that reads one.

use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::pipes::{DAY, to_database, to_lake};
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};
use support::{folder, lake};

const LOG: &str = r#"{"table": "a", "row": {"id": 1, "text": "one"}}
{"table": "b", "row": {"id": 1, "text": "eins"}}
{"table": "other", "row": {"id": 1, "text": "no"}}
{"table": "a", "row": {"id": 2, "text": "two"}}
commit
{"table": "b", "row": {"id": 1}}
{"table": "a", "row": {"id": 2, "text": null}}
commit
"#;

fn tap(folder: &Path) -> Run {
    ours("tap-log-example").config(&json!({ "path": folder.join("log"), "tables": ["a", "b"] }))
}

fn state(target: &Outcome) -> Value {
    serde_json::from_str(target.text().lines().last().unwrap()).unwrap()
}

#[test]
fn rows_of_several_streams_keep_their_order_and_their_bookmarks() {
    let (scratch, target) = (folder(), database("logs"));
    file(scratch.path(), "log", LOG);
    let load = |tap| {
        let more = json!({ "load_method": "upsert" });
        state(&pipe_succeeds(tap, to_database(&target, &more)).1)
    };
    let rows = || {
        target
            .psql("SELECT 'a', id, text FROM a UNION ALL SELECT 'b', id, text FROM b ORDER BY 1, 2")
    };
    let first = load(tap(scratch.path()));
    // What the log does not say of a row stays as it is.
    assert_eq!(rows(), "a|1|one\na|2|\nb|1|eins");
    let lines = |state: &Value| ["a", "b"].map(|name| state["bookmarks"][name]["line"].clone());
    assert_eq!(lines(&first), [8, 8]);
    assert_eq!(first["currently_syncing"], Value::Null, "{first}");

    // The next run reads what has come since; what no commit has followed comes again.
    target.psql("UPDATE a SET text = 'mine' WHERE id = 1");
    let more = r#"{"table": "a", "row": {"id": 3, "text": "three"}}"#;
    file(scratch.path(), "log", format!("{LOG}{more}\n"));
    let second = load(tap(scratch.path()).json("--state", &first));
    assert_eq!(rows(), "a|1|mine\na|2|\na|3|three\nb|1|eins");
    assert_eq!(lines(&second), [8, 8]);
    file(scratch.path(), "log", format!("{LOG}{more}\ncommit\n"));
    let third = load(tap(scratch.path()).json("--state", &second));
    assert_eq!(lines(&third), [10, 10]);
    assert_eq!(rows(), "a|1|mine\na|2|\na|3|three\nb|1|eins");
}

#[test]
fn a_log_that_breaks_off_ends_no_stream() {
    let (scratch, output) = (folder(), folder());
    file(scratch.path(), "log", format!("{LOG}{{\"table\": \"a\", \"ro"));
    let (broken, refused) = pipe(tap(scratch.path()), to_lake(output.path(), "s", DAY));
    assert!(broken.exits(65).stderr.contains("line: 9"));
    refused.exits(76);
    assert!(lake::data_sums(output.path()).is_empty());
}

#[test]
fn many_rows_of_many_streams_are_handed_on_in_time() {
    let scratch = folder();
    let tables: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    let text = "x".repeat(20_000);
    let mut log = String::new();
    for round in 0..40 {
        for name in &tables {
            let change = json!({ "table": name, "row": { "id": round, "text": text } });
            log.extend([change.to_string(), "\n".to_owned()]);
        }
    }
    file(scratch.path(), "log", log + "commit\n");
    let settings = json!({ "path": scratch.path().join("log"), "tables": tables });
    let tap = || ours("tap-log-example").config(&settings);
    // No batch of a stream is ever full: handed on at the end alone, each would stand in one piece.
    let records = tap().go().success().messages().into_iter();
    let streams: Vec<_> = records
        .filter_map(|one| one["record"].is_object().then(|| one["stream"].clone()))
        .collect();
    let turns = streams.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(turns > 4 * tables.len(), "{turns} turns");
    pipe_succeeds(tap(), to_lake(scratch.path(), "s", DAY));
    for name in &tables {
        let data = lake::data(&lake::partition(scratch.path(), "s", DAY, name));
        assert_eq!(data.lines().count(), 41);
    }
}
