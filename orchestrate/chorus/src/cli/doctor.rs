//! The arguments of `chorus doctor`.

use clap::Args;

use crate::complete;

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look only at this job, or at these plugins
    #[arg(value_name = super::PIPELINE, add = complete::pipelines())]
    pub words: Vec<String>,
    /// Print only the rights that users of databases lack, as SQL (with PLUGIN: those of one)
    #[arg(long, value_name = "PLUGIN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", add = complete::plugins())]
    pub grants: Option<String>,
}
