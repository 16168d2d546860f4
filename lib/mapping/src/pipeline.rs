//! Stages in a row: what one makes of a stream is what the next one gets.

use std::cell::RefCell;
use std::rc::Rc;

use singer::mapper::{Route, Row, RowMap};
use singer::{Batch, Result, Stream};

/// One thing that happens to streams: maps, a contract, protection, row hashes.
///
/// A stage is asked once a SCHEMA, and again when the SCHEMA of a stream changes. What depends on
/// the columns of a stream alone is decided there; the [`RowMap`]s that it returns do the rest.
pub trait Stage {
    /// Returns the streams that are made of a stream. `None`: it stays as it is, and costs nothing
    /// a row. An empty list: it goes no further. A failure (kind `Config`, or `Data` where the
    /// stream is at fault) ends the run before the first row of the stream.
    ///
    /// A [`RowMap`] appends one cell a column of its route's stream, or none to leave the row out.
    /// A failure of kind `Data` sets the row aside (`max_rejects`); any other ends the run.
    /// [`singer::Rejects`] adds stream, line and key: the stage adds `column` and what else is
    /// known. The cells that came before a failure are taken back by the caller.
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>>;

    /// Is called with streams whose SCHEMA came before a row of theirs, before it is asked for
    /// their routes.
    ///
    /// # Errors
    /// As [`Stage::routes`].
    fn announce(&mut self, _streams: &[Stream]) -> Result<()> {
        Ok(())
    }

    /// Tells whether it makes one stream of several.
    fn unites(&self) -> bool {
        false
    }

    /// Returns the streams of the tap whose routes are others now, since those of another stream
    /// were asked for.
    fn renewed(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Is called when the tap has read one of its streams, before the target learns it.
    ///
    /// # Errors
    /// What its rows together breach: the target then publishes nothing of it.
    fn complete(&mut self, _stream_of_tap: &str) -> Result<()> {
        Ok(())
    }

    /// Tells whether it judges all rows of a stream of the tap together, when that has been read.
    fn judges(&self, _stream_of_tap: &str) -> bool {
        false
    }

    /// Is called in place of that when the source of a stream has not changed: no row of it comes.
    fn unchanged(&mut self, _stream_of_tap: &str) {}

    /// Tells whether no row may be shown as it came, such as in rejects.
    fn hides_rows(&self) -> bool {
        false
    }

    /// Is called when the input is over, before the run ends well.
    ///
    /// # Errors
    /// What all rows together breach.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Says what happens to a stream that it was asked for, for `--plan`: a line each.
    fn plan(&self, _stream: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Stages in the order in which they work: maps, then contracts, then protection, then row hashes.
#[derive(Default)]
pub struct Pipeline {
    stages: Vec<Box<dyn Stage>>,
}

impl Pipeline {
    /// Adds a stage behind the others.
    pub fn push(&mut self, stage: impl Stage + 'static) {
        self.stages.push(Box::new(stage));
    }

    /// Tells whether there is no stage.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Returns what all stages together make of a stream; `None`: it stays as it is.
    pub fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        let mut made: Option<Vec<Route>> = None;
        for stage in &mut self.stages {
            made = match made {
                None => stage.routes(stream)?,
                Some(routes) => Some(through(stage.as_mut(), routes)?),
            };
        }
        Ok(made)
    }

    /// Tells stages that unite streams which ones there are: each as the stages before make it.
    ///
    /// # Errors
    /// As [`Stage::routes`].
    pub fn announce(&mut self, streams: &[Stream]) -> Result<()> {
        let Some(last) = self.stages.iter().rposition(|stage| stage.unites()) else {
            return Ok(());
        };
        let mut streams = streams.to_vec();
        for stage in &mut self.stages[..=last] {
            stage.announce(&streams)?;
            let mut made = Vec::new();
            for stream in streams {
                match stage.routes(&stream)? {
                    None => made.push(stream),
                    Some(routes) => made.extend(routes.into_iter().map(|route| route.stream)),
                }
            }
            streams = made;
        }
        self.renewed();
        Ok(())
    }

    /// Returns the streams of the tap whose routes are others now.
    pub fn renewed(&mut self) -> Vec<String> {
        self.stages.iter_mut().flat_map(|stage| stage.renewed()).collect()
    }

    /// Tells all stages that the tap has read one of its streams.
    pub fn complete(&mut self, stream_of_tap: &str) -> Result<()> {
        self.stages.iter_mut().try_for_each(|stage| stage.complete(stream_of_tap))
    }

    /// Tells whether a stage judges all rows of a stream of the tap together.
    pub fn judges(&self, stream_of_tap: &str) -> bool {
        self.stages.iter().any(|stage| stage.judges(stream_of_tap))
    }

    /// Tells all stages that the source of a stream of the tap has not changed.
    pub fn unchanged(&mut self, stream_of_tap: &str) {
        self.stages.iter_mut().for_each(|stage| stage.unchanged(stream_of_tap));
    }

    /// Tells whether no row may be shown as it came.
    pub fn hides_rows(&self) -> bool {
        self.stages.iter().any(|stage| stage.hides_rows())
    }

    /// Says what all stages do with a stream that comes out of them.
    pub fn plan(&self, stream: &str) -> Vec<String> {
        self.stages.iter().flat_map(|stage| stage.plan(stream)).collect()
    }

    /// Tells all stages that the input is over.
    pub fn finish(&mut self) -> Result<()> {
        self.stages.iter_mut().try_for_each(|stage| stage.finish())
    }
}

/// Sends the streams of earlier stages through another one.
fn through(stage: &mut dyn Stage, routes: Vec<Route>) -> Result<Vec<Route>> {
    let mut made = Vec::new();
    for first in routes {
        match stage.routes(&first.stream)? {
            None => made.push(first),
            Some(mut next) if next.len() == 1 => {
                let width = first.stream.columns.len();
                made.extend(next.pop().map(|next| chained(width, first.rows, next)));
            }
            Some(next) => {
                let width = first.stream.columns.len();
                let shared = Rc::new(RefCell::new(first.rows));
                made.extend(next.into_iter().map(|next| {
                    let shared = Rc::clone(&shared);
                    let rows: RowMap = Box::new(move |row, out| (shared.borrow_mut())(row, out));
                    chained(width, rows, next)
                }));
            }
        }
    }
    Ok(made)
}

/// Joins two maps: the rows of the first one lie, one at a time, in a batch of their own.
fn chained(width: usize, mut first: RowMap, next: Route) -> Route {
    let (mut scratch, mut then) = (Batch::new(width), next.rows);
    let rows: RowMap = Box::new(move |row, out| {
        scratch.reset(width);
        first(row, &mut scratch)?;
        if scratch.is_empty() {
            return Ok(());
        }
        scratch.note_line(row.line());
        then(Row::new(&scratch, 0), out)
    });
    Route { stream: next.stream, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};
    use singer::{Cell, Error, ErrorKind};

    /// Makes streams that have a column more, with a constant; leaves out rows that start with it.
    struct Adds(&'static [&'static str]);

    impl Stage for Adds {
        fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
            if self.0.is_empty() {
                return Ok(None);
            }
            let route = |word: &&'static str| {
                let (word, width) = (*word, stream.columns.len());
                let mut schema = stream.schema.clone();
                schema["properties"][word] = json!({ "type": "string" });
                let name = format!("{}-{word}", stream.name);
                let rows: RowMap = Box::new(move |row, out| match row.cell(0) {
                    Cell::Text(text) if text == word.as_bytes() => Ok(()),
                    Cell::Text(b"bad") => Err(Error::new(ErrorKind::Data, "bad")),
                    _ => {
                        (0..width).for_each(|at| out.push_cell(row.cell(at)));
                        out.push(format!("{word}{}", row.line()).as_bytes());
                        Ok(())
                    }
                });
                Route { stream: stream.mapped(&name, schema, Vec::new()), rows }
            };
            Ok(Some(self.0.iter().map(route).collect()))
        }
    }

    fn run(stages: &[&'static [&'static str]]) -> Option<Vec<(String, Vec<String>)>> {
        let mut pipeline = Pipeline::default();
        for words in stages {
            pipeline.push(Adds(words));
        }
        let schema: Map<String, Value> =
            json!({ "properties": { "c": {} } }).as_object().unwrap().clone();
        let routes = pipeline.routes(&Stream::new("s", schema, Vec::new())).unwrap()?;
        let mut rows = Batch::new(1);
        for (line, text) in ["1", "a", "b", "bad"].iter().enumerate() {
            rows.push(text.as_bytes());
            rows.note_line(line as u64 + 5);
        }
        let made = routes.into_iter().map(|mut route| {
            let width = route.stream.columns.len();
            let mut out = Batch::new(width);
            for row in 0..rows.rows() {
                let mark = out.mark();
                if (route.rows)(Row::new(&rows, row), &mut out).is_err() {
                    out.rollback(mark);
                }
            }
            let text = |cell| match cell {
                Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => "-".to_owned(),
            };
            let lines = (0..out.rows())
                .map(|row| out.row(row).map(text).collect::<Vec<_>>().join(","))
                .collect();
            (route.stream.name, lines)
        });
        Some(made.collect())
    }

    #[test]
    fn what_one_stage_makes_is_what_the_next_one_gets() {
        assert_eq!(run(&[&[], &[]]), None);
        let found = run(&[&["a"], &[], &["b"]]).unwrap();
        assert_eq!(found, [("s-a-b".to_owned(), vec!["1,a5,b5".to_owned()])]);
        let found = run(&[&["a", "b"], &["x", "y"]]).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["s-a-x", "s-a-y", "s-b-x", "s-b-y"]);
        assert_eq!(found[3].1, ["1,b5,y5", "a,b6,y6"]);
    }
}
