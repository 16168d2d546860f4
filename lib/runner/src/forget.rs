//! Removes the rows of a person from what a project keeps, and says what it cannot reach.

mod behind;
mod days;
mod files;
mod targets;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use disk::Datestamp;
use lake::Lake;
use mapping::contract::{Contract, Stand};
use project::plugin::SettingRole;
use project::{Job, Project, Step};
use serde::Serialize;
use serde_json::Value;
use singer::{Error, ErrorKind, Result, Secret};

use self::days::Days;

use crate::contracts::Source;
use crate::lake_paths::{self, lake_written};
use crate::store;

/// How many places are named that were not reached, where nothing was found.
const UNREACHED_TOLD: usize = 5;

/// Whose rows are removed, and from what.
#[derive(Clone, Debug)]
pub struct Forgetting {
    /// The jobs, or plugins from a tap to a target; none for all jobs of the project.
    pub words: Vec<String>,
    /// The stream.
    pub stream: String,
    /// The column that says whose row it is.
    pub column: String,
    /// Its value.
    pub value: Secret,
    /// Removes them; otherwise they are only counted.
    pub apply: bool,
    /// Leaves the targets alone.
    pub keep_targets: bool,
}

/// What was found, and removed if that was asked for.
#[derive(Debug, Default, Serialize)]
pub struct Forgotten {
    /// Rows of the dated folders.
    pub days: Vec<DayRows>,
    /// Lines of rejects and logs.
    pub files: Vec<FileLines>,
    /// Statements for the targets.
    pub statements: Vec<Statement>,
    /// What was not reached.
    pub unreached: BTreeSet<String>,
    /// What failed.
    #[serde(skip)]
    pub failures: Vec<Error>,
}

/// Rows of a table of a day.
#[derive(Debug, Serialize)]
pub struct DayRows {
    /// The source.
    pub source: String,
    /// The day.
    pub day: Datestamp,
    /// Where the table lies.
    pub place: String,
    /// All rows of it.
    pub rows: u64,
    /// Those of the person.
    pub found: u64,
}

/// Lines of a file.
#[derive(Debug, Serialize)]
pub struct FileLines {
    /// The file.
    pub path: PathBuf,
    /// Lines that show the person.
    pub lines: u64,
    /// Such a line is removed; otherwise only the value in it.
    pub whole: bool,
}

/// A statement for a target.
#[derive(Debug, Serialize)]
pub struct Statement {
    /// The target.
    pub target: String,
    /// The SQL; the value is masked in it, unless it is left to the user to run it.
    pub sql: String,
    /// How many rows it removes.
    pub rows: Option<u64>,
    /// It was run.
    pub done: bool,
}

/// Looks for the rows of a person, and removes them if that is asked for. The targets are asked
/// before anything is removed: a value that a table cannot have must not leave a person half
/// forgotten.
///
/// # Errors
/// The project cannot be read, or has no such stream or column; with `apply`, a target that cannot
/// say what it would remove. What fails on the way is in [`Forgotten::failures`].
pub fn forget(project: &Project, what: &Forgetting) -> Result<Forgotten> {
    let mut done = Forgotten::default();
    let steps = steps(project, what, &mut done)?;
    let values = values(project, what, &steps, &mut done)?;
    let mut days = Days::default();
    for (root, sources) in lakes(project, &steps)? {
        if let Err(failure) = days.find(&root, &sources, what, &mut done) {
            done.failures.push(failure);
        }
    }
    let (mut asked, failures) =
        targets::ask(project, what, (&steps, &values), days.schema.as_ref(), &mut done);
    let is_nowhere = days.found.is_empty() && asked.is_empty();
    if is_nowhere && done.failures.is_empty() && failures.is_empty() {
        return Err(unknown_stream(what, &steps, &done));
    }
    let is_running = what.apply && !what.keep_targets;
    match failures.into_iter().next() {
        Some(failure) if is_running => return Err(targets::untouched(failure)),
        failure => done.failures.extend(failure),
    }
    days.check_column(what, asked.is_empty())?;
    if is_running {
        targets::run(&mut asked, &mut done);
    }
    done.statements = asked.into_iter().map(|asked| asked.statement).collect();
    days.go_through(what, &values, &mut done);
    files::look(project, what, (&steps, &values), &mut done)?;
    done.unreached.insert("backups, and copies that other programs have made".to_owned());
    done.unreached.insert(
        "the source itself: remove the person there first, or the next run brings the rows again"
            .to_owned(),
    );
    Ok(done)
}

fn unknown_stream(what: &Forgetting, steps: &[Step], done: &Forgotten) -> Error {
    let failure = Error::new(ErrorKind::NoInput, "cannot find the stream")
        .with("stream", &what.stream)
        .with("looked at", format!("{} pipelines", steps.len()));
    let left = done.unreached.iter().take(UNREACHED_TOLD);
    left.fold(failure, |failure, one| failure.with("not reached", one))
        .hint("`chorus days JOB` lists the days, and a folder `table=STREAM` is in each")
}

/// Returns the pipelines of the jobs.
fn steps(project: &Project, what: &Forgetting, done: &mut Forgotten) -> Result<Vec<Step>> {
    if !what.words.is_empty() {
        return Ok(Job::find(project, &what.words)?.pipelines().cloned().collect());
    }
    let mut steps: Vec<Step> = Vec::new();
    for name in project.job_names() {
        match Job::find(project, std::slice::from_ref(&name)) {
            Ok(job) => {
                for step in job.pipelines() {
                    if steps.iter().all(|known| known.name != step.name) {
                        steps.push(step.clone());
                    }
                }
            }
            Err(failure) => {
                done.unreached.insert(format!("job {name}: {}", failure.message()));
            }
        }
    }
    if steps.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "cannot find what to look at: there is no job")
            .hint("name a tap and a target: chorus forget TAP TARGET --stream ..."));
    }
    Ok(steps)
}

/// Returns the value, and what stands in its place behind the contracts of the steps.
fn values(
    project: &Project,
    what: &Forgetting,
    steps: &[Step],
    done: &mut Forgotten,
) -> Result<BTreeSet<String>> {
    let mut values = BTreeSet::from([what.value.reveal().to_owned()]);
    for step in steps {
        let (tap, mappers) = (step.tap().clone(), step.plugins[1..step.plugins.len() - 1].to_vec());
        let source = Source { tap, mappers, step: Some(step.clone()) };
        let key = source.terms().get("protect_key").and_then(Value::as_str).map(Secret::new);
        for path in contracts(&source.configured(project))? {
            let contract = Contract::from_path(&path)?;
            let (stream, column) = (&what.stream, &what.column);
            match contract.stands_for(stream, column, what.value.reveal(), key.as_ref())? {
                Some(Stand::Texts(texts)) => values.extend(texts),
                Some(Stand::Lost(word)) if needs_key(word) && key.is_none() => {
                    done.unreached.insert(format!(
                        "what `{}` writes: {stream}.{column} is protected there by {word}, and the \
                         setting `protect_key` is missing, without which its rows cannot be found",
                        step.name
                    ));
                }
                Some(Stand::Lost(word)) => {
                    done.unreached.insert(format!(
                        "what `{}` writes: {stream}.{column} is protected there by {word}, so its \
                         rows cannot be found by it; use another column",
                        step.name
                    ));
                }
                Some(Stand::Value) | None => {}
            }
        }
    }
    Ok(values)
}

/// Tells whether a protection makes texts by which who has the key finds a value again.
fn needs_key(word: &str) -> bool {
    matches!(word, "hash" | "token")
}

fn contracts(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            let mut entries = store::entries(path)?;
            entries.retain(|path| {
                let name = path.to_string_lossy();
                name.ends_with(".odcs.yaml") || name.ends_with(".odcs.yml")
            });
            found.append(&mut entries);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// Returns the lakes that the steps write or read, with the sources that they name.
fn lakes(project: &Project, steps: &[Step]) -> Result<BTreeMap<PathBuf, BTreeSet<String>>> {
    let mut found = BTreeSet::new();
    for step in steps {
        found.extend(lake_written(project, step));
        let tap = step.tap();
        if let Some(root) =
            tap.text_for(SettingRole::LakeRoot).filter(|_| lake_paths::reads_day(tap))
        {
            let root = project.root.join(root);
            match tap.text_for(SettingRole::Source) {
                Some(source) => {
                    found.insert((root, source.to_owned()));
                }
                None if root.is_dir() => {
                    let sources = Lake::open(&root)?.sources()?;
                    found.extend(sources.into_iter().map(|source| (root.clone(), source)));
                }
                None => {}
            }
        }
    }
    // `output` and `./output` are one folder.
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (root, source) in found {
        if let Ok(real) = root.canonicalize() {
            folders.entry(real).or_default().insert(source);
        }
    }
    Ok(folders)
}
