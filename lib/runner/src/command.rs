//! A step that runs a command of a plugin: its process from the start to the end, and its log.

use std::path::PathBuf;
use std::time::Instant;

use project::{CommandStep, Project};
use singer::{Error, ErrorKind, Result};

use crate::attempt::{Log, judge, remember};
use crate::dbt::Results;
use crate::ended::StepEnd;
use crate::host::Host;
use crate::observe::{Observed, Weight};
use crate::observer::{Events, What};
use crate::pipeline::{self, Event, Stop};
use crate::state_lock::StateLock;
use crate::state_names;

/// A try that is to be made.
pub(crate) struct CommandAttempt<'a> {
    /// The project.
    pub project: &'a Project,
    /// Who may ask for its end.
    pub stop: &'a dyn Stop,
    /// The step.
    pub step: &'a CommandStep,
    /// Who sees what happens.
    pub events: Events<'a>,
    /// The path of its log, which goes on behind earlier tries.
    pub log: PathBuf,
}

impl CommandAttempt<'_> {
    /// Makes the try, and notes how it went.
    pub(crate) fn make(&self, end: &mut StepEnd) -> Result<()> {
        let plugins = std::slice::from_ref(&self.step.plugin);
        let mut log = Log::open(&self.log)?;
        let ended = self.run(&mut log, end);
        ended.map_err(|failure| {
            log.failed(&failure, plugins);
            if failure.has_hint() {
                return failure;
            }
            failure.hint(format!("the whole log is in {}", self.log.display()))
        })
    }

    fn run(&self, log: &mut Log, end: &mut StepEnd) -> Result<()> {
        let Self { project, step, events, .. } = self;
        let program = step.program(project, &[])?;
        let results = Results::of(&program);
        let (name, observed) = (program.name.clone(), Observed::default());
        let mut last = vec![Vec::new()];
        events.emit(What::Begun);
        let outcome = pipeline::run(&[program], self.stop, &mut |event| {
            let line = match event {
                Event::Log(_, line) => line,
                // What it prints is a log, too.
                Event::State(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
                Event::Tick | Event::End(_) => return events.emit(What::Progress(&observed)),
            };
            let text = without_colors(&line);
            log.line(&name, &text);
            events.emit(What::Line { plugin: &name, text: &text, weight: Weight::Detail });
            if !text.trim().is_empty() {
                remember(&mut last[0], text);
            }
        });
        events.emit(What::Ended);
        let outcome = outcome?;
        let failed;
        (end.results, failed) = results.read();
        let plugins = std::slice::from_ref(&step.plugin);
        judge(&outcome, &step.name, plugins, &last).map_err(|failure| match &failed {
            Some(words) if outcome.stopped.is_none() => {
                failure.with(&name, format!("error: {words}"))
            }
            _ => failure,
        })
    }
}

/// Waits until no other run executes a command of the same plugin: it has one folder for its
/// results.
pub(crate) fn wait<'a>(
    project: &Project,
    step: &CommandStep,
    host: &Host<'a>,
    events: &Events<'_>,
) -> Result<StateLock<'a>> {
    let path = state_names::lock(project, &format!("command {}", step.plugin.name))?;
    let mut told = false;
    loop {
        if let Some(held) = host.locks.take(&path, host.stop)? {
            return Ok(held);
        }
        if let Some(signal) = host.stop.requested() {
            return Err(Error::new(ErrorKind::Temporary, "the run was asked to end")
                .with("step", &step.name)
                .with("signal", signal));
        }
        if !std::mem::replace(&mut told, true) {
            let name = &step.plugin.name;
            events.emit(What::Note(&format!("waiting: another run executes a command of {name}")));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// Takes the colours of a terminal out of a line: a log is read elsewhere, too.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic());
        text += end.map_or("", |end| &part[end + 1..]);
    }
    text
}

/// Runs a step of this kind as a whole: `attempts` makes its tries.
pub(crate) fn end_of(
    project: &Project,
    step: &CommandStep,
    host: &Host<'_>,
    events: &Events<'_>,
    attempts: &dyn Fn(&mut StepEnd),
) -> StepEnd {
    let begun = Instant::now();
    let mut end = StepEnd::of_command(&step.name);
    match wait(project, step, host, events) {
        Ok(_held) => {
            end.started = jiff::Timestamp::now();
            attempts(&mut end);
        }
        Err(failure) => end.failure = Some(failure),
    }
    end.seconds = begun.elapsed().as_secs_f64();
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_taken_out() {
        for (line, expected) in [
            ("\u{1b}[0m12:00:01  1 of 2 \u{1b}[32mOK\u{1b}[0m", "12:00:01  1 of 2 OK"),
            ("plain [x]", "plain [x]"),
            ("\u{1b}[1;31mred", "red"),
            ("cut \u{1b}[", "cut "),
        ] {
            assert_eq!(without_colors(line), expected, "{line}");
        }
    }
}
