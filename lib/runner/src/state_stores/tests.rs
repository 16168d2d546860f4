//! States where Meltano keeps them: its database, and those of `.chorus` that are copied into it.

use std::fs;
use std::sync::Arc;

use project::{Context, Opening, Warnings};
use rusqlite::Connection;
use serde_json::json;

use super::*;

/// The tables that Meltano 4.4 makes, as far as they matter.
const TABLES: &str = "
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
    INSERT INTO alembic_version VALUES ('c0efb3c314eb');
    CREATE TABLE runs (id INTEGER NOT NULL, job_name VARCHAR, state VARCHAR(7),
        started_at DATETIME, ended_at DATETIME, payload VARCHAR, payload_flags INTEGER,
        run_id CHAR(32), \"trigger\" VARCHAR, last_heartbeat_at DATETIME, PRIMARY KEY (id));
    CREATE TABLE state (state_id VARCHAR(900) NOT NULL, partial_state VARCHAR,
        completed_state VARCHAR, updated_at DATETIME, PRIMARY KEY (state_id), UNIQUE (state_id));
";
const ID: &str = "dev:a-to-b";

struct Place {
    folder: tempfile::TempDir,
    project: Project,
}

impl Place {
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("meltano.yml"), format!("version: 1\n{settings}")).unwrap();
        let context = Arc::new(Context::new(Warnings::new(|_| {})));
        let opening =
            Opening { folder: folder.path(), environment: None, variables: &[], context: &context };
        let project = Project::open(&opening).unwrap();
        Self { folder, project }
    }

    fn with_database() -> Self {
        let place = Self::with("");
        fs::create_dir(place.folder.path().join(".meltano")).unwrap();
        place.database().execute_batch(TABLES).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(".meltano/meltano.db")
    }

    fn database(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn open(&self) -> Result<States> {
        States::open(&self.project)
    }

    fn files(&self) -> Files {
        Files::of(&self.project)
    }

    /// Returns the states of the marks, and what they say of failures.
    fn marks(&self) -> Vec<(String, String)> {
        let database = self.database();
        let mut marks = database.prepare("SELECT state, payload FROM runs ORDER BY id").unwrap();
        let rows = marks.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }
}

fn state(value: u32) -> Value {
    json!({ "bookmarks": { "s": { "v": value } } })
}

#[test]
fn the_database_of_meltano_keeps_the_states() {
    let place = Place::with_database();
    let states = place.open().unwrap();
    assert!(states.are_of_meltano());
    assert_eq!(states.state(ID).unwrap(), None);
    states.set_state(ID, &state(1)).unwrap();
    states.set_state(ID, &state(2)).unwrap();
    assert_eq!(states.state(ID).unwrap(), Some(state(2)));
    let sql = "INSERT INTO state (state_id, completed_state, partial_state) VALUES
        ('p', '{\"singer_state\": {\"bookmarks\": {\"s\": {\"v\": 1}, \"t\": 1}}}',
              '{\"singer_state\": {\"bookmarks\": {\"s\": {\"v\": 2}}}}'),
        ('odd', '{', NULL), ('none', '{}', NULL)";
    place.database().execute_batch(sql).unwrap();
    let merged = json!({"bookmarks": {"s": {"v": 2}, "t": 1}});
    assert_eq!(states.state("p").unwrap(), Some(merged));
    assert_eq!(states.state("none").unwrap(), None);
    assert_eq!(states.state("odd").unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(states.state_ids().unwrap(), [ID, "none", "odd", "p"]);
    assert!(states.clear_state("p").unwrap());
    assert!(!states.clear_state("p").unwrap());
    assert!(!place.folder.path().join(".chorus/state").exists());
}

#[test]
fn states_of_chorus_are_copied_once() {
    let place = Place::with_database();
    place.files().set_state(ID, &state(1)).unwrap();
    place.files().set_state("other", &state(2)).unwrap();
    let states = place.open().unwrap();
    assert_eq!(states.state(ID).unwrap(), Some(state(1)));
    assert_eq!(states.state_ids().unwrap(), [ID, "other"]);
    states.take_over(&place.project).unwrap();
    assert!(place.files().state_ids().unwrap().is_empty());
    states.set_state(ID, &state(3)).unwrap();
    states.take_over(&place.project).unwrap();
    assert_eq!(states.state(ID).unwrap(), Some(state(3)));
    assert_eq!(states.state("other").unwrap(), Some(state(2)));
    // Two that differ: nobody knows which one holds.
    place.files().set_state(ID, &state(4)).unwrap();
    let failure = states.take_over(&place.project).unwrap_err();
    let text = failure.to_string();
    assert_eq!(failure.kind(), ErrorKind::Config);
    assert!(text.contains(r#"{"v":3}"#) && text.contains(r#"{"v":4}"#), "{text}");
    assert!(states.state(ID).is_err());
    states.set_state(ID, &state(5)).unwrap();
    assert_eq!(states.state(ID).unwrap(), Some(state(5)));
}

#[test]
fn a_database_that_cannot_be_used_is_never_taken_for_an_empty_one() {
    let kind = |change: &dyn Fn(&Place)| {
        let place = Place::with_database();
        change(&place);
        let failure = place.open().unwrap_err();
        assert!(failure.to_string().contains("meltano.db"), "{failure}");
        failure.kind()
    };
    let run = |sql: &'static str| move |place: &Place| place.database().execute_batch(sql).unwrap();
    let version = run("UPDATE alembic_version SET version_num = 'x'");
    assert_eq!(kind(&version), ErrorKind::Config);
    assert_eq!(kind(&run("DROP TABLE alembic_version")), ErrorKind::Config);
    assert_eq!(kind(&|place| fs::write(place.path(), "").unwrap()), ErrorKind::Config);
    assert_eq!(
        kind(&|place| fs::write(place.path(), vec![b'x'; 5000]).unwrap()),
        ErrorKind::Config
    );
}

#[test]
fn backends_and_databases_of_other_kinds_are_refused() {
    for setting in ["state_backend: {uri: 's3://b/p'}", "state_backend.uri: 'gs://b'"] {
        let failure = Place::with(setting).open().unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config, "{setting}");
        assert!(failure.to_string().contains("setting: state_backend.uri"), "{failure}");
    }
    let failure = Place::with("database_uri: 'mysql://u:secret@h/d'").open().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Config);
    assert!(!failure.to_string().contains("secret"), "{failure}");
    // Meltano would make the file.
    let place = Place::with("database_uri: 'sqlite:///.meltano/other.db'");
    assert!(!place.open().unwrap().are_of_meltano());
    let place = Place::with("state_backend: {uri: 'file://${MELTANO_PROJECT_ROOT}/states'}");
    place.open().unwrap().set_state(ID, &state(1)).unwrap();
    assert!(place.folder.path().join("states").join(ID).join("state.json").is_file());
}

#[test]
fn a_running_job_is_marked_and_heeded() {
    let place = Place::with_database();
    let states = place.open().unwrap();
    let mark = states.begin(&place.project, ID, &Options::default()).unwrap().unwrap();
    assert_eq!(place.marks(), [("RUNNING".to_owned(), "{}".to_owned())]);
    mark.succeed();
    drop(states.begin(&place.project, ID, &Options::default()).unwrap());
    let words = |marks: Vec<(String, String)>| -> Vec<String> {
        marks.into_iter().map(|(state, _)| state).collect()
    };
    assert_eq!(words(place.marks()), ["SUCCESS", "FAIL"]);
    let insert = |started: &str, heard_of: &str| {
        let sql = format!(
            "DELETE FROM runs; INSERT INTO runs (job_name, state, started_at, last_heartbeat_at, \
             payload) VALUES ('{ID}', 'RUNNING', {started}, {heard_of}, '{{}}')"
        );
        place.database().execute_batch(&sql).unwrap();
    };
    let begin = || {
        states.begin(&place.project, ID, &Options::default()).map(|mark| mark.unwrap().succeed())
    };
    let (now, old) = ("datetime('now')", "datetime('now', '-6 minutes')");
    for (started, heard_of, runs) in [
        (now, now, true),
        (old, now, true),
        (old, "NULL", true),
        ("datetime('now', '-25 hours')", "NULL", false),
        (old, old, false),
    ] {
        insert(started, heard_of);
        match begin() {
            Ok(()) => assert!(!runs, "{started} {heard_of}"),
            Err(failure) => {
                assert!(runs, "{started} {heard_of}");
                assert_eq!(failure.kind(), ErrorKind::Temporary);
                assert_eq!(words(place.marks()), ["RUNNING"]);
            }
        }
    }
    assert_eq!(words(place.marks()), ["FAIL", "SUCCESS"]);
}
