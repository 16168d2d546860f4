//! Rows as CSV text, in blocks; rows that are too narrow are widened once, at the end.

use std::io::Read;

use jiff::Timestamp;
use singer::{Batch, Cell, Envelope, Error, ErrorKind, Result, Stream};

use super::{Dialect, Padding};
use crate::DataFile;
use crate::format::gaps::Gaps;
use crate::format::{DataFiles, Keyless, RowWriter, Shared, Written};
use crate::layout::{Clock, Layout, Origin};

/// Rows of a stream that wait until a block is full.
const WAITING_BYTES: usize = 64 << 10;
/// Where there are many streams a waiting block is smaller and files are closed between writes.
const WAITING_BYTES_MANY: usize = 2 << 10;
const COPY_BYTES: usize = 1 << 18;

/// The CSV file of one stream.
#[derive(Debug)]
pub struct CsvWriter {
    layout: Layout,
    dialect: Dialect,
    file: DataFile,
    waiting: Vec<u8>,
    waiting_rows: u64,
    first_rows_at: Option<Timestamp>,
    /// Where in the file its rows became wider, and how many columns they had before. The file is
    /// written again once, at its end: SCHEMAs that each add a column may be many.
    widened: Vec<(u64, usize)>,
}

impl CsvWriter {
    /// Begins the file with its header.
    ///
    /// # Errors
    /// Those of writing it.
    pub fn new(
        layout: Layout,
        dialect: Dialect,
        file: DataFile,
        shared: &mut Shared,
    ) -> Result<Self> {
        shared.writers += 1;
        let mut writer = Self {
            layout,
            dialect,
            file,
            waiting: Vec::new(),
            waiting_rows: 0,
            first_rows_at: None,
            widened: Vec::new(),
        };
        header(&writer.layout, dialect, &mut writer.waiting);
        writer.flush(shared)?;
        Ok(writer)
    }

    fn flush(&mut self, shared: &Shared) -> Result<()> {
        if !self.waiting.is_empty() {
            self.file.write(&self.waiting, self.waiting_rows)?;
        }
        if shared.has_many() {
            self.file.rest()?;
            self.waiting = Vec::new();
        }
        self.waiting.clear();
        self.waiting_rows = 0;
        Ok(())
    }

    /// Writes the file again with a header and rows as wide as the layout is now.
    fn widen(&mut self, mut new: DataFile) -> Result<DataFile> {
        let old = &self.file;
        let unreadable = |cause: std::io::Error| {
            Error::new(ErrorKind::Io, "cannot read the staged file back")
                .with("path", old.show())
                .caused_by(cause)
        };
        let width = self.layout.origins.len();
        let delimiters = vec![self.dialect.delimiter; width];
        let mut padding = Padding::new(&[]);
        let mut out = Vec::new();
        header(&self.layout, self.dialect, &mut out);
        let mut reader = old.read_back().map_err(unreadable)?;
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
        Ok(new)
    }
}

impl RowWriter for CsvWriter {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn write(
        &mut self,
        shared: &mut Shared,
        batch: &Batch,
        gaps: &mut Gaps,
    ) -> Result<Vec<Keyless>> {
        let clock = Clock::now(&self.layout, &mut self.first_rows_at);
        let many = shared.has_many();
        let block = &mut shared.block;
        block.clear();
        block.extend_from_slice(&self.waiting);
        let form = Form { layout: &self.layout, dialect: self.dialect, clock: &clock };
        let keyless = rows(batch, &form, gaps, block);
        self.waiting.clear();
        let count = batch.rows() - keyless.len();
        self.waiting_rows += u64::try_from(count).unwrap_or(u64::MAX);
        if block.len() < if many { WAITING_BYTES_MANY } else { WAITING_BYTES } {
            self.waiting.extend_from_slice(block);
            return Ok(keyless);
        }
        self.file.write(block, self.waiting_rows)?;
        self.waiting_rows = 0;
        if many {
            self.file.rest()?;
            self.waiting = Vec::new();
        }
        Ok(keyless)
    }

    fn evolve(&mut self, shared: &mut Shared, stream: &Stream) -> Result<()> {
        let columns = self.layout.origins.len();
        if self.layout.evolve(stream)? > 0 {
            self.flush(shared)?;
            let bytes = self.file.bytes();
            // Where no row came since, those before are as narrow as they were.
            if self.widened.last().is_none_or(|(at, _)| *at < bytes) {
                self.widened.push((bytes, columns));
            }
        }
        Ok(())
    }

    fn finish(
        mut self: Box<Self>,
        shared: &mut Shared,
        files: &mut dyn DataFiles,
    ) -> Result<Written> {
        self.flush(shared)?;
        shared.writers -= 1;
        if self.widened.is_empty() {
            return Ok(Written { files: vec![self.file], layout: self.layout });
        }
        let wide = self.widen(files.create()?)?;
        self.file.discard();
        Ok(Written { files: vec![wide], layout: self.layout })
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
