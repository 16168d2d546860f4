//! Looks for signs of more pages in an answer. Pure.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::object::{Holder, Object, all_of_range, count_in, is_true, number, step};
use super::words::{Meaning, Says, is_address, is_part};
use crate::key::moment;
use crate::paging::facts::PageFacts;
use crate::paging::pager::Pager;
use crate::paging::{Paging, Style, link};
use crate::told::{is_no, plain};

/// A sign that there is more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sign {
    /// Where it stands.
    pub(super) place: String,
    /// What it is.
    pub(super) kind: Kind,
    /// Its name says that it is the next.
    pub(super) is_next: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Link,
    Url,
    Flag,
    Token,
    HeaderToken,
    Pages,
    Total,
    HeaderTotal,
    Full,
}

/// Members that say something in words.
const TEXTS: [&str; 8] =
    ["warning", "warnings", "message", "messages", "notice", "notices", "note", "notes"];

/// Looks for signs around the records.
pub(super) struct Search<'a> {
    last: PageFacts<'a>,
    received: u64,
    /// The last page that was read, by number.
    page: u64,
    /// A member speaks of further pages, whatever it says.
    pub(super) is_spoken_of: bool,
    pub(super) signs: Vec<Sign>,
}

impl<'a> Search<'a> {
    pub(super) fn new(pager: &Pager, last: PageFacts<'a>, paging: &Paging) -> Self {
        let is_numbered = paging.style == Style::PageNumber;
        let before = if is_numbered { paging.first.saturating_sub(1) } else { 0 };
        let page = pager.pages() + before;
        let (received, signs) = (pager.received(), Vec::new());
        Self { last, received, page, is_spoken_of: false, signs }
    }

    /// Returns how many records the last page has.
    pub(super) fn records(&self) -> u64 {
        self.last.records
    }

    /// Looks at the headers whose values have a form of their own.
    pub(super) fn look_at_headers(&mut self) {
        self.is_spoken_of |= self.last.answer.header("link").is_some();
        if link::next(self.last.answer.headers_named("link")).is_some() {
            self.add("the header Link".to_owned(), Kind::Link, true);
        }
        if all_of_range(self.last.answer).is_some_and(|all| all > self.received) {
            self.add("the header content-range".to_owned(), Kind::HeaderTotal, false);
        }
    }

    /// Looks at the members of an object.
    pub(super) fn look(&mut self, object: Object<'_>) {
        if object.kind == Holder::Fork {
            return;
        }
        for (name, value) in object.outside() {
            let place = object.place_of(name);
            if let Value::Array(elements) = value {
                self.links(&place, elements);
            }
            if object.is_around && TEXTS.contains(&plain(name).as_str()) && tells_of_cut(value, 2) {
                self.add(place.clone(), Kind::Flag, false);
            }
            if object.is_around && is_size(name) && number(value) == Some(self.last.records) {
                self.add(place.clone(), Kind::Full, false);
            }
            let Some(known) = object.meaning(name) else { continue };
            let is_count = matches!(known.says, Says::Count | Says::Page | Says::Done);
            self.is_spoken_of |= object.is_around && !is_count;
            let is_next = matches!(known.says, Says::Next | Says::NextAddress);
            if let (Value::Object(_), true) = (value, is_next) {
                self.next_object(&place, value);
            }
            if let Some((kind, inner)) = self.kind(object, name, known) {
                let place = inner.map_or_else(|| place.clone(), |name| step(&place, name));
                self.add(place, of_holder(kind, object.kind), is_next);
            }
        }
    }

    fn add(&mut self, place: String, kind: Kind, is_next: bool) {
        self.signs.push(Sign { place, kind, is_next });
    }

    /// Finds the next among links that say what they lead to.
    fn links(&mut self, place: &str, elements: &[Value]) {
        let next = elements
            .iter()
            .filter_map(link_of)
            .find(|link| link::is_among(link.relation, &["next"]));
        if let Some(Link { by, relation, at, address }) = next
            && self.leads_on(address)
        {
            let place = format!("{place}[?(@.{by}=='{relation}')].{at}");
            self.add(place, Kind::Url, true);
        }
    }

    /// Finds the address or token of what is named the next.
    fn next_object(&mut self, place: &str, value: &Value) {
        let members = value.as_object().into_iter().flatten();
        let texts = members.filter(|(_, value)| value.is_string() || value.is_number());
        let known = |wanted: fn(&str) -> bool| {
            texts.clone().find(|(name, value)| wanted(name) && is_token(value))
        };
        let address = known(is_address).filter(|(_, value)| value.is_string());
        let found = address.map(|found| (found, Kind::Url));
        let found = found.or_else(|| known(is_part).map(|found| (found, Kind::Token)));
        if let Some(((name, value), kind)) = found
            && (kind != Kind::Url || value.as_str().is_some_and(|text| self.leads_on(text)))
        {
            self.add(step(place, name), kind, true);
        }
    }

    /// Returns what a member says, if there is more by its value, and where in it.
    fn kind(&self, object: Object<'_>, name: &str, known: Meaning) -> Option<Found> {
        let value = object.members.get(name)?;
        let is_placed = known.is_sure || object.is_around;
        let yes = |is: bool, kind: Kind| is.then_some((kind, None));
        let more = |number: Option<u64>, than: u64| number.is_some_and(|number| number > than);
        match known.says {
            Says::Next if is_placed => self.next(value).map(|kind| (kind, None)),
            Says::NextAddress => {
                let text = value.as_str().filter(|text| self.has_our_path(text))?;
                yes(self.leads_on(text), Kind::Url)
            }
            Says::Token if is_placed => yes(is_sure_token(name, value, known), Kind::Token),
            Says::More | Says::Cut if is_placed => yes(is_true(value), Kind::Flag),
            Says::Left if object.is_around => yes(more(number(value), 0), Kind::Flag),
            Says::Last if is_placed && is_no(value) && number(value).is_none() => {
                yes(true, Kind::Flag)
            }
            Says::Done if is_placed => yes(is_no(value), Kind::Flag),
            Says::Pages | Says::Last if object.is_around && object.counts_pages(name, known) => {
                yes(more(number(value), self.page), Kind::Pages)
            }
            Says::Total | Says::Estimate if object.is_around => {
                let (all, inner) = count_in(value)?;
                (all > self.received).then_some((Kind::Total, inner))
            }
            // A `count` alone may be the size of a page.
            Says::Count if object.is_around && plain(name) != "count" => {
                yes(more(number(value), self.received), Kind::Total)
            }
            _ => None,
        }
    }

    fn next(&self, value: &Value) -> Option<Kind> {
        match value {
            Value::Bool(true) => Some(Kind::Flag),
            // The next date is no page.
            Value::String(text) if moment(text, &TimeZone::UTC).is_some() => None,
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(Kind::Flag),
            Value::String(text) if is_an_address(text) => self.leads_on(text).then_some(Kind::Url),
            Value::String(_) | Value::Number(_) => is_token(value).then_some(Kind::Token),
            Value::Array(values) => (!values.is_empty()).then_some(Kind::Token),
            _ => None,
        }
    }

    /// Tells whether an address is not that of the answer itself.
    fn leads_on(&self, text: &str) -> bool {
        let here = &self.last.answer.address;
        !text.trim().is_empty() && here.join(text).map_or(true, |address| address != *here)
    }

    fn has_our_path(&self, text: &str) -> bool {
        let here = &self.last.answer.address;
        is_an_address(text) && here.join(text).is_ok_and(|address| address.has_path_of(here))
    }
}

/// Returns the place at which one of several lists says that it has more.
pub(super) fn of_list(object: Object<'_>) -> Option<String> {
    let says = |name: &str, value: &Value| {
        let known = object.meaning(name).filter(|known| known.is_sure)?.says;
        match known {
            Says::More | Says::Cut | Says::Next => *value == Value::Bool(true),
            Says::Last => *value == Value::Bool(false),
            _ => false,
        }
        .then(|| object.place_of(name))
    };
    let mut members = object.outside().filter(|_| object.kind == Holder::Fork);
    members.find_map(|(name, value)| says(name, value))
}

/// Returns the place at which the first answer says that there is a page before it.
pub(super) fn before(object: Object<'_>, first: PageFacts<'_>) -> Option<String> {
    let here = &first.answer.address;
    let is_address =
        |text: &str| is_an_address(text) && here.join(text).is_ok_and(|address| address != *here);
    let says = |name: &str, value: &Value| match object.meaning(name)?.says {
        Says::First => (*value == Value::Bool(false)).then(|| object.place_of(name)),
        Says::Before => match value {
            Value::Bool(true) => Some(object.place_of(name)),
            Value::String(text) => is_address(text).then(|| object.place_of(name)),
            Value::Object(members) => {
                let mut texts = members.iter().filter(|(_, value)| value.is_string());
                let found = texts.find(|(_, text)| text.as_str().is_some_and(is_address));
                found.map(|(inner, _)| step(&object.place_of(name), inner))
            }
            _ => None,
        },
        _ => None,
    };
    if object.kind == Holder::Headers {
        let links = first.answer.headers_named("link");
        let found = link::related(links, &["prev", "previous"]).is_some_and(|at| is_address(&at));
        return found.then(|| "the header Link".to_owned());
    }
    let is_link = |name: &str, value: &Value| {
        let link = value.as_array()?.iter().filter_map(link_of);
        let mut before = link.filter(|link| link::is_among(link.relation, &["prev", "previous"]));
        before.find(|link| is_address(link.address)).map(|_| object.place_of(name))
    };
    let mut members = object.outside().filter(|_| object.is_around);
    members.find_map(|(name, value)| says(name, value).or_else(|| is_link(name, value)))
}

fn tells_of_cut(value: &Value, depth: u8) -> bool {
    match value {
        Value::String(text) => is_cut(text),
        Value::Array(values) if depth > 0 => values.iter().any(|it| tells_of_cut(it, depth - 1)),
        Value::Object(members) if depth > 0 => {
            members.values().any(|it| tells_of_cut(it, depth - 1))
        }
        _ => false,
    }
}

/// What says that there is more, and the name in it.
type Found = (Kind, Option<&'static str>);

/// A link that says what it leads to.
#[derive(Debug)]
pub(super) struct Link<'a> {
    by: &'a str,
    relation: &'a str,
    at: &'a str,
    address: &'a str,
}

/// Reads an object as a link.
pub(super) fn link_of(value: &Value) -> Option<Link<'_>> {
    let members = value.as_object()?;
    let find = |is_wanted: &dyn Fn(&str) -> bool| {
        let mut texts = members.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        texts.find(|(name, _)| is_wanted(name))
    };
    let relations = ["rel", "relation", "relationship", "name", "type"];
    let (by, relation) = find(&|name| relations.contains(&name))?;
    let (at, address) = find(&is_address)?;
    Some(Link { by, relation, at, address })
}

/// In a header a token is asked for by another style, and of JSON there nothing is.
fn of_holder(kind: Kind, holder: Holder) -> Kind {
    match (holder, kind) {
        (Holder::Headers, Kind::Token) => Kind::HeaderToken,
        (Holder::InHeader, Kind::Token | Kind::Url) | (Holder::Headers, Kind::Url) => Kind::Flag,
        (Holder::Headers | Holder::InHeader, Kind::Total) => Kind::HeaderTotal,
        (_, kind) => kind,
    }
}

/// Tells whether a value is a token, and none of those that say that there is none.
fn is_token(value: &Value) -> bool {
    let none = ["", "null", "none", "nil", "false", "undefined", "-1", "0"];
    match value {
        Value::String(text) => !none.iter().any(|none| text.trim().eq_ignore_ascii_case(none)),
        Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
        _ => false,
    }
}

/// Tells whether a value is a token where its name does not say that it is the next.
fn is_sure_token(name: &str, value: &Value, known: Meaning) -> bool {
    match value {
        // An offset that is a number is that of the page itself.
        Value::String(_) | Value::Number(_)
            if ["offset", "after"].contains(&plain(name).as_str()) =>
        {
            number(value).is_none() && is_token(value)
        }
        Value::Object(members) => known.is_sure && !members.is_empty(),
        value => is_token(value),
    }
}

fn is_an_address(text: &str) -> bool {
    text.contains("://") || text.starts_with(['/', '?']) && text.len() > 1
}

/// Tells whether a member is the size of a page.
pub(super) fn is_size(name: &str) -> bool {
    let name = plain(name);
    let sizes = ["limit", "pagesize", "pagelen", "maxresults", "maxrecords", "maxitems"];
    name.ends_with("perpage") || sizes.contains(&name.as_str())
}

/// Tells whether a text says that records are left out.
fn is_cut(text: &str) -> bool {
    let text = text.to_lowercase();
    let cut = ["truncated", "results limited", "results are limited", "limited to the first"];
    let more = ["only the first", "not all results", "not all records", "too many results"];
    let left = ["more results", "more records", "results omitted", "records omitted"];
    cut.iter().chain(&more).chain(&left).any(|words| text.contains(words))
}
