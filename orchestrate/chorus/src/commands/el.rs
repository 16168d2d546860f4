//! `chorus el --dump`: the files of a pipeline.

use project::Project;
use runner::options::Options;
use runner::state_names::state_id;
use runner::state_stores::States;
use runner::{prepare, states};
use serde_json::Value;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::{DumpOfPipeline, RunArgs};
use crate::commands::{pretty, what};

/// Prints a file that the pipeline would be run with.
pub fn dump(
    project: &Project,
    args: &RunArgs,
    options: &Options,
    file: DumpOfPipeline,
) -> Result<()> {
    let job = what::job(project, &args.what, options)?;
    let Some(step) = job.pipelines().next() else {
        return Err(Error::new(ErrorKind::Usage, "cannot find a tap and a target")
            .hint("chorus el TAP TARGET"));
    };
    let settings = |config: &serde_json::Map<String, Value>| Value::Object(config.clone());
    let value = match file {
        DumpOfPipeline::ExtractorConfig => settings(&step.tap().config),
        DumpOfPipeline::LoaderConfig => settings(&step.target().config),
        DumpOfPipeline::Catalog => prepare::catalog(project, step.tap())?.0,
        DumpOfPipeline::State => {
            let id = state_id(project, options, step);
            let start = states::start(project, &States::open(project)?, options, &id, step)?;
            start.given.ok_or_else(|| {
                Error::new(ErrorKind::NoInput, "the pipeline starts without a state").with("id", id)
            })?
        }
    };
    print(&pretty(&value))
}
