//! The forms that data files have: how rows are written into them and read back.

pub mod csv;
pub mod gaps;

use std::collections::BTreeMap;

use files::OpenFile;
use serde::{Deserialize, Serialize};
use singer::{Batch, Column, Error, ErrorKind, Result, Rows, Stream};

pub use self::gaps::Gaps;
use crate::{DataFile, Layout};

/// The form of a partition's data files, by its name in the manifest.
///
/// A manifest says as well of a form that this program does not read what a list of tables needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Format {
    /// CSV as Postgres reads it: NULL is an empty field, an empty string is `""`.
    #[default]
    Csv,
    /// One that is not known here.
    Unknown(String),
}

impl From<String> for Format {
    fn from(name: String) -> Self {
        if name == Self::Csv.name() { Self::Csv } else { Self::Unknown(name) }
    }
}

impl From<Format> for String {
    fn from(format: Format) -> Self {
        format.name().to_owned()
    }
}

impl Format {
    /// Returns the name that manifests have.
    pub fn name(&self) -> &str {
        match self {
            Self::Csv => "csv",
            Self::Unknown(name) => name,
        }
    }

    /// Refuses a format that this program does not read.
    ///
    /// # Errors
    /// `Config`.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Csv => Ok(()),
            Self::Unknown(name) => Err(unknown(name)),
        }
    }

    /// Returns what reads data files of this format; a row may have so many bytes of text.
    ///
    /// # Errors
    /// `Config` where the format is not known here.
    pub fn reader<'a>(
        &self,
        columns: Projection<'a>,
        row_bytes_max: usize,
    ) -> Result<Box<dyn RowReader + 'a>> {
        match self {
            Self::Csv => Ok(Box::new(csv::CsvReader::new(columns, row_bytes_max))),
            Self::Unknown(name) => Err(unknown(name)),
        }
    }
}

#[cold]
fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot read data files of this format")
        .with("format", name)
        .with("known formats", Format::Csv.name())
        .hint("a newer release wrote the files: update this program")
}

/// Reads data files of one format, all with the same columns.
pub trait RowReader {
    /// Writes the rows of a file, until there are enough; returns how many there were.
    ///
    /// # Errors
    /// `Data` where the file has not what was published, and those of reading and writing.
    fn read(&self, file: &OpenFile, rows: &mut Rows<'_>) -> Result<u64>;
}

/// The columns of data files, and which of them are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection<'a> {
    /// The names of all, in order.
    pub names: Vec<&'a str>,
    /// The positions of those that are wanted, in the order of the stream; `None` for all.
    pub wanted: Option<Vec<usize>>,
}

impl<'a> Projection<'a> {
    /// Finds the columns of a stream among those of its files.
    ///
    /// # Errors
    /// `NoInput` where one is not there.
    pub fn new(stream: &Stream, names: Vec<&'a str>) -> Result<Self> {
        // By name, for there may be very many.
        let places: BTreeMap<_, _> =
            names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let find = |column: &Column| {
            places.get(column.name.as_str()).copied().ok_or_else(|| {
                Error::new(ErrorKind::NoInput, "cannot find a column in the files of the day")
                    .with("stream", &stream.id)
                    .with("column", &column.name)
                    .hint("write the catalog again with --discover")
            })
        };
        let wanted = stream.columns.iter().map(find).collect::<Result<Vec<_>>>()?;
        let wanted = (!wanted.iter().copied().eq(0..names.len())).then_some(wanted);
        Ok(Self { names, wanted })
    }
}

/// Beyond this many streams each has to do with little.
const WRITERS_MANY: usize = 200;

/// What the writers of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Where rows become text; one for all, so that many streams need little memory.
    block: Vec<u8>,
    /// How many writers there are.
    writers: usize,
}

impl Shared {
    /// Tells whether there are so many streams that each has to do with little.
    fn has_many(&self) -> bool {
        self.writers > WRITERS_MANY
    }
}

/// Where a writer creates its data files: a staged partition, or a place of a target's own.
pub trait DataFiles {
    /// Creates another data file.
    ///
    /// # Errors
    /// Those of creating it.
    fn create(&mut self) -> Result<DataFile>;
}

/// The rows of one stream on their way into data files of one format.
pub trait RowWriter: std::fmt::Debug + Send {
    /// Returns the columns as they are now.
    fn layout(&self) -> &Layout;

    /// Takes rows, but those without a value in their key: a load of the day would not take them.
    /// Returns these. Which cells of the others are absent is noted in `gaps`.
    ///
    /// # Errors
    /// Those of writing them.
    fn write(
        &mut self,
        shared: &mut Shared,
        batch: &Batch,
        gaps: &mut Gaps,
    ) -> Result<Vec<Keyless>>;

    /// Takes a changed schema, see [`Layout::evolve`]. Rows from before lack the new columns.
    ///
    /// # Errors
    /// Those of [`Layout::evolve`] and of writing the rows that wait.
    fn evolve(&mut self, shared: &mut Shared, stream: &Stream) -> Result<()>;

    /// Ends the files: all rows in them have the columns of the layout.
    ///
    /// # Errors
    /// Those of writing them.
    fn finish(self: Box<Self>, shared: &mut Shared, files: &mut dyn DataFiles) -> Result<Written>;
}

/// What a writer has written.
#[derive(Debug)]
pub struct Written {
    /// The data files, in reading order; there is one also where there are no rows.
    pub files: Vec<DataFile>,
    /// The columns of all rows.
    pub layout: Layout,
}

/// A row of a batch that lacks a value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyless {
    /// Which row it is.
    pub row: usize,
    /// The cell that has none.
    pub at: usize,
}
