//! What a run would do, without doing it.

use std::path::{Path, PathBuf};

use disk::Datestamp;
use project::{CommandStep, Job, Plugin, Project, Step, Task};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::lake_paths::{self, day_written};
use crate::options::Options;
use crate::plugin_plan::{self, PluginPlan};
use crate::prepare;
use crate::selection::{Selected, selected};
use crate::state_names::state_id;
use crate::state_stores::States;
use crate::states;

/// What a run of a job would do.
#[derive(Debug, JsonSchema, Serialize)]
pub struct JobPlan {
    /// The job, in words.
    pub job: String,
    /// The environment.
    pub environment: Option<String>,
    /// The day, if it is for one.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub datestamp: Option<Datestamp>,
    /// Its steps, in their order.
    pub steps: Vec<StepPlan>,
}

/// What a step would do.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StepPlan {
    /// The names of its plugins.
    pub step: String,
    /// The command line, where it runs a command, with variables by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its state; a command has none.
    pub state: Option<StatePlan>,
    /// The plugins, in the order of the pipe.
    pub plugins: Vec<PluginUse>,
    /// The streams that its tap would read.
    pub streams: Vec<StreamPlan>,
    /// Where it would write, as far as that is known.
    pub writes: Option<String>,
    /// What its tap says it would read: `{"stream": ..., "steps": [...]}` each.
    pub reads: Vec<Value>,
    /// What its target says it would do, likewise.
    pub loads: Vec<Value>,
    /// What there is to look at before it is run.
    pub warnings: Vec<String>,
}

/// The state that a step would start from.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StatePlan {
    /// Its name.
    pub id: String,
    /// Whether it has bookmarks; without, all is read.
    pub used: bool,
}

/// A plugin, and how it is set: a secret may stand in any setting, so their values are not here.
#[derive(Debug, JsonSchema, Serialize)]
pub struct PluginUse {
    /// The name in the project.
    pub plugin: String,
    /// `extractor`, `mapper`, `loader`, `transformer` or `utility`.
    pub role: String,
    /// The program.
    pub executable: PathBuf,
    /// The names of the settings that are set.
    pub settings: Vec<String>,
}

/// A stream that would be read, as the catalog has it.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StreamPlan {
    /// Its name.
    pub stream: Value,
    /// The columns.
    pub columns: Vec<String>,
    /// The keys.
    pub keys: Value,
    /// The replication method.
    pub replication_method: Value,
    /// The column that bookmarks are made of.
    pub replication_key: Value,
    /// How many rows there may be.
    pub rows: Value,
}

/// Plans a job; returns with the plan the first thing that would make a run fail. `note` hears why
/// a state that is there is not used.
///
/// # Errors
/// When the plan cannot be made; what would make the run fail is returned beside it.
pub fn of_job(
    project: &Project,
    job: &Job,
    options: &Options,
    note: &dyn Fn(&str),
) -> Result<(JobPlan, Option<Error>)> {
    let planning = Planning { project, options, note };
    let mut failure = None;
    let mut steps = Vec::new();
    for (at, step) in job.steps.iter().enumerate() {
        let mut findings = Findings::default();
        steps.push(match step {
            Task::Pipeline(step) => planning.step(step, at > 0, &mut findings)?,
            Task::Command(step) => planning.command(step, &mut findings),
        });
        failure = failure.or(findings.failure.map(|failure| failure.with("step", step.name())));
    }
    let environment = project.environment_name().map(str::to_owned);
    let (job, datestamp) = (job.name.clone(), options.datestamp);
    Ok((JobPlan { job, environment, datestamp, steps }, failure))
}

struct Planning<'a> {
    project: &'a Project,
    options: &'a Options,
    note: &'a dyn Fn(&str),
}

impl Planning<'_> {
    /// Plans a step; `follows` where there are steps before it, which may make what it lacks.
    fn step(&self, step: &Step, follows: bool, findings: &mut Findings) -> Result<StepPlan> {
        let Self { project, options, note } = *self;
        let id = state_id(project, options, step);
        let start = states::start(project, &States::open(project)?, options, &id, step)?;
        if let Some(why) = &start.why {
            note(why);
        }
        let state = start.given;
        step.plugins.iter().for_each(|plugin| self.look_at(plugin, &plugin.executable, findings));
        if let Err(failure) = lake_paths::check(project, step, options.datestamp) {
            findings.fail(one_line(&failure), failure);
        }
        let (mut streams, mut reads, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        match prepare::catalog(project, step.tap()) {
            Ok((catalog, more)) => {
                for warning in more {
                    findings.warn(format!("{}: {warning}", step.tap().name));
                }
                streams = selected(&catalog).iter().map(StreamPlan::of).collect();
                let planned = plugin_plan::of_tap(project, step, state.as_ref(), Some(&catalog));
                let planned = plan_or_failure(step.tap(), planned, findings);
                if step.tap().plans() && findings.failure.is_none() {
                    // Its settings may leave out streams that the catalog selects.
                    let read = |stream: &StreamPlan| {
                        planned.streams.iter().any(|one| one["stream"] == stream.stream)
                    };
                    streams.retain(read);
                }
                let target = plugin_plan::of_target(project, step, &planned.schemas);
                loads = plan_or_failure(step.target(), target, findings).streams;
                reads = planned.streams;
            }
            Err(failure) => {
                let text = format!("{}: {}", step.tap().name, one_line(&failure));
                if failure.kind() == ErrorKind::NoInput && follows {
                    findings.warn(text + "; an earlier step may create it");
                } else {
                    findings.fail(text, failure);
                }
            }
        }
        let bookmarks = state.as_ref().map(|state| &state["bookmarks"]);
        let used = bookmarks.is_some_and(|all| all.as_object().is_none_or(|all| !all.is_empty()));
        Ok(StepPlan {
            step: step.name.clone(),
            command: None,
            state: Some(StatePlan { id, used }),
            plugins: step.plugins.iter().map(PluginUse::of).collect(),
            streams,
            writes: writes(project, step),
            reads,
            loads,
            warnings: std::mem::take(&mut findings.warnings),
        })
    }
}

impl Planning<'_> {
    /// Plans a command: it is not known what it would do.
    fn command(&self, step: &CommandStep, findings: &mut Findings) -> StepPlan {
        self.look_at(&step.plugin, step.executable(), findings);
        if let Err(failure) = step.arguments() {
            findings.fail(one_line(&failure), failure);
        }
        StepPlan {
            step: step.name.clone(),
            command: Some(step.written()),
            state: None,
            plugins: vec![PluginUse {
                executable: step.executable().clone(),
                ..PluginUse::of(&step.plugin)
            }],
            streams: Vec::new(),
            writes: None,
            reads: Vec::new(),
            loads: Vec::new(),
            warnings: std::mem::take(&mut findings.warnings),
        }
    }

    /// Looks for the program of a plugin, and for variables that it lacks.
    fn look_at(&self, plugin: &Plugin, executable: &Path, findings: &mut Findings) {
        if !executable.is_file() {
            let path = executable.display();
            let missing = std::io::ErrorKind::NotFound.into();
            let failure = prepare::program(self.project, plugin, vec![]).not_started(missing);
            findings.fail(format!("{}: there is no program {path}", plugin.name), failure);
        }
        if !plugin.missing.names().is_empty() {
            let names: Vec<&str> = plugin.missing.names().into_iter().collect();
            findings.warn(format!("{}: no value for {}", plugin.name, names.join(", ")));
        }
    }
}

/// What there is to say of a step.
#[derive(Default)]
struct Findings {
    warnings: Vec<String>,
    /// The first thing that would make a run fail.
    failure: Option<Error>,
}

impl Findings {
    fn warn(&mut self, text: String) {
        // A plugin warns of the same when it is asked again.
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    fn fail(&mut self, text: String, failure: Error) {
        self.warn(text);
        self.failure.get_or_insert(failure);
    }
}

/// Takes over what a plugin has warned of, or that it cannot tell.
fn plan_or_failure(
    plugin: &Plugin,
    planned: Result<PluginPlan>,
    findings: &mut Findings,
) -> PluginPlan {
    match planned {
        Ok(planned) => {
            for warning in &planned.warnings {
                findings.warn(format!("{}: {warning}", plugin.name));
            }
            planned
        }
        Err(failure) => {
            findings.fail(one_line(&failure), failure);
            PluginPlan::default()
        }
    }
}

/// Tells where a step writes: the folder of a day, or the tables of a schema.
fn writes(project: &Project, step: &Step) -> Option<String> {
    if let Some((root, source, day)) = day_written(project, step) {
        let source = disk::name::encode(&source);
        return Some(format!("{}/source={source}/extracted_at={day}/", root.display()));
    }
    let schema = step.target().config.get("default_target_schema")?.as_str()?;
    Some(format!("tables of schema {schema}"))
}

impl PluginUse {
    fn of(plugin: &Plugin) -> Self {
        Self {
            plugin: plugin.name.clone(),
            role: plugin.role.to_string(),
            executable: plugin.executable.clone(),
            settings: plugin.config.keys().cloned().collect(),
        }
    }
}

impl StreamPlan {
    fn of(stream: &Selected<'_>) -> Self {
        Self {
            stream: stream.entry["stream"].clone(),
            columns: stream.columns.iter().map(|name| (*name).to_owned()).collect(),
            keys: stream.keys().clone(),
            replication_method: stream.value_of("replication-method").clone(),
            replication_key: stream.value_of("replication-key").clone(),
            rows: stream.value_of("row-count").clone(),
        }
    }
}

/// Returns a failure in one line.
pub fn one_line(failure: &Error) -> String {
    let rest: Vec<String> =
        failure.context_pairs().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{} ({})", failure.message(), rest.join("; "))
}
