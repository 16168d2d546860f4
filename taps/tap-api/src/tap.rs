//! The tap: streams by the settings, rows by their readers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use singer::catalog::ReplicationMethod;
use singer::future::{Cap, is_dated, report_bookmark};
use singer::state::key_bookmark;
use singer::{
    About, Bookmark, Context as _, Error, ErrorKind, OtherSetting, Reading, Refused, Result, Rows,
    Stream, Tap,
};

use crate::discover::{self, Columns, Found};
use crate::http::address::Address;
use crate::http::client::Client;
use crate::key::{Keys, TimeFormat};
use crate::latest::Latest;
use crate::options::Method;
use crate::plan::{Plan, plans};
use crate::reader::{Api, Counts, Reader, Step};
use crate::row::Context;
use crate::settings::{self, Settings};
use crate::slice::{Calendar, Slice};
use crate::spool::Budget;

/// Where a record that is set aside comes from: an answer has no name of its own.
const PLACE: (&str, Option<u64>) = ("the source", None);

/// So much of the rows of a parent is kept in memory.
const PARENT_BYTES_MAX: usize = 1 << 30;

/// Reads an HTTP API.
#[derive(Debug)]
pub struct TapApi {
    api: Api,
    plans: Vec<Plan>,
    /// What discovery has read, by stream.
    found: BTreeMap<String, Found>,
    /// What streams are read for, by stream.
    contexts: BTreeMap<String, Arc<Vec<Context>>>,
}

impl Tap for TapApi {
    const ABOUT: About = About {
        name: "tap-api",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads HTTP APIs that answer in JSON, as the settings describe them.",
        capabilities: &[],
    };
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Self> {
        let address = Address::parse(&settings.api_url).with("setting", "api_url")?;
        let client = Client::new(&settings, &address)?;
        let plans = plans(&settings)?;
        for plan in &plans {
            plan.tell(client.secrets());
        }
        let calendar = Calendar::new(&settings)?;
        let api = Api {
            client,
            address,
            calendar,
            record_bytes_max: settings.max_record_bytes,
            cap: Cap::new(settings.bookmark_cap),
            spool: Budget::new(settings.network.max_spool_bytes),
        };
        Ok(Self { api, plans, found: BTreeMap::new(), contexts: BTreeMap::new() })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        (0..self.plans.len()).map(|at| self.discover_one(at)).collect()
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows) -> Result<()> {
        rows.unsorted();
        let at = self.position(stream)?;
        let start = self.start(&self.plans[at], stream, since);
        self.check_start(&self.plans[at], stream, start.as_deref());
        warn_of_all(&self.plans[at], stream);
        let found = self.found.remove(&stream.id);
        // A bookmark moves behind a row for good, and a day is published: nothing may be missing.
        let plan = &self.plans[at];
        let matters = plan.replication_key.is_some() || self.api.calendar.reads_a_day();
        let inferred = found.is_some() && matters;
        let mut columns = inferred.then(|| Columns::new(stream));
        let found = found.filter(|_| start == self.plans[at].start_date);
        let (mut reader, mut end) = match found {
            Some(mut found) => {
                found.rows.each(|row| rows.json(stream, row, PLACE))?;
                if found.whole_slice {
                    checkpoint(&self.api, &self.plans[at], stream, &found.reader, rows)?;
                }
                (found.reader, found.end)
            }
            None => (self.reader(at, start.as_deref())?, false),
        };
        let plan = &self.plans[at];
        while !end {
            rows.flush()?;
            let mut take =
                |row: &[u8]| match columns.as_mut().map_or(Ok(()), |columns| columns.check(row)) {
                    Ok(()) => rows.json(stream, row, PLACE),
                    Err(failure) => rows.reject(PLACE.0, &Refused::Object(row), failure),
                };
            match reader.step(&self.api, plan, &mut take)? {
                Step::Page => {}
                Step::Slice => checkpoint(&self.api, plan, stream, &reader, rows)?,
                Step::End => end = true,
            }
        }
        tell(plan, &reader, rows);
        Ok(())
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let plan = &self.plans[self.position(stream)?];
        // Queries and headers may be secret; the path is known up to its placeholders.
        let names = plan.path.names().map(|name| (name.to_owned(), format!("{{{name}}}").into()));
        let path = plan.path.fill(&names.collect(), str::to_owned).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
        let base = self.api.address.to_string();
        let slash = if path.is_empty() { "" } else { "/" };
        let method = match plan.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let start = self.start(plan, stream, since);
        let slices = self.slices(plan, start.as_deref())?;
        let known = |name: &str| slices.first().and_then(|slice| slice.fills.get(name)?.as_str());
        let span = match (known("datestamp"), known("start")) {
            (Some(day), _) => format!(", the day {day}"),
            (None, Some(start)) => format!(", from {start} on"),
            (None, None) => String::new(),
        };
        let request = format!("{method} {}{slash}{path}{span}", base.trim_end_matches('/'));
        Ok(Reading { steps: vec![self.api.client.secrets().scrub(&request)], part: None })
    }
}

impl TapApi {
    /// Returns where the stream stands among the plans.
    fn position(&self, stream: &Stream) -> Result<usize> {
        self.plans.iter().position(|plan| plan.name == stream.id).ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot find a stream of the catalog")
                .hint("write the catalog again with --discover, or add the stream to `streams`")
        })
    }

    fn discover_one(&mut self, at: usize) -> Result<Stream> {
        if let Some(schema) = &self.plans[at].schema {
            let schema = discover::declared(&self.plans[at], schema);
            return discover::stream(&self.plans[at], schema);
        }
        let start = self.plans[at].start_date.clone();
        let reader = self.reader(at, start.as_deref()).with("stream", &self.plans[at].name)?;
        let plan = &self.plans[at];
        let (schema, found) =
            discover::infer(&self.api, plan, reader).with("stream", &plan.name)?;
        self.found.insert(plan.name.clone(), found);
        discover::stream(plan, schema)
    }

    /// Returns where a stream starts: its bookmark, else its start date.
    fn start(&self, plan: &Plan, stream: &Stream, since: &Bookmark) -> Option<String> {
        let bookmarked = since.value.get("replication_key_value").is_some_and(|v| !v.is_null());
        let incremental = stream.replication_method == ReplicationMethod::Incremental;
        match &since.start {
            Some(start) if bookmarked && incremental && !self.api.calendar.reads_a_day() => {
                Some(start.clone())
            }
            _ => plan.start_date.clone(),
        }
    }

    /// Warns of a bookmark of the future, unless its column tells that it is a time.
    fn check_start(&self, plan: &Plan, stream: &Stream, start: Option<&str>) {
        let keys = Keys { format: plan.time_format.as_ref(), zone: self.api.calendar.zone() };
        let key = plan.replication_key.as_deref().unwrap_or_default();
        let dated = stream.column(key).is_some_and(|at| is_dated(&stream.columns[at]));
        if start != plan.start_date.as_deref()
            && !dated
            && let Some((moment, zoned)) = start.and_then(|start| keys.moment(start))
            && self.api.cap.is_to_come(moment, zoned)
        {
            report_bookmark(&plan.name, key);
        }
    }

    fn reader(&mut self, at: usize, start: Option<&str>) -> Result<Reader> {
        let contexts = self.contexts_of(at)?;
        let plan = &self.plans[at];
        let latest = Latest::new(start.map(str::to_owned), self.api.cap);
        Ok(Reader::new(plan, self.slices(plan, start)?, contexts, latest))
    }

    fn slices(&self, plan: &Plan, start: Option<&str>) -> Result<Vec<Slice>> {
        if plan.has_days() {
            let format = plan.time_format.as_ref().unwrap_or(&TimeFormat::Rfc3339);
            if let Some(mut day) = self.api.calendar.day(format)? {
                if plan.replication_key.is_none() {
                    day.bounds = None;
                }
                return Ok(vec![day]);
            }
        }
        let windows = plan.window_days.filter(|_| plan.replication_key.is_some());
        let start = start.filter(|_| plan.replication_key.is_some());
        self.api.calendar.since(start, plan.time_format.as_ref(), windows)
    }

    /// Returns what a stream is read for: its inputs, for each row of its parent if it has one.
    fn contexts_of(&mut self, at: usize) -> Result<Arc<Vec<Context>>> {
        let name = self.plans[at].name.clone();
        if let Some(known) = self.contexts.get(&name) {
            return Ok(Arc::clone(known));
        }
        let contexts = match &self.plans[at].parent {
            None => self.plans[at].inputs.clone(),
            Some((parent, keys)) => {
                let (parent, keys) = (*parent, keys.clone());
                let parents = self.parents(parent, &keys)?;
                let inputs = &self.plans[at].inputs;
                let join = |parent: &Context| {
                    let join = |input: &Context| {
                        let members = parent.members.iter().chain(&input.members);
                        Context::new(members.cloned().collect())
                    };
                    inputs.iter().map(join).collect::<Vec<_>>()
                };
                parents.iter().flat_map(join).collect()
            }
        };
        let contexts = Arc::new(contexts);
        self.contexts.insert(name, Arc::clone(&contexts));
        Ok(contexts)
    }

    /// Reads the keys of a parent's rows: from what discovery has kept, or from the API.
    ///
    /// The rule: a row of a parent that did not change may have children that did, so parents are
    /// read whole for their children, whatever day or start filters the rows that are written.
    fn parents(&mut self, at: usize, keys: &[(String, String)]) -> Result<Vec<Context>> {
        let mut parents = Vec::new();
        let name = self.plans[at].name.clone();
        let mut bytes = 0;
        let mut take = |row: &[u8]| {
            let parent = Context::new(members(row, keys, &name)?);
            bytes += parent.bytes();
            if bytes > PARENT_BYTES_MAX {
                return Err(Error::new(ErrorKind::Data, "there are more parents than can be kept")
                    .with("parent", &name)
                    .with("limit in bytes", PARENT_BYTES_MAX)
                    .hint(
                        "check whether the pages of the parent come to an end, or ask for less",
                    ));
            }
            parents.push(parent);
            Ok(())
        };
        let filtered = self.filters_parents(&self.plans[at]);
        let kept = self.found.get_mut(&name);
        if let Some(found) = kept.filter(|found| found.end && !filtered) {
            found.rows.each(&mut take)?;
            return Ok(parents);
        }
        let mut reader = if filtered {
            let (contexts, plan) = (self.contexts_of(at)?, &self.plans[at]);
            // Windows need a start, and together are whole from there on.
            let start = plan.start_date.as_deref().filter(|_| plan.window_days.is_some());
            let windows = plan.window_days.filter(|_| start.is_some());
            let slices = self.api.calendar.since(start, plan.time_format.as_ref(), windows)?;
            Reader::new(plan, slices, contexts, Latest::new(None, self.api.cap))
        } else {
            let start = self.plans[at].start_date.clone();
            self.reader(at, start.as_deref())?
        };
        while reader.step(&self.api, &self.plans[at], &mut take)? != Step::End {}
        Ok(parents)
    }

    /// Tells whether the rows that are written of a stream are not all that its children are read
    /// for. A path that names the time has no other rows.
    fn filters_parents(&self, plan: &Plan) -> bool {
        let from_start = plan.start_date.is_some() && plan.asks_for_times();
        let filters = self.api.calendar.reads_a_day() || from_start;
        plan.replication_key.is_some()
            && filters
            && !plan.path.names().any(|name| matches!(name, "start" | "datestamp"))
    }
}

/// Takes members out of a row.
fn members(row: &[u8], keys: &[(String, String)], parent: &str) -> Result<Vec<(String, Value)>> {
    let unusable = |reason: &str| {
        Error::new(ErrorKind::Data, "cannot take the keys of a parent's row")
            .with("parent", parent)
            .with("reason", reason)
            .hint("check `parent_keys`: each column comes from a property that all rows have")
    };
    let mut found = vec![None; keys.len()];
    let mut scanner = singer::scan::Scanner::new(row);
    let mut read = || {
        let mut name = Vec::new();
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let key = scanner.key()?;
            name.clear();
            key.unescape_into(&mut name);
            let start = scanner.at();
            scanner.value()?;
            for (at, (_, from)) in keys.iter().enumerate() {
                if from.as_bytes() == name {
                    found[at] = Some(&row[start..scanner.at()]);
                }
            }
            more = scanner.more(b'}')?;
        }
        Ok(())
    };
    read().map_err(|fault: singer::scan::Fault| unusable(fault.what))?;
    let pairs = keys.iter().zip(found);
    let member = |((to, from), value): (&(String, String), Option<&[u8]>)| {
        let value = value.and_then(|text| serde_json::from_slice::<Value>(text).ok());
        let value = value.filter(|value| !value.is_null());
        Ok((to.clone(), value.ok_or_else(|| unusable(&format!("no {from}")))?))
    };
    pairs.map(member).collect()
}

/// Warns of a stream that asks for everything each time although it need not.
fn warn_of_all(plan: &Plan, stream: &Stream) {
    let incremental = stream.replication_method == ReplicationMethod::Incremental;
    if let (Some(key), true, false) = (&plan.replication_key, incremental, plan.asks_for_times()) {
        singer::warn!(
            "W-START-UNUSED",
            "stream {}: the replication key `{key}` does not reach the API, so each run reads \
             everything: add the parameter by which the API gives what is new, such as `params: \
             {{\"{key}_from\": \"{{start}}\"}}`, to the stream",
            plan.name
        );
    }
}

/// Says what was left out.
fn tell(plan: &Plan, reader: &Reader, rows: &mut Rows) {
    let Counts { outside, undated, .. } = reader.counts();
    reader.latest().ahead.report(&plan.name, plan.replication_key.as_deref().unwrap_or_default());
    if outside > 0 {
        log::info!("stream {}: {outside} records of other days were left out", plan.name);
    }
    if undated > 0 {
        let key = plan.replication_key.as_deref().unwrap_or_default();
        singer::warn!(
            "W-RECORDS-UNDATED",
            "stream {}: {undated} records without `{key}` are part of every day",
            plan.name
        );
    }
    if let Some(most) = plan.limit.filter(|_| reader.is_cut()) {
        rows.leave_out(&format!(
            "no more than {most} records are read (`pagination_results_limit`), and no bookmark \
             moves beyond the rest"
        ));
    }
}

/// Moves the bookmark behind a slice.
fn checkpoint(
    api: &Api,
    plan: &Plan,
    stream: &Stream,
    reader: &Reader,
    rows: &mut Rows,
) -> Result<()> {
    let incremental = stream.replication_method == ReplicationMethod::Incremental;
    let key = stream.replication_key.as_ref().or(plan.replication_key.as_ref());
    if let (Some(key), Some(latest), true) = (key, reader.latest().key(), incremental)
        && !api.calendar.reads_a_day()
        && let Some(at) = stream.column(key)
    {
        rows.checkpoint(key_bookmark(key, stream.columns[at].kind, latest))?;
    }
    Ok(())
}
