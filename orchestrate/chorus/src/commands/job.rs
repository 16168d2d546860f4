//! `chorus job`: lists the jobs of the project and changes them.

use project::edit::Part;
use project::source::tasks;
use project::{Job, Project, Source, warning};
use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::edits::{JobCommand, ListFormat};
use crate::commands::pretty;
use crate::commands::spelling::python;

/// Does what the command says.
pub fn job(project: &Project, command: JobCommand) -> Result<()> {
    match command {
        JobCommand::List { name, format } => list(project, name.as_deref(), format),
        JobCommand::Add { name, tasks } => {
            if find(project, &name).is_some() {
                return Err(Error::new(ErrorKind::Usage, "a job of this name is there already")
                    .with("job", &name)
                    .hint(format!("to replace its tasks: chorus job set {name} --tasks ...")));
            }
            let tasks = checked(project, &name, &tasks)?;
            put(project, &name, &tasks, true)?;
            print(&format!("Added job {name}: {}\n", python(&tasks)))
        }
        JobCommand::Set { name, tasks } => {
            find(project, &name).ok_or_else(|| unknown(project, &name))?;
            let tasks = checked(project, &name, &tasks)?;
            put(project, &name, &tasks, false)?;
            print(&format!("Updated job {name}: {}\n", python(&tasks)))
        }
        JobCommand::Remove { name } => {
            find(project, &name).ok_or_else(|| unknown(project, &name))?;
            let mut source = Source::open(&project.root)?;
            source.remove(path(&name))?;
            source.write(project.warnings())?;
            let uses = |entry: &&Value| entry["job"] == name.as_str();
            for schedule in project.schedules().iter().filter(uses) {
                let schedule = schedule["name"].as_str().unwrap_or_default();
                project.warnings().warn(warning!(
                    "W-PROJECT-UNUSED",
                    "the schedule {schedule} still names the job {name}: `chorus schedule remove \
                     {schedule}` removes it, `chorus schedule set {schedule} --job ...` changes it"
                ));
            }
            print(&format!("Removed job '{name}'.\n"))
        }
    }
}

fn list(project: &Project, name: Option<&str>, format: ListFormat) -> Result<()> {
    let one = |job: &Value| json!({ "job_name": job["name"], "tasks": job["tasks"] });
    let line = |job: &Value| {
        let tasks = &job["tasks"];
        let tasks = tasks.as_str().map_or_else(|| python(tasks), str::to_owned);
        format!("{}: {tasks}\n", job["name"].as_str().unwrap_or_default())
    };
    let named = match name {
        Some(name) => Some(find(project, name).ok_or_else(|| unknown(project, name))?),
        None => None,
    };
    print(&match (format, named) {
        (ListFormat::Json, Some(job)) => pretty(&one(job)),
        (ListFormat::Json, None) => {
            let jobs: Vec<Value> = project.jobs().iter().map(one).collect();
            pretty(&json!({ "jobs": jobs }))
        }
        (ListFormat::Text, Some(job)) => line(job),
        (ListFormat::Text, None) => project.jobs().iter().map(line).collect(),
    })
}

fn find<'a>(project: &'a Project, name: &str) -> Option<&'a Value> {
    project.jobs().iter().find(|job| job["name"] == name)
}

fn path(name: &str) -> Vec<Part> {
    vec!["jobs".into(), Part::Named { name: name.to_owned() }]
}

fn put(project: &Project, name: &str, tasks: &Value, is_new: bool) -> Result<()> {
    let mut source = Source::open(&project.root)?;
    if is_new {
        source.put(path(name), json!({ "name": name, "tasks": tasks }))?;
    } else {
        source.put([path(name), vec!["tasks".into()]].concat(), tasks.clone())?;
    }
    source.write(project.warnings()).map(drop)
}

/// Reads tasks, and refuses those that cannot run.
fn checked(project: &Project, name: &str, text: &str) -> Result<Value> {
    let tasks = tasks(text).map_err(|failure| failure.of_kind(ErrorKind::Usage))?;
    Job::check(project, name, &tasks)?;
    Ok(tasks)
}

fn unknown(project: &Project, name: &str) -> Error {
    let failure = Error::new(ErrorKind::Usage, "cannot find the job").with("job", name);
    match project::names::nearest(name, &project.job_names()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`chorus job list` lists the jobs"),
    }
}
