//! The statements that remove rows from the tables of targets: the targets say them and run them.

use std::collections::BTreeSet;
use std::path::Path;

use project::capture::{self, Captured};
use project::{Plugin, Program, Project, Step};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use super::behind::{self, Carried};
use super::{Forgetting, Forgotten, Statement};
use crate::lake_paths::{writes_days, writes_files};
use crate::plugin_plan::schemas;
use crate::prepare;

/// The setting by which a target is told the rows that are to be removed.
const SETTING: &str = "forget_rows";
/// What is shown in the place of the value.
const MASK: &str = "'***'";

/// A statement of a target, and how to run it.
pub(super) struct Asked<'a> {
    asking: Asking<'a>,
    carried: Carried,
    sql: String,
    pub statement: Statement,
}

/// Returns what tells two uses of a target apart: its settings and what stands before it may depend
/// on the tap.
fn place_of(step: &Step) -> Vec<(String, String)> {
    let place =
        |plugin: &Plugin| (plugin.name.clone(), Value::from(plugin.config.clone()).to_string());
    step.plugins[1..].iter().map(place).collect()
}

/// Asks the targets for their statements, which changes nothing. What a target cannot say is among
/// the failures.
pub(super) fn ask<'a>(
    project: &'a Project,
    what: &Forgetting,
    (steps, values): (&'a [Step], &BTreeSet<String>),
    schema: Option<&Value>,
    done: &mut Forgotten,
) -> (Vec<Asked<'a>>, Vec<Error>) {
    let (mut known, mut places) = (BTreeSet::new(), BTreeSet::new());
    let (mut asked, mut failures): (Vec<Asked<'a>>, Vec<Error>) = (Vec::new(), Vec::new());
    for step in steps {
        let target = step.target();
        if writes_days(step) || !known.insert(place_of(step)) {
            continue;
        }
        if !target.forgets_rows() {
            let what = if writes_files(target) { "files" } else { "destination" };
            done.unreached.insert(format!("the {what} of {}", target.name));
            continue;
        }
        let message = schema.cloned().or_else(|| discovered(project, step, &what.stream));
        let Some(message) = message else {
            done.unreached
                .insert(format!("tables of {}: no day and no tap has the stream", target.name));
            continue;
        };
        let column = Some(what.column.clone());
        let from = Carried { schema: message, column, values: values.clone() };
        let asking = Asking { project, step };
        match asking.all(schema.is_none(), from, what, done) {
            Ok(all) => asked.extend(all.into_iter().filter(|asked| {
                let config = Value::from(asked.asking.step.target().config.clone());
                places.insert((config.to_string(), asked.sql.clone()))
            })),
            Err(failure) => failures.push(failure),
        }
    }
    (asked, failures)
}

/// Has the targets run their statements, and looks whether the rows are gone.
pub(super) fn run(asked: &mut [Asked<'_>], done: &mut Forgotten) {
    for one in asked {
        if let Err(failure) = one.run() {
            done.failures.push(failure);
        }
    }
}

/// Says of a failure that nothing was removed yet.
pub(super) fn untouched(failure: Error) -> Error {
    if failure.has_hint() {
        return failure;
    }
    failure.hint(
        "nothing was removed: correct it and run it again, or add `--keep-targets`, which leaves \
         the tables to you",
    )
}

/// Returns the SCHEMA of a stream as the tap of a step discovers it.
fn discovered(project: &Project, step: &Step, stream: &str) -> Option<Value> {
    let (catalog, _) = prepare::catalog(project, step.tap()).ok()?;
    let messages = schemas(&catalog);
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    messages.find(|message: &Value| message["stream"] == stream)
}

impl Asked<'_> {
    fn run(&mut self) -> Result<()> {
        self.asking.run(&self.sql, &self.carried)?;
        self.statement.done = true;
        let left = self.asking.ask(&self.carried)?;
        let left: u64 = left.into_iter().filter_map(|(_, rows)| rows).sum();
        if left == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, "cannot remove all rows from the table of a target")
            .with("plugin", &self.statement.target)
            .with("rows that are still there", left)
            .hint("look for triggers and policies of the table, which may keep rows"))
    }
}

#[derive(Clone, Copy)]
struct Asking<'a> {
    project: &'a Project,
    step: &'a Step,
}

impl<'a> Asking<'a> {
    /// Asks for the statements of all streams that the mappers make of a stream.
    fn all(
        self,
        of_tap: bool,
        from: Carried,
        what: &Forgetting,
        done: &mut Forgotten,
    ) -> Result<Vec<Asked<'a>>> {
        let target = &self.step.target().name;
        let mut asked = Vec::new();
        for carried in behind::through(self.project, self.step, of_tap, from)? {
            let stream = carried.stream();
            if carried.column.is_none() {
                done.unreached.insert(format!(
                    "tables of {target}: {stream} has no column by which its rows can be found"
                ));
                continue;
            }
            let statements = self.ask(&carried)?;
            if statements.is_empty() {
                done.unreached.insert(format!(
                    "tables of {target}: there is no table of {stream}, or its column cannot hold \
                     the value"
                ));
            }
            for (sql, rows) in statements {
                let shown = if what.keep_targets { sql.clone() } else { masked(&sql, &carried) };
                let target = target.clone();
                let statement = Statement { target, sql: shown, rows, done: false };
                asked.push(Asked { asking: self, carried: carried.clone(), sql, statement });
            }
        }
        Ok(asked)
    }

    /// Has the target say its statements, and how many rows each finds. The value is in a file that
    /// only this user may read.
    fn ask(self, carried: &Carried) -> Result<Vec<(String, Option<u64>)>> {
        let mut target = self.step.target().clone();
        let Some(column) = &carried.column else { return Ok(Vec::new()) };
        let rows = json!({ carried.stream(): { column: carried.values } });
        target.config.insert(SETTING.to_owned(), rows);
        // The stream is as it is behind them.
        for name in mapping::Settings::names() {
            target.config.remove(&name);
        }
        let mut alone = prepare::alone(self.project, &target, None, None)?;
        alone.program.arguments.push("--plan=json".to_owned());
        let captured = capture::run(&alone.program, &format!("{}\n", carried.schema))?;
        if let Some(kind) = captured.failed {
            return Err(self.failed(kind, &captured, carried));
        }
        let plan: Value = serde_json::from_str(&captured.output).map_err(|_| {
            Error::new(ErrorKind::Protocol, "cannot read the plan of the target")
                .with("plugin", &target.name)
        })?;
        let streams = plan["streams"].as_array().into_iter().flatten();
        let steps = streams.flat_map(|stream| {
            let rows = stream["rows"].as_u64();
            let steps = stream["steps"].as_array().into_iter().flatten();
            steps.filter_map(Value::as_str).map(move |step| (step.to_owned(), rows))
        });
        Ok(steps.collect())
    }

    /// Has the target run a statement, ahead of a load without any stream.
    fn run(self, sql: &str, carried: &Carried) -> Result<()> {
        let mut target = self.step.target().clone();
        target.config.remove("after_run_sql");
        target.config.insert("before_run_sql".to_owned(), json!([sql]));
        target.config.insert("allow_empty".to_owned(), true.into());
        let mut alone = prepare::alone(self.project, &target, None, None)?;
        let program = std::mem::replace(&mut alone.program, Program::bare(Path::new("")));
        let captured = capture::run(&program, "")?;
        match captured.failed {
            Some(kind) => Err(self.failed(kind, &captured, carried)),
            None => Ok(()),
        }
    }

    /// Makes the failure of the target, without the value: a server may repeat it.
    fn failed(self, kind: ErrorKind, captured: &Captured, carried: &Carried) -> Error {
        let name = &self.step.target().name;
        let failure = Error::new(kind, "cannot remove rows from the tables of a target")
            .with("plugin", name)
            .with("exit", &captured.exit);
        capture::last_words(&captured.log).into_iter().fold(failure, |failure, line| {
            let line = carried.values.iter().fold(line.into_owned(), |line, value| {
                if value.is_empty() { line } else { line.replace(value.as_str(), "***") }
            });
            failure.with(name, line)
        })
    }
}

/// Returns a statement without the values: what is printed may be kept in a log.
fn masked(sql: &str, carried: &Carried) -> String {
    let literals = carried.values.iter().map(|value| pg::quote_literal(value));
    literals.fold(sql.to_owned(), |sql, literal| sql.replace(literal.trim_start(), MASK))
}
