//! Records that do not fit: set aside in a file up to a limit, beyond it the end of the run.
//!
//! The file holds of a record what the destination would have got: the selected properties alone.
//! Where these cannot be told apart from the others, the place and the reason have to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::batch::Batch;
use crate::catalog::Stream;
use crate::encode::{Envelopes, RecordEncoder};
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::metrics::counter;
use crate::own_file;
use crate::quote::string_into;
use crate::refusal::Refusal;
use crate::scan::Scanner;
use crate::schema::Kind;
use crate::scrub::scrub;
use crate::selection::Pruning;
use crate::settings::Common;

/// The warning of a run that has set records aside.
const REJECTED: &str = "W-RECORDS-REJECTED";

/// The reject file of a run, shared by the threads that find such records. The default takes none.
#[derive(Clone, Default)]
pub struct Rejects {
    shared: Arc<Mutex<Shared>>,
    /// No row may be shown as it came.
    hides_rows: bool,
}

#[derive(Default)]
struct Shared {
    path: PathBuf,
    file: Option<File>,
    include_record: bool,
    limit: u64,
    count: u64,
    by_stream: BTreeMap<String, u64>,
    /// Rows that the destination refused since somebody asked, after they had been read.
    rows: BTreeMap<String, u64>,
    forgets: bool,
}

impl Rejects {
    /// Takes the settings; makes no file yet.
    pub fn new(common: &Common) -> Self {
        Self::of(Shared {
            path: PathBuf::from(&common.rejects_file),
            file: None,
            include_record: common.rejects_include_record,
            limit: common.max_rejects,
            count: 0,
            by_stream: BTreeMap::new(),
            rows: BTreeMap::new(),
            forgets: false,
        })
    }

    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(Mutex::new(shared)), hides_rows: false }
    }

    /// Takes any record and leaves no trace of it: for rows that were set aside once before.
    pub fn forgetting() -> Self {
        Self::of(Shared { forgets: true, ..Shared::default() })
    }

    /// Returns the same file for those who may show no row as it came, and no key of one.
    pub(crate) fn hiding(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), hides_rows: true }
    }

    /// Tells whether no row may be shown as it came.
    pub(crate) fn hides_rows(&self) -> bool {
        self.hides_rows
    }

    /// Sets a record aside, or fails with `failure` when the limit is reached. The failure's
    /// context (line, stream, key, column, ...) goes into the file.
    pub(crate) fn add(&self, record: Option<&[u8]>, failure: Error) -> Result<()> {
        self.shared().add(record, failure)
    }

    /// Sets a row aside that its destination cannot take, or fails with `failure`, to which it
    /// adds the line, the stream and the key.
    pub fn row(&self, stream: &Stream, batch: &Batch, row: usize, failure: Error) -> Result<()> {
        let mut record = failure.record().map(<[u8]>::to_vec);
        if record.is_none() && !self.hides_rows() {
            let encoder = RecordEncoder::new(stream, &[], Envelopes::OfRows);
            encoder.record(batch, row, record.get_or_insert_default());
        }
        let failure = match batch.line(row) {
            0 => failure,
            line => failure.with("line", line),
        };
        let failure = failure.with("stream", &stream.name);
        let failure = match record.as_ref().and_then(|record| key_of(record, &stream.keys)) {
            Some(key) => failure.with("key", key),
            None => failure,
        };
        if failure.ends_run() {
            return Err(failure);
        }
        self.add(record.as_deref(), failure)?;
        let mut shared = self.shared();
        if !shared.forgets {
            *shared.rows.entry(stream.name.clone()).or_default() += 1;
        }
        Ok(())
    }

    /// Returns how many rows of a stream [`Rejects::row`] has set aside since it was last asked.
    pub(crate) fn take_rows(&self, stream: &str) -> u64 {
        self.shared().rows.remove(stream).unwrap_or_default()
    }

    /// Tells whether a record of the stream was set aside.
    pub(crate) fn has_some_of(&self, stream: &str) -> bool {
        self.shared().by_stream.contains_key(stream)
    }

    /// Says at the end of a run how many records were set aside.
    pub fn report(&self) {
        let shared = self.shared();
        if shared.count > 0 {
            let path = shared.path.display();
            crate::warn!(
                "W-RECORDS-REJECTED",
                "{} records were rejected and are in {path}",
                shared.count
            );
            for (stream, count) in &shared.by_stream {
                counter("reject_count", *count, stream);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn add(&mut self, record: Option<&[u8]>, failure: Error) -> Result<()> {
        if self.forgets {
            return Ok(());
        }
        let denied = crate::warning::denies(REJECTED);
        if denied || self.count >= self.limit {
            let hint = if denied && self.limit > 0 {
                format!("correct the record, or remove {REJECTED} from `--deny-warnings`")
            } else if self.limit == 0 {
                "correct the record, or set `max_rejects` to the number of such records to allow"
                    .to_owned()
            } else {
                format!(
                    "the limit `max_rejects` of {} is reached: see {}",
                    self.limit,
                    self.path.display()
                )
            };
            let failure = if denied { failure.with("code", REJECTED) } else { failure };
            return Err(if failure.has_hint() { failure } else { failure.hint(hint) });
        }
        let mut line = json!({});
        for (key, value) in failure.context_pairs() {
            let value = &*scrub(value);
            line[key] = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
        }
        if line.get("reason").is_none() {
            line["reason"] = scrub(failure.message()).into();
        }
        if let Some(record) = record.filter(|_| self.include_record) {
            let text = String::from_utf8_lossy(record);
            line["record"] = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
        }
        let mut text = line.to_string();
        text.push('\n');
        let written = self.write(text.as_bytes());
        written.map_err(|failure| failure.with("path", self.path.display()))?;
        self.count += 1;
        let stream = failure.context("stream").unwrap_or_default();
        *self.by_stream.entry(stream.to_owned()).or_default() += 1;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(own_file::append_lines(&self.path).map_err(|failure| {
                let failure = failure.with("setting", "rejects_file");
                if failure.has_hint() {
                    return failure;
                }
                failure.hint("the folder of `rejects_file` must exist and be writable")
            })?),
        };
        file.write_all(line).or_kind(ErrorKind::Io, "cannot write the rejects file")
    }
}

/// A record that is set aside, as its source has it.
#[derive(Clone, Debug)]
pub enum Refused<'a> {
    /// A JSON object, of which what is not selected is left out.
    Object(&'a [u8]),
    /// The texts of the cells, in the order of the stream's columns.
    Cells(Vec<Option<Vec<u8>>>),
    /// A text that has no other columns than those of the stream.
    Text(&'a [u8]),
    /// Nothing of it can be shown: what is selected cannot be told apart from what is not.
    Untold,
}

impl Refused<'_> {
    /// Returns what may be shown of it, given the names of the columns and what is left out of
    /// their nested values.
    pub(crate) fn selected(
        &self,
        columns: &[&str],
        prunings: &[Option<Pruning>],
    ) -> Option<Vec<u8>> {
        let pruning = |at: usize| prunings.get(at).and_then(Option::as_ref);
        let mut out = vec![b'{'];
        let mut push = |name: &str, value: &mut dyn FnMut(&mut Vec<u8>)| {
            if out.len() > 1 {
                out.push(b',');
            }
            string_into(name.as_bytes(), &mut out);
            out.push(b':');
            value(&mut out);
        };
        match self {
            Self::Text(text) => return Some(text.to_vec()),
            Self::Untold => return None,
            Self::Object(text) => {
                let places: BTreeMap<&str, usize> =
                    columns.iter().enumerate().map(|(at, name)| (*name, at)).collect();
                for (name, value) in members(text)? {
                    let Some(at) = places.get(name.as_str()) else { continue };
                    // What is left out of an object may be anywhere in another value.
                    if pruning(*at).is_none() || value.first() == Some(&b'{') {
                        push(&name, &mut |out| match pruning(*at) {
                            Some(pruning) => pruning.apply(value, out),
                            None => out.extend_from_slice(value),
                        });
                    }
                }
            }
            Self::Cells(cells) => {
                for (at, (name, cell)) in columns.iter().zip(cells).enumerate() {
                    match (cell, pruning(at)) {
                        (None, _) => push(name, &mut |out| out.extend_from_slice(b"null")),
                        (Some(text), None) => push(name, &mut |out| string_into(text, out)),
                        (Some(text), Some(pruning)) if text.first() == Some(&b'{') => {
                            let mut pruned = Vec::new();
                            pruning.apply(text, &mut pruned);
                            push(name, &mut |out| string_into(&pruned, out));
                        }
                        (Some(_), Some(_)) => {}
                    }
                }
            }
        }
        out.push(b'}');
        Some(out)
    }
}

/// Says why an object is no row of these columns.
#[cold]
pub(crate) fn misfit(refusal: Refusal, columns: &[(String, Kind)]) -> Error {
    match refusal {
        Refusal::Broken(fault) => Error::new(ErrorKind::Data, "the record is not JSON")
            .with("byte", fault.at + 1)
            .with("reason", fault.what),
        Refusal::Deletes => {
            Error::new(ErrorKind::Internal, "a deletion cannot be written as a reject")
        }
        Refusal::Unfit(at, reason) => {
            let failure = Error::new(ErrorKind::Data, "a record does not fit its schema");
            let failure = match at {
                Some(at) => failure.with("column", &columns[at].0),
                None => failure,
            };
            failure.with("reason", reason)
        }
    }
}

/// Returns the members of an object; `None` where the text is not one.
fn members(text: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    let mut more = scanner.open(b'{', b'}').ok()?;
    let mut found = Vec::new();
    while more {
        let mut name = Vec::new();
        scanner.key().ok()?.unescape_into(&mut name);
        let start = scanner.at();
        scanner.value().ok()?;
        let name = String::from_utf8_lossy(&name).into_owned();
        found.push((name, &text[start..scanner.at()]));
        more = scanner.more(b'}').ok()?;
    }
    scanner.end().ok()?;
    Some(found)
}

/// Returns the key values of a record, as they stand.
pub(crate) fn key_of(record: &[u8], keys: &[String]) -> Option<String> {
    let mut scanner = Scanner::new(record);
    let mut more = scanner.open(b'{', b'}').ok()?;
    let keys: BTreeSet<&[u8]> = keys.iter().map(String::as_bytes).collect();
    let mut found = Vec::new();
    while more {
        let key = scanner.key().ok()?;
        let start = scanner.at();
        scanner.value().ok()?;
        if keys.contains(key.raw) {
            found.push(String::from_utf8_lossy(&record[start..scanner.at()]).into_owned());
        }
        more = scanner.more(b'}').ok()?;
    }
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog, selection};

    #[test]
    fn what_is_not_selected_is_left_out() {
        let entry = r#"{"streams":[{"stream":"s","schema":{"properties":{"id":{},"b":{},
            "n":{"type":"object","properties":{"x":{},"y":{}}}}},"metadata":[
            {"breadcrumb":[],"metadata":{"selected":true}},
            {"breadcrumb":["properties","b"],"metadata":{"selected":false}},
            {"breadcrumb":["properties","n","properties","x"],"metadata":{"selected":false}}]}]}"#;
        let stream = catalog::from_slice(entry.as_bytes(), None, crate::schema::COLUMNS_MAX)
            .unwrap()
            .remove(0);
        let selected = selection::select(stream).unwrap().unwrap();
        let names: Vec<&str> =
            selected.stream.columns.iter().map(|column| column.name.as_str()).collect();
        let check = |record: Refused<'_>, expected: Option<&str>| {
            let found = record.selected(&names, &selected.prunings);
            let found = found.map(|text| String::from_utf8(text).unwrap());
            assert_eq!(found.as_deref(), expected, "{record:?}");
        };
        let object = |text: &'static str| Refused::Object(text.as_bytes());
        check(
            object(r#" {"id":1,"b":"S","n":{"x":"S","y":[2]},"more":"S"} "#),
            Some(r#"{"id":1,"n":{"y":[2]}}"#),
        );
        check(object(r#"{"\u0062":"S","id":"a\"b"}"#), Some(r#"{"id":"a\"b"}"#));
        // Not an object, so `x` may be anywhere in it; and what is no JSON cannot be taken apart.
        check(object(r#"{"n":[{"x":"S"}],"id":1}"#), Some(r#"{"id":1}"#));
        check(object(r#"{"id":1,"b":"S"#), None);
        check(object(r#"["S"]"#), None);
        let cells = vec![Some(b"1".to_vec()), Some(br#"{"x":"S","y":2}"#.to_vec())];
        check(Refused::Cells(cells), Some(r#"{"id":"1","n":"{\"y\":2}"}"#));
        check(Refused::Cells(vec![None, Some(b"[S]".to_vec())]), Some(r#"{"id":null}"#));
        check(Refused::Untold, None);
    }
}
