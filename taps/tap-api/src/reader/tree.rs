//! A stream that is its own parent: its rows, level by level.
//!
//! The rule: what the rows of one level lead to is the next one. What was asked for is not asked
//! for again, so that a circle ends, and a row that two ways lead to is read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::{Api, Reader, Step, Take};
use crate::options::Recurse;
use crate::row::{self, Context};
use crate::spool::Spool;
use crate::stream::StreamSpec;

/// So many levels are read where the settings do not say how many: a tree ends before.
const LEVELS_MAX: u32 = 1000;
/// What a row begins with on its way from its record: whether it is one of the rows of the stream,
/// and the position of its context.
const HEAD_BYTES: usize = 5;
/// The sum of what a row leads to; zeros for nothing.
type Lead = [u8; 32];
const NOTHING: Lead = [0; 32];
/// What is not known to lead anywhere, as it is not asked for.
const UNKNOWN: Lead = [1; 32];

/// Where the read of a tree stands.
#[derive(Debug)]
pub(super) struct Tree {
    recurse: Recurse,
    /// What was or will be asked for.
    asked: BTreeMap<Lead, Asked>,
    /// The contexts of the level at hand, by their sums.
    sums: Vec<Lead>,
    level: u32,
    /// What the next level is read for.
    next: Vec<(Lead, Context)>,
    /// About how much memory all of that takes.
    bytes: usize,
    /// Rows of the level before, each behind the sum of what it leads to.
    held: Spool,
    /// Rows of the level at hand, alike.
    coming: Spool,
    /// Rows that lead to one above them.
    circles: u64,
    /// How many rows there were, and how many of them had the property that tells of children.
    rows: u64,
    telling: u64,
}

/// What was asked for.
#[derive(Debug)]
struct Asked {
    has_rows: bool,
    /// What had the row that leads to it.
    above: Option<Lead>,
}

impl Tree {
    /// Starts with what the first level is read for; returns it with the columns of that level.
    pub(super) fn new(api: &Api, recurse: &Recurse, roots: &[Context]) -> (Self, Vec<Context>) {
        let mut tree = Self {
            recurse: recurse.clone(),
            asked: BTreeMap::new(),
            sums: Vec::new(),
            level: 1,
            next: Vec::new(),
            bytes: 0,
            held: Spool::new(&api.spool),
            coming: Spool::new(&api.spool),
            circles: 0,
            rows: 0,
            telling: 0,
        };
        let mut contexts = Vec::new();
        for root in roots {
            let mut members = root.members.clone();
            for name in recurse.parent_keys.keys() {
                if !members.iter().any(|(known, _)| known == name) {
                    members.push((name.clone(), Value::Null));
                }
            }
            let (sum, context) = at_level(members, recurse, 1);
            if tree.asked.insert(sum, Asked { has_rows: false, above: None }).is_none() {
                tree.sums.push(sum);
                contexts.push(context);
            }
        }
        (tree, contexts)
    }

    /// Reads the next page, and gives the rows of which it is known whether they lead to others.
    fn step(
        &mut self,
        reader: &mut Reader,
        api: &Api,
        spec: &StreamSpec,
        take: Take<'_>,
    ) -> Result<Step> {
        if !reader.is_done() && reader.context >= reader.contexts.len() && !reader.counts.beyond {
            self.give(true, take)?;
            if !self.next.is_empty() {
                self.descend(reader).map_err(|it| it.with("stream", &spec.name))?;
                return Ok(Step::Page);
            }
            self.check_telling().map_err(|it| it.with("stream", &spec.name))?;
            self.give(true, take)?;
            self.warn_of_circles(spec);
        }
        let contexts = Arc::clone(&reader.contexts);
        let note = &mut |row: &[u8]| self.note(row, &contexts, spec);
        let step = reader.advance(api, spec, note)?;
        if step == Step::End {
            // The last ones of a read that was cut: what they lead to may not have been read.
            self.give(false, take)?;
            self.give(false, take)?;
            self.warn_of_circles(spec);
        }
        Ok(step)
    }

    /// Refuses rows of which none has the property that tells of children: it has another name.
    fn check_telling(&self) -> Result<()> {
        match &self.recurse.has_children {
            Some(name) if self.rows > 0 && self.telling == 0 => {
                Err(unusable(format!("no row has {name}"))
                    .hint("check `has_children` of `recurse`: some rows must have that property"))
            }
            _ => Ok(()),
        }
    }

    /// Goes on with the next level.
    fn descend(&mut self, reader: &mut Reader) -> Result<()> {
        self.level += 1;
        if self.level > LEVELS_MAX && self.recurse.max_depth.is_none() {
            return Err(Error::new(ErrorKind::Data, "a tree has more levels than the tap reads")
                .with("levels", LEVELS_MAX)
                .hint(
                    "check `parent_keys` of `recurse`: rows may lead to new rows without end; \
                     `max_depth` limits the number of levels",
                ));
        }
        let (sums, contexts) = self.next.drain(..).unzip();
        self.sums = sums;
        reader.contexts = Arc::new(contexts);
        reader.context = 0;
        Ok(())
    }

    /// Keeps a row, and what it leads to.
    fn note(&mut self, row: &[u8], contexts: &[Context], spec: &StreamSpec) -> Result<()> {
        let (head, row) = row.split_at(HEAD_BYTES);
        let at = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (Some(context), Some(sum)) = (contexts.get(at), self.sums.get(at).copied()) else {
            return Err(Error::new(ErrorKind::Internal, "a row has no context"));
        };
        if let Some(asked) = self.asked.get_mut(&sum) {
            asked.has_rows = true;
        }
        self.rows += 1;
        if let Some(name) = &self.recurse.has_children {
            let found = row::members(row, &[name]).unwrap_or_default();
            self.telling += u64::from(found.iter().any(Option::is_some));
        }
        let lead = match leads_to(&self.recurse, row, context).map_err(|it| {
            it.with("stream", &spec.name).hint(
                "check `recurse`: all rows must have the properties of its `parent_keys` (null if \
                 a row has no children), and records must not have columns with the names of its \
                 columns",
            )
        })? {
            None => NOTHING,
            Some(_) if self.recurse.max_depth.is_some_and(|most| self.level >= most) => UNKNOWN,
            Some(members) => self.lead(members, sum)?,
        };
        if head[0] == 0 {
            return Ok(());
        }
        let mut kept = lead.to_vec();
        kept.extend_from_slice(row);
        self.coming.push(&kept)
    }

    /// Has what a row leads to read on the next level, unless it was asked for before.
    fn lead(&mut self, members: Vec<(String, Value)>, above: Lead) -> Result<Lead> {
        let (sum, context) = at_level(members, &self.recurse, self.level + 1);
        if self.asked.contains_key(&sum) {
            let mut way = Some(above);
            while let Some(at) = way {
                if at == sum {
                    self.circles += 1;
                    break;
                }
                way = self.asked.get(&at).and_then(|asked| asked.above);
            }
            return Ok(sum);
        }
        self.asked.insert(sum, Asked { has_rows: false, above: Some(above) });
        self.bytes += context.bytes();
        row::check_parents(self.bytes)?;
        self.next.push((sum, context));
        Ok(sum)
    }

    /// Gives the rows of the level before, and keeps those of the level at hand in their place.
    fn give(&mut self, is_whole: bool, take: Take<'_>) -> Result<()> {
        let Self { recurse, held, coming, asked, .. } = self;
        let mut row = Vec::new();
        let mut name = Vec::new();
        singer::quote::string_into(recurse.leaf_column.as_bytes(), &mut name);
        held.each(|kept| {
            let (lead, text) = kept.split_at(NOTHING.len());
            let is_leaf = match asked.get(lead) {
                _ if lead == NOTHING => "true",
                Some(asked) if asked.has_rows => "false",
                Some(_) if is_whole => "true",
                _ => "null",
            };
            row.clear();
            row.extend_from_slice(text.trim_ascii_end().strip_suffix(b"}").unwrap_or(text));
            row.push(b',');
            row.extend_from_slice(&name);
            row.push(b':');
            row.extend_from_slice(is_leaf.as_bytes());
            row.push(b'}');
            take(&row)
        })?;
        held.clear();
        std::mem::swap(held, coming);
        Ok(())
    }

    fn warn_of_circles(&mut self, spec: &StreamSpec) {
        if std::mem::take(&mut self.circles) > 0 {
            singer::warn!(
                "W-TREE-CIRCLE",
                "stream {}: some of its rows lead back to a row above them: this row was read \
                 once, and the tap goes no deeper there",
                spec.name
            );
        }
    }
}

impl Reader {
    /// Reads the next page and gives its rows to `take`; those of a tree when it is known whether
    /// they lead to others.
    pub fn step(&mut self, api: &Api, spec: &StreamSpec, take: Take<'_>) -> Result<Step> {
        let Some(mut tree) = self.tree.take() else { return self.advance(api, spec, take) };
        let step = tree.step(self, api, spec, take);
        self.tree = Some(tree);
        step
    }
}

/// Puts before a row what [`Tree::note`] has to know of it.
pub(super) fn with_head(row: &[u8], is_wanted: bool, context: usize) -> Vec<u8> {
    let mut whole = vec![u8::from(is_wanted)];
    whole.extend_from_slice(&u32::try_from(context).unwrap_or(u32::MAX).to_le_bytes());
    whole.extend_from_slice(row);
    whole
}

/// Says of a row of a read beside this one that it is of this context.
pub(super) fn moved(row: &[u8], context: usize) -> Vec<u8> {
    with_head(&row[HEAD_BYTES..], row[0] != 0, context)
}

/// Returns the sum of what is asked for, whatever its level, and its context.
fn at_level(mut members: Vec<(String, Value)>, recurse: &Recurse, level: u32) -> (Lead, Context) {
    let sum = Context::new(members.clone()).sum();
    members.push((recurse.level_column.clone(), level.into()));
    (sum, Context::new(members))
}

/// Returns the members of what is asked for a row, but for its level; `None` where it has no
/// children.
fn leads_to(
    recurse: &Recurse,
    row: &[u8],
    context: &Context,
) -> Result<Option<Vec<(String, Value)>>> {
    let mut names: Vec<&str> = recurse.parent_keys.values().map(String::as_str).collect();
    names.push(&recurse.leaf_column);
    names.extend(recurse.has_children.as_deref());
    let mut found =
        row::members(row, &names).map_err(|fault| unusable(fault.what.to_owned()))?.into_iter();
    let keys: Vec<Option<Value>> = found.by_ref().take(recurse.parent_keys.len()).collect();
    if found.next().flatten().is_some() {
        return Err(unusable(format!("it has a {} itself", recurse.leaf_column)));
    }
    if recurse.has_children.is_some() {
        match found.next().flatten() {
            Some(has) if !is_none(&has) => {}
            _ => return Ok(None),
        }
    }
    let mut members = context.members.clone();
    members.retain(|(name, _)| *name != recurse.level_column);
    for ((to, from), value) in recurse.parent_keys.iter().zip(keys) {
        let value = value.ok_or_else(|| unusable(format!("no {from}")))?;
        if value.is_null() {
            return Ok(None);
        }
        members.retain(|(name, _)| name != to);
        members.push((to.clone(), value));
    }
    Ok(Some(members))
}

/// Tells whether a value says that there are no children.
fn is_none(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(has) => !has,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "false" || text == "0",
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn unusable(reason: String) -> Error {
    Error::new(ErrorKind::Data, "cannot find the children of a row").with("reason", reason)
}
