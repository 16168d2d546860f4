//! The statements that remove rows from the tables of targets: the targets say them and run them.

use std::collections::BTreeSet;
use std::path::Path;

use project::capture::{self, Captured};
use project::{Plugin, Program, Project, Step};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use super::{Forgetting, Forgotten, Statement};
use crate::lake_paths::{day_written, writes_files};
use crate::plugin_plan::schemas;
use crate::prepare;

/// The setting by which a target is told the rows that are to be removed.
const SETTING: &str = "forget_rows";

/// Returns what tells two uses of a target apart: its settings may depend on the tap.
fn place_of(target: &Plugin) -> (String, String) {
    (target.name.clone(), Value::from(target.config.clone()).to_string())
}

/// Asks the targets for their statements, and has them run if that is asked for.
pub(super) fn statements(
    project: &Project,
    what: &Forgetting,
    (steps, values): (&[Step], &BTreeSet<String>),
    schema: Option<&Value>,
    done: &mut Forgotten,
) {
    let mut asked = BTreeSet::new();
    for step in steps {
        let target = step.target();
        if day_written(project, step).is_some() || !asked.insert(place_of(target)) {
            continue;
        }
        if !target.forgets_rows() {
            let what = if writes_files(target) { "files" } else { "destination" };
            done.unreached.insert(format!("the {what} of {}", target.name));
            continue;
        }
        let message = match schema {
            Some(schema) => Some(schema.to_string()),
            None => discovered(project, step, &what.stream),
        };
        let Some(message) = message else {
            done.unreached
                .insert(format!("tables of {}: no day and no tap has the stream", target.name));
            continue;
        };
        let asking = Asking { project, what, step, values };
        match asking.ask(&message) {
            Ok(found) => {
                for sql in found {
                    let apply = what.apply && !what.keep_targets;
                    let run = if apply { asking.run(&sql) } else { Ok(()) };
                    let was_run = apply && run.is_ok();
                    done.failures.extend(run.err());
                    let target = target.name.clone();
                    done.statements.push(Statement { target, sql, done: was_run });
                }
            }
            Err(failure) => done.failures.push(failure),
        }
    }
}

/// Returns the SCHEMA of a stream as the tap of a step discovers it.
fn discovered(project: &Project, step: &Step, stream: &str) -> Option<String> {
    let (catalog, _) = prepare::catalog(project, step.tap()).ok()?;
    let messages = schemas(&catalog);
    let is_of = |line: &&str| {
        serde_json::from_str::<Value>(line).is_ok_and(|message| message["stream"] == stream)
    };
    messages.lines().find(is_of).map(str::to_owned)
}

struct Asking<'a> {
    project: &'a Project,
    what: &'a Forgetting,
    step: &'a Step,
    values: &'a BTreeSet<String>,
}

impl Asking<'_> {
    /// Has the target say its statements. The value is in a file that only this user may read.
    fn ask(&self, schema: &str) -> Result<Vec<String>> {
        let mut target = self.step.target().clone();
        let rows = json!({ &self.what.stream: { &self.what.column: self.values } });
        target.config.insert(SETTING.to_owned(), rows);
        let mut alone = prepare::alone(self.project, &target, None, None)?;
        alone.program.arguments.push("--plan=json".to_owned());
        let captured = capture::run(&alone.program, &format!("{schema}\n"))?;
        if let Some(kind) = captured.failed {
            return Err(self.failed(kind, &captured));
        }
        let plan: Value = serde_json::from_str(&captured.output).map_err(|_| {
            Error::new(ErrorKind::Protocol, "cannot read the plan of the target")
                .with("plugin", &target.name)
        })?;
        let streams = plan["streams"].as_array().into_iter().flatten();
        let steps = streams.flat_map(|stream| stream["steps"].as_array().into_iter().flatten());
        Ok(steps.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Has the target run a statement, ahead of a load without any stream.
    fn run(&self, sql: &str) -> Result<()> {
        let mut target = self.step.target().clone();
        target.config.remove("after_run_sql");
        target.config.insert("before_run_sql".to_owned(), json!([sql]));
        target.config.insert("allow_empty".to_owned(), true.into());
        let mut alone = prepare::alone(self.project, &target, None, None)?;
        let program = std::mem::replace(&mut alone.program, Program::bare(Path::new("")));
        let captured = capture::run(&program, "")?;
        match captured.failed {
            Some(kind) => Err(self.failed(kind, &captured)),
            None => Ok(()),
        }
    }

    /// Makes the failure of the target, without the value: a server may repeat it.
    fn failed(&self, kind: ErrorKind, captured: &Captured) -> Error {
        let name = &self.step.target().name;
        let failure = Error::new(kind, "cannot remove rows from the tables of a target")
            .with("plugin", name)
            .with("exit", &captured.exit);
        capture::last_words(&captured.log).into_iter().fold(failure, |failure, line| {
            let line = self.values.iter().fold(line.into_owned(), |line, value| {
                if value.is_empty() { line } else { line.replace(value.as_str(), "***") }
            });
            failure.with(name, line)
        })
    }
}
