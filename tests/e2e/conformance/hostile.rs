//! Schemas, patterns, settings and projects that would read files, go round in circles or take for
//! ever (M21, I01, I03, I04, I09 to I12, Z06).

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::binaries_dir;
use support::cluster::database;
use support::faults::figure;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, to_database, to_lake};
use support::project::Project;
use support::run::{Run, feed, file, ours};

/// No input may keep a process busy for longer, on whatever machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn one(property: &Value, value: &Value) -> Lines {
    let columns = json!({ "id": { "type": "integer" }, "v": property });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    lines.record("t", &json!({ "id": 1, "v": value })).done()
}

#[test]
fn a_schema_reads_no_file_and_asks_no_server() {
    let (scratch, web) = (folder(), support::web::Web::replies(vec![]));
    let secret = file(scratch.path(), "secret.json", r#"{"type":"string","const":"x"}"#);
    let references = [
        format!("file://{}", secret.display()),
        secret.display().to_string(),
        "../secret.json".to_owned(),
        format!("{}/schema.json", web.url),
        "http://json-schema.org/draft-07/schema#".to_owned(),
        "#/nowhere".to_owned(),
        "#".to_owned(),
        "#/properties/v".to_owned(),
    ];
    for reference in &references {
        for property in [
            json!({ "$ref": reference }),
            json!({ "type": "object", "properties": { "a": { "$ref": reference } } }),
            json!({ "$dynamicRef": reference }),
            json!({ "$schema": reference, "minLength": 1 }),
            json!({ "$id": reference, "minLength": 1 }),
        ] {
            let trace = scratch.path().join("trace");
            let run = Run::new(Path::new("/usr/bin/strace"));
            let run = run.args(["-f", "-qq", "-e", "trace=open,openat,connect", "-o"]);
            let run = run.args([&trace, &binaries_dir().join("target-csv")]);
            let config = json!({ "output_path": scratch.path().join("lake"), "source": "s",
                "datestamp": DAY });
            let lines = one(&property, &json!({ "a": 1 }));
            let outcome = run.config(&config).input(lines.0).go();
            assert!([0, 65, 76].contains(&outcome.code), "{property}: {outcome:?}");
            let calls = fs::read_to_string(&trace).unwrap();
            assert!(!calls.contains("secret.json"), "{property}: {calls}");
            assert!(!calls.contains("connect("), "{property}: {calls}");
        }
    }
    assert!(web.asked().is_empty());
    figure("references in schemas", references.len() * 5);
}

#[test]
fn patterns_take_no_longer_than_texts_are_long() {
    let text = format!("{}!", "a".repeat(50_000));
    let short = format!("{}!", "a".repeat(40));
    let patterns = [
        "^(a+)+$",
        "^(a|a)*$",
        "^(a|aa)+$",
        "(.*a){20}$",
        "^(?=(a+)+$)a",
        "^(a+)+\\1$",
        "(?<!a)(a*)*b",
        "((a{0,1000}){0,1000}){0,1000}",
        "(",
        "[[:nothing:]]",
    ];
    for pattern in patterns {
        for value in [&short, &text] {
            let begin = Instant::now();
            let lines = one(&json!({ "type": "string", "pattern": pattern }), &json!(value));
            let scratch = folder();
            let outcome = to_lake(scratch.path(), "s", DAY).input(lines.0).patience(PATIENCE).go();
            assert!([0, 65, 76].contains(&outcome.code), "{pattern}: {outcome:?}");
            assert!(begin.elapsed() < PATIENCE, "{pattern}");
        }
        let scratch = folder();
        let name = "a".repeat(200);
        file(scratch.path(), &format!("{name}.csv"), "a\n1\n");
        // Files are found by globs, which are as hard to bend.
        let glob = format!("{}/{}*b", scratch.path().display(), "*a".repeat(40));
        let entry = json!({ "entity": "t", "path": glob });
        let run = ours("tap-csv").config(&json!({ "files": [entry] })).patience(PATIENCE);
        assert_ne!(run.go().code, 0);
    }
    figure("patterns that others choke on", patterns.len());
}

#[test]
fn settings_that_are_bombs_are_refused() {
    let scratch = folder();
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let members: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
    for (text, code) in [
        (format!("{{\"files\":{deep}}}"), 78),
        (format!("{{\"files\":{}}}", "{\"a\":".repeat(100_000)), 78),
        ("[".repeat(1_000_000), 78),
        (format!("{{{}}}", members.join(",")), 78),
        ("{\"max_rejects\":1e999999999}".to_owned(), 78),
        (format!("{{\"max_rejects\":{}}}", "9".repeat(100_000)), 78),
    ] {
        let path = file(scratch.path(), "config.json", text);
        let run = ours("tap-csv").args(["--config".as_ref(), path.as_os_str()]).patience(PATIENCE);
        run.go().exits(code);
        for flag in ["--catalog", "--state"] {
            let run = ours("tap-csv").args([flag.as_ref(), path.as_os_str()]).patience(PATIENCE);
            run.go().exits(code);
        }
    }
}

#[test]
fn a_project_file_that_is_a_bomb_is_refused() {
    let mut anchors = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let previous = format!("*a{}", n - 1);
        let all = [previous.as_str(); 9].join(", ");
        writeln!(anchors, "a{n}: &a{n} [{all}]").unwrap();
    }
    let deep = format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let merges = "a: &a {<<: *a, b: 1}\n".to_owned();
    for text in [anchors, deep, merges, "a: [\n".to_owned(), "\t\u{0}".to_owned()] {
        let project = Project::new("", &[]);
        let name = project.root.join("meltano.yml");
        let whole = fs::read_to_string(&name).unwrap();
        fs::write(&name, format!("{text}{whole}")).unwrap();
        let run = project.chorus(&["plan", "--datestamp", DAY, "tap-csv", "target-csv"]);
        let outcome = run.patience(PATIENCE).go().exits(78);
        assert!(outcome.stderr.contains("meltano.yml"), "{}", outcome.stderr);
    }
}

#[test]
fn names_of_plugins_and_paths_are_no_flags_and_no_commands() {
    let project = Project::new("", &[]);
    for word in
        ["; touch owned", "$(touch owned)", "--help\ntouch owned", "../sick", "tap csv", "-"]
    {
        let outcome = project.run(&[word, "target-csv"]);
        assert!([64, 78].contains(&outcome.code), "{word}: {outcome:?}");
        assert!(!project.root.join("owned").exists(), "{word}");
    }
    // A file may be called like a flag, behind `=` or in its own folder.
    let scratch = folder();
    file(scratch.path(), "--state", "{}");
    let odd = scratch.path().join("--state");
    let run = ours("tap-csv").args(["--config".as_ref(), odd.as_os_str()]);
    assert_eq!(run.go().code, 78);
}

#[test]
fn names_in_settings_are_data_in_sql() {
    let target = database("hostile_names");
    target.psql("CREATE TABLE precious (id integer); INSERT INTO precious VALUES (1)");
    let nasty = "x\"; DROP TABLE public.precious; --";
    for (name, value) in [
        ("default_target_schema", nasty),
        ("database", nasty),
        ("user", nasty),
        ("role", nasty),
        ("grants", nasty),
        ("default_target_schema", "a\0b"),
        ("default_target_schema", ""),
    ] {
        let mut settings = target.settings();
        settings[name] = json!(value);
        let outcome = feed("target-postgres", &settings, &Lines::whole(&[(1, "a")]).0);
        assert_ne!(outcome.code, 70, "{name}: {}", outcome.stderr);
        assert_eq!(target.psql("SELECT count(*) FROM public.precious"), "1", "{name}");
    }
    let absent = format!("none{nasty}");
    for filter in [json!(absent), json!([absent, "public"])] {
        let outcome = ours("tap-postgres")
            .config(&target.settings_with(&json!({ "filter_schemas": filter })));
        outcome.go().exits(78);
        assert_eq!(target.psql("SELECT count(*) FROM public.precious"), "1");
    }
    let key = Lines::default().syncing("u").schema(
        "u",
        &json!({ nasty: { "type": "integer" } }),
        &[nasty],
    );
    let key = key.record("u", &json!({ nasty: 1 })).done();
    let more = json!({ "load_method": "upsert" });
    to_database(&target, &more).input(key.0).go().success();
    assert_eq!(target.psql("SELECT count(*) FROM public.precious"), "1");
}
