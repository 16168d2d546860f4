//! A bookmark of its own for each parent and input, in the form of the Singer SDK.
//!
//! The rule: what is read for a parent or input starts at the largest key of its own records, and
//! what has none yet at the start of the stream. A record is never passed over for the larger key
//! of another parent. One bookmark for all, of an earlier release, is the start of each only where
//! it is a time: a number may count for each parent by itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::state::parts;
use singer::{Bookmark, Stream};

use super::TapApi;
use super::coverage;
use crate::decides;
use crate::key::Keys;
use crate::latest::Start;
use crate::row::Context;
use crate::stream::StreamSpec;

/// The member of a bookmark that holds those of the parents or inputs.
pub(super) const MEMBER: &str = "partitions";
/// The member of such a bookmark that says of what it is.
const CONTEXT: &str = "context";
/// The member of a context that stands for all of its values.
const SUM: &str = "sum";
/// So long is a text that stands in a state as it is.
const TEXT_MAX: usize = 64;
/// So many have bookmarks of their own: about 10 MB of a state.
const OWN_MAX: usize = 100_000;

/// Where the known ones start, by their names.
type Known = BTreeMap<String, Option<Start>>;

impl TapApi {
    /// Tells whether each parent or input of a stream has a bookmark of its own.
    pub(super) fn has_own(&self, spec: &StreamSpec, contexts: &[Context]) -> bool {
        spec.may_have_own() && !self.api.calendar.reads_a_day() && contexts.len() <= OWN_MAX
    }

    /// Tells whether a bookmark for all parents or inputs may have passed over records.
    pub(super) fn is_of_all(&self, spec: &StreamSpec, since: &Bookmark) -> bool {
        let keys = Keys { format: spec.time_format.as_ref(), zone: self.api.calendar.zone() };
        let is_one = spec.parent.is_none() && spec.inputs.len() == 1;
        let mark = since.start.as_deref().filter(|_| has_mark(&since.value));
        spec.may_have_own() && !is_one && mark.is_some_and(|mark| keys.moment(mark).is_none())
    }

    /// Tells whether the read of a stream goes on from the bookmarks of its parents or inputs.
    pub(super) fn has_parts(&self, spec: &StreamSpec, stream: &Stream, since: &Bookmark) -> bool {
        self.goes_on(stream, since)
            && self.changed(spec, stream, since).is_empty()
            && !parts(&since.value).is_empty()
    }

    /// Tells whether a stream is read from its start again, as its bookmark is not safe.
    pub(super) fn is_anew(&self, spec: &StreamSpec, stream: &Stream, since: &Bookmark) -> bool {
        self.goes_on(stream, since) && self.is_of_all(spec, since) && parts(&since.value).is_empty()
    }

    /// Returns where the read for each parent or input starts.
    pub(super) fn starts(
        &self,
        spec: &StreamSpec,
        stream: &Stream,
        since: Option<&Bookmark>,
        contexts: &[Context],
    ) -> Vec<Start> {
        let first = Start { key: spec.start_date.clone(), is_bookmark: false };
        let Some(since) = since else { return vec![first; contexts.len()] };
        let known = self.known(spec, stream, since);
        let of_all = (since.start.as_ref())
            .filter(|_| has_mark(&since.value) && !self.is_of_all(spec, since))
            .map(|key| Start { key: Some(key.clone()), is_bookmark: true });
        let covers = of_all.as_ref().and_then(|start| coverage::known(&since.value, start));
        let mut found = 0;
        let start = |context: &Context| {
            let of_all = || match &covers {
                Some(covers) => covers.get(&decides::sum_of(spec, context)).cloned(),
                None => of_all.clone(),
            };
            let own = names(spec, context).iter().find_map(|name| known.get(name));
            found += usize::from(own.is_some());
            let start = own.map_or_else(of_all, Clone::clone);
            start.unwrap_or_else(|| first.clone())
        };
        let starts = contexts.iter().map(start).collect();
        if found == 0 && !known.is_empty() && !contexts.is_empty() {
            warn_unused(spec, "none of its `partitions` is of a parent or input of the stream");
        }
        starts
    }

    /// Reads the bookmarks of parents and inputs: of two with one name the smaller one counts.
    fn known(&self, spec: &StreamSpec, stream: &Stream, since: &Bookmark) -> Known {
        let keys = Keys { format: spec.time_format.as_ref(), zone: self.api.calendar.zone() };
        let key = stream.replication_key.as_deref().unwrap_or_default();
        let column = stream.column(key).map(|at| &stream.columns[at]);
        let (mut known, mut unused) = (Known::new(), BTreeMap::<String, u64>::new());
        for part in parts(&since.value) {
            let own = Bookmark::read(part.clone(), stream, self.start_date.as_deref());
            let has_own = has_mark(part) && own.start.is_some();
            let start = own.start.clone().filter(|_| has_own);
            let start = start.map(|key| Start { key: Some(key), is_bookmark: true });
            if start.is_none() {
                let why = own.unused(key, column);
                let why = why.unwrap_or_else(|| "they have no `replication_key_value`".into());
                *unused.entry(why).or_default() += 1;
            }
            let name = decides::sorted(&part[CONTEXT]).to_string();
            let one = known.entry(name).or_insert_with(|| start.clone());
            let key = |start: &Option<Start>| start.as_ref().and_then(|start| start.key.clone());
            if smaller(keys, key(one).as_deref(), key(&start).as_deref()) != key(one).as_deref() {
                *one = start;
            }
        }
        for (why, count) in unused {
            warn_unused(spec, &format!("{count} of its `partitions` are not for it: {why}"));
        }
        known
    }
}

/// Warns of a bookmark for all parents or inputs that is no time.
pub(super) fn warn_of_all(spec: &StreamSpec) {
    warn_unused(
        spec,
        "it holds one key for all parents or inputs, and records with smaller keys may have been \
         passed over",
    );
}

/// Tells whether a bookmark has a key that it was made of.
pub(super) fn has_mark(bookmark: &Value) -> bool {
    bookmark.get("replication_key_value").is_some_and(|value| !value.is_null())
}

/// Returns the member of a bookmark that holds those of parents and inputs.
///
/// Of those that look alike, as what tells them from each other must not stand in a state, the
/// smallest counts.
pub(super) fn member(
    spec: &StreamSpec,
    (contexts, marks): (&[Context], &[Option<String>]),
    keys: Keys<'_>,
    make: &dyn Fn(&str) -> Value,
    is_hidden: bool,
) -> Vec<Value> {
    let mut parts = BTreeMap::<String, (Value, Option<&str>)>::new();
    for (context, mark) in contexts.iter().zip(marks) {
        let shown = shown(spec, context, !is_hidden);
        let mark = mark.as_deref();
        let (_, known) = parts.entry(shown.to_string()).or_insert((shown, mark));
        *known = smaller(keys, *known, mark);
    }
    let part = |(context, mark): (Value, Option<&str>)| {
        let mut part = json!({ CONTEXT: context });
        part.as_object_mut()?.extend(make(mark?).as_object()?.clone());
        Some(part)
    };
    parts.into_values().filter_map(part).collect()
}

/// Returns the smaller one of two keys; none is the smallest.
fn smaller<'a>(keys: Keys<'_>, a: Option<&'a str>, b: Option<&'a str>) -> Option<&'a str> {
    match (a, b) {
        (Some(a), Some(b)) if keys.is_later(a, Some(b)) => Some(b),
        (Some(a), Some(_)) => Some(a),
        _ => None,
    }
}

/// Returns the names that the bookmark of a context may have: those that [`shown`] gives, and that
/// of a state of the Singer SDK.
fn names(spec: &StreamSpec, context: &Context) -> [String; 3] {
    let all: Value = context.members.iter().cloned().collect();
    let sum = json!({ SUM: decides::sum_of(spec, context) });
    [sum, decides::plain_members(spec, context), decides::sorted(&all)].map(|name| name.to_string())
}

/// Returns how a context stands in a state: with its values, but for secrets; as a sum where one
/// of them is long, or may be about a person.
fn shown(spec: &StreamSpec, context: &Context, may_be_plain: bool) -> Value {
    let plain = decides::plain_members(spec, context);
    let is_short = |value: &Value| match value {
        Value::String(text) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
            text.len() <= TEXT_MAX && text.bytes().all(is_plain)
        }
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    };
    let mut values = plain.as_object().into_iter().flat_map(Map::values);
    if may_be_plain && values.all(is_short) {
        return plain;
    }
    json!({ SUM: decides::sum_of(spec, context) })
}

/// Warns of bookmarks that are not used.
pub(super) fn warn_unused(spec: &StreamSpec, why: &str) {
    singer::warn!(
        "W-BOOKMARK-UNUSED",
        "stream {}: the tap does not use its bookmark, because {why}. It reads those parents or \
         inputs from the start, and `append-only` adds their rows again",
        spec.name
    );
}
