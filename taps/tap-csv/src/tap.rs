//! The tap: which of its two jobs the settings ask for.

use std::collections::BTreeSet;

use files::Table;
use singer::{About, Bookmark, Error, ErrorKind, Reading, Result, Rows, Stream, Tap};

use crate::day::Day;
use crate::settings::{FileSettings, Origin, TapCsvSettings};

/// Reads CSV files, or a day of the lake.
#[derive(Debug)]
pub enum TapCsv {
    /// A stream for each entry of `files`.
    Files(Vec<Table>),
    /// A stream for each table of the day.
    Day(Box<Day>),
}

impl Tap for TapCsv {
    const ABOUT: About = About {
        name: "tap-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads CSV files with inferred types, and days of the lake with theirs.",
        capabilities: &[],
    };
    type Settings = TapCsvSettings;

    fn open(settings: TapCsvSettings) -> Result<Self> {
        match settings.origin()? {
            Origin::Files(files) => {
                let mut names = BTreeSet::new();
                if let Some(file) = files.iter().find(|file| !names.insert(file.entity.clone())) {
                    return Err(Error::new(ErrorKind::Config, "cannot use an `entity` twice")
                        .with("entity", &file.entity)
                        .hint("let one `path` match all files of the entity"));
                }
                let table = |file: FileSettings| file.table(&settings);
                files.into_iter().map(table).collect::<Result<_>>().map(Self::Files)
            }
            Origin::Day { output, datestamp } => {
                Day::open(&output, &datestamp, &settings).map(|day| Self::Day(Box::new(day)))
            }
        }
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        match self {
            Self::Day(day) => day.discover(),
            Self::Files(tables) => {
                tables.iter_mut().filter_map(|table| table.discover().transpose()).collect()
            }
        }
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows) -> Result<()> {
        match self {
            Self::Day(day) => day.sync(stream, since, rows),
            Self::Files(tables) => table(tables, stream)?.sync(stream, since, rows),
        }
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        match self {
            Self::Day(day) => day.plan(stream, since),
            Self::Files(tables) => table(tables, stream)?.plan(since),
        }
    }
}

fn table<'a>(tables: &'a mut [Table], stream: &Stream) -> Result<&'a mut Table> {
    let found = tables.iter_mut().find(|table| table.name() == stream.id);
    found.ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot find the files of a stream of the catalog")
            .with("stream", &stream.id)
            .hint("write the catalog again with --discover, or add the entity to `files`")
    })
}
