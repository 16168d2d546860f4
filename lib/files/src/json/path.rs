//! The part of `JSONPath` that says where the records of a document lie.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// Where the records of a document lie: `$.data.items[*]`.
///
/// Names (`.name`, `['any name']`), positions in arrays from 0 (`[2]`), all elements of an array
/// (`[*]`), and all members (`.*`). As in the tools whose settings these are, `[*]` of what is no
/// array is the value itself, and an array where the path ends stands for its elements. Behind
/// `[*]` and `.*` the path goes on in each of them: every end that it comes to has a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPath {
    pub(super) steps: Vec<Step>,
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(u64),
    Elements,
    Members,
}

impl Default for RecordsPath {
    fn default() -> Self {
        Self { steps: Vec::new(), text: "$".to_owned() }
    }
}

impl RecordsPath {
    /// Reads a path. Fails with `Config` for what `JSONPath` has beyond the forms above.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |at: usize| {
            Err(Error::new(ErrorKind::Config, "cannot read the path of the records")
                .with("value", text)
                .with("at", at + 1)
                .hint("use names, positions and `[*]`, like `$.data.items[*]`"))
        };
        let trimmed = text.trim();
        let Some(mut rest) = trimmed.strip_prefix('$') else { return refuse(0) };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let Some((step, behind)) = step(rest) else {
                return refuse(trimmed.len() - rest.len());
            };
            steps.push(step);
            rest = behind;
        }
        Ok(Self { steps, text: trimmed.to_owned() })
    }

    /// Returns the names that the path begins with.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the names and positions of the path, each as a text; `None` is all of them.
    pub fn way(&self) -> Vec<Option<String>> {
        let text = |step: &Step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Index(position) => Some(position.to_string()),
            Step::Elements | Step::Members => None,
        };
        self.steps.iter().map(text).collect()
    }

    /// Tells whether the path leads to one list: names and positions, and `[*]` at its end or not.
    pub fn is_list(&self) -> bool {
        let is_one = |step: &Step| matches!(step, Step::Name(_) | Step::Index(_));
        match self.steps.split_last() {
            Some((Step::Name(_) | Step::Index(_) | Step::Elements, before)) => {
                before.iter().all(is_one)
            }
            Some((Step::Members, _)) => false,
            None => true,
        }
    }

    /// Tells whether the path ends with `[*]`: then an object in the place of a list is a record.
    pub fn ends_with_elements(&self) -> bool {
        self.steps.last() == Some(&Step::Elements)
    }

    /// Tells whether the path ends with `.*`: then the members of an object are records.
    pub fn ends_with_members(&self) -> bool {
        self.steps.last() == Some(&Step::Members)
    }

    /// Tells whether another path leads by position to an element of the first list that this one
    /// goes on in: of such a list a document without its records has the last element alone.
    pub fn is_entered_by(&self, other: &Self) -> bool {
        matches!(self.next_step_of(other), Some(Step::Index(_)))
    }

    /// Returns the step that another path takes in what this one goes on in first, be it all of it
    /// that the path ends at.
    pub(super) fn next_step_of<'a>(&self, other: &'a Self) -> Option<&'a Step> {
        let many = |step: &Step| matches!(step, Step::Elements | Step::Members);
        let at = self.steps.iter().position(many).unwrap_or(self.steps.len());
        let step = other.steps.get(at)?;
        (other.steps[..at] == self.steps[..at]).then_some(step)
    }

    /// Tells whether each element of the first list that the path goes on in may have several
    /// records, or none.
    pub fn is_nested(&self) -> bool {
        let first = self.steps.iter().position(|it| matches!(it, Step::Elements | Step::Members));
        first.is_some_and(|at| at + 1 < self.steps.len())
    }

    /// Tells whether a document without its records shows members of an object that are records
    /// and have no value that is their name: nothing of them has it.
    pub fn loses_names(&self, document: &Value) -> bool {
        let Some((Step::Members, before)) = self.steps.split_last() else { return false };
        let mut loses = false;
        each_end(document, before, &mut |end| {
            let members = end.as_object().into_iter().flatten();
            loses |= members.into_iter().any(|(name, record)| {
                record.as_object().is_some_and(|record| !record.values().any(|it| is(it, name)))
            });
        });
        loses
    }

    /// Counts the elements and members that the path goes on in, and those of them that lack the
    /// place it goes on to, in a document without its records.
    ///
    /// The rule: what the path goes on in has a record at its end. A null says that there is none,
    /// and a list that is not there is an empty one.
    pub fn lacking(&self, document: &Value) -> Lacking {
        let is_many = |step: &Step| matches!(step, Step::Elements | Step::Members);
        let Some(last) = self.steps.iter().rposition(is_many) else { return Lacking::default() };
        let (many, rest) = self.steps.split_at(last + 1);
        let mut found = Lacking::default();
        if !rest.is_empty() {
            let mut has_list = false;
            each_end(document, many, &mut |element| {
                let end = end_of(element, rest);
                has_list |= matches!(end, Some(Value::Array(_)));
                found.all += 1;
                found.lacking += u64::from(end.is_none());
            });
            found.lacking = if has_list { 0 } else { found.lacking };
        }
        found
    }

    /// Tells whether the path is `$`, or `$[*]`: then an object is a record, all of it.
    pub fn is_root(&self) -> bool {
        self.steps.iter().all(|step| *step == Step::Elements)
    }
}

/// What a path goes on in, and how much of that lacks the rest of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Elements and members.
    pub all: u64,
    /// Those that lack it.
    pub lacking: u64,
}

/// Tells whether a value says the same as a name.
fn is(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text.eq_ignore_ascii_case(name),
        Value::Number(number) => number.to_string() == name,
        _ => false,
    }
}

/// Shows each value that the steps come to.
fn each_end(value: &Value, steps: &[Step], look: &mut dyn FnMut(&Value)) {
    let Some((step, rest)) = steps.split_first() else { return look(value) };
    match (step, value) {
        (Step::Elements | Step::Members, Value::Array(elements)) => {
            for element in elements {
                each_end(element, rest, look);
            }
        }
        (Step::Members, Value::Object(members)) => {
            for member in members.values() {
                each_end(member, rest, look);
            }
        }
        (Step::Elements, other) => each_end(other, rest, look),
        _ => {
            if let Some(next) = next(value, step) {
                each_end(next, rest, look);
            }
        }
    }
}

/// Returns the end of names and positions; null where one on the way is null, and where a list has
/// no elements.
fn end_of<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    let mut at = value;
    for step in steps {
        let is_empty = at.as_array().is_some_and(Vec::is_empty);
        at = if at.is_null() || is_empty { &Value::Null } else { next(at, step)? };
    }
    Some(at)
}

fn next<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Name(name) => value.as_object()?.get(name),
        Step::Index(position) => value.as_array()?.get(usize::try_from(*position).ok()?),
        Step::Elements | Step::Members => None,
    }
}

impl FromStr for RecordsPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for RecordsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads one step; returns it and what follows.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        if let Some(rest) = rest.strip_prefix('*') {
            return Some((Step::Members, rest));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let plain = !name.is_empty() && !name.contains(|c: char| "*?()@,'\" ".contains(c));
        return plain.then(|| (Step::Name(name.to_owned()), rest));
    }
    let inner = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            let rest = rest.strip_prefix(']')?;
            return (!name.contains('\\')).then(|| (Step::Name(name.to_owned()), rest));
        }
    }
    let (content, rest) = inner.split_once(']')?;
    match content {
        "*" => Some((Step::Elements, rest)),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((Step::Index(digits.parse().ok()?), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lacks_the_end_of_a_path_is_counted() {
        let check = |path: &str, document: Value, all: u64, lacking: u64| {
            let found = RecordsPath::parse(path).unwrap().lacking(&document);
            assert_eq!(found, Lacking { all, lacking }, "{path} {document}");
        };
        let some = json!([{ "item": { "id": 1 } }, { "score": 2 }, { "item": null }, 7, null]);
        check("$[*].item", some.clone(), 5, 2);
        check("$.hits[*].item", json!({ "hits": some }), 5, 2);
        check("$.hits[*].item", json!({ "hits": { "item": { "id": 1 } } }), 1, 0);
        check("$.*.item.of", json!({ "a": { "item": { "of": {} } }, "b": { "item": {} } }), 2, 1);
        check("$[*][1]", json!([[1, { "id": 1 }], [1], []]), 3, 1);
        check("$[*].in[*].item", json!([{ "in": [{ "item": {} }, {}] }, {}]), 2, 1);
        // Lists that are not there are empty ones.
        check("$[*].rows[*]", json!([{ "rows": [{}] }, {}]), 0, 0);
        check("$[*].rows", json!([{ "rows": [{}] }, {}]), 2, 0);
        check("$.data[*]", json!({ "data": [{}] }), 0, 0);
        check("$.data", json!({}), 0, 0);
    }

    #[test]
    fn names_that_no_value_has_are_lost() {
        let check = |path: &str, document: Value, expected: bool| {
            let path = RecordsPath::parse(path).unwrap();
            assert_eq!(path.loses_names(&document), expected, "{path} {document}");
        };
        check("$.*", json!({ "EUR": { "rate": 1 } }), true);
        check("$.*", json!({ "EUR": { "rate": 1, "code": "eur" } }), false);
        check("$.of.*", json!({ "of": { "17": { "id": 17 } }, "n": { "x": 1 } }), false);
        check("$[*].of.*", json!([{ "of": { "17": { "id": "18" } } }]), true);
        check("$.of.*", json!({ "of": [{ "id": 1 }] }), false);
        check("$.of[*]", json!({ "of": { "EUR": { "rate": 1 } } }), false);
    }

    #[test]
    fn reads_paths_and_refuses_the_rest() {
        let name = |name: &str| Step::Name(name.to_owned());
        let check = |text: &str, steps: &[Step]| {
            assert_eq!(RecordsPath::parse(text).unwrap().steps, steps, "{text}");
        };
        check("$", &[]);
        check(" $[*] ", &[Step::Elements]);
        check("$.data.items[*]", &[name("data"), name("items"), Step::Elements]);
        check("$['a b'][\"c.d\"][2].*", &[name("a b"), name("c.d"), Step::Index(2), Step::Members]);
        check("$.größe-1[0]", &[name("größe-1"), Step::Index(0)]);
        for text in
            ["", "data", "$data", "$.", "$..a", "$[?(@.a>1)]", "$[-1]", "$[1:2]", "$['a", "$[0"]
        {
            let failure = RecordsPath::parse(text).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{text}");
        }
    }
}
