//! The signals that ask for an end: noted once, looked at by the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use project::Warnings;
use project::warning;
use runner::pipeline::Stop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use singer::{Error, ErrorKind};

/// The last signal received.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Starts to note signals in place of dying by them.
    pub fn note(warnings: &Warnings) -> Self {
        let signals = Self::default();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let value = usize::try_from(signal).unwrap_or_default();
            if signal_hook::flag::register_usize(signal, Arc::clone(&signals.0), value).is_err() {
                warnings.warn(warning!(
                    "W-SIGNAL-IGNORED",
                    "cannot handle signal {signal}: it will end this program at once"
                ));
            }
        }
        signals
    }
}

impl Stop for Signals {
    fn requested(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}

/// Signals, and the time at which a run is asked to end as by one.
#[derive(Clone, Debug)]
pub struct Deadline {
    signals: Signals,
    seconds: Option<u64>,
    end: Option<Instant>,
}

impl Deadline {
    /// Begins to count, where there is a limit.
    pub fn new(signals: Signals, seconds: Option<u64>) -> Self {
        let end = seconds.and_then(|count| Instant::now().checked_add(Duration::from_secs(count)));
        Self { signals, seconds, end }
    }

    /// Says of the failure of a run that it came from the limit, if it did.
    pub fn said_of(&self, failure: Error) -> Error {
        let was_ended = failure.context("signal").is_some() && self.signals.requested().is_none();
        let Some(seconds) = self.seconds.filter(|_| was_ended) else { return failure };
        let step = failure.context("step").unwrap_or_default().to_owned();
        Error::new(ErrorKind::Temporary, "the run has taken longer than its --timeout")
            .with("seconds", seconds)
            .with("step", step)
            .hint("the next run goes on from the last state; give it more time")
    }
}

impl Stop for Deadline {
    fn requested(&self) -> Option<i32> {
        let is_over = || self.end.is_some_and(|end| Instant::now() >= end);
        self.signals.requested().or_else(|| is_over().then_some(SIGTERM))
    }
}
