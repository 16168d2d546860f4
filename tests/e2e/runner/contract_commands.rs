//! `chorus contract` and `chorus pii`: contracts are written, held against data, and compared.

use std::fs;

use serde_json::Value;

use support::lake;
use support::project::{DAY, Project};
use support::run::{Outcome, file};

/// Values of people, which no output may have.
const PEOPLE: &str = "id,mail,iban,note,born\n\
                      1,zebulon.quist@example.net,DE89370400440532013000,a,1931-07-29\n\
                      2,yolanda.quist@example.net,GB82WEST12345698765432,b,1932-08-30\n";
const SECRETS: [&str; 4] = ["zebulon", "yolanda", "DE8937", "1931-"];

fn contract(properties: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\nstatus: active\n\
         schema:\n- name: a\n  properties:\n{properties}"
    )
}

fn found(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.text()).unwrap()
}

#[test]
fn a_contract_is_written_once_and_kept_by_the_data_it_was_made_of() {
    let project = Project::new("", &[]);
    let init = |words: &[&str]| project.chorus(&["contract", "init"]).args(words).go();
    assert_eq!(
        init(&["both"]).success().text(),
        "wrote contracts/tap-csv.odcs.yaml, streams: 1\n\
         wrote contracts/tap-csv--two.odcs.yaml, streams: 1\n"
    );
    let path = project.root.join("contracts/tap-csv.odcs.yaml");
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains("name: id\n    logicalType: integer\n    primaryKey: true"));
    let refused = init(&["tap-csv"]).exits(78);
    assert!(refused.stderr.contains("cannot overwrite a contract"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), before);

    let check = |more: &[&str]| project.chorus(&["contract", "check"]).args(more).go();
    check(&["both"]).success();
    check(&["tap-csv"]).success();
    project.published_nothing();
    project.run(&["both"]).success();
    let sums = lake::sums(&project.lake());
    let checked = check(&["both", "--datestamp", DAY, "--format", "json"]).success();
    let checked = found(&checked);
    assert_eq!(checked[0]["found"]["rows"]["a"], 2, "{checked}");
    assert_eq!(checked[1]["kept"], true, "{checked}");
    check(&["both", "--datestamp", "2026-01-30"]).exits(66);
    assert_eq!(lake::sums(&project.lake()), sums);
    project.left_nothing();
}

#[test]
fn what_breaks_a_contract_is_printed_and_nothing_is_published() {
    let project = Project::new("", &[]);
    file(&project.root, "in/a.csv", PEOPLE);
    let text = contract(
        "  - {name: id, logicalType: integer, logicalTypeOptions: {maximum: 1}}\n\
         \x20 - {name: mail, logicalType: string, logicalTypeOptions: {maxLength: 3}}\n\
         \x20 - {name: iban}\n  - {name: note}\n  - {name: born}\n",
    );
    let path = file(&project.root, "c.odcs.yaml", &text);
    let path = path.to_str().unwrap();
    let check = |more: &[&str]| {
        project.chorus(&["contract", "check", "tap-csv", "target-csv"]).args(more).go()
    };
    let broken = check(&["--contract", path]).exits(65);
    assert!(broken.text().contains("a       mail"), "{}", broken.text());
    let all = broken.text() + &broken.stderr;
    assert!(SECRETS.iter().all(|secret| !all.contains(secret)), "{all}");
    project.published_nothing();
    project.chorus(&["run", "tap-csv", "target-csv", "--datestamp", DAY]).go().success();
    let broken = check(&["--contract", path, "--datestamp", DAY, "--format", "json"]).exits(65);
    let broken = &found(&broken)[0]["found"];
    assert_eq!(broken["breaches"][0]["lines"], serde_json::json!([4]), "{broken}");

    // A rule for all rows ends the check.
    let rule = contract("  - {name: id}\n  quality: [{metric: rowCount, mustBe: 7}]\n");
    fs::write(path, rule).unwrap();
    let broken = check(&["--contract", path]).exits(65);
    let text = broken.text();
    assert!(text.contains("rule: rowCount of a") && text.contains("must be: 7"), "{text}");
    // What cannot be used is no breach.
    fs::write(path, "a: 1\n").unwrap();
    check(&["--contract", path]).exits(78);
}

#[test]
fn what_may_be_personal_is_found_and_its_contract_protects_it() {
    let project = Project::with(
        "  mappers:\n  - name: map-streams\n    executable: map-streams\n    mappings:\n\
         \x20   - {name: guard, config: {contracts: [contracts/tap-csv.odcs.yaml], protect_key: \
         n0t-a-real-key-0123456789-abcdefghij}}\n",
        "",
        "- {name: held, tasks: [tap-csv guard target-csv]}\n",
    );
    file(&project.root, "in/a.csv", PEOPLE);
    let pii = |more: &[&str]| project.chorus(&["pii", "tap-csv"]).args(more).go().success();
    let looked = pii(&["--format", "json"]);
    let all = looked.text() + &looked.stderr;
    let found = found(&looked);
    let columns: Vec<&str> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["column"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["mail", "iban", "born"], "{found}");
    let path = project.root.join("contracts/tap-csv.odcs.yaml");
    let text = fs::read_to_string(&path).unwrap();
    for text in [&all, &text] {
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    project.left_nothing();
    // A second search keeps what is there, and names what has no class.
    fs::write(&path, text.replacen("    classification: confidential\n", "", 1)).unwrap();
    let again = pii(&[]).text();
    assert!(again.contains("was not changed\n"), "{again}");
    assert!(again.contains("without a classification in it: a.mail\n"), "{again}");
    fs::write(&path, &text).unwrap();

    project.run(&["held"]).success();
    let data = lake::data(&project.partition("csv", "a"));
    assert!(SECRETS.iter().all(|one| !data.contains(one)), "{data}");
    // The day holds protected values, which are not judged again.
    project.chorus(&["contract", "check", "held", "--datestamp", DAY]).go().success();
    project.chorus(&["contract", "check", "held"]).go().success();
}

#[test]
fn a_check_that_judged_no_row_is_no_success() {
    let project = Project::with(
        "  mappers:\n  - name: map-streams\n    executable: map-streams\n    mappings:\n\
         \x20   - {name: renames, config: {stream_maps: {a: {__alias__: people}}}}\n\
         \x20   - {name: hold, config: {contracts: [contracts/tap-csv.odcs.yaml]}}\n",
        "",
        "- {name: renamed, tasks: [tap-csv renames hold target-csv]}\n",
    );
    let text = contract("  - {name: id}\n  - {name: name}\n");
    let path = file(&project.root, "contracts/tap-csv.odcs.yaml", &text);
    let check = |more: &[&str]| project.chorus(&["contract", "check"]).args(more).go();
    let unjudged = check(&["renamed"]).exits(65);
    let out = unjudged.text();
    assert!(out.contains("people: 2 rows were not judged: no contract lists it\n"), "{out}");
    assert!(out.contains("tap-csv.odcs.yaml: no row was judged\n"), "{out}");
    assert!(!out.contains("keep"), "{out}");
    assert!(unjudged.stderr.contains("no row was held to the contract"), "{}", unjudged.stderr);
    let told = found(&check(&["renamed", "--format", "json"]).exits(65));
    assert_eq!(told[0]["kept"], false, "{told}");
    assert_eq!(told[0]["found"]["unjudged"][0]["lists"][0], "a", "{told}");

    // A source without rows proves nothing.
    fs::write(&path, text.replace("name: a\n", "name: people\n")).unwrap();
    check(&["renamed"]).success();
    file(&project.root, "in/a.csv", "id,name\n");
    check(&["renamed"]).exits(65);
}

#[test]
fn contracts_that_are_missing_are_written_beside_those_that_are_there() {
    let project = Project::new("", &[]);
    let chorus = |words: &[&str]| project.chorus(&["contract"]).args(words).go();
    chorus(&["init", "tap-csv"]).success();
    let lacking = chorus(&["check", "both"]).exits(66).stderr;
    assert!(lacking.contains("hint: write one: chorus contract init tap-csv--two"), "{lacking}");
    assert_eq!(
        chorus(&["init", "both"]).success().text(),
        "contracts/tap-csv.odcs.yaml is there, and was not changed\n\
         wrote contracts/tap-csv--two.odcs.yaml, streams: 1\n"
    );
    chorus(&["check", "both"]).success();
    chorus(&["init", "both"]).exits(78);
}
