//! The tables of a connector, each a stream with a name of its own.

use std::collections::BTreeSet;

use singer::{Bookmark, Error, ErrorKind, FileIds, Result, Rows, Stream};

use crate::settings::Words;
use crate::table::Table;

/// The tables that a connector reads.
#[derive(Debug)]
pub struct Tables {
    all: Vec<Table>,
    /// The files of all tables were looked at once.
    glanced: bool,
    /// Which files of a disk the tables read.
    files: Option<FileIds>,
}

impl Tables {
    /// Takes tables whose names were checked.
    pub fn new(tables: Vec<Table>) -> Self {
        Self { all: tables, glanced: false, files: None }
    }

    /// Refuses a name that two tables have, with `Config`.
    pub fn check_names<'a>(
        names: impl IntoIterator<Item = &'a String>,
        words: Words,
    ) -> Result<()> {
        let mut seen = BTreeSet::new();
        let Some(name) = names.into_iter().find(|name| !seen.insert(*name)) else { return Ok(()) };
        Err(Error::new(ErrorKind::Config, format!("cannot use one `{}` twice", words.table))
            .with(words.table, name)
            .hint("give one path or pattern that matches all files of the table"))
    }

    /// Returns the streams of the tables that have columns.
    pub fn discover(&mut self) -> Result<Vec<Stream>> {
        self.glance();
        self.all.iter_mut().filter_map(|table| table.discover().transpose()).collect()
    }

    /// Looks at the files of all tables at once, where there are several: to see which of them grow
    /// then takes one pause, and not one for each table.
    fn glance(&mut self) {
        if !std::mem::replace(&mut self.glanced, true) && self.all.len() > 1 {
            self.all.iter_mut().for_each(Table::glance);
        }
    }

    /// Writes the rows of a stream, see [`Table::sync`]. A target learns which files of a disk any
    /// of the tables reads, for it must not replace one before, while or after it is read.
    pub fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        if rows.wants_files() && self.files.is_none() {
            self.files = Some(self.all.iter_mut().flat_map(Table::files).collect());
        }
        if let Some(files) = self.files.as_ref().filter(|files| !files.is_empty()) {
            rows.read_from(files);
        }
        self.of(stream)?.sync(stream, since, rows)
    }

    /// Returns the table of a stream; `Config` when a catalog names one that is none of these.
    pub fn of(&mut self, stream: &Stream) -> Result<&mut Table> {
        self.glance();
        let found = self.all.iter_mut().find(|table| table.name() == stream.id);
        found.ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot find the files of a stream of the catalog")
                .with("stream", &stream.id)
                .hint("write the catalog again with --discover, or add the table to the settings")
        })
    }
}
