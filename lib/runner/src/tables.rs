//! The tables of a job's targets as a whole: what they lack, and making them so.
//!
//! A target plans and changes its tables; here its plans are asked for, put together and handed
//! back. No database is opened here.

mod document;

use std::path::Path;

use disk::{Datestamp, Lock};
use project::capture::{self, Captured};
use project::{Job, Plugin, Project, Step};
use serde_json::Value;
use singer::{Aim, Error, ErrorKind, Result};

pub use document::{PlanOfTarget, TablesPlan};

use crate::plugin_plan::{of_tap, through_mappers};
use crate::prepare;
use crate::state_names;
use crate::store;
use crate::work::WorkFolder;

/// The file of a plan that a target is given.
const PLAN: &str = "plan.json";

/// Asks the targets of a job what is to be done to their tables, which changes nothing. Returns
/// what the plugins have warned of, too.
///
/// # Errors
/// `Usage` where no target of the job has tables; what a load of the streams would fail by.
pub fn plan(
    project: &Project,
    words: &[String],
    (aim, day): (Aim, Option<Datestamp>),
) -> Result<(TablesPlan, Vec<String>)> {
    let job = Job::find(project, words)?;
    let (mut plans, mut warnings) = (Vec::new(), Vec::new());
    for step in job.pipelines().filter(|step| step.target().plans_tables()) {
        let (catalog, more) = prepare::catalog(project, step.tap())?;
        warnings.extend(more.into_iter().map(|text| format!("{}: {text}", step.tap().name)));
        let read = of_tap(project, step, None, Some(&catalog))?;
        let messages = through_mappers(project, step, &read.schemas)?;
        let flags = vec![
            format!("--schema-plan={}", aim.word()),
            "--pipeline".to_owned(),
            step.name.clone(),
        ];
        let plan = ask(project, step.target(), (flags, &messages), "plan the tables of a target")
            .map_err(|failure| failure.with("step", &step.name))?;
        let (step, target) = (step.name.clone(), step.target().name.clone());
        plans.push(PlanOfTarget { step, target, messages, plan });
    }
    if plans.is_empty() {
        return Err(without_tables(&job));
    }
    let environment = project.environment_name().map(str::to_owned);
    Ok((TablesPlan::new(words, (environment, day), plans), warnings))
}

fn without_tables(job: &Job) -> Error {
    let failure = Error::new(ErrorKind::Usage, "cannot plan tables: no target of the job has any")
        .with("job", &job.name);
    let add = |failure: Error, step: &Step| failure.with("target", &step.target().name);
    job.pipelines().fold(failure, add).hint(
        "name a job with target-postgres, or the two plugins of such a step: chorus schema plan \
         TAP TARGET",
    )
}

/// Does what a plan says, target by target; each of them changes all its tables or none. Returns
/// the number of tables that were changed.
///
/// # Errors
/// `Config` where the plan is of another project; what a target refuses. `Usage` where data would
/// be lost without `allow_drop`.
pub fn apply(project: &Project, plan: &TablesPlan, allow_drop: bool) -> Result<u64> {
    let named = project.environment_name().map(str::to_owned);
    if named != plan.environment {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        return Err(other("the plan is of another environment")
            .with("environment of the plan", name(&plan.environment))
            .with("environment of the project", name(&named))
            .hint("name that of the plan: --environment NAME"));
    }
    plan.check(allow_drop)?;
    let job = Job::find(project, &plan.words)?;
    let mut changed = 0;
    for part in &plan.plans {
        let step = job.pipelines().find(|step| step.name == part.step);
        let step = step.ok_or_else(|| {
            other("the job has no such step any more")
                .with("step", &part.step)
                .hint("make a new plan")
        })?;
        let done = apply_part(project, step, (part, allow_drop));
        changed += done.map_err(|failure| {
            let failure = failure.with("step", &part.step);
            if changed == 0 { failure } else { failure.with("tables changed before", changed) }
        })?;
    }
    Ok(changed)
}

fn other(why: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot apply the plan to this project").with("reason", why)
}

/// Has a target do what its plan says, unless another command does so.
fn apply_part(
    project: &Project,
    step: &Step,
    (part, allow_drop): (&PlanOfTarget, bool),
) -> Result<u64> {
    let target = step.target();
    let lock = state_names::lock(project, &format!("schema {}", target.name))?;
    let _held = Lock::try_take(&lock)?.ok_or_else(|| {
        Error::new(ErrorKind::Temporary, "cannot change tables: another command is changing them")
            .with("plugin", &target.name)
            .hint("wait until it has ended, and make a new plan")
    })?;
    let folder = WorkFolder::new(project)?;
    let path = folder.path().join(PLAN);
    store::write_private(&path, &serde_json::to_vec(&part.plan).unwrap_or_default())?;
    let mut flags = vec!["--schema-apply".to_owned(), path.to_string_lossy().into_owned()];
    flags.extend(allow_drop.then(|| "--allow-drop".to_owned()));
    let answer = ask(project, target, (flags, &part.messages), "change the tables of a target")?;
    Ok(answer["changed_tables"].as_u64().unwrap_or_default())
}

/// Runs a target by itself with SCHEMA messages, and returns its answer.
fn ask(
    project: &Project,
    target: &Plugin,
    (flags, messages): (Vec<String>, &str),
    what: &str,
) -> Result<Value> {
    let mut alone = prepare::alone(project, target, None, None)?;
    alone.program.arguments.extend(flags);
    let captured = capture::run(&alone.program, messages)?;
    if let Some(kind) = captured.failed {
        return Err(failed(target, kind, (&captured, what)));
    }
    serde_json::from_str(&captured.output)
        .map_err(|cause| failed(target, ErrorKind::Protocol, (&captured, what)).caused_by(cause))
}

fn failed(target: &Plugin, kind: ErrorKind, (captured, what): (&Captured, &str)) -> Error {
    let failure = Error::new(kind, format!("cannot {what}"))
        .with("plugin", &target.name)
        .with("exit", &captured.exit);
    let lines = capture::last_words(&captured.log).into_iter();
    lines.fold(failure, |failure, line| failure.with(&target.name, line))
}

/// Reads a plan from a file.
///
/// # Errors
/// `NoInput` without the file, `Data` where it has no plan.
pub fn read(path: &Path) -> Result<TablesPlan> {
    let text = std::fs::read(path).map_err(|cause| {
        let failure = Error::new(ErrorKind::NoInput, "cannot read the plan");
        failure.with("path", path.display()).caused_by(cause)
    })?;
    let plan: Result<TablesPlan, _> = serde_json::from_slice(&text);
    let refused = |reason: String| {
        Error::new(ErrorKind::Data, "cannot read the plan")
            .with("path", path.display())
            .with("reason", reason)
            .hint("name a file of `chorus schema plan JOB --output FILE`")
    };
    let plan = plan.map_err(|cause| refused(cause.to_string()))?;
    plan.check_version().map_err(refused)?;
    Ok(plan)
}
