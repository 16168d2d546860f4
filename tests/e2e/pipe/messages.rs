//! What targets do with Singer messages, good and broken (M01 to M27 of the fault catalogue).

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::lake;
use support::messages::{Lines, columns};
use support::run::{Outcome, feed, ours};

/// What a target has to make of an input.
enum Wanted {
    /// Exit 0, and stream `t` has these rows, as CSV lines without header.
    Rows(&'static str),
    /// This exit code and this text on standard error; nothing published.
    Fails(i32, &'static str),
}
use Wanted::{Fails, Rows};

const BROKEN: i32 = 76;
const DATA: i32 = 65;

fn t() -> Lines {
    Lines::opened()
}

/// The cases both targets share.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<u8>, Wanted)> {
    let row = r#"{"type":"RECORD","stream":"t","record":{"id":1,"name":"a"}}"#;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep = format!(r#"{{"type":"RECORD","stream":"t","record":{{"id":1,"name":{deep}}}}}"#);
    let good = || Lines::whole(&[(1, "a")]).0;
    let cut = |bytes: usize| {
        let mut lines = good();
        lines.truncate(lines.len() - bytes);
        lines
    };
    vec![
        ("M01 half a line", t().row(1, "a").raw(r#"{"type":"#).done().0, Fails(BROKEN, "line: 4")),
        ("M02 the last line is cut", cut(3), Fails(BROKEN, "ended in the middle of a message")),
        ("M02 the last line lacks its end", cut(1), Rows("1,a\n")),
        (
            "M02 the last line lacks its end, and is no message",
            [t().0, br#"{"type":"STATE","value":{"a":"\x"}}"#.to_vec()].concat(),
            Fails(BROKEN, "is not a JSON message"),
        ),
        (
            "M03 blank lines, CRLF, trailing spaces",
            t().raw("").raw(format!("{row}  \r")).raw("\r").done().0,
            Rows("1,a\n"),
        ),
        ("M04 BOM at the start", [b"\xef\xbb\xbf".to_vec(), good()].concat(), Rows("1,a\n")),
        (
            "M04 BOM elsewhere",
            t().raw(format!("\u{feff}{row}")).done().0,
            Fails(BROKEN, "expected an object"),
        ),
        (
            "M05 byte 0xFF in a string",
            t().raw([row.trim_end_matches("a\"}}").as_bytes(), b"\xff\"}}"].concat()).done().0,
            Fails(BROKEN, "the input is not UTF-8"),
        ),
        (
            "M06 no type",
            t().raw(r#"{"stream":"t","record":{"id":1}}"#).done().0,
            Fails(BROKEN, "a message without `type`"),
        ),
        (
            "M06 type null",
            t().raw(r#"{"type":null}"#).done().0,
            Fails(BROKEN, "a message without `type`"),
        ),
        ("M06 an array", t().raw("[]").done().0, Fails(BROKEN, "is not a JSON message")),
        ("M07 unknown type", t().raw(r#"{"type":"FOO"}"#).done().0, Fails(BROKEN, "type: FOO")),
        ("M08 lower case", t().raw(row.replace("RECORD", "record")).done().0, Rows("1,a\n")),
        (
            "M09 RECORD before SCHEMA",
            Lines::default().raw(row).done().0,
            Fails(BROKEN, "a RECORD came before the SCHEMA of its stream"),
        ),
        (
            "M10 no record",
            t().raw(r#"{"type":"RECORD","stream":"t"}"#).done().0,
            Fails(DATA, "a RECORD without `record`"),
        ),
        (
            "M10 record null",
            t().raw(r#"{"type":"RECORD","stream":"t","record":null}"#).done().0,
            Fails(DATA, "the record is not an object"),
        ),
        (
            "M10 record array",
            t().raw(r#"{"type":"RECORD","stream":"t","record":[1]}"#).done().0,
            Fails(DATA, "the record is not an object"),
        ),
        (
            "M10 no stream",
            t().raw(r#"{"type":"RECORD","record":{"id":1}}"#).done().0,
            Fails(BROKEN, "a RECORD without `stream`"),
        ),
        (
            "M10 stream empty",
            t().raw(r#"{"type":"RECORD","stream":"","record":{"id":1}}"#).done().0,
            Fails(BROKEN, "a RECORD without `stream`"),
        ),
        (
            "M11 SCHEMA without properties",
            Lines::default()
                .message(&json!({
                    "type": "SCHEMA", "stream": "t", "schema": { "type": "object" },
                    "key_properties": [],
                }))
                .done()
                .0,
            Fails(BROKEN, "needs `properties`"),
        ),
        (
            "M11 no key_properties",
            Lines::default()
                .message(
                    &json!({"type": "SCHEMA", "stream": "t", "schema": {"properties": columns()}}),
                )
                .row(1, "a")
                .done()
                .0,
            Rows("1,a\n"),
        ),
        (
            "M11 a key named twice",
            Lines::default().schema("t", &columns(), &["id", "id"]).row(1, "a").done().0,
            Rows("1,a\n"),
        ),
        (
            "M11 rows of a stream without properties",
            Lines::default().schema("t", &json!({}), &[]).record("t", &json!({})).done().0,
            Fails(DATA, "rows without columns"),
        ),
        (
            "M11 key not in properties",
            Lines::default().schema("t", &columns(), &["nope"]).done().0,
            Fails(BROKEN, "key: nope\n"),
        ),
        ("M13 optional field missing", t().record("t", &json!({"id": 1})).done().0, Rows("1,\n")),
        (
            "M14 undeclared field",
            t().record("t", &json!({"id": 1, "name": "a", "more": 2})).done().0,
            Rows("1,a\n"),
        ),
        (
            "M15 duplicate key: the last wins",
            t().raw(row.replace(r#""id":1"#, r#""id":7,"id":1"#)).done().0,
            Rows("1,a\n"),
        ),
        (
            "M15 two records in one message: neither is meant for sure",
            t().raw(row.replace("}}", r#"},"record":{"id":7}}"#)).done().0,
            Fails(BROKEN, "twice"),
        ),
        (
            "M15 two bookmarks in one message",
            t().row(1, "a").raw(r#"{"type":"STATE","value":{"b":1},"value":{"b":2}}"#).done().0,
            Fails(BROKEN, "twice"),
        ),
        (
            "M15 two keys in one message",
            t().raw(
                r#"{"type":"SCHEMA","stream":"t","key_properties":[],"key_properties":["id"],"#
                    .to_owned()
                    + r#""schema":{"properties":{"id":{"type":"integer"}}}}"#,
            )
            .done()
            .0,
            Fails(BROKEN, "twice"),
        ),
        (
            "M15 two versions in one message",
            t().raw(row.replace("}}", r#"},"version":1,"version":2}"#)).done().0,
            Fails(BROKEN, "twice"),
        ),
        (
            "M15 the same in another order",
            t().raw(format!(r#"{{"record":{{"id":7}},{}"#, &row[1..])).done().0,
            Fails(BROKEN, "twice"),
        ),
        (
            "M03 white space before the record alone",
            t().raw(row.replace(r#""record":"#, "\"record\": \t")).done().0,
            Rows("1,a\n"),
        ),
        ("M16 10 000 levels", t().raw(deep).done().0, Fails(BROKEN, "nested too deep")),
        (
            "M21 BATCH",
            t().message(&json!({
                "type": "BATCH", "stream": "t", "encoding": { "format": "jsonl" },
                "manifest": ["file:///etc/passwd"],
            }))
            .done()
            .0,
            Fails(BROKEN, "cannot read a BATCH message"),
        ),
        ("M22 a log line", t().raw("INFO sync").done().0, Fails(BROKEN, "writes its log there")),
        ("M23 nothing", Vec::new(), Fails(BROKEN, "the input is empty")),
        ("M24 no records", t().done().0, Rows("")),
        (
            "M27 ACTIVATE_VERSION of an unknown stream",
            t().raw(r#"{"type":"ACTIVATE_VERSION","stream":"u","version":1}"#).done().0,
            Fails(BROKEN, "stream: u\n"),
        ),
        (
            "M27 ACTIVATE_VERSION without a version",
            t().raw(r#"{"type":"ACTIVATE_VERSION","stream":"t"}"#).done().0,
            Fails(BROKEN, "without an integer `version`"),
        ),
        (
            "the input ends while a stream is read",
            t().row(1, "a").0,
            Fails(BROKEN, "the input ended early"),
        ),
        (
            "U02 lone surrogate",
            t().raw(row.replace("\"a\"", r#""\ud800""#)).done().0,
            Fails(BROKEN, "lone surrogate"),
        ),
        (
            "T05 a string for an integer",
            t().raw(row.replace(":1,", ":\"1\",")).done().0,
            Fails(DATA, "column: id\n"),
        ),
        (
            "T05 true for an integer",
            t().raw(row.replace(":1,", ":true,")).done().0,
            Fails(DATA, "column: id\n"),
        ),
        ("T05 1.0 for an integer", t().raw(row.replace(":1,", ":1.0,")).done().0, Rows("1,a\n")),
    ]
}

/// Returns what is wrong with an outcome.
fn fault(outcome: &Outcome, wanted: &Wanted) -> Option<String> {
    let says = |what: &str| Some(format!("{what}, exit {}: {}", outcome.code, outcome.stderr));
    match wanted {
        Rows(_) if outcome.code != 0 => says("failed"),
        Fails(code, _) if outcome.code != *code => says(&format!("wanted {code}")),
        Fails(_, text) if !outcome.stderr.contains(text) => says(&format!("no {text:?}")),
        Fails(..) if !outcome.stderr.contains("error: ") => says("no message"),
        Fails(..) if outcome.text().contains("\"currently_syncing\":null") => says("state printed"),
        Rows(_) | Fails(..) => None,
    }
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn target_csv_publishes_a_whole_partition_or_nothing() {
    let mut faults = Vec::new();
    for (name, input, wanted) in cases() {
        let lake = support::folder();
        let config = json!({"output_path": lake.path(), "source": "s", "datestamp": "2026-11-20"});
        feed("target-csv", &config, &Lines::whole(&[(7, "old")]).0).success();
        let before = lake::sums(lake.path());
        let outcome = feed("target-csv", &config, &input);
        faults.extend(fault(&outcome, &wanted).map(|fault| format!("{name}: {fault}")));
        lake::check(lake.path());
        let partition = lake::partition(lake.path(), "s", "2026-11-20", "t");
        if let Rows(rows) = wanted {
            if lake::data(&partition) != format!("id,name\n{rows}") {
                faults.push(format!("{name}: {}", lake::data(&partition)));
            }
            continue;
        }
        assert_eq!(lake::sums(lake.path()), before, "{name}");
        feed("target-csv", &config, &Lines::whole(&[(7, "new")]).0).success();
        assert_eq!(lake::data(&partition), "id,name\n7,new\n", "{name}");
        lake::check_swept(lake.path());
    }
    none(&faults);
}

#[test]
fn target_postgres_commits_a_whole_stream_or_nothing() {
    let database = database("messages");
    let mut faults = Vec::new();
    for (at, (name, input, wanted)) in cases().into_iter().enumerate() {
        let schema = format!("s{at}");
        let config = settings(&database, &schema, &json!({}));
        feed("target-postgres", &config, &Lines::whole(&[(7, "old")]).0).success();
        let all = format!("COPY (SELECT id, name FROM {schema}.t ORDER BY 1) TO STDOUT CSV");
        let rows = || database.psql(&all);
        let outcome = feed("target-postgres", &config, &input);
        faults.extend(fault(&outcome, &wanted).map(|fault| format!("{name}: {fault}")));
        if let Rows(wanted) = wanted {
            if format!("{}\n", rows()) != format!("{wanted}7,old\n") {
                faults.push(format!("{name}: {}", rows()));
            }
            continue;
        }
        assert_eq!(rows(), "7,old", "{name}");
        feed("target-postgres", &config, &Lines::whole(&[(7, "new")]).0).success();
        assert_eq!(rows(), "7,new", "{name}");
    }
    let left = "SELECT string_agg(oid::regclass::text, ' ') FROM pg_class WHERE relname ~ 'stage'";
    assert_eq!(database.psql(left), "", "staging tables left");
    none(&faults);
}

fn settings(database: &Database, schema: &str, more: &Value) -> Value {
    let mut settings = database.settings_with(more);
    settings["default_target_schema"] = schema.into();
    settings["add_record_metadata"] = false.into();
    settings
}

#[test]
fn nothing_is_accepted_when_told_so() {
    let lake = support::folder();
    let config = json!({
        "output_path": lake.path(), "source": "s", "datestamp": "2026-11-20", "allow_empty": true,
    });
    assert_eq!(feed("target-csv", &config, b"").success().text(), "");
}

#[test]
fn without_state_nothing_is_printed() {
    let database = database("stateless");
    let input = Lines::default().schema("t", &columns(), &["id"]).row(1, "a").0;
    let outcome = feed("target-postgres", &settings(&database, "s", &json!({})), &input);
    assert_eq!(outcome.success().text(), "");
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "1");
}

#[test]
fn states_are_relayed_byte_for_byte_and_the_last_comes_last() {
    let database = database("states");
    let big = format!(r#"{{"bookmarks":{{"t":{{"v":"{}"}}}},"n":1.10}}"#, "x".repeat(1 << 20));
    let values = [r#"{"b":1,"a":[ 1, 2.50 ],"e":1E5}"#, big.as_str(), r#"{"z":"\u00e9 é"}"#];
    let mut input = Lines::default().schema("t", &columns(), &["id"]);
    for (at, value) in values.iter().enumerate() {
        let id = i64::try_from(at).unwrap();
        input = input.row(id, "a").raw(format!(r#"{{"type":"STATE","value":{value}}}"#));
    }
    let outcome = feed("target-postgres", &settings(&database, "s", &json!({})), &input.0);
    let printed = outcome.success().text();
    let mut from = 0;
    for line in printed.lines() {
        let at = values[from..].iter().position(|value| *value == line);
        from += at.unwrap_or_else(|| panic!("not a state received, or out of order: {line}")) + 1;
    }
    assert_eq!(from, values.len(), "the last state is missing");
}

#[test]
fn the_last_record_of_a_key_wins() {
    let database = database("last_wins");
    let mut input = t();
    for name in ["a", "b", "c"] {
        input = input.row(1, name);
    }
    for id in 2..20_000 {
        input = input.row(id, "x");
    }
    let input = input.row(1, "last").row(2, "last").done().0;
    let config = settings(&database, "s", &json!({ "batch_size_rows": 100 }));
    feed("target-postgres", &config, &input).success();
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "19999");
    assert_eq!(database.psql("SELECT name FROM s.t WHERE id <= 2 ORDER BY id"), "last\nlast");
}

#[test]
fn keys_are_values_not_joined_text() {
    let database = database("joined_keys");
    let columns = json!({ "a": { "type": "string" }, "b": { "type": "string" } });
    let input = Lines::default()
        .syncing("t")
        .schema("t", &columns, &["a", "b"])
        .record("t", &json!({ "a": "a,b", "b": "c" }))
        .record("t", &json!({ "a": "a", "b": "b,c" }))
        .done();
    feed("target-postgres", &settings(&database, "s", &json!({})), &input.0).success();
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "2");
}

#[test]
fn a_key_that_is_missing_or_null_is_no_key() {
    let database = database("null_keys");
    let columns = json!({ "id": { "type": ["null", "integer"] }, "name": { "type": "string" } });
    for (method, wanted) in [("upsert", 65), ("append-only", 0)] {
        for record in [json!({ "name": "a" }), json!({ "id": null, "name": "a" })] {
            let keys: &[&str] = if method == "upsert" { &["id"] } else { &[] };
            let input = Lines::default()
                .syncing("t")
                .schema("t", &columns, keys)
                .record("t", &record)
                .done();
            let config = settings(&database, method, &json!({ "load_method": method }));
            let outcome = feed("target-postgres", &config, &input.0).exits(wanted);
            assert!(wanted == 0 || outcome.stderr.contains("id"), "{}", outcome.stderr);
        }
    }
    assert_eq!(database.psql("SELECT count(*) FROM \"append-only\".t"), "2");
}

#[test]
fn rows_of_older_versions_go_at_the_end_of_the_load() {
    let database = database("versions");
    let config = |hard: bool| {
        let more = json!({ "hard_delete": hard, "add_record_metadata": true });
        let mut config = database.settings_with(&more);
        config["default_target_schema"] = "s".into();
        config
    };
    let versioned = |version: i64, ids: &[i64]| {
        let activate = json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": version });
        // As SDK taps do: announced before the records.
        let mut lines = t().message(&activate);
        for id in ids {
            lines = lines.message(&json!({
                "type": "RECORD", "stream": "t", "version": version,
                "record": { "id": id, "name": "a" },
            }));
        }
        lines.done().0
    };
    feed("target-postgres", &config(true), &versioned(10, &[1, 2, 3])).success();
    feed("target-postgres", &config(true), &versioned(20, &[2, 3, 4])).success();
    assert_eq!(database.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM s.t"), "2,3,4");
    feed("target-postgres", &config(false), &versioned(30, &[4])).success();
    let left =
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM s.t WHERE _sdc_deleted_at IS NULL";
    assert_eq!(database.psql(left), "4");
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "3");
    // What replaces the table needs no versions: unchanged rows are left alone, and stay.
    let mut overwrite = config(false);
    overwrite["load_method"] = "overwrite".into();
    for version in [40, 50] {
        feed("target-postgres", &overwrite, &versioned(version, &[4, 5])).success();
        assert_eq!(database.psql(left), "4,5");
    }
    // A version of the past deletes nothing.
    let old = t().message(&json!({"type":"ACTIVATE_VERSION","stream":"t","version":5})).done().0;
    feed("target-postgres", &config(true), &old).success();
    assert_eq!(database.psql(left), "4,5");
}

#[test]
fn a_full_state_channel_is_not_success() {
    let database = database("full");
    let config = settings(&database, "s", &json!({}));
    // The state comes last: an earlier one would end the run before its rows.
    let input = Lines::default().schema("t", &columns(), &["id"]).row(1, "a").done().0;
    let script = r#"exec "$@" >/dev/full"#;
    let target = support::binaries_dir().join("target-postgres");
    let run = support::run::Run::new(std::path::Path::new("/bin/sh"));
    let args = [std::ffi::OsStr::new("-c"), script.as_ref(), "sh".as_ref(), target.as_os_str()];
    let outcome = run.args(args).config(&config).input(input.clone()).go();
    assert_eq!(outcome.code, 74, "{}", outcome.stderr);
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "1", "what was committed stays");
    let again = ours("target-postgres").config(&config).input(input).go();
    again.success();
    assert_eq!(database.psql("SELECT count(*) FROM s.t"), "1");
}
