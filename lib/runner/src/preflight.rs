//! What must be right before a run begins.

use std::collections::BTreeSet;

use disk::Datestamp;
use jiff::{Timestamp, ToSpan};
use project::day::DAY_VARIABLES;
use project::day::day_of;
use project::warning;
use project::{Job, Plugin, Project, Task};
use singer::{Error, ErrorKind, Result};

use crate::hook;
use crate::lake_paths;

/// Looks at the steps of a job, for a day.
pub fn check(project: &Project, job: &Job, day: Option<Datestamp>) -> Result<()> {
    check_day(project.day()?, day, "day in the variables of the project", "the project")?;
    hook::check(project, job)?;
    for step in &job.steps {
        for plugin in step.plugins() {
            let named = day_of(|name| plugin.environment.given.get(name).map(str::to_owned))?;
            check_day(named, day, "day in the variables of a plugin", &plugin.name)?;
        }
        step.plugins().iter().try_for_each(|plugin| check_variables(project, plugin))?;
        match step {
            Task::Pipeline(step) => lake_paths::check(project, step, day)?,
            Task::Command(step) => drop(step.arguments()?),
        }
    }
    Ok(())
}

/// Tells whether a day has begun nowhere on earth: it is a slip of the hand more often than meant.
pub fn is_in_future(day: Datestamp, now: Timestamp) -> bool {
    let first = now.saturating_add(14.hours()).unwrap_or(now);
    day.date() > first.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Warns of a day that was named for a run, and has not begun.
pub fn warn_of_future(project: &Project, day: Option<Datestamp>) -> Result<()> {
    if let Some(day) = day.filter(|day| is_in_future(*day, Timestamp::now())) {
        project.warnings().warn(warning!(
            "W-DAY-IN-FUTURE",
            "{day} has not begun yet: its data will count as newer than that of all days before it"
        ));
    }
    project.warnings().check()
}

/// A run has one day, wherever it is said: its record, its states and its folders name the same.
fn check_day(named: Option<Datestamp>, day: Option<Datestamp>, what: &str, of: &str) -> Result<()> {
    let Some(named) = named.filter(|named| Some(*named) != day) else { return Ok(()) };
    let day = day.map_or_else(|| "none".to_owned(), |day| day.to_string());
    Err(Error::new(ErrorKind::Usage, "the variables name another day than that of the run")
        .with("day of the run", day)
        .with(what, named)
        .with("variables of", of)
        .hint(format!("run it for that day: chorus run ... --datestamp {named}")))
}

/// A setting that lacks its variable is left out or shorter, unless the project is strict; a day
/// that lacks it must not be.
pub fn check_variables(project: &Project, plugin: &Plugin) -> Result<()> {
    let missing = &plugin.missing;
    let lacking = missing.names();
    if lacking.iter().any(|name| DAY_VARIABLES.contains(name)) {
        return Err(Error::new(ErrorKind::Usage, "cannot run without a day")
            .with("plugin", &plugin.name)
            .hint("give --datestamp YYYY-MM-DD, or set DATESTAMP"));
    }
    if !lacking.is_empty() && project.is_strict() {
        let names = lacking.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Error::new(ErrorKind::Config, "cannot run without variables of the project")
            .with("plugin", &plugin.name)
            .with("variables", names)
            .hint(
                "set them, or set `ff.strict_env_var_mode` to false to leave out the settings that \
                  use them",
            ));
    }
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    for (of, is, why) in [
        (&missing.left_out, "is left out", "no variable"),
        (&missing.shortened, "is shorter than in the file", "no variable"),
        (&missing.emptied, "is shorter than in the file", "an empty variable"),
    ] {
        for (setting, names) in of {
            project.warnings().warn_once(warning!(
                "W-PROJECT-UNUSED",
                "{}: `{setting}` {is}: {why} {} is set",
                plugin.name,
                list(names)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_in_the_future_before_it_begins_anywhere() {
        let now: Timestamp = "2026-03-28T10:00:00Z".parse().unwrap();
        for (day, expected) in [
            ("2026-03-28", false),
            ("2026-03-29", false),
            ("2026-03-30", true),
            ("2062-03-28", true),
        ] {
            assert_eq!(is_in_future(day.parse().unwrap(), now), expected, "{day}");
        }
        let before = now.saturating_sub(1.hours()).unwrap();
        assert!(is_in_future("2026-03-29".parse().unwrap(), before));
    }
}
