//! What holds for every target, by every way to load: nothing half is seen, no state runs ahead.

use serde_json::{Value, json};

use super::subjects::{Target, targets};
use support::messages::{Lines, csv};
use support::project::{DAY, Project};
use support::run::Outcome;

const OLD: [(i64, &str); 2] = [(1, "old"), (2, "old")];
const NEW: [(i64, &str); 3] = [(1, "new"), (2, "old"), (3, "new")];

fn states(outcome: &Outcome) -> Vec<Value> {
    let lines = outcome.text();
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn whole(rows: &[(i64, &str)], mark: &str) -> Lines {
    let lines = rows.iter().fold(Lines::opened(), |lines, (id, name)| lines.row(*id, name));
    lines.state(&json!({ "bookmarks": { "t": mark }, "currently_syncing": null }))
}

/// Targets whose rows are those of an earlier run.
fn filled() -> Vec<Target> {
    let targets = targets();
    for target in &targets {
        target.feed(&whole(&OLD, "one")).success();
        assert_eq!(target.seen(), Some(csv(OLD)), "{}", target.settings);
    }
    targets
}

#[test]
fn a_stream_lands_whole_and_its_last_state_is_printed() {
    for target in filled() {
        let done = target.feed(&whole(&NEW, "two")).success();
        assert_eq!(target.seen(), Some(csv(NEW)), "{}", target.settings);
        let last = states(&done).pop().unwrap();
        assert_eq!(last["bookmarks"]["t"], "two", "{}", target.settings);
    }
}

#[test]
fn an_end_within_a_stream_changes_nothing_and_prints_no_state() {
    for target in filled() {
        let half = Lines::opened().row(1, "new").state(&json!({
            "bookmarks": { "t": "half" }, "currently_syncing": "t",
        }));
        let ended = target.feed(&half);
        assert_eq!(ended.code, 76, "{}: {}", target.settings, ended.complaint());
        let seen = target.seen();
        let may_have_committed = target.settings["load_method"] == "upsert";
        assert!(
            seen == Some(csv(OLD))
                || may_have_committed && seen == Some(csv([(1, "new"), (2, "old")])),
            "{}: {seen:?}",
            target.settings
        );
        // What was committed may be said; the end of the stream may not.
        let done = states(&ended).into_iter().find(|state| state["currently_syncing"].is_null());
        assert_eq!(done, None, "{}", target.settings);
    }
}

#[test]
fn the_same_rows_again_change_nothing() {
    for target in filled() {
        target.feed(&whole(&NEW, "two")).success();
        let done = target.feed(&whole(&NEW, "two")).success();
        assert_eq!(target.seen(), Some(csv(NEW)), "{}", target.settings);
        assert!(done.stderr.contains("unchanged"), "{}: {}", target.settings, done.stderr);
    }
}

#[test]
fn what_is_against_the_protocol_or_the_schema_ends_it_and_is_not_seen() {
    let bad: [(&str, Lines, i32); 5] = [
        ("no JSON", Lines::opened().row(1, "new").raw("{"), 76),
        ("not of its schema", Lines::opened().record("t", &json!({ "id": "x" })).done(), 65),
        ("no SCHEMA", Lines::default().record("t", &json!({ "id": 1 })), 76),
        ("a key that is null", Lines::opened().record("t", &json!({ "id": null })).done(), 65),
        ("no input", Lines::default(), 76),
    ];
    for (what, lines, code) in bad {
        for target in filled() {
            let failed = target.feed(&lines);
            let said = failed.complaint();
            assert_eq!(failed.code, code, "{what}: {said}");
            assert_eq!(target.seen(), Some(csv(OLD)), "{what}: {}", target.settings);
            assert!(said.contains("hint:") || said.contains("line:"), "{what}: {said}");
        }
    }
}

#[test]
fn what_is_set_aside_is_counted_and_the_rest_lands() {
    for target in filled() {
        let lines = Lines::opened().row(1, "new").record("t", &json!({ "id": "x" })).row(2, "old");
        let mut settings = target.settings.clone();
        settings["max_rejects"] = json!(1);
        let lines = lines.row(3, "new").done();
        let done = support::run::feed(target.name, &settings, &lines.0).success();
        assert_eq!(target.seen(), Some(csv(NEW)), "{settings}");
        assert!(done.complaint().contains("W-RECORDS-REJECTED"), "{settings}: {}", done.stderr);
    }
}

#[test]
fn a_plan_changes_nothing() {
    for target in filled() {
        let plan = support::run::ours(target.name).config(&target.settings);
        let plan = plan.args(["--plan=json"]).input(whole(&NEW, "two").0).go().success();
        let plan: Value = serde_json::from_str(&plan.text()).unwrap();
        assert_eq!(plan["streams"][0]["stream"], "t", "{}", target.settings);
        assert_eq!(target.seen(), Some(csv(OLD)), "{}", target.settings);
    }
}

#[test]
fn the_runner_finds_nothing_against_the_protocol() {
    for target in targets() {
        let (name, config) = (target.name, &target.settings);
        let loader = format!("  - {{name: checked, executable: {name}, config: {config}}}\n");
        let project = Project::with("", &loader, "");
        let done = project.chorus(&["check", "checked"]).env("DATESTAMP", DAY).go().success();
        assert!(done.text().contains("keeps the rules"), "{name}: {}", done.text());
    }
}
