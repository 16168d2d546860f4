//! Removes the rows of a person from what a project keeps, and says what it cannot reach.

mod targets;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use disk::Datestamp;
use lake::{Key, Lake, Partition};
use mapping::contract::{Contract, Stand};
use project::plugin::SettingRole;
use project::{Job, Project, Step};
use serde::Serialize;
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Kind, Result, Secret};

use crate::contracts::Source;
use crate::history::{self, History};
use crate::lake_paths::{self, day_written};
use crate::record::RunStatus;
use crate::state_stores::States;
use crate::store;

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
    /// The SQL.
    pub sql: String,
    /// It was run.
    pub done: bool,
}

/// Looks for the rows of a person, and removes them if that is asked for.
///
/// # Errors
/// The project cannot be read, or has no such stream. What fails on the way is in
/// [`Forgotten::failures`].
pub fn forget(project: &Project, what: &Forgetting) -> Result<Forgotten> {
    let mut done = Forgotten::default();
    let steps = steps(project, what, &mut done)?;
    let values = values(project, what, &steps, &mut done)?;
    let mut schema = None;
    for (root, source) in lakes(project, &steps)? {
        let lake = Lake::open(&root)?;
        let mut of_lake = OfLake { what, values: &values, done: &mut done, schema: &mut schema };
        if let Err(failure) = of_lake.source(&lake, &source) {
            done.failures.push(failure);
        }
        if what.apply {
            lake.sweep()?;
        }
    }
    files(project, what, &steps, &values, &mut done)?;
    targets::statements(project, what, (&steps, &values), schema.as_ref(), &mut done);
    if schema.is_none() && done.statements.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "cannot find the stream")
            .with("stream", &what.stream)
            .with("looked at", format!("{} pipelines", steps.len()))
            .hint("`chorus days JOB` lists the days, and a folder `table=STREAM` is in each"));
    }
    done.unreached.insert("backups, and copies that other programs have made".to_owned());
    done.unreached.insert(
        "the source itself: remove the person there first, or the next run brings the rows again"
            .to_owned(),
    );
    Ok(done)
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
                Some(Stand::Text(text)) => {
                    values.insert(text);
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

/// Returns the lakes and sources that the steps write or read.
fn lakes(project: &Project, steps: &[Step]) -> Result<BTreeSet<(PathBuf, String)>> {
    let mut found = BTreeSet::new();
    for step in steps {
        if let Some((root, source, _)) = day_written(project, step) {
            found.insert((root, source));
        }
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
    let mut folders = BTreeMap::new();
    for (root, source) in found {
        if let Ok(real) = root.canonicalize() {
            folders.insert((real, source), root);
        }
    }
    Ok(folders.into_keys().collect())
}

/// What is done in a lake.
struct OfLake<'a> {
    what: &'a Forgetting,
    values: &'a BTreeSet<String>,
    done: &'a mut Forgotten,
    /// The SCHEMA of the stream, as the last day has it.
    schema: &'a mut Option<Value>,
}

impl OfLake<'_> {
    fn source(&mut self, lake: &Lake, source: &str) -> Result<()> {
        for day in lake.days(source)? {
            if !lake.has(&Key::table(source, day, &self.what.stream))? {
                continue;
            }
            let partition = lake.read(source, day, &self.what.stream)?;
            *self.schema = Some(schema_of(&partition));
            match self.partition(lake, &partition) {
                Ok((rows, found)) => {
                    let place = partition.show();
                    let source = source.to_owned();
                    self.done.days.push(DayRows { source, day, place, rows, found });
                }
                Err(failure) if failure.kind() == ErrorKind::NoInput => {
                    let column = &self.what.column;
                    let text = format!("{}: it has no column {column}", partition.show());
                    self.done.unreached.insert(text);
                }
                Err(failure) => self.done.failures.push(failure),
            }
        }
        Ok(())
    }

    fn partition(&mut self, lake: &Lake, partition: &Partition) -> Result<(u64, u64)> {
        let schema = &partition.manifest.schema;
        let column = singer::schema::columns(schema);
        let column = column.iter().find(|column| column.name == self.what.column);
        let kind = column.map_or(Kind::String, |column| column.kind);
        let mut alike = 0_u64;
        let mut is_meant = |text: &[u8]| {
            let Ok(text) = std::str::from_utf8(text) else { return false };
            let found = self.values.iter().any(|value| is_same(kind, value, text));
            if !found && self.values.iter().any(|value| texts::is_alike(value, text)) {
                alike += 1;
            }
            found
        };
        let column = &self.what.column;
        let mut found = lake.count_rows(partition, column, &mut is_meant)?;
        if self.what.apply && found.found > 0 {
            let tool = concat!("chorus ", env!("CARGO_PKG_VERSION"));
            found = lake.remove_rows(partition, column, tool, &mut is_meant)?;
        }
        if alike > 0 {
            self.done.unreached.insert(format!(
                "{}: rows whose {column} differs only in letter case or in spaces: {alike}; look \
                 at them, and run it again with their value",
                partition.show()
            ));
        }
        let state = partition.manifest.state.as_ref().map(Value::to_string).unwrap_or_default();
        if self.values.iter().any(|value| texts::holds(&state, value)) {
            self.done.unreached.insert(format!(
                "{}: the state in its manifest holds the value; extract the day again",
                partition.show()
            ));
        }
        Ok((found.rows, found.found))
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

/// Looks through rejects, logs, records and states.
fn files(
    project: &Project,
    what: &Forgetting,
    steps: &[Step],
    values: &BTreeSet<String>,
    done: &mut Forgotten,
) -> Result<()> {
    let mut rejects = BTreeSet::new();
    for plugin in steps.iter().flat_map(|step| &step.plugins).filter(|plugin| plugin.is_ours()) {
        let name = plugin.config.get("rejects_file").and_then(Value::as_str);
        rejects.insert(project.root.join(name.unwrap_or("rejects.jsonl")));
    }
    for path in rejects {
        let is_meant = |line: &str| texts::is_of(line, &what.stream, &what.column, values);
        let lines = texts::without_lines(&path, &is_meant, what.apply)?;
        if lines > 0 {
            done.files.push(FileLines { path, lines, whole: true });
        }
    }
    let short = values.iter().filter(|value| !texts::is_findable(value)).count();
    if short > 0 {
        done.unreached.insert(
            "logs, states and raw lines of rejects: the value is too short to be looked for in them"
                .to_owned(),
        );
    }
    let found: Vec<&String> = values.iter().filter(|value| texts::is_findable(value)).collect();
    if found.is_empty() {
        return Ok(());
    }
    for run in History::read(project)?.all() {
        let is_running = run.record.status == RunStatus::Running;
        if is_running && history::is_alive(project, &run.folder, &run.record) {
            done.unreached.insert(format!("logs of a run that is running: {}", run.record.run));
            continue;
        }
        for path in store::entries(&run.folder)? {
            let ends_with = |ending: &str| path.extension().is_some_and(|end| end == ending);
            if ends_with("json") && texts::masked(&path, &found, false)? > 0 {
                // Its words, such as the day and the names of streams, are needed to read it.
                done.unreached.insert(format!("the record of the run {}", run.record.run));
            }
            let is_log = ends_with("log");
            let lines = if is_log { texts::masked(&path, &found, what.apply)? } else { 0 };
            if lines > 0 {
                done.files.push(FileLines { path, lines, whole: false });
            }
        }
    }
    states(project, &found, done)
}

/// Names the states that hold the value: to change one would have rows read again, or left out.
fn states(project: &Project, values: &[&String], done: &mut Forgotten) -> Result<()> {
    let states = States::open(project)?;
    for id in states.state_ids()? {
        let text = states.state(&id)?.map(|state| state.to_string()).unwrap_or_default();
        if values.iter().any(|value| texts::holds(&text, value)) {
            done.unreached.insert(format!(
                "the state {id} holds the value: `chorus state clear {id}` removes it, and the \
                 next run reads everything"
            ));
        }
    }
    Ok(())
}
