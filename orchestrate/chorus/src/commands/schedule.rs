//! `chorus schedule`: runs the schedules of the project in the foreground.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use project::{Job, Project};
use runner::host::Host;
use runner::pipeline::Stop;
use runner::schedule::{Clock, Expectation, Open, Schedule, Watching, watch};
use runner::state_lock::StateLocks;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use singer::{Error, ErrorKind, Result};

use crate::progress::Progress;

/// The first request lets what runs come to its end; the second one ends it.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    count: Arc<AtomicUsize>,
    signal: Arc<AtomicI32>,
}

/// Runs until it is asked to end.
pub fn schedule(
    project: &Project,
    names: &[String],
    open: Open<'_>,
    deny: &[String],
) -> Result<()> {
    let mut all = Schedule::read_all(project)?;
    if let Some(name) = names.iter().find(|name| all.iter().all(|one| one.name != **name)) {
        return Err(Error::new(ErrorKind::Config, "cannot find the schedule").with("name", name));
    }
    all.retain(|schedule| names.is_empty() || names.contains(&schedule.name));
    all.retain(|schedule| schedule.is_timed() || schedule.watches());
    if all.is_empty() {
        return Err(Error::new(ErrorKind::Config, "cannot find a schedule to run")
            .hint("add `schedules` with an `interval` to meltano.yml"));
    }
    for schedule in &mut all {
        schedule.leave_out_outputs(&Job::find(project, &schedule.words)?);
    }
    let expected: Vec<_> =
        all.iter().map(|one| Expectation::of(project, one)).collect::<Result<_>>()?;
    project.warnings().check()?;
    let note = |text: &str| tracing::info!("{text}");
    let clocks: Vec<_> =
        all.iter().map(|one| Clock::new(project, one, &note)).collect::<Result<_>>()?;
    let requests = Requests::listen()?;
    tracing::info!(
        "g and Enter, Ctrl-C or SIGTERM end this after the running steps; given twice, they end it \
          at once"
    );
    let (progress, locks) = (Progress::new(false, true), StateLocks::default());
    let watching = Watching {
        open,
        host: Host { stop: &requests, observer: &progress, locks: &locks },
        deny,
        warnings: project.warnings(),
        is_over: &|| requests.count() > 0,
        note: &note,
    };
    std::thread::scope(|scope| {
        for clock in clocks {
            scope.spawn(move || watch(clock, &watching));
        }
        for expectation in expected.into_iter().flatten() {
            scope.spawn(move || expectation.watch(&watching));
        }
    });
    Ok(())
}

impl Requests {
    /// Starts to listen.
    pub fn listen() -> Result<Self> {
        let requests = Self::default();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map_err(|cause| {
            Error::new(ErrorKind::Internal, "cannot handle signals").caused_by(cause)
        })?;
        let noted = requests.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                noted.add(signal);
            }
        });
        let typed = requests.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
                if line.trim() == "g" {
                    typed.add(SIGTERM);
                }
            }
        });
        Ok(requests)
    }

    fn add(&self, signal: i32) {
        self.signal.store(signal, Ordering::Relaxed);
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::info!("ending after the running steps");
        }
    }

    /// Returns how many requests came.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Stop for Requests {
    fn requested(&self) -> Option<i32> {
        (self.count() > 1).then(|| self.signal.load(Ordering::Relaxed))
    }
}
