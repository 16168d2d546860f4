//! What came of an answer, and in which form its records stood.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use singer::scan::{Fault, Scanner, Token};
use singer::{Error, ErrorKind, Result};

use crate::paging::pager::Next;
use crate::stream::StreamSpec;

/// What has come of an answer.
pub(super) enum Turn {
    /// Its rows are taken; this is to be asked for next.
    Next(Option<Next>),
    /// It tells of a failure that may pass, and nothing was taken.
    Again(Error),
}

/// How the records of a stream stood in its answers.
///
/// The rule: an object in the place of a list is a record if it has the keys that the elements of
/// the lists have, or without keys most of its members in common with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Forms {
    /// The members of the first one that was an element of a list.
    listed: Option<Names>,
    /// The members of the last object in the place of a list.
    alone: Option<Names>,
    /// As an object whose members are objects, treated as one record.
    mapped: bool,
}

type Names = BTreeSet<Vec<u8>>;

impl Forms {
    /// Adds those of a read of other inputs or parents.
    pub(super) fn join(&mut self, other: &Self, spec: &StreamSpec) -> Result<()> {
        self.mapped |= other.mapped;
        self.listed = self.listed.take().or_else(|| other.listed.clone());
        self.alone = other.alone.clone().or_else(|| self.alone.take());
        self.check(spec, self.alone.as_ref())
    }

    /// Keeps how an element of a list looks.
    pub(super) fn note_listed(&mut self, record: &[u8], spec: &StreamSpec) -> Result<()> {
        if self.listed.is_some() {
            return Ok(());
        }
        self.listed = Some(names(record));
        self.check(spec, self.alone.as_ref())
    }

    /// Keeps how an object in the place of a list looks, unless it is no record.
    pub(super) fn note_alone(&mut self, record: &[u8], spec: &StreamSpec) -> Result<()> {
        let is_map = is_map(record, spec);
        self.mapped |= is_map;
        let names = names(record);
        self.check(spec, Some(&names))?;
        let is_other = || self.alone.as_ref().is_some_and(|before| before.is_disjoint(&names));
        if is_map
            && spec.keys.is_empty()
            && spec.records.ends_with_elements()
            && (is_alike(record) || is_other())
        {
            warn_of_map(spec);
        }
        self.alone = Some(names);
        Ok(())
    }

    fn check(&self, spec: &StreamSpec, alone: Option<&Names>) -> Result<()> {
        let (Some(listed), Some(alone)) = (&self.listed, alone) else { return Ok(()) };
        let has = |names: &Names, key: &String| names.contains(key.as_bytes());
        let mut keys = spec.keys.iter().filter(|key| has(listed, key)).peekable();
        let fits = if keys.peek().is_some() {
            keys.all(|key| has(alone, key))
        } else {
            2 * alone.intersection(listed).count() > alone.len()
        };
        if fits && !self.mapped { Ok(()) } else { Err(mixed(spec)) }
    }
}

/// Returns the names of the members of an object.
fn names(record: &[u8]) -> Names {
    let mut names = Names::new();
    let _ = each_member(record, &mut |name, _| {
        names.insert(name.to_vec());
    });
    names
}

/// Gives name and value of each member of an object.
pub fn each_member(record: &[u8], take: &mut dyn FnMut(&[u8], Token<'_>)) -> Result<(), Fault> {
    let mut scanner = Scanner::new(record);
    let mut name = Vec::new();
    let mut more = scanner.open(b'{', b'}')?;
    while more {
        name.clear();
        scanner.key()?.unescape_into(&mut name);
        take(&name, scanner.value()?);
        more = scanner.more(b'}')?;
    }
    Ok(())
}

/// Tells whether a record looks like a map of records: all its members are objects, and it has none
/// of the keys of the stream.
fn is_map(record: &[u8], spec: &StreamSpec) -> bool {
    let (mut objects, mut others) = (0, 0);
    let read = each_member(record, &mut |name, value| {
        let is_key = spec.keys.iter().any(|key| key.as_bytes() == name);
        let is_object = matches!(value, Token::Object(_)) && !is_key;
        *(if is_object { &mut objects } else { &mut others }) += 1;
    });
    read.is_ok() && objects > 0 && others == 0
}

/// Tells whether the members of an object are several, and have the same members themselves: most
/// of those of the first one.
fn is_alike(record: &[u8]) -> bool {
    let mut all: Vec<Names> = Vec::new();
    let read = each_member(record, &mut |_, value| {
        if let Token::Object(member) = value {
            all.push(names(member.text));
        }
    });
    let Some((first, others)) = all.split_first() else { return false };
    let is_like =
        |other: &Names| 2 * first.intersection(other).count() > first.len().max(other.len());
    read.is_ok() && !others.is_empty() && others.iter().all(is_like)
}

/// One stream has its records in one way.
fn mixed(spec: &StreamSpec) -> Error {
    Error::new(ErrorKind::Data, "the records are a list in one answer and an object in another")
        .with("records_path", &spec.records)
        .hint(
            "let `records_path` end with `.*` instead of `[*]`: it then reads the members of an \
             object and the elements of a list",
        )
}

/// Warns, once for a stream, of an object that is treated as one record and looks like a map of
/// records.
fn warn_of_map(spec: &StreamSpec) {
    if spec.warned.map.swap(true, Ordering::Relaxed) {
        return;
    }
    let path = spec.records.to_string();
    singer::warn!(
        "W-WHOLE-ANSWER",
        "stream {}: an object at `{path}` is read as one record, with a column for each of its \
         members; if the members are the records, set `records_path` to {}.*, else to {}",
        spec.name,
        path.trim_end_matches("[*]"),
        path.trim_end_matches("[*]")
    );
}
