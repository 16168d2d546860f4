//! A mapping of a project, run by `chorus` and by Meltano.

use serde_json::json;

use support::example::Example;
use support::project::Project;
use support::run::file;

const MAPPERS: &str = "  mappers:
  - name: map-streams
    namespace: map_streams
    executable: map-streams
    mappings:
    - name: shorten
      config:
        stream_maps:
          t:
            name: name[:1]
            __alias__: short
";

fn project_text(path: &str) -> String {
    let files = json!([{ "entity": "t", "path": path, "keys": ["id"] }]);
    format!(
        "default_environment: dev\nproject_id: maps\nenvironments: [{{name: dev}}]\nplugins:\n  \
         extractors:\n  - {{name: tap-csv, namespace: tap_csv, executable: tap-csv, config: \
         {{files: {files}}}}}\n{MAPPERS}  loaders:\n  - {{name: target-csv, namespace: target_csv, \
         executable: target-csv, config: {{output_path: out}}}}\n"
    )
}

#[test]
fn a_mapping_of_a_project_is_carried_out_by_chorus() {
    let project = Project::new("", &[]);
    let path = file(&project.root, "t.csv", "id,name\n1,Ada\n2,Bob\n");
    file(&project.root, "meltano.yml", project_text(path.to_str().unwrap()));
    let run = project.chorus(&["run", "tap-csv", "shorten", "target-csv", "--full-refresh"]);
    run.go().success();
    let written = std::fs::read_to_string(project.root.join("out/short.csv")).unwrap();
    assert_eq!(written, "id,name\n1,A\n2,B\n");
}

/// For Meltano a null is no value, so it is lost on the way; for a map it removes a property.
#[test]
fn a_null_in_the_maps_of_a_target_removes_a_property() {
    let project = Project::new("", &[]);
    let path = file(&project.root, "t.csv", "id,name,born\n1,Ada,1815\n");
    let maps = "output_path: out, stream_maps: {t: {name: null, born: '__NULL__', x: \"'k'\"}}";
    let text = project_text(path.to_str().unwrap()).replace("output_path: out", maps);
    file(&project.root, "meltano.yml", text);
    project.chorus(&["run", "tap-csv", "target-csv", "--full-refresh"]).go().success();
    let written = std::fs::read_to_string(project.root.join("out/t.csv")).unwrap();
    assert_eq!(written, "id,x\n1,k\n");
}

#[test]
fn a_mapping_of_a_project_is_carried_out_by_meltano() {
    let project = Example::new("meltano_mapping");
    let path = file(project.path(), "t.csv", "id,name\n1,Ada\n2,Bob\n");
    file(project.path(), "meltano.yml", project_text(path.to_str().unwrap()));
    project.meltano("meltano run --full-refresh tap-csv shorten target-csv").success();
    let written = std::fs::read_to_string(project.path().join("out/short.csv")).unwrap();
    assert_eq!(written, "id,name\n1,A\n2,B\n");
}
