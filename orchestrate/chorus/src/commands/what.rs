//! What a command runs or plans: a job, with the part of it that is to be read.

use project::{Job, Project};
use runner::options::Options;
use runner::params::Params;
use runner::part;
use singer::Result;
use singer::output::print;

use crate::cli::WhatArgs;

/// Returns the job that is named, with the part of it that is to be read.
pub fn job(project: &Project, what: &WhatArgs, options: &Options) -> Result<Job> {
    let mut job = Job::find(project, &what.words)?;
    part::take(project, &mut job, options)?;
    Ok(job)
}

/// Prints what a run takes, as `--params` reads it.
pub fn print_params(params: &Params) -> Result<()> {
    let text = serde_json::to_string_pretty(&params.shown()).unwrap_or_default();
    print(&(text + "\n"))
}
