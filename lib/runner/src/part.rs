//! Runs of a part: of some streams, columns, rows or days of what a job reads.
//!
//! The rule: a part stands for no whole. It moves no state of its job, is no run by which a day is
//! done, and takes the place of no day, table or file.

use disk::Datestamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use project::names::nearest;
use project::plugin::{Part, SettingRole};
use project::{Job, Plugin, Project, Step, Task, warning};
use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result};

use crate::effect;
use crate::options::Options;
use crate::state_names::state_id;

/// The option of a stream that its conditions stand in.
const CLAUSES: &str = "custom_where_clauses";

/// Has the steps of a job read what a run is given to read, and looks at the variables that it is
/// given; the project has been opened with them.
///
/// # Errors
/// `Usage` for what cannot be read by a part, or by this job.
pub fn take(project: &Project, job: &mut Job, options: &Options) -> Result<()> {
    check_inputs(project, job, options)?;
    let params = &options.params;
    if !params.is_part() {
        return Ok(());
    }
    let [Task::Pipeline(step)] = &mut job.steps[..] else {
        return Err(refuse("cannot run a part of a job with several steps")
            .with("job", &job.name)
            .hint("name one tap and one target: chorus run TAP TARGET --select ..."));
    };
    check_state(project, step, options)?;
    check_place(step)?;
    let Some(tap) = step.plugins.first_mut() else { return Ok(()) };
    tap.before_part = Some(tap.config.clone());
    let mut part = Part { select: params.select.clone(), ..Part::default() };
    if !params.select.is_empty() && !tap.can("catalog") && !tap.can("properties") {
        return Err(lacks(tap, "--select").with("missing capability", "catalog"));
    }
    if !params.conditions.is_empty() {
        let mut all = match tap.value_for(SettingRole::WhereClauses) {
            Some(Value::Object(all)) => all.clone(),
            _ => Map::new(),
        };
        for (stream, conditions) in &params.conditions {
            narrow(&mut all, stream, conditions);
            part.narrowed.insert(stream.clone());
        }
        set(tap, SettingRole::WhereClauses, Value::Object(all), "--where")?;
    }
    if let Some(days) = params.days {
        let from = first_day(options.datestamp, days)?;
        set(tap, SettingRole::StartDate, format!("{from}T00:00:00Z").into(), "--days")?;
        part.since = true;
    }
    tap.rules.part = part;
    Ok(())
}

/// Adds conditions to those that a stream has.
fn narrow(all: &mut Map<String, Value>, stream: &str, conditions: &[String]) {
    let option = all.entry(stream).or_insert_with(|| json!({}));
    let mut clauses = match option[CLAUSES].take() {
        Value::Array(clauses) => clauses,
        Value::Null => Vec::new(),
        clause => vec![clause],
    };
    clauses.extend(conditions.iter().map(|one| Value::from(one.as_str())));
    option[CLAUSES] = clauses.into();
}

fn set(tap: &mut Plugin, role: SettingRole, value: Value, flag: &str) -> Result<()> {
    if tap.setting_for(role).is_none() {
        let failure = lacks(tap, flag).with("missing setting", role.word());
        return Err(if tap.is_ours() {
            failure
        } else {
            failure.hint(format!(
                "if {} has such a setting, write its name into meltano.yml: annotations: {{chorus: \
                  {{roles: {{{}: NAME}}}}}}",
                tap.name,
                role.word()
            ))
        });
    }
    tap.set_for(role, value);
    Ok(())
}

fn lacks(tap: &Plugin, flag: &str) -> Error {
    refuse("cannot let the tap read a part").with("plugin", &tap.name).with("flag", flag)
}

/// Returns the day that lies so many days before that of a run, or before today.
fn first_day(day: Option<Datestamp>, days: u32) -> Result<Datestamp> {
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = day.map_or_else(today, Datestamp::date);
    let span = jiff::Span::new().try_days(i64::from(days));
    let first = span.and_then(|span| day.checked_sub(span));
    first.map(Datestamp::from).map_err(|cause| {
        refuse("cannot start so many days back").with("--days", days).caused_by(cause)
    })
}

/// A part has a state of its own, if it is named, and none of its job.
fn check_state(project: &Project, step: &Step, options: &Options) -> Result<()> {
    let own = state_id(project, &Options { state_id: None, ..options.clone() }, step);
    if options.state_id.as_ref() != Some(&own) {
        return Ok(());
    }
    Err(refuse("cannot store the state of a part as the state of its job")
        .with("state", own)
        .hint("give --state-id another name, or leave it out: then the part keeps no state"))
}

/// What takes the place of all that is there must be all that there is.
fn check_place(step: &Step) -> Result<()> {
    if !effect::takes_the_place(step) {
        return Ok(());
    }
    let failure = refuse("cannot replace existing data by a part of it")
        .with("step", &step.name)
        .with("target", &step.target().name);
    Err(match effect::load_method(step) {
        Some(method) => failure.with("load_method", method).hint(
            "load parts by `append-only` or `upsert`: add a target to meltano.yml that \
                 inherits from this one and sets another `load_method`",
        ),
        None => failure
            .with("effect of the target", "it replaces a day or a file by the rows of the run")
            .hint("load the part with a target that adds rows, such as target-postgres"),
    })
}

/// A value on a command line is seen by others, and kept in the record of its run.
fn check_inputs(project: &Project, job: &Job, options: &Options) -> Result<()> {
    let plugins = || job.steps.iter().flat_map(Task::plugins);
    for name in options.params.inputs.keys() {
        if let Some(plugin) = plugins().find(|plugin| plugin.environment.is_secret(name)) {
            return Err(refuse("cannot use a secret as a parameter of a run")
                .with("variable", name)
                .with("plugin", &plugin.name)
                .hint("set it in the environment of the command, or in .env"));
        }
        if !plugins().any(|plugin| plugin.environment.uses(name)) {
            let known: Vec<String> =
                plugins().flat_map(|plugin| plugin.environment.names()).cloned().collect();
            let near = nearest(name, &known);
            let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            project.warnings().warn_once(warning!(
                "W-PROJECT-UNUSED",
                "{name} is given for the run, but no setting of {} uses it{near}",
                job.name
            ));
        }
    }
    Ok(())
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_added_to_those_that_a_stream_has() {
        let check = |before: Value, expected: Value| {
            let mut all = before.as_object().unwrap().clone();
            narrow(&mut all, "a", &["x > 1".to_owned()]);
            assert_eq!(Value::Object(all), expected, "{before}");
        };
        check(json!({}), json!({"a": {CLAUSES: ["x > 1"]}}));
        check(
            json!({"a": {CLAUSES: ["y"], "other": 1}, "b": {}}),
            json!({"a": {CLAUSES: ["y", "x > 1"], "other": 1}, "b": {}}),
        );
        check(json!({"a": {CLAUSES: "y"}}), json!({"a": {CLAUSES: ["y", "x > 1"]}}));
    }

    #[test]
    fn days_are_counted_back_from_that_of_the_run() {
        let day = "2026-03-01".parse().unwrap();
        let check = |days: u32, expected: &str| {
            assert_eq!(first_day(Some(day), days).unwrap().to_string(), expected);
        };
        check(1, "2026-02-28");
        check(31, "2026-01-29");
        assert!(first_day(Some(day), u32::MAX).is_err());
    }
}
