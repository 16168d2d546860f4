//! The tables of a connector, each a stream with a name of its own.

use std::collections::BTreeSet;

use singer::{Error, ErrorKind, Result, Stream};

use crate::settings::Words;
use crate::table::Table;

/// The tables that a connector reads.
#[derive(Debug)]
pub struct Tables(Vec<Table>);

impl Tables {
    /// Takes tables whose names were checked.
    pub fn new(tables: Vec<Table>) -> Self {
        Self(tables)
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
            .hint("let one path or pattern match all files of the table"))
    }

    /// Returns the streams of the tables that have columns.
    pub fn discover(&mut self) -> Result<Vec<Stream>> {
        self.0.iter_mut().filter_map(|table| table.discover().transpose()).collect()
    }

    /// Returns the table of a stream; `Config` when a catalog names one that is none of these.
    pub fn of(&mut self, stream: &Stream) -> Result<&mut Table> {
        let found = self.0.iter_mut().find(|table| table.name() == stream.id);
        found.ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot find the files of a stream of the catalog")
                .with("stream", &stream.id)
                .hint("write the catalog again with --discover, or add the table to the settings")
        })
    }
}
