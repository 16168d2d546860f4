//! What a run shows while it runs: on a terminal a line for each stream, elsewhere a line at times.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use runner::observe::{Observed, StreamCount, Weight};
use runner::observer::{Observer, RunEvent, What};

/// How often a line is written where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shows runs: on the terminal, or as lines in a log.
pub struct Progress {
    verbose: bool,
    quiet: bool,
    all: MultiProgress,
    /// The steps that run, by their runs and positions.
    steps: Mutex<BTreeMap<(String, usize), Step>>,
}

/// A step that runs.
struct Step {
    started: Instant,
    shown: Instant,
    terminal: Option<Lines>,
}

struct Lines {
    all: MultiProgress,
    streams: Vec<ProgressBar>,
}

impl Progress {
    /// Shows every line of the plugins' logs where `verbose`, and warnings alone where `quiet`.
    pub fn new(verbose: bool, quiet: bool) -> Self {
        Self { verbose, quiet, all: MultiProgress::new(), steps: Mutex::default() }
    }

    fn begin(&self) -> Step {
        let now = Instant::now();
        let terminal = !self.quiet && std::io::stderr().is_terminal();
        let lines = || Lines { all: self.all.clone(), streams: Vec::new() };
        Step { started: now, shown: now, terminal: terminal.then(lines) }
    }
}

impl Observer for Progress {
    fn event(&self, event: &RunEvent<'_>) {
        let key = (event.run.to_owned(), event.at);
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match event.what {
            What::Begun => drop(steps.insert(key, self.begin())),
            What::Line { plugin, text, weight } => {
                let is_wanted = self.verbose && weight != Weight::Metric;
                if (is_wanted || weight == Weight::Warning)
                    && let Some(step) = steps.get(&key)
                {
                    step.line(plugin, text);
                }
            }
            What::Note(text) => tracing::info!("{text}"),
            What::Progress(observed) => {
                if let Some(step) = steps.get_mut(&key) {
                    step.show(event.step, observed, self.quiet);
                }
            }
            What::Ended => {
                if let Some(step) = steps.remove(&key) {
                    step.finish();
                }
            }
        }
    }
}

impl Step {
    /// Shows a line of a plugin's log.
    fn line(&self, plugin: &str, line: &str) {
        let line = format!("{plugin}: {}", singer::error::printable(line));
        match &self.terminal {
            Some(lines) => drop(lines.all.println(line)),
            None => write(&(line + "\n")),
        }
    }

    /// Shows how far the step is.
    fn show(&mut self, name: &str, observed: &Observed, quiet: bool) {
        match &mut self.terminal {
            Some(lines) => lines.show(&observed.streams),
            None if !quiet && self.shown.elapsed() >= INTERVAL => {
                self.shown = Instant::now();
                let streams = observed.streams.len();
                write(&format!(
                    "{name}: {} rows of {streams} streams in {}\n",
                    HumanCount(observed.rows()),
                    HumanDuration(self.started.elapsed()),
                ));
            }
            None => {}
        }
    }

    /// Takes the lines away.
    fn finish(&self) {
        if let Some(lines) = &self.terminal {
            lines.streams.iter().for_each(|bar| lines.all.remove(bar));
        }
    }
}

impl Lines {
    fn show(&mut self, streams: &[StreamCount]) {
        for (at, stream) in streams.iter().enumerate() {
            if at == self.streams.len() {
                let bar = ProgressBar::no_length();
                if let Ok(style) = ProgressStyle::with_template("{prefix:30} {msg}") {
                    bar.set_style(style);
                }
                self.streams.push(self.all.add(bar));
            }
            let bar = &self.streams[at];
            bar.set_prefix(stream.name.clone());
            let seconds = stream.seconds().unwrap_or_else(|| bar.elapsed().as_secs_f64());
            bar.set_message(line(stream, seconds));
        }
    }
}

/// Tells how far a stream is: rows, megabytes a second, and how much is left where that is known.
fn line(stream: &StreamCount, seconds: f64) -> String {
    let count = stream.rows();
    let rows = HumanCount(count).to_string();
    let rate = per_second(stream.bytes(), seconds) / 1e6;
    let left = match (stream.seconds(), stream.estimate) {
        (Some(_), _) => "done".to_owned(),
        (None, Some(all)) if all > count && count > 0 => {
            let left = float(all - count) / per_second(count, seconds);
            format!("about {} left", HumanDuration(Duration::from_secs_f64(left.min(1e9))))
        }
        _ => String::new(),
    };
    format!("{rows:>15} rows  {rate:>8.1} MB/s  {seconds:>8.1} s  {left}")
}

/// Returns a rate; for moments too short, that of a millisecond.
fn per_second(count: u64, seconds: f64) -> f64 {
    float(count) / seconds.max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn float(count: u64) -> f64 {
    count as f64
}

/// A terminal that has gone must not end the run.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
