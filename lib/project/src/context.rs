//! What all openings of projects for one purpose share.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::plugin::about::Programs;
use crate::warnings::Warnings;

/// What the projects share that one command or one request opens.
#[derive(Debug)]
pub struct Context {
    /// Who receives the warnings.
    pub warnings: Warnings,
    /// What programs say of themselves.
    pub programs: Programs,
    /// The time in UTC that settings such as `3 days ago` are read at: the same for all.
    pub(crate) now: DateTime,
}

impl Default for Context {
    fn default() -> Self {
        Self::new(Warnings::default())
    }
}

impl Context {
    /// Makes one with these warnings.
    pub fn new(warnings: Warnings) -> Self {
        let now = jiff::Timestamp::now().to_zoned(TimeZone::UTC).datetime();
        Self { warnings, programs: Programs::default(), now }
    }
}
