//! Names of columns, tables and streams at the edges of what holds them (U01 to U11, I02).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Map, Value, json};

use support::cluster::{Database, database};
use support::messages::{Lines, columns};
use support::pipes::{DAY, extract, from_database, from_lake, load, to_database, to_lake};
use support::run::{Outcome, Run, ours};
use support::{folder, lake};

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";
const AIRBYTE: &str = "id~!@#$%^&*()`[]{}|;':\",./<>?";

/// A run of one stream whose columns have these names; every value is the name of its column.
fn named<S: AsRef<str>>(stream: &str, names: &[S], keys: &[&str]) -> Lines {
    let pairs = |value: fn(&str) -> Value| -> Value {
        let names = names.iter().map(AsRef::as_ref);
        Value::Object(names.map(|name| (name.to_owned(), value(name))).collect::<Map<_, _>>())
    };
    Lines::default()
        .syncing(stream)
        .schema(stream, &pairs(|_| json!({ "type": "string" })), keys)
        .record(stream, &pairs(|name| name.into()))
        .done()
}

/// The columns of a table, and that each holds the name its property had.
fn columns_of(database: &Database, table: &str) -> Vec<(String, String)> {
    let sql = format!("SELECT to_json(t) FROM public.\"{table}\" t");
    let row: Map<String, Value> = serde_json::from_str(&database.psql(&sql)).unwrap();
    row.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
}

fn into(database: &Database, lines: &Lines) -> Outcome {
    to_database(database, &json!({})).input(lines.0.clone()).go()
}

fn day(scratch: &std::path::Path, lines: &Lines) -> Outcome {
    to_lake(scratch, "s", DAY).input(lines.0.clone()).go()
}

/// Sixty bytes, then a character of four: the 63rd byte lies in it.
fn cut() -> String {
    format!("{}🎉 and more", "x".repeat(60))
}

fn odd_names() -> Vec<String> {
    let long = "l".repeat(63);
    let mut names: Vec<String> = [
        "Id",
        "id",
        "ID",
        COMPOSED,
        DECOMPOSED,
        "select",
        "from",
        "user",
        "with space",
        " ",
        "a.b",
        "a\"b",
        "1st",
        "new\nline",
        "tab\there",
        "%s",
        "{}",
        "\\",
        "'",
        ",",
        "\u{202e}olleh",
        "İ",
        "ß",
        "SS",
        "-",
        "_sdc_of_the_source",
        "oid",
        AIRBYTE,
        "👩\u{200d}👧",
        "\u{1b}[31m",
        "=1+1",
        "NULL",
        "\u{feff}bom",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend([cut(), long.clone(), format!("{long}1"), format!("{long}2")]);
    names.extend(["é".repeat(32), "é".repeat(31) + "e", "é".repeat(100)]);
    names
}

#[test]
fn every_name_of_a_column_is_a_column_of_its_own() {
    let (scratch, names) = (folder(), odd_names());
    let lines = named("t", &names, &[AIRBYTE, "id", "Id", COMPOSED, DECOMPOSED, &cut()]);
    // In files under its own name,
    day(scratch.path(), &lines).success();
    let records = from_lake(scratch.path(), DAY).go().success().records("t");
    assert_eq!(records.len(), 1);
    assert!(names.iter().all(|name| records[0][name] == **name), "{records:?}");
    assert_eq!(records[0].as_object().unwrap().len(), names.len());

    // in tables under a name of at most 63 bytes, the same one every time.
    let database = database("columns");
    load(scratch.path(), DAY, &database, &json!({}));
    load(scratch.path(), DAY, &database, &json!({}));
    into(&database, &lines).success();
    assert_eq!(database.psql("SELECT count(*) FROM t"), "1", "the key is a key");
    let found = columns_of(&database, "t");
    assert_eq!(found.len(), names.len());
    let values: BTreeSet<&String> = found.iter().map(|(_, value)| value).collect();
    assert_eq!(values, names.iter().collect());
    for (column, name) in &found {
        if name.len() <= 63 {
            assert_eq!(column, name);
            continue;
        }
        let (start, hash) = column.rsplit_once('_').unwrap();
        assert!(name.starts_with(start) && column.len() <= 63, "{column}");
        assert_eq!(hash, &lake::sum(name.as_bytes())[..8], "{column}");
    }
    // And from there again in files.
    let back = scratch.path().join("back");
    extract(&database, &back, DAY);
    let records = from_lake(&back, DAY).go().success().records("public-t");
    for (column, name) in found {
        assert_eq!(records[0][&column], *name);
    }
}

#[test]
fn strings_that_only_look_alike_are_keys_of_their_own() {
    let database = database("alike");
    let alike = [
        COMPOSED,
        DECOMPOSED,
        "ﬁ",
        "fi",
        "Ω",
        "\u{2126}",
        "a",
        "a ",
        "a\u{a0}",
        "A",
        "ａ",
        "а",
        "\u{200b}a",
        "ı",
        "i",
        "İ",
        "ß",
        "ss",
        "👩",
        "👩\u{200d}",
        "",
        " ",
    ];
    let columns = json!({ "id": { "type": "string" }, "name": { "type": "string" } });
    let rows = |value: &str| {
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        let row = |lines: Lines, id: &&str| lines.record("t", &json!({ "id": id, "name": value }));
        alike.iter().fold(lines, row).done()
    };
    into(&database, &rows("first")).success();
    into(&database, &rows("second")).success();
    let count = "SELECT count(*), count(DISTINCT id COLLATE \"C\"), min(name) FROM t";
    assert_eq!(database.psql(count), format!("{0}|{0}|second", alike.len()));
}

/// Streams, and the table of each in Postgres; none where another one had it before.
fn streams() -> Vec<(String, Option<&'static str>)> {
    let long = "a stream of a name ".repeat(16);
    vec![
        ("public-orders".to_owned(), Some("orders")),
        ("Orders".to_owned(), Some("Orders")),
        ("a/b".to_owned(), Some("a/b")),
        ("a%2Fb".to_owned(), Some("a%2Fb")),
        ("..".to_owned(), Some("..")),
        (".".to_owned(), Some(".")),
        ("con".to_owned(), Some("con")),
        (".hidden".to_owned(), Some(".hidden")),
        ("_manifest.json".to_owned(), Some("_manifest.json")),
        (COMPOSED.to_owned(), Some(COMPOSED)),
        (DECOMPOSED.to_owned(), Some(DECOMPOSED)),
        (AIRBYTE.to_owned(), Some(AIRBYTE)),
        ("t\u{1b}[31m\n{\"level\":\"info\"}".to_owned(), None),
        (long[..300].to_owned(), None),
        (format!("{}1", &long[..300]), None),
        ("🎉".repeat(75), None),
        ("orders".to_owned(), None),
    ]
}

#[test]
fn every_stream_has_a_folder_and_a_table_of_its_own() {
    let scratch = folder();
    let mut lines = Lines::default();
    for (stream, _) in streams() {
        lines = lines
            .syncing(&stream)
            .schema(&stream, &columns(), &["id"])
            .record(&stream, &json!({ "id": 1, "name": stream }));
    }
    let lines = lines.done();
    let outcome = day(scratch.path(), &lines).success();
    assert!(!outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("\n{\"level"), "{}", outcome.stderr);
    lake::check(scratch.path());
    for entry in walkdir::WalkDir::new(scratch.path()) {
        let entry = entry.unwrap();
        assert!(entry.file_name().len() <= 255, "{}", entry.path().display());
    }
    let tap = from_lake(scratch.path(), DAY).go().success();
    assert!(!tap.stderr.contains('\u{1b}'), "{}", tap.stderr);
    for (stream, _) in streams() {
        assert_eq!(tap.records(&stream), [json!({ "id": 1, "name": stream })]);
    }
    // The same names in plain files: `orders` beside `Orders`.
    let plain = || ours("target-csv").set("output_path", scratch.path().join("plain").display());
    plain().input(lines.0.clone()).go().success();
    let files = fs::read_dir(scratch.path().join("plain")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), streams().len(), "{files:?}");

    // Two streams of one table are told apart by nobody.
    let database = database("streams");
    let outcome = into(&database, &lines).exits(78);
    assert!(outcome.stderr.contains("other stream: public-orders"), "{}", outcome.stderr);
    let whole = String::from_utf8(lines.0).unwrap();
    let others: Vec<_> =
        whole.lines().filter(|line| !line.contains("\"stream\":\"orders\"")).collect();
    let outcome = into(&database, &Lines::default().raw(others.join("\n"))).success();
    assert!(!outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'
        AND tablename <> '_sdc_tables'";
    assert_eq!(database.psql(tables), (streams().len() - 1).to_string());
    for (stream, table) in streams() {
        if let Some(table) = table {
            let sql = format!("SELECT name FROM public.\"{}\"", table.replace('"', "\"\""));
            assert_eq!(database.psql(&sql), stream);
        }
    }
}

#[test]
fn sources_of_long_names_are_found_with_the_others() {
    let (scratch, long) = (folder(), "ы".repeat(40));
    for (source, stream) in [(long.as_str(), "of the long one"), ("short", "of the short one")] {
        let lines = named(stream, &["id"], &[]);
        to_lake(scratch.path(), source, DAY).input(lines.0).go().success();
    }
    let read = || from_lake(scratch.path(), DAY).go();
    let outcome = read().success();
    for stream in ["of the long one", "of the short one"] {
        assert_eq!(outcome.records(stream), [json!({ "id": "id" })]);
    }
    // A copy that somebody has put beside them is passed over.
    let beside = scratch.path().join("source=short~");
    let copy = Run::new("/bin/cp".as_ref()).args(["-r"]);
    copy.args([&scratch.path().join("source=short"), &beside]).go().success();
    assert!(read().success().stderr.contains("skipping"));
    fs::remove_dir_all(&beside).unwrap();
    // A day is not read without the source that cannot be told.
    let part = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains('~');
    let mut entries = fs::read_dir(scratch.path()).unwrap().map(Result::unwrap);
    let cut = entries.find(part).unwrap().path();
    let table = cut.join(format!("extracted_at={DAY}/table=of%20the%20long%20one"));
    fs::remove_file(table.join("_manifest.json")).unwrap();
    assert!(read().exits(66).stderr.contains("cannot find the manifest"));
    // A folder in which nothing was published is no source, once no run record speaks of it.
    fs::remove_dir_all(cut.join(format!("extracted_at={DAY}"))).unwrap();
    assert!(read().exits(66).stderr.contains("the run record lists this"));
    fs::remove_dir_all(scratch.path().join(".runs").join(cut.file_name().unwrap())).unwrap();
    read().success();
}

#[test]
fn two_tables_of_files_have_two_names() {
    let entry = json!({ "entity": "t", "path": "t.csv" });
    let csv = ours("tap-csv").config(&json!({ "files": [entry, entry] }));
    let table = json!({ "table_name": "t", "remote_path": "t.csv" });
    // Nobody listens there, and nobody is asked.
    let server = json!({ "host": "127.0.0.1", "port": 9, "username": "u", "password": "p" });
    let sftp = ours("tap-sftp").config(&server).config(&json!({ "tables": [table, table] }));
    for (tap, setting) in [(csv, "entity"), (sftp, "table_name")] {
        let outcome = tap.go().exits(78);
        let told = format!("cannot use one `{setting}` twice\n  {setting}: t\n");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    }
    let strange =
        json!({ "streams": [{ "stream": "s", "schema": { "properties": { "id": {} } } }] });
    let tap = ours("tap-csv").config(&json!({ "files": [entry] })).json("--catalog", &strange);
    let outcome = tap.go().exits(78);
    assert!(
        outcome.stderr.contains("a stream of the catalog\n  stream: s\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn names_in_messages_forge_no_line_and_paint_nothing() {
    let (database, scratch) = (database("forged"), folder());
    let name = "c\u{1b}[31m\r\n{\"level\":\"info\"}\u{9b}2J\u{7}\u{202e}\u{2028}";
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let sql = format!("CREATE TABLE t (id bigint, {quoted} bigint NOT NULL CHECK ({quoted} > 5))");
    database.psql(&sql);
    let number = json!({ "id": { "type": "integer" }, name: { "type": ["null", "integer"] } });
    let lines = |stream: &str, value: Value| {
        let lines = Lines::default().syncing(stream).schema(stream, &number, &[]);
        lines.record(stream, &json!({ "id": 1, name: value })).done().0
    };
    let header = format!("id,{quoted}\n1,x\n");
    let path = support::run::file(scratch.path(), "t.csv", header);
    let entry = json!({ "entity": name, "path": path, "types": { name: "integer" } });
    let postgres = || to_database(&database, &json!({}));
    let csv = || to_lake(&scratch.path().join("lake"), "s", DAY);
    let runs = |more: &[&str]| {
        vec![
            csv().input(lines(name, "x".into())).args(more).go().exits(65),
            csv().input(Lines::default().syncing(name).0).args(more).go().exits(76),
            postgres().input(lines(name, "x".into())).args(more).go().exits(65),
            postgres().input(lines("t", Value::Null)).args(more).go().exits(65),
            postgres().input(lines("t", 1.into())).args(more).go().exits(65),
            ours("tap-csv").config(&json!({ "files": [entry] })).args(more).go().exits(65),
        ]
    };
    for (at, outcome) in runs(&[]).into_iter().enumerate() {
        let text = &outcome.stderr;
        let odd = |letter: char| {
            letter.is_control() && letter != '\n' || ('\u{2028}'..='\u{202e}').contains(&letter)
        };
        assert!(!text.contains(odd), "{at}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with('{')), "{at}: {text:?}");
    }
    for (at, outcome) in runs(&["--set", "log_format=json"]).into_iter().enumerate() {
        for line in outcome.stderr.lines() {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{at} {e} {line}"));
            assert!(line["level"].is_string(), "{at}: {line}");
        }
    }
}

#[test]
fn names_that_are_taken_are_refused_or_left_to_who_has_them() {
    let database = database("taken");
    for name in ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "_sdc_stage_line"] {
        let outcome = into(&database, &named("t", &["id", name], &["id"])).exits(65);
        assert!(outcome.stderr.contains("reserved name"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("column: {name}")), "{}", outcome.stderr);
        let scratch = folder();
        day(scratch.path(), &named("t", &["id", name], &["id"])).success();
        let records = from_lake(scratch.path(), DAY).go().success().records("t");
        assert_eq!(records, [json!({ "id": "id", name: name })], "files have no such names");
    }
    assert_eq!(database.psql("SELECT to_regclass('public.t') IS NULL"), "t");
    for name in ["_sdc_source", "_sdc_datestamp"] {
        let lines = named("t", &["id", name], &["id"]);
        let by_day = json!({ "load_method": "replace-partition", "source": "s", "datestamp": DAY });
        let outcome = to_database(&database, &by_day).input(lines.0).go().exits(65);
        assert!(outcome.stderr.contains(&format!("column: {name}")), "{}", outcome.stderr);
    }
    // An empty name is none.
    for run in [to_database(&database, &json!({})), to_lake(folder().path(), "s", DAY)] {
        let outcome = run.input(named("t", &["id", ""], &["id"]).0).go().exits(76);
        assert!(outcome.stderr.contains("empty name"), "{}", outcome.stderr);
    }
    // Postgres has no U+0000 in names; files have.
    let nul = named("t", &["id", "a\0b"], &["id"]);
    let outcome = into(&database, &nul).exits(65);
    assert!(outcome.stderr.contains("U+0000"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains('\0'), "{:?}", outcome.stderr);
}

#[test]
fn u0000_stays_in_files_and_postgres_refuses_it_or_is_given_another() {
    let (scratch, database) = (folder(), database("nul"));
    let name = "a\0b\0";
    let lines = Lines::whole(&[(1, name)]);
    day(scratch.path(), &lines).success();
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition), format!("id,name\n1,{name}\n"));
    let tap = || from_lake(scratch.path(), DAY);
    assert_eq!(tap().go().success().records("t"), [json!({ "id": 1, "name": name })]);
    let outcome = to_database(&database, &json!({})).input(tap().go().stdout).go().exits(65);
    assert!(outcome.stderr.contains("column: name"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("sanitize_null_text_characters"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains('\0'), "{:?}", outcome.stderr);
    let sanitize = json!({ "sanitize_null_text_characters": true });
    to_database(&database, &sanitize).input(tap().go().stdout).go().success();
    assert_eq!(database.psql("SELECT name FROM t"), "a\u{fffd}b\u{fffd}");
}

#[test]
fn a_key_that_is_changed_is_told() {
    let database = database("nul_key");
    let columns = json!({ "id": { "type": "string" }, "v": { "type": "string" } });
    let sanitize = json!({ "sanitize_null_text_characters": true });
    for (rows, warnings, held) in [
        ([("a\0", "1"), ("b\0\0", "2")], 1, 2),
        ([("\0", "1"), ("\u{fffd}", "2")], 1, 1),
        ([("a", "\0"), ("\u{fffd}", "2\0")], 0, 2),
    ] {
        database.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        let record = |(id, v): &(&str, &str)| json!({ "id": id, "v": v });
        let lines = rows.iter().fold(lines, |lines, row| lines.record("t", &record(row))).done();
        let outcome = to_database(&database, &sanitize).input(lines.0).go().success();
        let told = outcome.stderr.matches("W-KEY-RESPELLED: ").count();
        assert_eq!(told, warnings, "{rows:?}: {}", outcome.stderr);
        assert_eq!(database.psql("SELECT count(*) FROM t"), held.to_string());
    }
}

#[test]
fn escapes_of_copy_are_text_in_every_column() {
    let (source, target, scratch) = (database("escapes"), database("escapes_into"), folder());
    source.psql(
        r#"CREATE TABLE t (v text PRIMARY KEY, n integer, list text[], doc jsonb);
          INSERT INTO t SELECT v, n, ARRAY[v, NULL, v], to_jsonb(v) FROM unnest(ARRAY[
            '\.', '\N', '\n', '\\', '\\.', E'\n', E'\\\n', E'\\.\n', E'a\n\\.\nb', E'\t', E'\\\t',
            '\x41', '\101', '\b\f\r\v', E'\b\f\r\v', '$1', '%s', '{}', '{NULL}', 'NULL', '', '\',
            ''';', '''); DROP TABLE t; --', '""', E'\\"\n,\\', '\u0041'
          ]) WITH ORDINALITY AS x(v, n)"#,
    );
    extract(&source, scratch.path(), DAY);
    load(scratch.path(), DAY, &target, &json!({}));
    load(scratch.path(), DAY, &target, &json!({ "load_method": "overwrite" }));
    let all = "COPY (SELECT v, n, list, doc FROM public.t ORDER BY n) TO STDOUT CSV";
    assert_eq!(target.psql(all), source.psql(all));
    // A column alone on its line is where a `\.` would end the copy.
    source.psql("CREATE TABLE one (v text PRIMARY KEY); INSERT INTO one SELECT v FROM t");
    let tap = from_database(&source, &json!({})).go().success();
    to_database(&target, &json!({})).input(tap.stdout).go().success();
    let one = "SELECT count(*), min(v), max(v) FROM public.one";
    assert_eq!(target.psql(one), source.psql(one));
}
