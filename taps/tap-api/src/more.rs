//! Signs in the last answer that there is more than was read. Pure but for the warning.
//!
//! The rule: an answer that says that there is more is followed, or warned of with the settings
//! that follow it. Where paging is switched off by `none` that is what was asked for. One that says
//! that it is the last is the last, whatever token it names besides.
//!
//! What says so is known by the words of names (`words.rs`) and by the value there, in the headers
//! and in what stands around the records. An object that has a list of its own speaks of that.

pub mod full;
pub mod nested;
mod object;
mod search;
mod words;

use std::sync::atomic::Ordering;

use http_client::Answer;
use serde_json::{Map, Value};

use crate::more::object::{Holder, Object, all_of_range, count_in, is_true, number, step};
use crate::more::search::{Kind, Search, Sign};
use crate::more::words::{Says, is_around};
use crate::paging::facts::{PageFacts, Said};
use crate::paging::pager::Pager;
use crate::paging::{Paging, Style};
use crate::stream::StreamSpec;
use crate::told::{is_no, plain};

/// So deep lie such members below what leads to the records.
const DEPTH: u8 = 4;
/// An object with more members is a map of things.
const MEMBERS_MAX: usize = 100;

impl Said {
    fn look(&mut self, object: Object<'_>) {
        if !object.is_around || object.kind == Holder::Fork {
            return;
        }
        let has = |known: &str| object.members.keys().any(|name| plain(name) == known);
        let is_counted = has("next") && has("previous");
        let least = |known: Option<u64>, number| known.into_iter().chain(number).min();
        for (name, value) in object.outside() {
            let Some(known) = object.meaning(name) else { continue };
            match known.says {
                Says::More => (self.more, self.last) = self.with(is_true(value), is_no(value)),
                // `next: false` may be a setting; `has_next: false` is none.
                Says::Next if known.is_sure => {
                    (self.more, self.last) = self.with(is_true(value), is_no(value));
                }
                Says::Cut => self.more |= is_true(value),
                Says::Last
                    if value.is_boolean() || value.is_string() && number(value).is_none() =>
                {
                    (self.more, self.last) = self.with(is_no(value), is_true(value));
                }
                Says::Done => self.more |= is_no(value),
                Says::Pages | Says::Last if object.counts_pages(name, known) => {
                    self.pages = least(self.pages, number(value));
                }
                Says::Total => self.total = least(self.total, count_in(value).map(|(n, _)| n)),
                Says::Count if plain(name) == "count" && is_counted => {
                    self.total = least(self.total, number(value));
                }
                Says::Count => self.count = self.count.or(number(value)),
                _ => {}
            }
        }
    }

    fn with(&self, more: bool, last: bool) -> (bool, bool) {
        (self.more || more, self.last || last)
    }
}

/// Finds what an answer says of all pages together. A path that goes on behind a list may come to
/// more records than the list has elements, or to fewer, so that no total is theirs.
pub fn said(spec: &StreamSpec, envelope: &Value, answer: &Answer) -> Said {
    let mut said = Said::default();
    let ranged = all_of_range(answer);
    visit(spec, envelope, answer, &mut |object| said.look(object));
    said.total = said.total.or(ranged);
    if spec.records.is_list() { said } else { Said { total: None, count: None, ..said } }
}

/// Takes an object.
type Look<'a> = &'a mut dyn FnMut(Object<'_>);

/// Shows the headers, and each object around the records.
fn visit(spec: &StreamSpec, envelope: &Value, answer: &Answer, look: Look<'_>) {
    visit_headers(answer, &mut *look);
    if spec.records.is_root() {
        return;
    }
    visit_way(envelope, &spec.records.way(), Stand { place: "$", kind: Holder::Way }, look);
}

/// Where the way to the records has come to.
#[derive(Clone, Copy)]
struct Stand<'a> {
    place: &'a str,
    kind: Holder,
}

fn visit_way(at: &Value, way: &[Option<String>], stand: Stand<'_>, look: Look<'_>) {
    let Stand { place, kind } = stand;
    let Some((name, rest)) = way.split_first() else { return };
    match (at, name) {
        (Value::Object(members), Some(name)) => {
            let object = Object { members, place, skip: name, is_around: true, kind };
            // An element of a list is no list.
            if kind != Holder::Element {
                visit_within(object, DEPTH, &mut *look);
            }
            let kind = if kind == Holder::Way { kind } else { Holder::Fork };
            if let (Some(next), false) = (members.get(name), rest.is_empty()) {
                visit_way(next, rest, Stand { place: &step(place, name), kind }, look);
            }
        }
        // `[{"total": 7}, [...]]`
        (Value::Array(elements), Some(name)) if kind == Holder::Way => {
            for (at, members) in elements.iter().enumerate() {
                let Some(members) = members.as_object() else { continue };
                let place = format!("{place}[{at}]");
                let (skip, kind) = ("", Holder::Beside);
                let object = Object { members, place: &place, skip, is_around: true, kind };
                if at.to_string() != *name {
                    visit_within(object, DEPTH, &mut *look);
                }
            }
            let next = name.parse().ok().and_then(|at: usize| elements.get(at));
            if let (Some(next), false) = (next, rest.is_empty()) {
                visit_way(next, rest, Stand { place: &format!("{place}[{name}]"), kind }, look);
            }
        }
        (Value::Array(elements), None) if !rest.is_empty() => {
            let place = format!("{place}[*]");
            for element in elements {
                let stand = Stand { place: &place, kind: Holder::Element };
                visit_way(element, rest, stand, &mut *look);
            }
        }
        _ => {}
    }
}

fn visit_within(object: Object<'_>, depth: u8, look: Look<'_>) {
    look(object);
    for (name, value) in object.outside().filter(|_| depth > 0) {
        let Some(members) = value.as_object().filter(|members| !is_of_others(members)) else {
            continue;
        };
        let place = step(object.place, name);
        let is_around = object.is_around && is_around(name);
        let kind = if object.kind == Holder::Fork { Holder::Fork } else { Holder::Beside };
        let inner = Object { members, place: &place, skip: "", is_around, kind };
        visit_within(inner, depth - 1, &mut *look);
    }
}

/// Tells whether an object speaks of other things than the records: of a list that it has itself,
/// or of one thing for each member.
fn is_of_others(members: &Map<String, Value>) -> bool {
    let is_list = |value: &Value| {
        value.as_array().is_some_and(|list| {
            list.iter().any(|value| value.is_object() && search::link_of(value).is_none())
        })
    };
    members.len() > MEMBERS_MAX || members.values().any(is_list)
}

/// Some headers are JSON themselves.
fn visit_headers(answer: &Answer, look: Look<'_>) {
    let headers: Map<String, Value> =
        answer.headers.iter().map(|(name, text)| (name.clone(), text.trim().into())).collect();
    let all = Object {
        members: &headers,
        place: "",
        skip: "link",
        is_around: true,
        kind: Holder::Headers,
    };
    look(all);
    for (name, text) in answer.headers.iter().filter(|(_, text)| text.starts_with('{')) {
        if let Ok(Value::Object(members)) = serde_json::from_str(text)
            && is_around(name.strip_prefix("x-").unwrap_or(name))
        {
            let place = all.place_of(name);
            let kind = Holder::InHeader;
            look(Object { members: &members, place: &place, skip: "", is_around: true, kind });
        }
    }
}

/// Warns, once for a stream, when the last answer says that there is more.
pub fn warn(spec: &StreamSpec, pager: &Pager, last: PageFacts<'_>) {
    let paging = &spec.paging;
    if paging.style == Style::None || last.said.is_last() {
        return;
    }
    let mut search = Search::new(pager, last, paging);
    search.look_at_headers();
    visit(spec, last.envelope, last.answer, &mut |object| search.look(object));
    let is_full = full::is_full(spec, &search);
    let (is_spoken_of, mut signs) = (search.is_spoken_of, search.signs);
    let is_untold = pager.is_untold(paging, last);
    let token = signs.iter().find(|sign| sign.kind == Kind::Token && is_untold && is_full);
    let token = token.map(|sign| sign.place.clone());
    signs.retain(|sign| counts(sign, paging, pager, last));
    signs.retain(|sign| sign.kind != Kind::Full || is_full && !is_spoken_of);
    if let Some(Sign { place, kind, .. }) = signs.into_iter().min_by_key(|sign| sign.kind) {
        let remedy = remedy(&place, kind);
        let says = "in the answer says that there are more records, and they are not read";
        tell(spec, &format!("{place} {says}: {remedy}"));
    } else if is_untold && is_full && (token.is_some() || !is_spoken_of) {
        full::keep(spec, last.records, token);
    }
}

fn tell(spec: &StreamSpec, told: &str) {
    if !spec.warned.more.swap(true, Ordering::Relaxed) {
        singer::warn!("W-MORE-PAGES", "stream {}: {told}", spec.name);
    }
}

/// Tells whether a sign is one of pages that were not read.
///
/// A style that was chosen has come to the end that it knows; what it may have missed is reported
/// by what says nothing but that there is more, by the number of pages, and by a token at another
/// place than that of the settings. Behind the last page of a numbered style there may be links to
/// further ones as empty. Where all records have come, a token that may always be there is none.
fn counts(sign: &Sign, paging: &Paging, pager: &Pager, last: PageFacts<'_>) -> bool {
    let is_token = matches!(sign.kind, Kind::Token | Kind::HeaderToken);
    let is_all = last.said.total == Some(pager.received());
    if is_token && !sign.is_next && is_all {
        return false;
    }
    if paging.by_default {
        return true;
    }
    match sign.kind {
        Kind::Link if paging.style == Style::LinkHeader => false,
        Kind::Link | Kind::Url => last.records > 0,
        Kind::Flag => true,
        // By offset, pages may have other sizes than those that the API counts.
        Kind::Pages => paging.style != Style::Offset,
        Kind::Token | Kind::HeaderToken => {
            pager.is_untold(paging, last) && (sign.is_next || sign.kind == Kind::HeaderToken)
        }
        Kind::Total | Kind::HeaderTotal | Kind::Full => false,
    }
}

/// Warns, once for a stream, when the first of numbered pages says that there is one before it,
/// and nobody has chosen where to begin.
pub fn warn_of_first(spec: &StreamSpec, first: PageFacts<'_>) {
    if spec.paging.style != Style::PageNumber || !spec.paging.first_by_default {
        return;
    }
    let mut place = None;
    visit(spec, first.envelope, first.answer, &mut |object| {
        place = place.take().or_else(|| search::before(object, first));
    });
    let Some(place) = place else { return };
    if !spec.warned.before.swap(true, Ordering::Relaxed) {
        singer::warn!(
            "W-MORE-PAGES",
            "stream {}: {place} in the first answer says that there is a page before it, and this \
             page is not read: if pages are counted from 0, set `pagination_initial_offset: 0`",
            spec.name
        );
    }
}

/// Warns, once for a stream, when one of several lists of records says that it has more: no style
/// of pages goes on within it.
pub fn warn_of_lists(spec: &StreamSpec, page: PageFacts<'_>) {
    if spec.records.is_list() || spec.warned.lists.load(Ordering::Relaxed) {
        return;
    }
    let mut place = None;
    visit(spec, page.envelope, page.answer, &mut |object| {
        place = place.take().or_else(|| search::of_list(object));
    });
    let Some(place) = place else { return };
    spec.warned.lists.store(true, Ordering::Relaxed);
    singer::warn!(
        "W-MORE-PAGES",
        "stream {}: {place} in the answer says that one of its lists has more elements, and they \
         are not read: request more elements at once, or read the lists by `parent`",
        spec.name
    );
}

fn remedy(place: &str, kind: Kind) -> String {
    match kind {
        Kind::Link => "`pagination_request_style: link_header` follows it".to_owned(),
        Kind::Url => format!(
            "`pagination_request_style: next_url` with `next_page_token_path: {place}` follows it"
        ),
        Kind::Token => format!(
            "`pagination_request_style: token` with `next_page_token_path: {place}` follows it, \
             and `pagination_next_page_param` names its parameter"
        ),
        Kind::HeaderToken => format!(
            "`pagination_request_style: header_token` with `next_page_token_path: {}` follows it",
            place.trim_start_matches("the header ")
        ),
        Kind::Flag | Kind::Pages | Kind::HeaderTotal | Kind::Full => {
            "`pagination_request_style: page_number` or `offset` asks for \
                                     further pages, `token` or `next_url` follows what the answer \
                                     names"
                .to_owned()
        }
        Kind::Total => format!(
            "`pagination_request_style: page_number` or `offset` with \
             `pagination_total_limit_param: {place}` reads on"
        ),
    }
}
