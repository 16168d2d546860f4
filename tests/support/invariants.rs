//! What must hold after any fault, and after the plain run that follows it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::cluster::Database;
use crate::lake;
use crate::pipes::from_lake;
use crate::run::Outcome;

/// What processes that were killed exit with.
pub const KILLED: i32 = 128 + 9;

/// Where a stream's rows arrive.
pub trait Place: Sync {
    /// Returns the name of the stream.
    fn stream(&self) -> &str;

    /// Asserts that what readers see is whole, and returns it; `None` where nothing is there.
    fn seen(&self) -> Option<String>;

    /// Asserts that nothing is left of runs that are over.
    fn check_swept(&self);

    /// Returns the numbers of the rows that are there, of a first column of integers.
    fn ids(&self) -> BTreeSet<i64> {
        let seen = self.seen().unwrap_or_default();
        seen.lines().filter_map(|row| row.split(',').next()?.parse().ok()).collect()
    }
}

/// A partition of the dated folders.
pub struct Partition<'a> {
    /// The output folder.
    pub lake: &'a Path,
    /// The source.
    pub source: &'a str,
    /// The day.
    pub day: &'a str,
    /// The table, which is the stream.
    pub table: &'a str,
}

impl Place for Partition<'_> {
    fn stream(&self) -> &str {
        self.table
    }

    fn seen(&self) -> Option<String> {
        if !self.lake.exists() {
            return None;
        }
        lake::check_day(self.lake, self.source, self.day);
        let partition = lake::partition(self.lake, self.source, self.day, self.table);
        let seen = partition.exists().then(|| lake::data(&partition));
        // Who reads a day gets all its rows, or is told that there is none to trust.
        let read = from_lake(self.lake, self.day).set("source", self.source).go();
        assert!([0, 66].contains(&read.code), "{}", read.stderr);
        if read.code == 0 {
            let records = format!("\"type\":\"RECORD\",\"stream\":\"{}\"", self.table);
            let rows = read.text().matches(&records).count();
            assert_eq!(Some(rows), seen.as_ref().map(|text| text.lines().count() - 1));
        }
        seen
    }

    fn check_swept(&self) {
        lake::check_swept(self.lake);
    }
}

/// A table of a database.
pub struct Table<'a> {
    /// The database.
    pub database: &'a Database,
    /// The schema.
    pub schema: &'a str,
    /// Its name, which is the stream's.
    pub name: &'a str,
    /// Its columns and in which order its rows are compared, such as `id, name`.
    pub columns: &'a str,
}

impl Place for Table<'_> {
    fn stream(&self) -> &str {
        self.name
    }

    fn seen(&self) -> Option<String> {
        let Self { schema, name, columns, .. } = self;
        let there = format!("SELECT to_regclass('\"{schema}\".\"{name}\"') IS NOT NULL");
        if self.database.psql(&there) != "t" {
            return None;
        }
        let rows = format!(
            "COPY (SELECT {columns} FROM \"{schema}\".\"{name}\" ORDER BY {columns}) TO STDOUT CSV"
        );
        let rows = self.database.psql(&rows);
        Some(if rows.is_empty() { rows } else { rows + "\n" })
    }

    fn check_swept(&self) {
        // A temporary table ends with its session; after a crash the server takes its time for it.
        let tables = "SELECT string_agg(relname, ', ') FROM pg_class WHERE relkind = 'r' AND \
            (relpersistence = 'u' OR relpersistence = 'p' AND relname LIKE '%stage%')";
        assert_eq!(self.database.psql(tables), "", "tables left in the database");
    }
}

/// A run under a fault: what readers saw before it and what they see once it is done.
pub struct Trial<'a> {
    /// Where the rows arrive.
    pub place: &'a dyn Place,
    /// What was there before.
    pub old: Option<String>,
    /// What is there afterwards.
    pub new: String,
    /// Whether readers may find nothing for a while: the file system takes two steps.
    pub gaps: bool,
}

/// What readers see after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Saw {
    /// Nothing, where something was before.
    Nothing,
    /// What was there before.
    Old,
    /// What the run brought.
    New,
}

impl Trial<'_> {
    /// Asserts what must hold after a run that met a fault, and says what readers see.
    #[track_caller]
    pub fn after_fault(&self, outcome: &Outcome, codes: &[i32]) -> Saw {
        explains(outcome, codes);
        let seen = self.place.seen();
        let saw = if seen.as_ref() == Some(&self.new) {
            Saw::New
        } else if seen == self.old {
            Saw::Old
        } else if seen.is_none() && self.gaps {
            Saw::Nothing
        } else {
            panic!("neither the old rows nor the new: {seen:?}\n{outcome:?}");
        };
        assert!(outcome.code != 0 || saw == Saw::New, "a success without its rows: {outcome:?}");
        self.check_states(outcome, saw);
        saw
    }

    /// Asserts what must hold after a plain run that follows.
    #[track_caller]
    pub fn after_rerun(&self, outcome: &Outcome) {
        assert_eq!(outcome.code, 0, "{}", outcome.complaint());
        explains(outcome, &[0]);
        assert_eq!(self.place.seen().as_ref(), Some(&self.new), "{}", outcome.complaint());
        self.check_states(outcome, Saw::New);
        self.place.check_swept();
    }

    /// No state covers a row that is not there; `currently_syncing: null` covers all of the run.
    #[track_caller]
    fn check_states(&self, outcome: &Outcome, saw: Saw) {
        let states = outcome.text();
        // The last line may be cut: the process was killed while it wrote.
        for state in states.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let done = state.get("currently_syncing") == Some(&Value::Null);
            assert!(!done || saw == Saw::New, "a state ahead of its rows: {state}");
        }
        states_cover(outcome, self.place);
    }
}

/// Asserts that the rows which the states of a run cover are there: those up to
/// `bookmarks.<stream>.id`; returns the last of these numbers.
#[track_caller]
pub fn states_cover(outcome: &Outcome, place: &dyn Place) -> i64 {
    let states = outcome.text();
    let states = states.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let marks = states.filter_map(|state| state["bookmarks"][place.stream()]["id"].as_i64());
    let last = marks.max().unwrap_or(0);
    if last > 0 {
        let ids = place.ids();
        let missing: Vec<_> = (1..=last).filter(|id| !ids.contains(id)).collect();
        assert!(
            missing.is_empty(),
            "{} up to {last}: these rows are lost: {missing:?}",
            place.stream()
        );
    }
    last
}

/// Asserts that a run ended as it may, and, where it failed by itself, that it says what happened
/// and what to do. That no output has a secret or a panic in it is asserted of every run.
#[track_caller]
pub fn explains(outcome: &Outcome, codes: &[i32]) {
    assert!(codes.contains(&outcome.code), "not one of {codes:?}: {outcome:?}");
    let signalled = outcome.code > 128;
    if outcome.code != 0 && !signalled {
        assert!(outcome.stderr.contains("error: "), "no message: {outcome:?}");
    }
}

/// Asserts that a run failed as it may: it says why, and does not tell of a good end.
#[track_caller]
pub fn fails(outcome: &Outcome, codes: &[i32]) {
    explains(outcome, codes);
    assert!(outcome.code != 0 && !is_done(outcome), "{outcome:?}");
}

/// A read under a fault: the rows it has to have.
pub struct Reading {
    stream: String,
    wholes: Vec<Vec<String>>,
}

impl Reading {
    /// Takes the rows from reads that nothing happened to: more than one of them where the source
    /// is changed meanwhile.
    pub fn of<'a>(stream: &str, undisturbed: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let wholes = undisturbed.into_iter().map(|outcome| {
            assert!(outcome.code == 0 && is_done(outcome), "{}", outcome.stderr);
            rows_of(outcome, stream)
        });
        Self { stream: stream.to_owned(), wholes: wholes.collect() }
    }

    /// Asserts what must hold after a read that met a fault: its rows are the first of one whole,
    /// and a good end is told of all of them alone. Says whether they are all.
    #[track_caller]
    pub fn after_fault(&self, outcome: &Outcome, codes: &[i32]) -> bool {
        explains(outcome, codes);
        let rows = rows_of(outcome, &self.stream);
        let all = self.wholes.contains(&rows);
        let first = all || self.wholes.iter().any(|whole| whole.starts_with(&rows));
        assert!(first, "{} rows, not of one whole: {}", rows.len(), outcome.stderr);
        let done = is_done(outcome);
        assert!(all || !done, "a good end of {} rows: {}", rows.len(), outcome.stderr);
        let signalled = outcome.code > 128;
        assert!(signalled || done == (outcome.code == 0), "{}", outcome.stderr);
        all
    }
}

/// Tells whether a tap or a target says that all is there.
pub fn is_done(outcome: &Outcome) -> bool {
    outcome.text().contains("\"currently_syncing\":null")
}

/// Returns the rows that a tap has written in full, as their lines without the time of the run.
fn rows_of(outcome: &Outcome, stream: &str) -> Vec<String> {
    let start = format!("{{\"type\":\"RECORD\",\"stream\":\"{stream}\"");
    let text = outcome.text();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let rows = whole.lines().filter(|line| line.starts_with(&start));
    rows.map(|line| line.split(",\"time_extracted\"").next().unwrap().to_owned()).collect()
}
