//! What all openings of projects for one purpose share.

use crate::plugin::about::Programs;
use crate::warnings::Warnings;

/// What the projects share that one command or one request opens.
#[derive(Debug, Default)]
pub struct Context {
    /// Who receives the warnings.
    pub warnings: Warnings,
    /// What programs say of themselves.
    pub programs: Programs,
}

impl Context {
    /// Makes one with these warnings.
    pub fn new(warnings: Warnings) -> Self {
        Self { warnings, programs: Programs::default() }
    }
}
