//! What is wrong with a config.yaml is said with its place, and no secret is shown.

use std::fs;

use support::cluster::database;
use support::folder;
use support::run::{file, ours};

use super::files::{config, run};

#[test]
fn faults_have_a_line_and_a_column() {
    let folder = folder();
    let root = folder.path();
    let whole = "sources:\n- type: local\n  path: data\ntarget:\n  type: postgres\n  \
                 database: w\n  table: t\n  password: hidden-word\n";
    let change = |from: &str, to: &str| whole.replacen(from, to, 1);
    for (text, says) in [
        (change("  path", "   path"), "cannot read the YAML"),
        (change("  database: w", "  database: w\n  database: v"), "there twice"),
        (change("local", "locla"), "did you mean `local`"),
        (whole.to_owned() + "schema: {columns: {id: int65}}\n", "unknown type of a column"),
        (whole.to_owned() + "start_time: 2026-01-02\nend_time: 2026-01-01\n", "before the start"),
    ] {
        file(root, "config.yaml", &text);
        for command in ["validate", "convert", "run"] {
            let done =
                ours("chorus").args([command]).args([root.join("config.yaml")]).go().exits(78);
            assert!(done.stderr.contains(says), "{command}: {}", done.stderr);
            assert!(done.stderr.contains("line: "), "{command}: {}", done.stderr);
            assert!(done.stderr.contains("column: "), "{command}: {}", done.stderr);
            assert!(!done.stderr.contains("hidden-word"), "{}", done.stderr);
        }
    }
    for (text, says) in [
        ("# a comment\n".to_owned(), "the file is empty"),
        ("sources:\n\t- type: local\n".to_owned(), "indent with blanks"),
        (format!("{whole}---\n{whole}"), "single YAML document"),
        (change("  table: t", "  table: a.b.c"), "write TABLE or SCHEMA.TABLE"),
        (change("  table: t", "  table: t\n  port: \"5432\""), "without quotes"),
        (change("postgres", "mysql"), "write postgres"),
        (change("  table: t", "  table: t\n  port: 65536"), "from 1 to 65535"),
        (change("  table: t", "  table: t\n  port: 0"), "from 1 to 65535"),
        (change("- type: local\n  path: data", "- {type: api, url: 'ftp://x'}"), "https://"),
        (change("- type: local\n  path: data", "- {type: api, url: 'https://'}"), "https://"),
        (change("  path: data", "  path: data\n  types: {a: int65}"), "unknown type of a column"),
        (change("  path: data", "  path: data\n  types: [a]"), "COLUMN: TYPE"),
        (format!("{whole}monitor: 60s\n"), "`monitor` is not a mapping"),
        (format!("{whole}timezone: Mars/Base\n"), "Europe/Berlin"),
    ] {
        file(root, "config.yaml", &text);
        let done = ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go();
        let done = done.exits(78);
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        assert!(!done.stderr.contains("hidden-word"), "{}", done.stderr);
    }
    file(root, "config.yaml", whole.replace("target:", "targets:"));
    let done = ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go().exits(78);
    assert!(done.stderr.contains("did you mean `target`"), "{}", done.stderr);
    ours("chorus").args(["run"]).args([root.join("none.yaml")]).go().exits(66);
}

#[test]
fn what_is_missing_is_said_with_its_place_before_a_row_is_read() {
    let (folder, database) = (folder(), database("missing"));
    let root = folder.path();
    let api = "- {type: api, url: \"http://127.0.0.1:1/\", auth_token: \"${NOT_SET}\"}\n";
    config(root, api, &database, "");
    let done = run(root).go().exits(78);
    for says in ["variable: NOT_SET", "key: auth_token of api", "line: 2", "NOT_SET=... into"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    assert!(!root.join(".chorus/lake").exists());
    file(root, ".env", "NOT_SET=here\n");
    run(root).args(["--retries", "0"]).go().exits(75);
    config(root, "- {type: local, path: data}\n", &database, "");
    let done = run(root).go().exits(66);
    let path = format!("path: {}", root.join("data").display());
    for says in ["cannot find the files of a source", &path, "line: 2", "column: 23"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
}

#[test]
fn columns_that_clash_are_named() {
    let (folder, database) = (folder(), database("clash"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,x\n1,1\n");
    file(root, "data/b.json", r#"[{"id": 2, "x": {"deep": true}}]"#);
    config(root, "- {type: local, path: data}\n", &database, "");
    let done = run(root).go().exits(65);
    assert!(done.stderr.contains("columns clash"), "{}", done.stderr);
    assert!(done.stderr.contains("local/b.json"), "{}", done.stderr);
    let there = database.psql("SELECT count(*) FROM pg_tables WHERE tablename = 'sales'");
    assert_eq!(there, "0");
}

#[test]
fn a_tab_is_told_with_its_line_in_each_file_that_is_read_as_yaml() {
    let scratch = folder();
    let root = scratch.path();
    let told = |command: &[&str], line: &str| {
        let failed = ours("chorus").args(["--project"]).args([root]).args(command).go().exits(78);
        for says in [line, "column: 1\n", "hint: indent with blanks"] {
            assert!(failed.stderr.contains(says), "{says}: {}", failed.stderr);
        }
    };
    let plugins = "plugins:\n  extractors:\n  - name: tap-csv\n";
    file(root, "meltano.yml", format!("{plugins}\tconfig: {{}}\n"));
    told(&["doctor"], "line: 4\n");
    file(root, "meltano.yml", format!("include_paths: [more.yml]\n{plugins}"));
    file(root, "more.yml", "jobs:\n- name: a\n\ttasks: []\n");
    told(&["doctor"], "line: 3\n");
    let contract = root.join("a.odcs.yaml");
    file(root, "a.odcs.yaml", "apiVersion: v3.1.0\nkind: DataContract\n\tid: a\n");
    let path = contract.to_str().unwrap();
    let failed = ours("map-streams").args(["--config", "ENV", "--set"]);
    let failed = failed.args([format!("contracts=[\"{path}\"]")]).go().exits(78);
    for says in ["line: 3\n", "hint: indent with blanks"] {
        assert!(failed.stderr.contains(says), "{says}: {}", failed.stderr);
    }
}

#[test]
fn a_variable_without_braces_is_warned_of() {
    let scratch = folder();
    let root = scratch.path();
    let validate = |path: &str, user: &str, password: &str| {
        let text = format!(
            "sources:\n- type: local\n  path: '{path}'\ntarget:\n  type: postgres\n  \
             database: w\n  table: t\n  user: '{user}'\n  password: '{password}'\n"
        );
        file(root, "config.yaml", text);
        ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go().success().stderr
    };
    for (path, user, password, told) in [
        ("data", "$WHO_USER", "${SECRET}", "`$WHO_USER` in user of target (line 8) is a text"),
        ("/x/$FOLDER/data", "u", "${SECRET}", "`$FOLDER` in path of local (line 3) is a text"),
        ("data", "u", "$DB_PASSWORD", "`$DB_PASSWORD` in password of target (line 9) is a text"),
    ] {
        let stderr = validate(path, user, password);
        assert!(stderr.contains("W-PROJECT-UNUSED") && stderr.contains(told), "{told}: {stderr}");
        let (_, name) = told[1..].split_once('$').unwrap_or(("", &told[2..]));
        let name = name.split('`').next().unwrap();
        assert!(stderr.contains(&format!("write \"${{{name}}}\"")), "{stderr}");
    }
    for (path, user, password) in [
        ("data/a$b*.csv", "${WHO_USER}", "x$ABC"),
        ("data/US$A", "a$", "$ABC-hidden-word"),
        ("data/$x", "$1", "$$ABC"),
    ] {
        let stderr = validate(path, user, password);
        assert!(!stderr.contains("W-PROJECT-UNUSED"), "{path} {stderr}");
        assert!(!stderr.contains("ABC"), "{stderr}");
    }
}

#[test]
fn what_contracts_have_points_to_contracts() {
    let scratch = folder();
    let root = scratch.path();
    let whole = "sources:\n- type: local\n  path: data\noutput_csv_path: out/all.csv\n";
    for (more, line) in [
        ("protect: {mail: hash}\n", "line: 5"),
        ("schema: {columns: {id: int64}, classification: x}\n", "line: 5"),
        ("schema:\n  columns:\n    mail: {type: string, protect: hash}\n", "line: 7"),
    ] {
        file(root, "config.yaml", format!("{whole}{more}"));
        let failed = ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go();
        let stderr = failed.exits(78).stderr;
        assert!(stderr.contains("`chorus convert FILE --into FOLDER` makes a project"), "{stderr}");
        assert!(stderr.contains(line), "{stderr}");
    }
}
