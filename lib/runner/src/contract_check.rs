//! Holds data that is there to a contract, and publishes nothing of it.
//!
//! The rows come from a day of the dated folders or from a tap, and go through `map-streams`, which
//! judges them. What it writes is only counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use disk::Datestamp;
use mapping::contract::{self, Contract};
use project::capture::unnamed;
use project::{Program, Project, exit};
use serde::Serialize;
use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result};

use crate::attempt::remember;
use crate::contracts::Source;
use crate::lake_paths::day_written;
use crate::observe;
use crate::own_programs;
use crate::pipeline::{self, Event, Stop};
use crate::prepare;
use crate::work::WorkFolder;

/// So many rows may breach the contract before the check ends.
const BREACHES_MAX: u64 = 1_000_000;
/// So many lines of one kind of breach are named.
const LINES_SHOWN: usize = 5;

/// What is held to which contracts.
#[derive(Clone, Debug)]
pub struct Checking {
    /// Files with contracts, or folders of them.
    pub contracts: Vec<PathBuf>,
    /// The day; without one, the tap reads its source.
    pub day: Option<Datestamp>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// Rows that keep the contract, by stream.
    pub rows: BTreeMap<String, u64>,
    /// Rows of streams that no contract lists, by stream.
    pub unlisted: BTreeMap<String, u64>,
    /// Contracts of which no row was judged.
    pub unjudged: Vec<Unjudged>,
    /// Values that breach it.
    pub breaches: Vec<Breach>,
    /// What ended the check: a rule, a column, a stream. Each a line.
    pub ended: Vec<String>,
    /// What there is to say beside.
    pub warnings: Vec<String>,
}

/// Rows that breach the contract in one way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Breach {
    /// The stream.
    pub stream: String,
    /// The column, where it is one.
    pub column: String,
    /// What is wrong.
    pub reason: String,
    /// How many rows.
    pub rows: u64,
    /// The first lines of the input, from 1.
    pub lines: Vec<u64>,
}

/// A contract, or a folder of contracts, of which no row was judged.
#[derive(Debug, Serialize)]
pub struct Unjudged {
    /// The file or folder.
    pub contract: PathBuf,
    /// The streams that it lists.
    pub lists: Vec<String>,
}

impl Checked {
    /// Tells whether all rows keep the contract, and there were some.
    pub fn is_kept(&self) -> bool {
        self.breaches.is_empty() && self.ended.is_empty() && self.unjudged.is_empty()
    }

    /// Tells rows that were judged from those of streams that no contract lists, and finds
    /// contracts of which nothing was judged.
    fn compare(&mut self, contracts: &[PathBuf]) -> Result<()> {
        let mut lists = Vec::new();
        for path in contracts {
            let mut names = Vec::new();
            for file in contract::files(std::slice::from_ref(path))? {
                names.extend(Contract::from_path(&file)?.tables.into_iter().map(|one| one.name));
            }
            lists.push((path.clone(), names));
        }
        let is_listed = |name: &String| lists.iter().any(|(_, names)| names.contains(name));
        let (rows, unlisted) =
            std::mem::take(&mut self.rows).into_iter().partition(|(name, _)| is_listed(name));
        (self.rows, self.unlisted) = (rows, unlisted);
        // What ended the check is told instead.
        if !self.ended.is_empty() {
            return Ok(());
        }
        let was_judged = |name: &String| {
            self.rows.contains_key(name) || self.breaches.iter().any(|one| one.stream == *name)
        };
        let unjudged = lists.into_iter().filter(|(_, names)| !names.iter().any(was_judged));
        self.unjudged = unjudged.map(|(contract, lists)| Unjudged { contract, lists }).collect();
        Ok(())
    }
}

/// Holds the rows of a day, or of a tap, to contracts.
///
/// # Errors
/// The rows cannot be read, or the contract cannot be used. A breach is no error.
pub fn check(
    project: &Project,
    source: &Source,
    what: &Checking,
    stop: &dyn Stop,
) -> Result<Checked> {
    let folder = WorkFolder::new(project)?;
    let rejects = folder.path().join("rejects.jsonl");
    let mut alone = Vec::new();
    let mut programs = Vec::new();
    if let Some(day) = what.day {
        programs.push(of_day(project, source, day, folder.path())?);
    } else {
        for plugin in source.unheld() {
            let mut one = prepare::alone(project, &plugin, None, None)?;
            programs.push(std::mem::replace(&mut one.program, Program::bare(Path::new(""))));
            alone.push(one);
        }
    }
    programs.push(judge(project, source, what, (folder.path(), &rejects))?);
    let mut seen = Seen { last: vec![Vec::new(); programs.len()], ..Seen::default() };
    let outcome = pipeline::run(&programs, stop, &mut |event| seen.event(event))?;
    if let Some(signal) = outcome.stopped {
        return Err(
            Error::new(ErrorKind::Temporary, "the check was asked to end").with("signal", signal)
        );
    }
    let mut checked = seen.checked;
    checked.breaches = breaches(&rejects)?;
    let Some(at) = outcome.failed else {
        checked.compare(&what.contracts)?;
        return Ok(checked);
    };
    let (program, status) = (&programs[at], outcome.statuses[at]);
    let words = seen.last.swap_remove(at);
    if at + 1 == programs.len() && exit::kind(status) == ErrorKind::Data {
        checked.ended = words;
        checked.compare(&what.contracts)?;
        return Ok(checked);
    }
    let failure = Error::new(exit::kind(status), "cannot check the rows: a plugin failed")
        .with("plugin", &program.name)
        .with("exit", exit::words(status));
    Err(words.iter().fold(failure, |failure, line| failure.with(&program.name, line)))
}

/// What is seen of the programs.
#[derive(Default)]
struct Seen {
    checked: Checked,
    last: Vec<Vec<String>>,
}

impl Seen {
    fn event(&mut self, event: Event) {
        match event {
            Event::Log(at, line) => self.line(at, &line),
            Event::State(line) => {
                if let Some(stream) = stream_of_record(&line) {
                    *self.checked.rows.entry(stream).or_default() += 1;
                }
            }
            Event::Tick | Event::End(_) => {}
        }
    }

    fn line(&mut self, at: usize, line: &str) {
        if let Some(text) = observe::warning(line) {
            // The file with them is read here, and gone afterwards.
            if !text.contains("W-RECORDS-REJECTED") && !text.contains("W-EMPTY") {
                self.checked.warnings.push(text.to_owned());
            }
            return;
        }
        let text = unnamed(line);
        let Some(last) = self.last.get_mut(at) else { return };
        if text.starts_with("error: ") {
            last.clear();
        }
        remember(last, text.trim().to_owned());
    }
}

/// Returns the stream of a RECORD of ours, whose first members are type and stream.
fn stream_of_record(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"{\"type\":\"RECORD\",\"stream\":")?;
    serde_json::Deserializer::from_slice(rest).into_iter::<String>().next()?.ok()
}

/// Makes the program that reads the day that a job has written.
pub(crate) fn of_day(
    project: &Project,
    source: &Source,
    day: Datestamp,
    folder: &Path,
) -> Result<Program> {
    let written = source.step.as_ref().and_then(|step| day_written(project, step));
    let Some((root, name, _)) = written else {
        return Err(Error::new(ErrorKind::Config, "cannot check a day: the job writes no days")
            .with("tap", &source.tap.name)
            .hint(
                "name a job with a target that writes `source=S/extracted_at=DAY/...`; or leave \
                   out --datestamp, and the tap reads its source",
            ));
    };
    let config = json!({ "output": root, "source": name, "datestamp": day });
    own_programs::ready(own_programs::DAYS, &config, folder)
}

/// Makes the program that judges the rows.
fn judge(
    project: &Project,
    source: &Source,
    what: &Checking,
    (folder, rejects): (&Path, &Path),
) -> Result<Program> {
    let mut config = source.terms();
    // Nothing that is written here outlives the check: any key will do.
    let key = config.get("protect_key").and_then(Value::as_str).unwrap_or_default();
    if key.is_empty() {
        config.insert("protect_key".to_owned(), any_key()?.into());
    }
    if what.day.is_some() {
        config.remove("row_hash");
        if !source.configured(project).is_empty() {
            config.insert("already_protected".to_owned(), true.into());
            // The mapper, or the target, may have added columns.
            config.remove("strict");
            config.remove("extra_columns");
        }
    }
    config.extend([
        ("contracts".to_owned(), json!(what.contracts)),
        ("on_violation".to_owned(), "reject".into()),
        ("max_rejects".to_owned(), BREACHES_MAX.into()),
        ("rejects_file".to_owned(), json!(rejects)),
        ("rejects_include_record".to_owned(), false.into()),
        ("allow_empty".to_owned(), true.into()),
    ]);
    own_programs::ready(own_programs::JUDGE, &Value::Object(config), folder)
}

fn any_key() -> Result<String> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|cause| disk::failure("cannot read", Path::new("/dev/urandom"), cause))?;
    Ok(disk::sum(bytes))
}

/// Reads what was set aside, and counts what is of one kind.
fn breaches(path: &Path) -> Result<Vec<Breach>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(disk::failure("cannot read the rejects", path, cause)),
    };
    let mut found: BTreeMap<[String; 3], (u64, Vec<u64>)> = BTreeMap::new();
    for line in text.lines() {
        let Ok(Value::Object(reject)) = serde_json::from_str::<Value>(line) else { continue };
        let text = |name: &str| reject.get(name).and_then(Value::as_str).unwrap_or_default();
        let reason = if text("reason").is_empty() { text("error") } else { text("reason") };
        let kind = [text("stream"), text("column"), reason].map(str::to_owned);
        let (rows, lines) = found.entry(kind).or_default();
        *rows += 1;
        if lines.len() < LINES_SHOWN {
            lines.extend(line_of(&reject));
        }
    }
    let found = found.into_iter().map(|(kind, (rows, lines))| {
        let [stream, column, reason] = kind;
        Breach { stream, column, reason, rows, lines }
    });
    Ok(found.collect())
}

fn line_of(reject: &Map<String, Value>) -> Option<u64> {
    let line = reject.get("line")?;
    line.as_u64().or_else(|| line.as_str()?.parse().ok())
}
