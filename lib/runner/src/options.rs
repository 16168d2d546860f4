//! How a run is to be made.

use disk::Datestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::params::Params;

/// How the state that a run leaves goes with the one that is there.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StateStrategy {
    /// It takes its place; streams that are not read keep their bookmarks.
    #[default]
    Auto,
    /// It is put over it, member by member, at every depth.
    Merge,
    /// It takes its place as a whole.
    Overwrite,
}

/// How a run is to be made.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// The day, for the state's name and the record.
    pub datestamp: Option<Datestamp>,
    /// Reads everything, whatever the state says.
    pub full_refresh: bool,
    /// Goes on from what an earlier try of the same run has kept, which is not done again.
    pub resumed: bool,
    /// The name of the state, in place of the one made of the plugins.
    pub state_id: Option<String>,
    /// The schedule of a tap and a target that runs it: its states have its name.
    pub schedule: Option<String>,
    /// What the names of states end with, in place of the suffix of the environment.
    pub state_id_suffix: Option<String>,
    /// Starts without a state, and keeps none.
    pub no_state_update: bool,
    /// How the state that the run leaves goes with the one that is there.
    pub state_strategy: StateStrategy,
    /// Runs a step also while Meltano's database has its job as running.
    pub force: bool,
    /// The name of the run for Meltano and other programs: a UUID.
    pub run_id: Option<String>,
    /// How often a step is tried again when a rerun helps.
    pub retries: usize,
    /// How many steps that do not need each other run at once.
    pub parallel: usize,
    /// Codes of warnings that end a step.
    pub deny: Vec<String>,
    /// The last of the days that follow this one in the same backfill.
    pub followed_to: Option<Datestamp>,
    /// What it takes beside the project.
    pub params: Params,
}

impl Options {
    /// Tells whether the run keeps no state: it is to keep none, or reads a part that has none of
    /// its own.
    pub fn keeps_no_state(&self) -> bool {
        self.no_state_update || (self.params.is_part() && self.state_id.is_none())
    }
}
