//! `chorus doctor --grants`: its SQL, run as it is by a superuser, lets a job succeed that lacked
//! rights, and grants no more.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{from_database, to_database};
use support::project::Project;
use support::run::Outcome;

/// A role that nothing is granted to, with a name that has to be quoted.
struct Weak<'a> {
    database: &'a Database,
    name: String,
}

impl<'a> Weak<'a> {
    fn new(database: &'a Database, name: &str) -> Self {
        let weak = Self { database, name: name.to_owned() };
        database.psql(&format!("CREATE ROLE {} LOGIN", weak.quoted()));
        weak
    }

    fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }

    fn settings(&self, more: &Value) -> Value {
        let mut settings = self.database.settings_with(&json!({ "user": self.name }));
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }

    /// What the role has of the rights to tables, as `schema.table: RIGHTS`, by name.
    fn rights(&self) -> String {
        self.database.psql(&format!(
            "SELECT string_agg(format('%s.%s: %s', table_schema, table_name, rights), E'\\n'
                    ORDER BY table_schema, table_name)
               FROM (SELECT table_schema, table_name,
                            string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
                       FROM information_schema.table_privileges
                      WHERE grantee = $role${}$role$ GROUP BY 1, 2) of_table",
            self.name
        ))
    }
}

impl Drop for Weak<'_> {
    fn drop(&mut self) {
        let role = self.quoted();
        let _ = self.database.try_psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    }
}

/// A project with a tap of a database, and a target that loads into one.
fn project(tap: &Value, target: &Value) -> Project {
    let taps = format!(
        "  - {{name: tap-postgres, executable: tap-postgres, config: {tap}}}
  - {{name: tap-lake, executable: tap-lake, config: {{output: output, sources: [pg]}}}}
"
    );
    let loaders = format!(
        "  - {{name: target-postgres, executable: target-postgres, config: {target}}}
  - {{name: target-days, inherit_from: target-csv, config: {{source: pg}}}}
"
    );
    let jobs = "- {name: extract, tasks: [tap-postgres target-days]}
- {name: load, tasks: [tap-csv target-postgres]}
- {name: copy, tasks: [tap-postgres target-postgres]}
";
    Project::with(&taps, &loaders, jobs)
}

fn run(project: &Project, job: &str) -> Outcome {
    project.run(&[job])
}

/// Asks for the rights, and runs the SQL.
#[track_caller]
fn grant(project: &Project, database: &Database, words: &[&str]) -> String {
    let told = project.chorus(&["doctor"]).args(words).go();
    let sql = told.text();
    assert!(sql.contains("GRANT ") || sql.contains("ALTER "), "{sql}\n{}", told.stderr);
    database.psql(&sql);
    sql
}

#[track_caller]
fn lacks_nothing(project: &Project, words: &[&str]) {
    let sql = project.chorus(&["doctor"]).args(words).go().success().text();
    assert!(sql.contains("-- nothing is lacking\n"), "{sql}");
    assert!(sql.lines().all(|line| line.starts_with("--") || line.starts_with("SET ")), "{sql}");
}

const ODD: &str = "Sch\"e.ma; DROP ROLE x; --\\ü";

#[test]
fn a_source_is_read_with_the_rights_that_are_printed() {
    let source = database("grants_source");
    let weak = Weak::new(&source, "Weak \"re.ader\"; --");
    let odd = ODD.replace('"', "\"\"");
    source.psql(&format!(
        "CREATE SCHEMA \"{odd}\"; CREATE SCHEMA other;
         CREATE TABLE \"{odd}\".\"Ta.b\nle\" (id int PRIMARY KEY, \"V\" text);
         INSERT INTO \"{odd}\".\"Ta.b\nle\" VALUES (1, 'a');
         CREATE TABLE \"{odd}\".unused (id int); CREATE TABLE other.unused (id int);
         CREATE VIEW \"{odd}\".\"View:x\" AS SELECT id FROM other.unused;
         CREATE TABLE \"{odd}\".parts (id int, hidden int, seen int);
         GRANT SELECT (id, seen) ON \"{odd}\".parts TO {weak};
         DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC',
                                    current_database()); END $$",
        weak = weak.quoted()
    ));
    let invokes = source.is_at_least(15);
    if invokes {
        // It reads by the rights of its user.
        source.psql(&format!(
            "CREATE TABLE other.base (id int);
             CREATE VIEW \"{odd}\".\"View:y\" WITH (security_invoker = on) AS
               SELECT id FROM other.base"
        ));
    }
    let schema = json!({ "filter_schemas": [ODD] });
    let project = project(&weak.settings(&schema), &json!({}));
    let path = project.root.join("meltano.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "executable: tap-postgres,",
        "executable: tap-postgres, select: ['*-Ta*le.*', '*-View:*.*', '*-parts.*'],",
    );
    std::fs::write(&path, text).unwrap();
    run(&project, "extract").exits(77);
    // What else is lacking is only seen by one that may connect.
    let words = ["--grants", "extract"];
    let told = project.chorus(&["doctor"]).args(words).go().exits(77);
    assert!(told.stderr.contains("hint: run this SQL, and then this command again"), "{told:?}");
    assert!(grant(&project, &source, &words).contains("GRANT CONNECT ON DATABASE"));
    run(&project, "extract");
    let sql = grant(&project, &source, &words);
    assert!(!sql.contains("unused") && !sql.contains("ALL") && !sql.contains("parts"), "{sql}");
    lacks_nothing(&project, &words);
    run(&project, "extract").success();
    let own = format!("{ODD}.Ta.b\nle: SELECT\n{ODD}.View:x: SELECT");
    let more =
        if invokes { format!("\n{ODD}.View:y: SELECT\nother.base: SELECT") } else { String::new() };
    assert_eq!(weak.rights(), own + &more);
    assert_eq!(source.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'x'"), "0");
}

const TEMPORARY: &str = "GRANT TEMPORARY ON DATABASE \"D\" TO $;";
const USAGE: &str = "GRANT USAGE ON SCHEMA ODD TO $;";

/// A target in schema `ODD`, with more settings, before whose first load SQL is run.
struct Case {
    sql: &'static str,
    settings: Value,
    /// Statements that are printed, with `$` for the user, and no others.
    granted: &'static [&'static str],
}

fn check(target: &Database, at: usize, case: &Case) {
    let weak = Weak::new(target, &format!("Weak \"lo.ader\" {at}"));
    let odd = format!("\"{}\"", ODD.replace('"', "\"\""));
    target.psql(&format!("DROP SCHEMA IF EXISTS {odd} CASCADE"));
    target.psql(&case.sql.replace("ODD", &odd));
    let mut settings = json!({ "default_target_schema": ODD, "table_names": { "a": "T\"a.b" } });
    settings.as_object_mut().unwrap().extend(case.settings.as_object().unwrap().clone());
    let project = project(&json!({}), &weak.settings(&settings));
    run(&project, "load").exits(77);
    let sql = grant(&project, target, &["--grants=target-postgres", "load"]);
    let granted = sql.lines().filter(|line| !line.starts_with("--") && !line.starts_with("SET "));
    let granted: Vec<String> = granted
        .map(|line| {
            line.replace(&weak.quoted(), "$").replace(&odd, "ODD").replace(&target.name, "D")
        })
        .collect();
    assert_eq!(granted, case.granted, "{sql}");
    // The first load finds an empty table, and the next one merges with its rows.
    run(&project, "load").success();
    support::run::file(&project.root, "in/a.csv", "id,name\n1,z\n3,c\n");
    run(&project, "load").success();
    lacks_nothing(&project, &["--grants", "load"]);
}

#[test]
fn a_target_is_loaded_with_the_rights_that_are_printed() {
    let target = database("grants_target");
    target.psql(
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC',
                                    current_database()); END $$",
    );
    let table = "CREATE SCHEMA ODD; CREATE TABLE ODD.\"T\"\"a.b\" (id text PRIMARY KEY, name text)";
    let plain = |more: Value| {
        let mut settings = json!({ "add_record_metadata": false });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let cases = [
        Case {
            sql: "",
            settings: json!({}),
            granted: &[TEMPORARY, "GRANT CREATE ON DATABASE \"D\" TO $;"],
        },
        Case {
            sql: "CREATE SCHEMA ODD",
            settings: json!({}),
            granted: &[USAGE, TEMPORARY, "GRANT CREATE ON SCHEMA ODD TO $;"],
        },
        Case {
            sql: table,
            settings: json!({}),
            granted: &[USAGE, TEMPORARY, "ALTER TABLE ODD.\"T\"\"a.b\" OWNER TO $;"],
        },
        Case {
            sql: table,
            settings: plain(json!({})),
            granted: &[
                USAGE,
                TEMPORARY,
                "GRANT SELECT, INSERT, UPDATE ON TABLE ODD.\"T\"\"a.b\" TO $;",
            ],
        },
        Case {
            sql: "CREATE SCHEMA ODD; CREATE TABLE ODD.\"T\"\"a.b\" (id text, name text)",
            settings: plain(json!({ "load_method": "append-only" })),
            granted: &[USAGE, "GRANT SELECT, INSERT ON TABLE ODD.\"T\"\"a.b\" TO $;"],
        },
        Case {
            sql: "CREATE SCHEMA ODD;
                  CREATE TABLE ODD.\"T\"\"a.b\" (n serial, id text PRIMARY KEY, name text)",
            settings: plain(json!({ "load_method": "overwrite" })),
            granted: &[
                USAGE,
                TEMPORARY,
                "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE ODD.\"T\"\"a.b\" TO $;",
                "GRANT USAGE ON SEQUENCE ODD.\"T\"\"a.b_n_seq\" TO $;",
            ],
        },
    ];
    for (at, case) in cases.iter().enumerate() {
        check(&target, at, case);
    }
}

#[test]
fn a_table_that_another_user_has_loaded_is_loaded_by_the_rights_that_are_printed() {
    let database = database("grants_both");
    database.psql(
        "CREATE SCHEMA \"From\"; CREATE TABLE \"From\".keyed (id int PRIMARY KEY, name text);
         CREATE TABLE \"From\".loose (name text);
         INSERT INTO \"From\".keyed VALUES (1, 'a'), (2, 'b');
         INSERT INTO \"From\".loose VALUES ('a');
         CREATE TABLE \"From\".unused (id int)",
    );
    let weak = Weak::new(&database, "grants_both");
    let from = json!({ "tables": ["From.keyed", "From.loose"] });
    for (hard_delete, of_keyed) in
        [(false, "INSERT SELECT UPDATE"), (true, "DELETE INSERT SELECT UPDATE")]
    {
        database.psql("DROP SCHEMA IF EXISTS \"To\" CASCADE; DROP OWNED BY grants_both");
        let to = json!({ "default_target_schema": "To", "hard_delete": hard_delete });
        let owner = project(&database.settings_with(&from), &database.settings_with(&to));
        run(&owner, "copy").success();
        let project = project(&weak.settings(&from), &weak.settings(&to));
        run(&project, "copy").exits(77);
        let sql = grant(&project, &database, &["--grants", "copy"]);
        // One user in one database.
        assert_eq!(sql.matches("-- tap-postgres, target-postgres:\n").count(), 1, "{sql}");
        let loose = if hard_delete { "DELETE INSERT SELECT" } else { "INSERT SELECT UPDATE" };
        assert_eq!(
            weak.rights(),
            format!(
                "From.keyed: SELECT\nFrom.loose: SELECT\nTo._sdc_tables: INSERT SELECT UPDATE\n\
                 To.keyed: {of_keyed}\nTo.loose: {loose}"
            )
        );
        database.psql("DELETE FROM \"From\".keyed WHERE id = 1");
        let loaded = run(&project, "copy").success();
        assert!(!loaded.stderr.contains("W-TABLES-NOT-REMEMBERED"), "{}", loaded.stderr);
        database.psql("INSERT INTO \"From\".keyed VALUES (1, 'a')");
        run(&project, "copy").success();
        lacks_nothing(&project, &["--grants", "copy"]);
    }
}

#[test]
fn each_user_and_database_has_its_own_part() {
    let (source, target) = (database("grants_from"), database("grants_to"));
    source.psql("CREATE TABLE t (id int PRIMARY KEY)");
    target.psql("REVOKE ALL ON SCHEMA public FROM PUBLIC");
    let (from, to) = (Weak::new(&source, "part from"), Weak::new(&target, "part to"));
    let project = project(&from.settings(&json!({})), &to.settings(&json!({})));
    let told = |words: &[&str]| project.chorus(&["doctor"]).args(words).go().success().text();
    let both = told(&["--grants", "copy"]);
    let parts: Vec<&str> = both.split("-- target-postgres:\n").collect();
    assert_eq!(parts.len(), 2, "{both}");
    assert!(
        parts[0].starts_with("-- tap-postgres:\n-- for \"part from\" in the database "),
        "{both}"
    );
    assert!(
        parts[0].ends_with("GRANT SELECT ON TABLE \"public\".\"t\" TO \"part from\";\n"),
        "{both}"
    );
    assert!(parts[1].contains("GRANT CREATE ON SCHEMA \"public\" TO \"part to\";\n"), "{both}");
    assert_eq!(told(&["--grants=tap-postgres", "copy"]), parts[0]);
    let of_target = told(&["--grants=target-postgres", "copy"]);
    assert_eq!(of_target, format!("-- target-postgres:\n{}", parts[1]));
    source.psql(&told(&["--grants=tap-postgres"]));
    target.psql(&of_target);
    run(&project, "copy").success();
    // A job without databases has nobody to ask.
    let refused = project.chorus(&["doctor", "--grants", "both"]).go().exits(64);
    assert!(
        refused.stderr.contains("no plugin that tells of rights is used"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_run_is_refused_while_rights_are_asked_for() {
    let database = database("grants_run");
    database.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let asking = json!({ "plan_grants": true });
    let tap = || from_database(&database, &asking);
    for refused in [tap().go(), tap().args(["--test"]).go()] {
        assert!(refused.exits(78).stderr.contains("remove the setting to read"));
    }
    let rows = Lines::whole(&[(1, "a")]);
    let load = to_database(&database, &asking).input(rows.0.clone());
    assert!(load.go().exits(78).stderr.contains("remove the setting to load"));
    let planned = to_database(&database, &asking).args(["--plan"]).input(rows.0).go().success();
    assert!(
        planned.text().starts_with("t:\n  -- for \"postgres\" in the database "),
        "{planned:?}"
    );
    assert_eq!(planned.text().lines().count(), 2, "{planned:?}");
}

#[test]
fn row_security_is_told_in_a_comment() {
    let database = database("grants_hidden");
    database.psql(
        "CREATE TABLE a (id text PRIMARY KEY, name text); ALTER TABLE a ENABLE ROW LEVEL SECURITY",
    );
    let weak = Weak::new(&database, "grants_hidden");
    let settings = json!({ "default_target_schema": "public", "add_record_metadata": false });
    let project = project(&json!({}), &weak.settings(&settings));
    let sql = grant(&project, &database, &["--grants", "load"]);
    run(&project, "load").exits(77);
    let (_, command) = sql.split_once("unless a superuser runs: ").unwrap();
    database.psql(command.lines().next().unwrap());
    run(&project, "load").success();
    lacks_nothing(&project, &["--grants", "load"]);
}

#[test]
fn a_user_that_may_connect_nowhere_is_told_of_both_databases_at_once() {
    let (source, target) = (database("grants_no_from"), database("grants_no_to"));
    source.psql("CREATE TABLE t (id int PRIMARY KEY)");
    for closed in [&source, &target] {
        closed.psql(&format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", closed.name));
    }
    let weak = Weak::new(&source, "no where");
    let mut to = target.settings_with(&json!({ "user": weak.name }));
    to["default_target_schema"] = "raw: x".into();
    let project = project(&weak.settings(&json!({})), &to);
    let told = project.chorus(&["doctor", "--grants", "copy"]).go().exits(77);
    let grant = |name: &str| format!("\nGRANT CONNECT ON DATABASE \"{name}\" TO \"no where\";\n");
    let sql = told.text();
    for database in [&source, &target] {
        assert_eq!(sql.matches(&grant(&database.name)).count(), 1, "{sql}");
    }
    let comments = sql.lines().filter(|line| line.starts_with("--"));
    for line in comments {
        assert!(line.len() < 100 && !line.contains("exit:"), "{sql}");
    }
    assert_eq!(told.stderr.matches("cannot ").count(), 1, "{}", told.stderr);
    source.psql(&sql);
    let sql = project.chorus(&["doctor", "--grants", "copy"]).go().success().text();
    assert!(sql.contains("GRANT SELECT ON TABLE \"public\".\"t\""), "{sql}");
    // The schema is not there: the right to make any, or in its place that one alone.
    assert!(sql.contains("\nGRANT CREATE ON DATABASE "), "{sql}");
    let (_, alone) = sql.split_once("the schema alone: ").unwrap();
    let (from, to) = sql.split_once("-- target-postgres:\n").unwrap();
    source.psql(from);
    let to: Vec<&str> = to.lines().filter(|line| !line.contains("GRANT CREATE ON")).collect();
    target.psql(&to.join("\n"));
    target.psql(alone.lines().next().unwrap());
    run(&project, "copy").success();
    target.psql("DROP OWNED BY \"no where\"");
}
