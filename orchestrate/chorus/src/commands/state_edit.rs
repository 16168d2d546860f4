//! `chorus state edit`, and what does something with all states: `clear --all`, `export`, `import`.

use std::fs;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::process::Command;

use disk::Lock;
use project::Project;
use project::names::counted;
use runner::state_stores::States;
use serde_json::{Map, Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use super::held_state::{hold, of_text};
use super::pretty;

/// Has a person change a state in an editor; no run uses it meanwhile.
pub(super) fn edit(project: &Project, store: &States, id: &str) -> Result<()> {
    let _held = hold(project, store, id)?;
    let before = store.state(id)?;
    let text = before.as_ref().map_or(json!({}), |state| json!({ "singer_state": state }));
    let text = pretty(&text);
    let path = tempfile::Builder::new().prefix("state-").suffix(".json").tempfile();
    let path = path.map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot make the file to edit").caused_by(cause)
    })?;
    let (mut file, path) = path.into_parts();
    file.write_all(text.as_bytes())
        .map_err(|cause| disk::failure("cannot write the file to edit", &path, cause))?;
    drop(file);
    open_editor(&path)?;
    let edited = fs::read_to_string(&path)
        .map_err(|cause| disk::failure("cannot read the edited file", &path, cause))?;
    if edited.trim().is_empty() || edited == text {
        return print("nothing was changed\n");
    }
    let state = of_text(&edited)?;
    if Some(&state) == before.as_ref() {
        return print("nothing was changed\n");
    }
    store.set_state(id, &state)?;
    print(&format!("the state of {id} was set\n"))
}

/// Opens a file in the editor of the person, and waits until it is closed.
fn open_editor(path: &Path) -> Result<()> {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // It may have arguments.
    let line = format!("{editor} \"$1\"");
    let status = Command::new("sh").args(["-c", &line, "sh"]).arg(path).status();
    let failed = || {
        Error::new(ErrorKind::Usage, "cannot edit the state: the editor failed")
            .with("editor", &editor)
            .hint("set EDITOR to a program that waits until the file is closed")
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed()),
        Err(cause) => Err(failed().caused_by(cause)),
    }
}

/// Prints all states, as `import` and Meltano read them.
pub(super) fn export(store: &States) -> Result<()> {
    let mut all = Map::new();
    for id in store.state_ids()? {
        if let Some(state) = store.state(&id)? {
            all.insert(id, json!({ "completed": { "singer_state": state }, "partial": {} }));
        }
    }
    print(&(Value::Object(all).to_string() + "\n"))
}

/// Replaces the states that a file has, all or none of them.
pub(super) fn import(project: &Project, store: &States, from: Option<&Path>) -> Result<()> {
    let mut text = String::new();
    let read = match from.filter(|path| path.as_os_str() != "-") {
        Some(path) => fs::read_to_string(path).map(|read| text = read),
        None => std::io::stdin().read_to_string(&mut text).map(drop),
    };
    read.map_err(|cause| {
        Error::new(ErrorKind::NoInput, "cannot read the states").caused_by(cause)
    })?;
    let refuse = |message: &str| {
        Error::new(ErrorKind::Usage, message)
            .hint("`chorus state export` and `meltano state export` print what is read here")
    };
    let value: Value = serde_json::from_str(&text)
        .map_err(|cause| refuse("cannot read the states as JSON").caused_by(cause))?;
    let Value::Object(entries) = value else {
        return Err(refuse("cannot read the states: they must be an object of ids"));
    };
    let mut states = Vec::new();
    for (id, entry) in entries {
        let state = States::of_parts(&entry["completed"], &entry["partial"]);
        let state = state.map_err(|failure| failure.of_kind(ErrorKind::Usage).with("id", &id))?;
        states.extend(state.map(|state| (id, state)));
    }
    let ids: Vec<String> = states.iter().map(|(id, _)| id.clone()).collect();
    let _held = hold_all(project, store, &ids)?;
    for (id, state) in &states {
        store.set_state(id, state)?;
    }
    print(&format!("{} imported\n", counted(states.len(), "state was", "states were")))
}

/// Removes all states, once a person or a flag has said so.
pub(super) fn clear_all(project: &Project, store: &States, by_force: bool) -> Result<()> {
    let ids = store.state_ids()?;
    if !by_force && !is_wanted(ids.len())? {
        return Err(Error::new(ErrorKind::Usage, "the states were not removed"));
    }
    let _held = hold_all(project, store, &ids)?;
    for id in &ids {
        store.clear_state(id)?;
    }
    print(&format!("{} removed\n", counted(ids.len(), "state was", "states were")))
}

/// Takes all states before the first one changes: none is changed where one is in use.
fn hold_all(project: &Project, store: &States, ids: &[String]) -> Result<Vec<Lock>> {
    ids.iter().map(|id| hold(project, store, id)).collect()
}

/// Asks on a terminal.
fn is_wanted(count: usize) -> Result<bool> {
    let mut input = std::io::stdin().lock();
    if !input.is_terminal() {
        return Err(Error::new(
            ErrorKind::Usage,
            "cannot remove all states without a confirmation",
        )
        .with("states", count)
        .hint("chorus state clear --all --force"));
    }
    let states = counted(count, "state", "states");
    tracing::warn!("{states} will be removed. Write `yes` to go on:");
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot read standard input").caused_by(cause)
    })?;
    Ok(["y", "yes"].contains(&answer.trim()))
}
