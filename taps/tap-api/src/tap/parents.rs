//! What streams are read for: their inputs, and the rows of their parents.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::TapApi;
use crate::latest::{Latest, Start};
use crate::options::NullKeys;
use crate::reader::{Reader, Step};
use crate::row::{self, Context};
use crate::stream::StreamSpec;

type Members = Vec<(String, Value)>;

/// Whose rows are read for a stream, and what it makes of them.
struct Of<'a> {
    parent: &'a str,
    null_keys: NullKeys,
}

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
                let null_keys = self.specs[at].null_keys;
                (parents, is_part) = self.parents(parent, &keys, null_keys)?;
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
                "stream {name}: {} of the {all} rows of its parent or inputs have different values \
                  and are read",
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
    fn parents(
        &mut self,
        at: usize,
        keys: &[(String, String)],
        null_keys: NullKeys,
    ) -> Result<(Vec<Context>, bool)> {
        let mut parents = Vec::new();
        let name = self.specs[at].name.clone();
        let mut bytes = 0;
        let mut take = |row: &[u8]| {
            let Some(members) = members(row, keys, &Of { parent: &name, null_keys })? else {
                return Ok(());
            };
            let parent = Context::new(members);
            bytes += parent.bytes();
            row::check_parents(bytes).map_err(|failure| failure.with("parent", &name))?;
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
            let latest = Latest::new(Start::default(), self.api.cap);
            Reader::new(spec, slices, all, latest).with_tree(&self.api, spec)
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

/// Takes members out of a row; `None` for one that is to be skipped.
fn members(row: &[u8], keys: &[(String, String)], of: &Of<'_>) -> Result<Option<Members>> {
    let unusable = |reason: &str| {
        Error::new(ErrorKind::Data, "cannot read the keys of a parent's row")
            .with("parent", of.parent)
            .with("reason", reason)
            .hint(if reason.starts_with("null") {
                "set `null_parent_keys: skip` to read nothing for such rows, or check `parent_keys`"
            } else {
                "check `parent_keys`: all rows must have the properties that the columns come from"
            })
    };
    let names: Vec<&str> = keys.iter().map(|(_, from)| from.as_str()).collect();
    let found = row::members(row, &names).map_err(|fault| unusable(fault.what))?;
    let mut members = Members::new();
    for ((to, from), value) in keys.iter().zip(found) {
        match value {
            Some(Value::Null) if of.null_keys == NullKeys::Skip => return Ok(None),
            Some(value) if !value.is_null() => members.push((to.clone(), value)),
            Some(_) => return Err(unusable(&format!("null in {from}"))),
            None => return Err(unusable(&format!("no {from}"))),
        }
    }
    Ok(Some(members))
}
