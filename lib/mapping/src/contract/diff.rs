//! What changed between two versions of a contract, and what of it breaks readers or sources.

use std::fmt::Debug;

use serde::Serialize;

use super::logical::Logical;
use super::model::{Contract, Property, Table};
use super::options::{Limit, Options};
use super::rules::Rule;
use crate::protect::Protection;

/// A difference between two versions of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Rows that kept the old version may breach the new one, or readers get something else.
    pub breaking: bool,
    /// The stream.
    pub stream: String,
    /// The column, or the path of a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What changed, in words.
    pub change: String,
    /// What the old version says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What the new version says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The line of the new version; of the old one, where the new one has nothing.
    pub line: u64,
}

/// Compares two versions of a contract, in the order of the new one; what it lacks comes last.
pub fn compare(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut all = Vec::new();
    for table in &new.tables {
        let mut found = Changes { stream: &table.name, column: None, line: table.spot.line, all };
        match old.tables.iter().find(|known| known.name == table.name) {
            Some(before) => tables(before, table, &mut found),
            None => found.add(false, "stream added", None, None),
        }
        all = found.all;
    }
    for table in &old.tables {
        if new.tables.iter().all(|known| known.name != table.name) {
            let mut found =
                Changes { stream: &table.name, column: None, line: table.spot.line, all };
            found.add(true, "stream removed", None, None);
            all = found.all;
        }
    }
    all
}

/// The changes that were found, and where they belong.
struct Changes<'a> {
    stream: &'a str,
    column: Option<String>,
    line: u64,
    all: Vec<Change>,
}

impl Changes<'_> {
    fn add(&mut self, breaking: bool, what: &str, before: Option<String>, after: Option<String>) {
        self.all.push(Change {
            breaking,
            stream: self.stream.to_owned(),
            column: self.column.clone(),
            change: what.to_owned(),
            before,
            after,
            line: self.line,
        });
    }

    /// Adds a change that breaks, unless the new version merely stops to ask for something.
    fn asked(&mut self, what: &str, before: Option<String>, after: Option<String>) {
        if before == after {
            return;
        }
        self.add(after.is_some(), what, before, after);
    }
}

fn tables(old: &Table, new: &Table, found: &mut Changes<'_>) {
    let keys = [old, new].map(|table| {
        let mut keys: Vec<&Property> =
            table.properties.iter().filter(|property| property.key.is_some()).collect();
        keys.sort_by_key(|property| property.key);
        let names: Vec<&str> = keys.into_iter().map(|property| property.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    });
    let [before, after] = keys;
    if before != after {
        found.add(true, "key changed", before, after);
    }
    if old.names != new.names {
        let word = |names: Option<_>| names.map(|names: super::model::Names| lower(&names));
        found.add(true, "spelling of names changed", word(old.names), word(new.names));
    }
    rules(&old.rules, &new.rules, found);
    properties(&old.properties, &new.properties, None, found);
}

fn properties(old: &[Property], new: &[Property], above: Option<&str>, found: &mut Changes<'_>) {
    let path = |property: &Property| match above {
        Some(above) => format!("{above}.{}", property.name),
        None => property.name.clone(),
    };
    for property in new {
        (found.column, found.line) = (Some(path(property)), property.spot.line);
        match old.iter().find(|known| known.name == property.name) {
            Some(before) => one(before, property, found),
            None if property.required => {
                found.add(true, "required column added", None, None);
            }
            None => found.add(false, "column added", None, None),
        }
    }
    for property in old {
        if new.iter().all(|known| known.name != property.name) {
            (found.column, found.line) = (Some(path(property)), property.spot.line);
            found.add(true, "column removed", None, None);
        }
    }
}

fn one(old: &Property, new: &Property, found: &mut Changes<'_>) {
    kinds(old.logical, new.logical, found);
    if old.required != new.required {
        let what = if new.required { "newly required" } else { "no longer required" };
        found.add(new.required, what, None, None);
    }
    if old.unique != new.unique {
        let what = if new.unique { "newly unique" } else { "no longer unique" };
        found.add(new.unique, what, None, None);
    }
    protection(old.protection, new.protection, found);
    if old.classification != new.classification {
        let what = match new.classification {
            Some(_) => "classification changed",
            None => "classification removed",
        };
        let (before, after) = (old.classification.clone(), new.classification.clone());
        found.add(new.classification.is_none(), what, before, after);
    }
    options(&old.options, &new.options, found);
    rules(&old.rules, &new.rules, found);
    let (path, line) = (found.column.clone(), found.line);
    match (old.items.as_deref(), new.items.as_deref()) {
        (Some(old), Some(new)) => {
            (found.column, found.line) = (path.clone().map(|path| path + "[]"), new.spot.line);
            one(old, new, found);
        }
        (Some(_), None) => found.add(true, "elements removed", None, None),
        (None, Some(_)) => found.add(false, "elements added", None, None),
        (None, None) => {}
    }
    properties(&old.properties, &new.properties, path.as_deref(), found);
    (found.column, found.line) = (path, line);
}

fn kinds(old: Option<Logical>, new: Option<Logical>, found: &mut Changes<'_>) {
    use Logical::{Date, Integer, Number, String, Timestamp};
    if old == new {
        return;
    }
    let is_wider = matches!(
        (old, new),
        (_, None) | (Some(Integer), Some(Number)) | (Some(Date), Some(Timestamp))
    );
    let is_narrower = matches!(
        (old, new),
        (None | Some(String), _) | (Some(Number), Some(Integer)) | (Some(Timestamp), Some(Date))
    );
    let what = match (is_wider, is_narrower) {
        (true, _) => "wider type",
        (_, true) => "narrower type",
        _ => "other type",
    };
    let word = |kind: Option<Logical>| kind.map(|kind| kind.word().to_owned());
    found.add(!is_wider, what, word(old), word(new));
}

fn protection(old: Option<Protection>, new: Option<Protection>, found: &mut Changes<'_>) {
    let hides = |protection: &Protection| *protection != Protection::Keep;
    let (old, new) = (old.filter(hides), new.filter(hides));
    if old == new {
        return;
    }
    let what = match (old, new) {
        (Some(_), None) => "protection taken away",
        (None, Some(_)) => "protection added",
        _ => "protection changed",
    };
    let word = |protection: Option<Protection>| {
        protection.map(|protection| match protection {
            Protection::Generalise(how) => format!("generalise {}", lower(&how)),
            protection => protection.word().to_owned(),
        })
    };
    found.add(true, what, word(old), word(new));
}

fn options(old: &Options, new: &Options, found: &mut Changes<'_>) {
    formats(old.format.as_deref(), new.format.as_deref(), found);
    let pattern = |options: &Options| options.pattern.as_ref().map(ToString::to_string);
    found.asked("other pattern", pattern(old), pattern(new));
    for (what, old, new, is_low) in
        [("minimum", &old.low, &new.low, true), ("maximum", &old.high, &new.high, false)]
    {
        limit(what, old.as_ref(), new.as_ref(), is_low, found);
    }
    for (what, old, new, is_low) in [
        ("least count", old.count_min, new.count_min, true),
        ("greatest count", old.count_max, new.count_max, false),
    ] {
        if old == new {
            continue;
        }
        let is_tighter = match (old, new) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => (new > old) == is_low,
        };
        let word = |count: Option<u64>| count.map(|count| count.to_string());
        found.add(is_tighter, &of_limit(is_tighter, what), word(old), word(new));
    }
    let multiple =
        |options: &Options| options.multiple_of.as_ref().map(|(number, _)| number.clone());
    found.asked("other `multipleOf`", multiple(old), multiple(new));
    if old.unique_items != new.unique_items {
        let what = if new.unique_items { "elements newly unique" } else { "elements not unique" };
        found.add(new.unique_items, what, None, None);
    }
    let more: Vec<&String> =
        new.members.iter().filter(|name| !old.members.contains(name)).collect();
    let fewer = old.members.iter().any(|name| !new.members.contains(name));
    if !more.is_empty() || fewer {
        let word = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
        found.add(!more.is_empty(), "required members", word(&old.members), word(&new.members));
    }
    let written = |options: &Options| format!("{:?}", options.written);
    if written(old) != written(new) {
        found.add(true, "values are read in another way", None, None);
    }
}

/// Compares formats: those of integers have an order.
fn formats(old: Option<&str>, new: Option<&str>, found: &mut Changes<'_>) {
    if old == new {
        return;
    }
    let range = |format: &str| {
        let bits = format.get(1..)?.parse::<u32>().ok()?;
        match format.get(..1)? {
            "i" => Some((bits, bits)),
            // Of numbers from zero on, one bit more.
            "u" => Some((0, bits + 1)),
            _ => None,
        }
    };
    let is_wider = match (old.and_then(range), new) {
        (_, None) => true,
        (Some(old), Some(new)) => range(new).is_some_and(|new| new.0 >= old.0 && new.1 >= old.1),
        _ => false,
    };
    let what = if is_wider { "wider format" } else { "other format" };
    found.add(!is_wider, what, old.map(str::to_owned), new.map(str::to_owned));
}

fn limit(
    what: &str,
    old: Option<&Limit>,
    new: Option<&Limit>,
    is_low: bool,
    found: &mut Changes<'_>,
) {
    let word = |limit: &Limit| {
        format!("{}{}", limit.text, if limit.excluded { " (excluded)" } else { "" })
    };
    let (before, after) = (old.map(word), new.map(word));
    if before == after {
        return;
    }
    let is_tighter = match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => {
            let order = match (old.text.parse::<f64>(), new.text.parse::<f64>()) {
                (Ok(old), Ok(new)) => new.total_cmp(&old),
                // Dates in the form of ISO 8601.
                _ => new.text.cmp(&old.text),
            };
            if order.is_eq() { new.excluded && !old.excluded } else { order.is_gt() == is_low }
        }
    };
    found.add(is_tighter, &of_limit(is_tighter, what), before, after);
}

fn of_limit(is_tighter: bool, what: &str) -> String {
    format!("{} {what}", if is_tighter { "tighter" } else { "wider" })
}

fn rules(old: &[Rule], new: &[Rule], found: &mut Changes<'_>) {
    let same = |all: &[Rule], rule: &Rule| all.iter().any(|known| known.means() == rule.means());
    let line = found.line;
    for rule in new.iter().filter(|rule| !same(old, rule)) {
        found.line = rule.line();
        found.add(!rule.is_advice(), "rule added", None, Some(rule.words()));
    }
    for rule in old.iter().filter(|rule| !same(new, rule)) {
        found.line = rule.line();
        found.add(false, "rule removed", Some(rule.words()), None);
    }
    found.line = line;
}

fn lower(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
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
        let [number, integer, text, date] = ["number", "integer", "string", "date"]
            .map(|word| one(&format!(", logicalType: {word}")));
        check(&number, &integer, &["! c: narrower type"], &["c: wider type"]);
        check(&one(""), &integer, &["! c: narrower type"], &["c: wider type"]);
        check(&text, &date, &["! c: narrower type"], &["! c: other type"]);
        let key = one(", primaryKey: true");
        check(&one(""), &key, &["! key changed"], &["! key changed"]);
        let protect = |word: &str| {
            one(&format!(", customProperties: [{{property: protect, value: {word}}}]"))
        };
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
        let rule =
            |bound: &str| format!("  - {{name: c, quality: [{{metric: nullValues, {bound}}}]}}\n");
        let (none, some) = ("  - {name: c}\n".to_owned(), rule("mustBe: 0"));
        assert_eq!(changes(&none, &some), ["! c: rule added"]);
        assert_eq!(changes(&some, &none), ["c: rule removed"]);
        assert_eq!(changes(&none, &rule("mustBe: 0, severity: warning")), ["c: rule added"]);
        let both = ["! c: rule added", "c: rule removed"];
        assert_eq!(changes(&some, &rule("mustBeLessThan: 3")), both);
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
}
