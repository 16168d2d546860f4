//! The runner knows the role of a setting from the program, not from its name.

use serde_json::{Value, json};

use crate::project::tidy::CONNECTORS;
use support::project::Project;
use support::run::ours;

const LOADERS: &str = "  - {name: shelf, executable: target-shelf-example}
  - {name: other, executable: ./other}
";

/// Returns a project with two targets that have these settings: one says what they are for, the
/// other one is a script of others.
fn project(settings: &Value) -> Project {
    let loaders = LOADERS.replace('}', &format!(", config: {settings}}}"));
    let project = Project::with("", &loaders, "");
    project.script("other", "cat > /dev/null");
    project
}

#[test]
fn a_target_of_any_name_writes_the_days_that_its_settings_name() {
    let refused = |settings: Value, message: &str, hint: &str| {
        let project = project(&settings);
        let outcome = project.run(&["tap-csv", "shelf"]).exits(78);
        assert!(outcome.stderr.contains(message), "{settings}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(hint), "{settings}: {}", outcome.stderr);
        project.run(&["tap-csv", "other"]).success();
    };
    let other_day = "would write another day than that of the run";
    let hint = "write `when: \"${DATESTAMP}\"` in its settings";
    refused(json!({"origin": "s", "when": "2026-01-30"}), other_day, hint);
    let label = "source=s/extracted_at=2026-01-30/table={stream_name}/x.csv";
    refused(json!({"shelf": "x", "label": label}), other_day, hint);
    refused(json!({"origin": "s"}), "the target would write today", hint);
    let nameless = json!({"origin": "", "when": "${DATESTAMP}"});
    refused(
        nameless,
        "cannot write days without the name of their source",
        "set `origin` of shelf",
    );
    for settings in [
        json!({"origin": "s", "when": "${DATESTAMP}"}),
        json!({"origin": "s", "label": "{stream_name}.csv"}),
        json!({"shelf": "x"}),
    ] {
        project(&settings).run(&["tap-csv", "shelf"]).success();
    }
}

#[test]
fn names_of_settings_of_ours_say_nothing_at_a_target_of_others() {
    let scheme = "source=s/extracted_at=2026-01-30/table={stream_name}/x.csv";
    let dated = json!({"output_path": "x", "file_naming_scheme": scheme});
    project(&dated).run(&["tap-csv", "other"]).success();
}

#[test]
fn a_tap_of_any_name_reads_the_day_that_its_settings_name() {
    let told = |when: &str| {
        let more = format!(
            "  - {{name: shelf, executable: tap-shelf-example, config: {{shelf: output, when: \
             '{when}'}}}}\n"
        );
        let loaders = "  - {name: flat, executable: target-csv, config: {output_path: flat}}\n";
        let project = Project::with(&more, loaders, "");
        let outcome = project.run(&["shelf", "flat"]).success();
        outcome.stderr.contains("shelf reads 2026-01-30, which is not the day of the run")
    };
    assert!(told("2026-01-30"));
    assert!(!told("${DATESTAMP}"));
}

#[test]
fn connectors_say_what_settings_are_for_in_words_that_are_known() {
    let known = [
        "output-folder",
        "naming-scheme",
        "lake-root",
        "source",
        "datestamp",
        "start-date",
        "where-clauses",
    ];
    let mut said = std::collections::BTreeSet::new();
    for connector in CONNECTORS {
        let about = ours(connector).args(["--about", "--format", "json"]).go().success().text();
        let about: Value = serde_json::from_str(&about).unwrap();
        for (name, setting) in about["settings"]["properties"].as_object().unwrap() {
            let Some(role) = setting["x-role"].as_str() else { continue };
            assert!(known.contains(&role), "{connector}: {name} is for {role}");
            said.insert(role.to_owned());
        }
    }
    assert_eq!(said, known.map(str::to_owned).into());
}
