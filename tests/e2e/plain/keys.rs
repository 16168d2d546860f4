//! Keys of a config.yaml whose values are words, and hints that work when they are followed.

use std::fs;

use serde_json::Value;

use support::cluster::database;
use support::folder;
use support::run::{file, ours};

use super::files::{config, run};

#[test]
fn words_of_settings_are_checked_before_the_run() {
    let (folder, about) =
        (folder(), ours("target-postgres").args(["--about", "--format", "json"]).go().success());
    let root = folder.path();
    let about: Value = serde_json::from_slice(&about.stdout).unwrap();
    let schema = about.to_string();
    let with = |local: &str, target: &str| {
        file(
            root,
            "config.yaml",
            format!(
                "sources:\n- {{type: local, path: data{local}}}\ntarget:\n  type: postgres\n  \
                 database: w\n  table: t\n{target}"
            ),
        );
        ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go()
    };
    for word in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
        with("", &format!("  sslmode: {word}\n")).success();
    }
    with("", "  sslmode: \"${MODE}\"\n").success();
    for (word, says) in
        [("maybe", "write disable or"), ("verify-ful", "did you mean `verify-full`")]
    {
        let done = with("", &format!("  sslmode: {word}\n")).exits(78);
        for says in [says, "key: sslmode", "line: 7", "column: 12"] {
            assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        }
    }
    with(", encoding: cp1252", "").success();
    with(", encoding: \"${CODE}\"", "").success();
    let done = with(", encoding: utf-9", "").exits(78);
    for says in ["cannot find the encoding", "encoding: utf-9", "line: 2", "column: 39"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
}

#[test]
fn texts_that_a_connector_would_refuse_are_refused_with_their_place() {
    let folder = folder();
    let validate = |source: &str| {
        let text = format!("sources:\n- {{{source}}}\noutput_csv_path: out/all.csv\n");
        file(folder.path(), "config.yaml", text);
        ours("chorus").args(["validate"]).args([folder.path().join("config.yaml")]).go()
    };
    let api = |path: &str| format!("type: api, url: 'https://x.example', records_path: {path}");
    for path in ["$", "'$[*]'", "$.data.items", "\"$['a b'][0].*\"", "'${WAY}'", "'$.${WAY}[*]'"] {
        validate(&api(path)).success();
    }
    for path in ["data", "$..items", "'$.a[?(@.b>1)]'", "$.", "'$[-1]'"] {
        let done = validate(&api(path)).exits(78);
        for says in ["path of the records", "key: records_path", "line: 2", "column: 55"] {
            assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        }
        assert!(done.stderr.contains("hint: use names"), "{}", done.stderr);
    }
    let sftp = |text: &str| {
        format!("type: sftp, host: h, user: u, path: /a, host_key_fingerprint: {text}")
    };
    let bare = "uNiVztksCsDhcc0u9e8BrrJXVGDqd+/XqoTnAG2vKQ0";
    for text in [bare, &format!("'SHA256:{bare}'"), &format!("{bare}="), "'${PRINT}'"] {
        validate(&sftp(text)).success();
    }
    for text in ["'SHA256:x'", &bare[1..], "'MD5:2c:66:6f:34'"] {
        let done = validate(&sftp(text)).exits(78);
        for says in ["fingerprint of a key", "key: host_key_fingerprint", "line: 2", "column: 66"] {
            assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        }
        assert!(done.stderr.contains("ssh-keyscan -p PORT HOST"), "{}", done.stderr);
    }
    let server = |text: &str| format!("type: sftp, user: u, path: /a, host: {text}");
    for text in ["files.example.com", "10.0.0.1", "'::1'", "'${HOST}'", "'${HOST}/x'"] {
        validate(&server(text)).success();
    }
    for text in ["sftp://files.example.com", "u@files.example.com", "files.example.com/in"] {
        let done = validate(&server(text)).exits(78);
        for says in ["as a server's name", "key: host", "line: 2", "column: 41"] {
            assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        }
        assert!(done.stderr.contains("hint: set `host` to a name or an address only"), "{done:?}");
    }
    let local = |text: &str| format!("type: local, path: data, delimiter: {text}");
    for text in ["';'", "'\\t'", "'||'", "'${SIGN}'"] {
        validate(&local(text)).success();
    }
    for text in ["\"\\n\"", "'123456789012345678901'"] {
        let done = validate(&local(text)).exits(78);
        for says in ["as a delimiter", "key: delimiter", "line: 2", "column: 40"] {
            assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        }
    }
}

#[test]
fn names_without_letters_are_refused_and_shown() {
    let folder = folder();
    let root = folder.path();
    let whole = "sources:\n- {type: local, path: data}\noutput_csv_path: out/all.csv\n";
    for (text, says) in [
        (format!("{whole}\"\": 1\n"), "key: \"\"\n"),
        (whole.replace("data}", "data, \" \": 1}"), "key: \" \"\n"),
        (format!("{whole}schema: {{columns: {{\"\": int64}}}}\n"), "has no name"),
        (whole.replace("data}", "data, types: {\" \": bool}}"), "has no name"),
    ] {
        file(root, "config.yaml", &text);
        let done = ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go();
        let done = done.exits(78);
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
        assert!(done.stderr.contains("line: "), "{}", done.stderr);
    }
}

#[test]
fn a_variable_in_braces_needs_quotes_as_the_hint_says() {
    let folder = folder();
    let root = folder.path();
    let text = |token: &str| {
        let api = format!("{{type: api, url: \"http://127.0.0.1:1/\", auth_token: {token}}}");
        file(root, "config.yaml", format!("sources:\n- {api}\noutput_csv_path: all.csv\n"));
        ours("chorus").args(["validate"]).args([root.join("config.yaml")]).go()
    };
    let done = text("${TOKEN}").exits(78);
    let hint = "put variables in quotes where braces surround them: \"${NAME}\"";
    assert!(done.stderr.contains(hint), "{}", done.stderr);
    text("\"${TOKEN}\"").success();
    // A secret that stands there is warned of, and the warning is followed.
    let done = text("word").success();
    assert!(done.stderr.contains("write \"${NAME}\" there"), "{}", done.stderr);
}

/// Follows the hint of a strict file: what it says to change makes the run a good one.
#[test]
fn hints_of_a_strict_file_name_its_own_keys_and_work() {
    let (folder, database) = (folder(), database("strict_hints"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    let go = |rows: &str, columns: &str, more: &str| {
        file(root, "data/a.csv", rows);
        let more = format!("schema: {{columns: {{{columns}}}}}\n{more}");
        config(root, "- {type: local, path: data}\n", &database, &more);
        run(root).go()
    };
    let strict = "strict_mode: true\n";
    let of_file = format!("`schema` of {}", root.join("config.yaml").display());
    let rows = "id,more\n1,x\n";
    let done = go(rows, "id: int64", strict).exits(65);
    assert!(done.stderr.contains(&format!("add them to {of_file}")), "{}", done.stderr);
    go(rows, "id: int64, more: str", strict).success();
    let done = go("id\n2\n", "id: int64, more: str", strict).exits(65);
    assert!(done.stderr.contains(&format!("remove them from {of_file}")), "{}", done.stderr);
    go("id\n2\n", "id: int64", strict).success();
    let done = go("id\n2.5\n", "id: date", strict).exits(78);
    assert!(done.stderr.contains(&format!("correct its type in {of_file}")), "{}", done.stderr);
    let done = go("id\nx\n3\n", "id: int64", strict).exits(65);
    assert!(done.stderr.contains("`on_violation: reject`"), "{}", done.stderr);
    go("id\nx\n3\n", "id: int64", "strict_mode: true\non_violation: reject\n").success();
    assert_eq!(database.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM sales"), "1,2,3");
    // A setting that the file has no key for is one of the project that it becomes.
    file(root, "data/a.csv", "id,day\n5,x\n");
    let types = "- {type: local, path: data, types: {day: date}}\n";
    config(root, types, &database, "");
    let done = run(root).go().exits(65);
    for word in done.stderr.split('`').skip(1).step_by(2) {
        let setting = word.split(':').next().unwrap();
        let is_key = ["types", "on_violation", "strict_mode"].contains(&setting);
        let is_told = done.stderr.contains("no keys of the file: ");
        assert!(is_key || !setting.contains('_') || is_told, "{setting}: {}", done.stderr);
    }
}

#[test]
fn booleans_are_read_as_pandas_writes_them() {
    let (folder, database) = (folder(), database("booleans"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,paid\n1,True\n2,False\n3,\n");
    file(root, "data/b.csv", "id,paid\n4,1\n5,0\n");
    file(root, "data/c.json", r#"[{"id": 6, "paid": true}, {"id": 7, "paid": false}]"#);
    let strict = "schema: {columns: {id: int64, paid: bool}}\nstrict_mode: true\n\
                  output_csv_path: out/all.csv\n";
    config(root, "- {type: local, path: data}\n", &database, strict);
    run(root).go().success();
    let rows =
        "SELECT string_agg(id::text || coalesce(paid::text, '-'), ' ' ORDER BY id) FROM sales";
    let expected = "1true 2false 3- 4true 5false 6true 7false";
    assert_eq!(database.psql(rows), expected);
    let csv = fs::read_to_string(root.join("out/all.csv")).unwrap();
    assert!(csv.contains("1,true,") && !csv.contains("True"), "{csv}");
    file(root, "data/b.csv", "id,paid\n8,2\n");
    let done = run(root).go().exits(65);
    assert!(done.stderr.contains("column: paid"), "{}", done.stderr);
    // `types` says the same of a source alone.
    database.psql("DROP TABLE sales");
    fs::remove_file(root.join("data/b.csv")).unwrap();
    config(root, "- {type: local, path: data, types: {paid: bool}}\n", &database, "");
    run(root).go().success();
    assert_eq!(database.psql(rows), "1true 2false 3- 6true 7false");
}
