//! The objects of an answer that may speak of its pages. Pure.

use http_client::Answer;
use serde_json::{Map, Value};

use super::words::{Meaning, Says, meaning, of_header};
use crate::told::{is_yes, plain};

/// An object around the records, or the headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    pub(super) members: &'a Map<String, Value>,
    /// Where it is.
    pub(super) place: &'a str,
    /// The member that holds the records.
    pub(super) skip: &'a str,
    /// All that it stands in leads to the records, or is named as what is said about an answer.
    pub(super) is_around: bool,
    pub(super) kind: Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It leads to the records.
    Way,
    /// It stands beside that.
    Beside,
    /// It is one of several that have records, or the list of such a one.
    Element,
    Fork,
    /// The headers of the answer.
    Headers,
    /// The text of a header.
    InHeader,
}

impl<'a> Object<'a> {
    /// Returns its members but for the one that holds the records.
    pub(super) fn outside(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.members.iter().filter(move |(name, _)| name.as_str() != self.skip)
    }

    pub(super) fn meaning(self, name: &str) -> Option<Meaning> {
        if self.kind == Holder::Headers { of_header(name) } else { meaning(name) }
    }

    /// Returns where a member is.
    pub(super) fn place_of(self, name: &str) -> String {
        match self.kind {
            Holder::Way | Holder::Beside | Holder::Element | Holder::Fork => step(self.place, name),
            Holder::Headers => format!("the header {name}"),
            Holder::InHeader => format!("`{name}` in {}", self.place),
        }
    }

    /// Tells whether a member is the number of the pages of a list, and the page at hand is not the
    /// last of them: `pages` may also be those of a book, and a `last_page` no number.
    pub(super) fn counts_pages(self, name: &str, known: Meaning) -> bool {
        let Some(pages) = self.members.get(name).and_then(number) else { return false };
        let beside = |(other, value): (&String, &Value)| {
            let says = (other != name).then(|| self.meaning(other)).flatten().map(|it| it.says);
            (says, plain(other), number(value))
        };
        let is_paged = || {
            self.members.iter().map(beside).any(|(says, name, _)| {
                matches!(says, Some(Says::Page | Says::Total | Says::Count))
                    || ["perpage", "pagesize", "limit"].contains(&name.as_str())
            })
        };
        let is_page_of_last = self.members.iter().map(beside).any(|(says, _, number)| {
            says == Some(Says::Page) && number.is_some_and(|page| page >= pages)
        });
        let is_known = known.is_sure || known.says == Says::Pages && self.kind != Holder::Way;
        !is_page_of_last && (is_known || known.says == Says::Pages && is_paged())
    }
}

/// As `items 0-24/3573`.
pub(super) fn all_of_range(answer: &Answer) -> Option<u64> {
    let range = answer.header("content-range")?.trim();
    let all = range.rsplit_once('/')?.1.trim().parse().ok();
    all.filter(|_| !range.starts_with("bytes"))
}

pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns a number of records, and the name by which it stands in an object, if in one: as in
/// `{"value": 7, "relation": "eq"}`.
pub(super) fn count_in(value: &Value) -> Option<(u64, Option<&'static str>)> {
    let inner = |members: &Map<String, Value>| {
        let known = ["value", "count", "all", "records", "items", "results"];
        known.into_iter().find_map(|name| Some((number(members.get(name)?)?, Some(name))))
    };
    match value {
        Value::Object(members) => inner(members),
        other => number(other).map(|number| (number, None)),
    }
}

pub(super) fn is_true(value: &Value) -> bool {
    is_yes(value) || number(value).is_some_and(|number| number > 0)
}

/// Adds a member to a `JSONPath`.
pub(super) fn step(place: &str, name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return format!("{place}.{name}");
    }
    format!("{place}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}
