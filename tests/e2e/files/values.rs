//! Values of declared types that are not written in the form of the pipe.

use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::run::{Outcome, Run, file, ours, pipe_succeeds};
use support::sshd::Sshd;

use super::lines;

fn tap(path: &Path, more: &Value) -> Run {
    lines::tap(path, &with_delimiter(more))
}

fn read(text: &str, more: &Value) -> Outcome {
    lines::read(text, &with_delimiter(more))
}

fn with_delimiter(more: &Value) -> Value {
    let mut settings = more.clone();
    if settings.get("delimiter").is_none() {
        settings["delimiter"] = ";".into();
    }
    settings
}

const SALES: &str = "id;price;count;day;at;paid;note\n\
                     1;1.234,50;12.000;31.12.2026;31.12.2026 23:59;ja;a\n\
                     2;-0,5;0;1.2.2026;01.02.2026 00:00;nein;k.A.\n\
                     3;;-;;;;\n";

fn settings() -> Value {
    json!({
        "types": {
            "price": "number", "day": "date", "at": "date-time", "paid": "boolean",
            "count": { "type": "integer", "null_values": ["-"] },
            "note": { "type": "string", "null_values": ["k.A."] },
        },
        "decimal": ",", "thousands": ".", "date_format": "D.M.YYYY",
        "datetime_format": "%d.%m.%Y %H:%M", "true_values": ["ja"], "false_values": ["nein"],
    })
}

#[test]
fn values_are_converted_where_their_form_is_declared() {
    let outcome = read(SALES, &settings()).success();
    let text = outcome.text();
    // Digits are copied: no number becomes another one on the way.
    assert!(text.contains("\"price\":1234.50,\"count\":12000,"), "{text}");
    let wanted = json!([
        { "id": 1, "price": 1234.50, "count": 12000, "day": "2026-12-31",
          "at": "2026-12-31T23:59:00", "paid": true, "note": "a" },
        { "id": 2, "price": -0.5, "count": 0, "day": "2026-02-01",
          "at": "2026-02-01T00:00:00", "paid": false, "note": null },
        { "id": 3, "price": null, "count": null, "day": null, "at": null, "paid": null,
          "note": null },
    ]);
    let text = |value: &Value| value.to_string();
    let found = Value::from(outcome.records("t"));
    assert_eq!(text(&found).replace("1234.50", "1234.5"), text(&wanted), "{found}");
    let messages = outcome.messages();
    let schema = messages.iter().find(|message| message["type"] == "SCHEMA").unwrap();
    assert_eq!(schema["schema"]["properties"]["day"]["format"], "date");
    // Nothing is guessed: columns without a declared type stay as they are.
    let none = json!({ "decimal": ",", "thousands": ".", "date_format": "D.M.YYYY" });
    let outcome = read("id;n;d\n1;1,5;1.2.2026\n", &none).success();
    assert_eq!(outcome.records("t"), [json!({ "id": 1, "n": "1,5", "d": "1.2.2026" })]);
}

#[test]
fn tap_sftp_converts_alike_and_postgres_has_the_values() {
    let server = Sshd::start();
    server.put("/in/a.csv", SALES);
    let mut table = settings();
    table["table_name"] = json!("t");
    table["remote_path"] = json!("/in/a.csv");
    table["delimiter"] = json!(";");
    table["key_properties"] = json!(["id"]);
    let mut config = server.settings(&json!([table]));
    config["add_metadata_columns"] = json!(false);
    let target = database("values");
    let load = ours("target-postgres").config(&target.settings_with(&json!({
        "default_target_schema": "public", "add_record_metadata": false,
    })));
    pipe_succeeds(ours("tap-sftp").config(&config), load);
    let sql = "SELECT price, count, day, at::timestamp, paid, note FROM t ORDER BY id";
    assert_eq!(
        target.psql(sql),
        "1234.50|12000|2026-12-31|2026-12-31 23:59:00|t|a\n-0.5|0|2026-02-01|2026-02-01 00:00:00|f|\
         \n|||||"
    );
}

#[test]
fn a_value_in_another_form_is_refused_with_its_place() {
    for (column, value, kind) in [
        ("price", "12.34,5", "number"),
        ("price", "1,234.5", "number"),
        ("price", "0.123", "number"),
        ("price", "1.234,5 EUR", "number"),
        ("price", " 1,5", "number"),
        ("count", "1,0", "integer"),
        ("count", "1.23", "integer"),
        ("count", "007", "integer"),
        ("day", "31.04.2026", "date"),
        ("day", "2026-04-30", "date"),
        ("day", "1.2.26", "date"),
        ("at", "31.12.2026", "date-time"),
        ("at", "31.12.2026 24:00", "date-time"),
        ("paid", "Ja", "boolean"),
        ("paid", "1", "boolean"),
    ] {
        let names = ["id", "price", "count", "day", "at", "paid", "note"];
        let cells = names.map(|name| if name == column { value } else { "" });
        let text = format!("{SALES}{}\n", cells.join(";"));
        let outcome = read(&text, &settings()).exits(65);
        for words in [format!("column: {column}\n"), format!("type: {kind}\n"), "line: 5\n".into()]
        {
            assert!(outcome.stderr.contains(&words), "{value}: {words} {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("reason: "), "{value}: {}", outcome.stderr);
        // Values of records are not shown.
        assert!(!outcome.stderr.contains(value) || value == "1", "{value}: {}", outcome.stderr);
    }
    let scratch = folder();
    let path = file(scratch.path(), "in.csv", format!("{SALES}4;12.34,5;;;;;\n5;2,5;;;;;\n"));
    let rejects = scratch.path().join("rejects.jsonl");
    let tap = tap(&path, &settings()).set("max_rejects", 1).set("rejects_file", rejects.display());
    assert_eq!(tap.go().success().records("t").len(), 4);
    let reject: Value = serde_json::from_slice(&std::fs::read(rejects).unwrap()).unwrap();
    assert_eq!((&reject["line"], &reject["column"]), (&json!(5), &json!("price")), "{reject}");
}

#[test]
fn forms_that_cannot_be_are_refused_before_the_first_row() {
    for (more, words) in [
        (json!({ "types": { "n": "number" }, "decimal": ",", "thousands": "," }), "two purposes"),
        (json!({ "types": { "n": "number" }, "decimal": "comma" }), "decimal"),
        (json!({ "types": { "n": "date" }, "date_format": "DD.MM.YY" }), "two_digit_century_start"),
        (json!({ "types": { "n": "date" }, "date_format": "DD.MM.YYYY HH:MM" }), "month twice"),
        (json!({ "types": { "n": "date" }, "date_format": "%d.%Q.%Y" }), "%Q"),
        (json!({ "types": { "n": { "type": "date", "decimal": "," } } }), "decimal"),
        (json!({ "types": { "n": { "type": "number", "decimals": "," } } }), "decimals"),
        (json!({ "types": { "n": { "decimal": "," } } }), "type"),
        (json!({ "types": { "n": "numbr" } }), "types/n\n"),
        (
            json!({ "types": { "n": "boolean" }, "true_values": ["x"], "false_values": ["x"] }),
            "true and false",
        ),
    ] {
        let outcome = read("n\n1\n", &more).exits(78);
        assert!(outcome.stderr.contains(words), "{more}: no {words:?} in {}", outcome.stderr);
    }
    // Without a column that they are for, and for JSON, they do nothing, which is told.
    let century = json!({ "types": { "n": "date" }, "date_format": "DD.MM.YY",
        "two_digit_century_start": 1970 });
    let outcome = read("n\n31.12.69\n01.01.70\n", &century).success();
    assert_eq!(outcome.records("t"), [json!({ "n": "2069-12-31" }), json!({ "n": "1970-01-01" })]);
    let unused = json!({ "types": { "n": "number" }, "decimal": ",", "date_format": "DD.MM.YYYY",
        "true_values": ["ja"] });
    let told = read("n\n1,5\n", &unused).success().stderr;
    for (name, is_told) in [("decimal", false), ("date_format", true), ("true_values", true)] {
        assert_eq!(told.contains(&format!("`{name}` has no effect on")), is_told, "{told}");
    }
    let scratch = folder();
    let path = file(scratch.path(), "a.jsonl", "{\"n\":1.5}\n");
    let outcome = tap(&path, &json!({ "decimal": "," })).go().success();
    assert!(outcome.stderr.contains("`decimal` has no effect"), "{}", outcome.stderr);
}

#[test]
fn a_time_without_an_offset_gets_one_from_a_setting_or_is_told() {
    let (own, iso) = ("id;t\n1;01.07.2026 12:00\n2;\n", "id;t\n1;2026-07-01T12:00:00\n");
    let check = |text: &str, more: Value, expected: &str, told: bool| {
        let mut settings = more.clone();
        settings["types"] = json!({ "t": "date-time" });
        let outcome = read(text, &settings).success();
        assert_eq!(outcome.records("t")[0]["t"], expected, "{more}");
        assert_eq!(outcome.stderr.matches("W-TIME-UNZONED: ").count(), usize::from(told), "{more}");
    };
    let format = "DD.MM.YYYY HH:mm";
    check(own, json!({ "datetime_format": format }), "2026-07-01T12:00:00", true);
    let zoned = json!({ "datetime_format": format, "datetime_zone": "Europe/Berlin" });
    check(own, zoned, "2026-07-01T12:00:00+02:00", false);
    check(iso, json!({}), "2026-07-01T12:00:00", true);
    check(&format!("{iso}2;2026-07-02T12:00:00\n"), json!({}), "2026-07-01T12:00:00", true);
    check(iso, json!({ "datetime_zone": "UTC" }), "2026-07-01T12:00:00+00:00", false);
    let offset = "id;t\n1;2026-07-01T12:00:00-04:00\n";
    check(offset, json!({}), "2026-07-01T12:00:00-04:00", false);
    check(offset, json!({ "datetime_zone": "Asia/Tokyo" }), "2026-07-01T12:00:00-04:00", false);
    // Clocks are set back: it is two moments.
    let zone = json!({ "types": { "t": "date-time" }, "datetime_zone": "Europe/Berlin" });
    let refused = read("id;t\n1;2026-10-25T02:30:00\n", &zone);
    assert!(refused.exits(65).stderr.contains("its zone has this time twice"));
    let unknown = json!({ "types": { "t": "date-time" }, "datetime_zone": "Berlin" });
    assert!(read(iso, &unknown).exits(78).stderr.contains("cannot find the time zone"));
}
