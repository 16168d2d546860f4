//! Changes between versions of a contract, and which of them break.

use std::path::Path;

use super::*;

const HEAD: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\n\
                    status: active\nschema:\n";

fn changes(old: &str, new: &str) -> Vec<String> {
    let read = |text: &str| {
        let text = format!("{HEAD}- name: s\n  properties:\n  - {{name: k}}\n{text}");
        Contract::from_text(&text, Path::new("c.yaml")).unwrap()
    };
    let told = |change: Change| {
        let mark = if change.breaking { "! " } else { "" };
        let column = change.column.map_or(String::new(), |column| column + ": ");
        format!("{mark}{column}{}", change.change)
    };
    compare(&read(old), &read(new)).into_iter().map(told).collect()
}

#[test]
fn each_change_is_named_and_judged() {
    let check = |old: &str, new: &str, forward: &[&str], back: &[&str]| {
        assert_eq!(changes(old, new), forward, "{old} -> {new}");
        assert_eq!(changes(new, old), back, "{new} -> {old}");
        assert_eq!(changes(old, old), [""; 0]);
    };
    let one = |more: &str| format!("  - {{name: c{more}}}\n");
    check("", &one(""), &["c: column added"], &["! c: column removed"]);
    let required = one(", required: true");
    check("", &required, &["! c: required column added"], &["! c: column removed"]);
    check(&one(""), &required, &["! c: newly required"], &["c: no longer required"]);
    let unique = one(", unique: true");
    check(&one(""), &unique, &["! c: newly unique"], &["c: no longer unique"]);
    let [number, integer, text, date] =
        ["number", "integer", "string", "date"].map(|word| one(&format!(", logicalType: {word}")));
    check(&number, &integer, &["! c: narrower type"], &["! c: wider type"]);
    check(&one(""), &integer, &["! c: narrower type"], &["! c: wider type"]);
    let physical = one(", physicalType: bigint");
    let named = &["c: other `physicalType`"];
    check(&physical, &one(", physicalType: int"), named, named);
    check(&text, &date, &["! c: narrower type"], &["! c: other type"]);
    let key = one(", primaryKey: true");
    check(&one(""), &key, &["! key changed"], &["! key changed"]);
    let protect =
        |word: &str| one(&format!(", customProperties: [{{property: protect, value: {word}}}]"));
    let (added, gone) = ("! c: protection added", "! c: protection taken away");
    check(&one(""), &protect("hash"), &[added], &[gone]);
    check(&protect("keep"), &protect("hash"), &[added], &[gone]);
    let changed = "! c: protection changed";
    check(&protect("mask"), &protect("hash"), &[changed], &[changed]);
    let class = one(", classification: public");
    let (added, gone) = ("c: classification changed", "! c: classification removed");
    check(&one(""), &class, &[added], &[gone]);
}

#[test]
fn options_and_rules_are_compared() {
    let of = |kind: &str, options: &str| {
        format!("  - {{name: c, logicalType: {kind}, logicalTypeOptions: {{{options}}}}}\n")
    };
    let check = |kind: &str, old: &str, new: &str, forward: &str, back: &str| {
        assert_eq!(changes(&of(kind, old), &of(kind, new)), [forward], "{old} -> {new}");
        assert_eq!(changes(&of(kind, new), &of(kind, old)), [back], "{new} -> {old}");
    };
    let (tighter, wider) = ("! c: tighter minimum", "c: wider minimum");
    check("integer", "", "minimum: 1", tighter, wider);
    check("integer", "minimum: 2", "minimum: 10", tighter, wider);
    check("integer", "minimum: 2", "exclusiveMinimum: 2", tighter, wider);
    check("date", "minimum: '2024-01-01'", "minimum: '2025-01-01'", tighter, wider);
    check("integer", "maximum: 10", "maximum: 9", "! c: tighter maximum", "c: wider maximum");
    let (tighter, wider) = ("! c: tighter greatest count", "c: wider greatest count");
    check("string", "maxLength: 10", "maxLength: 9", tighter, wider);
    let (other, gone) = ("! c: other pattern", "c: other pattern");
    check("string", "", "pattern: '^a'", other, gone);
    check("string", "pattern: '^b'", "pattern: '^a'", other, other);
    let (other, wider) = ("! c: other format", "c: wider format");
    check("integer", "format: i64", "format: i32", other, wider);
    check("integer", "format: i32", "format: u32", other, other);
    check("integer", "format: u16", "format: i32", wider, other);
    assert_eq!(changes(&of("number", "maximum: 10"), &of("number", "maximum: 10.0")), [""; 0]);
    let (wider, other) = ("c: wider `multipleOf`", "! c: other `multipleOf`");
    check("integer", "multipleOf: 4", "multipleOf: 2", wider, other);
    let zone = "! c: other `defaultTimezone`";
    check("timestamp", "", "defaultTimezone: Europe/Berlin", zone, zone);
    let rule =
        |bound: &str| format!("  - {{name: c, quality: [{{metric: nullValues, {bound}}}]}}\n");
    let (none, some) = ("  - {name: c}\n".to_owned(), rule("mustBe: 0"));
    assert_eq!(changes(&none, &some), ["! c: rule added"]);
    assert_eq!(changes(&some, &none), ["c: rule removed"]);
    assert_eq!(changes(&none, &rule("mustBe: 0, severity: warning")), ["c: rule added"]);
    let (four, five) = (rule("mustBeLessThan: 4"), rule("mustBeLessThan: 5"));
    assert_eq!(changes(&four, &five), ["c: looser rule"]);
    assert_eq!(changes(&five, &four), ["! c: other rule"]);
    assert_eq!(changes(&some, &four), ["c: looser rule"]);
    let advice = rule("mustBe: 0, severity: warning");
    assert_eq!(changes(&advice, &some), ["! c: other rule"]);
    assert_eq!(changes(&some, &advice), ["c: looser rule"]);
    let values = |words: &str| {
        format!(
            "  - {{name: c, quality: [{{metric: invalidValues, mustBe: 0, arguments: \
             {{validValues: [{words}]}}}}]}}\n"
        )
    };
    let both = ["! c: rule added", "c: rule removed"];
    assert_eq!(changes(&values("a, b"), &values("a")), both);
    let read = |text: &str| {
        let text = format!("{HEAD}- name: s\n  properties:\n{text}");
        Contract::from_text(&text, Path::new("c.yaml")).unwrap()
    };
    let told = compare(&read(&values("a, b")), &read(&values("a")));
    assert_eq!(told[0].after.as_deref(), Some("invalidValues of s.c [a]: 0"));
    assert_eq!(told[1].before.as_deref(), Some("invalidValues of s.c [a, b]: 0"));
}

#[test]
fn parts_of_objects_have_their_path() {
    let of = |part: &str| {
        format!("  - {{name: c, logicalType: object, properties: [{{name: p{part}}}]}}\n")
    };
    assert_eq!(changes(&of(""), &of(", required: true")), ["! c.p: newly required"]);
    let of = |part: &str| format!("  - {{name: c, logicalType: array, items: {{{part}}}}}\n");
    let (old, new) = (of("logicalType: number"), of("logicalType: integer"));
    assert_eq!(changes(&old, &new), ["! c[]: narrower type"]);
}
