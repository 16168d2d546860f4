//! The rows of one stream into one CSV file.

use std::fs::File;
use std::io::Read;

use jiff::Timestamp;
use lake::DataFile;
use singer::Envelope;
use singer::{Batch, Cell, Durability, End, Error, ErrorKind, Rejects, Result, Sink, Stream};

use crate::csv::{Dialect, Padding};
use crate::gaps::Gaps;
use crate::layout::{Layout, Origin};
use crate::place::{Place, after_end};

/// Rows of a stream that wait until a block is full.
const WAITING_BYTES: usize = 64 << 10;
/// Beyond this many streams a waiting block is smaller and files are closed between writes.
const STREAMS_MANY: usize = 200;
const WAITING_BYTES_MANY: usize = 2 << 10;
const COPY_BYTES: usize = 1 << 18;

/// What the sinks of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Where rows become text; one for all, so that many streams need little memory.
    block: Vec<u8>,
    /// How many sinks there are.
    sinks: usize,
}

impl Shared {
    /// Tells whether there are so many streams that each has to do with little.
    fn has_many(&self) -> bool {
        self.sinks > STREAMS_MANY
    }
}

/// The CSV file of one stream.
#[derive(Debug)]
pub struct CsvSink {
    name: String,
    layout: Layout,
    dialect: Dialect,
    /// `None` once it is published. Before its place, which removes it: it is closed by then.
    file: Option<DataFile>,
    place: Place,
    waiting: Vec<u8>,
    waiting_rows: u64,
    first_rows_at: Option<Timestamp>,
    versions_noted: bool,
    gaps: Gaps,
    /// Where in the file its rows became wider, and how many columns they had before. The file is
    /// written again once, at its end: SCHEMAs that each add a column may be many.
    widened: Vec<(u64, usize)>,
}

/// The texts of the metadata columns for the rows of a batch.
#[derive(Default)]
struct Clock {
    received: String,
    batched: String,
    sequence: String,
}

impl CsvSink {
    /// Begins the file with its header.
    pub fn new(
        stream: &Stream,
        layout: Layout,
        dialect: Dialect,
        mut place: Place,
        shared: &mut Shared,
    ) -> Result<Self> {
        let file = place.file()?;
        shared.sinks += 1;
        let mut sink = Self {
            name: stream.name.clone(),
            layout,
            dialect,
            file: Some(file),
            place,
            waiting: Vec::new(),
            waiting_rows: 0,
            first_rows_at: None,
            versions_noted: false,
            gaps: Gaps::new(stream),
            widened: Vec::new(),
        };
        header(&sink.layout, dialect, &mut sink.waiting);
        sink.flush(shared)?;
        Ok(sink)
    }

    fn clock(&mut self) -> Clock {
        let wanted = |origin: &Origin| {
            matches!(origin, Origin::Received | Origin::Batched | Origin::Sequence)
        };
        if !self.layout.origins.iter().any(wanted) {
            return Clock::default();
        }
        let now = Timestamp::now();
        let text = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
        Clock {
            received: text(now),
            batched: text(*self.first_rows_at.get_or_insert(now)),
            sequence: now.as_millisecond().to_string(),
        }
    }

    fn flush(&mut self, shared: &Shared) -> Result<()> {
        let file = self.file.as_mut().ok_or_else(after_end)?;
        if !self.waiting.is_empty() {
            file.write(&self.waiting, self.waiting_rows)?;
        }
        if shared.has_many() {
            file.rest()?;
            self.waiting = Vec::new();
        }
        self.waiting.clear();
        self.waiting_rows = 0;
        Ok(())
    }

    /// Writes the file again with a header and rows as wide as the layout is now.
    fn widen(&mut self) -> Result<()> {
        let mut new = self.place.file()?;
        let old = self.file.take().ok_or_else(after_end)?;
        let unreadable = |cause: std::io::Error| {
            Error::new(ErrorKind::Io, "cannot read the staged file back")
                .with("path", old.path().display())
                .caused_by(cause)
        };
        let width = self.layout.origins.len();
        let delimiters = vec![self.dialect.delimiter; width];
        let mut padding = Padding::new(&[]);
        let mut out = Vec::new();
        header(&self.layout, self.dialect, &mut out);
        let mut reader = File::open(old.path()).map_err(unreadable)?;
        let mut block = vec![0; COPY_BYTES];
        let mut at = 0;
        for (end, columns) in self.widened.drain(..).chain([(old.bytes(), width)]) {
            padding.go_on(&delimiters[columns..]);
            while at < end {
                let room = usize::try_from(end - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
                reader.read_exact(&mut block[..room]).map_err(unreadable)?;
                let rows = padding.copy(&block[..room], &mut out);
                new.write(&out, rows)?;
                out.clear();
                at += room as u64;
            }
        }
        old.discard();
        self.file = Some(new);
        Ok(())
    }
}

fn header(layout: &Layout, dialect: Dialect, out: &mut Vec<u8>) {
    for (at, name) in layout.names().enumerate() {
        if at > 0 {
            out.push(dialect.delimiter);
        }
        dialect.text(name.as_bytes(), out);
    }
    out.push(b'\n');
}

/// Sets rows aside that lack a value of their key.
fn reject(
    keyless: &[Keyless],
    batch: &Batch,
    name: &str,
    layout: &Layout,
    rejects: &Rejects,
) -> Result<()> {
    if keyless.is_empty() {
        return Ok(());
    }
    let stream = layout.incoming(name);
    for Keyless { row, at } in keyless {
        let missing = if batch.cell(*row, *at) == Cell::Null { "null" } else { "missing" };
        let failure = Error::new(ErrorKind::Data, "cannot write a record without its key")
            .with("reason", format!("the key column is {missing}"))
            .with("column", &stream.columns[*at].name);
        rejects.row(&stream, batch, *row, failure)?;
    }
    Ok(())
}

/// A row that lacks a value of its key.
struct Keyless {
    row: usize,
    /// The cell that has none.
    at: usize,
}

/// How rows are written.
struct Form<'a> {
    layout: &'a Layout,
    dialect: Dialect,
    clock: &'a Clock,
}

/// Appends the rows of a batch as CSV text, but those without a value in their key: a load of the
/// day would not take them. Returns these.
fn rows(batch: &Batch, form: &Form<'_>, gaps: &mut Gaps, out: &mut Vec<u8>) -> Vec<Keyless> {
    let Form { layout, dialect, clock } = *form;
    let envelope = batch.width() - Envelope::CELLS;
    let mut keyless = Vec::new();
    'rows: for row in 0..batch.rows() {
        let (start, noted) = (out.len(), gaps.noted());
        for (column, origin) in layout.origins.iter().enumerate() {
            if column > 0 {
                out.push(dialect.delimiter);
            }
            let cell = match *origin {
                Origin::Cell { at, free_text, key } => {
                    match batch.cell(row, at) {
                        Cell::Text(text) if free_text => dialect.text(text, out),
                        Cell::Text(text) => dialect.field(text, out),
                        Cell::Null | Cell::Absent if key => {
                            out.truncate(start);
                            gaps.take_back(noted);
                            keyless.push(Keyless { row, at });
                            continue 'rows;
                        }
                        Cell::Absent => gaps.note(column),
                        Cell::Null => {}
                    }
                    continue;
                }
                Origin::Extracted => batch.cell(row, envelope + Envelope::TIME_EXTRACTED),
                Origin::Version => batch.cell(row, envelope + Envelope::VERSION),
                Origin::Received => Cell::Text(clock.received.as_bytes()),
                Origin::Batched => Cell::Text(clock.batched.as_bytes()),
                Origin::Sequence => Cell::Text(clock.sequence.as_bytes()),
                Origin::Null => Cell::Null,
            };
            if let Cell::Text(text) = cell {
                dialect.field(text, out);
            }
        }
        out.push(b'\n');
    }
    keyless
}

impl Sink for CsvSink {
    type Shared = Shared;

    fn write(&mut self, shared: &mut Shared, batch: &Batch, rejects: &Rejects) -> Result<()> {
        if self.layout.origins.is_empty() {
            // They would be blank lines, which nobody can read back.
            let failure = Error::new(ErrorKind::Data, "cannot write rows without columns");
            return Err(failure.hint(
                "let the tap declare the properties of the stream, or set `add_record_metadata`",
            ));
        }
        let clock = self.clock();
        let file = self.file.as_mut().ok_or_else(after_end)?;
        let many = shared.has_many();
        let block = &mut shared.block;
        block.clear();
        block.extend_from_slice(&self.waiting);
        let form = Form { layout: &self.layout, dialect: self.dialect, clock: &clock };
        let keyless = rows(batch, &form, &mut self.gaps, block);
        self.gaps.end_batch(batch.rows() - keyless.len(), &self.layout);
        reject(&keyless, batch, &self.name, &self.layout, rejects)?;
        self.waiting.clear();
        let count = batch.rows() - keyless.len();
        self.waiting_rows += u64::try_from(count).unwrap_or(u64::MAX);
        if block.len() < if many { WAITING_BYTES_MANY } else { WAITING_BYTES } {
            self.waiting.extend_from_slice(block);
            return Ok(());
        }
        file.write(block, self.waiting_rows)?;
        self.waiting_rows = 0;
        if many {
            file.rest()?;
            self.waiting = Vec::new();
        }
        Ok(())
    }

    fn evolve(&mut self, shared: &mut Shared, stream: &Stream) -> Result<()> {
        let columns = self.layout.origins.len();
        if self.layout.evolve(stream)? > 0 {
            self.flush(shared)?;
            let bytes = self.file.as_ref().map_or(0, DataFile::bytes);
            // Where no row came since, those before are as narrow as they were.
            if self.widened.last().is_none_or(|(at, _)| *at < bytes) {
                self.widened.push((bytes, columns));
            }
        }
        Ok(())
    }

    fn commit(&mut self, _: &mut Shared) -> Result<Durability> {
        Ok(Durability::OnComplete)
    }

    fn complete(&mut self, shared: &mut Shared, end: End) -> Result<()> {
        self.flush(shared)?;
        shared.sinks -= 1;
        self.gaps.warn(&self.name, &self.layout);
        if !self.widened.is_empty() {
            self.widen()?;
        }
        let file = self.file.take().ok_or_else(after_end)?;
        let (rows, bytes) = (file.rows(), file.bytes());
        let unverified = if end.verified { "" } else { ", not known to be complete" };
        let (path, done) = self.place.publish(file, &self.layout, end)?;
        log::info!(
            "stream {}: {done}, {rows} rows, {bytes} bytes{unverified}, {}",
            singer::error::printable(&self.name),
            path.display()
        );
        Ok(())
    }

    fn activate(&mut self, version: i64, older: bool) -> Result<()> {
        if older {
            singer::warn!(
                "W-VERSION-IGNORED",
                "ACTIVATE_VERSION {version} of {} is ignored: rows of older versions came in this \
                 run, and the file has them",
                self.name
            );
        } else if !self.versions_noted {
            log::info!(
                "stream {}: version {version} is active; the file holds what this run sent, so \
                 nothing is deleted",
                singer::error::printable(&self.name)
            );
            self.versions_noted = true;
        }
        Ok(())
    }

    fn heeds_versions(&self) -> bool {
        false
    }
}
