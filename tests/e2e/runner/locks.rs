//! Lock files: the definitions of plugins are a layer below `meltano.yml`.

use serde_json::{Value, json};
use support::project::{DAY, Project};
use support::run::file;

const LOADER: &str = "  - {name: target-locked, variant: other, pip_url: pipelinewise-target-x}\n";
const PATH: &str = "plugins/loaders/target-locked--other.lock";

/// Makes a project with a loader of another author, in whose place ours runs.
fn project(settings: &Value) -> Project {
    let project = Project::with("", LOADER, "");
    let lock = json!({
        "plugin_type": "loaders",
        "name": "target-locked",
        "namespace": "target_locked",
        "variant": "other",
        "executable": "target-csv",
        "settings": settings,
    });
    file(&project.root, PATH, serde_json::to_string_pretty(&lock).unwrap());
    project
}

fn settings() -> Value {
    json!([
        {"name": "output_path", "value": "from-lock"},
        {"name": "source", "value": "$MELTANO_EXTRACTOR_NAME"},
        {"name": "datestamp", "value": "$DATESTAMP"},
        // Nothing that ours has.
        {"name": "batch_size_of_theirs", "kind": "integer", "value": 5},
    ])
}

#[test]
fn ours_runs_in_the_place_of_a_locked_plugin_by_its_defaults() {
    let project = project(&settings());
    project.run(&["tap-csv", "target-locked"]).success();
    let day = format!("from-lock/source=tap-csv/extracted_at={DAY}/table=a");
    assert!(project.root.join(day).exists());
    let doctor = project.chorus(&["doctor"]).go().text();
    assert!(doctor.contains("runs in place of the variant other"), "{doctor}");
}

#[test]
fn a_setting_that_says_where_is_refused_by_its_name() {
    let mut settings = settings();
    settings.as_array_mut().unwrap().push(json!({"name": "bucket_path", "value": "s3://x"}));
    let refused = project(&settings).run(&["tap-csv", "target-locked"]).exits(78);
    assert!(refused.stderr.contains("setting: `bucket_path`"), "{}", refused.stderr);
}

#[test]
fn a_damaged_lock_file_is_refused_with_its_line() {
    let project = project(&settings());
    file(&project.root, PATH, "{\n  \"settings\": [\n}\n");
    let refused = project.run(&["tap-csv", "target-locked"]).exits(78);
    for words in ["cannot read the lock file as JSON", PATH, "line: 3\n", "plugin: target-locked"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    // Nobody else needs it.
    project.run(&["tap-csv", "target-csv"]).success();
}
