//! What a tap writes the rows of a stream into: batches here, lines on a thread of their own.

mod failure;
mod keys;
pub(crate) mod made;
mod open;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canonical;
use crate::catalog::Stream;
use crate::convert::Conversion;
use crate::coverage::Coverage;
use crate::decode::RecordDecoder;
use crate::encode::{READ_FROM, file_names, message_line};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileIds;
use crate::future::Cap;
use crate::pipe::Job;
use crate::rejects::{Refused, misfit};
use crate::warning;

pub(crate) use keys::unused;
pub(crate) use open::OpenStream;
pub(crate) use shared::{Closed, Shared};

/// The oldest a row may get in a batch.
const BATCH_AGE: Duration = Duration::from_secs(1);
/// State is written after so many rows, or so much time, of a stream that can resume.
const STATE_ROWS: u64 = 10_000;
const STATE_AGE: Duration = Duration::from_secs(5);

/// The rows of one stream on their way to the pipe.
pub struct Rows<'run> {
    run: &'run mut Shared,
    open: &'run mut OpenStream,
}

impl<'run> Rows<'run> {
    pub(crate) fn new(run: &'run mut Shared, open: &'run mut OpenStream) -> Self {
        Self { run, open }
    }

    /// Sets the latest time that a bookmark may have, by the clock of the source.
    pub fn set_cap(&mut self, cap: Cap) {
        self.run.cap = cap;
    }

    /// Ends the stream; returns how many rows it had without those that were rejected.
    pub(crate) fn finish(&mut self) -> Result<u64> {
        self.hand_on()?;
        if let Some(decoder) = &self.open.decoder {
            decoder.undeclared.sum_up(&self.open.id);
        }
        if let Some(column) = &self.open.dated_key {
            self.open.ahead.report(&self.open.id, &column.name);
        }
        self.open.counter.finish(true);
        warning::check()?;
        if let Some(bookmark) = self.open.unjudged.take() {
            self.run.states.state().set_bookmark(&self.open.id, bookmark);
        }
        let left_out = self.open.left_out && !self.open.unchanged;
        self.run.states.finish(&self.open.id, left_out);
        Ok(self.open.counter.kept())
    }

    /// Moves the bookmark, or keeps it until the rows have been judged.
    fn set_bookmark(&mut self, bookmark: Value) {
        if self.open.judged {
            self.open.unjudged = Some(bookmark);
        } else {
            self.run.states.state().set_bookmark(&self.open.id, bookmark);
        }
    }

    fn write_state(&mut self, state: Option<Vec<u8>>) -> Result<()> {
        let Some(line) = state else { return Ok(()) };
        self.open.unstated = 0;
        self.run.line(line)
    }

    fn send_schema(&mut self) -> Result<()> {
        for schema in std::mem::take(&mut self.open.schemas) {
            self.run.files_told |= self.open.reads_files;
            let schema = self.run.states.naming(schema);
            self.run.line(message_line(&schema))?;
        }
        Ok(())
    }

    /// Says that the source has not changed since the bookmark. A stream without rows that says so
    /// is left out of the output, and a target keeps its rows of it.
    pub fn unchanged(&mut self) {
        self.open.left_out = true;
        self.open.unchanged = true;
        self.open.schemas.clear();
    }

    /// Says that the rows do not come in the order of the replication key. The last row then gives
    /// no bookmark, and the tap sets its own with [`Rows::checkpoint`].
    pub fn unsorted(&mut self) {
        self.open.replication_key = None;
    }

    /// Says, before the first row, which rows come, so that a target does not treat a part of the
    /// rows as all rows. The last call counts.
    pub fn cover(&mut self, coverage: &Coverage) {
        self.open.part = coverage.is_part();
        for schema in self.open.schemas.iter_mut().filter_map(Value::as_object_mut) {
            match coverage.value() {
                Some(part) => schema.insert(Coverage::MEMBER.to_owned(), part.clone()),
                None => schema.remove(Coverage::MEMBER),
            };
        }
    }

    /// Returns whether no SCHEMA of the run has named the files that are read yet.
    pub fn wants_files(&self) -> bool {
        !self.run.files_told
    }

    /// Says, before the first row, which files of a disk the run reads for all of its streams. A
    /// target then replaces none of these files. Only the first SCHEMA of the run names them,
    /// because the list may be longer than the rows of a stream.
    pub fn read_from(&mut self, files: &FileIds) {
        if self.run.files_told || files.is_empty() {
            return;
        }
        if let Some(schema) = self.open.schemas.first_mut() {
            schema[READ_FROM] = file_names(files);
            self.open.reads_files = true;
        }
    }

    /// Returns how many rows of the stream there are by now.
    pub fn count(&self) -> u64 {
        self.open.counter.total() + self.open.batch.rows() as u64
    }

    /// Says that rows of the stream were left out, because of a limit.
    pub fn leave_out(&mut self, why: &str) {
        crate::warn!("W-ROWS-LEFT-OUT", "{}: {why}", self.open.id);
        self.open.left_out = true;
    }

    /// Says that the source may lack rows, and why: no version of them is activated.
    pub fn lack_rows(&mut self, why: &'static str) {
        self.open.left_out = true;
        self.open.lacks = Some(why);
    }

    /// Appends a cell, checked against the kind of its column.
    pub fn cell(&mut self, text: &[u8]) -> Result<()> {
        if let Some((name, kind)) = self.open.columns.get(self.open.column)
            && !canonical::is_canonical(*kind, text)
        {
            return Err(Error::new(ErrorKind::Data, "a value does not fit the type of its column")
                .with("stream", &self.open.id)
                .with("column", name)
                .with("type", kind.word()));
        }
        self.verbatim(text);
        Ok(())
    }

    /// Appends a cell that is not in canonical form, after converting it.
    pub fn convert(&mut self, text: &[u8], conversion: &Conversion) -> Result<()> {
        let converted = self.open.batch.push_with(|out| conversion.convert(text, out));
        self.open.column += 1;
        converted.map_err(|unfit| {
            let at = self.open.column - 1;
            let name = self.open.columns.get(at).map_or("", |(name, _)| name);
            Error::new(ErrorKind::Data, "a value does not fit the type of its column")
                .with("stream", &self.open.id)
                .with("column", name)
                .with("type", conversion.kind().word())
                .with("reason", unfit.0)
        })
    }

    /// Appends a cell whose text the caller knows to be canonical.
    #[inline]
    pub fn verbatim(&mut self, text: &[u8]) {
        self.open.column += 1;
        self.open.batch.push(text);
    }

    /// Takes the text of a whole row, for cells that [`Rows::within`] appends: one copy is cheaper
    /// than many. Returns where it starts; `None` for a long one, of which nothing is taken, as
    /// what is between the cells counts for the size of the record.
    #[inline]
    pub fn text(&mut self, text: &[u8]) -> Option<usize> {
        let short = text.len() <= self.run.record_bytes_max / 4;
        short.then(|| self.open.batch.push_text(text))
    }

    /// Appends a cell whose text lies in that of its row. The caller knows it to be canonical.
    #[inline]
    pub fn within(&mut self, start: usize, length: usize) {
        self.open.column += 1;
        self.open.batch.push_within(start, length);
    }

    /// Appends a cell whose canonical text `fill` appends to the buffer it gets.
    #[inline]
    pub fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.open.column += 1;
        self.open.batch.push_with(fill)
    }

    /// Appends a null.
    #[inline]
    pub fn null(&mut self) {
        self.open.column += 1;
        self.open.batch.push_null();
    }

    /// Appends nothing: the record will lack the property of this column.
    #[inline]
    pub fn absent(&mut self) {
        self.open.column += 1;
        self.open.batch.push_absent();
    }

    /// Ends the row. It is dropped where [`Rows::has_enough`].
    #[inline]
    pub fn end(&mut self) -> Result<()> {
        if self.open.column != self.open.columns.len() {
            return Err(self.wrong_width());
        }
        let total = self.count();
        if self.run.limit.is_some_and(|limit| total > limit) {
            self.take_back();
            return Ok(());
        }
        let bytes = self.open.batch.text_bytes() - self.open.row_start.text_bytes();
        if bytes > self.run.record_bytes_max {
            return Err(self.too_large(bytes));
        }
        self.open.column = 0;
        self.open.row_start = self.open.batch.mark();
        let rows = self.open.batch.rows();
        // The first row is handed on at once: its reader may wait for nothing else.
        let due = total == 1
            || self.open.batch.is_full()
            || rows.is_multiple_of(64) && self.open.begun.elapsed() >= BATCH_AGE;
        self.run.pending_bytes += bytes;
        if due { self.flush() } else { Ok(()) }
    }

    /// Returns whether the run has all rows that it wants. Further rows are dropped, so a tap may
    /// stop.
    #[inline]
    pub fn has_enough(&self) -> bool {
        self.run.limit.is_some_and(|limit| self.count() >= limit)
    }

    fn take_back(&mut self) {
        self.open.batch.rollback(self.open.row_start);
        self.open.column = 0;
    }

    /// Appends a whole row from the text of a JSON object, and ends it. Missing keys stay missing;
    /// what does not fit its column is rejected, and properties that the schema lacks are left out
    /// and counted for a warning at the end of the stream. `place` is where the object comes from,
    /// and the line there, if it has one.
    pub fn json(
        &mut self,
        stream: &Stream,
        object: &[u8],
        place: (&str, Option<u64>),
    ) -> Result<()> {
        if self.open.decoder.is_none() {
            let deselected = self.open.deselected.clone();
            self.open.decoder = Some(RecordDecoder::new(stream, true)?.without(deselected));
        }
        let Some(decoder) = &mut self.open.decoder else { return Ok(()) };
        match decoder.object(object, &mut self.open.batch) {
            Ok(()) => {
                self.open.column = self.open.columns.len();
                self.end()
            }
            Err(refusal) => {
                let failure = misfit(refusal, &self.open.columns);
                let failure = match place.1 {
                    Some(line) => failure.with("line", line),
                    None => failure,
                };
                self.reject(place.0, &Refused::Object(object), failure)
            }
        }
    }

    /// Returns whether all properties are selected, nested ones too.
    pub fn selects_all(&self) -> bool {
        self.open.deselected.is_empty() && self.open.prunings.iter().all(Option::is_none)
    }

    /// Takes back the cells of the row begun and records why: with `max_rejects` used up, fails
    /// with this failure.
    pub fn reject(&mut self, place: &str, record: &Refused<'_>, failure: Error) -> Result<()> {
        self.take_back();
        let failure = if failure.context("stream").is_none() {
            failure.with("stream", &self.open.id)
        } else {
            failure
        };
        let failure = if place.is_empty() { failure } else { failure.with("place", place) };
        self.open.left_out = true;
        let names: Vec<&str> = self.open.columns.iter().map(|(name, _)| name.as_str()).collect();
        let shows = !self.run.rejects.hides_rows();
        let record = record.selected(&names, &self.open.prunings).filter(|_| shows);
        self.run.rejects.add(record.as_deref(), failure)
    }

    /// Tells whether something happens to rows before they are written: their values may be hidden,
    /// and must not stand elsewhere as the source has them.
    pub fn changes_rows(&self) -> bool {
        self.run.changes_rows
    }

    /// Hands on the written rows before a wait. Only whole rows are handed on.
    pub fn flush(&mut self) -> Result<()> {
        if self.open.column != 0 || self.open.batch.is_empty() {
            return Ok(());
        }
        if let Some(decoder) = &mut self.open.decoder {
            decoder.undeclared.report(&self.open.id);
        }
        warning::check()?;
        let rows = self.open.batch.rows();
        self.note_keys(rows);
        self.send_schema()?;
        self.open.counter.add(rows, self.open.batch.text_bytes());
        self.run.states.add_rows(self.open.batch.text_bytes());
        self.open.begun = Instant::now();
        let bytes = self.open.batch.text_bytes();
        self.run.pending_bytes = self.run.pending_bytes.saturating_sub(bytes);
        if self.open.made.is_some() {
            made::send(self.run, self.open)?;
            self.open.batch.reset(self.open.columns.len());
            self.open.row_start = self.open.batch.mark();
        } else {
            let mut fresh = self.run.pipe.spare.try_recv().unwrap_or_default();
            fresh.reset(self.open.columns.len());
            let full = std::mem::replace(&mut self.open.batch, fresh);
            self.open.row_start = self.open.batch.mark();
            self.run.pipe.send(Job::Rows(Arc::clone(&self.open.encoder), full))?;
        }
        self.open.unstated += rows as u64;
        self.bookmark_key();
        let due = self.open.unstated >= STATE_ROWS || self.run.states.age() >= STATE_AGE;
        let due = due && !self.open.judged;
        if due && !self.open.last_key.is_empty() && self.run.limit.is_none() {
            let state = self.run.states.within_share();
            self.write_state(state)?;
        }
        Ok(())
    }

    /// Hands on the rows and, where there are none, the SCHEMA: no state may speak of a stream that
    /// the target has not heard of.
    pub(crate) fn hand_on(&mut self) -> Result<()> {
        self.flush()?;
        self.send_schema()
    }

    /// Says that this progress covers everything up to here. It becomes the stream's bookmark. It
    /// is not needed for a replication key, whose bookmark is taken from sorted rows. A run with a
    /// limit of rows keeps no bookmark.
    pub fn checkpoint(&mut self, progress: Value) -> Result<()> {
        self.hand_on()?;
        if self.run.limit.is_some() {
            return Ok(());
        }
        self.set_bookmark(progress);
        if self.open.judged {
            return Ok(());
        }
        let state = self.run.states.within_share();
        self.write_state(state)
    }

    /// Sets the bookmark behind the last row of the stream: the state with which the next stream
    /// begins has it, or that of the end. One state less where there are thousands of streams.
    pub fn bookmark(&mut self, progress: Value) {
        if self.run.limit.is_none() {
            self.run.states.set_behind(progress);
        }
    }

    /// Returns how many bytes a row may have.
    pub fn record_bytes_max(&self) -> usize {
        self.run.record_bytes_max
    }

    /// Returns the largest number of rows of the run, if it has one (`--test` reads one).
    pub fn limit(&self) -> Option<u64> {
        self.run.limit
    }
}
