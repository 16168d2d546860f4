//! The tap: streams by the settings, rows by their readers.

mod begin;
mod bookmark;
mod coverage;
mod own;
mod parents;

use std::collections::BTreeMap;
use std::sync::Arc;

use http_client::{Address, Client};
use singer::catalog::ReplicationMethod;
use singer::future::{Cap, is_dated, report_bookmark};
use singer::settings::TapCommon;
use singer::state::parts;
use singer::{
    About, Bookmark, Context as _, Error, ErrorKind, Example, OtherSetting, Reading, Refused,
    Result, Rows, Stream, Tap,
};

use self::begin::Begin;
use self::bookmark::{Bookmarks, warn_of_all, warn_of_change};
use self::coverage::Part;
use self::own::has_mark;
use self::parents::Contexts;
use crate::auth;
use crate::decides;
use crate::discover::{self, Columns, Found};
use crate::key::{Keys, TimeFormat};
use crate::latest::{Latest, Start};
use crate::more::{full, nested};
use crate::reader::{Api, Reader, Step};
use crate::row::Context;
use crate::settings::{self, Settings};
use crate::slice::{Calendar, Slice};
use crate::spool::Budget;
use crate::stream::{StreamSpec, specs};

/// Where a record that is set aside comes from: an answer has no name of its own.
const PLACE: (&str, Option<u64>) = ("the source", None);

/// Reads an HTTP API.
#[derive(Debug)]
pub struct TapApi {
    api: Api,
    specs: Vec<StreamSpec>,
    /// The common setting.
    start_date: Option<String>,
    /// What discovery has read, by stream.
    found: BTreeMap<String, Found>,
    /// What streams are read for, by stream.
    contexts: BTreeMap<String, Contexts>,
}

impl Tap for TapApi {
    const ABOUT: About = About {
        name: "tap-api",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads HTTP APIs that answer in JSON, as the settings describe them.",
        capabilities: &[],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Read an API into a dated folder",
        line: "{} -c api.json | target-csv -c target.json > states",
    }];
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;

    fn open(mut settings: Settings, common: &TapCommon) -> Result<Self> {
        settings.start_at(common.start_date.as_ref());
        let address = Address::parse(&settings.api_url).with("setting", "api_url")?;
        let (network, agent) = (&settings.network, &settings.user_agent);
        let signer = auth::signer(&settings.auth)?;
        let client = Client::new(network, agent, settings::HINTS, &address, signer)?;
        let mut specs = specs(&settings)?;
        for spec in &specs {
            spec.tell(client.secrets());
        }
        let all = (0..specs.len()).map(|at| decides::sums(&specs, at, &settings));
        let all: Vec<_> = all.collect();
        specs.iter_mut().zip(all).for_each(|(spec, sums)| spec.decides = sums);
        let calendar = Calendar::new(&settings)?;
        specs.iter().try_for_each(|spec| calendar.check_start(spec))?;
        let api = Api {
            client,
            address,
            calendar,
            record_bytes_max: common.all.max_record_bytes,
            cap: Cap::new(common.bookmark_cap),
            spool: Budget::new(settings.max_spool_bytes),
        };
        let start_date = common.start_date.clone();
        Ok(Self { api, specs, start_date, found: BTreeMap::new(), contexts: BTreeMap::new() })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        (0..self.specs.len()).map(|at| self.discover_one(at)).collect()
    }

    fn reads_parts(&self, stream: &Stream) -> bool {
        let spec = self.specs.iter().find(|spec| spec.name == stream.id);
        spec.is_some_and(StreamSpec::may_have_own) && !self.api.calendar.reads_a_day()
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        rows.unsorted();
        let at = self.position(stream)?;
        let columns = || stream.columns.iter().map(|column| column.name.clone()).collect();
        self.specs[at].rules.columns.get_or_init(columns);
        warn_of_all(&self.specs[at], stream)?;
        let Contexts { all, is_part } = self.contexts_of(at)?;
        let Begin { start, own, late, covered, covers, part, anew } =
            self.begin(&self.specs[at], stream, since, &all);
        if let Some(part) = part {
            rows.cover(&part);
        }
        let found = self.found.remove(&stream.id);
        // A bookmark moves behind a row for good, and a day is published: nothing may be missing.
        let spec = &self.specs[at];
        let matters = spec.replication_key.is_some() || self.api.calendar.reads_a_day();
        let inferred = found.is_some() && matters;
        let mut columns = inferred.then(|| Columns::new(stream, spec));
        let was_told = found.as_ref().is_none_or(|found| found.reader.counts().rows > 0);
        let found = found.filter(|_| !start.is_bookmark);
        let was_told = was_told || found.is_some();
        let (mut reader, mut end, mut whole_slice) = match found {
            Some(mut found) => {
                let maker = found.reader.maker();
                maker.know(&stream.columns);
                found.rows.each(|row| rows.json(stream, maker.complete(row)?, PLACE))?;
                (found.reader, found.end, found.whole_slice)
            }
            None => (self.reader_from(at, start, covered, own)?, false, false),
        };
        let spec = &self.specs[at];
        let own = self.has_own(spec, &all).then_some(all);
        let bookmarks = Bookmarks { api: &self.api, spec, stream, is_part, anew, covers, own };
        let mut late = self.read_late(spec, stream, late, rows)?;
        for late in &late {
            reader.miss(late);
        }
        if let Some(cut) = late.pop_if(|late| !late.is_done() || late.is_cut()) {
            bookmarks.tell(&cut, rows);
            self.tell_more(at, stream, rows);
            return Ok(());
        }
        loop {
            if whole_slice {
                if reader.is_done() {
                    late.drain(..).for_each(|late| reader.join(&self.api, spec, &late));
                }
                bookmarks.checkpoint(&reader, rows)?;
            }
            if end || rows.has_enough() {
                break;
            }
            rows.flush()?;
            let mut take = |row: &[u8]| {
                Columns::check_told(was_told, spec)?;
                match columns.as_mut().map_or(Ok(()), |columns| columns.check(row)) {
                    Ok(()) => rows.json(stream, row, PLACE),
                    Err(failure) => rows.reject(PLACE.0, &Refused::Object(row), failure),
                }
            };
            let step = reader.step(&self.api, spec, &mut take)?;
            (whole_slice, end) = (step == Step::Slice, step == Step::End);
        }
        bookmarks.tell(&reader, rows);
        self.tell_more(at, stream, rows);
        Ok(())
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let spec = &self.specs[self.position(stream)?];
        // Queries and headers may be secret; the path is known up to its placeholders.
        let names = spec.path.names().map(|name| (name.to_owned(), format!("{{{name}}}").into()));
        let path = spec.path.fill(&names.collect(), str::to_owned).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
        let base = self.api.address.to_string();
        let slash = if path.is_empty() { "" } else { "/" };
        let method = spec.method.word();
        let start = self.start(spec, stream, since);
        let slices = self.slices(spec, start.key.as_deref())?;
        let known = |name: &str| slices.first().and_then(|slice| slice.fills.get(name)?.as_str());
        let own = self.reads_parts(stream) && self.has_parts(spec, stream, since);
        let span = match (known("datestamp"), known("start")) {
            _ if own => ", from the bookmark of each parent or input on".to_owned(),
            (Some(day), _) => format!(", the day {day}"),
            (None, Some(start)) => format!(", from {start} on"),
            (None, None) => String::new(),
        };
        let request = format!("{method} {}{slash}{path}{span}", base.trim_end_matches('/'));
        let changed = self.changed(spec, stream, since);
        let anew = !changed.is_empty() || self.is_anew(spec, stream, since);
        if !changed.is_empty() {
            warn_of_change(spec, &changed);
        }
        let part = own.then(|| singer::Coverage::since(&since.value));
        let coverage = if anew { Some(singer::Coverage::Whole) } else { part };
        Ok(Reading { steps: vec![self.api.client.secrets().scrub(&request)], coverage })
    }
}

impl TapApi {
    /// Says what the API may have beside the rows that were read: none of it is taken for gone.
    fn tell_more(&self, at: usize, stream: &Stream, rows: &mut Rows<'_>) {
        nested::warn(&self.specs, at, stream);
        full::warn(&self.specs, at);
        if self.specs[at].warned.of_more() {
            rows.lack_rows("the API may have more records than were read");
        }
    }

    /// Returns where the stream stands among the specs.
    fn position(&self, stream: &Stream) -> Result<usize> {
        self.specs.iter().position(|spec| spec.name == stream.id).ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot find a stream of the catalog")
                .hint("write the catalog again with --discover, or add the stream to `streams`")
        })
    }

    fn discover_one(&mut self, at: usize) -> Result<Stream> {
        if let Some(schema) = &self.specs[at].schema {
            let schema = discover::declared(&self.specs[at], schema);
            return discover::stream(&self.specs[at], schema);
        }
        let start = Start { key: self.specs[at].start_date.clone(), is_bookmark: false };
        let reader = self.reader(at, start).with("stream", &self.specs[at].name)?;
        let spec = &self.specs[at];
        let (schema, found) =
            discover::infer(&self.api, spec, reader).with("stream", &spec.name)?;
        self.found.insert(spec.name.clone(), found);
        discover::stream(spec, schema)
    }

    /// Tells whether a stream goes on from its bookmark.
    fn goes_on(&self, stream: &Stream, since: &Bookmark) -> bool {
        let bookmarked =
            has_mark(&since.value) || self.reads_parts(stream) && !parts(&since.value).is_empty();
        let incremental = stream.replication_method == ReplicationMethod::Incremental;
        bookmarked && incremental && !self.api.calendar.reads_a_day()
    }

    /// Returns what has changed of the settings that decide the rows since the bookmark was made.
    fn changed(&self, spec: &StreamSpec, stream: &Stream, since: &Bookmark) -> Vec<String> {
        let goes_on = self.goes_on(stream, since);
        if goes_on { decides::changed(&since.value, &spec.decides) } else { Vec::new() }
    }

    /// Returns where a stream starts: its bookmark, else its start date.
    fn start(&self, spec: &StreamSpec, stream: &Stream, since: &Bookmark) -> Start {
        let is_bookmark = since.start.is_some()
            && has_mark(&since.value)
            && self.goes_on(stream, since)
            && !self.is_of_all(spec, since)
            && self.changed(spec, stream, since).is_empty();
        let key = if is_bookmark { since.start.clone() } else { spec.start_date.clone() };
        Start { key, is_bookmark }
    }

    /// Warns of a bookmark of the future, unless its column tells that it is a time.
    fn check_start(&self, spec: &StreamSpec, stream: &Stream, start: &Start) {
        let keys = Keys { format: spec.time_format.as_ref(), zone: self.api.calendar.zone() };
        let key = spec.replication_key.as_deref().unwrap_or_default();
        let dated = stream.column(key).is_some_and(|at| is_dated(&stream.columns[at]));
        if start.key != spec.start_date
            && !dated
            && let Some((moment, zoned)) = start.key.as_deref().and_then(|key| keys.moment(key))
            && self.api.cap.is_to_come(moment, zoned)
        {
            report_bookmark(&spec.name, key);
        }
    }

    fn reader(&mut self, at: usize, start: Start) -> Result<Reader> {
        let contexts = self.contexts_of(at)?.all;
        self.reader_of(&self.specs[at], start, contexts)
    }

    /// Reads what the bookmark does not cover; the last of the readers may not have come to its
    /// end.
    fn read_late(
        &self,
        spec: &StreamSpec,
        stream: &Stream,
        parts: Vec<Part>,
        rows: &mut Rows<'_>,
    ) -> Result<Vec<Reader>> {
        let mut readers = Vec::new();
        for Part { start, contexts } in parts {
            tracing::info!(
                "stream {}: {} of its parents or inputs are read from {} on, because its bookmark \
                 does not cover them",
                spec.name,
                contexts.len(),
                start.key.as_deref().unwrap_or("their first record")
            );
            let mut reader = self.reader_of(spec, start, contexts.into())?;
            let mut has_enough = rows.has_enough();
            while !has_enough {
                let step =
                    reader.step(&self.api, spec, &mut |row| rows.json(stream, row, PLACE))?;
                rows.flush()?;
                has_enough = rows.has_enough();
                if step == Step::End {
                    break;
                }
            }
            let is_whole = reader.is_done() && !reader.is_cut();
            readers.push(reader);
            if !is_whole {
                break;
            }
        }
        Ok(readers)
    }

    fn reader_of(
        &self,
        spec: &StreamSpec,
        start: Start,
        contexts: Arc<Vec<Context>>,
    ) -> Result<Reader> {
        let slices = self.slices(spec, start.key.as_deref())?;
        let starts = self.has_own(spec, &contexts).then(|| vec![start.clone(); contexts.len()]);
        let latest = Latest::new(start, self.api.cap);
        let reader = Reader::new(spec, slices, contexts, latest).with_tree(&self.api, spec);
        Ok(reader.with_starts(starts.unwrap_or_default()))
    }

    fn reader_from(
        &self,
        at: usize,
        start: Start,
        contexts: Arc<Vec<Context>>,
        own: Option<Vec<Start>>,
    ) -> Result<Reader> {
        let reader = self.reader_of(&self.specs[at], start, contexts)?;
        Ok(reader.with_starts(own.unwrap_or_default()))
    }

    fn slices(&self, spec: &StreamSpec, start: Option<&str>) -> Result<Vec<Slice>> {
        if spec.has_days() {
            let format = spec.time_format.as_ref().unwrap_or(&TimeFormat::Rfc3339);
            if let Some(mut day) = self.api.calendar.day(format)? {
                if spec.replication_key.is_none() {
                    day.bounds = None;
                }
                return Ok(vec![day]);
            }
        }
        let windows = spec.window_days.filter(|_| spec.replication_key.is_some());
        let start = start.filter(|_| spec.replication_key.is_some());
        self.api.calendar.since(start, spec.time_format.as_ref(), windows)
    }
}
