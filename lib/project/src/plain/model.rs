//! What a file of the plain shape says.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use singer::Error;

use super::given::Given;
use super::types::PlainType;
use crate::warnings::Warning;

/// What a file of the plain shape says.
#[derive(Clone, Debug)]
pub struct Plain {
    /// The name of the job: the name of the table, in the letters that names of plugins have.
    pub name: String,
    /// Where rows come from.
    pub sources: Vec<PlainSource>,
    /// One CSV file with the rows of all sources.
    pub output_csv_path: Option<String>,
    /// Where rows go to.
    pub(super) target: Option<Given>,
    /// The columns of `schema`, each with its type.
    pub(super) columns: Vec<(String, PlainType)>,
    pub(super) strict: bool,
    pub(super) on_violation: Option<String>,
    /// All sources are one stream.
    pub combine: bool,
    pub(super) count_duplicates: Option<String>,
    pub(super) source_column: String,
    /// When it begins and ends.
    pub times: Times,
    /// How local files are watched.
    pub monitor: Option<Monitor>,
    /// What there is to look at.
    pub warnings: Vec<Warning>,
}

/// A source of rows.
#[derive(Clone, Debug)]
pub struct PlainSource {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    pub(super) given: Given,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files of this machine.
    Local,
    /// An HTTP API.
    Api,
    /// Files of an SFTP server.
    Sftp,
}

impl PlainSource {
    /// Returns the path of local files, with its variables.
    pub fn local_path(&self) -> Option<&str> {
        self.given.text("path").filter(|_| self.kind == SourceKind::Local)
    }

    /// Returns the text of a key, with its variables.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.given.text(key)
    }

    /// Adds to a failure where the file says the value of a key.
    #[must_use]
    pub fn at(&self, key: &str, failure: Error) -> Error {
        match self.given.get(key) {
            Some(one) => failure.with("line", one.spot.line).with("column", one.spot.column),
            None => failure,
        }
    }
}

/// When rows are read.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// The first moment, and how the file writes it.
    pub start: Option<(Timestamp, String)>,
    /// The last moment, and how the file writes it.
    pub end: Option<(Timestamp, String)>,
    /// The zone of both.
    pub zone: Option<(TimeZone, String)>,
}

/// How local files are watched.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// How often they are looked at.
    pub interval: Duration,
    /// How the file writes that.
    pub(super) interval_text: Value,
    /// All of them are read again when one of them has changed.
    pub reextract_all: bool,
}
