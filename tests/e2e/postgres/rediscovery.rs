//! What a discovery prints reads what a run without a catalog reads.

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, Run, file, ours};
use support::sshd::Sshd;

fn rows(outcome: &Outcome) -> Vec<Value> {
    let messages = outcome.messages().into_iter();
    let rows = messages.filter(|message| message["type"] == "RECORD");
    rows.map(|mut row| json!([row["stream"].take(), row["record"].take()])).collect()
}

#[track_caller]
fn check(tap: &dyn Fn() -> Run) {
    let alone = rows(&tap().go().success());
    assert!(!alone.is_empty());
    let catalog = tap().args(["--discover"]).go().success().text();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    let with = tap().json("--catalog", &catalog).go().success();
    assert_eq!(rows(&with), alone, "{catalog}");
    let mut none = catalog;
    for stream in none["streams"].as_array_mut().unwrap() {
        stream["metadata"] = json!([{ "breadcrumb": [], "metadata": { "selected": false } }]);
    }
    let outcome = tap().json("--catalog", &none).go().success();
    assert!(rows(&outcome).is_empty());
    assert!(outcome.stderr.contains("nothing is read"), "{}", outcome.stderr);
}

#[test]
fn files_and_days_are_read_by_their_own_catalog() {
    let scratch = folder();
    let with_key = file(scratch.path(), "a.csv", "id,n\n1,x\n");
    let without = file(scratch.path(), "b.json", "[{\"n\": 1}]");
    let files = json!([
        { "entity": "a", "path": with_key, "keys": ["id"] },
        { "entity": "b", "path": without },
    ]);
    check(&|| ours("tap-csv").config(&json!({ "files": files })));
    to_lake(scratch.path(), "s", DAY).input(Lines::whole(&[(1, "a")]).0).go().success();
    check(&|| from_lake(scratch.path(), DAY));
    let server = Sshd::start();
    server.put("/in/a.csv", "id,n\n1,x\n");
    let tables = json!([{ "table_name": "a", "remote_path": "/in", "key_properties": ["id"] },
                        { "table_name": "b", "remote_path": "/in" }]);
    check(&|| ours("tap-sftp").config(&server.settings(&tables)));
}

#[test]
fn tables_are_read_by_their_own_catalog() {
    let source = database("rediscovery");
    source.psql(
        "create table a (id int primary key, n text); insert into a values (1, 'x');
                create table b (n int); insert into b values (2); create view c as select * from b",
    );
    check(&|| ours("tap-postgres").config(&source.settings()));
}
