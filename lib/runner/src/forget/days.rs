//! The rows of a person in the dated folders.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use disk::Datestamp;
use lake::{Key, Lake, Partition};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Kind, Result};

use super::{DayRows, Forgetting, Forgotten, texts};

/// The days that have the stream.
#[derive(Default)]
pub(super) struct Days {
    /// Each of them.
    pub found: Vec<Day>,
    /// The SCHEMA of the stream, as the last day has it.
    pub schema: Option<Value>,
    lakes: Vec<Lake>,
}

/// A table of a day.
pub(super) struct Day {
    lake: Lake,
    source: String,
    date: Datestamp,
    partition: Partition,
}

impl Days {
    /// Finds the days of a lake that have the stream. A day that cannot be read is a failure, and
    /// does not hide the others; sources that no job names are named.
    pub(super) fn find(
        &mut self,
        root: &Path,
        sources: &BTreeSet<String>,
        what: &Forgetting,
        done: &mut Forgotten,
    ) -> Result<()> {
        let lake = Lake::open(root)?;
        for source in lake.sources()? {
            if sources.contains(&source) {
                self.of_source(&lake, &source, what, done)?;
            } else if what.words.is_empty() {
                let days = lake.days(&source)?;
                let mut has = days
                    .into_iter()
                    .map(|day| lake.has(&Key::table(&source, day, &what.stream)).unwrap_or(true));
                if has.any(|has| has) {
                    let place = lake.show(&Key::source(&source));
                    done.unreached.insert(format!("{place}: no job writes or reads this source"));
                }
            }
        }
        self.lakes.push(lake);
        Ok(())
    }

    fn of_source(
        &mut self,
        lake: &Lake,
        source: &str,
        what: &Forgetting,
        done: &mut Forgotten,
    ) -> Result<()> {
        for day in lake.days(source)? {
            let read = lake
                .has(&Key::table(source, day, &what.stream))
                .and_then(|has| has.then(|| lake.read(source, day, &what.stream)).transpose());
            match read {
                Ok(Some(partition)) => {
                    self.schema = Some(schema_of(&partition));
                    let (lake, source) = (lake.clone(), source.to_owned());
                    self.found.push(Day { lake, source, date: day, partition });
                }
                Ok(None) => {}
                Err(failure) => done.failures.push(failure),
            }
        }
        Ok(())
    }

    /// Refuses a column that no day has, where no table has it either.
    pub(super) fn check_column(&self, what: &Forgetting, no_table: bool) -> Result<()> {
        let has = |day: &Day| columns(&day.partition).any(|name| name == what.column);
        let Some(last) = self.found.last().filter(|_| no_table) else { return Ok(()) };
        if self.found.iter().any(has) {
            return Ok(());
        }
        let failure = Error::new(ErrorKind::NoInput, "cannot find the column")
            .with("stream", &what.stream)
            .with("column", &what.column);
        let alike = |name: &&str| name.to_lowercase() == what.column.to_lowercase();
        if let Some(name) = columns(&last.partition).find(alike) {
            return Err(failure.hint(format!("did you mean `{name}`?")));
        }
        let names: Vec<&str> = columns(&last.partition).collect();
        Err(failure.hint(format!("the columns are: {}", names.join(", "))))
    }

    /// Counts the rows of the person in every day, and removes them if that is asked for.
    pub(super) fn go_through(
        &self,
        what: &Forgetting,
        values: &BTreeSet<String>,
        done: &mut Forgotten,
    ) {
        for day in &self.found {
            let Day { source, date, partition, .. } = day;
            match day.look(what, values, done) {
                Ok((rows, found)) => {
                    let (place, source) = (partition.show(), source.clone());
                    done.days.push(DayRows { source, day: *date, place, rows, found });
                }
                Err(failure) if failure.kind() == ErrorKind::NoInput => {
                    let text = format!("{}: it has no column {}", partition.show(), what.column);
                    done.unreached.insert(text);
                }
                Err(failure) => done.failures.push(failure),
            }
        }
        if what.apply {
            let swept = self.lakes.iter().filter_map(|lake| lake.sweep().err());
            done.failures.extend(swept);
        }
    }
}

impl Day {
    fn look(
        &self,
        what: &Forgetting,
        values: &BTreeSet<String>,
        done: &mut Forgotten,
    ) -> Result<(u64, u64)> {
        let Self { lake, partition, .. } = self;
        let (column, place) = (&what.column, partition.show());
        let cells = Cells::new(kind_of(partition, column), values);
        let mut found = lake.count_rows(partition, column, &mut |text| cells.is_meant(text))?;
        let (alike, others) = (cells.alike.take(), cells.other_keys.take());
        if what.apply && found.found > 0 {
            let tool = concat!("chorus ", env!("CARGO_PKG_VERSION"));
            found = lake.remove_rows(partition, column, tool, &mut |text| cells.is_meant(text))?;
        }
        if alike > 0 {
            done.unreached.insert(format!(
                "{place}: rows whose {column} differs only in letter case, spaces or the form of \
                 its letters, or holds the value within: {alike}; look at them, and run it again \
                 with their value"
            ));
        }
        for (id, count) in others {
            done.unreached.insert(format!(
                "{place}: {count} values of {column} were protected with another key (its id is \
                 {id}): set `protect_key` to that key, and run it again"
            ));
        }
        let state = partition.manifest.state.as_ref().map(Value::to_string).unwrap_or_default();
        if values.iter().any(|value| texts::holds(&state, value)) {
            done.unreached.insert(format!(
                "{place}: the state in its manifest holds the value; extract the day again"
            ));
        }
        Ok((found.rows, found.found))
    }
}

/// Compares cells, and counts those that need a look.
struct Cells<'a> {
    kind: Kind,
    values: &'a BTreeSet<String>,
    keys: BTreeSet<&'a str>,
    alike: Cell<u64>,
    /// Protected values, by the id of a key that is not at hand.
    other_keys: Cell<BTreeMap<String, u64>>,
}

impl<'a> Cells<'a> {
    fn new(kind: Kind, values: &'a BTreeSet<String>) -> Self {
        let keys = values.iter().filter_map(|value| texts::key_id(value)).collect();
        Self { kind, values, keys, alike: Cell::default(), other_keys: Cell::default() }
    }

    fn is_meant(&self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        if self.values.iter().any(|value| is_same(self.kind, value, text)) {
            return true;
        }
        let is_within = |value: &String| self.kind == Kind::Json && texts::holds(text, value);
        if self.values.iter().any(|value| texts::is_alike(value, text) || is_within(value)) {
            self.alike.set(self.alike.get() + 1);
        } else if let Some(id) = texts::key_id(text).filter(|id| !self.keys.contains(id)) {
            let mut counts = self.other_keys.take();
            *counts.entry(id.to_owned()).or_default() += 1;
            self.other_keys.set(counts);
        }
        false
    }
}

/// Tells whether a cell is the value: the same text, number or moment.
fn is_same(kind: Kind, value: &str, text: &str) -> bool {
    if value == text {
        return true;
    }
    match kind {
        Kind::Integer | Kind::Number => texts::same_number(value, text),
        Kind::DateTime => {
            let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
            moment(value).is_some_and(|value| moment(text) == Some(value))
        }
        _ => false,
    }
}

fn columns(partition: &Partition) -> impl Iterator<Item = &str> {
    let properties = partition.manifest.schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.as_str())
}

fn kind_of(partition: &Partition, column: &str) -> Kind {
    let columns = singer::schema::columns(&partition.manifest.schema);
    columns.iter().find(|known| known.name == column).map_or(Kind::String, |known| known.kind)
}

/// Returns the SCHEMA message of a table of a day.
fn schema_of(partition: &Partition) -> Value {
    let stream = partition.manifest.stream();
    json!({
        "type": "SCHEMA",
        "stream": stream.name,
        "schema": stream.schema,
        "key_properties": stream.keys,
    })
}
