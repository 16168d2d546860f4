//! What a schedule of the project says, found by its name.

use project::{Job, Project, Task};
use runner::schedule::Schedule;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// Returns the names of the plugins of a schedule that have something to install.
pub fn plugins(project: &Project, name: &str) -> Result<Vec<String>> {
    let entry = find(project, name).ok_or_else(|| unknown(project, name))?;
    let schedule = Schedule::read(&project.root, entry)?;
    let job = Job::find(project, &schedule.words)?;
    let plugins = job.steps.iter().flat_map(Task::plugins);
    let installed = plugins.filter(|plugin| plugin.installation.is_some());
    Ok(installed.map(|plugin| plugin.name.clone()).collect())
}

/// Returns the variables that a schedule sets for its runs.
pub fn variables(project: &Project, name: &str) -> Result<Value> {
    let entry = find(project, name).ok_or_else(|| unknown(project, name))?;
    Ok(entry["env"].clone())
}

/// Returns the entry of a schedule.
pub fn find<'a>(project: &'a Project, name: &str) -> Option<&'a Value> {
    project.schedules().iter().find(|entry| entry["name"] == name)
}

/// Makes the failure of a name that no schedule has.
pub fn unknown(project: &Project, name: &str) -> Error {
    let names = project.schedules().iter().filter_map(|entry| entry["name"].as_str());
    let known: Vec<String> = names.map(str::to_owned).collect();
    let failure = Error::new(ErrorKind::Usage, "cannot find the schedule").with("name", name);
    match project::names::nearest(name, &known) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`chorus schedule list` lists the schedules"),
    }
}
