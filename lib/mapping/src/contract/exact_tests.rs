//! Contracts mean what they say: equal values are equal, keys have values, and what was meant to
//! protect, protects.

use serde_json::{Value, json};
use singer::{ErrorKind, Stream};

use super::tests::{contract, guard, reason, stream, through};
use super::*;
use crate::pipeline::Stage as _;

/// Returns what became of rows of the column `a`.
fn of_column(property: &str, schema: &Value, settings: &Value, rows: &[&str]) -> Vec<String> {
    let text = contract(&format!("  - {{name: a, {property}}}\n"));
    let rows: Vec<Value> = rows
        .iter()
        .map(|text| if *text == "NULL" { json!([null]) } else { json!([text]) })
        .collect();
    let stream = stream(&json!({ "a": schema }));
    let told = through(guard(&text, settings).unwrap(), &stream, &rows).unwrap();
    told.rows.iter().map(reason).collect()
}

#[test]
fn equal_values_are_one_value() {
    let reject = json!({ "on_violation": "reject" });
    let number = json!({ "type": "number" });
    let moment = json!({ "type": "string", "format": "date-time" });
    for (schema, rows) in [
        (&number, ["1", "1.0", "1e0"]),
        (&number, ["0", "-0", "0.00"]),
        (
            &json!({ "type": "object" }),
            [r#"{"x":1,"y":2}"#, r#"{"y":2,"x":1.0}"#, r#"{"y":2,"x":1}"#],
        ),
        (
            &moment,
            ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.000Z"],
        ),
    ] {
        let found = of_column("unique: true", schema, &reject, &rows);
        assert_eq!(found[0], rows[0]);
        for again in &found[1..] {
            assert_eq!(again, "a: the value came before, and is unique", "{rows:?}");
        }
    }
    let found = of_column("unique: true", &json!({ "type": "string" }), &reject, &["1", "1.0"]);
    assert_eq!(found, ["1", "1.0"]);
}

/// Judges a rule of the column `a`, of numbers; the number that was found where it is breached.
fn breach(rule: &str, rows: &[Value]) -> Option<String> {
    let text = contract(&format!("  - {{name: a, quality: [{{{rule}}}]}}\n"));
    let stream = stream(&json!({ "a": { "type": ["number", "null"] } }));
    let told = through(guard(&text, &json!({})).unwrap(), &stream, rows).unwrap();
    told.end.err().map(|failure| failure.context("found").unwrap_or_default().to_owned())
}

#[test]
fn rules_compare_values_and_not_texts() {
    let rows = [json!(["1"]), json!(["1.0"]), json!(["2.50"]), json!([null]), json!([null])];
    for (rule, found) in [
        ("metric: missingValues, arguments: {missingValues: [1]}, mustBe: 0", Some("2")),
        ("metric: invalidValues, arguments: {validValues: [1, 2.5]}, mustBe: 0", None),
        ("metric: invalidValues, arguments: {validValues: ['1.00']}, mustBe: 0", Some("1")),
        ("metric: duplicateValues, mustBe: 0", Some("1")),
    ] {
        assert_eq!(breach(rule, &rows).as_deref(), found, "{rule}");
    }
}

#[test]
fn a_null_is_like_no_other_one() {
    let text = contract(
        "  - {name: a}\n  - {name: b}\n  quality: [{metric: duplicateValues, arguments: \
         {properties: [a, b]}, mustBe: 0}]\n",
    );
    let of_text = json!({ "type": ["string", "null"] });
    let stream = stream(&json!({ "a": of_text, "b": of_text }));
    let end =
        |rows: &[Value]| through(guard(&text, &json!({})).unwrap(), &stream, rows).unwrap().end;
    end(&[json!(["x", null]), json!(["x", null]), json!([null, null]), json!([null, null])])
        .unwrap();
    end(&[json!(["x", "y"]), json!(["x", "y"])]).unwrap_err();
}

#[test]
fn a_key_has_a_value() {
    let null = json!({ "on_violation": "null" });
    let of_text = json!({ "type": ["string", "null"] });
    let property = "primaryKey: true, logicalType: integer";
    let found = of_column(property, &of_text, &null, &["7", "x", "NULL"]);
    assert_eq!(found[0], "7");
    assert!(found[1].starts_with("a: ") && found[2].starts_with("a: it is required"), "{found:?}");
    // And so has the key that the tap names.
    let text = contract("  - {name: a, logicalType: integer}\n");
    let schema = json!({ "properties": { "a": of_text } });
    let stream = Stream::new("s", schema.as_object().unwrap().clone(), vec!["a".to_owned()]);
    let told = through(guard(&text, &null).unwrap(), &stream, &[json!(["x"])]).unwrap();
    assert!(told.rows[0].is_err());
}

#[test]
fn what_was_meant_to_protect_is_not_passed_over() {
    let column =
        |custom: &str| contract(&format!("  - {{name: a, customProperties: [{custom}]}}\n"));
    let of_stream =
        |custom: &str| contract(&format!("  - {{name: a}}\n  customProperties: [{custom}]\n"));
    for text in [
        column("{property: Protect, value: mask}"),
        column("{property: 'protect ', value: mask}"),
        column("{property: protct, value: mask}"),
        column("{property: protection, value: Hash}"),
        column("{property: protect, value: mask}, {property: protect, value: keep}"),
        column("{property: protect, value: ''}"),
        column("{property: protect, value: [mask]}"),
        column("{property: protect, value: {a: mask}}"),
        contract("  - {name: a, protect: mask}\n"),
        contract("  - {name: a, classification: '  '}\n"),
        of_stream("{property: protect, value: mask}"),
        column("{property: x, value: 1}").replace(
            "id: c\n",
            "id: c\ncustomProperties: \
            [{property: protect, value: mask}]\n",
        ),
        contract("  - {name: a, items: {customProperties: [{property: protect, value: drop}]}}\n"),
        contract("  - {name: 1_000}\n"),
    ] {
        let failure = guard(&text, &json!({})).err().unwrap();
        assert_eq!(failure.kind(), ErrorKind::Config, "{text}");
    }
    for custom in ["{property: project, value: shop}", "{property: protocol, value: https}"] {
        guard(&column(custom), &json!({})).unwrap();
    }
}

#[test]
fn a_name_that_is_almost_that_of_a_protected_one_does_not_pass() {
    let text = contract("  - {name: a, customProperties: [{property: protect, value: mask}]}\n");
    let schema = json!({ "properties": { "a": {} } });
    let named = |name: &str, settings: &Value| {
        let stream = Stream::new(name, schema.as_object().unwrap().clone(), Vec::new());
        guard(&text, settings).unwrap().routes(&stream).err().map(|failure| failure.kind())
    };
    for name in ["S", "public-s", "public.S"] {
        assert_eq!(named(name, &json!({})), Some(ErrorKind::Config), "{name}");
        assert_eq!(named(name, &json!({ "extra_columns": "drop" })), None, "{name}");
    }
    assert_eq!(named("orders", &json!({})), None);
    let null = json!({ "missing_columns": "null" });
    let has = |properties: &Value| guard(&text, &null).unwrap().routes(&stream(properties)).is_ok();
    assert!(!has(&json!({ "A": {} })));
    assert!(has(&json!({ "b": {} })));
}

#[test]
fn parts_have_a_class_or_the_gate_is_shut() {
    let listed = "  - name: v\n    properties:\n    - {name: a, classification: restricted, \
                  customProperties: [{property: protect, value: mask}]}\n";
    let gate = json!({ "require_classification": true });
    let declared = |members: &Value| json!({ "v": { "type": "object", "properties": members } });
    let route = |properties: &Value| {
        let mut guard = guard(&contract(listed), &gate).unwrap();
        guard.routes(&stream(properties)).map(|_| ()).map_err(|failure| failure.to_string())
    };
    route(&declared(&json!({ "a": {} }))).unwrap();
    let failure = route(&declared(&json!({ "a": {}, "b": {} }))).unwrap_err();
    assert!(failure.contains("columns: v.b"), "{failure}");
    // A member that nothing declares has no class, either.
    let rows = [json!([r#"{"a":"x"}"#]), json!([r#"{"a":"x","b":"SECRET"}"#])];
    let told = through(
        guard(&contract(listed), &gate).unwrap(),
        &stream(&json!({ "v": { "type": "object" } })),
        &rows,
    );
    let told = told.unwrap();
    assert_eq!(told.rows[0].as_ref().unwrap(), r#"{"a":"***"}"#);
    assert!(told.rows[1].is_err());
}

#[test]
fn parts_are_what_the_contract_says() {
    let text = contract(
        "  - name: v\n    logicalType: object\n    properties:\n\
         \x20   - {name: zip, logicalType: string, required: true, logicalTypeOptions: {pattern: \
         '^[0-9]+$'}}\n\
         \x20   - name: l\n      items: {logicalType: integer, logicalTypeOptions: {minimum: 1}}\n\
         \x20   - {name: day, logicalType: date}\n",
    );
    let stream = stream(&json!({ "v": { "type": "object" } }));
    for (value, part) in [
        (r#"{"zip":"123","l":[1,2.0,null],"day":"2026-01-31","more":[{}]}"#, None),
        (r#"{"zip":"x"}"#, Some("zip")),
        (r#"{"zip":1}"#, Some("zip")),
        (r#"{"zip":null}"#, Some("zip")),
        ("{}", Some("zip")),
        (r#"{"zip":"1","l":[1,0]}"#, Some("l")),
        (r#"{"zip":"1","l":[1.5]}"#, Some("l")),
        (r#"{"zip":"1","day":"31.01.2026"}"#, Some("day")),
    ] {
        let rows = [json!([value])];
        let told = through(guard(&text, &json!({})).unwrap(), &stream, &rows).unwrap();
        let found = told.rows[0].as_ref().err();
        assert_eq!(found.and_then(|failure| failure.context("part")), part, "{value}");
    }
}

#[test]
fn options_without_effect_are_noted_and_impossible_ones_refused() {
    let unused = |property: &str| {
        let text = contract(&format!("  - {{name: a, {property}}}\n"));
        let contract = Contract::from_text(&text, std::path::Path::new("c"))?;
        Ok::<_, singer::Error>(
            contract.unused.into_iter().map(|(what, _)| what).collect::<Vec<_>>(),
        )
    };
    for (property, expected) in [
        ("logicalType: string, logicalTypeOptions: {format: phone}", "`format` of s.a"),
        ("logicalType: integer, logicalTypeOptions: {format: int32}", "`format` of s.a"),
        ("logicalType: number, logicalTypeOptions: {minLength: 2}", "`minLength` of s.a"),
        (
            "logicalType: number, customProperties: [{property: trueValues, value: [x]}]",
            "`trueValues` of s.a",
        ),
        (
            "quality: [{metric: invalidValues, arguments: {pattern: x, validvalue: b}, mustBe: 0}]",
            "unknown part `validvalue` of invalidValues of s.a",
        ),
    ] {
        assert_eq!(unused(property).unwrap(), [expected], "{property}");
    }
    for property in [
        "logicalType: integer, logicalTypeOptions: {format: u128, minimum: 0}",
        "logicalType: string, logicalTypeOptions: {pattern: ''}",
        "logicalType: boolean, customProperties: [{property: falseValues, value: ['']}]",
    ] {
        assert!(unused(property).unwrap().is_empty(), "{property}");
    }
    for property in [
        "logicalType: string, logicalTypeOptions: {minLength: 3, maxLength: 2}",
        "quality: [{metric: invalidValues, mustBe: 0}]",
        "quality: [{metric: missingValues, mustBe: 0}]",
        "quality: [{metric: nullValues, mustBe: 0, unit: Percent}]",
        "quality: [{metric: nullValues, mustBeBetween: [3, 2]}]",
    ] {
        assert_eq!(unused(property).unwrap_err().kind(), ErrorKind::Config, "{property}");
    }
}

#[test]
fn limits_compare_times_and_not_their_texts() {
    let of = |format: &str| json!({ "type": "string", "format": format });
    for (schema, options, value, fits) in [
        (
            of("time"),
            "logicalType: time, logicalTypeOptions: {maximum: '17:00:00'}",
            "17:00:00.000",
            true,
        ),
        (
            of("time"),
            "logicalType: time, logicalTypeOptions: {maximum: '17:00:00'}",
            "17:00:01",
            false,
        ),
        (
            of("date"),
            "logicalType: date, logicalTypeOptions: {minimum: '2024-01-01'}",
            "10000-01-01",
            true,
        ),
        (
            of("date"),
            "logicalType: date, logicalTypeOptions: {minimum: '2024-01-01'}",
            "0044-03-15 BC",
            false,
        ),
        (
            of("date-time"),
            "logicalType: timestamp, logicalTypeOptions: {minimum: '2024-01-01'}",
            "2024-01-01T01:30:00+01:00",
            true,
        ),
        (
            of("date-time"),
            "logicalType: timestamp, logicalTypeOptions: {minimum: '2024-01-01T00:00:00'}",
            "2023-12-31T23:59:59Z",
            false,
        ),
        (
            json!({ "type": "number" }),
            "logicalType: number, logicalTypeOptions: {multipleOf: 0.1}",
            "1e400",
            true,
        ),
        (
            json!({ "type": "number" }),
            "logicalType: number, logicalTypeOptions: {multipleOf: 0.3}",
            "1e400",
            false,
        ),
    ] {
        let found = of_column(options, &schema, &json!({}), &[value]);
        assert_eq!(found[0] == value, fits, "{options} {value}: {found:?}");
    }
}

#[test]
fn a_column_that_is_left_out_is_judged_before() {
    let text = contract(
        "  - {name: mail, unique: true, customProperties: [{property: protect, value: drop}]}\n\
         \x20 - {name: a}\n",
    );
    let stream = stream(&json!({ "mail": { "type": "string" }, "a": { "type": "string" } }));
    let rows = [json!(["x@example.com", "1"]), json!(["x@example.com", "2"])];
    let settings = json!({ "on_violation": "reject" });
    let told = through(guard(&text, &settings).unwrap(), &stream, &rows).unwrap();
    assert_eq!(told.properties, json!({ "a": { "type": "string" } }));
    assert_eq!(told.rows[0].as_ref().unwrap(), "1");
    let failure = told.rows[1].as_ref().unwrap_err();
    assert!(!format!("{failure:?}").contains("example"), "{failure:?}");
}

#[test]
fn a_row_that_is_set_aside_leaves_no_value_behind() {
    let text = contract("  - {name: a, unique: true}\n  - {name: n, logicalType: integer}\n");
    let stream = stream(&json!({ "a": { "type": "string" }, "n": { "type": "string" } }));
    let rows = [json!(["x", "bad"]), json!(["x", "1"]), json!(["x", "2"])];
    let settings = json!({ "on_violation": "reject" });
    let told = through(guard(&text, &settings).unwrap(), &stream, &rows).unwrap();
    let found: Vec<bool> = told.rows.iter().map(Result::is_ok).collect();
    assert_eq!(found, [false, true, false]);
}

#[test]
fn a_deletion_needs_its_key_only() {
    let text = contract(
        "  - {name: id, primaryKey: true}\n  - {name: n, required: true}\n\
         \x20 quality: [{metric: rowCount, mustBe: 1}]\n",
    );
    let stream = stream(&json!({ "id": { "type": "string" }, "n": { "type": ["string", "null"] },
        "_sdc_deleted_at": { "type": ["string", "null"], "format": "date-time" } }));
    let at = "2026-01-31T00:00:00Z";
    let rows = [json!(["1", "x", null]), json!(["1", null, at]), json!([null, null, at])];
    let settings = json!({ "on_violation": "reject" });
    let told = through(guard(&text, &settings).unwrap(), &stream, &rows).unwrap();
    let found: Vec<bool> = told.rows.iter().map(Result::is_ok).collect();
    assert_eq!(found, [true, true, false]);
    told.end.unwrap();
    let settings = json!({ "row_hash": {} });
    let told = through(guard(&text, &settings).unwrap(), &stream, &rows[1..2]).unwrap();
    assert_eq!(told.rows[0].as_ref().unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_contract_may_describe_the_row_hash() {
    let text = contract("  - {name: a}\n  - {name: _row_hash, primaryKey: true}\n");
    let properties = json!({ "a": { "type": "string" } });
    let settings = json!({ "row_hash": {} });
    let told = through(guard(&text, &settings).unwrap(), &stream(&properties), &[]).unwrap();
    assert_eq!(told.keys, ["_row_hash"]);
}

#[test]
fn a_wide_contract_is_compiled_at_once() {
    use std::fmt::Write as _;
    let (mut text, mut properties) = (String::new(), serde_json::Map::new());
    for at in 0..20_000 {
        let _ = writeln!(text, "  - {{name: c{at}}}");
        properties.insert(format!("c{at}"), json!({ "type": "string" }));
    }
    let mut guard = guard(&contract(&text), &json!({})).unwrap();
    assert!(guard.routes(&stream(&Value::Object(properties))).unwrap().is_some());
}
