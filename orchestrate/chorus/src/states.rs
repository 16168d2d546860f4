//! The states of steps: their names, and keeping what targets print.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::day::{day_is_damaged, writes_days};
use crate::pipeline::STATE_BYTES_MAX;
use crate::project::{Project, Step};
use crate::run::Options;
use crate::store::Store;

/// Names the state of a step as Meltano does, with the day where the project has no suffix of its
/// own: a day that is read again starts where that day was left, not where the last one was.
pub fn state_id(project: &Project, options: &Options, step: &Step) -> String {
    if let Some(id) = &options.state_id {
        return id.clone();
    }
    let environment = project.environment_name().map(|name| format!("{name}:")).unwrap_or_default();
    let id = format!("{environment}{}-to-{}", step.tap().name, step.target().name);
    let suffix = project.environment["state_id_suffix"].as_str();
    let suffix = suffix.map(|text| project.variables.expand(text, &mut BTreeSet::new()));
    let day = || options.datestamp.map(|day| day.to_string());
    match suffix.filter(|text| !text.is_empty()).or_else(day) {
        Some(suffix) => format!("{id}:{suffix}"),
        None => id,
    }
}

/// Returns the state that a step starts from: that of the file that its tap names, or else the one
/// that is kept.
fn known(project: &Project, store: &Store, id: &str, step: &Step) -> Result<Option<Value>> {
    let Some(path) = &step.tap().rules.state else { return store.state(id) };
    let path = project.root.join(path);
    let fail = |kind, message: &str| {
        Error::new(kind, message).with("plugin", &step.tap().name).with("path", path.display())
    };
    let text = fs::read(&path).map_err(|cause| {
        fail(ErrorKind::NoInput, "cannot read the state that the tap is to start from")
            .caused_by(cause)
            .hint("correct `state` of the tap; /dev/null starts without one")
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&text) {
        Ok(state @ Value::Object(_)) => Ok(Some(state)),
        _ => Err(fail(ErrorKind::Config, "cannot read the file of `state`: it holds no state")),
    }
}

/// Returns the state that a step is run with. One that speaks of a day that is gone would leave the
/// day as it is: away. And a day is replaced as a whole: to go on from where its last read ended
/// would leave it with what came after that alone. Only our taps are known to have bookmarks that
/// leave out nothing but whole files and days, of which their targets are told.
pub fn start(
    project: &Project,
    store: &Store,
    options: &Options,
    id: &str,
    step: &Step,
) -> Result<Option<Value>> {
    if options.full_refresh {
        return Ok(None);
    }
    let known = known(project, store, id, step)?;
    if known.is_some() && day_is_damaged(project, step)? {
        log::info!("the day that {id} speaks of is not there, or not whole: everything is read");
        return Ok(None);
    }
    let Some(state) = known.as_ref().filter(|_| writes_days(step)) else { return Ok(known) };
    let whole = step.tap().is_ours().then(|| of_whole_files(state));
    if whole.as_ref() != Some(state) {
        log::info!("{id}: a day is read as a whole, not from where its last read ended");
    }
    Ok(whole)
}

/// Returns what a state says of whole files and days.
fn of_whole_files(state: &Value) -> Value {
    let mut state = state.clone();
    if let Some(Value::Object(bookmarks)) = state.get_mut("bookmarks") {
        bookmarks
            .retain(|_, mark| mark["files"].is_object() || mark["manifest_sha256"].is_string());
    }
    state
}

/// Writes down the states that a target prints: at once, and then at most one a second. One that
/// is older than what is durable costs time at the next run, and nothing else.
pub struct StateKeeper<'a> {
    store: &'a Store,
    id: &'a str,
    pending: Option<Value>,
    written: Option<Instant>,
    failed: Option<Error>,
    too_long: bool,
}

impl<'a> StateKeeper<'a> {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Starts with nothing to write.
    pub fn new(store: &'a Store, id: &'a str) -> Self {
        Self { store, id, pending: None, written: None, failed: None, too_long: false }
    }

    /// Takes a line that the target has printed.
    pub fn take(&mut self, line: &[u8]) {
        self.too_long |= line.len() >= STATE_BYTES_MAX && !line.ends_with(b"\n");
        if self.too_long || line.trim_ascii().is_empty() {
            return;
        }
        let state = serde_json::from_slice(line).ok().filter(Value::is_object);
        let Some(state) = state else {
            singer::warn!(
                "W-STATE-DAMAGED",
                "the target has printed a line that is no state; it is left out"
            );
            return;
        };
        self.pending = Some(state);
        if self.written.is_none_or(|at| at.elapsed() >= Self::INTERVAL) {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(state) = self.pending.take() else { return };
        self.failed = self.store.set_state(self.id, &state).err();
        self.written = Some(Instant::now());
    }

    /// Writes the last state; tells whether the target has printed one.
    pub fn finish(mut self) -> Result<bool> {
        self.write();
        if self.too_long {
            return Err(Error::new(ErrorKind::Protocol, "cannot keep the state: it is too long")
                .with("state", self.id)
                .with("bytes at most", STATE_BYTES_MAX)
                .hint("the next run starts from the last one that was kept"));
        }
        self.failed.map_or(Ok(self.written.is_some()), Err)
    }
}
