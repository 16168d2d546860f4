//! What a tap writes its rows into: batches here, lines on a thread of their own.

mod failure;
mod keys;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::keys::Settled;
use crate::batch::{Batch, Mark};
use crate::canonical;
use crate::catalog::{ReplicationMethod, Stream};
use crate::decode::RecordDecoder;
use crate::encode::{RecordEncoder, message_line, schema_message};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileIds;
use crate::future::{Ahead, Cap, is_dated};
use crate::metrics::RecordCounter;
use crate::pipe::{Job, Pipe};
use crate::rejects::{Refused, Rejects, misfit};
use crate::schema::{Column, Kind};
use crate::selection::{Pruning, Selected};
use crate::state::{State, may_be_endless};
use crate::states::States;
use crate::warning;

/// The oldest a row may get in a batch.
const BATCH_AGE: Duration = Duration::from_secs(1);
/// State is written after so many rows, or so much time, of a stream that can resume.
const STATE_ROWS: u64 = 10_000;
const STATE_AGE: Duration = Duration::from_secs(5);

/// The rows of a run on their way to the pipe; one stream at a time.
pub struct Rows {
    batch: Batch,
    row_start: Mark,
    column: usize,
    columns: Vec<(String, Kind)>,
    /// The SCHEMA, until the first rows or the end of the stream send it.
    schema: Option<Value>,
    encoder: Arc<RecordEncoder>,
    decoder: Option<RecordDecoder>,
    deselected: Vec<String>,
    prunings: Vec<Option<Pruning>>,
    pipe: Pipe,
    rejects: Rejects,
    record_bytes_max: usize,
    limit: Option<u64>,
    left_out: bool,
    read_from: FileIds,
    /// A SCHEMA of the run has said which files are read.
    files_told: bool,
    counter: RecordCounter,
    begun: Instant,
    stream: String,
    /// Name and position of the replication key of an INCREMENTAL stream.
    replication_key: Option<(String, usize)>,
    /// The keys may be infinite or no number: nothing comes behind such a bookmark.
    endless_keys: bool,
    last_key: Vec<u8>,
    /// Up to where bookmarks of time move, and the rows beyond.
    cap: Cap,
    ahead: Ahead,
    /// The replication key where it is a time.
    dated_key: Option<Column>,
    /// Up to where no row may still come.
    settled: Settled,
    states: States,
    unstated: u64,
}

impl Rows {
    pub(crate) fn new(
        state: State,
        rejects: Rejects,
        record_bytes_max: usize,
        limit: Option<u64>,
        cap: Cap,
    ) -> Self {
        Self {
            batch: Batch::default(),
            row_start: Batch::default().mark(),
            column: 0,
            columns: Vec::new(),
            schema: None,
            encoder: Arc::new(RecordEncoder::new(&Stream::default(), &[], "", None)),
            decoder: None,
            deselected: Vec::new(),
            prunings: Vec::new(),
            pipe: Pipe::start(),
            rejects,
            record_bytes_max,
            limit,
            left_out: false,
            read_from: FileIds::new(),
            files_told: false,
            counter: RecordCounter::new(""),
            begun: Instant::now(),
            stream: String::new(),
            replication_key: None,
            endless_keys: false,
            last_key: Vec::new(),
            cap,
            ahead: Ahead::default(),
            dated_key: None,
            settled: Settled::All,
            states: States::new(state),
            unstated: 0,
        }
    }

    /// Starts a stream.
    pub(crate) fn begin(&mut self, selected: &Selected, version: Option<i64>) {
        let stream = &selected.stream;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        self.schema = Some(schema_message(stream));
        self.encoder = Arc::new(RecordEncoder::new(stream, &selected.prunings, &now, version));
        self.columns =
            stream.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        self.batch.reset(self.columns.len());
        self.row_start = self.batch.mark();
        self.column = 0;
        self.decoder = None;
        self.deselected.clone_from(&selected.deselected);
        self.prunings.clone_from(&selected.prunings);
        self.counter = RecordCounter::new(&stream.name);
        if let Some(rows) =
            stream.meta("row-count").and_then(Value::as_u64).filter(|rows| *rows > 0)
        {
            self.counter.estimate(rows);
        }
        self.stream.clone_from(&stream.id);
        let key = stream.replication_key.as_ref();
        self.replication_key = key
            .filter(|_| stream.replication_method == ReplicationMethod::Incremental)
            .and_then(|name| Some((name.clone(), stream.column(name)?)));
        self.endless_keys = (self.replication_key.as_ref())
            .is_some_and(|(_, at)| may_be_endless(&stream.columns[*at]));
        self.last_key.clear();
        self.ahead = Ahead::default();
        self.settled = Settled::All;
        self.dated_key = (self.replication_key.as_ref())
            .map(|(_, at)| stream.columns[*at].clone())
            .filter(is_dated);
        self.unstated = 0;
        self.left_out = false;
        self.read_from.clear();
    }

    /// Takes up to where bookmarks of time move, by the clock of the source.
    pub fn set_cap(&mut self, cap: Cap) {
        self.cap = cap;
    }

    /// Ends the stream; returns how many rows it had.
    pub(crate) fn finish(&mut self) -> Result<u64> {
        self.flush()?;
        self.send_schema()?;
        if let Some(decoder) = &self.decoder {
            decoder.undeclared.sum_up(&self.stream);
        }
        if let Some(column) = &self.dated_key {
            self.ahead.report(&self.stream, &column.name);
        }
        self.counter.finish(true);
        warning::check()?;
        self.states.finish(&self.stream);
        Ok(self.counter.total())
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.states.state()
    }

    pub(crate) fn line(&mut self, line: Vec<u8>) -> Result<()> {
        self.pipe.send(Job::Line(line))
    }

    /// Says that a stream is being read, or leaves that to its SCHEMA.
    pub(crate) fn name(&mut self, stream: &str) -> Result<()> {
        let state = self.states.begin(stream);
        self.write_state(state)
    }

    fn write_state(&mut self, state: Option<Vec<u8>>) -> Result<()> {
        let Some(line) = state else { return Ok(()) };
        self.unstated = 0;
        self.line(line)
    }

    /// Says that all streams were read: the run that named the last one has ended, and none is
    /// being read.
    pub(crate) fn end_run(&mut self) -> Result<()> {
        let lines = self.states.end();
        self.line(lines)
    }

    /// Says at a failure what no state has said yet.
    pub(crate) fn fail(mut self) {
        let state = self.states.held_back();
        let _ = self.write_state(state);
        let _ = self.close();
    }

    /// Waits until everything is written.
    pub(crate) fn close(mut self) -> Result<()> {
        self.rejects.report();
        self.pipe.close()
    }

    fn send_schema(&mut self) -> Result<()> {
        let Some(schema) = self.schema.take() else { return Ok(()) };
        self.files_told |= !self.read_from.is_empty();
        let schema = self.states.naming(schema);
        self.line(message_line(&schema))
    }

    /// Says that the source is as the bookmark knows it: a stream without rows that says so is
    /// left out of the output, and a target leaves alone what it has of it.
    pub fn unchanged(&mut self) {
        self.schema = None;
        self.left_out = true;
    }

    /// Says that the rows do not come in the order of the replication key: no bookmark is made of
    /// the last one, and the tap sets its own with [`Rows::checkpoint`].
    pub fn unsorted(&mut self) {
        self.replication_key = None;
    }

    /// Says, before the first row, that rows are left out because of a bookmark: a target then does
    /// not take them for all there is. Null takes it back.
    pub fn resume(&mut self, stream: &Stream, bookmark: &Value) {
        let resumed_from = Some(bookmark.clone()).filter(|bookmark| !bookmark.is_null());
        self.left_out |= resumed_from.is_some();
        let read_from = self.read_from.clone();
        self.schema = Some(schema_message(&Stream { resumed_from, read_from, ..stream.clone() }));
    }

    /// Tells whether no SCHEMA of the run has said yet which files are read.
    pub fn wants_files(&self) -> bool {
        !self.files_told
    }

    /// Says, before the first row and before [`Rows::resume`], which files of a disk the run reads,
    /// for all its streams: no target then replaces one of them. The first SCHEMA of the run says
    /// it; in each one, the files of many streams would be more than their rows.
    pub fn read_from(&mut self, stream: &Stream, files: FileIds) {
        if self.files_told {
            return;
        }
        self.read_from = files;
        let read_from = self.read_from.clone();
        self.schema = Some(schema_message(&Stream { read_from, ..stream.clone() }));
    }

    /// Returns how many rows of the stream there are by now.
    pub fn count(&self) -> u64 {
        self.counter.total() + self.batch.rows() as u64
    }

    /// Says that rows of the stream were left out, because of a limit.
    pub fn leave_out(&mut self, why: &str) {
        crate::warn!("W-ROWS-LEFT-OUT", "{}: {why}", self.stream);
        self.left_out = true;
    }

    pub(crate) fn left_out(&self) -> bool {
        self.left_out
    }

    /// Appends a cell, checked against the kind of its column.
    pub fn cell(&mut self, text: &[u8]) -> Result<()> {
        if let Some((name, kind)) = self.columns.get(self.column)
            && !canonical::is_canonical(*kind, text)
        {
            return Err(Error::new(ErrorKind::Data, "a value does not fit the type of its column")
                .with("stream", &self.stream)
                .with("column", name)
                .with("type", format!("{kind:?}").to_lowercase()));
        }
        self.verbatim(text);
        Ok(())
    }

    /// Appends a cell whose text the caller knows to be canonical.
    #[inline]
    pub fn verbatim(&mut self, text: &[u8]) {
        self.column += 1;
        self.batch.push(text);
    }

    /// Takes the text of a whole row, for cells that [`Rows::within`] appends: one copy is cheaper
    /// than many. Returns where it starts; `None` for a long one, of which nothing is taken, as
    /// what is between the cells counts for the size of the record.
    #[inline]
    pub fn text(&mut self, text: &[u8]) -> Option<usize> {
        let short = text.len() <= self.record_bytes_max / 4;
        short.then(|| self.batch.push_text(text))
    }

    /// Appends a cell whose text lies in that of its row. The caller knows it to be canonical.
    #[inline]
    pub fn within(&mut self, start: usize, length: usize) {
        self.column += 1;
        self.batch.push_within(start, length);
    }

    /// Appends a cell whose canonical text `fill` appends to the buffer it gets.
    #[inline]
    pub fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.column += 1;
        self.batch.push_with(fill)
    }

    /// Appends a null.
    #[inline]
    pub fn null(&mut self) {
        self.column += 1;
        self.batch.push_null();
    }

    /// Ends the row. Fails with `ErrorKind::Enough` once `limit` rows are there: pass it on.
    #[inline]
    pub fn end(&mut self) -> Result<()> {
        if self.column != self.columns.len() {
            return Err(self.wrong_width());
        }
        let bytes = self.batch.text_bytes() - self.row_start.text_bytes();
        if bytes > self.record_bytes_max {
            return Err(self.too_large(bytes));
        }
        self.column = 0;
        self.row_start = self.batch.mark();
        let rows = self.batch.rows();
        let total = self.count();
        // The first row is handed on at once: its reader may wait for nothing else.
        let due = total == 1
            || self.batch.is_full()
            || rows.is_multiple_of(64) && self.begun.elapsed() >= BATCH_AGE;
        if due {
            self.flush()?;
        }
        match self.limit {
            Some(limit) if total >= limit => {
                Err(Error::new(ErrorKind::Enough, "there are enough rows"))
            }
            _ => Ok(()),
        }
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
        if self.decoder.is_none() {
            let deselected = self.deselected.clone();
            self.decoder = Some(RecordDecoder::new(stream, true)?.without(deselected));
        }
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        match decoder.object(object, &mut self.batch) {
            Ok(()) => {
                self.column = self.columns.len();
                self.end()
            }
            Err(refusal) => {
                let failure = misfit(refusal, &self.columns);
                let failure = match place.1 {
                    Some(line) => failure.with("line", line),
                    None => failure,
                };
                self.reject(place.0, &Refused::Object(object), failure)
            }
        }
    }

    /// Tells whether all properties are selected, nested ones too.
    pub fn selects_all(&self) -> bool {
        self.deselected.is_empty() && self.prunings.iter().all(Option::is_none)
    }

    /// Takes back the cells of the row begun and records why: with `max_rejects` used up, fails
    /// with this failure.
    pub fn reject(&mut self, place: &str, record: &Refused<'_>, failure: Error) -> Result<()> {
        self.batch.rollback(self.row_start);
        self.column = 0;
        let failure = if failure.context("stream").is_none() {
            failure.with("stream", &self.stream)
        } else {
            failure
        };
        let failure = if place.is_empty() { failure } else { failure.with("place", place) };
        self.left_out = true;
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let record = record.selected(&names, &self.prunings);
        self.rejects.add(record.as_deref(), failure)
    }

    /// Hands on what was written, before a wait. Only whole rows.
    pub fn flush(&mut self) -> Result<()> {
        if self.column != 0 || self.batch.is_empty() {
            return Ok(());
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.undeclared.report(&self.stream);
        }
        warning::check()?;
        let rows = self.batch.rows();
        self.note_keys(rows);
        self.send_schema()?;
        self.counter.add(rows, self.batch.text_bytes());
        self.states.add_rows(self.batch.text_bytes());
        self.begun = Instant::now();
        let mut fresh = self.pipe.spare.try_recv().unwrap_or_default();
        fresh.reset(self.columns.len());
        let full = std::mem::replace(&mut self.batch, fresh);
        self.row_start = self.batch.mark();
        self.pipe.send(Job::Rows(Arc::clone(&self.encoder), full))?;
        self.unstated += rows as u64;
        self.bookmark_key();
        let due = self.unstated >= STATE_ROWS || self.states.age() >= STATE_AGE;
        if due && !self.last_key.is_empty() && self.limit.is_none() {
            let state = self.states.within_share();
            self.write_state(state)?;
        }
        Ok(())
    }

    /// Says that everything up to here is covered by this progress: it becomes the stream's
    /// bookmark. Not needed for a replication key: that is taken from the rows, if they are sorted.
    pub fn checkpoint(&mut self, progress: Value) -> Result<()> {
        self.flush()?;
        // State must not speak of a stream that the target has not heard of.
        self.send_schema()?;
        self.states.state().set_bookmark(&self.stream, progress);
        let state = self.states.within_share();
        self.write_state(state)
    }

    /// Sets the bookmark behind the last row of the stream: the state with which the next stream
    /// begins has it, or that of the end. One state less where there are thousands of streams.
    pub fn bookmark(&mut self, progress: Value) {
        self.states.set_behind(progress);
    }

    /// Returns how many bytes a row may have.
    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Returns how many rows are wanted (`--test` asks for one).
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }
}
