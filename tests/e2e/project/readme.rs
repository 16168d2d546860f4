//! The README's commands as they stand there: the main job, and a run that goes on from the last.

use std::path::Path;

use serde_json::{Value, json};

use crate::others::meltano::lines_of_the_readme;
use support::cluster::{cluster, database};
use support::example::search_path;
use support::pipes::DAY;
use support::run::{Outcome, Run, file};
use support::{folder, lake, root};

/// Runs lines in a folder, with our binaries and those of Postgres on the path.
fn shell(folder: &Path, lines: &str) -> Outcome {
    let script = format!("cd '{}'\n{lines}", folder.display());
    let programs = cluster().binaries.clone();
    Run::new("/bin/bash".as_ref())
        .args(["-o", "pipefail", "-ec", &script])
        .env("PATH", search_path(&[&programs]))
        .env("PGPORT", cluster().port.to_string())
        .go()
        .success()
}

#[test]
fn the_main_job_is_five_lines() {
    let (source, target, scratch) = (database("readme_sales"), database("readme"), folder());
    for script in ["sales.sql", "order_details.sql"] {
        let sql = std::fs::read_to_string(root().join("demo").join(script)).unwrap();
        let printed = source.psql(&sql);
        file(scratch.path(), "order_details.csv", printed + "\n");
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let settings = readme.split("`order_details.json`:\n\n```json\n").nth(1).unwrap();
    file(scratch.path(), "order_details.json", settings.split("```").next().unwrap());
    let lines = lines_of_the_readme("The main job in five lines");
    assert_eq!(lines.trim().lines().count(), 5, "{lines}");
    assert!(lines.contains(&format!("datestamp={DAY} ")), "{lines}");
    let lines = lines
        .replace("PGHOST=db.example.com", &format!("PGHOST={}", cluster().folder.display()))
        .replace("PGUSER=loader", "PGUSER=postgres")
        .replace("PGDATABASE=sales", &format!("PGDATABASE={}", source.name))
        .replace("warehouse", &target.name);
    let outcome = shell(scratch.path(), &lines);
    let rows = std::fs::read_to_string(scratch.path().join("order_details.csv")).unwrap();
    let count = format!("{}\n", rows.lines().count() - 1);
    assert!(outcome.text().trim_start().starts_with("count"), "{}", outcome.text());
    assert!(outcome.text().contains(&count), "{count}: {}", outcome.text());
    lake::check(&scratch.path().join("output"));
}

#[test]
fn the_lines_about_state_go_on_from_the_last_run() {
    let (source, scratch) = (database("readme_state"), folder());
    source.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let settings = source.settings_with(&json!({ "default_replication_method": "INCREMENTAL" }));
    file(scratch.path(), "c.json", settings.to_string());
    let catalog = shell(scratch.path(), "tap-postgres --config c.json --discover").text();
    let mut catalog: Value = serde_json::from_str(&catalog).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!([]) {
            entry["metadata"]["selected"] = true.into();
            entry["metadata"]["replication-method"] = "INCREMENTAL".into();
            entry["metadata"]["replication-key"] = "id".into();
        }
    }
    file(scratch.path(), "catalog.json", catalog.to_string());
    let target = database("readme_state_target");
    file(scratch.path(), "t.json", target.settings().to_string());
    let lines = lines_of_the_readme("State");
    for (rows, bookmark) in [("1 2", 2), ("1 2 3", 3)] {
        shell(scratch.path(), &lines);
        assert_eq!(target.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), rows);
        let state = std::fs::read(scratch.path().join("state.json")).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        assert_eq!(state["bookmarks"]["public-t"]["replication_key_value"], bookmark, "{state}");
        source.psql("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3) ON CONFLICT DO NOTHING");
    }
}
