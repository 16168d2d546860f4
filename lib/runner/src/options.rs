//! How a run is to be made.

use disk::Datestamp;

use crate::params::Params;

/// How a run is to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The day, for the state's name and the record.
    pub datestamp: Option<Datestamp>,
    /// Reads everything, whatever the state says.
    pub full_refresh: bool,
    /// Goes on from what an earlier try of the same run has kept, which is not done again.
    pub resumed: bool,
    /// The name of the state, in place of the one made of the plugins.
    pub state_id: Option<String>,
    /// What the names of states end with, in place of the suffix of the environment.
    pub state_id_suffix: Option<String>,
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
    /// Tells whether the run keeps no state: a part does so that has none of its own.
    pub fn keeps_no_state(&self) -> bool {
        self.params.is_part() && self.state_id.is_none()
    }
}
