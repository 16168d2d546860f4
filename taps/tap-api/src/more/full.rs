//! Pages that are as long as one can be, where no answer says whether there is more.
//!
//! The rule: a place that an API leaves out on its last page is on another one. Where no answer of
//! a stream has it, the settings may name another place than the API; a page that is full is the
//! sign of that.

use serde_json::Value;

use super::object::number;
use super::search::{Kind, Search, is_size};
use super::{remedy, tell};
use crate::paging::Style;
use crate::stream::StreamSpec;
use crate::told::plain;

/// Sizes that APIs give to a page of their own are round, as few numbers of records are.
const ROUND: u64 = 100;

/// Tells whether the last page is as long as one can be: as the answer or the settings say, or by a
/// round number. Without a style that goes on behind it, a size of the settings is what was asked
/// for.
pub(super) fn is_full(spec: &StreamSpec, search: &Search<'_>) -> bool {
    let records = search.records();
    let is_it = |value: &Value| number(value) == Some(records);
    let mut asked = spec.params.iter().map(|(name, value)| (name.as_str(), value));
    let body = spec.body.iter().map(|body| ("", body));
    let is_said = search.signs.iter().any(|sign| sign.kind == Kind::Full);
    if spec.paging.by_default {
        return records > 1
            && is_said
            && !asked.chain(body).any(|it| holds(it, &|_, it| is_it(it)));
    }
    let is_asked =
        asked.by_ref().chain(body).any(|it| holds(it, &|name, it| is_size_of(name) && is_it(it)));
    let is_size = spec.paging.size.as_ref().is_some_and(|(_, size)| *size == records);
    records > 1 && (is_said || is_asked || is_size || records.is_multiple_of(ROUND))
}

/// Keeps, once for a stream, that a page of so many records is full, and the place of a token that
/// may be the one.
pub(super) fn keep(spec: &StreamSpec, records: u64, token: Option<String>) {
    if let Ok(mut full) = spec.warned.full.lock() {
        full.get_or_insert((records, token));
    }
}

/// Warns, at the end of a stream, of a full page of it or of those it is read for, where no answer
/// says what comes next.
pub fn warn(specs: &[StreamSpec], at: usize) {
    let mut next = Some(at);
    while let Some(spec) = next.map(|at| &specs[at]) {
        warn_of(spec);
        next = spec.parent.as_ref().map(|(parent, _)| *parent);
    }
}

fn warn_of(spec: &StreamSpec) {
    let full = spec.warned.full.lock().ok().and_then(|mut full| full.take());
    let Some((records, token)) = full.filter(|_| !spec.known().has_place) else { return };
    let paging = &spec.paging;
    let path = || paging.path.as_ref().map(|path| format!("`{path}`")).unwrap_or_default();
    let place = match paging.style {
        Style::LinkHeader => "the header Link".to_owned(),
        Style::HeaderToken => format!("the header {}", paging.header),
        _ => path(),
    };
    let remedy = match (token, paging.style) {
        (Some(token), _) => remedy(&token, Kind::Token),
        (None, Style::LinkHeader) => "check `pagination_request_style`".to_owned(),
        (None, _) => "check `next_page_token_path`".to_owned(),
    };
    let text = format!(
        "no answer has {place}, which names the next page, but one page is full ({records} \
         records): there may be more records, which are not read: {remedy}"
    );
    tell(spec, &text);
}

/// Tells whether a parameter, or a value within it, is such a one by its name and value.
fn holds((name, value): (&str, &Value), wanted: &dyn Fn(&str, &Value) -> bool) -> bool {
    wanted(name, value)
        || match value {
            Value::Array(values) => values.iter().any(|value| holds((name, value), wanted)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| holds((name, value), wanted))
            }
            _ => false,
        }
}

/// Tells whether a parameter asks for a number of records.
fn is_size_of(name: &str) -> bool {
    let sizes = ["count", "first", "top", "take", "size", "rows", "num"];
    is_size(name) || sizes.contains(&plain(name).as_str())
}
