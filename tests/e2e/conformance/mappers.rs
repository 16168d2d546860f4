//! What holds for a mapper: between every tap and every target it loses nothing, hides no end, and
//! keeps what the rules of taps and targets say of both.

use serde_json::{Value, json};

use super::subjects::{Target, taps, targets};
use support::folder;
use support::messages::{Lines, columns, csv};
use support::run::{Outcome, Run, file, ours};

const ROWS: [(i64, &str); 3] = [(1, "a"), (2, "b"), (3, "c")];

/// Settings of which one copies lines, another one writes each row anew, and the last one checks
/// them by a contract as well: what goes in comes out.
///
/// The folder has the contract.
fn ways() -> (tempfile::TempDir, [Value; 3]) {
    let folder = folder();
    let properties = json!([
        { "name": "id", "logicalType": "integer", "required": true, "primaryKey": true },
        { "name": "name", "logicalType": "string" },
    ]);
    let contract = json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "version": "1.0.0",
        "status": "active", "schema": [{ "name": "t", "properties": properties }],
    });
    let contract = file(folder.path(), "t.odcs.yaml", contract.to_string());
    let all = [
        json!({}),
        json!({ "stream_maps": { "t": { "id": "id", "name": "name" } } }),
        json!({ "contracts": [contract] }),
    ];
    (folder, all)
}

fn mapper(settings: &Value, lines: &Lines) -> Run {
    ours("map-streams").config(settings).input(lines.0.clone())
}

/// What a target says, and the mapper before it.
fn through(settings: &Value, lines: &Lines, target: &Target) -> (Outcome, Outcome) {
    let mapped = mapper(settings, lines).go();
    let landed = target.feed(&Lines(mapped.stdout.clone()));
    (mapped, landed)
}

/// The records and the states, in their order, without the mark by which a target knows of the
/// mapper.
fn rows_and_states(outcome: &Outcome) -> Vec<Value> {
    let mut messages = outcome.messages();
    messages.retain(|message| message["type"] != "SCHEMA");
    for message in &mut messages {
        if let Some(Value::Object(run)) = message.pointer_mut("/value/syncing_run") {
            run.remove("mapped");
        }
    }
    messages
}

#[test]
fn what_a_tap_prints_goes_through_unchanged() {
    for tap in taps() {
        let printed = tap.run().go().success();
        let lines = Lines(printed.stdout.clone());
        for settings in [json!({}), json!({ "stream_maps": { (tap.stream): { "id": "id" } } })] {
            let mapped = mapper(&settings, &lines).go().success();
            assert_eq!(rows_and_states(&mapped), rows_and_states(&printed), "{}", tap.name);
            let schemas = |outcome: &Outcome| -> Vec<Value> {
                let mut all = outcome.messages();
                all.retain(|message| message["type"] == "SCHEMA");
                all.iter().map(|one| json!([one["stream"], one["key_properties"]])).collect()
            };
            assert_eq!(schemas(&mapped), schemas(&printed), "{}", tap.name);
        }
    }
}

#[test]
fn a_stream_lands_whole_in_every_target() {
    let (_folder, ways) = ways();
    let lines = Lines::whole(&ROWS);
    for settings in &ways {
        for target in targets() {
            let (mapped, landed) = through(settings, &lines, &target);
            assert_eq!(mapped.code, 0, "{settings}: {}", mapped.complaint());
            landed.success();
            assert_eq!(target.seen(), Some(csv(ROWS)), "{settings}: {}", target.settings);
        }
    }
}

#[test]
fn an_end_within_a_stream_is_no_end_behind_it() {
    let (_folder, ways) = ways();
    let half = Lines::opened().row(1, "new").state(&json!({
        "bookmarks": { "t": "half" }, "currently_syncing": "t",
    }));
    for settings in &ways {
        for target in targets() {
            let (_, landed) = through(settings, &half, &target);
            assert_eq!(landed.code, 76, "{settings}: {}", landed.complaint());
            let done = landed.messages().into_iter().find(|one| one["currently_syncing"].is_null());
            assert_eq!(done, None, "{settings}: {}", target.settings);
        }
    }
}

#[test]
fn what_is_against_the_protocol_or_the_schema_ends_it_and_is_not_seen_behind_it() {
    let (_folder, ways) = ways();
    let bad: [(&str, Lines, i32); 6] = [
        ("no JSON", Lines::opened().row(1, "new").raw("{"), 76),
        ("no message", Lines::opened().row(1, "new").message(&json!({ "type": "T" })), 76),
        ("not of its schema", Lines::opened().record("t", &json!({ "id": "x" })).done(), 65),
        ("no SCHEMA", Lines::default().record("t", &json!({ "id": 1 })), 76),
        ("a key that is null", Lines::opened().record("t", &json!({ "id": null })).done(), 65),
        ("no input", Lines::default(), 76),
    ];
    for (what, lines, code) in bad {
        for settings in &ways {
            for target in targets() {
                target.feed(&Lines::whole(&ROWS)).success();
                let (mapped, landed) = through(settings, &lines, &target);
                let said = mapped.complaint();
                assert_eq!(mapped.code, code, "{what}: {settings}: {said}");
                assert!(said.contains("hint:") || said.contains("line:"), "{what}: {said}");
                assert_eq!(landed.code, 76, "{what}: {settings}: {}", landed.complaint());
                assert!(!landed.text().contains("\"currently_syncing\":null"), "{what}");
                // What came before may be committed by a target that loads as it reads.
                let (seen, upserts) = (target.seen(), target.settings["load_method"] == "upsert");
                let before = csv([(1, "new"), (2, "b"), (3, "c")]);
                assert!(
                    seen == Some(csv(ROWS)) || upserts && seen == Some(before),
                    "{what}: {settings}: {seen:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_set_aside_is_counted_and_the_rest_lands() {
    let (_folder, ways) = ways();
    let lines = Lines::opened().row(1, "a").record("t", &json!({ "id": "x" })).row(2, "b");
    let lines = lines.row(3, "c").done();
    for mut settings in ways {
        settings["max_rejects"] = json!(1);
        for target in targets() {
            let (mapped, landed) = through(&settings, &lines, &target);
            let said = mapped.complaint();
            assert_eq!(mapped.code, 0, "{settings}: {said}");
            assert!(said.contains("W-RECORDS-REJECTED"), "{settings}: {said}");
            landed.success();
            assert_eq!(target.seen(), Some(csv(ROWS)), "{settings}: {}", target.settings);
        }
    }
}

#[test]
fn the_same_rows_again_change_nothing() {
    let (_folder, ways) = ways();
    let lines = Lines::whole(&ROWS);
    for settings in &ways {
        for target in targets() {
            through(settings, &lines, &target).1.success();
            let (_, again) = through(settings, &lines, &target);
            let again = again.success();
            assert!(again.stderr.contains("unchanged"), "{settings}: {}", again.stderr);
            assert_eq!(target.seen(), Some(csv(ROWS)), "{settings}: {}", target.settings);
        }
    }
}

#[test]
fn messages_that_it_does_not_map_go_on() {
    let (_folder, ways) = ways();
    let lines = Lines::opened()
        .row(1, "a")
        .message(&json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": 7 }))
        .schema("other", &columns(), &["id"])
        .record("other", &json!({ "id": 9, "name": null }))
        .state(&json!({ "bookmarks": { "t": { "deep": [1, "é", null] } } }))
        .done();
    for settings in &ways {
        let messages = mapper(settings, &lines).go().success().messages();
        let kinds: Vec<_> = messages.iter().map(|one| one["type"].as_str().unwrap()).collect();
        let expected = "STATE SCHEMA RECORD ACTIVATE_VERSION SCHEMA RECORD STATE STATE";
        assert_eq!(kinds.join(" "), expected, "{settings}");
        assert_eq!(messages[3]["version"], 7, "{settings}");
        assert_eq!(messages[5]["record"], json!({ "id": 9, "name": null }), "{settings}");
        assert_eq!(messages[6]["value"]["bookmarks"]["t"]["deep"], json!([1, "é", null]));
    }
}

#[test]
fn a_reader_that_leaves_ends_it_without_a_word_of_success() {
    let (_folder, ways) = ways();
    let many: Vec<_> = (0..20_000).map(|id| (id, "a name of some length")).collect();
    for settings in &ways {
        let mut running = mapper(settings, &Lines::whole(&many)).start(false);
        drop(running.child().stdout.take());
        running.wait().exits(141);
    }
}

#[test]
fn limits_and_denied_warnings_end_it_by_their_codes() {
    let (_folder, ways) = ways();
    let lines = Lines::whole(&ROWS);
    for settings in &ways {
        let run = || mapper(settings, &lines);
        let failed = run().set("max_record_bytes", 16).go();
        assert_eq!(failed.code, 65, "{settings}: {}", failed.complaint());
        run().args(["--deny-warnings", "W-NO-SUCH"]).go().exits(64);
        // With what is legal nothing is warned of.
        run().args(["--deny-warnings", "all"]).go().success();
    }
}

#[test]
fn a_plan_names_the_stream_and_prints_no_row() {
    let (_folder, ways) = ways();
    for settings in &ways {
        let text = mapper(settings, &Lines::whole(&[(1, "canary")])).args(["--plan=json"]).go();
        let text = text.success().text();
        let plan: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(plan["streams"][0]["stream"], "t", "{settings}: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
