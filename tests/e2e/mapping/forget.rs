//! `chorus forget`: what lies between the value that is named and the places where it stands.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::lake;
use support::project::{DAY, Project};
use support::run::{Outcome, file};

const KEY: &str = "n0t-a-real-key-0123456789-abcdefghij";
const OTHER_KEY: &str = "an0ther-key-0123456789-abcdefghijklmn";

/// A project whose tap writes one stream, `people`, into days and into a database.
fn people(database: &Database, of_target: &Value) -> Project {
    let mut settings = database.settings();
    settings["default_target_schema"] = "public".into();
    for (name, value) in of_target.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let taps = "  - {name: tap-people, executable: ./tap-people, capabilities: [discover]}\n";
    let mappers = format!(
        "  mappers:\n  - name: map-streams\n    executable: map-streams\n    mappings:\n    \
         - {{name: guard, config: {{contracts: [c.odcs.yaml], protect_key: {KEY}}}}}\n    \
         - {{name: renames, config: {{stream_maps: {{people: {{__alias__: folk, email: mail, \
         mail: null}}}}}}}}\n"
    );
    let loaders =
        format!("  - {{name: target-postgres, executable: target-postgres, config: {settings}}}\n");
    let jobs = "- {name: days, tasks: [tap-people target-csv]}\n\
                - {name: held, tasks: [tap-people guard target-csv]}\n\
                - {name: load, tasks: [tap-people target-postgres]}\n\
                - {name: mapped, tasks: [tap-people renames target-postgres]}\n";
    let project = Project::with(&format!("{taps}{mappers}"), &loaders, jobs);
    project.script("tap-people", "cat \"$(dirname \"$0\")/people.jsonl\"\n");
    let column = |format: &str| json!({ "type": ["string", "null"], "format": format });
    let schema = json!({ "properties": {
        "id": { "type": "integer" },
        "mail": { "type": ["string", "null"] },
        "amount": { "type": ["number", "null"] },
        "seen": column("date-time"),
        "born": column("date"),
    }});
    let mut text =
        json!({ "type": "SCHEMA", "stream": "people", "schema": schema, "key_properties": ["id"] })
            .to_string();
    for (id, mail, amount) in [(1, "ann@example.com", 2.5), (2, "bob@example.com", 3.5)] {
        let record = json!({
            "id": id,
            "mail": mail,
            "amount": amount,
            "seen": format!("2026-01-0{id}T00:00:00Z"),
            "born": format!("1990-01-0{id}"),
        });
        let message = json!({ "type": "RECORD", "stream": "people", "record": record });
        text.push('\n');
        text.push_str(&message.to_string());
    }
    file(&project.root, "people.jsonl", text + "\n");
    project
}

fn contract(protected: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\nstatus: active\n\
         schema:\n- name: people\n  properties:\n  - name: {protected}\n    \
         customProperties: [{{property: protect, value: hash}}]\n"
    )
}

fn forget(project: &Project, words: &[&str], key: &str, more: &[&str]) -> Outcome {
    let args = ["forget", "--stream", "people", "--key", key];
    project.chorus(&args).args(words).args(more).go()
}

#[test]
fn a_value_is_read_as_one_of_the_type_of_its_column() {
    let database = database("forget_types");
    let project = people(&database, &json!({}));
    // A contract of another job must not have typed columns compared as texts.
    for key in [
        "id=1.0",
        "id=1e0",
        "amount=2.50",
        "seen=2026-01-01T01:00:00+01:00",
        "born=1990-01-01",
        "mail=ann@example.com",
    ] {
        let (column, _) = key.split_once('=').unwrap();
        file(&project.root, "c.odcs.yaml", contract(column));
        project.run(&["days"]).success();
        project.run(&["load"]).success();
        assert_eq!(database.psql("SELECT count(*) FROM people"), "2");
        let shown = forget(&project, &["days", "load", "held"], key, &[]).success().text();
        assert!(shown.contains("(to run, 1 rows)"), "{key}: {shown}");
        let done = forget(&project, &["days", "load", "held"], key, &["--apply"]).success().text();
        assert!(done.contains("(ran, 1 rows)"), "{key}: {done}");
        assert_eq!(database.psql("SELECT string_agg(id::text, ',') FROM people"), "2", "{key}");
        let left = lake::data(&project.partition("csv", "people"));
        assert!(left.lines().count() == 2 && left.contains("bob@"), "{key}: {left}");
    }
    lake::check(&project.lake());
}

#[test]
fn a_value_that_a_table_cannot_have_leaves_no_person_half_forgotten() {
    let database = database("forget_whole");
    let project = people(&database, &json!({}));
    project.run(&["days"]).success();
    database.psql("CREATE TABLE people (mail text, id bigint); REVOKE ALL ON people FROM PUBLIC");
    database.psql("ALTER TABLE people RENAME COLUMN id TO number");
    let sums = lake::sums(&project.lake());
    let words = ["days", "load"];
    let failed = forget(&project, &words, "id=1", &["--apply"]).exits(69);
    assert!(failed.stderr.contains("nothing was removed"), "{}", failed.stderr);
    assert_eq!(lake::sums(&project.lake()), sums);
    // The days alone.
    forget(&project, &words, "id=1", &["--apply", "--keep-targets"]).exits(69);
    assert!(!lake::data(&project.partition("csv", "people")).contains("ann@"));
}

#[test]
fn tables_behind_mappers_and_maps_of_a_target_are_found() {
    let database = database("forget_mapped");
    let project = people(&database, &json!({}));
    project.run(&["days"]).success();
    project.run(&["mapped"]).success();
    assert_eq!(database.psql("SELECT count(email) FROM folk"), "2");
    let done = forget(&project, &["days", "mapped"], "mail=ann@example.com", &["--apply"]);
    let text = done.success().text();
    assert!(text.contains("DELETE FROM \"public\".\"folk\" WHERE \"email\" = '***'"), "{text}");
    assert_eq!(database.psql("SELECT id FROM folk"), "2");

    let maps = json!({ "stream_maps": { "people": {
        "__alias__": "persons", "address": "mail.lower()", "mail": "__NULL__" } } });
    let inline = people(&database, &maps);
    inline.run(&["days"]).success();
    inline.run(&["load"]).success();
    let done = forget(&inline, &["days", "load"], "mail=bob@example.com", &["--apply"]);
    let text = done.success().text();
    assert!(
        text.contains("DELETE FROM \"public\".\"persons\" WHERE \"address\" = '***'"),
        "{text}"
    );
    assert_eq!(database.psql("SELECT id FROM persons"), "1");
}

#[test]
fn rows_that_a_trigger_keeps_are_told() {
    let database = database("forget_kept");
    let project = people(&database, &json!({}));
    project.run(&["load"]).success();
    database.psql(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER keep BEFORE DELETE ON people FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    project.run(&["days"]).success();
    let kept = forget(&project, &["days", "load"], "id=1", &["--apply"]).exits(69);
    assert!(kept.stderr.contains("rows that are still there: 1"), "{}", kept.stderr);
}

#[test]
fn days_that_were_written_with_another_key_are_named() {
    let database = database("forget_key");
    let project = people(&database, &json!({}));
    for column in ["mail", "amount"] {
        file(&project.root, "c.odcs.yaml", contract(column));
        let write = |key: &str| {
            let path = project.root.join("meltano.yml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace(KEY, key).replace(OTHER_KEY, key)).unwrap();
        };
        project.run(&["held"]).success();
        write(OTHER_KEY);
        let value = if column == "mail" { "mail=ann@example.com" } else { "amount=2.50" };
        let other = forget(&project, &["held"], value, &["--apply"]).success().text();
        assert!(other.contains(&format!("2 values of {column} were protected")), "{other}");
        write(KEY);
        let done = forget(&project, &["held"], value, &["--apply"]).success().text();
        assert!(!done.contains("protected with another key"), "{done}");
        assert_eq!(lake::data(&project.partition("csv", "people")).lines().count(), 2, "{done}");
    }
}

#[test]
fn a_damaged_day_is_named_and_does_not_stop_the_others() {
    let database = database("forget_damaged");
    let project = people(&database, &json!({}));
    let other = "2026-01-30";
    for day in [other, DAY] {
        project.chorus(&["run", "days", "--datestamp", day]).go().success();
    }
    let damaged = lake::partition(&project.lake(), "csv", other, "people");
    fs::write(damaged.join("_manifest.json"), "{").unwrap();
    let done = forget(&project, &["days"], "id=1", &["--apply"]);
    assert!(done.stderr.contains("extracted_at=2026-01-30"), "{}", done.stderr);
    done.exits(65);
    assert!(!lake::data(&project.partition("csv", "people")).contains("ann@"));
}

#[test]
fn a_day_in_the_settings_of_a_run_and_a_renamed_source_are_no_hiding_places() {
    let database = database("forget_source");
    let project = people(&database, &json!({}));
    project.run(&["days"]).success();
    let path = project.root.join("meltano.yml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(", datestamp: '${DATESTAMP}'", "")).unwrap();
    let shown = forget(&project, &["days"], "id=1", &[]).success().text();
    assert!(shown.contains("2026-01-31             1        2"), "{shown}");
    fs::write(&path, text.replace("'${SOURCE}'", "'renamed'")).unwrap();
    file(&project.root, "c.odcs.yaml", contract("mail"));
    let hidden = forget(&project, &[], "id=1", &[]);
    let told = format!("{}{}", hidden.text(), hidden.stderr);
    assert!(told.contains("source=csv: no job writes or reads this source"), "{told}");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_failure_of_its_day_alone() {
    let database = database("forget_read_only");
    let project = people(&database, &json!({}));
    project.run(&["days"]).success();
    // A file in the place of the staging folder, as root may write anywhere.
    let staging = project.lake().join(".staging");
    fs::remove_dir_all(&staging).unwrap();
    fs::write(&staging, "").unwrap();
    let failed = forget(&project, &["days"], "id=1", &["--apply"]);
    assert!(failed.stderr.contains("parts that failed"), "{}", failed.stderr);
    assert!(lake::data(&project.partition("csv", "people")).contains("ann@"));
    fs::remove_file(&staging).unwrap();
    forget(&project, &["days"], "id=1", &["--apply"]).success();
    assert!(!lake::data(&project.partition("csv", "people")).contains("ann@"));
}

#[test]
fn a_day_stays_whole_when_forgetting_is_killed() {
    const ROWS: usize = 40_000;
    let database = database("forget_killed");
    let project = people(&database, &json!({}));
    let path = project.root.join("people.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    for id in 3..=ROWS {
        let mail = format!("person{id}@example.com");
        let message = json!({ "type": "RECORD", "stream": "people",
            "record": { "id": id, "mail": mail } });
        writeln!(text, "{message}").unwrap();
    }
    fs::write(&path, text).unwrap();
    project.run(&["days"]).success();
    let begun = Instant::now();
    forget(&project, &["days"], "id=1", &[]).success();
    let counting = begun.elapsed();
    let rows = || lake::data(&project.partition("csv", "people")).lines().count() - 1;
    let mut left = ROWS;
    for (id, tenths) in [4, 7, 9, 10, 11, 12, 13, 14, 15, 17, 20, 25].into_iter().enumerate() {
        let key = format!("id={}", id + 1);
        let args = ["forget", "--stream", "people", "--key", &key, "days", "--apply"];
        let mut running = project.chorus(&args).start(true);
        std::thread::sleep(counting * tenths / 10);
        running.kill();
        running.wait();
        let now = rows();
        assert!(now == left || now + 1 == left, "{now} of {left} rows after {tenths} tenths");
        left = now;
        lake::check(&project.lake());
    }
    for id in 1..=12 {
        forget(&project, &["days"], &format!("id={id}"), &["--apply"]).success();
    }
    assert_eq!(rows(), ROWS - 12);
    lake::check(&project.lake());
}

#[test]
fn states_that_hold_the_value_are_named_and_empty_cells_are_of_nobody() {
    let database = database("forget_state");
    let project = people(&database, &json!({}));
    let path = project.root.join("people.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let row = |mail: Value| {
        let record = json!({ "id": 9, "mail": mail });
        json!({ "type": "RECORD", "stream": "people", "record": record }).to_string()
    };
    fs::write(&path, format!("{text}{}\n{}\n", row("".into()), row(Value::Null))).unwrap();
    project.run(&["days"]).success();
    let state = json!({ "bookmarks": { "people": {
        "replication_key": "mail", "replication_key_value": "ann@example.com" } } });
    let state = state.to_string();
    project.chorus(&["state", "set", "other", &state, "--force"]).go().success();
    let done = forget(&project, &["days"], "mail=ann@example.com", &["--apply"]).success().text();
    assert!(done.contains("the state other holds the value"), "{done}");
    let left = lake::data(&project.partition("csv", "people"));
    assert_eq!(left.lines().count(), 4, "{left}");
    forget(&project, &["days"], "mail=", &["--apply"]).exits(64);
    project.chorus(&["state", "clear", "other", "--force"]).go().success();
    let again = forget(&project, &["days"], "mail=ann@example.com", &[]).success().text();
    assert!(!again.contains("the state other"), "{again}");
}
