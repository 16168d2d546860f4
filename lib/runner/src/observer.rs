//! What a run tells while it runs, and who sees it: a terminal, a page, or nobody.

use crate::observe::{Observed, Weight};

/// Who sees what happens. Runs and steps may run at once: each tells from threads of its own.
pub trait Observer: Sync {
    /// Takes note of something; it must not take long, as the run waits for it.
    fn event(&self, event: &RunEvent<'_>);
}

/// Something that has happened to a step of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunEvent<'a> {
    /// The run.
    pub run: &'a str,
    /// The position of the step in it.
    pub at: usize,
    /// The step's name.
    pub step: &'a str,
    /// What has happened.
    pub what: What<'a>,
}

/// What happens to a step.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// Its processes are about to be started, for the first time or again.
    Begun,
    /// A plugin has written a line to its log.
    Line {
        /// The plugin.
        plugin: &'a str,
        /// The line, with no path of a file that goes with the run.
        text: &'a str,
        /// How it is to be treated.
        weight: Weight,
    },
    /// It does something else than was to be expected, for a good reason.
    Note(&'a str),
    /// It is so far; this comes some times a second.
    Progress(&'a Observed),
    /// Its processes have ended.
    Ended,
}

/// Where a step tells what happens to it.
#[derive(Clone, Copy)]
pub struct Events<'a> {
    /// Who sees it.
    pub observer: &'a dyn Observer,
    /// The run.
    pub run: &'a str,
    /// The position of the step in it.
    pub at: usize,
    /// The step's name.
    pub step: &'a str,
}

impl Events<'_> {
    /// Tells that something has happened.
    pub fn emit(&self, what: What<'_>) {
        let Self { observer, run, at, step } = *self;
        observer.event(&RunEvent { run, at, step, what });
    }
}
