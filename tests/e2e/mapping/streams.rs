//! What maps of whole streams leave of parts, versions and bookmarks.

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{DAY, to_lake};
use support::run::{Outcome, ours};
use support::{folder, lake};

/// A stream of the tap with a row, since a bookmark or as a whole.
fn stream(lines: Lines, name: &str, since: &Value) -> Lines {
    let schema = json!({ "properties": { "id": { "type": "integer" } } });
    let mut message = json!({
        "type": "SCHEMA", "stream": name, "schema": schema, "key_properties": ["id"] });
    if !since.is_null() {
        message["resumed_from"] = since.clone();
    }
    let id = if since.is_null() { name.len() } else { 5 };
    lines.message(&message).record(name, &json!({ "id": id }))
}

fn mapped(settings: &Value, lines: Lines) -> Vec<u8> {
    ours("map-streams").config(settings).input(lines.0).go().success().stdout
}

#[test]
fn a_combined_stream_is_a_part_where_one_of_its_streams_is() {
    let (whole, since) = (Value::Null, json!({ "id": 1 }));
    let combine = json!({ "combine": { "name": "all" } });
    let both = |first: &Value, second: &Value| {
        let lines = stream(stream(Lines::default(), "a", first), "bb", second);
        mapped(&combine, lines.state(&json!({ "bookmarks": {} })))
    };
    let parts = [both(&whole, &since), both(&since, &whole)];
    let overwrite = json!({ "load_method": "overwrite", "default_target_schema": "public" });
    let of_day = json!({ "load_method": "replace-partition", "default_target_schema": "public",
        "source": "s", "datestamp": DAY });
    for settings in [overwrite, of_day] {
        let target = database("combined");
        let load = |input: &[u8]| {
            let run = ours("target-postgres").config(&target.settings_with(&settings));
            run.input(input).go()
        };
        load(&both(&whole, &whole)).success();
        target.psql("UPDATE \"all\" SET id = 7 WHERE id = 1");
        for part in &parts {
            load(part).exits(78);
            assert_eq!(target.psql("SELECT id FROM \"all\" ORDER BY id"), "2\n7", "{settings}");
        }
    }
    // A day and a file of their own.
    let root = folder();
    let publish = |input: &[u8]| to_lake(root.path(), "s", DAY).input(input).go();
    publish(&both(&whole, &whole)).success();
    for part in &parts {
        publish(part).exits(78);
    }
    let table = root.path().join(format!("source=s/extracted_at={DAY}/table=all"));
    assert_eq!(lake::data(&table), "id,source\n1,a\n2,bb\n");
    let flat = |input: &[u8]| {
        ours("target-csv").set("output_path", root.path().join("flat").display()).input(input).go()
    };
    flat(&both(&whole, &whole)).success();
    for part in &parts {
        flat(part).exits(78);
    }
    // Rows that go on need those before them.
    let target = database("combined");
    for part in &parts {
        let settings = target.settings_with(&json!({ "default_target_schema": "public" }));
        let outcome = ours("target-postgres").config(&settings).input(&part[..]).go().exits(78);
        assert!(outcome.stderr.contains("the table does not exist"), "{}", outcome.stderr);
    }
}

/// The state that a run of the tap ends with.
fn last(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.text().lines().last().unwrap()).unwrap()
}

#[test]
fn a_bookmark_says_which_table_has_the_rows_whatever_its_name() {
    let rename = json!({ "stream_maps": { "a": { "__alias__": "people" } } });
    let copies = json!({ "stream_maps": { "people": { "__source__": "a" } } });
    let combine = json!({ "combine": { "name": "people" } });
    // The first SCHEMA names the run: the tap is one of ours.
    let run = |ended: bool, since: &Value| {
        let mut state = json!({ "bookmarks": { "a": { "id": 1 } }, "currently_syncing": null });
        state["syncing_run"] = json!({ "id": "r1", "ended": ended });
        let lines = Lines::default().message(&json!({ "type": "STATE", "value": {
            "bookmarks": {}, "currently_syncing": "a", "syncing_run": { "id": "r1" } } }));
        stream(lines, "a", since).state(&state)
    };
    for (mapper, inline) in [
        (&rename, json!({})),
        (&copies, json!({})),
        (&combine, json!({})),
        (&json!({ "stream_maps": { "*": {} } }), rename.clone()),
    ] {
        let load = |lines: Lines, target: &support::cluster::Database| {
            let mut settings = inline.clone();
            settings["default_target_schema"] = "public".into();
            let run = ours("target-postgres").config(&target.settings_with(&settings));
            run.input(mapped(mapper, lines)).go()
        };
        let (first, other) = (database("places"), database("places"));
        let state = last(&load(run(true, &Value::Null), &first).success());
        let bookmark = &state["bookmarks"]["a"];
        assert!(!bookmark["filled_since"].is_null(), "{mapper}: {state}");
        load(run(true, bookmark), &first).success();
        load(run(true, &Value::Null), &other).success();
        let refused = load(run(true, bookmark), &other).exits(78);
        assert!(refused.stderr.contains("belongs to another table"), "{}", refused.stderr);
        if mapper != &combine {
            assert!(refused.stderr.contains("--stream a"), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_stream_that_is_removed_keeps_its_bookmark() {
    let maps = json!({ "stream_maps": { "a": null, "c": null } });
    let (one, five) = (json!({ "id": 1 }), json!({ "id": 5 }));
    let all = json!({ "bookmarks": { "a": five, "bb": five, "c": five } });
    let lines = stream(stream(Lines::default(), "a", &one), "bb", &one);
    let lines = stream(lines, "c", &Value::Null).state(&all);
    let expected = json!({ "bookmarks": { "a": one, "bb": five } });
    let outcome = ours("map-streams").config(&maps).input(lines.0.clone()).go().success();
    assert_eq!(outcome.messages().last().unwrap()["value"], expected);
    let out = folder();
    let target = ours("target-csv").config(&maps).set("output_path", out.path().display());
    let outcome = target.input(lines.0).go().success();
    assert_eq!(last(&outcome), expected);
}

#[test]
fn a_version_of_one_stream_says_nothing_of_the_rows_of_others() {
    let lines = stream(Lines::default(), "a", &Value::Null);
    let version = json!({ "type": "ACTIVATE_VERSION", "stream": "a", "version": 1 });
    let combine = json!({ "combine": { "name": "all" } });
    let run = ours("map-streams").config(&combine).input(lines.message(&version).0);
    let outcome = run.go().success();
    assert!(!outcome.text().contains("ACTIVATE_VERSION"), "{}", outcome.text());
    assert!(outcome.stderr.contains("W-VERSION-IGNORED"), "{}", outcome.stderr);
}
