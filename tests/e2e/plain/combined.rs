//! Many streams become one, in a pipe: known before the first row, or one after the other.

use serde_json::json;

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::to_database;
use support::run::{feed, ours, pipe_succeeds};

const STREAMS: &str = concat!(
    r#"{"type":"SCHEMA","stream":"a","schema":{"properties":{"id":{"type":"integer"}}},"#,
    r#""key_properties":[]}"#,
    "\n",
    r#"{"type":"STATE","value":{"currently_syncing":"a"}}"#,
    "\n",
    r#"{"type":"RECORD","stream":"a","record":{"id":1}}"#,
    "\n",
    r#"{"type":"STATE","value":{"currently_syncing":"b"}}"#,
    "\n",
    r#"{"type":"SCHEMA","stream":"b","schema":{"properties":{"id":{"type":"number"},"#,
    r#""more":{"type":"string"}}},"key_properties":[]}"#,
    "\n",
    r#"{"type":"RECORD","stream":"b","record":{"id":2.5,"more":"x"}}"#,
    "\n",
);

#[test]
fn streams_that_come_one_after_the_other_widen_the_table() {
    let database = database("widen");
    let mapper = || ours("map-streams").set("combine", json!({ "name": "united" }));
    let ended =
        format!("{STREAMS}{{\"type\":\"STATE\",\"value\":{{\"currently_syncing\":null}}}}\n");
    pipe_succeeds(mapper().input(ended), to_database(&database, &json!({})));
    let rows = database.psql("SELECT id, more, source FROM united ORDER BY 1");
    assert_eq!(rows, "1||a\n2.5|x|b");
}

#[test]
fn nothing_is_published_where_the_last_stream_is_not_whole() {
    let folder = folder();
    let mapper = ours("map-streams").set("combine", json!({ "name": "united" })).input(STREAMS);
    let target = ours("target-csv").set("output_path", folder.path().display());
    let (_, target) = support::run::pipe(mapper, target);
    assert_eq!(target.code, 76, "{}", target.stderr);
    assert!(!folder.path().join("united.csv").exists());
}

#[test]
fn what_cannot_be_united_ends_the_run() {
    let settings = json!({ "combine": { "name": "u" } });
    let lines = Lines::opened().row(1, "ann").done();
    feed("map-streams", &settings, &lines.0).success();
    let clash = STREAMS.replace(r#""id":{"type":"number"}"#, r#""id":{"type":"object"}"#);
    let clash = clash.replace("\"id\":2.5", "\"id\":{}");
    let done = feed("map-streams", &settings, clash.as_bytes()).exits(65);
    assert!(done.stderr.contains("columns clash"), "{}", done.stderr);
    let named = json!({ "combine": { "name": "u", "source_column": "id" } });
    let done = feed("map-streams", &named, STREAMS.as_bytes()).exits(78);
    assert!(done.stderr.contains("source_column"), "{}", done.stderr);
}
