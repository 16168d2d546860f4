//! `chorus run config.yaml`: reads the sources of a file of the plain shape, and loads their rows.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::replace::replace_file;
use disk::sum::Sum;
use disk::{Datestamp, Lock};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use project::plain::{Made, Plain, PlainSource, Purpose};
use project::plugin::is_secret_word;
use project::{Context, Job, Opening, Project, Step, Task, warning};
use runner::ended::first_failure;
use runner::host::Host;
use runner::options::Options;
use runner::run::Run;
use runner::state_lock::StateLocks;
use runner::{plain as days, preflight};
use serde_json::json;
use singer::output::print;
use singer::{Error, ErrorKind, Result, ResultExt as _};

use crate::cli::{HowArgs, RunArgs};
use crate::commands::plain::{folder_of, read};
use crate::commands::run::{datestamp, summary};
use crate::commands::schedule::Requests;
use crate::progress::Progress;

/// How often the end and the clock are looked at.
const TICK: Duration = Duration::from_millis(100);
/// So many days are kept of what was read: enough to look at what came before.
const DAYS_KEPT: usize = 7;
/// How often a step is tried again: three tries in all.
const RETRIES: usize = 2;

/// Runs a file until its sources are loaded; with `monitor`, until it is asked to end.
pub fn run(file: &Path, args: &RunArgs, context: &Arc<Context>) -> Result<()> {
    refuse_flags(args)?;
    let plain = read(file, &context.warnings)?;
    let folder = std::path::absolute(folder_of(file))
        .or_kind(ErrorKind::Io, "cannot find the folder of the file")?;
    let clock = Clock::read()?;
    if let Some((_, text)) = plain.times.end.as_ref().filter(|(end, _)| *end <= clock.now()) {
        return Err(Error::new(ErrorKind::Config, "cannot start: the end is in the past")
            .with("path", file.display())
            .with("end_time", text)
            .hint("correct or remove `end_time`"));
    }
    let contract = format!(".chorus/plain/{}.odcs.yaml", plain.name);
    // Hidden, so that no source reads it.
    let lake = format!(".chorus/lake/{}", plain.name);
    let made = plain.made(Purpose { contract: &contract, lake: &lake, base: None });
    for (_, secret) in &made.secrets {
        singer::scrub::learn(secret);
    }
    let requests = Requests::listen()?;
    let whole = Whole { plain, made, file, folder, contract, lake, args, context, requests, clock };
    whole.wait_for_start();
    if whole.is_over() {
        return Ok(());
    }
    let Some(monitor) = &whole.plain.monitor else { return whole.once(false) };
    tracing::info!("g and Enter, Ctrl-C or SIGTERM end this after the running steps");
    let mut known = whole.local_files();
    match whole.once(false) {
        // The first files are still to come.
        Err(failure) if failure.kind() == ErrorKind::NoInput => whole.report(&failure),
        ended => ended?,
    }
    let mut looked = Instant::now();
    while !whole.is_over() {
        std::thread::sleep(TICK.min(monitor.interval));
        if looked.elapsed() < monitor.interval {
            continue;
        }
        looked = Instant::now();
        let now = whole.local_files();
        if now == known {
            continue;
        }
        tracing::info!("files have changed");
        known = now;
        context.warnings.forgive();
        if let Err(failure) = whole.once(monitor.reextract_all) {
            whole.report(&failure);
            // The files are looked at again as if they were new.
            known = String::new();
        }
    }
    Ok(())
}

/// Refuses flags that are for projects.
fn refuse_flags(args: &RunArgs) -> Result<()> {
    let what = &args.what;
    let given = [
        ("--dry-run", args.dry_run),
        ("--no-state-update", args.no_state_update),
        ("--state-id", what.state_id.is_some()),
        ("--select", !what.params.select.is_empty()),
        ("--where", !what.params.conditions.is_empty()),
        ("--days", what.params.days.is_some()),
        ("--input", !what.params.inputs.is_empty()),
        ("--params", what.params.params.is_some()),
        ("--timeout", args.timeout.is_some()),
    ];
    let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Error::new(ErrorKind::Usage, "cannot use a flag with a file in place of a project")
        .with("flag", flag)
        .hint("make a project of the file with `chorus convert`, and run its job"))
}

/// What all runs of a file share.
struct Whole<'a> {
    plain: Plain,
    made: Made,
    file: &'a Path,
    folder: PathBuf,
    /// The path of the contract, from the folder.
    contract: String,
    /// The folder of the days, from the folder.
    lake: String,
    args: &'a RunArgs,
    context: &'a Arc<Context>,
    requests: Requests,
    clock: Clock,
}

impl Whole<'_> {
    fn is_over(&self) -> bool {
        let end = self.plain.times.end.as_ref();
        self.requests.count() > 0 || end.is_some_and(|(end, _)| *end <= self.clock.now())
    }

    fn report(&self, failure: &Error) {
        let warning = warning!("W-SCHEDULE-FAILED", "{}: {failure}", self.plain.name);
        self.context.warnings.tell(&warning);
    }

    fn wait_for_start(&self) {
        let Some((start, text)) = &self.plain.times.start else { return };
        if *start > self.clock.now() {
            tracing::info!("waiting until {text}");
        }
        while *start > self.clock.now() && !self.is_over() {
            std::thread::sleep(TICK);
        }
    }

    fn project(&self, day: Datestamp) -> Result<Project> {
        let (folder, context) = (self.folder.as_path(), self.context);
        let variables = &self.made.secrets;
        let opening = Opening { folder, environment: Some(""), variables, context };
        let project = Project::of_made(&self.made.file, &opening, day)?;
        runner::stored::fill(&project)?;
        Ok(project)
    }

    /// Returns a sum of the local files: of their paths and what they hold.
    fn local_files(&self) -> String {
        let day = Datestamp::from(self.clock.now().to_zoned(TimeZone::UTC).date());
        let mut sum = Sum::default();
        let paths = self.project(day).map(|project| self.local_paths(&project));
        for path in paths.unwrap_or_default() {
            // What cannot be read now is looked at the next time.
            let Ok(own) = fs::File::open(&path).and_then(Sum::of_reader) else { continue };
            sum.add(path.as_os_str().as_encoded_bytes());
            sum.add([0]);
            sum.add(own.bytes());
        }
        sum.hex()
    }

    fn local_paths(&self, project: &Project) -> Vec<PathBuf> {
        let found = |source| self.files_of(source, project).unwrap_or_default();
        self.plain.sources.iter().flat_map(found).collect()
    }

    /// Returns the files of a source, if it is a local one.
    fn files_of(&self, source: &PlainSource, project: &Project) -> Result<Vec<PathBuf>> {
        let Some(path) = source.local_path() else { return Ok(Vec::new()) };
        let path = self.folder.join(project.variables.expand(path, &mut BTreeSet::new()));
        files::paths::find(&path.to_string_lossy()).map_err(|failure| {
            let found = Error::new(failure.kind(), "cannot find the files of a source")
                .with("source", &source.name)
                .with("path", path.display())
                .with("reason", failure.message());
            source.at("path", found).hint(
                "correct `path`: a relative one starts at the folder of the config.yaml; a folder \
                 needs files that end with .csv, .tsv, .psv, .txt, .json, .jsonl or .zip",
            )
        })
    }

    /// Checks what can be known before the first row.
    fn check(&self, project: &Project) -> Result<()> {
        self.plain.check_variables(&project.variables)?;
        self.plain.sources.iter().try_for_each(|source| self.files_of(source, project).map(drop))
    }

    /// Removes what the day has of files that are gone and of other settings; tells whether it has.
    fn forget_gone(&self, project: &Project, day: Datestamp) -> Result<bool> {
        let mut now = disk::sum::sum(self.plain.canonical());
        for path in self.local_paths(project) {
            now = now + "\n" + &path.to_string_lossy().replace('\n', " ");
        }
        let list = self.folder.join(format!(".chorus/plain/{}.files", self.plain.name));
        days::forget_gone(&project.root.join(&self.lake), day, &list, &now)
    }

    /// Reads all sources, and loads them if they have something new.
    fn once(&self, reads_all: bool) -> Result<()> {
        let day = match datestamp(self.args.what.datestamp.as_deref())? {
            Some(day) => day,
            None => self.clock.now().to_zoned(TimeZone::UTC).date().into(),
        };
        let project = self.project(day)?;
        self.check(&project)
            .map_err(|failure| failure.with("path of the file", self.file.display()))?;
        let _alone = self.lock()?;
        self.write_contract()?;
        let how = &self.args.how;
        let is_other = self.forget_gone(&project, day)?;
        let names: Vec<&str> =
            self.plain.sources.iter().map(|source| source.name.as_str()).collect();
        let is_gone = days::lacks(&project.root.join(&self.lake), day, &names)?;
        let options = Options {
            datestamp: Some(day),
            retries: if how.retries == HowArgs::RETRIES { RETRIES } else { how.retries },
            parallel: self.args.parallel,
            full_refresh: how.full_refresh || reads_all || is_other || is_gone,
            deny: how.deny_warnings.clone(),
            ..Options::default()
        };
        let job = Job::find(&project, std::slice::from_ref(&self.plain.name))?;
        preflight::check(&project, &job, options.datestamp)?;
        let progress = Progress::new(how.verbose, false);
        let locks = StateLocks::default();
        let host = Host { stop: &self.requests, observer: &progress, locks: &locks };
        let run = Run::begin(&project, &job, &options, host)?;
        let seen = self.folder.join(format!(".chorus/plain/{}.sum", self.plain.name));
        let is_whole = self.has_output(&project);
        let before = fs::read_to_string(&seen).ok().filter(|_| !how.full_refresh && is_whole);
        let now = OnceCell::new();
        let is_new = |step: &Step| {
            let is_load =
                job.steps[self.made.extracts..].iter().any(|load| load.name() == step.name);
            if !is_load {
                return true;
            }
            let sum = now.get_or_init(|| self.sum(&project, &job, day));
            sum.is_none() || *sum != before
        };
        let ends = run.steps(&job.steps, &is_new)?;
        let failed = ends.iter().any(|end| end.failure.is_some());
        let is_nothing = !failed && ends.len() == self.made.extracts;
        let steps = if is_nothing { ends.len() } else { job.steps.len() };
        let record = run.end(&ends, steps)?;
        if self.args.json {
            print(&(record.to_json().to_string() + "\n"))?;
        } else if is_nothing {
            print("nothing to do: no source has new rows\n")?;
        } else {
            print(&summary(&ends))?;
        }
        if let Some(failure) = first_failure(ends) {
            return Err(self.with_way_to_settings(failure));
        }
        if let Some(Some(sum)) = now.into_inner().filter(|_| !is_nothing) {
            replace_file(&seen, sum.as_bytes(), 0o600)?;
        }
        self.prune(day)
    }

    /// Tells whether the CSV file is there, if the run is to write one.
    fn has_output(&self, project: &Project) -> bool {
        self.plain.output_csv_path.as_deref().is_none_or(|path| {
            let path = project.variables.expand(path, &mut BTreeSet::new());
            self.folder.join(path).exists()
        })
    }

    /// Says how settings are set that a connector names and the plain shape does not have.
    fn with_way_to_settings(&self, failure: Error) -> Error {
        let text = failure.to_string();
        // Between two of these marks is what a message names.
        let named = text.split('`').skip(1).step_by(2).map(|word| {
            word.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default()
        });
        let others: BTreeSet<&str> =
            named.filter(|word| word.contains('_') && !Plain::has_key(word)).collect();
        if others.is_empty() {
            return failure;
        }
        let others: Vec<String> = others.into_iter().map(|word| format!("`{word}`")).collect();
        let file = self.file.display();
        failure.with(
            "no keys of the file",
            format!(
                "{}: `chorus convert {file} --into FOLDER` makes a project in which they can be \
                 set",
                others.join(", ")
            ),
        )
    }

    /// Removes days of what was read that are too old.
    fn prune(&self, day: Datestamp) -> Result<()> {
        match days::prune(&self.folder.join(&self.lake), DAYS_KEPT, day) {
            // Another run is at one of them: the next one looks again.
            Err(failure) if failure.kind() == ErrorKind::Temporary => Ok(()),
            Err(failure) => Err(failure),
            Ok(gone) => {
                for day in gone {
                    tracing::debug!("removed what was read on {day}");
                }
                Ok(())
            }
        }
    }

    /// Returns the sum of what is loaded: the rows of all sources, and where they go to.
    fn sum(&self, project: &Project, job: &Job, day: Datestamp) -> Option<String> {
        let mut sum = Sum::default();
        sum.add(env!("CARGO_PKG_VERSION"));
        sum.add(self.plain.canonical());
        for plugin in job.steps[self.made.extracts..].iter().flat_map(Task::plugins) {
            for (name, value) in plugin.config.iter().filter(|(name, _)| !is_secret_word(name)) {
                if *value != day.to_string() {
                    sum.add(format!("{name}={value}\n"));
                }
            }
        }
        let rows = days::sum(&project.root.join(&self.lake), day).ok()?;
        sum.add(rows);
        Some(sum.hex())
    }

    /// Takes the file for this run alone: two would read into one day.
    fn lock(&self) -> Result<Lock> {
        let path = self.folder.join(format!(".chorus/plain/{}.lock", self.plain.name));
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)
            .or_kind(ErrorKind::Io, "cannot make a folder")
            .map_err(|failure| failure.with("path", folder.display()))?;
        Lock::try_take(&path)?.ok_or_else(|| {
            Error::new(ErrorKind::Temporary, "another run of this file is not over yet")
                .with("path", self.file.display())
                .hint("wait until it has ended")
        })
    }

    fn write_contract(&self) -> Result<()> {
        let path = self.folder.join(&self.contract);
        let Some(mut contract) = self.made.contract.clone() else { return Ok(()) };
        // Messages name the file in place of it, which each run writes.
        let from = self.file.display().to_string();
        contract["customProperties"] = json!([{ "property": "madeFrom", "value": from }]);
        replace_file(&path, Made::yaml(&contract).as_bytes(), 0o644)
    }
}

/// The time, or one that a test sets.
struct Clock {
    shift: SignedDuration,
}

impl Clock {
    /// Reads `CHORUS_CLOCK`: the time that it is now for this process.
    fn read() -> Result<Self> {
        let Ok(text) = std::env::var("CHORUS_CLOCK") else {
            return Ok(Self { shift: SignedDuration::ZERO });
        };
        let set: Timestamp = text.parse().map_err(|_| {
            Error::new(ErrorKind::Usage, "cannot read the variable CHORUS_CLOCK")
                .hint("write a time such as 2026-01-31T06:00:00Z, or unset it")
        })?;
        Ok(Self { shift: set.duration_since(Timestamp::now()) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.shift).unwrap_or_default()
    }
}
