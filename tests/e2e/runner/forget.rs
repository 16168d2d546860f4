//! `chorus forget`: the rows of a person go from days, rejects, logs and tables, and no others.

use std::fs;

use serde_json::{Value, json};
use walkdir::WalkDir;

use super::loads;
use support::cluster::database;
use support::lake;
use support::project::{DAY, Project};
use support::run::file;

const OTHER: &str = "2026-01-30";
const PERSON: &str = "zebulon.quist@example.net";

/// Puts rows of two people into a day, one of them twice.
fn put(project: &Project, day: &str) {
    let rows = format!("id,v\n1,{PERSON}\n2,\"yo\n\"\"lan\"\"da\"\n3,{PERSON}\n4,\n");
    file(&project.root, &format!("in/{day}.csv"), rows);
}

/// Returns the files of the project that hold the person, beside the source itself.
fn holding(project: &Project) -> Vec<String> {
    let files = WalkDir::new(&project.root).into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file());
    let holds = |path: &std::path::Path| {
        let text = fs::read(path).unwrap();
        text.windows(PERSON.len()).any(|part| part == PERSON.as_bytes())
    };
    let held = files.filter(|entry| !entry.path().starts_with(project.root.join("in")));
    held.filter(|entry| holds(entry.path())).map(|one| one.path().display().to_string()).collect()
}

#[test]
fn the_rows_of_a_person_go_from_all_places_and_no_others() {
    let database = database("forget");
    let project = loads::daily(&loads::settings(&database, "upsert"));
    for day in [OTHER, DAY] {
        put(&project, day);
        project.chorus(&["run", "elt", "--datestamp", day]).go().success();
    }
    let rejects = format!(
        "{{\"stream\":\"t\",\"record\":{{\"id\":9,\"v\":\"{PERSON}\"}}}}\n\
         {{\"stream\":\"t\",\"record\":{{\"id\":8,\"v\":\"x\"}}}}\n"
    );
    file(&project.root, "rejects.jsonl", rejects);
    let runs = project.root.join(".chorus/runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    fs::write(run.join("9.log"), format!("key {PERSON} is there\n")).unwrap();

    let sums = lake::sums(&project.lake());
    let forget = |more: &[&str]| {
        let args = ["forget", "--stream", "t", "--key", "v"];
        let run = project.chorus(&args).args(more).env("SOURCE", "csv");
        run.input(format!("{PERSON}\n")).go()
    };
    let shown = forget(&[]).success();
    let text = shown.text();
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(
        text.contains("(to run, 2 rows): DELETE FROM \"public\".\"t\" WHERE \"v\" = '***'"),
        "{text}"
    );
    assert!(!text.contains(PERSON), "{text}");
    let kept = forget(&["--keep-targets"]).success().text();
    assert!(kept.contains(&format!("WHERE \"v\" = '{PERSON}'")), "{kept}");
    assert!(text.contains("9.log: 1 lines would be masked"), "{text}");
    assert!(!shown.stderr.contains(PERSON), "{}", shown.stderr);
    assert_eq!(lake::sums(&project.lake()), sums);
    assert_eq!(holding(&project).len(), 4);

    let done = forget(&["--apply", "--format", "json"]).success();
    let report: Value = serde_json::from_str(&done.text()).unwrap();
    let found: Vec<(&Value, &Value)> = report["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| (&day["rows"], &day["found"]))
        .collect();
    assert_eq!(found, [(&json!(4), &json!(2)), (&json!(4), &json!(2))], "{report}");
    assert_eq!(report["statements"][0]["done"], true, "{report}");
    assert_eq!(report["statements"][0]["rows"], 2, "{report}");
    assert!(!report["unreached"].as_array().unwrap().is_empty());
    assert_eq!(holding(&project), [""; 0]);
    lake::check(&project.lake());
    for day in [OTHER, DAY] {
        let text = lake::data(&lake::partition(&project.lake(), "csv", day, "t"));
        assert_eq!(text, "id,v\n2,\"yo\n\"\"lan\"\"da\"\n4,\n");
    }
    let left = database.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM t");
    assert_eq!(left, "2,4");
    let rejects = fs::read_to_string(project.root.join("rejects.jsonl")).unwrap();
    assert_eq!(rejects.lines().count(), 1, "{rejects}");
    project.left_nothing();
    // Again: there is nothing.
    let sums = lake::sums(&project.lake());
    forget(&["--apply"]).success();
    assert_eq!(lake::sums(&project.lake()), sums);
    // The day is loaded again, as it changed, and brings nobody back.
    project.chorus(&["run", "load", "--datestamp", DAY]).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM t"), "2");
}

#[test]
fn rows_are_found_by_what_a_contract_made_of_the_value() {
    let project = Project::with(
        "  mappers:\n  - name: map-streams\n    executable: map-streams\n    mappings:\n\
         \x20   - {name: guard, config: {contracts: [c.odcs.yaml], protect_key: \
         n0t-a-real-key-0123456789-abcdefghij}}\n",
        "",
        "- {name: held, tasks: [tap-csv guard target-csv]}\n",
    );
    file(&project.root, "in/a.csv", "id,name\n17,a\n18,b\n");
    let contract = |protect: &str| {
        format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\n\
             status: active\nschema:\n- name: a\n  properties:\n  - name: id\n    primaryKey: \
             true\n    customProperties: [{{property: protect, value: {protect}}}]\n  - {{name: \
             name}}\n"
        )
    };
    file(&project.root, "c.odcs.yaml", contract("token"));
    project.run(&["held"]).success();
    let forget = |key: &str| {
        let args = ["forget", "held", "--stream", "a", "--apply", "--key", key];
        project.chorus(&args).go()
    };
    assert!(forget("id=17").success().text().contains("      1        2"));
    let left = lake::data(&project.partition("csv", "a"));
    assert!(left.ends_with(",b\n") && left.lines().count() == 2, "{left}");
    file(&project.root, "c.odcs.yaml", contract("mask"));
    let lost = forget("id=18").success().text();
    assert!(lost.contains("protected there by mask"), "{lost}");
    // A column that is not there, and a stream.
    let none = forget("NAME=b");
    assert!(none.stderr.contains("did you mean `name`?"), "{}", none.stderr);
    none.exits(66);
    project.chorus(&["forget", "--stream", "zz", "--key", "id=1"]).go().exits(66);
    project.chorus(&["forget", "--stream", "a", "--key", "id="]).go().exits(64);
}
