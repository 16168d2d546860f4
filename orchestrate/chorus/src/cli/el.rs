//! The arguments of `chorus el` and `elt`: a run of one tap and one target by Meltano's flags.

use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;
use singer::{Error, ErrorKind, Result};

use super::meltano::{self, MeltanoFlags};
use super::{HowArgs, ParamsArgs, RunArgs, WhatArgs};
use crate::complete;

/// What to run, and how.
#[derive(Debug, Args)]
pub struct ElArgs {
    /// The tap
    #[arg(value_name = "TAP", add = complete::taps())]
    pub extractor: String,
    /// The target
    #[arg(value_name = "TARGET", add = complete::targets())]
    pub loader: String,
    /// Use the state of this id; without it, a state that no later run finds
    #[arg(long, value_name = "ID", add = complete::states())]
    pub state_id: Option<String>,
    /// Read only these streams of those that are selected; repeatable
    #[arg(long, short, value_name = "STREAM", value_hint = ValueHint::Other)]
    pub select: Vec<String>,
    /// Leave out these streams (also `-e`); repeatable
    #[arg(long, value_name = "STREAM", value_hint = ValueHint::Other)]
    pub exclude: Vec<String>,
    /// Use the catalog in this file
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<String>,
    /// Start from the state in this file
    #[arg(long, value_name = "FILE")]
    pub state: Option<String>,
    /// Print this file of the pipeline, with its secrets, and run nothing
    #[arg(long, value_enum, value_name = "FILE")]
    pub dump: Option<DumpOfPipeline>,
    /// Show what the run would do, and run nothing
    #[arg(long, alias = "dry-run")]
    pub dry: bool,
    /// Only `skip` is done
    #[arg(long, value_enum, value_name = "WORD", hide = true)]
    pub transform: Option<Transform>,
    /// The day: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY", add = complete::days())]
    pub datestamp: Option<String>,
    /// How
    #[command(flatten)]
    pub how: HowArgs,
    /// Flags of Meltano
    #[command(flatten)]
    pub meltano: MeltanoFlags,
    /// Print the record of the run as JSON
    #[arg(long)]
    pub json: bool,
}

/// A file of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DumpOfPipeline {
    /// The catalog of the tap
    Catalog,
    /// The state that the tap starts from
    State,
    /// The settings of the tap
    ExtractorConfig,
    /// The settings of the target
    LoaderConfig,
}

/// What is done after the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transform {
    /// Nothing
    Skip,
    /// Only a transformation
    Only,
    /// A transformation
    Run,
}

impl ElArgs {
    /// Returns the same as a run.
    ///
    /// # Errors
    /// `Config` for a transformation, `Usage` for variables that cannot be read.
    pub fn into_run(self) -> Result<(RunArgs, Option<DumpOfPipeline>)> {
        let (tap, target) = (&self.extractor, &self.loader);
        if self.transform.is_some_and(|word| word != Transform::Skip) {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot run a transformation by --transform",
            )
            .hint(format!("run dbt as a step: chorus run {tap} {target} dbt-postgres:run")));
        }
        let mut inputs = Vec::new();
        let mut set = |extra: &str, value: String| {
            inputs.push(format!("{}__{extra}={value}", project::plugin::variable_name(tap)));
        };
        let out = self.exclude.iter().map(|stream| format!("!{stream}"));
        let filter: Vec<String> = self.select.iter().cloned().chain(out).collect();
        if !filter.is_empty() {
            set("SELECT_FILTER", json!(filter).to_string());
        }
        self.catalog.into_iter().for_each(|path| set("CATALOG", path));
        self.state.into_iter().for_each(|path| set("STATE", path));
        let state_id = self.state_id.or_else(|| meltano::variable("MELTANO_STATE_ID"));
        let state_id = state_id.unwrap_or_else(|| {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H%M%S%.3f");
            let id = format!("{now}--{tap}--{target}");
            tracing::warn!(
                "no --state-id is given: the state is kept as {id}, and the next run starts \
                 without it"
            );
            id
        });
        let mut how = self.how;
        how.full_refresh |= meltano::is_set("MELTANO_RUN_FULL_REFRESH")?;
        let run = RunArgs {
            what: WhatArgs {
                words: vec![self.extractor, self.loader],
                datestamp: self.datestamp,
                state_id: Some(state_id),
                state_id_suffix: None,
                params: ParamsArgs { inputs, ..ParamsArgs::default() },
            },
            how,
            meltano: self.meltano,
            no_state_update: false,
            timeout: None,
            parallel: 1,
            dry_run: self.dry,
            json: self.json,
        };
        Ok((run, self.dump))
    }
}
