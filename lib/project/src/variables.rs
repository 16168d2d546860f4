//! Variables: those of the process, of `.env`, and of the project, and `${NAME}` in settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

use crate::day::DAY_VARIABLES;
use crate::warning;
use crate::warnings::Warnings;
use crate::{dotenv, spelled};

/// Names and values; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// Of values that others are a part of: those that were not there.
    lacking: BTreeMap<String, BTreeSet<String>>,
}

/// What settings lack. The rule: a setting that has not all that is written in it is reported, be
/// it left out or shorter.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// Variables of settings that are left out, as they are nothing else, by the settings' names.
    pub left_out: BTreeMap<String, BTreeSet<String>>,
    /// Variables that settings lack a part for, by the settings' names.
    pub shortened: BTreeMap<String, BTreeSet<String>>,
    /// Empty variables that stand for a whole part of a name or path, by the settings' names.
    pub emptied: BTreeMap<String, BTreeSet<String>>,
    at: Vec<String>,
}

impl Missing {
    /// Returns the names of the variables that are not set.
    pub fn names(&self) -> BTreeSet<&str> {
        let shortened = self.shortened.values().flatten();
        shortened.chain(self.left_out.values().flatten()).map(String::as_str).collect()
    }
}

impl Variables {
    /// Takes the environment of this process, and values given for this run, over `.env` of the
    /// project's folder, if there is one.
    pub fn of_process(
        root: &Path,
        given: &[(String, String)],
        warnings: &Warnings,
    ) -> Result<Self> {
        let mut process = Self::default();
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                process.set(name, value);
            }
        }
        for (name, value) in given {
            process.set(name, value);
        }
        let mut all = of_file(&root.join(".env"), &process, warnings)?;
        all.values.append(&mut process.values);
        Ok(all)
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Sets a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.lacking.remove(&name);
        self.values.insert(name, value.into());
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        self.lacking.remove(name);
        self.values.remove(name);
    }

    /// Returns all of them in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }

    /// Builds variables of blocks: what nothing below a block has is what it is in the end.
    pub fn settled(build: impl Fn(&Self) -> Self) -> Self {
        let mut above = Self::default();
        loop {
            let all = build(&above);
            let mut whole = all.clone();
            whole.values.retain(|name, _| !all.lacking.contains_key(name));
            whole.lacking.clear();
            if all.lacking.is_empty() || whole.values.len() <= above.values.len() {
                return all;
            }
            above = whole;
        }
    }

    /// Adds an `env` block of the project, its values expanded, numbers as they are spelled. The
    /// process' own values win. A variable in a value is what it was before the block; one that is
    /// new in the block is what it is there; one that is not there either is what it is `above`.
    pub fn add_block(&mut self, block: &Value, process: &Self, above: &Self) {
        let mut before = self.clone();
        let mut known: BTreeSet<String> = before.values.keys().cloned().collect();
        for (name, value) in &above.values {
            if !known.contains(name) {
                before.values.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in block.as_object().into_iter().flatten() {
            if process.get(name).is_some() {
                continue;
            }
            let Some(text) = spelled::text(value) else { continue };
            let mut lacking = BTreeSet::new();
            let value = before.expand(&text, &mut lacking);
            if known.insert(name.clone()) {
                before.set_lacking(name, &value, lacking.clone());
            }
            self.set_lacking(name, &value, lacking);
        }
    }

    fn set_lacking(&mut self, name: &str, value: &str, lacking: BTreeSet<String>) {
        self.set(name, value);
        if !lacking.is_empty() {
            self.lacking.insert(name.to_owned(), lacking);
        }
    }

    /// Puts values in place of `${NAME}` and `$NAME` (upper case); behind a backslash they stand
    /// for themselves. A name without a value gives nothing, and is added to `missing`, also where
    /// the value of another name wants it; an empty day is none.
    pub fn expand(&self, text: &str, missing: &mut BTreeSet<String>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            let Some((name, after)) = name(&from[1..]) else {
                out.push_str(before);
                out.push('$');
                rest = &from[1..];
                continue;
            };
            if let Some(before) = before.strip_suffix('\\') {
                out.push_str(before);
                out.push_str(&from[..from.len() - after.len()]);
            } else {
                out.push_str(before);
                match self.get(name).filter(|text| !text.is_empty() || !is_day(name)) {
                    Some(value) => out.push_str(value),
                    None => drop(missing.insert(name.to_owned())),
                }
                missing.extend(self.lacking.get(name).into_iter().flatten().cloned());
            }
            rest = after;
        }
        out + rest
    }

    /// Expands all texts of a value; one that is empty for want of a variable becomes null.
    pub fn expand_value(&self, value: &Value, missing: &mut Missing) -> Value {
        match value {
            Value::String(text) => self.expand_text(text, missing),
            Value::Array(items) => {
                items.iter().map(|item| self.expand_item(item, missing)).collect()
            }
            Value::Object(members) => {
                let expand = |(name, value): (&String, &Value)| {
                    (name.clone(), self.expand_member(name, value, missing))
                };
                Value::Object(members.iter().map(expand).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// Expands an item of a list; one that is nothing but a variable without a value is empty, as
    /// for Meltano.
    fn expand_item(&self, item: &Value, missing: &mut Missing) -> Value {
        if let Value::String(text) = item {
            let mut lacking = BTreeSet::new();
            if self.expand(text, &mut lacking).is_empty() && !lacking.is_empty() {
                missing.shortened.entry(missing.at.join(".")).or_default().append(&mut lacking);
                return Value::from("");
            }
        }
        self.expand_value(item, missing)
    }

    /// Expands the value of a setting.
    pub fn expand_member(&self, name: &str, value: &Value, missing: &mut Missing) -> Value {
        missing.at.push(name.to_owned());
        let expanded = self.expand_value(value, missing);
        missing.at.pop();
        expanded
    }

    fn expand_text(&self, text: &str, missing: &mut Missing) -> Value {
        let mut lacking = BTreeSet::new();
        let expanded = self.expand(text, &mut lacking);
        let emptied = self.emptied(text);
        let name = missing.at.join(".");
        if expanded.is_empty() && !lacking.is_empty() {
            missing.left_out.entry(name).or_default().append(&mut lacking);
            return Value::Null;
        }
        if !emptied.is_empty() {
            missing.emptied.entry(name.clone()).or_default().extend(emptied);
        }
        if !lacking.is_empty() {
            missing.shortened.entry(name).or_default().append(&mut lacking);
        }
        Value::String(expanded)
    }

    /// Returns the names of a text whose values are empty where they stand for a whole part of it:
    /// what is left is a name or path with a hole, such as `in//` or `schema_`.
    fn emptied(&self, text: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (at, _) in text.match_indices('$') {
            let (before, from) = text.split_at(at);
            let Some((name, after)) = name(&from[1..]).filter(|_| !before.ends_with('\\')) else {
                continue;
            };
            let (left, right) = (before.chars().next_back(), after.chars().next());
            let is_mark = |c: char| "/_-.".contains(c);
            let is_part = left.is_none_or(is_mark) && right.is_none_or(is_mark);
            if is_part
                && before.len() + after.len() > 0
                && self.get(name) == Some("")
                && !is_day(name)
            {
                names.insert(name.to_owned());
            }
        }
        names
    }
}

fn is_day(name: &str) -> bool {
    DAY_VARIABLES.contains(&name)
}

/// Returns the names of the variables that a text is made of.
pub(crate) fn names_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    Variables::default().expand(text, &mut names);
    names
}

/// Reads `.env`: a name in braces has the value of the process, or else that of a line above. What
/// has no effect is reported by its line; a value is never shown, as it may be a secret.
fn of_file(path: &Path, process: &Variables, warnings: &Warnings) -> Result<Variables> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(cause) => {
            return Err(Error::new(ErrorKind::Config, "cannot read the variables of .env")
                .with("path", path.display())
                .caused_by(cause)
                .hint("the file must be readable and UTF-8"));
        }
    };
    let dotenv::Statements { variables, odd } = dotenv::read(&text);
    for line in odd {
        warnings.warn_once(warning!(
            "W-PROJECT-UNUSED",
            ".env, line {line}: it is left out, because it is not NAME=value; a value that begins \
             with a quote must end with one"
        ));
    }
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for variable in variables {
        if variable.value.is_none() {
            warnings.warn_once(warning!(
                "W-PROJECT-UNUSED",
                ".env, line {}: a name without `=` sets nothing; write NAME= for an empty value",
                variable.line
            ));
        }
        let above = |name: &str| Some(found.get(name)?.as_deref().unwrap_or_default());
        let value_of = |name: &str| process.get(name).or_else(|| above(name));
        let value = variable.value.map(|text| dotenv::expand(&text, value_of));
        found.insert(variable.name, value);
    }
    let set = found.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(Variables { values: set.collect(), ..Variables::default() })
}

/// Reads the name behind a `$`; returns it and what follows.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(inner) = text.strip_prefix('{') {
        let (name, after) = inner.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_word)).then_some((name, after));
    }
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !upper(c)).unwrap_or(text.len());
    let starts_well = text.starts_with(|c: char| c.is_ascii_uppercase());
    (end > 0 && starts_well).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expands_names_and_notes_those_without_a_value() {
        let mut variables = Variables::default();
        variables.set("DAY", "2026-01-31");
        variables.set("low", "x");
        let check = |text: &str, expected: &str, lacking: &[&str]| {
            let mut missing = BTreeSet::new();
            assert_eq!(variables.expand(text, &mut missing), expected, "{text}");
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            assert_eq!(missing, lacking, "{text}");
        };
        check("a/${DAY}/$DAY.csv", "a/2026-01-31/2026-01-31.csv", &[]);
        check("${low} $low $1 $", "x $low $1 $", &[]);
        check("\\$DAY costs $$5, \\${low} $$DAY", "$DAY costs $$5, ${low} $2026-01-31", &[]);
        check("$_X pa$$word \\$5", "$_X pa$$word \\$5", &[]);
        check("${NO}-$NO_2", "-", &["NO", "NO_2"]);
        check("${bad name} ${", "${bad name} ${", &[]);
        let mut missing = Missing::default();
        let value = json!({"a": ["${DAY}", 1, null, "${NO}"], "b": "${NO}", "c": "", "d": "x${NO}",
                           "e": {"f": "${NOT}"}});
        let expanded = variables.expand_value(&value, &mut missing);
        let expected = json!({"a": ["2026-01-31", 1, null, ""], "b": null, "c": "", "d": "x",
                              "e": {"f": null}});
        assert_eq!(expanded, expected);
        assert_eq!(json!(missing.left_out), json!({"b": ["NO"], "e.f": ["NOT"]}));
        assert_eq!(json!(missing.shortened), json!({"a": ["NO"], "d": ["NO"]}));
    }

    #[test]
    fn a_part_that_is_lacking_or_empty_is_noted_with_its_setting() {
        let mut variables = Variables::default();
        let process = variables.clone();
        variables.set("EMPTY", "");
        variables.set("SET", "x");
        variables.set("EXTRACTED_AT", "");
        let block = json!({"ROOT": "in/${AREA}", "BARE": "${AREA}", "OVER": "${ROOT}/over"});
        variables.add_block(&block, &process, &Variables::default());
        let check = |text: &str, expected: Value, [shortened, emptied]: [&[&str]; 2]| {
            let mut missing = Missing::default();
            let value = variables.expand_value(&json!({"a": {"b": text}}), &mut missing);
            assert_eq!(value["a"]["b"], expected, "{text}");
            let names = |of: &BTreeMap<String, BTreeSet<String>>| json!(of["a.b"]);
            for (found, expected) in [(&missing.shortened, shortened), (&missing.emptied, emptied)]
            {
                assert_eq!(found.is_empty(), expected.is_empty(), "{text} {missing:?}");
                assert!(expected.is_empty() || names(found) == json!(expected), "{text}");
            }
            missing.left_out.into_values().flatten().collect::<Vec<_>>()
        };
        check("${ROOT}/f", json!("in//f"), [&["AREA"], &[]]);
        check("${OVER}", json!("in//over"), [&["AREA"], &[]]);
        assert_eq!(check("${BARE}", Value::Null, [&[], &[]]), ["AREA"]);
        check("schema_$EMPTY", json!("schema_"), [&[], &["EMPTY"]]);
        check("${EMPTY}/in", json!("/in"), [&[], &["EMPTY"]]);
        check("a.${EMPTY}.${SET}", json!("a..x"), [&[], &["EMPTY"]]);
        check("d/${EXTRACTED_AT}.csv", json!("d/.csv"), [&["EXTRACTED_AT"], &[]]);
        // What may be there, beside a name.
        check("orders${EMPTY}", json!("orders"), [&[], &[]]);
        check("${EMPTY}${SET}", json!("x"), [&[], &[]]);
        check("${EMPTY}", json!(""), [&[], &[]]);
        check("a/\\${EMPTY}/b", json!("a/${EMPTY}/b"), [&[], &[]]);
    }
}
