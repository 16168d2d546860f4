//! `chorus schedule list|add|set|remove|run`: the schedules of the project as they are written.

use project::edit::Part;
use project::spelled::settle;
use project::{Job, Project, Source, warning};
use runner::options::Options;
use runner::preflight;
use runner::schedule::Schedule;
use serde_json::{Map, Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::edits::{ListFormat, ScheduleWhat};
use crate::commands::pretty;
use crate::commands::run::{Shown, run_job};
use crate::commands::schedule_entry::{find, unknown};
use crate::commands::spelling::python;

/// What Meltano has words for, as cron has it.
const CRON: [(&str, Option<&str>); 8] = [
    ("@once", None),
    ("@manual", None),
    ("@none", None),
    ("@hourly", Some("0 * * * *")),
    ("@daily", Some("0 0 * * *")),
    ("@weekly", Some("0 0 * * 0")),
    ("@monthly", Some("0 0 1 * *")),
    ("@yearly", Some("0 0 1 1 *")),
];

/// Lists the schedules.
pub fn list(project: &Project, format: ListFormat) -> Result<()> {
    let tasks = |name: &Value| {
        let found = project.jobs().iter().find(|job| job["name"] == *name);
        found.map_or(Value::Null, |job| job["tasks"].clone())
    };
    if format == ListFormat::Json {
        let (mut jobs, mut pipelines) = (Vec::new(), Vec::new());
        for entry in project.schedules() {
            let interval = entry["interval"].as_str().unwrap_or_default();
            let cron = CRON.iter().find(|(word, _)| *word == interval);
            let cron = cron.map_or(Some(interval), |(_, cron)| *cron);
            let mut env = if entry["env"].is_object() { entry["env"].clone() } else { json!({}) };
            settle(&mut env)?;
            let shared = json!({
                "name": entry["name"], "interval": entry["interval"], "cron_interval": cron,
                "env": env,
            });
            let Value::Object(mut shared) = shared else { continue };
            if entry["job"].is_string() {
                let job = json!({ "name": entry["job"], "tasks": tasks(&entry["job"]) });
                shared.insert("job".to_owned(), job);
                jobs.push(shared);
            } else {
                let transform = entry["transform"].as_str().unwrap_or("skip");
                let [name, tap, target] =
                    ["name", "extractor", "loader"].map(|key| entry[key].as_str().unwrap_or(""));
                let more = json!({
                    "extractor": tap, "loader": target, "transform": transform,
                    "last_successful_run_ended_at": null,
                    "elt_args": [tap, target, format!("--transform={transform}"),
                        format!("--state-id={name}")],
                });
                shared.extend(more.as_object().cloned().unwrap_or_default());
                pipelines.push(shared);
            }
        }
        return print(&pretty(&json!({ "schedules": { "job": jobs, "elt": pipelines } })));
    }
    let line = |entry: &Value| {
        let [name, interval, job, tap, target] = ["name", "interval", "job", "extractor", "loader"]
            .map(|key| entry[key].as_str().unwrap_or_default());
        if entry["job"].is_string() {
            let tasks = tasks(&entry["job"]);
            let tasks = tasks.as_str().map_or_else(|| python(&tasks), str::to_owned);
            return format!("[{interval}] job {name}: {job} → {tasks}\n");
        }
        format!("[{interval}] elt {name}: {tap} → {target} x transforms\n")
    };
    print(&project.schedules().iter().map(line).collect::<String>())
}

/// Adds a schedule.
pub fn add(project: &Project, name: &str, what: &ScheduleWhat) -> Result<()> {
    if find(project, name).is_some() {
        return Err(Error::new(ErrorKind::Usage, "a schedule of this name is there already")
            .with("schedule", name)
            .hint(format!("to change it: chorus schedule set {name} --interval ...")));
    }
    if what.interval.is_none() {
        return Err(Error::new(ErrorKind::Usage, "cannot add a schedule without its moments")
            .hint("add --interval '@daily', or five fields as cron has them"));
    }
    let mut entry = Map::from_iter([("name".to_owned(), Value::from(name))]);
    entry.extend(members(what)?);
    if what.job.is_none() {
        // Meltano cannot read the project where this is missing.
        entry.entry("transform").or_insert_with(|| "skip".into());
    }
    let entry = Value::Object(entry);
    check(project, &entry)?;
    let mut source = Source::open(&project.root)?;
    source.put(path(name), entry)?;
    source.write(project.warnings())?;
    let (kind, interval) = match &what.job {
        Some(_) => ("job", what.interval.as_deref()),
        None => ("elt", what.interval.as_deref()),
    };
    print(&format!("Scheduled {kind} '{name}' at {}\n", interval.unwrap_or_default()))
}

/// Changes a schedule.
pub fn set(project: &Project, name: &str, what: &ScheduleWhat) -> Result<()> {
    let entry = find(project, name).ok_or_else(|| unknown(project, name))?;
    let members = members(what)?;
    if entry["job"].is_string() && (what.extractor.is_some() || what.loader.is_some())
        || entry["extractor"].is_string() && what.job.is_some()
    {
        return Err(Error::new(ErrorKind::Usage, "cannot mix --job with --extractor and --loader")
            .with("schedule", name)
            .hint("remove the schedule, and add it as the other kind"));
    }
    let mut whole = entry.clone();
    let mut source = Source::open(&project.root)?;
    for (key, value) in members {
        whole[&key] = value.clone();
        source.put([path(name), vec![Part::Key(key)]].concat(), value)?;
    }
    check(project, &whole)?;
    source.write(project.warnings())?;
    print(&format!("Updated schedule '{name}'\n"))
}

/// Removes a schedule.
pub fn remove(project: &Project, name: &str) -> Result<()> {
    find(project, name).ok_or_else(|| unknown(project, name))?;
    let mut source = Source::open(&project.root)?;
    source.remove(path(name))?;
    source.write(project.warnings())?;
    print(&format!("Removed schedule '{name}'.\n"))
}

/// Runs what a schedule runs, once; the project was opened with the variables of the schedule.
pub fn run(project: &Project, name: &str, options: &Options) -> Result<()> {
    let entry = find(project, name).ok_or_else(|| unknown(project, name))?;
    let schedule = Schedule::read(&project.root, entry)?;
    let job = Job::find(project, &schedule.words)?;
    preflight::check(project, &job, options.datestamp)?;
    let options = Options { schedule: schedule.state_name(), ..options.clone() };
    let options = schedule.flagged(options)?;
    run_job(project, &job, &options, Shown { verbose: false, as_json: false, timeout: None })
}

/// Warns that a schedule was started by the old form of the command.
pub fn warn_of_old_form(project: &Project, names: &[String]) {
    project.warnings().warn(warning!(
        "W-SCHEDULE-START",
        "`chorus schedule {0}` is an old form: write `chorus schedule start {0}`",
        names.join(" ")
    ));
}

fn members(what: &ScheduleWhat) -> Result<Vec<(String, Value)>> {
    if let Some(mode) = what.transform.as_ref().filter(|mode| *mode != "skip") {
        return Err(Error::new(ErrorKind::Usage, "cannot schedule a transformation this way")
            .with("transform", mode)
            .hint(
                "make a job with the transformation as a step: chorus job add NAME --tasks ...",
            ));
    }
    let all = [
        ("interval", &what.interval),
        ("extractor", &what.extractor),
        ("loader", &what.loader),
        ("transform", &what.transform),
        ("job", &what.job),
    ];
    let given = all.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    Ok(given.map(|(key, value)| (key.to_owned(), Value::from(value.as_str()))).collect())
}

/// Refuses a schedule that cannot run.
fn check(project: &Project, entry: &Value) -> Result<()> {
    let usage = |failure: Error| failure.of_kind(ErrorKind::Usage);
    let schedule = Schedule::read(&project.root, entry).map_err(usage)?;
    Job::find(project, &schedule.words).map(drop).map_err(usage)
}

fn path(name: &str) -> Vec<Part> {
    vec!["schedules".into(), Part::Named { name: name.to_owned() }]
}
