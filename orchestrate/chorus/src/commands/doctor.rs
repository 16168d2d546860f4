//! `chorus doctor`: what stands in the way of a run, and the command that mends it.

mod grants;
mod plugin;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;

use disk::Datestamp;
use project::names::counted;
use project::{Job, Misspelled, Plugin, Project, Task, names_in_tasks};
use runner::history::{self, PastRun};
use runner::hook;
use runner::lake_paths;
use runner::record::RunStatus;
use runner::schedule::Schedule;
use runner::state_stores::States;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

pub use grants::grants;
use report::Report;

/// Looks at the project, its plugins and what they reach, or at those of a job alone; fails when
/// something has to be mended.
pub fn doctor(project: &Project, day: Option<Datestamp>, words: &[String]) -> Result<()> {
    let mut report = Report::default();
    let environment = project.environment_name().unwrap_or("none");
    report.good(&format!("project {}, environment {environment}", project.root.display()));
    if words.is_empty() {
        let used = used(project);
        let words = project.job_names().into_iter().map(|name| vec![name]);
        let following: BTreeSet<String> =
            words.flat_map(|words| following(project, &words)).collect();
        for name in project.plugin_names() {
            report.is_unused = used.as_ref().is_some_and(|used| !used.contains(&name));
            report.follows = following.contains(&name);
            look_at(project, &name, &mut report);
        }
        misspelled(
            project,
            |plugin| used.as_ref().is_none_or(|used| used.contains(plugin)),
            &mut report,
        );
        (report.is_unused, report.follows) = (false, false);
        for name in project.job_names() {
            job(project, day, &[name], &mut report);
        }
        schedules(project, &mut report);
        for difference in project::plugin::differences(project) {
            report.note(&difference);
        }
    } else {
        let following = following(project, words);
        for name in plugins_of(project, words).unwrap_or_default() {
            report.follows = following.contains(&name);
            look_at(project, &name, &mut report);
        }
        report.follows = false;
        let named = plugins_of(project, words).unwrap_or_default();
        misspelled(project, |plugin| named.iter().any(|name| name == plugin), &mut report);
        job(project, day, words, &mut report);
    }
    states(project, &mut report);
    report.room(&project.root);
    clock(&mut report);
    print(&(report.lines.join("\n") + "\n"))?;
    if report.faults == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "chorus doctor found faults").with("findings", report.faults))
}

fn look_at(project: &Project, name: &str, report: &mut Report) {
    match in_pipeline(project, name).map_or_else(|| Plugin::find(project, name), Ok) {
        Ok(plugin) => plugin::look_at(project, &plugin, report),
        Err(failure) => report.failure(name, &failure, "correct meltano.yml"),
    }
}

/// Returns a plugin that has settings by what the plugins before it are, as the first job has it.
fn in_pipeline(project: &Project, name: &str) -> Option<Plugin> {
    let alone = Plugin::find(project, name).ok()?;
    if alone.missing.names().is_empty() {
        return Some(alone);
    }
    let jobs = project.job_names().into_iter();
    let steps = jobs.filter_map(|job| Job::find(project, &[job]).ok()).flat_map(|job| job.steps);
    steps.flat_map(|step| step.plugins().to_vec()).find(|plugin| plugin.name == name)
}

/// Returns the names of the plugins of a job, or of a pipeline, each once.
fn plugins_of(project: &Project, words: &[String]) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for plugin in Job::find(project, words)?.steps.iter().flat_map(Task::plugins) {
        if !names.contains(&plugin.name) {
            names.push(plugin.name.clone());
        }
    }
    Ok(names)
}

/// Returns the names of the taps of a job that read a folder which an earlier step of it writes.
fn following(project: &Project, words: &[String]) -> BTreeSet<String> {
    let steps = Job::find(project, words).map_or(Vec::new(), |job| job.steps);
    let steps = steps.iter().filter_map(Task::pipeline);
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut names = BTreeSet::new();
    for step in steps {
        let tap = step.tap();
        if folders.iter().any(|folder| lake_paths::reads_folder(project, tap, folder)) {
            names.insert(tap.name.clone());
        }
        folders.extend(lake_paths::output(step.target()).map(|path| project.root.join(path)));
    }
    names
}

/// Returns the words that jobs and schedules name plugins by; `None` in a project without either,
/// whose plugins are run by their names.
fn used(project: &Project) -> Option<BTreeSet<String>> {
    let (jobs, schedules) = (project.jobs(), project.schedules());
    if jobs.is_empty() && schedules.is_empty() {
        return None;
    }
    let mut used = BTreeSet::new();
    for job in jobs {
        used.extend(names_in_tasks(&job["tasks"]));
    }
    for schedule in schedules {
        for key in ["job", "extractor", "loader"] {
            used.extend(names_in_tasks(&schedule[key]));
        }
    }
    Some(used)
}

/// Tells of keys that are almost ones that a run goes by. A run goes on without them, as Meltano
/// does, and may do something else than is wanted: without `select`, it reads everything.
fn misspelled(project: &Project, is_used: impl Fn(&str) -> bool, report: &mut Report) {
    for Misspelled { plugin, text, meant } in project.misspelled() {
        report.is_unused = plugin.as_deref().is_some_and(|plugin| !is_used(plugin));
        let what = plugin.as_deref().unwrap_or("meltano.yml");
        let mend = format!(
            "write `{meant}`; `chorus run ... --deny-warnings W-PROJECT-UNUSED` has a run fail for \
             such a key"
        );
        report.fault(what, &text, &mend);
    }
    report.is_unused = false;
}

/// Looks at a job.
fn job(project: &Project, day: Option<Datestamp>, words: &[String], report: &mut Report) {
    let what = format!("job {}", words.join(" "));
    let found = Job::find(project, words);
    let steps = match found.and_then(|job| hook::check(project, &job).map(|()| job.steps)) {
        Ok(steps) => steps,
        Err(failure) => {
            let of_jobs = || "correct `jobs` in meltano.yml".to_owned();
            return report.failure(&what, &failure, &mend(&failure).unwrap_or_else(of_jobs));
        }
    };
    for step in steps.iter().filter_map(Task::pipeline) {
        let names = step.target().missing.names();
        if day.is_none() && !names.is_empty() && lake_paths::takes_today(step) {
            // Its day is a variable that a run cannot go without.
            report.note(&untried(&what, &names));
        } else if let Err(failure) = lake_paths::check(project, step, day) {
            report.failure(&what, &failure, "correct meltano.yml");
        }
    }
}

/// Says what to correct where a job cannot be used for a value of one of its plugins.
fn mend(failure: &Error) -> Option<String> {
    let setting = failure.context("setting").map(|name| format!("`{name}`"));
    let value = setting.or_else(|| Some(failure.context("variable")?.to_owned()))?;
    let of = failure.context("plugin").map_or(String::new(), |plugin| format!(" of {plugin}"));
    let line = failure.context("line").map_or(String::new(), |line| format!(", line {line}"));
    Some(format!("correct {value}{of} in meltano.yml{line}"))
}

/// Looks at the schedules, and at the pipelines that they name.
fn schedules(project: &Project, report: &mut Report) {
    let names = project.job_names();
    for entry in project.schedules() {
        let what = format!("schedule {}", entry["name"].as_str().unwrap_or_default());
        let found = Schedule::read(&project.root, entry);
        let done = found.and_then(|found| match found.words.as_slice() {
            // What is wrong in a job was told of the job.
            [job] if names.contains(job) => Ok(()),
            words => Job::find(project, words).map(drop),
        });
        if let Err(failure) = done {
            report.failure(&what, &failure, "correct `schedules` in meltano.yml");
        }
        if entry["job"].is_null() && entry["transform"].is_null() {
            report.note(&format!(
                "{what}: Meltano cannot read a schedule with `extractor` and `loader` that has no \
                 `transform`; `chorus` can\n      fix: add `transform: skip`"
            ));
        }
    }
}

/// Says which variables are to be set to have the day of a job tried.
fn untried(what: &str, names: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = names.iter().copied().collect();
    let (wanted, set) = (names.join(", "), names.join("=... "));
    format!(
        "{what}: its day was not tried because {wanted} is not set; {set}=... chorus doctor \
             tries it"
    )
}

fn states(project: &Project, report: &mut Report) {
    kept_states(project, report);
    let Ok(history) = history::History::read(project) else { return };
    let died = |PastRun { folder, record }: &&PastRun| {
        record.status == RunStatus::Running && !history::is_alive(project, folder, record)
    };
    let died = history.all().into_iter().filter(died).count();
    if died > 0 {
        let runs = counted(died, "run was", "runs were");
        report.note(&format!("{runs} killed: `chorus runs` lists them"));
    }
}

/// Says where the states are, and which of them cannot be read.
fn kept_states(project: &Project, report: &mut Report) {
    let opened = States::open(project).and_then(|states| Ok((states.state_ids()?, states)));
    let (ids, states) = match opened {
        Ok(opened) => opened,
        Err(failure) => return report.failure("states", &failure, "correct where they are kept"),
    };
    if states.are_of_meltano() {
        let count = counted(ids.len(), "state is", "states are");
        report.good(&format!("{count} in {}", states.name()));
    }
    for id in ids {
        if let Err(failure) = states.state(&id) {
            let path = failure.context("path").unwrap_or_default();
            let mend = format!("restore a copy of {path}, or: chorus state clear '{id}'");
            if failure.has_hint() && path.is_empty() {
                report.failure(&id, &failure, &mend);
            } else {
                report.fault(&id, failure.message(), &mend);
            }
        }
    }
}

/// A clock far behind gives files and runs names that sort wrong.
fn clock(report: &mut Report) {
    let now = jiff::Timestamp::now();
    let text = format!("the clock says {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
    if now.as_second() < 1_767_225_600 {
        report.fault("clock", &text, "set it: timedatectl set-ntp true");
    } else {
        report.good(&text);
    }
}
