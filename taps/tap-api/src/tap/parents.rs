//! What streams are read for: their inputs, and the rows of their parents.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::TapApi;
use crate::latest::{Latest, Start};
use crate::reader::{Reader, Step};
use crate::row::Context;
use crate::stream::StreamSpec;

/// So much of the rows of a parent is kept in memory.
const PARENT_BYTES_MAX: usize = 1 << 30;

/// What a stream is read for.
#[derive(Clone, Debug)]
pub(super) struct Contexts {
    /// One after the other.
    pub(super) all: Arc<Vec<Context>>,
    /// A limit cuts the rows of a parent, so that these are not all.
    pub(super) is_part: bool,
}

impl TapApi {
    /// Returns what a stream is read for: its inputs, for each row of its parent if it has one.
    ///
    /// The rule: what has the same values is asked for by the same requests, and is read once.
    pub(super) fn contexts_of(&mut self, at: usize) -> Result<Contexts> {
        let name = self.specs[at].name.clone();
        if let Some(known) = self.contexts.get(&name) {
            return Ok(known.clone());
        }
        let mut is_part = false;
        let mut contexts = match &self.specs[at].parent {
            None => self.specs[at].inputs.clone(),
            Some((parent, keys)) => {
                let (parent, keys) = (*parent, keys.clone());
                let parents;
                (parents, is_part) = self.parents(parent, &keys)?;
                let inputs = &self.specs[at].inputs;
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
        let all = contexts.len();
        let mut known = BTreeSet::new();
        contexts.retain(|context| known.insert(context.sum()));
        if contexts.len() < all {
            tracing::info!(
                "stream {name}: of {all} rows of its parent or inputs, {} have other values than \
                 those before them, and are read",
                contexts.len()
            );
        }
        let contexts = Contexts { all: Arc::new(contexts), is_part };
        self.contexts.insert(name, contexts.clone());
        Ok(contexts)
    }

    /// Reads the keys of a parent's rows: from what discovery has kept, or from the API.
    ///
    /// The rule: a row of a parent that did not change may have children that did, so parents are
    /// read whole for their children, whatever day or start filters the rows that are written.
    /// Tells as well whether a limit cut them all the same.
    fn parents(&mut self, at: usize, keys: &[(String, String)]) -> Result<(Vec<Context>, bool)> {
        let mut parents = Vec::new();
        let name = self.specs[at].name.clone();
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
        let filtered = self.filters_parents(&self.specs[at]);
        let kept = self.found.get_mut(&name);
        if let Some(found) = kept.filter(|found| found.end && !filtered) {
            found.rows.each(&mut take)?;
            let is_part = found.reader.is_cut() || self.contexts_of(at)?.is_part;
            return Ok((parents, is_part));
        }
        let Contexts { all, is_part } = self.contexts_of(at)?;
        let spec = &self.specs[at];
        let start = spec.start_date.clone();
        let mut reader = if filtered {
            // Windows need a start, and together are whole from there on.
            let start = start.as_deref().filter(|_| spec.window_days.is_some());
            let windows = spec.window_days.filter(|_| start.is_some());
            let slices = self.api.calendar.since(start, spec.time_format.as_ref(), windows)?;
            Reader::new(spec, slices, all, Latest::new(Start::default(), self.api.cap))
        } else {
            self.reader(at, Start { key: start, is_bookmark: false })?
        };
        while reader.step(&self.api, &self.specs[at], &mut take)? != Step::End {}
        Ok((parents, is_part || reader.is_cut()))
    }

    /// Tells whether the rows that are written of a stream are not all that its children are read
    /// for. A path that names the time has no other rows.
    fn filters_parents(&self, spec: &StreamSpec) -> bool {
        let from_start = spec.start_date.is_some() && spec.asks_for_times();
        let filters = self.api.calendar.reads_a_day() || from_start;
        spec.replication_key.is_some()
            && filters
            && !spec.path.names().any(|name| matches!(name, "start" | "datestamp"))
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
