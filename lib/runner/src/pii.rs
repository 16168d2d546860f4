//! Looks for what may be personal in the streams of a tap, or of a day.
//!
//! Rows are read from the pipe, looked at and dropped: none of them is written anywhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use disk::Datestamp;
use mapping::contract::DraftStream;
use mapping::pii::{self, Finding, Seen};
use project::{Program, Project, exit};
use serde::Serialize;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::attempt::remember;
use crate::contract_check::of_day;
use crate::contracts::{Source, described};
use crate::pipeline::{self, Event, Stop};
use crate::prepare;
use crate::work::WorkFolder;

/// So many parts of objects are looked at in a stream: some objects have values for keys.
const PATHS_MAX: usize = 2000;
/// So many elements of an array are looked at.
const ELEMENTS_MAX: usize = 20;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// The day; without one, the tap reads its source.
    pub day: Option<Datestamp>,
    /// So many records of each stream.
    pub records: u64,
}

/// What was found in a stream.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The stream, for a contract.
    pub draft: DraftStream,
    /// So many records were looked at.
    pub records: u64,
    /// What was found, by columns and their parts.
    pub found: Vec<Found>,
    seen: BTreeMap<String, Seen>,
    bookmarks: Vec<String>,
}

/// What a column, or a part of one, may say of people.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The stream.
    pub stream: String,
    /// The column, and the path in it.
    pub column: String,
    /// What, how sure, and why.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Looks at the streams of a tap or a day.
///
/// # Errors
/// The rows cannot be read.
pub fn look(
    project: &Project,
    source: &Source,
    what: Looking,
    stop: &dyn Stop,
) -> Result<Vec<Looked>> {
    let folder = WorkFolder::new(project)?;
    let mut alone = Vec::new();
    let mut programs = Vec::new();
    let mut expected = None;
    if let Some(day) = what.day {
        programs.push(of_day(project, source, day, folder.path())?);
    } else {
        let mut plugins = source.unheld();
        if source.mappers.is_empty() {
            let (catalog, _) = prepare::catalog(project, &source.tap)?;
            expected = Some(described(&crate::plugin_plan::schemas(&catalog)).len());
        }
        for plugin in &mut plugins {
            let mut one = prepare::alone(project, plugin, None, None)?;
            programs.push(std::mem::replace(&mut one.program, Program::bare(Path::new(""))));
            alone.push(one);
        }
    }
    let enough = Enough { stop, reached: AtomicBool::new(false) };
    let mut looker = Looker { what, expected, streams: Vec::new(), last: Vec::new() };
    let outcome = pipeline::run(&programs, &enough, &mut |event| {
        looker.event(event);
        if looker.has_enough() {
            enough.reached.store(true, Ordering::Relaxed);
        }
    })?;
    if let Some(signal) = stop.requested() {
        return Err(
            Error::new(ErrorKind::Temporary, "the search was asked to end").with("signal", signal)
        );
    }
    if let Some(at) = outcome.failed.filter(|_| outcome.stopped.is_none()) {
        let (program, status) = (&programs[at], outcome.statuses[at]);
        let failure = Error::new(exit::kind(status), "cannot look at the rows: a plugin failed")
            .with("plugin", &program.name)
            .with("exit", exit::words(status));
        return Err(looker
            .last
            .iter()
            .fold(failure, |failure, line| failure.with(&program.name, line)));
    }
    Ok(looker.streams.into_iter().map(Looked::judged).collect())
}

/// Ends the tap when all streams have been seen.
struct Enough<'a> {
    stop: &'a dyn Stop,
    reached: AtomicBool,
}

impl Stop for Enough<'_> {
    fn requested(&self) -> Option<i32> {
        let reached = self.reached.load(Ordering::Relaxed);
        self.stop.requested().or_else(|| reached.then_some(rustix::process::Signal::TERM.as_raw()))
    }
}

struct Looker {
    what: Looking,
    /// How many streams the tap has, where that is known.
    expected: Option<usize>,
    streams: Vec<Looked>,
    last: Vec<String>,
}

impl Looker {
    fn event(&mut self, event: Event) {
        match event {
            Event::State(line) => self.message(&line),
            Event::Log(_, line) => remember(&mut self.last, line),
            Event::Tick | Event::End(_) => {}
        }
    }

    fn has_enough(&self) -> bool {
        self.expected == Some(self.streams.len())
            && self.streams.iter().all(|stream| stream.records >= self.what.records)
    }

    fn message(&mut self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { return };
        let Some(name) = message["stream"].as_str() else { return };
        let at = self.streams.iter().position(|stream| stream.draft.name == name);
        match message["type"].as_str() {
            Some("SCHEMA") => {
                let text = String::from_utf8_lossy(line);
                let Some(draft) = described(&text).pop() else { return };
                let named = message["bookmark_properties"].as_array().into_iter().flatten();
                let bookmarks = named.filter_map(Value::as_str).map(str::to_owned).collect();
                match at {
                    Some(at) => self.streams[at].draft = draft,
                    None => self.streams.push(Looked { draft, bookmarks, ..Looked::default() }),
                }
            }
            Some("RECORD") => {
                let Some(stream) = at.and_then(|at| self.streams.get_mut(at)) else { return };
                if stream.records < self.what.records {
                    stream.records += 1;
                    for (column, value) in message["record"].as_object().into_iter().flatten() {
                        stream.take(column, value);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Looked {
    fn take(&mut self, path: &str, value: &Value) {
        let text = match value {
            Value::Null | Value::Bool(_) => return,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Array(items) => {
                let path = format!("{path}[]");
                return items.iter().take(ELEMENTS_MAX).for_each(|item| self.take(&path, item));
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.take(&format!("{path}.{name}"), value);
                }
                return;
            }
        };
        if self.seen.len() < PATHS_MAX || self.seen.contains_key(path) {
            self.seen.entry(path.to_owned()).or_default().take(&text);
        }
    }

    /// Says what the columns may be, once all rows were looked at.
    fn judged(mut self) -> Self {
        for column in self.draft.columns.clone() {
            let is_part = |path: &String| {
                path.strip_prefix(&column.name).is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            let mut parts: Vec<(String, Seen)> = self
                .seen
                .iter()
                .filter(|(path, _)| **path == column.name || is_part(path))
                .map(|(path, seen)| (path.clone(), seen.clone()))
                .collect();
            if parts.is_empty() {
                parts.push((column.name.clone(), Seen::default()));
            }
            for (path, seen) in parts {
                // A column may have a dot in its own name.
                let name = if path == column.name {
                    &path
                } else {
                    path.rsplit('.').next().unwrap_or_default()
                };
                let Some(finding) = seen.finding(name.trim_end_matches("[]")) else { continue };
                let is_bookmark = self.bookmarks.contains(&column.name);
                pii::propose(&mut self.draft, &path, &finding, is_bookmark);
                let stream = self.draft.name.clone();
                self.found.push(Found { stream, column: path, finding });
            }
        }
        self
    }
}
