//! Sources of a config.yaml that have no rows or no columns, and runs in which nothing has changed.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::web::{Reply, Web};

use super::files::{config, run};

/// An API whose answer a test sets.
fn api() -> (Web, Arc<Mutex<Value>>) {
    let answer = Arc::new(Mutex::new(json!([])));
    let shared = Arc::clone(&answer);
    (Web::start(move |_| Reply::json(&shared.lock().unwrap())), answer)
}

#[test]
fn an_answer_without_records_is_an_ordinary_run() {
    let (folder, database, (web, answer)) = (folder(), database("no_records"), api());
    let root = folder.path();
    let source = format!("- {{type: api, url: \"{}\"}}\n", web.url);
    let columns = || {
        database.psql(
            "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = to_regclass('sales') AND attnum > 0 AND NOT attisdropped",
        )
    };
    config(root, &source, &database, "output_csv_path: out/all.csv\n");
    run(root).go().success();
    assert_eq!(columns(), "source,_row_hash");
    assert_eq!(fs::read_to_string(root.join("out/all.csv")).unwrap(), "source\n");
    *answer.lock().unwrap() = json!([{ "id": 1, "name": "ann" }]);
    run(root).go().success();
    let rows = || database.psql("SELECT id, name, source FROM sales ORDER BY 1");
    assert_eq!(rows(), "1|ann|api");
    // Later on there is nothing again: the rows stay.
    *answer.lock().unwrap() = json!([]);
    run(root).go().success();
    assert_eq!(rows(), "1|ann|api");
    // With a schema that must be met, the table gets its columns.
    database.psql("DROP TABLE sales");
    let strict = "schema: {columns: {id: int64, paid: bool}}\nstrict_mode: true\n";
    config(root, &source, &database, strict);
    run(root).go().success();
    assert_eq!(columns(), "source,id,paid,_row_hash");
    *answer.lock().unwrap() = json!([{ "id": 2 }]);
    let done = run(root).go().exits(65);
    assert!(done.stderr.contains("columns: paid"), "{}", done.stderr);
    *answer.lock().unwrap() = json!([{ "id": 2, "paid": true }]);
    run(root).go().success();
    assert_eq!(database.psql("SELECT id, paid FROM sales"), "2|t");
}

#[test]
fn a_table_of_each_source_takes_one_without_records() {
    let (folder, database, (web, _)) = (folder(), database("no_records_of_one"), api());
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    fs::write(root.join("data/a.csv"), "id\n1\n").unwrap();
    let sources = format!("- {{type: api, url: \"{}\"}}\n- {{type: local, path: data}}\n", web.url);
    config(root, &sources, &database, "combine: false\n");
    run(root).go().success();
    assert_eq!(database.psql("SELECT id FROM sales_local"), "1");
    assert_eq!(database.psql("SELECT count(*) FROM sales_api"), "0");
}

#[test]
fn a_file_that_was_removed_is_written_again() {
    let (folder, database) = (folder(), database("file_again"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    fs::write(root.join("data/a.csv"), "id\n1\n2\n").unwrap();
    config(
        root,
        "- {type: local, path: data}\n",
        &database,
        "output_csv_path: \"${OUT}/all.csv\"\n",
    );
    let go = || run(root).env("OUT", "out").go().success();
    go();
    let output = root.join("out/all.csv");
    let before = fs::read(&output).unwrap();
    assert!(go().text().starts_with("nothing to do"));
    fs::remove_file(&output).unwrap();
    let again = go();
    assert!(!again.text().contains("nothing to do"), "{}", again.text());
    assert_eq!(fs::read(&output).unwrap(), before);
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "2");
    assert!(go().text().starts_with("nothing to do"));
    // What was read may be gone, too: it is read again.
    fs::remove_dir_all(root.join(".chorus/lake")).unwrap();
    go();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "2");
}
