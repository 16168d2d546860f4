//! COPY in its binary format gives the same tables, refusals and messages as the text format.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use testing::property::holds;

use support::cluster::{Database, database_of, private};
use support::messages::Lines;
use support::run::{Outcome, feed};

/// A column of a table, the property that fills it, and values of it as JSON text.
struct Subject {
    sql: &'static str,
    schema: Value,
    /// Values that the binary format has.
    plain: BoxedStrategy<String>,
    /// Values at the edges, and others that only the server can read, or nobody.
    odd: &'static [&'static str],
}

const INTEGERS: &[&str] = &[
    "-0",
    "32767",
    "32768",
    "-32768",
    "-32769",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "100000000000000000000",
    "1.0",
    "1e3",
    "1.5",
];

const FLOATS: &[&str] = &[
    "-0.0",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    "1.7976931348623157e308",
    "3.4028235e38",
    "3.5e38",
    "1e-46",
    "1.401298464324817e-45",
    "16777217",
    "0.1",
    "0.30000000000000004",
    "9007199254740993",
    "0.12345678901234567891",
    "1E+2",
    "100000000000000000000",
];

const DECIMALS: &[&str] = &[
    "-0.00",
    "0.000",
    "0.10",
    "1.500",
    "1.005",
    "1e9",
    "1E-2",
    "12345678901234567890.12345",
    "99999999.99",
    "100000000.00",
    "-0.0000000000000000000000000000000000000001",
    "1e-400",
];

const DAYS: &[&str] = &[
    "\"2024-02-29\"",
    "\"2023-02-29\"",
    "\"1900-02-29\"",
    "\"2000-02-29\"",
    "\"0000-01-01\"",
    "\"0001-01-01\"",
    "\"9999-12-31\"",
    "\"10000-01-01\"",
    "\"0044-03-15 BC\"",
    "\"infinity\"",
    "\"-infinity\"",
    "\"2024-1-1\"",
    "\"2024-04-31\"",
    "\"2024-13-01\"",
];

const TIMES: &[&str] = &[
    "\"24:00:00\"",
    "\"23:59:60\"",
    "\"00:00:00.1234567\"",
    "\"00:00:00.1234560\"",
    "\"06:00:00+00:00\"",
    "\"06:00:00+05:45\"",
    "\"23:59:59.999999\"",
    "\"12:60:00\"",
];

const AT_ODD: &[&str] = &[
    "\"2024-01-01T24:00:00Z\"",
    "\"2024-12-31T23:59:60Z\"",
    "\"2024-01-01T00:00:00\"",
    "\"2024-01-01 00:00:00+00\"",
    "\"2024-01-01T00:00:00.1234567Z\"",
    "\"2024-01-01T00:00:00.1234560Z\"",
    "\"2024-01-01T00:00:00.1234560000Z\"",
    "\"2024-01-01T00:00:00+15:59\"",
    "\"2024-01-01T00:00:00-15:59\"",
    "\"2024-01-01T00:00:00+16:00\"",
    "\"2024-01-01t00:00:00z\"",
    "\"infinity\"",
    "\"0001-01-01T00:00:00+00:01\"",
    "\"9999-12-31T23:59:59-00:01\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"12024-01-01T00:00:00+00:00\"",
    "\"0044-03-15T00:00:00+00:00 BC\"",
    "\"2023-02-29T00:00:00Z\"",
    "\"2024-01-01T00:00:00-00:00\"",
    "\"2024-01-01T00:00:00+05:45:30\"",
    "\"yesterday\"",
    "\"2024-01-01T00:00:00+0100\"",
];

fn subjects() -> Vec<Subject> {
    numbers().into_iter().chain(moments()).chain(texts()).collect()
}

fn numbers() -> Vec<Subject> {
    let subject =
        |sql, kind, plain, odd| Subject { sql, schema: json!({ "type": kind }), plain, odd };
    let decimal = || "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?".boxed();
    let short = || "-?[1-9][0-9]{0,3}(\\.[0-9]{1,2})?".boxed();
    let number = |value: Option<String>| value.unwrap_or_else(|| "0".to_owned());
    let exact = any::<f64>().prop_map(move |float| number(serde_json::to_string(&float).ok()));
    let exact = exact.prop_map(|text| if text == "null" { "0".to_owned() } else { text });
    vec![
        subject("smallint", "integer", any::<i16>().prop_map(|n| n.to_string()).boxed(), INTEGERS),
        subject("integer", "integer", any::<i32>().prop_map(|n| n.to_string()).boxed(), INTEGERS),
        subject("bigint", "integer", any::<i64>().prop_map(|n| n.to_string()).boxed(), INTEGERS),
        subject("numeric", "integer", any::<i64>().prop_map(|n| n.to_string()).boxed(), INTEGERS),
        subject("text", "integer", any::<i64>().prop_map(|n| n.to_string()).boxed(), INTEGERS),
        subject("numeric", "number", decimal(), DECIMALS),
        subject("numeric(10,2)", "number", short(), DECIMALS),
        subject("numeric(7)", "integer", "[1-9][0-9]{0,6}".boxed(), INTEGERS),
        subject("double precision", "number", exact.boxed(), FLOATS),
        subject("double precision", "integer", "-?[1-9][0-9]{0,14}".boxed(), INTEGERS),
        subject("real", "number", short(), FLOATS),
        subject("boolean", "boolean", "true|false".boxed(), &["null"]),
    ]
}

fn moments() -> Vec<Subject> {
    let day = || (1..=9999_u16, 1..=12_u8, 1..=28_u8);
    let day = move || day().prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let clock = || {
        let clock = (0..24_u8, 0..60_u8, 0..60_u8, "(\\.[0-9]{1,6})?");
        clock.prop_map(|(h, m, s, fraction)| format!("{h:02}:{m:02}:{s:02}{fraction}"))
    };
    let zone = "Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|\\+00:00";
    let at =
        || (day(), clock(), zone).prop_map(|(day, time, zone)| format!("\"{day}T{time}{zone}\""));
    let whole =
        (day(), 0..24_u8, zone).prop_map(|(day, h, z)| format!("\"{day}T{h:02}:00:00.120{z}\""));
    let subject = |sql, format, plain, odd| {
        let schema = json!({ "type": ["null", "string"], "format": format });
        Subject { sql, schema, plain, odd }
    };
    vec![
        subject("date", "date", day().prop_map(|day| format!("\"{day}\"")).boxed(), DAYS),
        subject("timestamp", "date", day().prop_map(|day| format!("\"{day}\"")).boxed(), DAYS),
        subject("time", "time", clock().prop_map(|time| format!("\"{time}\"")).boxed(), TIMES),
        subject("timestamptz", "date-time", at().boxed(), AT_ODD),
        subject("timestamp", "date-time", at().boxed(), AT_ODD),
        subject("timestamptz(2)", "date-time", whole.boxed(), AT_ODD),
        subject("text", "date-time", at().boxed(), AT_ODD),
    ]
}

fn texts() -> Vec<Subject> {
    let quoted = |text: String| json!(text).to_string();
    let any_text = move || "[ -~\\t\\n\\r\\\\é😀]{0,40}".prop_map(quoted).boxed();
    let string = || json!({ "type": ["null", "string"] });
    let document = prop_oneof![
        any::<i64>().prop_map(|n| json!({ "a": [n, null, "\\ \"\u{e9}\t"] }).to_string()),
        "[a-z\\\\\"\\n]{0,9}".prop_map(|text| json!([text, { "b": 1.50 }]).to_string()),
    ];
    let odd: &[&str] = &["\"\"", "\"a\\u0000b\"", "\"\\\\N\"", "\"\\\\.\"", "\"abc    \"", "null"];
    let documents: &[&str] =
        &["{\"a\":1,\"a\":2}", "[\"\\u0000\"]", "\"text\"", "null", "[\"\\\\u0000\"]"];
    let format = |name: &str| json!({ "type": ["null", "string"], "format": name });
    vec![
        Subject { sql: "text", schema: string(), plain: any_text(), odd },
        Subject {
            sql: "varchar(5)",
            schema: string(),
            plain: "[a-zé\\\\]{0,5}".prop_map(quoted).boxed(),
            odd,
        },
        Subject {
            sql: "char(5)",
            schema: string(),
            plain: "[a-zé]{5}".prop_map(quoted).boxed(),
            odd,
        },
        Subject {
            sql: "uuid",
            schema: format("uuid"),
            plain: "[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9A-F]{12}".prop_map(quoted).boxed(),
            odd: &[
                "\"{00010203-0405-0607-0809-0a0b0c0d0e0f}\"",
                "\"000102030405060708090a0b0c0d0e0f\"",
                "\"0001-0203-0405-0607-0809-0a0b-0c0d-0e0f\"",
                "\"no uuid\"",
            ],
        },
        Subject {
            sql: "bytea",
            schema: json!({ "type": ["null", "string"], "contentEncoding": "base16" }),
            plain: "([0-9a-fA-F]{2}){0,20}".prop_map(quoted).boxed(),
            odd: &["\"abc\"", "\"0x00\"", "\"\\\\x00\"", "\"\""],
        },
        Subject { sql: "jsonb", schema: json!({}), plain: document.boxed(), odd: documents },
        Subject { sql: "json", schema: string(), plain: any_text(), odd },
    ]
}

/// Returns what a run said, without the time of day and the numbers of staging tables.
fn words(outcome: &Outcome) -> Vec<String> {
    let complaint = outcome.complaint();
    let words = complaint.lines().map(|line| line.split_once(" | ").map_or(line, |parts| parts.1));
    let named = |line: &str| {
        let parts = line.split("_sdc_stage_").map(|part| part.trim_start_matches(char::is_numeric));
        parts.collect()
    };
    words.map(named).collect()
}

/// Loads values into a new table, which has a column that has no binary form if `as_text`. Returns
/// what became of it, with the rows.
fn load(
    target: &Database,
    subject: &Subject,
    values: &[String],
    way: (bool, bool),
) -> (Outcome, String) {
    let (as_text, staged) = way;
    let more = if as_text { ", i interval" } else { "" };
    target.psql(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, v {}{more});
         INSERT INTO t (id) VALUES (-1)",
        subject.sql
    ));
    let mut properties = json!({ "id": { "type": "integer" }, "v": subject.schema });
    if as_text {
        properties["i"] = json!({ "type": ["null", "string"] });
    }
    let mut lines = Lines::default().syncing("t").schema("t", &properties, &["id"]);
    for (id, value) in values.iter().enumerate() {
        let record = format!(r#""record":{{"id":{id},"v":{value}}}"#);
        lines = lines.raw(format!(r#"{{"type":"RECORD","stream":"t",{record}}}"#));
    }
    let settings = target.settings_with(&json!({
        "default_target_schema": "public",
        "add_record_metadata": false,
        "load_method": if staged { "upsert" } else { "append-only" },
        "max_rejects": 1,
    }));
    let outcome = feed("target-postgres", &settings, &lines.done().0);
    let rows = target.psql("SET timezone TO 'UTC'; SELECT id, v FROM t ORDER BY id");
    (outcome, rows)
}

#[test]
fn both_formats_of_copy_give_one_table_and_one_refusal() {
    let cluster = private("log_statement = all");
    let target = database_of(&cluster, "formats");
    let subjects: Arc<[Subject]> = subjects().into();
    let drawn = (0..subjects.len(), any::<bool>(), any::<bool>()).prop_flat_map({
        let subjects = Arc::clone(&subjects);
        move |(at, staged, odd)| {
            let Subject { plain, odd: edges, .. } = &subjects[at];
            let edge = prop::sample::select(*edges).prop_map(str::to_owned);
            let value = if odd {
                prop_oneof![3 => plain.clone(), 1 => edge].boxed()
            } else {
                plain.clone()
            };
            (Just(at), Just(staged), Just(odd), prop::collection::vec(value, 1..8))
        }
    });
    holds("both formats of COPY give one table", 30, drawn, |(at, staged, odd, values)| {
        let subject = &subjects[at];
        let log = || fs::read_to_string(cluster.folder.join("log")).unwrap();
        let before = log().len();
        let (binary, rows) = load(&target, subject, &values, (false, staged));
        let after = log().len();
        let said = &log()[before..after];
        let (text, expected) = load(&target, subject, &values, (true, staged));
        let is_binary = |log: &str| log.contains("FROM STDIN (FORMAT binary)");
        let sql = subject.sql;
        prop_assert!(odd || is_binary(said), "{sql}: {values:?} went as text: {said}");
        prop_assert!(!is_binary(&log()[after..]), "{sql}: {values:?} did not go as text");
        prop_assert_eq!(&rows, &expected, "{}", sql);
        prop_assert_eq!(binary.code, text.code, "{}: {}\n{}", sql, binary.stderr, text.stderr);
        prop_assert_eq!(words(&binary), words(&text), "{}", sql);
        Ok(())
    });
}
