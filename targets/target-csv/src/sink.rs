//! The rows of one stream into its data file.

use lake::format::{Gaps, Keyless, RowWriter};
use lake::{DataFile, Layout};
use singer::{Batch, Cell, Durability, End, Error, ErrorKind, Rejects, Result, Said, Sink, Stream};

use crate::place::{Place, after_end};
use crate::together::{Shared, Told};

/// The data file of one stream.
#[derive(Debug)]
pub struct CsvSink {
    name: String,
    /// `None` once it is published. Before its place, which removes it: it is closed by then.
    writer: Option<Box<dyn RowWriter>>,
    place: Place,
    versions_noted: bool,
    gaps: Gaps,
}

impl CsvSink {
    /// Takes what writes the rows, and the place where they are published.
    pub fn new(stream: &Stream, writer: Box<dyn RowWriter>, place: Place) -> Self {
        Self {
            name: stream.name.clone(),
            writer: Some(writer),
            place,
            versions_noted: false,
            gaps: Gaps::new(stream),
        }
    }
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

impl Sink for CsvSink {
    type Shared = Shared;

    fn write(&mut self, shared: &mut Shared, batch: &Batch, rejects: &Rejects) -> Result<()> {
        let writer = self.writer.as_mut().ok_or_else(after_end)?;
        if writer.layout().origins.is_empty() {
            // They would be blank lines, which nobody can read back.
            let failure = Error::new(ErrorKind::Data, "cannot write rows without columns");
            return Err(failure.hint(
                "let the tap declare the properties of the stream, or set `add_record_metadata`",
            ));
        }
        let keyless = writer.write(&mut shared.writers, batch, &mut self.gaps)?;
        self.gaps.end_batch(batch.rows() - keyless.len(), writer.layout());
        reject(&keyless, batch, &self.name, writer.layout(), rejects)
    }

    fn evolve(&mut self, shared: &mut Shared, stream: &Stream) -> Result<()> {
        self.writer.as_mut().ok_or_else(after_end)?.evolve(&mut shared.writers, stream)
    }

    fn commit(&mut self, _: &mut Shared) -> Result<Durability> {
        Ok(Durability::OnComplete)
    }

    fn complete(&mut self, shared: &mut Shared, end: End) -> Result<Durability> {
        let writer = self.writer.take().ok_or_else(after_end)?;
        self.gaps.warn(&self.name, writer.layout());
        let written = writer.finish(&mut shared.writers, &mut self.place)?;
        let told = Told {
            stream: self.name.clone(),
            rows: written.files.iter().map(DataFile::rows).sum(),
            bytes: written.files.iter().map(DataFile::bytes).sum(),
            verified: end.said == Said::End,
        };
        self.place.publish(written, end, &mut shared.together, told)
    }

    fn activate(&mut self, version: i64, older: bool) -> Result<()> {
        if older {
            singer::warn!(
                "W-VERSION-IGNORED",
                "ACTIVATE_VERSION {version} of {} is ignored: the file has rows of older versions \
                 from this run",
                self.name
            );
        } else if !self.versions_noted {
            tracing::info!(
                "stream {}: version {version} is active; the file has only the rows of this run, \
                 so nothing is deleted",
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
