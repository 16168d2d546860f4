//! How a step has ended, and what the record of its run says of that.

use std::collections::BTreeSet;

use project::Step;
use serde_json::{Value, json};
use singer::Error;

use crate::observe::Observed;
use crate::place;

/// How a step has ended.
#[derive(Debug)]
pub struct StepEnd {
    /// The plugins' names.
    pub name: String,
    /// Why it failed.
    pub failure: Option<Error>,
    /// What was read.
    pub observed: Observed,
    /// The streams that its tap had to read, where that is known.
    pub reads: Option<BTreeSet<String>>,
    /// How often it was tried.
    pub attempts: usize,
    /// When it began, once no other run was at it.
    pub started: jiff::Timestamp,
    /// How long it took, tries and waits included.
    pub seconds: f64,
    /// The name of its state, and whether that moved.
    pub state: (String, bool),
    /// Its target has printed a state that could not be kept.
    pub state_lost: bool,
    /// Which rows its target has added, or may have, that no state covers.
    pub uncovered: Option<String>,
    /// Where its target writes, and whether it may have changed what is there.
    pub wrote: (String, bool),
    /// What it has replaced as a whole, if it did.
    pub replaced: Option<String>,
}

impl StepEnd {
    /// Returns what the record says of it.
    pub fn entry(&self, step: &Step) -> Value {
        let mut streams = self.observed.to_json();
        for stream in streams.as_array_mut().into_iter().flatten() {
            let name = stream["stream"].as_str().unwrap_or_default().to_owned();
            let table = place::table(step, &name);
            if table != name {
                stream["table"] = table.into();
            }
        }
        json!({
            "step": self.name,
            "status": if self.failure.is_none() { "succeeded" } else { "failed" },
            "exit": self.failure.as_ref().map_or(0, |failure| failure.kind().exit_code()),
            "attempts": self.attempts,
            "started": self.started.to_string(),
            "ended": jiff::Timestamp::now().to_string(),
            "seconds": self.seconds,
            "state_id": self.state.0,
            "state_lost": self.state_lost,
            "uncovered": self.failure.as_ref().and(self.uncovered.as_ref()),
            "into": self.wrote.0,
            "from": place::from(step),
            "wrote": self.wrote.1,
            "states": self.observed.states,
            "replaced": self.replaced,
            "streams": streams,
            "warnings": self.observed.warnings,
        })
    }
}

/// Returns why the first step that failed did.
pub fn first_failure(ends: Vec<StepEnd>) -> Option<Error> {
    ends.into_iter().find_map(|end| end.failure)
}
