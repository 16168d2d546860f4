//! Which page comes next, and when pages go round in circles. Pure.

use std::collections::BTreeSet;

use http_client::{Address, Answer};
use serde_json::Value;
use serde_json_path::JsonPath;
use singer::{Error, ErrorKind, Result};

use crate::paging::drift::Drift;
use crate::paging::facts::{PageFacts, Said};
use crate::paging::link;
use crate::paging::{Paging, Style, is_end};

/// So many pages without records may say that there is more.
const EMPTY_PAGES_MAX: u32 = 100;
/// So many pages without records may stand before others, where the answers count the pages.
const EMPTY_PAGES_COUNTED: u32 = 10;
/// So many pages of one record without keys in a row may be equal to earlier ones.
const EQUAL_PAGES_MAX: u32 = 100;

/// Where a read of pages stands.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Pager {
    pages: u64,
    received: u64,
    /// How many records there are, by the last page that says so.
    total: Option<u64>,
    /// A page said that there are fewer records than had come by then.
    untrue: Option<(u64, u64)>,
    number: u64,
    /// The most records a page had: servers may give fewer than asked for.
    largest: u64,
    /// The page before may have been the last, so this one may not be there.
    probing: bool,
    /// No answer has named the page at hand: it is the next by count.
    counted_to: bool,
    /// What the last page says of all of them together.
    said: Said,
    /// How many pages had records.
    filled: u64,
    /// The page before had fewer records than another: some servers give the last one for ever.
    short: bool,
    /// How many records each page with any had but for the last one, and the last one; `None` where
    /// they differ.
    sizes: Option<(u64, u64)>,
    /// What the pages of the stream have shown so far.
    known: Known,
    /// The page before is the first one, and asked behind as no page has shown the place that says
    /// whether there is more.
    unsure: bool,
    /// So it was for these records of the first page.
    asked_behind: Option<u64>,
    /// Pages without records in a row that say that there is more.
    empty: u32,
    requests: BTreeSet<u64>,
    contents: BTreeSet<u64>,
    /// Pages in a row that are equal to earlier ones.
    equal: u32,
    before: Option<u64>,
    /// The columns that the first page has named.
    columns: BTreeSet<Vec<u8>>,
    /// What came again, or went, as the data moved.
    pub drift: Drift,
}

/// What the pages of a stream have shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// A page announced another number of records than its own.
    pub has_totals: bool,
    /// A page had the place that says what comes next.
    pub has_place: bool,
    /// So many records stood on a page without that place, and nothing behind it.
    pub whole: u64,
}

/// What to ask for next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same address with these parameters.
    Params(Vec<(String, Value)>),
    /// This address.
    Address(Address),
}

impl Pager {
    /// Starts with what is known of the stream.
    pub fn new(known: Known) -> Self {
        Self { known, ..Self::default() }
    }

    /// Returns what the pages of the stream have shown, these included.
    pub fn known(&self) -> Known {
        let whole = self.asked_behind.filter(|_| self.filled == 1).unwrap_or_default();
        let has_totals = self.known.has_totals && self.untrue.is_none();
        Known { has_totals, whole: whole.max(self.known.whole), ..self.known }
    }

    /// Returns the parameters of the first page.
    pub fn first(&mut self, paging: &Paging) -> Vec<(String, Value)> {
        self.number = paging.first;
        match paging.style {
            Style::PageNumber | Style::Offset => self.numbered(paging),
            _ => size(paging),
        }
    }

    /// Tells whether the only page so far announced as many records as it had, or does not say
    /// whether there is more: that may be all there are, or one page of them.
    pub fn may_be_all(&self) -> bool {
        self.pages == 1 && !self.known.has_totals && self.total.is_some() || self.unsure
    }

    /// Returns the statuses by which an API says that the page asked for is not there. One that
    /// refuses a page behind others as full may as well have a limit of its own.
    pub fn ends(&self) -> &'static [u16] {
        match (self.probing, self.short || self.pages == 1) {
            (true, true) => &[400, 404, 416, 422],
            (true, false) => &[404, 416],
            (false, _) if self.counted_to => &[404, 416],
            (false, _) => &[],
        }
    }

    /// Says of a page that was refused, and is not treated as the end, what that may mean.
    pub fn explain(&self, paging: &Paging, failure: Error) -> Error {
        if self.pages > 0
            && !paging.is_numbered()
            && matches!(failure.context("status"), Some("400" | "404" | "410" | "422"))
        {
            return failure.with("pages before it", self.pages).hint(
                "the API itself has named this page, and the name may have expired: run again; if \
                 this does not help, check `next_page_token_path` and `pagination_next_page_param`",
            );
        }
        let refused = matches!(failure.context("status"), Some("400" | "404" | "416" | "422"));
        if !(refused && paging.is_numbered() && self.pages > 0) {
            return failure;
        }
        failure.with("pages before it", self.pages).hint(
            "there may be more records than the API gives by pages: request fewer at once \
             (`window_days`, `params`, `inputs`); if this is the end, set the member of the \
             answers that says so (`pagination_total_limit_param` or `next_page_token_path`)",
        )
    }

    /// Tells whether the pages so far are all: as many records came as there are by the answers,
    /// or the last one says that it is the last.
    pub fn is_complete(&self) -> bool {
        let total = self.total.or(self.said.total(self.filled));
        self.said.is_last() || total == Some(self.received)
    }

    /// Returns how many records the API announced, and how many it gave, where these are fewer.
    pub fn missing(&self, paging: &Paging) -> Option<(u64, u64)> {
        // Without a style one page is what was asked for; what it says is reported as "more pages".
        let is_read_on = !paging.by_default && paging.style != Style::None;
        let shown = self.said.total(self.filled).filter(|_| is_read_on);
        let total = self.total.or(shown).filter(|total| *total > self.received)?;
        Some((total, self.received))
    }

    /// Returns how many records each of several numbered pages had, and how many were asked for,
    /// where these are more and no total tells whether all have come.
    pub fn shorter(&self, paging: &Paging) -> Option<(u64, u64)> {
        let (each, last) = self.sizes.filter(|(each, last)| *each > 1 && last <= each)?;
        let (_, asked) = paging.size.as_ref().filter(|(_, asked)| *asked > each)?;
        let is_told =
            self.total.or(self.said.total(self.filled)).is_some() || self.untrue.is_some();
        let is_several = self.filled > 1 && last > 0 && paging.style == Style::PageNumber;
        (is_several && !is_told).then_some((each, *asked))
    }

    /// Tells whether the only page says nothing where it would say what comes next.
    pub fn is_untold(&self, paging: &Paging, only: PageFacts<'_>) -> bool {
        only.records > 0 && self.pages == 1 && paging.lacks_place(only)
    }

    /// Returns the first total that was lower than what had come, and how many records had come.
    pub fn untrue(&self) -> Option<(u64, u64)> {
        self.untrue
    }

    /// Returns how many records came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns how many pages were read.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Counts a page, and returns what to ask for next.
    pub fn next(&mut self, paging: &Paging, page: PageFacts<'_>) -> Result<Option<Next>> {
        self.pages += 1;
        self.received += page.records;
        self.known.has_place |= !paging.lacks_place(page);
        if page.records > 0 {
            self.filled += 1;
            self.sizes = match self.sizes {
                None if self.filled == 1 => Some((page.records, page.records)),
                Some((each, last)) if each == last => Some((each, page.records)),
                _ => None,
            };
        }
        self.said = page.said.behind(self.said, page.records);
        let total = paging.total(page.envelope);
        self.total = total.or(self.total);
        self.known.has_totals |= total.is_some_and(|total| total != page.records);
        if let Some(total) = total.filter(|total| *total < self.received && self.known.has_totals) {
            self.untrue.get_or_insert((total, self.received));
        }
        Ok(match paging.style {
            Style::None => None,
            // Some keep on naming a token, for those who come back later.
            Style::Token | Style::NextUrl if page.said.is_last() => None,
            Style::PageNumber => {
                self.number += 1;
                let more = self.more(paging, page)?;
                more.then(|| Next::Params(self.numbered(paging)))
            }
            Style::Offset => {
                self.number += page.records;
                let more = self.more(paging, page)?;
                more.then(|| Next::Params(self.numbered(paging)))
            }
            Style::Token => match paging.found(page.envelope) {
                Some(token) => {
                    Some(with_tokens(by_token(paging, token, page.answer)?, paging, page.envelope)?)
                }
                None => no_tokens(paging, page.envelope).map(|()| None)?,
            },
            Style::HeaderToken => match page.answer.header(&paging.header) {
                Some(token) if !token.is_empty() => {
                    Some(by_token(paging, of_header(token), page.answer)?)
                }
                _ => None,
            },
            Style::NextUrl => match paging.found(page.envelope) {
                Some(Value::String(url)) => Some(Next::Address(page.answer.address.join(&url)?)),
                Some(_) => return Err(no_address()),
                None => None,
            },
            Style::LinkHeader => match link::next(page.answer.headers_named("link")) {
                Some(url) => Some(Next::Address(page.answer.address.join(&url)?)),
                None => None,
            },
        })
    }

    /// Ends a page for what is known of data that moves. A total that may be the count of a page
    /// says nothing of that, nor does one lower than what came where the settings name none.
    pub fn end_page(&mut self, paging: &Paging, page: PageFacts<'_>) {
        let given = paging.total(page.envelope).filter(|_| self.known.has_totals);
        let shown = page.said.total.filter(|_| paging.total.is_none() && page.records > 0);
        let is_true = |total: &u64| *total >= self.received;
        self.drift.end_page(given.or(shown.filter(is_true)));
    }

    /// Refuses a request that was made before, and one too many.
    pub fn check_request(&mut self, request: u64, pages_max: u64) -> Result<()> {
        if !self.requests.insert(request) {
            return Err(in_circles("the API names a page again as the next one"));
        }
        if self.pages >= pages_max {
            return Err(Error::new(
                ErrorKind::Data,
                "there are more pages than `max_pages` allows",
            )
            .with("max_pages", pages_max)
            .hint("check the pagination settings, or raise `max_pages`"));
        }
        Ok(())
    }

    /// Refuses a page that names other columns than the first one: it may have no names, and the
    /// first of its rows in their place.
    pub fn check_columns(&mut self, columns: BTreeSet<Vec<u8>>) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = columns;
        } else if !columns.is_empty() && self.columns != columns {
            return Err(Error::new(
                ErrorKind::Data,
                "a page has other columns than the first page",
            )
            .hint(
                "if only the first page names the columns, request all records at once, or another \
                  format (`answer_format`)",
            ));
        }
        Ok(())
    }

    /// Tells whether a page may be the one before once more, in place of none.
    pub fn may_repeat(&self) -> bool {
        self.short || self.may_be_all()
    }

    /// Tells whether a page is a new one; false is the end.
    ///
    /// The rule: a page with records that came before is none, as an API that knows of no pages
    /// gives its only one for ever. One record without keys may be equal to others, but not so
    /// many in a row.
    pub fn is_new(&mut self, content: u64, records: u64, is_keyed: bool) -> Result<bool> {
        if self.before.replace(content) == Some(content) && self.may_repeat() {
            return Ok(false);
        }
        if records == 0 || self.contents.insert(content) {
            self.equal = 0;
            return Ok(true);
        }
        self.equal += 1;
        if records == 1 && !is_keyed && self.equal <= EQUAL_PAGES_MAX {
            return Ok(true);
        }
        Err(in_circles("the API gives a page again instead of the next one"))
    }

    /// Tells whether there may be more pages of a numbered kind.
    ///
    /// The rule: a total that is lower than what came cannot be true, and one that is the number of
    /// records of its own page need not be more than that. Neither it nor a later one ends the
    /// read; the pages do. A page that nothing but our own count names may not be there. A place
    /// that no page of the stream has says nothing of its pages, so that they are counted.
    fn more(&mut self, paging: &Paging, page: PageFacts<'_>) -> Result<bool> {
        self.probing = false;
        self.unsure = false;
        self.counted_to = false;
        self.short = false;
        let found = paging.found(page.envelope);
        if page.records == 0 {
            return self.more_behind_none(paging, found.as_ref());
        }
        self.empty = 0;
        let total = paging.total(page.envelope).filter(|_| self.untrue.is_none());
        if let Some(total) = total.filter(|_| self.known.has_totals) {
            return Ok(total > self.received);
        }
        // It may lead to the object that holds the total.
        let is_holder = matches!(found, Some(Value::Object(_)));
        if paging.path.is_some() && !is_holder {
            if self.known.has_place || page.records <= self.known.whole {
                return Ok(found.is_some());
            }
            self.unsure = self.pages == 1;
            self.asked_behind = self.asked_behind.or(Some(page.records));
        }
        self.counted_to = true;
        let asked = paging.size.as_ref().map(|(_, size)| *size);
        self.largest = self.largest.max(page.records);
        // Fewer than asked for, or than before, can be all that the server gives at once, or what
        // a filter of its leaves of a page: only the next one tells.
        self.short = page.records < self.largest;
        // A total that was true up to this page may say that it is the last one, as rows went.
        let sank = self.untrue.is_some_and(|(_, received)| received == self.received);
        let told = sank || self.may_be_all();
        self.probing = self.short || told || asked.is_none_or(|asked| page.records < asked);
        Ok(true)
    }

    /// Tells whether there may be more pages behind one without records: where it says so itself,
    /// names the next one by its number, or the answers count more pages.
    ///
    /// Fails with `Data` where that goes on and on.
    fn more_behind_none(&mut self, paging: &Paging, found: Option<&Value>) -> Result<bool> {
        let is_yes = match found {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        };
        let named = found.and_then(|found| found.as_u64().or_else(|| found.as_str()?.parse().ok()));
        // By offset nothing else would be asked for, unless the answer says where to go on.
        if paging.style != Style::PageNumber {
            let Some(offset) = named.filter(|offset| *offset > self.number) else {
                return Ok(false);
            };
            self.number = offset;
            self.empty += 1;
            return Ok(self.empty <= EMPTY_PAGES_COUNTED);
        }
        self.empty += 1;
        if !is_yes {
            // Numbers of pages begin at 0 or 1.
            let behind = self.said.pages.map(|pages| pages + u64::from(paging.first > 0));
            let is_counted = behind.is_some_and(|behind| self.number < behind);
            let is_named = named == Some(self.number);
            return Ok((is_counted || is_named) && self.empty <= EMPTY_PAGES_COUNTED);
        }
        if self.empty <= EMPTY_PAGES_MAX {
            return Ok(true);
        }
        Err(Error::new(ErrorKind::Data, "the API says that there are more records, but sends none")
            .with("pages without records", self.empty)
            .hint(
                "check `next_page_token_path`: it must lead to a value that is false on the last \
                    page",
            ))
    }

    fn numbered(&self, paging: &Paging) -> Vec<(String, Value)> {
        let number = (paging.param.clone(), self.number.into());
        std::iter::once(number).chain(size(paging)).collect()
    }
}

fn size(paging: &Paging) -> Vec<(String, Value)> {
    paging.size.iter().map(|(name, size)| (name.clone(), (*size).into())).collect()
}

/// A token that is an address is followed.
fn by_token(paging: &Paging, token: Value, answer: &Answer) -> Result<Next> {
    if let Some(url) = token.as_str()
        && (url.starts_with("https://") || url.starts_with("http://"))
    {
        return answer.address.join(url).map(Next::Address);
    }
    let param = (paging.param.clone(), token);
    Ok(Next::Params(std::iter::once(param).chain(size(paging)).collect()))
}

/// Refuses further tokens without the first one.
fn no_tokens(paging: &Paging, envelope: &Value) -> Result<()> {
    let is_there = |(_, path): &&(String, JsonPath)| {
        path.query(envelope).first().is_some_and(|token| !is_end(token))
    };
    match paging.tokens.iter().find(is_there) {
        Some((name, path)) => Err(lacks_token(&paging.param)
            .with("other parameter", name)
            .with("path of the other token", path)),
        None => Ok(()),
    }
}

fn lacks_token(name: &str) -> Error {
    Error::new(ErrorKind::Data, "an answer lacks a token of the next page")
        .with("parameter", name)
        .hint(
            "check `next_page_token_path` and `next_page_tokens`: an answer must have all of \
               these tokens or none",
        )
}

/// Adds the further tokens, which belong to the first one.
fn with_tokens(mut next: Next, paging: &Paging, envelope: &Value) -> Result<Next> {
    if let Next::Params(params) = &mut next {
        for (name, path) in &paging.tokens {
            let Some(token) = path.query(envelope).first().filter(|token| !token.is_null()) else {
                return Err(lacks_token(name).with("path", path));
            };
            params.push((name.clone(), token.clone()));
        }
    }
    Ok(next)
}

/// A header has texts alone: one that is a number as JSON writes it is one in a body.
fn of_header(text: &str) -> Value {
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    number.map_or_else(|| text.into(), Value::from)
}

fn no_address() -> Error {
    Error::new(ErrorKind::Data, "cannot follow the address in the answer")
        .with("reason", "it is not a text")
        .hint("`next_page_token_path` must lead to the text of the address, like `$.next.href`")
}

fn in_circles(message: &str) -> Error {
    Error::new(ErrorKind::Data, message).hint(
        "check `pagination_request_style`, `pagination_next_page_param` and \
         `next_page_token_path`: the parameter may have another name; for an API without pages set \
          the style `none`",
    )
}
