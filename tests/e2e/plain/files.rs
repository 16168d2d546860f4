//! Local files of a config.yaml: loaded once, whoever runs it again; checked, converted.

use std::fs;
use std::path::Path;

use serde_json::Value;

use support::cluster::{Database, database};
use support::folder;
use support::python::MELTANO;
use support::run::{Outcome, Run, file, ours};

/// Returns the lines of `target` for a database.
pub fn target(database: &Database) -> String {
    let of = |name: &str| database.settings()[name].to_string();
    format!(
        "target:\n  type: postgres\n  host: {}\n  port: {}\n  user: postgres\n  database: {}\n  \
         table: sales\n",
        of("host"),
        of("port"),
        of("database")
    )
}

/// A folder with a config.yaml.
pub fn config(folder: &Path, sources: &str, database: &Database, more: &str) {
    file(folder, "config.yaml", format!("sources:\n{sources}{}{more}", target(database)));
}

/// A run of the config.yaml of a folder.
pub fn run(folder: &Path) -> Run {
    ours("chorus").args(["run"]).args([folder.join("config.yaml")])
}

const LOCAL: &str = "- type: local\n  path: data\n";

fn files(folder: &Path) {
    fs::create_dir_all(folder.join("data/more")).unwrap();
    file(folder, "data/a.csv", "ID,Amount \n1,1.5\n2,2\n2,2\n");
    file(folder, "data/more/b.json", r#"[{"id": 3, "name": "x"}, {"id": 4, "name": null}]"#);
    file(folder, "data/c.txt", "id|name|amount\n5|y|7\n1||1.5\n");
    file(folder, "data/d.jsonl", "{\"id\": 6}\n");
    file(folder, "data/empty.csv", "");
    file(folder, "data/header.csv", "id,amount\n");
}

const ROWS: &str = "SELECT id, amount, name, source FROM sales ORDER BY 1, 2";

#[test]
fn all_files_become_one_table_and_a_second_run_adds_nothing() {
    let (folder, database) = (folder(), database("plain"));
    let root = folder.path();
    files(root);
    config(root, LOCAL, &database, "output_csv_path: out/combined.csv\n");
    let ran = run(root).go().success();
    // The row `1, 1.5` stands in two files, and is one row; `2, 2` stands twice in one file.
    let rows = database.psql(ROWS);
    let lines: Vec<&str> = rows.lines().collect();
    let expected = [
        "1|1.5||local/c.txt",
        "2|2||local/a.csv",
        "2|2||local/a.csv",
        "3||x|local/more/b.json",
        "4|||local/more/b.json",
        "5|7|y|local/c.txt",
        "6|||local/d.jsonl",
    ];
    assert_eq!(lines, expected, "{}", ran.stderr);
    assert_eq!(database.psql("SELECT count(DISTINCT _row_hash) FROM sales"), "7");
    let combined = fs::read_to_string(root.join("out/combined.csv")).unwrap();
    assert_eq!(combined.lines().count(), 1 + 8, "{combined}");
    assert!(combined.starts_with("id,amount,name,source\n"), "{combined}");
    let modified = || fs::metadata(root.join("out/combined.csv")).unwrap().modified().unwrap();
    let before = (database.psql("SELECT sum(xmin::text::bigint) FROM sales"), modified());
    let again = run(root).go().success();
    assert_eq!(again.text(), "nothing to do: no source has new rows\n", "{}", again.stderr);
    assert_eq!((database.psql("SELECT sum(xmin::text::bigint) FROM sales"), modified()), before);
    // Another folder, as on another machine, adds nothing either.
    let other = support::folder();
    files(other.path());
    config(other.path(), LOCAL, &database, "");
    run(other.path()).go().success();
    assert_eq!(database.psql(ROWS).lines().count(), 7);
    // A file that has grown, with a column more.
    file(root, "data/a.csv", "id,amount,note\n1,1.5,\n2,2,\n2,2,\n9,9,new\n");
    run(root).go().success();
    assert_eq!(database.psql(ROWS).lines().count(), 8);
    assert_eq!(database.psql("SELECT note FROM sales WHERE id = 9"), "new");
    // The rows of a file that is gone leave the CSV file, and stay in the table.
    fs::remove_file(root.join("data/c.txt")).unwrap();
    run(root).go().success();
    let combined = fs::read_to_string(root.join("out/combined.csv")).unwrap();
    assert!(!combined.contains("c.txt") && combined.contains("a.csv"), "{combined}");
    assert_eq!(database.psql(ROWS).lines().count(), 8);
}

#[test]
fn a_column_that_becomes_text_later_adds_no_row() {
    let (folder, database) = (folder(), database("later"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    let rows = "id,amount,at\n1,1.50,2026-01-31T06:00:00.500Z\n2,2,2026-02-01T07:00:00+01:00\n";
    file(root, "data/a.csv", rows);
    config(root, LOCAL, &database, "");
    run(root).go().success();
    let kinds = "SELECT pg_typeof(amount), pg_typeof(at) FROM sales LIMIT 1";
    assert_eq!(database.psql(kinds), "numeric|timestamp with time zone");
    // One file makes the columns texts, then the first one itself does.
    file(root, "data/b.csv", "id,amount,at\n3,unknown,never\n");
    run(root).go().success();
    assert_eq!(database.psql(kinds), "text|text");
    file(root, "data/a.csv", format!("{rows}4,none,soon\n"));
    run(root).go().success();
    let expected = "1|1.50|2026-01-31T06:00:00.500Z\n2|2|2026-02-01T07:00:00+01:00\n\
                    3|unknown|never\n4|none|soon";
    assert_eq!(database.psql("SELECT id, amount, at FROM sales ORDER BY 1"), expected);
}

#[test]
fn a_source_that_failed_is_in_the_way_of_nothing_once_it_is_removed() {
    let (folder, database) = (folder(), database("failed"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id\n1\n");
    let api = "- {type: api, url: \"ftp://example.com\"}\n";
    config(root, &format!("{LOCAL}{api}"), &database, "");
    run(root).go().exits(78);
    // The rows of the other source wait for it.
    let there = "SELECT count(*) FROM pg_tables WHERE tablename = 'sales'";
    assert_eq!(database.psql(there), "0");
    config(root, LOCAL, &database, "");
    run(root).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "1");
}

#[test]
fn strict_mode_fails_sets_aside_or_nulls_what_does_not_fit() {
    let data = "id,amount\n1,1.5\n2,many\n";
    let schema = "schema:\n  columns: {id: int64, amount: float64}\n";
    for (more, code, rows) in [
        ("strict_mode: true\n", 65, ""),
        ("strict_mode: true\non_violation: reject\n", 0, "1|1.5"),
        ("strict_mode: true\non_violation: null\n", 0, "1|1.5\n2|"),
        ("strict_mode: false\n", 0, "1|1.5\n2|many"),
    ] {
        let (folder, database) = (folder(), database("strict"));
        let root = folder.path();
        fs::create_dir(root.join("data")).unwrap();
        file(root, "data/a.csv", data);
        config(root, LOCAL, &database, &format!("{schema}{more}"));
        let ran = run(root).go().exits(code);
        if code == 0 {
            let found = database.psql("SELECT id, amount FROM sales ORDER BY 1");
            assert_eq!(found, rows, "{more}: {}", ran.stderr);
        }
        let is_told = ran.stderr.contains("W-CONTRACT-DIFFERS");
        assert_eq!(is_told, more.contains("false"), "{more}: {}", ran.stderr);
        assert_eq!(root.join("rejects-sales.jsonl").exists(), more.contains("reject"), "{more}");
    }
}

#[test]
fn strict_mode_wants_exactly_the_columns() {
    let (folder, database) = (folder(), database("exact"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,extra\n1,2\n");
    let schema = "schema:\n  columns: {id: int64}\nstrict_mode: true\n";
    config(root, LOCAL, &database, schema);
    let ran = run(root).go().exits(65);
    assert!(ran.stderr.contains("extra"), "{}", ran.stderr);
    // Columns that only one of the sources has are those of the stream.
    file(root, "data/a.csv", "id,extra\n1,2\n");
    file(root, "data/b.csv", "id,other\n1,2\n");
    let schema = "schema:\n  columns: {id: int64, extra: Int64, other: Int64}\nstrict_mode: true\n";
    config(root, LOCAL, &database, schema);
    run(root).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "2");
}

#[test]
fn types_widen_and_sources_can_stay_apart() {
    let (folder, database) = (folder(), database("apart"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,x\n1,1\n");
    file(root, "data/b.csv", "id,x\n2,words\n");
    config(root, LOCAL, &database, "");
    let ran = run(root).args(["--verbose"]).go().success();
    assert_eq!(database.psql("SELECT x FROM sales ORDER BY id"), "1\nwords");
    assert!(ran.stderr.contains("column x becomes text"), "{}", ran.stderr);
    let two = "- {type: local, path: data/a.csv}\n- {type: local, path: data/b.csv}\n";
    config(root, two, &database, "combine: false\n");
    run(root).go().success();
    assert_eq!(database.psql("SELECT x FROM sales_local"), "1");
    assert_eq!(database.psql("SELECT x FROM sales_local_2"), "words");
}

#[test]
fn plain_values_of_several_kinds_become_text() {
    let (folder, database) = (folder(), database("kinds"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,x\n1,abc\n");
    let json = r#"[{"id": 2, "x": 5}, {"id": 3, "x": "5"}, {"id": 4, "x": true}]"#;
    file(root, "data/b.json", json);
    config(root, LOCAL, &database, "");
    run(root).go().success();
    let rows = database.psql("SELECT id, x FROM sales ORDER BY id");
    assert_eq!(rows, "1|abc\n2|5\n3|5\n4|true");
}

#[test]
fn files_without_a_header_have_types_of_their_own() {
    let (folder, database) = (folder(), database("headless"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "written by hand\n007,x,1\n008,y,2\n");
    let more = "  header: false\n  skip_rows: 1\n  types: {c1: str, c3: float64}\n";
    config(root, &format!("{LOCAL}{more}"), &database, "");
    run(root).go().success();
    let rows = database.psql("SELECT c1, c2, pg_typeof(c3) FROM sales ORDER BY 1");
    assert_eq!(rows, "007|x|numeric\n008|y|numeric");
}

fn validate(folder: &Path) -> Outcome {
    ours("chorus").args(["validate"]).args([folder.join("config.yaml")]).go()
}

#[test]
fn a_file_becomes_a_project_that_chorus_and_meltano_read() {
    let (folder, database) = (folder(), database("converted"));
    let root = folder.path();
    files(root);
    let schema = "schema: {columns: {id: int64}}\n";
    let text =
        format!("sources:\n{LOCAL}{}  password: literal-secret\n{schema}", target(&database));
    file(root, "config.yaml", text);
    let checked = validate(root).success();
    assert!(checked.text().contains("password: \"***\""), "{}", checked.text());
    assert_eq!(checked.stderr.matches("W-SECRET-LITERAL").count(), 1, "{}", checked.stderr);
    let into = root.join("project");
    let convert = || {
        ours("chorus")
            .args(["convert"])
            .args([root.join("config.yaml")])
            .args(["--into"])
            .args([&into])
    };
    let made = convert().go().success();
    assert!(!(made.text() + &made.stderr).contains("literal-secret"), "{}", made.text());
    let meltano = fs::read_to_string(into.join("meltano.yml")).unwrap();
    assert!(!meltano.contains("literal-secret"), "{meltano}");
    let secrets = fs::read_to_string(into.join(".env")).unwrap();
    assert!(secrets.contains("SALES_TARGET_PASSWORD='literal-secret'"), "{secrets}");
    assert!(into.join("contracts/sales.odcs.yaml").is_file());
    // Where it lies is not in it.
    assert!(meltano.contains("path: ../data\n"), "{meltano}");
    assert!(!meltano.contains("/./") && !meltano.contains(root.to_str().unwrap()), "{meltano}");
    convert().go().exits(64);
    let project = |words: &[&str]| ours("chorus").args(["--project"]).args([&into]).args(words);
    project(&["run", "sales", "--datestamp", "2026-01-31"]).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "7");
    // The file itself then adds nothing.
    run(root).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "7");
    let printed = MELTANO
        .program("meltano")
        .args(["--cwd"])
        .args([&into])
        .args(["config", "print", "target-postgres--sales"])
        .go()
        .success();
    let settings: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(settings["load_method"], "upsert");
    assert_eq!(settings["default_target_schema"], "public");
}

#[test]
fn a_project_that_was_made_can_be_moved_with_its_files() {
    let scratch = folder();
    let old = scratch.path().join("old");
    file(
        &old,
        "conf/config.yaml",
        "sources:\n- {type: local, path: ./data/}\n\
         - {name: up, type: local, path: '.././other/*.csv'}\n- {name: alone, type: local, \
         path: ABSOLUTE}\noutput_csv_path: ./out/all.csv\nmonitor: {interval: 1s}\n"
            .replace("ABSOLUTE", scratch.path().join("fixed.csv").to_str().unwrap()),
    );
    file(&old, "conf/data/a.csv", "id\n1\n");
    file(&old, "other/b.csv", "id\n2\n");
    file(scratch.path(), "fixed.csv", "id\n3\n");
    let into = old.join("made/project");
    let convert = ours("chorus").args(["convert"]).args([old.join("conf/config.yaml")]);
    convert.args(["--into"]).args([&into]).go().success();
    let text = fs::read_to_string(into.join("meltano.yml")).unwrap();
    assert!(!text.contains("/./") && !text.contains(old.to_str().unwrap()), "{text}");
    let new = scratch.path().join("new/place");
    fs::create_dir_all(new.parent().unwrap()).unwrap();
    fs::rename(&old, &new).unwrap();
    let root = new.join("made/project");
    let chorus = || ours("chorus").args(["--project"]).args([&root]);
    chorus().args(["run", "combined", "--datestamp", "2026-01-31"]).go().success();
    let all = fs::read_to_string(new.join("conf/out/all.csv")).unwrap();
    let mut ids: Vec<&str> =
        all.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2", "3"], "{all}");
    // What is watched lies outside of the project.
    let watching = chorus().args(["schedule"]).start(true);
    let rows = |count: usize| {
        let all = fs::read_to_string(new.join("conf/out/all.csv")).unwrap_or_default();
        all.lines().count() == count + 1
    };
    std::thread::sleep(std::time::Duration::from_millis(1500));
    file(&new, "other/c.csv", "id\n4\n");
    let begun = std::time::Instant::now();
    while !rows(4) {
        assert!(begun.elapsed().as_secs() < 60, "the files outside are not watched");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    watching.signal(rustix::process::Signal::TERM);
    watching.wait();
}

#[test]
fn a_contract_of_a_converted_file_protects_or_is_refused() {
    for (strict, code) in [("strict_mode: true\n", 0), ("", 78)] {
        let scratch = folder();
        let root = scratch.path();
        let text = "sources:\n- {type: local, path: data}\noutput_csv_path: out/all.csv\n\
                    schema: {columns: {id: int64, mail: object}}\n";
        file(root, "config.yaml", text.to_owned() + strict);
        file(root, "data/a.csv", "id,mail\n1,ann@example.com\n");
        let into = root.join("project");
        let convert = ours("chorus").args(["convert"]).args([root.join("config.yaml")]);
        convert.args(["--into"]).args([&into]).go().success();
        let path = into.join("contracts/combined.odcs.yaml");
        let contract = fs::read_to_string(&path).unwrap().replace(
            "- name: mail\n",
            "- name: mail\n    customProperties: [{property: protect, value: mask}]\n",
        );
        fs::write(&path, contract).unwrap();
        let run = ours("chorus").args(["--project"]).args([&into]).args(["run", "combined"]);
        let ran = run.args(["--datestamp", "2026-01-31"]).go().exits(code);
        let all = fs::read_to_string(root.join("out/all.csv")).unwrap_or_default();
        assert!(!all.contains("ann@"), "{all}");
        assert_eq!(all.contains("1,***,"), code == 0, "{all} {}", ran.stderr);
        assert_eq!(ran.stderr.contains("cannot protect columns with"), code != 0, "{}", ran.stderr);
    }
}
