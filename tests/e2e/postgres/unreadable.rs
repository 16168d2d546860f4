//! Tables and columns that the user may not read: told where they are selected, with SQL that runs
//! as it stands, and nowhere else.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::pipes::from_database;
use support::project::Project;

const ROLE: &str = "Un \"read\"";
const QUOTED: &str = "\"Un \"\"read\"\"\"";

/// A database of which the role may read `public.orders`, and `id` of `public.parts`.
fn source(name: &str) -> Database {
    let source = database(name);
    let role = QUOTED.replace("Un", name);
    source.psql(&format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA shut;
         CREATE TABLE orders (id int); CREATE TABLE \"Order details\" (id int);
         CREATE TABLE unused (id int); CREATE TABLE parts (id int, \"se.cret\" text);
         CREATE TABLE shut.orders (id int); CREATE TABLE empty ();
         GRANT SELECT ON orders TO {role}; GRANT SELECT (id) ON parts TO {role}"
    ));
    source
}

fn gone(source: &Database, name: &str) {
    let role = QUOTED.replace("Un", name);
    source.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

fn settings(source: &Database, name: &str, more: &Value) -> Value {
    let mut settings = source.settings_with(&json!({ "user": ROLE.replace("Un", name) }));
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn project(settings: &Value, select: &Value) -> Project {
    let taps = format!(
        "  - {{name: tap-weak, executable: tap-postgres, select: {select}, config: {settings}}}\n"
    );
    Project::with(&taps, "", "- {name: weak, tasks: [tap-weak target-csv]}\n")
}

/// Runs the SQL behind these words of a text.
#[track_caller]
fn grant(source: &Database, text: &str, behind: &str) -> String {
    let (_, sql) = text.split_once(behind).unwrap_or_else(|| panic!("no {behind} in {text}"));
    let sql = sql.lines().next().unwrap().split("; `chorus").next().unwrap();
    source.psql(sql);
    sql.to_owned()
}

#[test]
fn a_selected_table_that_cannot_be_read_is_told_and_not_taken_for_another() {
    let source = source("unread_selected");
    let settings = settings(&source, "unread_selected", &json!({}));
    let weak = project(&settings, &json!(["public-orders.*", "public-Order details.*"]));
    let doctor = weak.chorus(&["doctor", "weak"]).env("DATESTAMP", "2026-01-31").go().success();
    let told = "note  tap-weak: W-TABLE-NOT-READABLE: tables left out because the user may not \
                read them (1): public.Order details; run as their owner: GRANT SELECT ON TABLE ";
    let text = doctor.text();
    assert!(text.contains(told) && text.contains("`chorus doctor --grants` prints"), "{text}");
    assert!(!text.contains("did you mean") && !text.contains("unused"), "{text}");
    let run = weak.run(&["weak"]).success();
    assert!(run.stderr.contains("W-TABLE-NOT-READABLE: "), "{}", run.stderr);
    assert!(!run.stderr.contains("W-SELECT-NOTHING"), "{}", run.stderr);
    let deny = ["run", "weak", "--deny-warnings", "W-TABLE-NOT-READABLE"];
    let denied = |project: &Project| project.chorus(&deny).env("DATESTAMP", "2026-01-31").go();
    denied(&weak).exits(65);
    grant(&source, &text, "public.Order details; run as their owner: ");
    let run = denied(&weak).success();
    assert!(!run.stderr.contains("NOT-READABLE"), "{}", run.stderr);
    gone(&source, "unread_selected");
}

#[test]
fn what_is_not_selected_is_not_told() {
    let source = source("unread_others");
    let settings = settings(&source, "unread_others", &json!({}));
    for (select, told) in [
        (json!(["public-orders.*"]), ""),
        (json!(["public-orders", "public-parts.id"]), ""),
        (json!(["*.*", "!public-unused.*", "!public-Order*.*", "!*-parts.se.cret"]), ""),
        (
            json!(["public-parts.*"]),
            "columns of public.parts left out because the user may not read",
        ),
        (
            json!(["*-orders.*", "shut-*.*"]),
            "(1): shut.orders; run as their owner: GRANT USAGE ON ",
        ),
        (json!(["*.*"]), "(2): public.Order details, public.unused; run as their owner: "),
    ] {
        let weak = project(&settings, &select);
        let run = weak.run(&["weak"]).success();
        assert_eq!(
            run.stderr.contains("NOT-READABLE"),
            !told.is_empty(),
            "{select} {}",
            run.stderr
        );
        assert!(run.stderr.contains(told), "{select} {}", run.stderr);
        assert!(!run.stderr.contains("public.empty"), "{}", run.stderr);
        let sql = weak.chorus(&["doctor", "--grants", "weak"]).go().success().text();
        let lacks = ["shut", "\"*.*"].iter().any(|text| select.to_string().contains(text));
        assert_eq!(sql.contains("GRANT "), lacks, "{select} {sql}");
    }
    gone(&source, "unread_others");
}

#[test]
fn a_selection_that_cannot_be_read_at_all_ends_the_run_as_denied() {
    let source = source("unread_all");
    let settings = settings(&source, "unread_all", &json!({}));
    for select in [json!(["shut-orders.*"]), json!(["public-unused", "*-Order details.*"])] {
        let weak = project(&settings, &select);
        let failed = weak.run(&["weak"]).exits(77).stderr;
        let doctor = weak.chorus(&["doctor", "weak"]).env("DATESTAMP", "2026-01-31").go().exits(78);
        assert!(doctor.text().contains("FAULT tap-weak: cannot read anything"), "{doctor:?}");
        grant(&source, &failed, "hint: run as their owner: ");
        weak.run(&["weak"]).success();
    }
    gone(&source, "unread_all");
}

#[test]
fn by_hand_the_tap_tells_of_what_its_settings_name() {
    let source = source("unread_by_hand");
    let run = |more: Value| {
        let settings = settings(&source, "unread_by_hand", &more);
        from_database(&source, &settings).args(["--discover"]).go()
    };
    let all = run(json!({})).success();
    let hidden = "tables left out because the user may not read them (2): public.Order details";
    assert!(all.stderr.contains(hidden), "{}", all.stderr);
    assert!(!all.text().contains("unused") && !all.stderr.contains("shut"), "{}", all.stderr);
    let one = run(json!({ "tables": "public.orders" })).success();
    assert!(!one.stderr.contains("NOT-READABLE"), "{}", one.stderr);
    grant(&source, &run(json!({ "tables": "public.pa*" })).stderr, "; run as its owner: ");
    let parts = run(json!({ "tables": "public.pa*" })).success();
    assert!(!parts.stderr.contains("NOT-READABLE"), "{}", parts.stderr);
    // A pattern, a schema that is closed, and a user without any right.
    for more in [json!({ "tables": "shut.*" }), json!({ "filter_schemas": ["shut"] })] {
        let failed = run(more.clone()).exits(77).stderr;
        grant(&source, &failed, "hint: run as its owner: ");
        run(more).success();
        source.psql(&format!(
            "REVOKE ALL ON SCHEMA shut FROM {}",
            QUOTED.replace("Un", "unread_by_hand")
        ));
    }
    let role = QUOTED.replace("Un", "unread_by_hand");
    source.psql(&format!("DROP OWNED BY {role}"));
    let failed = run(json!({})).exits(77).stderr;
    assert!(failed.contains("cannot find a table that the user may read"), "{failed}");
    grant(&source, &failed, "is to read, as their owner: ");
    run(json!({})).success();
    gone(&source, "unread_by_hand");
    let empty = database("unread_empty");
    from_database(&empty, &json!({})).args(["--discover"]).go().exits(66);
}

#[test]
fn a_catalog_of_another_user_is_refused_with_sql_that_helps() {
    let source = source("unread_catalog");
    let all = from_database(&source, &json!({})).args(["--discover"]).go().success().text();
    let all: Value = serde_json::from_str(&all).unwrap();
    for table in ["public-parts", "public-unused", "shut-orders"] {
        let mut one = all.clone();
        let streams = one["streams"].as_array_mut().unwrap();
        streams.retain(|stream| stream["tap_stream_id"] == table);
        let settings = settings(&source, "unread_catalog", &json!({}));
        let run = || from_database(&source, &settings).json("--catalog", &one).go();
        let failed = run().exits(77).stderr;
        let (sql, _) = failed.split_once("; or run discovery").unwrap_or((failed.as_str(), ""));
        grant(&source, sql, "hint: run as its owner: ");
        run().success();
    }
    gone(&source, "unread_catalog");
}
