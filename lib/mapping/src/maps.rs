//! Stream maps, as the Singer SDK means them, and flattening.

mod entries;
mod fit;
mod flatten;
mod pattern;
mod plan;
mod settings;
mod transform;
mod transformed;
mod types;

use std::collections::BTreeSet;
use std::rc::Rc;

use singer::mapper::{Route, Row, RowMap};
use singer::{Batch, Cell, Context as _, Error, ErrorKind, Result, Stream};

use crate::language::{Fakes, Value};
use crate::pipeline::Stage;
use entries::{Entries, Entry, StreamMap};
use flatten::Flattening;
use plan::{Plan, Source};

pub use settings::{Condition, MapSettings, Transformation};
pub use transform::Transformations;
pub(crate) use types::nullable;

/// The stage that maps streams.
pub struct Maps {
    entries: Entries,
    flattening: Option<Flattening>,
    config: Value<'static>,
    fakes: Rc<Fakes>,
    /// Entries that a stream has met.
    used: BTreeSet<String>,
}

impl Maps {
    /// Checks the settings.
    pub fn new(settings: &MapSettings) -> Result<Self> {
        Ok(Self {
            entries: Entries::new(settings)?,
            flattening: Flattening::new(settings)?,
            config: settings.config(),
            fakes: Rc::new(settings.fakes()?),
            used: BTreeSet::new(),
        })
    }

    fn route(&self, stream: &Stream, name: &str, map: &StreamMap) -> Result<Route> {
        let context = plan::Context {
            stream,
            name,
            config: &self.config,
            fakes: &self.fakes,
            flattening: self.flattening.as_ref(),
        };
        let told = self.fakes.used.get();
        let plan = Plan::new(&context, map).with("stream", &stream.name)?;
        if self.fakes.used.get() && !told {
            singer::warn!(
                "W-FAKE-VALUES",
                "the values of `fake` are not those that Python's Faker makes of the same seed"
            );
        }
        Ok(Route { stream: plan.stream.clone(), rows: rows(plan) })
    }
}

impl Stage for Maps {
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        let mut routes = Vec::new();
        let unmapped = StreamMap::default();
        match self.entries.of(&stream.name) {
            Some(Entry { map: None, .. }) => {}
            Some(Entry { map: Some(map), .. }) => {
                let name = plan::name(map, &stream.name).with("stream", &stream.name)?;
                routes.push(self.route(stream, &name, map)?);
            }
            None if self.entries.removes_others => {}
            None if self.flattening.is_some() => {
                routes.push(self.route(stream, &stream.name, &unmapped)?);
            }
            None if self.entries.copies(&stream.name).next().is_none() => return Ok(None),
            None => routes.push(self.route(stream, &stream.name, &unmapped)?),
        }
        for entry in self.entries.copies(&stream.name) {
            if let Some(map) = &entry.map {
                routes.push(self.route(stream, &entry.name, map)?);
            }
        }
        for (at, route) in routes.iter().enumerate() {
            if routes[..at].iter().any(|other| other.stream.name == route.stream.name) {
                return Err(Error::new(ErrorKind::Config, "two maps of a stream have one name")
                    .with("stream", &stream.name)
                    .with("name", &route.stream.name)
                    .hint("write another name above `__source__`, or another `__alias__`"));
            }
        }
        let met = self.entries.all().filter(|entry| entry.fits(&stream.name));
        self.used.extend(met.map(|entry| entry.name.clone()));
        Ok(Some(routes))
    }

    fn unchanged(&mut self, stream: &str) {
        let met = self.entries.all().filter(|entry| entry.fits(stream));
        self.used.extend(met.map(|entry| entry.name.clone()));
    }

    fn finish(&mut self) -> Result<()> {
        for entry in self.entries.all().filter(|entry| !self.used.contains(&entry.name)) {
            singer::warn!(
                "W-MAP-UNUSED",
                "`stream_maps` has {:?}, and no stream has this name",
                entry.name
            );
        }
        Ok(())
    }
}

/// Tells once of a member that flattening leaves out.
fn tell_undeclared(row: Row<'_>, plan: &mut Plan) {
    let found = plan.flattened.iter().find_map(|(at, declared)| match row.cell(*at) {
        Cell::Text(text) => declared.other(text),
        Cell::Absent | Cell::Null => None,
    });
    if let Some(member) = found {
        singer::warn!(
            "W-PROPERTY-UNDECLARED",
            "stream {}: members of objects that its schema does not declare are left out: {member}",
            plan.stream.name
        );
        plan.flattened.clear();
    }
}

/// Makes the rows of a stream by its plan.
fn rows(mut plan: Plan) -> RowMap {
    Box::new(move |row: Row<'_>, out: &mut Batch| {
        tell_undeclared(row, &mut plan);
        if let Some(filter) = &plan.filter {
            let value = filter
                .value(row)
                .map_err(|fault| fault.of_row(filter.text()).with("property", "__filter__"))?;
            if !value.is_true() {
                return Ok(());
            }
        }
        for (at, source) in plan.sources.iter().enumerate() {
            let column = &plan.stream.columns[at];
            match source {
                Source::Cell(place) => out.push_cell(row.cell(*place)),
                Source::Place(place) => {
                    fit::copy(row, place, column, out).map_err(|fault| {
                        fault.of_row(&column.name).with("property", &column.name)
                    })?;
                }
                Source::Expression(expression) => {
                    let pushed =
                        expression.value(row).and_then(|value| fit::push(&value, column, out));
                    pushed.map_err(|fault| {
                        fault.of_row(expression.text()).with("property", &column.name)
                    })?;
                }
            }
        }
        Ok(())
    })
}
