//! Signs in the last answer that there is more than was read. Pure but for the warning.
//!
//! The rule: an answer that says that there is more is followed, or warned of with the settings
//! that follow it. Where paging is switched off by `none` that is what was asked for. One that says
//! that it is the last is the last, whatever token it names besides.

use std::sync::atomic::Ordering;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::key::moment;
use crate::paging::Style;
use crate::paging::link;
use crate::paging::pager::{PageFacts, Pager};
use crate::plan::Plan;
use crate::told::plain;

/// Members that hold the next address or token. Names are compared without case and marks.
const NEXT: [&str; 20] = [
    "next",
    "nextpage",
    "nextpagetoken",
    "nexttoken",
    "nextcursor",
    "nexturl",
    "nexturi",
    "nextlink",
    "nexthref",
    "nextpageurl",
    "nextpagelink",
    "nextrecordsurl",
    "odatanextlink",
    "nextoffset",
    "nextkey",
    "nextmarker",
    "continuationtoken",
    "paginationtoken",
    "scrollid",
    "cursor",
];
/// Members that are true where there is more, and false on the last page.
const MORE: [&str; 12] = [
    "hasmore",
    "hasnext",
    "hasnextpage",
    "hasmoreresults",
    "hasmorepages",
    "hasmoreitems",
    "more",
    "moreitems",
    "moreresult",
    "moreresults",
    "morerecords",
    "moreitemsincollection",
];
/// Members that are true where there is more; where they are false, there may be more pages.
const TRUNCATED: [&str; 6] = [
    "istruncated",
    "truncated",
    "resultstruncated",
    "resulttruncated",
    "recordstruncated",
    "responsetruncated",
];
/// Members that are true on the last page, and false where there is more.
const LAST: [&str; 4] = ["islast", "islastpage", "lastpage", "last"];
/// Is false where there is more; true may mean the page alone.
const DONE: [&str; 1] = ["done"];
/// Members that say how many pages there are.
const PAGES: [&str; 7] =
    ["totalpages", "pagecount", "numpages", "totalpagecount", "pagestotal", "pages", "lastpage"];
/// Members that say how many records there are.
const TOTALS: [&str; 8] = [
    "total",
    "totalcount",
    "totalresults",
    "totalrecords",
    "totalitems",
    "totalelements",
    "totalhits",
    "odatacount",
];
/// Members beside a number of pages that tell that it is one.
const PAGED: [&str; 8] =
    ["page", "currentpage", "pagenumber", "perpage", "pagesize", "total", "totalcount", "limit"];
/// Members that say which page it is.
const PAGE: [&str; 4] = ["page", "currentpage", "pagenumber", "pageno"];
/// Members in which such members lie.
const AROUND: [&str; 12] = [
    "meta",
    "metadata",
    "pagination",
    "paging",
    "page",
    "pageinfo",
    "paginginfo",
    "links",
    "cursors",
    "responsemetadata",
    "result",
    "response",
];
const DEPTH: u8 = 2;

/// A sign that there is more.
#[derive(Debug, PartialEq, Eq)]
struct Sign {
    place: String,
    kind: Kind,
    /// Its name says that it is the next.
    is_next: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Link,
    Url,
    Flag,
    Token,
    HeaderToken,
    Pages,
    Total,
    HeaderTotal,
}

/// What an answer says of all pages together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    more: bool,
    last: bool,
    total: Option<u64>,
    /// What the member `count` says, which may also be the size of a page.
    count: Option<u64>,
}

impl Said {
    /// Tells whether the answer says that it is the last.
    pub fn is_last(&self) -> bool {
        self.last && !self.more
    }

    /// Returns how many records there are in all. A `count` is no size of a page once a second page
    /// has records.
    pub fn total(&self, filled: u64) -> Option<u64> {
        self.total.or(self.count.filter(|_| filled > 1))
    }

    fn look(&mut self, members: &Map<String, Value>, skip: &str) {
        let has = |known: &str| members.keys().any(|name| plain(name) == known);
        let is_counted = has("next") && has("previous");
        for (name, value) in members.iter().filter(|(name, _)| *name != skip) {
            let name = plain(name);
            let is = |names: &[&str]| names.contains(&name.as_str());
            let is_said =
                |word: bool| value.as_bool() == Some(word) || *value == word.to_string().as_str();
            self.more |= (is(&MORE) || is(&TRUNCATED)) && is_said(true);
            self.more |= (is(&LAST) || is(&DONE)) && is_said(false);
            self.last |= is(&MORE) && is_said(false) || is(&LAST) && is_said(true);
            let number = number(value);
            if is(&TOTALS) || name == "count" && is_counted {
                self.total = self.total.into_iter().chain(number).min();
            } else if name == "count" {
                self.count = self.count.or(number);
            }
        }
    }
}

/// Finds what an answer says of all pages together. A path that goes on behind a list may come to
/// more records than the list has elements, or to fewer, so that no total is theirs.
pub fn said(plan: &Plan, envelope: &Value) -> Said {
    let mut said = Said::default();
    visit(plan, envelope, &mut |members, _, skip| said.look(members, skip));
    if plan.records.is_list() { said } else { Said { total: None, count: None, ..said } }
}

/// Takes an object, its place, and the name of what holds the records there.
type Look<'a> = &'a mut dyn FnMut(&Map<String, Value>, &str, &str);

/// Shows each object around the records, with its place and the name of what holds the records.
fn visit(plan: &Plan, envelope: &Value, look: Look<'_>) {
    if plan.records.is_root() {
        return;
    }
    let mut names = plan.records.names().peekable();
    let (mut at, mut place) = (envelope.as_object(), "$".to_owned());
    while let (Some(members), Some(name)) = (at, names.next()) {
        visit_within(members, &place, name, DEPTH, &mut *look);
        at = names.peek().and_then(|_| members.get(name)?.as_object());
        place = step(&place, name);
    }
}

fn visit_within(members: &Map<String, Value>, place: &str, skip: &str, depth: u8, look: Look<'_>) {
    look(members, place, skip);
    for (name, value) in members.iter().filter(|(name, _)| depth > 0 && *name != skip) {
        if let (Some(inner), true) = (value.as_object(), AROUND.contains(&plain(name).as_str())) {
            visit_within(inner, &step(place, name), "", depth - 1, &mut *look);
        }
    }
}

/// Warns, once for a stream, when the last answer says that there is more.
pub fn warn(plan: &Plan, pager: &Pager, last: PageFacts<'_>) {
    let paging = &plan.paging;
    if paging.style == Style::None || last.said.is_last() {
        return;
    }
    let mut search = Search { pager, signs: in_headers(pager, last) };
    visit(plan, last.envelope, &mut |members, place, skip| search.look(members, place, skip));
    let mut signs = search.signs;
    // A style that was chosen has come to the end that it knows; what it may have missed is told
    // by what says nothing but that there is more, and by a token at another place than that of
    // the settings. Behind the last page of a numbered style there may be links to further ones as
    // empty.
    let most = if last.records > 0 { Kind::Link..=Kind::Flag } else { Kind::Flag..=Kind::Flag };
    let lacks_token = last.records > 0 && pager.pages() == 1 && paging.lacks_place(last);
    let is_token = |sign: &Sign| match sign.kind {
        Kind::Token => sign.is_next,
        kind => kind == Kind::HeaderToken,
    };
    signs.retain(|sign| {
        paging.by_default || most.contains(&sign.kind) || lacks_token && is_token(sign)
    });
    signs.retain(|sign| !(paging.style == Style::LinkHeader && sign.kind == Kind::Link));
    let Some(sign) = signs.into_iter().min_by_key(|sign| sign.kind) else { return };
    if plan.warned.of_more.swap(true, Ordering::Relaxed) {
        return;
    }
    let Sign { place, kind, .. } = sign;
    let remedy = remedy(&place, kind);
    singer::warn!(
        "W-MORE-PAGES",
        "stream {}: {place} in the answer says that there is more, and it is not read: {remedy}",
        plan.name
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
        Kind::Flag | Kind::Pages | Kind::HeaderTotal => {
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

fn in_headers(pager: &Pager, last: PageFacts<'_>) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut add = |name: &str, kind| {
        signs.push(Sign { place: format!("the header {name}"), kind, is_next: true });
    };
    if link::next(last.answer.headers_named("link")).is_some() {
        add("Link", Kind::Link);
    }
    for name in ["x-next-page", "x-next-cursor", "x-next-token", "x-ms-continuation"] {
        if last.answer.header(name).is_some_and(|text| !text.trim().is_empty()) {
            add(name, Kind::HeaderToken);
        }
    }
    let number = |name: &str| last.answer.header(name).and_then(|text| text.trim().parse().ok());
    if number("x-total-pages").is_some_and(|pages: u64| pages > pager.pages()) {
        add("x-total-pages", Kind::Pages);
    }
    // As `items 0-24/3573`.
    let range = last.answer.header("content-range");
    let all = range.and_then(|text| text.rsplit_once('/')?.1.trim().parse().ok());
    if all.is_some_and(|all: u64| all > pager.received()) {
        add("content-range", Kind::HeaderTotal);
    }
    for name in ["x-total-count", "x-total"] {
        if number(name).is_some_and(|all: u64| all > pager.received()) {
            add(name, Kind::HeaderTotal);
        }
    }
    signs
}

/// Looks for signs around the records.
struct Search<'a> {
    pager: &'a Pager,
    signs: Vec<Sign>,
}

impl Search<'_> {
    fn look(&mut self, members: &Map<String, Value>, place: &str, skip: &str) {
        for (name, value) in members.iter().filter(|(name, _)| *name != skip) {
            let at = step(place, name);
            let name = plain(name);
            let is_next = name.starts_with("next");
            let kind = self.kind(&name, value).filter(|kind| {
                *kind != Kind::Pages || is_page_count(&name, value, members, skip.is_empty())
            });
            self.signs.extend(kind.map(|kind| Sign { place: at.clone(), kind, is_next }));
            let Some(inner) = value.as_object() else { continue };
            let mut forms = ["href", "url", "link"].iter();
            let href = forms.find(|form| inner.get(**form).is_some_and(is_text));
            if let (Some(href), true) = (href, NEXT.contains(&name.as_str())) {
                self.signs.push(Sign { place: step(&at, href), kind: Kind::Url, is_next });
            }
        }
    }

    fn kind(&self, name: &str, value: &Value) -> Option<Kind> {
        let is = |names: &[&str]| names.contains(&name);
        match value {
            Value::Bool(true) if is(&MORE) || is(&TRUNCATED) || is(&NEXT) => Some(Kind::Flag),
            Value::Bool(false) if is(&LAST) || is(&DONE) => Some(Kind::Flag),
            Value::String(text)
                if (is(&MORE) || is(&TRUNCATED)) && text.eq_ignore_ascii_case("true") =>
            {
                Some(Kind::Flag)
            }
            // The next date is no page.
            Value::String(text) if is(&NEXT) && moment(text, &TimeZone::UTC).is_some() => None,
            Value::String(text) if is(&NEXT) && !text.is_empty() => Some(of_text(text)),
            Value::Number(_) if is(&NEXT) => Some(Kind::Token),
            _ if is(&PAGES) => {
                number(value).filter(|pages| *pages > self.pager.pages()).map(|_| Kind::Pages)
            }
            _ if is(&TOTALS) => {
                number(value).filter(|total| *total > self.pager.received()).map(|_| Kind::Total)
            }
            _ => None,
        }
    }
}

/// Tells whether a number is that of the pages of a list, and the page at hand is not the last of
/// them: `pages` may also be those of a book.
fn is_page_count(name: &str, pages: &Value, members: &Map<String, Value>, is_around: bool) -> bool {
    let among = |names: &[&str], name: &str| names.contains(&plain(name).as_str());
    let is_paged = || members.keys().any(|name| among(&PAGED, name));
    let mut page = members.iter().filter(|(name, _)| among(&PAGE, name));
    let is_last = page.any(|(_, page)| number(page).is_some() && number(page) >= number(pages));
    !is_last && (name != "pages" || is_around || is_paged())
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn of_text(text: &str) -> Kind {
    let is_address = text.contains("://") || text.starts_with(['/', '?']) && text.len() > 1;
    if is_address { Kind::Url } else { Kind::Token }
}

/// Adds a member to a `JSONPath`.
fn step(place: &str, name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return format!("{place}.{name}");
    }
    format!("{place}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}
