//! What a program that runs pipelines gives to its runs.

use crate::observer::Observer;
use crate::pipeline::Stop;
use crate::state_lock::StateLocks;

/// What the runs of a program share.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Who may ask for their end.
    pub stop: &'a dyn Stop,
    /// Who sees what happens.
    pub observer: &'a dyn Observer,
    /// The states that they hold.
    pub locks: &'a StateLocks,
}
