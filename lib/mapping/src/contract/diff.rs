//! What changed between two versions of a contract, and what of it breaks readers or sources.

use std::fmt::Debug;

use serde::Serialize;

use super::logical::Logical;
use super::model::{Contract, Property, Table};
use super::options::{Limit, Options};
use super::rules::{Rule, RuleChange};
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
    if old.physical != new.physical {
        // Nothing is held to it here: whoever makes the table decides what breaks.
        let (before, after) = (old.physical.clone(), new.physical.clone());
        found.add(false, "other `physicalType`", before, after);
    }
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

/// Compares types: readers of the old one get something else, also where the new one is wider.
fn kinds(old: Option<Logical>, new: Option<Logical>, found: &mut Changes<'_>) {
    use Logical::{Date, Integer, Number, String, Timestamp};
    if old == new {
        return;
    }
    let what = match (old, new) {
        (_, None) | (Some(Integer), Some(Number)) | (Some(Date), Some(Timestamp)) => "wider type",
        (None | Some(String), _)
        | (Some(Number), Some(Integer))
        | (Some(Timestamp), Some(Date)) => "narrower type",
        _ => "other type",
    };
    let word = |kind: Option<Logical>| kind.map(|kind| kind.word().to_owned());
    found.add(true, what, word(old), word(new));
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
    multiples(old, new, found);
    times(&old.of_times, &new.of_times, found);
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

/// Compares `multipleOf`: the multiples of 4 are some of those of 2.
fn multiples(old: &Options, new: &Options, found: &mut Changes<'_>) {
    let number = |options: &Options| options.multiple_of.as_ref().map(|(text, _)| text.clone());
    let (before, after) = (number(old), number(new));
    let whole = |text: &Option<String>| text.as_ref()?.parse::<u64>().ok().filter(|n| *n > 0);
    match (whole(&before), whole(&after)) {
        (Some(one), Some(other)) if one == other => {}
        (Some(one), Some(other)) if one.is_multiple_of(other) => {
            found.add(false, "wider `multipleOf`", before, after);
        }
        _ => found.asked("other `multipleOf`", before, after),
    }
}

/// Compares what is said of times: another zone gives another moment.
fn times(old: &[(String, String)], new: &[(String, String)], found: &mut Changes<'_>) {
    for name in ["timezone", "defaultTimezone", "precision"] {
        let said = |all: &[(String, String)]| {
            all.iter().find(|(known, _)| known == name).map(|(_, said)| said.clone())
        };
        let (before, after) = (said(old), said(new));
        if before != after {
            found.add(name != "precision", &format!("other `{name}`"), before, after);
        }
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
            // 10 and 10.0 are one number.
            if order.is_eq() && old.excluded == new.excluded {
                return;
            }
            if order.is_eq() { new.excluded && !old.excluded } else { order.is_gt() == is_low }
        }
    };
    found.add(is_tighter, &of_limit(is_tighter, what), before, after);
}

fn of_limit(is_tighter: bool, what: &str) -> String {
    format!("{} {what}", if is_tighter { "tighter" } else { "wider" })
}

fn rules(old: &[Rule], new: &[Rule], found: &mut Changes<'_>) {
    let line = found.line;
    let mut before: Vec<&Rule> = old.iter().collect();
    // What is the same is taken first, so that two rules of one column are not mixed up.
    let mut left = Vec::new();
    for rule in new {
        let is_same =
            |known: &&Rule| known.counts_as(rule) && known.becomes(rule) == RuleChange::Same;
        match before.iter().position(is_same) {
            Some(at) => drop(before.remove(at)),
            None => left.push(rule),
        }
    }
    for rule in left {
        found.line = rule.line();
        let Some(at) = before.iter().position(|known| known.counts_as(rule)) else {
            found.add(!rule.is_advice(), "rule added", None, Some(rule.words()));
            continue;
        };
        let known = before.remove(at);
        let is_looser = known.becomes(rule) == RuleChange::Looser;
        let what = if is_looser { "looser rule" } else { "other rule" };
        found.add(!is_looser, what, Some(known.words()), Some(rule.words()));
    }
    for rule in before {
        found.line = rule.line();
        found.add(false, "rule removed", Some(rule.words()), None);
    }
    found.line = line;
}

fn lower(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests;
