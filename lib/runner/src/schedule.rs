//! Schedules of the project: when their jobs are due, and running them then.

mod clock;
mod due;
mod expect;
mod flags;
mod watch;
mod watched;
mod window;

pub use clock::{Clock, Note};
pub use due::{Missed, Schedule};
pub use expect::Expectation;
pub use watch::{Open, Watching, watch};
