//! Reads a stream page by page: slices of time, contexts within them, pages within those.

mod failures;
mod form;
mod own;
mod page;
mod tree;
mod turn;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use http_client::{Address, Client};
use jiff::Timestamp;
use singer::future::Cap;
use singer::{Error, ErrorKind, Result};

use crate::beside::Beside;
use crate::borders::{Borders, Place};
use crate::key::{Keys, TimeFormat};
use crate::latest::{Latest, Start};
use crate::options::NotFound;
use crate::paging::pager::{Next, Pager};
use crate::reader::failures::{explain, no_moment, no_row, warn_of_end};
use crate::reader::own::Own;
pub use crate::reader::turn::each_member;
use crate::reader::turn::{Forms, Turn};
use crate::request::{self, PageRequest};
use crate::row::{Context, RowMaker};
use crate::slice::{Calendar, Slice};
use crate::spool::{Budget, Spool};
use crate::stream::StreamSpec;

/// What all readers share.
#[derive(Debug)]
pub struct Api {
    /// Sends the requests.
    pub client: Client,
    /// Where the API is.
    pub address: Address,
    /// The times of the run.
    pub calendar: Calendar,
    /// How many bytes a record may have.
    pub record_bytes_max: usize,
    /// Up to where bookmarks move.
    pub cap: Cap,
    /// What rows may be kept in.
    pub spool: Budget,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The end of a page.
    Page,
    /// The end of a slice.
    Slice,
    /// The end of the stream.
    End,
}

/// Where a read of a stream stands.
#[derive(Debug)]
pub struct Reader {
    slices: Vec<Slice>,
    contexts: Arc<Vec<Context>>,
    slice: usize,
    context: usize,
    /// The pages of the context at hand, and the request for the next one.
    open: Option<(Pager, PageRequest)>,
    maker: RowMaker,
    counts: Counts,
    forms: Forms,
    beside: Beside,
    latest: Latest,
    /// The bookmarks of its contexts, where each has one.
    own: Own,
    borders: Borders,
    /// Contexts that the API does not know, by their sums.
    absent: BTreeMap<[u8; 32], Context>,
    /// What its rows lead to, where the stream is its own parent.
    tree: Option<tree::Tree>,
    cut: bool,
}

/// What a read has come across.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Rows that were left out, as their key is of another day.
    pub outside: u64,
    /// Rows of a day without a key, which may be of any other as well.
    pub undated: u64,
    /// There are records beyond the limit.
    beyond: bool,
}

/// Takes rows.
pub type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

impl Reader {
    /// Starts a read.
    pub fn new(
        spec: &StreamSpec,
        slices: Vec<Slice>,
        contexts: Arc<Vec<Context>>,
        latest: Latest,
    ) -> Self {
        Self {
            slices,
            contexts,
            slice: 0,
            context: 0,
            open: None,
            maker: RowMaker::new(&spec.rules),
            counts: Counts::default(),
            forms: Forms::default(),
            beside: Beside::default(),
            latest,
            own: Own::default(),
            borders: Borders::default(),
            absent: BTreeMap::new(),
            tree: None,
            cut: false,
        }
    }

    /// Reads what the rows lead to as well, if the stream is its own parent.
    pub fn with_tree(mut self, api: &Api, spec: &StreamSpec) -> Self {
        if let Some(recurse) = &spec.recurse {
            let (tree, contexts) = tree::Tree::new(api, recurse, &self.contexts);
            self.contexts = Arc::new(contexts);
            self.tree = Some(tree);
        }
        self
    }

    /// Reads each context from a start of its own.
    pub fn with_starts(mut self, starts: Vec<Start>) -> Self {
        self.own = Own::new(starts);
        self
    }

    /// Returns the bookmarks of the contexts that were read, in their order, where each has one.
    pub fn marks(&self) -> &[Option<String>] {
        self.own.marks()
    }

    /// Returns what the bookmark is to be, of the context at hand where each has one.
    pub fn mark(&self, api: &Api, spec: &StreamSpec) -> Option<&str> {
        let of_one = self.own.start(0).is_some() || self.contexts.len() == 1;
        let by_pages = of_one && spec.asks_from_a_time() && spec.recurse.is_none();
        if by_pages { self.latest.mark(keys(api, spec)) } else { self.latest.known() }
    }

    /// Returns of how many bookmarks the pages did not come in the order of the key.
    pub fn held(&self) -> u64 {
        self.own.held
    }

    /// Returns the latest replication key so far.
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Returns what the read has come across so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns what is known of the borders of windows.
    pub fn borders(&self) -> &Borders {
        &self.borders
    }

    /// Returns the contexts that the API does not know.
    pub fn absent(&self) -> &BTreeMap<[u8; 32], Context> {
        &self.absent
    }

    /// Adds the contexts that the API does not know by another read.
    pub fn miss(&mut self, other: &Self) {
        self.absent.extend(other.absent.iter().map(|(sum, context)| (*sum, context.clone())));
    }

    /// Tells whether all slices were read.
    pub fn is_done(&self) -> bool {
        self.slice >= self.slices.len()
    }

    /// Tells whether the limit has ended the read before its end.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Reads the next page and gives its rows to `take`; those of a tree come with a head.
    fn advance(&mut self, api: &Api, spec: &StreamSpec, take: Take<'_>) -> Result<Step> {
        if self.slice >= self.slices.len() {
            return Ok(Step::End);
        }
        let open = self.context < self.contexts.len();
        if self.is_full(spec) && (open || self.counts.beyond) {
            // Rows come in any order: what is not read may be older than what is, so that the
            // slice has not ended.
            self.cut = true;
            self.slice = self.slices.len();
            return Ok(Step::End);
        }
        if !open {
            return Ok(self.end_slice(api, spec));
        }
        let at_once = spec.concurrency.min(self.contexts.len() - self.context);
        if at_once > 1 && self.open.is_none() && spec.limit.is_none() {
            return self.several(api, spec, at_once, take);
        }
        let (mut pager, mut request) = match self.open.take() {
            Some(open) => open,
            None => self.begin(api, spec)?,
        };
        pager.check_request(request.sent.identity(), spec.pages_max)?;
        let mut statuses = pager.ends().to_vec();
        // A page that the API itself has named is there, or something is wrong.
        if spec.not_found == NotFound::Empty && (pager.pages() == 0 || spec.paging.is_numbered()) {
            statuses.push(404);
        }
        // Some APIs take no parameters beside those of the address that they named.
        statuses.extend(request.named.iter().flat_map(|_| request::MAY_REFUSE));
        let mut attempts = api.client.attempts();
        let next = loop {
            let sent = api.client.send(&request.sent, &statuses);
            let mut answer = sent.map_err(|failure| pager.explain(&spec.paging, failure))?;
            self.latest.take_clock(&answer);
            if request.falls_back(answer.status) {
                statuses.retain(|status| !request::MAY_REFUSE.contains(status));
                continue;
            }
            if !matches!(answer.status, 200..300) {
                page::close(spec, &pager);
                if pager.pages() == 0 {
                    self.note_absent();
                }
                if pager.pages() > 0 && !pager.may_be_all() && !pager.is_complete() {
                    warn_of_end(&api.client, spec, &request.sent, &mut answer);
                }
                break None;
            }
            let page = page::Page::new(api, spec, &mut pager, &mut *take);
            let turn = self.page(page, &mut answer);
            match turn
                .map_err(|failure| explain(failure, &api.client, &request.sent, &mut answer))?
            {
                Turn::Next(next) => break next,
                Turn::Again(failure) => {
                    let failure = explain(failure, &api.client, &request.sent, &mut answer);
                    api.client.wait_again(&mut attempts, &request.sent, failure, &answer)?;
                }
            }
        };
        self.latest.end_page(keys(api, spec));
        match next {
            None => self.end_context(api, spec),
            // The next step ends the read.
            Some(_) if self.is_full(spec) => {}
            Some(next) => self.open = Some((pager, for_next(api, spec, request, next)?)),
        }
        Ok(Step::Page)
    }

    /// Reads so many contexts at once, and gives their rows to `take` in order.
    fn several(
        &mut self,
        api: &Api,
        spec: &StreamSpec,
        count: usize,
        take: Take<'_>,
    ) -> Result<Step> {
        let slice = &self.slices[self.slice];
        let contexts = &self.contexts[self.context..self.context + count];
        let read = |at: usize, context: &Context| {
            let slice = Slice { reached: None, ..slice.clone() };
            let contexts = Arc::new(vec![context.clone()]);
            let mut reader = Self::new(spec, vec![slice], contexts, self.latest.beside());
            reader.borders = self.borders.beside();
            reader.own = self.own.beside(at);
            (reader.forms, reader.beside) = (self.forms.clone(), self.beside.clone());
            let mut rows = Spool::new(&api.spool);
            while reader.advance(api, spec, &mut |row| rows.push(row))? == Step::Page {}
            Ok((reader, rows))
        };
        let gone = || Err(Error::new(ErrorKind::Internal, "a reading thread has ended"));
        let read = std::thread::scope(|scope| {
            let read = &read;
            let threads =
                (self.context..).zip(contexts).map(|(at, one)| scope.spawn(move || read(at, one)));
            let threads: Vec<_> = threads.collect();
            let join = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| gone()));
            join.collect::<Vec<Result<_>>>()
        });
        for (at, read) in (self.context..).zip(read) {
            let (reader, mut rows) = read?;
            self.forms.join(&reader.forms, spec)?;
            rows.each(|row| {
                let has_head = spec.recurse.is_some();
                if has_head { take(&tree::moved(row, at)) } else { take(row) }
            })?;
            self.borders.join(&reader.borders);
            self.beside.join(&reader.beside);
            self.own.join(&reader.own);
            self.join(api, spec, &reader);
        }
        self.context += count;
        Ok(Step::Page)
    }

    /// Returns what makes its rows.
    pub fn maker(&mut self) -> &mut RowMaker {
        &mut self.maker
    }

    /// Adds what a read beside this one has come across.
    pub fn join(&mut self, api: &Api, spec: &StreamSpec, other: &Self) {
        self.maker.learn(&other.maker);
        self.latest.join(keys(api, spec), &other.latest, self.counts.rows);
        self.counts.rows += other.counts.rows;
        self.counts.outside += other.counts.outside;
        self.counts.undated += other.counts.undated;
        self.miss(other);
    }

    /// Keeps that the API does not know the context at hand.
    fn note_absent(&mut self) {
        let context = &self.contexts[self.context];
        self.absent.insert(context.sum(), context.clone());
    }

    /// Tells whether there are as many rows as are wanted.
    fn is_full(&self, spec: &StreamSpec) -> bool {
        spec.limit.is_some_and(|limit| self.counts.rows >= limit)
    }

    fn begin(&mut self, api: &Api, spec: &StreamSpec) -> Result<(Pager, PageRequest)> {
        if let Some(start) = self.own.start(self.context) {
            // Without windows there is one slice.
            self.slices =
                api.calendar.since(start.key.as_deref(), spec.time_format.as_ref(), None)?;
            self.latest.turn(start.clone());
        }
        let mut fills = self.contexts[self.context].fills();
        fills.extend(self.slices[self.slice].fills.clone());
        let mut pager = Pager::new(spec.known());
        let params = pager.first(&spec.paging);
        let request = request::first(&api.address, spec, &fills)?;
        Ok((pager, request.with_params(spec, &params)?))
    }

    fn end_context(&mut self, api: &Api, spec: &StreamSpec) {
        let mark = self.mark(api, spec).map(str::to_owned);
        self.own.held += u64::from(mark.as_deref() != self.latest.known());
        self.own.end(mark);
        self.context += 1;
    }

    fn end_slice(&mut self, api: &Api, spec: &StreamSpec) -> Step {
        if let Some(reached) = self.slices[self.slice].reached.clone() {
            self.latest.note(keys(api, spec), &reached, self.counts.rows);
        }
        self.borders.end_window();
        self.slice += 1;
        self.context = 0;
        Step::Slice
    }

    fn row(&mut self, api: &Api, spec: &StreamSpec, record: &[u8], take: Take<'_>) -> Result<()> {
        let context = &self.contexts[self.context];
        let row = self.maker.make(record, context);
        let row = row.map_err(|unusable| no_row(spec, context, unusable))?;
        let is_tree = spec.recurse.is_some();
        let Slice { bounds, from, to: end, .. } = self.slices[self.slice];
        if bounds.is_none() && end.is_none() && !is_tree {
            take(row)?;
            self.count(api, spec, from);
            return Ok(());
        }
        // `maker` is borrowed by `row`, so the key is read behind it.
        let row = row.to_vec();
        let is_of_day = bounds.map_or(Ok(true), |bounds| self.is_of_day(api, spec, bounds))?;
        if let Some(end) = end.filter(|_| bounds.is_none()) {
            let place = Place::of(keys(api, spec), self.maker.key(), end);
            if self.borders.is_again(&row, place) {
                return Ok(());
            }
        }
        if is_tree {
            take(&tree::with_head(&row, is_of_day, self.context))?;
        } else if is_of_day {
            take(&row)?;
        }
        if !is_of_day {
            self.counts.outside += 1;
        } else if bounds.is_some() {
            self.counts.rows += 1;
        } else {
            self.count(api, spec, from);
        }
        Ok(())
    }

    /// Tells whether the last row is of the day that is read.
    fn is_of_day(
        &mut self,
        api: &Api,
        spec: &StreamSpec,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<bool> {
        let key = self.maker.key();
        let format = spec.time_format.as_ref().unwrap_or(&TimeFormat::Rfc3339);
        match format.read(key, api.calendar.zone()) {
            Some(moment) => Ok(moment >= from && moment < to),
            None if key.is_empty() => {
                self.counts.undated += 1;
                Ok(true)
            }
            None => Err(no_moment(spec, key)),
        }
    }

    /// Counts the last row, and notes its key.
    fn count(&mut self, api: &Api, spec: &StreamSpec, from: Option<Timestamp>) {
        self.counts.rows += 1;
        if spec.replication_key.is_some() {
            self.latest.note_row(keys(api, spec), self.maker.key(), from, self.counts.rows);
        }
    }
}

fn keys<'a>(api: &'a Api, spec: &'a StreamSpec) -> Keys<'a> {
    Keys { format: spec.time_format.as_ref(), zone: api.calendar.zone() }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

/// Returns the request for the next page.
fn for_next(api: &Api, spec: &StreamSpec, request: PageRequest, next: Next) -> Result<PageRequest> {
    let request = request.behind_first();
    match next {
        Next::Params(params) => request.with_params(spec, &params),
        Next::Address(address) => request.follow(trusted(api, address)?),
    }
}

/// Refuses an address of another origin.
fn trusted(api: &Api, address: Address) -> Result<Address> {
    if api.client.trusts(&address) {
        return Ok(address);
    }
    Err(Error::new(ErrorKind::Data, "the next page is at another origin")
        .with("origin", address.origin())
        .hint("if this origin may receive the credentials, add it to `allowed_origins`"))
}
