//! Tests of contracts: rows in, rows or reasons out.

use serde_json::{Value, json};
use singer::{Batch, Cell, Envelope, Error, ErrorKind, Result, Row, Stream};

use super::*;
use crate::pipeline::Stage as _;

pub(super) const KEY: &str = "n0t-a-real-key-0123456789-abcdefghij";

/// A contract for the stream `s` with these properties, and what else the schema has.
pub(super) fn contract(properties: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\nstatus: active\n\
         schema:\n- name: s\n  properties:\n{properties}"
    )
}

pub(super) fn guard(text: &str, settings: &Value) -> Result<Guard> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.odcs.yaml");
    std::fs::write(&path, text).unwrap();
    let mut all = json!({ "contracts": [path], "protect_key": KEY });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Ok(Guard::new(serde_json::from_value(all).unwrap())?.unwrap())
}

pub(super) fn stream(properties: &Value) -> Stream {
    let schema = json!({ "type": "object", "properties": properties });
    Stream::new("s", schema.as_object().unwrap().clone(), Vec::new())
}

/// What came out: the schema, and of each row its cells or why not.
pub(super) struct Told {
    pub(super) properties: Value,
    pub(super) keys: Vec<String>,
    pub(super) rows: Vec<Result<String, Error>>,
    pub(super) end: Result<()>,
}

/// Sends rows through; a cell is a text, or null.
pub(super) fn through(mut guard: Guard, stream: &Stream, rows: &[Value]) -> Result<Told> {
    let mut route = guard.routes(stream)?.unwrap().pop().unwrap();
    let width = stream.columns.len();
    let mut batch = Batch::new(width);
    for (line, row) in rows.iter().enumerate() {
        for cell in row.as_array().unwrap() {
            match cell.as_str() {
                Some(text) => batch.push(text.as_bytes()),
                None => batch.push_null(),
            }
        }
        batch.note_line(line as u64 + 1);
    }
    let columns = route.stream.columns.len();
    let mut one = |row: usize| {
        let mut out = Batch::new(columns);
        (route.rows)(Row::new(&batch, row), &mut out)?;
        let text = |cell| match cell {
            Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Cell::Null => "NULL".to_owned(),
            Cell::Absent => "-".to_owned(),
        };
        if out.is_empty() {
            return Ok("left out".to_owned());
        }
        Ok(out.row(0).map(text).collect::<Vec<_>>().join("|"))
    };
    let rows = (0..rows.len()).map(&mut one).collect();
    let end = guard.finish();
    let properties = route.stream.schema["properties"].clone();
    assert_eq!(Envelope::CELLS, 2);
    Ok(Told { properties, keys: route.stream.keys, rows, end })
}

pub(super) fn reason(told: &Result<String, Error>) -> String {
    match told {
        Ok(row) => row.clone(),
        Err(failure) => {
            let column = failure.context("column").unwrap_or_default();
            format!("{column}: {}", failure.context("reason").unwrap_or_default())
        }
    }
}

#[test]
fn values_are_converted_or_refused() {
    let text = contract(
        "  - {name: amount, logicalType: number, customProperties: [{property: decimal, value: \
         ','}, {property: thousands, value: '.'}]}\n\
         \x20 - {name: day, logicalType: date, logicalTypeOptions: {format: dd.MM.yyyy}}\n\
         \x20 - {name: yes, logicalType: boolean, customProperties: [{property: trueValues, value: \
         [ja]}, {property: falseValues, value: [nein]}]}\n\
         \x20 - {name: count, logicalType: integer, logicalTypeOptions: {minimum: 1, \
         maximum: 99}}\n\
         \x20 - {name: code, logicalType: string, required: true, logicalTypeOptions: {pattern: \
         '^[A-Z]+$', maxLength: 3}, customProperties: [{property: trim, value: true}]}\n",
    );
    let of_text = json!({ "type": ["string", "null"] });
    let properties = json!({ "amount": of_text, "day": of_text, "yes": of_text,
        "count": { "type": ["number", "null"] }, "code": of_text });
    let settings = json!({ "on_violation": "reject" });
    let rows = [
        json!(["1.234,50", "31.12.2026", "ja", "7.0", " AB "]),
        json!([null, null, null, null, "A"]),
        json!(["1,234.50", "31.12.2026", "ja", "7", "AB"]),
        json!(["1", "2026-12-31", "ja", "7", "AB"]),
        json!(["1", "31.12.2026", "Ja", "7", "AB"]),
        json!(["1", "31.12.2026", "ja", "7.5", "AB"]),
        json!(["1", "31.12.2026", "ja", "100", "AB"]),
        json!(["1", "31.12.2026", "ja", "7", "ab"]),
        json!(["1", "31.12.2026", "ja", "7", "ABCD"]),
        json!(["1", "31.12.2026", "ja", "7", null]),
    ];
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &rows).unwrap();
    let found: Vec<String> = told.rows.iter().map(reason).collect();
    assert_eq!(found[0], "1234.50|2026-12-31|true|7|AB");
    assert_eq!(found[1], "NULL|NULL|NULL|NULL|A");
    for (at, column) in [
        (2, "amount"),
        (3, "day"),
        (4, "yes"),
        (5, "count"),
        (6, "count"),
        (7, "code"),
        (8, "code"),
        (9, "code"),
    ] {
        assert!(found[at].starts_with(&format!("{column}: ")), "{at}: {}", found[at]);
    }
    assert_eq!(told.properties["amount"], json!({ "type": ["number", "null"] }));
    assert_eq!(told.properties["day"], json!({ "type": ["string", "null"], "format": "date" }));
    assert_eq!(told.properties["count"], json!({ "type": ["integer", "null"] }));
    // Null in the place of a value, and the end of the run.
    let settings = json!({ "on_violation": "null" });
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &rows).unwrap();
    assert_eq!(reason(&told.rows[2]), "NULL|2026-12-31|true|7|AB");
    assert!(told.rows[9].is_err());
    told.end.unwrap();
}

#[test]
fn values_are_protected_before_anything_sees_them() {
    let text = contract(
        "  - {name: id, primaryKey: true, customProperties: [{property: protect, value: hash}]}\n\
         \x20 - {name: mail, customProperties: [{property: protect, value: partial}]}\n\
         \x20 - {name: born, logicalType: date, customProperties: [{property: protect, value: \
         generalise}]}\n\
         \x20 - {name: secret, customProperties: [{property: protect, value: drop}]}\n\
         \x20 - {name: gone, customProperties: [{property: protect, value: null}]}\n\
         \x20 - name: home\n\
         \x20   properties:\n\
         \x20   - {name: street, customProperties: [{property: protect, value: mask}]}\n",
    );
    let properties = json!({ "id": { "type": "integer" }, "mail": { "type": "string",
        "enum": ["julia@example.com"] }, "born": { "type": ["string", "null"] },
        "secret": { "type": "string" }, "gone": { "type": "string" }, "home": { "type": "object" },
        "more": { "type": "string", "maxLength": 3 } });
    let rows = [
        json!(["7", "julia@example.com", "1984-05-17", "S", "S", r#"{"street":"S","zip":1}"#, "x"]),
        json!(["7", "julia@example.com", "soon", "S", "S", r#"{"street":"S"}"#, "x"]),
        json!(["7", "julia@example.com", "1984-05-17", "S", "S", r#"["S"]"#, "x"]),
    ];
    let told = through(guard(&text, &json!({})).unwrap(), &stream(&properties), &rows).unwrap();
    let row = told.rows[0].as_ref().unwrap();
    let (hash, rest) = row.split_once('|').unwrap();
    assert!(hash.starts_with("h_2a448b28_") && hash.len() == 75, "{hash}");
    assert_eq!(rest, r#"j***@example.com|1984|NULL|{"street":"***","zip":1}|x"#);
    assert_eq!(told.keys, ["id"]);
    let expected = json!({ "id": { "type": "string" }, "mail": { "type": "string" },
        "born": { "type": ["integer", "null"] }, "gone": { "type": ["string", "null"] },
        "home": { "type": "object" }, "more": { "type": "string", "maxLength": 3 } });
    assert_eq!(told.properties, expected);
    assert_eq!(reason(&told.rows[1]), "born: it is not a date or time as in 2026-11-20T06:00:00Z");
    assert_eq!(reason(&told.rows[2]), "home: it is not an object");
    for failure in &told.rows[1..] {
        let failure = format!("{:?}", failure.as_ref().unwrap_err());
        assert!(!failure.contains("julia") && !failure.contains("soon"), "{failure}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_the_first_row() {
    let plain = json!({ "a": { "type": ["string", "null"] }, "n": { "type": "object" } });
    let refused = |properties: &str, settings: &Value, key: Option<&str>| {
        let text = contract(properties);
        let mut stream = stream(&plain);
        stream.replication_key = key.map(str::to_owned);
        let told = guard(&text, settings).and_then(|guard| through(guard, &stream, &[]));
        told.and_then(|told| told.end).unwrap_err().to_string()
    };
    let none = json!({});
    let protect = |value: &str| {
        format!("  - {{name: a, customProperties: [{{property: protect, value: {value}}}]}}\n")
    };
    let key = |value: &str| {
        format!(
            "  - {{name: a, primaryKey: true, customProperties: [{{property: protect, value: \
             {value}}}]}}\n"
        )
    };
    for (properties, settings, bookmark, expected) in [
        (protect("hash"), &none, Some("a"), "cannot protect a replication key"),
        (protect("drop"), &none, Some("a"), "cannot protect a replication key"),
        (key("mask"), &none, None, "cannot protect a key in this way"),
        (key("drop"), &none, None, "cannot protect a key in this way"),
        (key("null"), &none, None, "cannot protect a key in this way"),
        (protect("hsh"), &none, None, "did you mean `hash`?"),
        (protect("generalise"), &none, None, "cannot make the values of a property coarse"),
        (protect("hash"), &json!({ "protect_key": "" }), None, "without a key"),
        (
            protect("hash"),
            &json!({ "protect_key": "short" }),
            None,
            "cannot use a key with too few bytes",
        ),
        ("  - {name: a, logicalType: text}\n".into(), &none, None, "line: 10"),
        ("  - {name: n, logicalType: string}\n".into(), &none, None, "cannot convert a column"),
        (
            "  - {name: a, logicalType: string, logicalTypeOptions: {pattern: '(?=a)'}}\n".into(),
            &none,
            None,
            "cannot use the pattern",
        ),
        ("  - {name: b}\n".into(), &none, None, "lacks columns"),
        (
            "  - {name: b, required: true}\n".into(),
            &json!({ "missing_columns": "null" }),
            None,
            "lacks columns",
        ),
        ("  - {name: a}\n".into(), &json!({ "strict": true }), None, "does not list"),
        (
            "  - {name: a}\n".into(),
            &json!({ "require_classification": true }),
            None,
            "columns: a, n",
        ),
        ("  - {name: a}\n  - {name: a}\n".into(), &none, None, "describes a property twice"),
        (
            "  - {name: a, logicalType: string, quality: [{metric: nulls, mustBe: 0}]}\n".into(),
            &none,
            None,
            "metric",
        ),
    ] {
        let failure = refused(&properties, settings, bookmark);
        assert!(failure.contains(expected), "{properties}: {failure}");
        assert!(!failure.contains(KEY), "{failure}");
    }
}

#[test]
fn extra_columns_are_left_out_and_missing_ones_are_null() {
    let text = contract(
        "  - {name: a, classification: public}\n  - {name: z, logicalType: integer, \
         classification: public}\n",
    );
    let settings = json!({ "extra_columns": "drop", "missing_columns": "null",
        "require_classification": true });
    let properties = json!({ "x": { "type": "string" }, "a": { "type": "string" } });
    let rows = [json!(["S", "1"])];
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &rows).unwrap();
    assert_eq!(told.rows[0].as_ref().unwrap(), "1|NULL");
    let expected = json!({ "a": { "type": "string" }, "z": { "type": ["integer", "null"] } });
    assert_eq!(told.properties, expected);
}

#[test]
fn rules_are_judged_at_the_end() {
    let judged = |rule: &str, rows: &[Value]| {
        let text = contract(&format!("  - {{name: a, quality: [{{{rule}}}]}}\n"));
        let properties = json!({ "a": { "type": ["string", "null"] } });
        let told = through(guard(&text, &json!({})).unwrap(), &stream(&properties), rows).unwrap();
        told.end.map_err(|failure| {
            assert_eq!(failure.kind(), ErrorKind::Data);
            format!(
                "{} {}",
                failure.context("found").unwrap_or_default(),
                failure.context("first rows").unwrap_or_default()
            )
        })
    };
    let rows = [json!(["x"]), json!(["x"]), json!([null]), json!(["N/A"])];
    for (rule, expected) in [
        ("metric: nullValues, mustBe: 0", Err("1 line 3")),
        ("metric: nullValues, mustBeLessThan: 30, unit: percent", Ok(())),
        ("metric: nullValues, mustBeLessThan: 25, unit: percent", Err("25 percent line 3")),
        (
            "metric: missingValues, arguments: {missingValues: [null, N/A]}, \
             mustBeLessOrEqualTo: 1",
            Err("2 line 3; line 4"),
        ),
        ("metric: invalidValues, arguments: {validValues: [x]}, mustBe: 0", Err("1 line 4")),
        ("metric: invalidValues, arguments: {pattern: '^.$'}, mustBeBetween: [0, 1]", Ok(())),
        ("metric: duplicateValues, mustBe: 0", Err("1 line 2")),
        ("metric: duplicateValues, mustBe: 0, severity: warning", Ok(())),
        ("type: sql, query: select 1, mustBe: 0", Ok(())),
    ] {
        let found = judged(rule, &rows);
        let expected = expected.map_err(|text: &str| text.to_owned());
        assert_eq!(found, expected, "{rule}");
    }
    let text = contract("  - {name: a}\n  quality: [{metric: rowCount, mustBeGreaterThan: 0}]\n");
    let properties = json!({ "a": {} });
    let told = through(guard(&text, &json!({})).unwrap(), &stream(&properties), &[]).unwrap();
    assert!(told.end.unwrap_err().to_string().contains("rowCount of s"));
}

#[test]
fn row_hashes_are_made_of_what_goes_out() {
    let text = contract("  - {name: a, customProperties: [{property: protect, value: mask}]}\n");
    let settings = json!({ "row_hash": { "columns": "all" } });
    let properties = json!({ "a": { "type": "string" }, "b": { "type": "integer" } });
    let rows = [json!(["ann", "1"]), json!(["bob", "1"]), json!(["bob", "2"])];
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &rows).unwrap();
    assert_eq!(told.keys, ["_row_hash"]);
    let rows: Vec<&str> = told.rows.iter().map(|row| row.as_ref().unwrap().as_str()).collect();
    assert!(rows.iter().all(|row| row.starts_with("***|") && row.len() == 4 + 2 + 64), "{rows:?}");
    // What is masked is equal, and so these rows are numbered.
    assert_ne!(rows[0], rows[1]);
    let drop = json!({ "row_hash": { "count_duplicates": "drop" } });
    let rows = [json!(["ann", "1"]), json!(["bob", "1"])];
    let told = through(guard(&text, &drop).unwrap(), &stream(&properties), &rows).unwrap();
    assert_eq!(told.rows[1].as_ref().unwrap(), "left out");
}

#[test]
fn columns_that_come_during_the_run_are_accepted_or_not() {
    let text = contract("  - {name: a}\n");
    let first = stream(&json!({ "a": { "type": "string" } }));
    let later = stream(&json!({ "a": { "type": "string" }, "b": { "type": "string" } }));
    for (word, expected) in [("evolve", Some(2)), ("discard", Some(1)), ("freeze", None)] {
        let mut guard = guard(&text, &json!({ "columns_change": word })).unwrap();
        guard.routes(&first).unwrap();
        let routes = guard.routes(&later).ok().flatten();
        assert_eq!(routes.map(|routes| routes[0].stream.columns.len()), expected, "{word}");
    }
}

#[test]
fn parts_without_effect_are_noted_and_others_are_not() {
    let text = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\n\
                team: {members: []}\nsevers: []\nschema:\n- name: s\n  properties:\n\
                \x20 - {name: a, logicalTypo: string, tags: [x], description: text}\n\
                \x20 quality: [{type: custom, engine: soda}]\n";
    let contract = Contract::from_text(text, std::path::Path::new("c")).unwrap();
    let expected = [
        ("unknown part `severs`".to_owned(), 7),
        ("unknown part `logicalTypo` of s.a".to_owned(), 11),
        ("rule of type `custom` of s".to_owned(), 12),
    ];
    assert_eq!(contract.unused, expected);
    for text in [
        "",
        "a: 1",
        "[",
        "kind: DataContract\napiVersion: v2.2.2\nschema: []\n",
        "kind: DataContract\napiVersion: v3.1.0\n",
        "kind: DataContract\napiVersion: v3.1.0\nschema: {}\n",
        "kind: DataContract\napiVersion: v3.1.0\nschema: [{properties: []}]\n",
    ] {
        let failure = Contract::from_text(text, std::path::Path::new("c")).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config, "{text}");
    }
}

#[test]
fn what_was_protected_before_is_not_protected_or_judged_again() {
    let text = contract(
        "  - {name: id, logicalType: integer, primaryKey: true, customProperties: [{property: \
         protect, value: hash}]}\n\
         \x20 - {name: born, logicalType: date, required: true, customProperties: [{property: \
         protect, value: generalise}]}\n\
         \x20 - {name: gone, required: true, customProperties: [{property: protect, value: \
         drop}]}\n\
         \x20 - {name: n, logicalType: integer, logicalTypeOptions: {maximum: 5}}\n",
    );
    let properties = json!({ "id": { "type": "string" }, "born": { "type": "integer" },
        "n": { "type": "integer" }, "_sdc_extracted_at": { "type": "string" } });
    let settings =
        json!({ "on_violation": "reject", "already_protected": true, "protect_key": null });
    let rows = [json!(["h_1", "1984", "5", "t"]), json!(["h_2", "1984", "6", "t"])];
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &rows).unwrap();
    let found: Vec<String> = told.rows.iter().map(reason).collect();
    assert_eq!(found[0], "h_1|1984|5|t");
    assert!(found[1].starts_with("n: "), "{found:?}");
}

#[test]
fn all_rules_that_are_breached_are_named() {
    let rule = "  quality:\n  - {metric: rowCount, mustBe: 2}\n  - {metric: rowCount, mustBe: 3}\n";
    let text = contract(&format!("  - {{name: id}}\n{rule}"));
    let properties = json!({ "id": { "type": "string" } });
    let guard = guard(&text, &json!({})).unwrap();
    let told = through(guard, &stream(&properties), &[json!(["a"])]).unwrap();
    let breach = told.end.unwrap_err();
    assert_eq!(breach.context("must be"), Some("2"));
    assert_eq!(breach.context("another breach"), Some("s: rowCount of s is 1, and must be 3"));
}
