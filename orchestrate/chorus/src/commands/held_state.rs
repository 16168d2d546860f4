//! States that a command changes: held against runs, and read from texts.

use disk::Lock;
use project::Project;
use runner::state_names;
use runner::state_stores::States;
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

/// Takes a state for the time of a change; a run that has it would write over what is changed.
pub(super) fn hold(project: &Project, store: &States, id: &str) -> Result<Lock> {
    let held = Lock::try_take(&state_names::lock(project, id)?)?.ok_or_else(|| {
        Error::new(ErrorKind::Temporary, "cannot change a state that a run is using")
            .with("id", id)
            .hint("wait until it has ended: `chorus runs` lists the running ones")
    })?;
    store.check_idle(project, id)?;
    Ok(held)
}

/// Reads the text of a state.
pub(super) fn of_text(given: &str) -> Result<Value> {
    let refuse = || {
        Error::new(ErrorKind::Usage, "cannot read the state")
            .hint("write {\"singer_state\": {\"bookmarks\": {...}}}")
    };
    let mut value: Value = serde_json::from_str(given).map_err(|_| refuse())?;
    let mut known = value.as_object().is_some_and(|state| state.contains_key("bookmarks"));
    if let Some(inner) = value.get_mut("singer_state") {
        value = inner.take();
        // Older taps have states without bookmarks.
        known = value.is_object();
    }
    if known || value == json!({}) { Ok(value) } else { Err(refuse()) }
}
