//! Which parents and inputs the bookmark of a stream covers, and from where on the others are read.
//!
//! The rule: a parent or input is read from the bookmark on if it was read up to there, else from
//! where it was read to, or from the start. One that the API did not know (404) was not read. A
//! bookmark remembers it by short sums, up to so many; one from before there were sums covers all.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::decides::{self, SUM_CHARS};
use crate::latest::Start;
use crate::row::Context;
use crate::stream::StreamSpec;

/// The member of a bookmark that holds the sums.
const MEMBER: &str = "covers";
/// So many are remembered: 80 KB of a state.
const SUMS_MAX: usize = 10_000;

/// What a read begins with, by the start of it.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// Where the read of each begins, by its sum.
    starts: BTreeMap<String, Option<String>>,
    /// The stream has a parent, whose rows come and go.
    has_parent: bool,
    /// There are more than are remembered.
    pub(super) is_full: bool,
}

/// What is read from one start on.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) start: Start,
    pub(super) contexts: Vec<Context>,
}

impl Coverage {
    /// Finds what the bookmark covers; returns as well what is to be read from another start than
    /// the bookmark, and what from there on.
    pub(super) fn of(
        spec: &StreamSpec,
        contexts: &[Context],
        start: &Start,
        bookmark: &Value,
    ) -> (Self, Vec<Part>, Vec<Context>) {
        let has_parent = spec.parent.is_some();
        if !spec.asks_from_a_time() || spec.replication_key.is_none() {
            return (Self::default(), Vec::new(), contexts.to_vec());
        }
        if contexts.len() > SUMS_MAX {
            let coverage = Self { has_parent, is_full: has_parent, ..Self::default() };
            return (coverage, Vec::new(), contexts.to_vec());
        }
        let known = known(bookmark, start).filter(|_| start.is_bookmark);
        let (mut late, mut covered) = (BTreeMap::<_, Vec<Context>>::new(), Vec::new());
        let mut coverage = Self { has_parent, ..Self::default() };
        for context in contexts {
            let sum = decides::sum_of(spec, context);
            let begin = known.as_ref().map_or(Some(start), |known| known.get(&sum));
            if begin.is_some_and(|begin| begin.key == start.key) {
                covered.push(context.clone());
            } else {
                late.entry(begin.and_then(|it| it.key.clone())).or_default().push(context.clone());
            }
            let read_to = begin.filter(|begin| begin.is_bookmark).and_then(|it| it.key.clone());
            coverage.starts.insert(sum, read_to);
        }
        let part = |(key, contexts): (Option<String>, _)| {
            let is_bookmark = key.is_some();
            let key = key.or_else(|| spec.start_date.clone());
            Part { start: Start { key, is_bookmark }, contexts }
        };
        (coverage, late.into_iter().map(part).collect(), covered)
    }

    /// Returns the member of the bookmark of this read, which did not find these.
    pub(super) fn member(
        &self,
        spec: &StreamSpec,
        absent: &BTreeMap<[u8; 32], Context>,
    ) -> Option<(&'static str, Value)> {
        if self.starts.is_empty() || absent.is_empty() && !self.has_parent {
            return None;
        }
        let mut read: BTreeMap<&str, Option<&String>> =
            self.starts.keys().map(|sum| (sum.as_str(), None)).collect();
        let mut before = BTreeMap::<&String, String>::new();
        for context in absent.values() {
            let sum = decides::sum_of(spec, context);
            if let (Some(_), Some(Some(key))) = (read.remove(sum.as_str()), self.starts.get(&sum)) {
                before.entry(key).or_default().push_str(&sum);
            }
        }
        let now: String = read.into_keys().collect();
        let before: Vec<_> = before.into_iter().collect();
        Some((MEMBER, json!({ "now": now, "before": before })))
    }
}

/// Returns where the read of each that a bookmark remembers begins, by its sum; `None` for one from
/// before there were sums.
pub(super) fn known(bookmark: &Value, start: &Start) -> Option<BTreeMap<String, Start>> {
    let known = Some(&bookmark[MEMBER]).filter(|known| known.is_object())?;
    let mut starts = BTreeMap::new();
    let mut add = |sums: &Value, start: &Start| {
        for sum in sums.as_str().unwrap_or_default().as_bytes().chunks(SUM_CHARS) {
            starts.insert(String::from_utf8_lossy(sum).into_owned(), start.clone());
        }
    };
    add(&known["now"], start);
    for pair in known["before"].as_array().into_iter().flatten() {
        if let Some(key) = pair[0].as_str() {
            add(&pair[1], &Start { key: Some(key.to_owned()), is_bookmark: true });
        }
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::stream::specs;

    fn plan_of(more: &Value) -> StreamSpec {
        let mut child = json!({ "name": "c", "path": "{p}", "parent": "p", "replication_key": "u",
            "parent_keys": { "p": "id" }, "params": { "since": "{start}" } });
        child.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let streams = json!([{ "name": "p", "path": "p" }, child]);
        let settings = json!({ "api_url": "https://api.example.com", "streams": streams });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        specs(&settings).unwrap().remove(1)
    }

    fn contexts(count: usize) -> Vec<Context> {
        let context = |at: usize| Context::new(vec![("p".to_owned(), at.into())]);
        (0..count).map(context).collect()
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let start = Start { key: Some("2026-01-01".to_owned()), is_bookmark: true };
        let of = |spec: &StreamSpec, count: usize, bookmark: &Value| {
            let (coverage, late, covered) = Coverage::of(spec, &contexts(count), &start, bookmark);
            let late: usize = late.iter().map(|part| part.contexts.len()).sum();
            let member = coverage.member(spec, &BTreeMap::new());
            (coverage.is_full, late, covered.len(), member.map(|(_, member)| member))
        };
        let spec = plan_of(&json!({}));
        let (is_full, late, covered, member) = of(&spec, SUMS_MAX, &json!({}));
        assert_eq!((is_full, late, covered), (false, 0, SUMS_MAX));
        let member = member.unwrap();
        assert!(member.to_string().len() < SUMS_MAX * SUM_CHARS + 100);
        let known = of(&spec, 3, &json!({ MEMBER: member })).3.unwrap();
        let (is_full, late, covered, _) = of(&spec, 5, &json!({ MEMBER: known }));
        assert_eq!((is_full, late, covered), (false, 2, 3));
        let (is_full, late, covered, member) = of(&spec, SUMS_MAX + 1, &json!({ MEMBER: known }));
        assert_eq!((is_full, late, covered, member), (true, 0, SUMS_MAX + 1, None));
        // An API that is asked for everything each time gives everything.
        let whole = plan_of(&json!({ "params": {} }));
        assert_eq!(of(&whole, SUMS_MAX + 1, &json!({})), (false, 0, SUMS_MAX + 1, None));
    }
}
