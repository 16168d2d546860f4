//! What must be right before a run begins.

use lake::Datestamp;
use singer::{Error, ErrorKind, Result};

use crate::day;
use crate::project::{DAY_VARIABLES, Job, Plugin, Project, day_of, warn_once};

/// Looks at the steps of a job, for a day.
pub fn check(project: &Project, job: &Job, day: Option<Datestamp>) -> Result<()> {
    check_day(project.day()?, day, "what the variables of the project name", "the project")?;
    for step in &job.steps {
        for plugin in &step.plugins {
            let named = day_of(|name| plugin.environment.given.get(name).map(str::to_owned))?;
            check_day(named, day, "what the variables of a plugin name", &plugin.name)?;
        }
        step.plugins.iter().try_for_each(|plugin| check_variables(project, plugin))?;
        day::check(step, day)?;
    }
    Ok(())
}

/// A run has one day, wherever it is said: its record, its states and its folders name the same.
fn check_day(named: Option<Datestamp>, day: Option<Datestamp>, what: &str, of: &str) -> Result<()> {
    let Some(named) = named.filter(|named| Some(*named) != day) else { return Ok(()) };
    let day = day.map_or_else(|| "none".to_owned(), |day| day.to_string());
    Err(Error::new(ErrorKind::Usage, "cannot run for another day than the variables name")
        .with("day of the run", day)
        .with(what, named)
        .with("variables of", of)
        .hint(format!("run it for that day: chorus run ... --datestamp {named}")))
}

/// A setting that lacks its variable is left out, unless the project is strict; a day that lacks it
/// must not be.
fn check_variables(project: &Project, plugin: &Plugin) -> Result<()> {
    let lacking: Vec<&str> = plugin.missing.iter().map(String::as_str).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    if lacking.iter().any(|name| DAY_VARIABLES.contains(name)) {
        return Err(Error::new(ErrorKind::Usage, "cannot run without a day")
            .with("plugin", &plugin.name)
            .hint("give --datestamp YYYY-MM-DD, or set DATESTAMP"));
    }
    let names = lacking.join(", ");
    if project.file["ff"]["strict_env_var_mode"] == true {
        return Err(Error::new(ErrorKind::Config, "cannot run without variables of the project")
            .with("plugin", &plugin.name)
            .with("variables", names)
            .hint(
                "set them, or set `ff.strict_env_var_mode` to false to leave their settings out",
            ));
    }
    warn_once(&format!(
        "{}: settings that want {names} are left out: no such variable is set",
        plugin.name
    ));
    Ok(())
}
