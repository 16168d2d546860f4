//! The signals that ask for an end: noted once, looked at by the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use project::Warnings;
use project::warning;
use runner::pipeline::Stop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

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
