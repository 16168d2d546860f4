//! What a try that fails leaves behind: rows that no state covers are not added again without a
//! word, by the runner itself or by the next run.

use std::fs;

use support::cluster::{Database, database};
use support::project::Project;
use support::run::Outcome;

const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"a","key_properties":[KEYS],
"schema":{"properties":{"n":{"type":"integer"}}}}"#;

const SESSIONS: &str = "FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// How a tap of others, a load of its rows and their ways to fail come together.
struct Case {
    name: &'static str,
    method: &'static str,
    keys: &'static str,
    /// Rows are merged early.
    early: bool,
    /// A state says after the first rows that they are read, and the second try begins there.
    covers: bool,
    /// The sessions of the target end; else the tap fails by itself.
    sessions: bool,
}

const CASE: Case =
    Case { name: "", method: "append-only", keys: "", early: true, covers: false, sessions: true };

impl Case {
    fn project(&self, database: &Database) -> Project {
        let mut settings = database.settings();
        settings["load_method"] = self.method.into();
        settings["default_target_schema"] = "public".into();
        settings["state_interval_seconds"] = 0.into();
        if self.early {
            settings["batch_size_rows"] = 5.into();
        }
        let loaders =
            format!("  - {{name: pg, executable: target-postgres, config: {settings}}}\n");
        let more = "  - {name: tap-sick, executable: ./sick, capabilities: [state]}\n";
        let project = Project::with(more, &loaders, "");
        let row = r#"echo "{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{\"n\":$n}}""#;
        let state = |at: u32| {
            let mark = format!(r#"{{"replication_key":"n","replication_key_value":{at}}}"#);
            format!(r#"{{"type":"STATE","value":{{"bookmarks":{{"a":{mark}}}}}}}"#)
        };
        let schema = SCHEMA.replace("KEYS", self.keys).replace('\n', "");
        let (before, skips) = if self.covers {
            (format!("echo '{}'", state(10)), "[ -e go ] ||")
        } else {
            (String::new(), "")
        };
        let fails = if self.sessions { "" } else { "exit 75" };
        project.script(
            "sick",
            &format!(
                "echo '{schema}'
{skips} for n in $(seq 1 10); do {row}; done
{before}
if [ ! -e go ]; then
  touch begun; while [ ! -e go ]; do sleep 0.02; done; {fails}
fi
for n in $(seq 11 20); do {row}; done
echo '{}'
",
                state(20)
            ),
        );
        project
    }

    /// Runs the step, which fails once the first rows are on their way.
    fn fail(&self, project: &Project, database: &Database) -> Outcome {
        let words = ["run", "tap-sick", "pg", "--retries", "1"];
        let run = project.chorus(&words).start(true);
        project.wait_for(&|| project.root.join("begun").exists());
        if self.early || self.covers {
            database.wait_for("SELECT to_regclass('a') IS NOT NULL");
            database.wait_for("SELECT count(*) = 10 FROM a");
        }
        if self.sessions {
            database.wait_for(&format!("SELECT count(*) > 0 {SESSIONS}"));
            database.psql(&format!("SELECT count(pg_terminate_backend(pid)) {SESSIONS}"));
        }
        fs::write(project.root.join("go"), "").unwrap();
        run.wait()
    }
}

fn rows(database: &Database) -> String {
    database.psql("SELECT count(*) || ' ' || count(DISTINCT n) FROM a")
}

#[test]
fn rows_that_no_state_covers_are_not_added_again_without_a_word() {
    for case in [
        Case { name: "killed", ..CASE },
        Case { name: "tap", sessions: false, ..CASE },
        Case { name: "no_keys", method: "upsert", ..CASE },
    ] {
        let database = database(&format!("tries_{}", case.name));
        let project = case.project(&database);
        let told = case.fail(&project, &database).exits(75).stderr;
        assert!(
            told.contains("rows added after the last state: rows of a"),
            "{}: {told}",
            case.name
        );
        assert!(!told.contains("W-TRY-AGAIN"), "{}: {told}", case.name);
        assert_eq!(rows(&database), "10 10", "{}", case.name);
        // A run that ends before it adds them does not make them forgotten.
        let words = ["run", "tap-sick", "pg", "--deny-warnings", "W-ROWS-AGAIN"];
        for _ in 0..2 {
            let told = project.chorus(&words).go().exits(65).stderr;
            assert!(told.contains("W-ROWS-AGAIN"), "{}: {told}", case.name);
            assert_eq!(rows(&database), "10 10", "{}", case.name);
        }
        database.psql("DELETE FROM a");
        for again in [true, false] {
            let told = project.chorus(&words[..3]).go().success().stderr;
            assert_eq!(told.contains("W-ROWS-AGAIN"), again, "{}: {told}", case.name);
        }
    }
}

#[test]
fn a_try_that_leaves_no_rows_uncovered_is_made_again() {
    for case in [
        Case { name: "keys", method: "upsert", keys: "\"n\"", ..CASE },
        Case { name: "late", early: false, ..CASE },
        Case { name: "covered", early: false, covers: true, ..CASE },
        Case { name: "replaced", method: "overwrite", early: false, sessions: false, ..CASE },
    ] {
        let database = database(&format!("tries_{}", case.name));
        let project = case.project(&database);
        let told = case.fail(&project, &database).success().stderr;
        assert!(told.contains("W-TRY-AGAIN: "), "{}: {told}", case.name);
        assert!(told.contains(": exit 75, "), "{}: {told}", case.name);
        assert!(!told.contains("W-ROWS-AGAIN"), "{}: {told}", case.name);
        assert_eq!(rows(&database), "20 20", "{}", case.name);
    }
}

/// A target of others that keeps what it is given, and ends for a passing reason.
const ADDS: &str = "cat >> kept; [ -e tried ] && exit 0; touch tried; exit 75";

#[test]
fn a_target_that_does_not_tell_what_it_has_added_is_not_run_again() {
    let adds = |method: &str| {
        let config = format!("{{load_method: {method}}}");
        let loaders = format!("  - {{name: adds, executable: ./adds, config: {config}}}\n");
        let project = Project::with("", &loaders, "");
        project.script("adds", ADDS);
        project
    };
    let words = ["run", "tap-csv", "adds", "--retries", "1"];
    let project = adds("append-only");
    let told = project.chorus(&words).go().exits(75).stderr;
    assert!(told.contains("the target does not say"), "{told}");
    assert!(project.chorus(&words).go().success().stderr.contains("W-ROWS-AGAIN"));
    adds("upsert").chorus(&words).go().success();
    // A tap that has read nothing has given nothing.
    let project = adds("append-only");
    fs::write(project.root.join("tried"), "").unwrap();
    fs::remove_file(project.root.join("in/a.csv")).unwrap();
    let told = project.chorus(&words).go().stderr;
    assert!(!told.contains("rows added after the last state"), "{told}");
}
