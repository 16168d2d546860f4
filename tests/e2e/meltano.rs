//! Our binaries as Meltano plugins, by the blocks of meltano.yml.

use std::fs;
use std::path::Path;

use crate::support::cluster::{Database, database};
use crate::support::python::MELTANO;
use crate::support::run::{Outcome, Run, file};
use crate::support::{binaries_dir, folder, lake, root};

const DAY: &str = "2026-11-20";

/// A project with the plugins of meltano.yml; their settings come from the environment.
fn meltano(project: &Path, source: &Database, lake: &Path, args: &[&str]) -> Outcome {
    let text = fs::read_to_string(root().join("meltano.yml")).unwrap();
    file(project, "meltano.yml", text);
    let settings = source.settings();
    let text = |name: &str| settings[name].as_str().map_or(settings[name].to_string(), Into::into);
    let run: Run = MELTANO.program("meltano").args(["--cwd"]).args([project]).args(args);
    run.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binaries_dir().display()))
        .env("MELTANO_SEND_ANONYMOUS_USAGE_STATS", "false")
        .env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
        .env("NO_COLOR", "1")
        .env("TAP_POSTGRES_HOST", text("host"))
        .env("TAP_POSTGRES_PORT", text("port"))
        .env("TAP_POSTGRES_USER", text("user"))
        .env("TAP_POSTGRES_DATABASE", text("database"))
        .env("TARGET_CSV_OUTPUT_PATH", lake)
        .env("TARGET_CSV_SOURCE", "postgres")
        .env("TARGET_CSV_DATESTAMP", DAY)
        .go()
}

#[test]
fn a_meltano_project_runs_our_plugins_and_keeps_their_state() {
    let (source, scratch) = (database("meltano"), folder());
    source.psql("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'é')");
    let (project, lake) = (scratch.path().join("project"), scratch.path().join("lake"));
    let run = || meltano(&project, &source, &lake, &["run", "tap-postgres", "target-csv"]);
    run().success();
    lake::check(&lake);
    let partition = lake::partition(&lake, "postgres", DAY, "public-t");
    assert_eq!(lake::data(&partition), "id,v\n1,é\n");
    assert_eq!(lake::manifest(&partition)["complete"], true);
    source.psql("INSERT INTO t VALUES (2, 'b')");
    run().success();
    assert_eq!(lake::data(&partition), "id,v\n1,é\n2,b\n");
    let id = "dev:tap-postgres-to-target-csv";
    let state = meltano(&project, &source, &lake, &["state", "get", id]).success();
    assert!(state.text().contains("bookmarks"), "{}", state.text());
    let listed = ["select", "tap-postgres", "--list", "--all"];
    let listed = meltano(&project, &source, &lake, &listed).success();
    assert!(listed.text().contains("public-t.id"), "{}", listed.text());
}
