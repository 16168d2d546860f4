//! What must be right before a run begins.

use lake::Datestamp;
use singer::{Error, ErrorKind, Result};

use crate::day;
use crate::project::{Job, Plugin, Project, warn_once};

/// The variables that name the day of a run, the first one wins.
pub const DAY_VARIABLES: [&str; 2] = ["DATESTAMP", "EXTRACTED_AT"];

/// Looks at the steps of a job, for a day.
pub fn check(project: &Project, job: &Job, day: Option<Datestamp>) -> Result<()> {
    for step in &job.steps {
        step.plugins.iter().try_for_each(|plugin| check_variables(project, plugin))?;
        day::check(step, day)?;
    }
    Ok(())
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
