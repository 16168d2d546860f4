//! `chorus state`: looks at states and changes them, in Meltano's format.

use std::io::Read;

use globset::Glob;
use project::Project;
use project::names::counted;
use runner::state_stores::States;
use serde_json::{Map, Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use super::held_state::{hold, of_text};
use super::{pretty, state_edit};
use crate::cli_state::{Between, GivenState, StateCommand, StateFormat};

/// Does what the command says.
pub fn state(project: &Project, command: StateCommand) -> Result<()> {
    let store = States::open(project)?;
    match command {
        StateCommand::List { pattern } => list(&store, pattern.as_deref()),
        StateCommand::Get { id, format } => {
            let state = json!({ "singer_state": known(&store, &id)? });
            print(&match format {
                StateFormat::Json => state.to_string() + "\n",
                StateFormat::Pretty => pretty(&state),
            })
        }
        StateCommand::Edit { id } => state_edit::edit(project, &store, &id),
        StateCommand::Export => state_edit::export(&store),
        StateCommand::Import { file } => state_edit::import(project, &store, file.as_deref()),
        StateCommand::Set { id, given, .. } => {
            let state = read(&given)?;
            let _held = hold(project, &store, &id)?;
            store.set_state(&id, &state)?;
            print(&format!("the state of {id} was set\n"))
        }
        StateCommand::Merge { id, given, from_state_id } => {
            let state = match from_state_id {
                Some(from) => known(&store, &from)?,
                None => read(&given)?,
            };
            let _held = hold(project, &store, &id)?;
            let mut known = store.state(&id)?.unwrap_or_else(|| Value::Object(Map::new()));
            merge(&mut known, state);
            store.set_state(&id, &known)?;
            print(&format!("the state of {id} was merged\n"))
        }
        StateCommand::Copy(Between { from, to }) => {
            let _held = hold(project, &store, &to)?;
            store.set_state(&to, &known(&store, &from)?)?;
            print(&format!("the state of {from} was copied to {to}\n"))
        }
        StateCommand::Move(Between { from, to }) => {
            if from == to {
                return Err(Error::new(ErrorKind::Usage, "cannot move a state to its own id"));
            }
            let _held = (hold(project, &store, &from)?, hold(project, &store, &to)?);
            store.set_state(&to, &known(&store, &from)?)?;
            store.clear_state(&from)?;
            print(&format!("the state of {from} was moved to {to}\n"))
        }
        StateCommand::Clear { id: None, force, .. } => {
            state_edit::clear_all(project, &store, force)
        }
        StateCommand::Clear { id: Some(id), streams, .. } if !streams.is_empty() => {
            let _held = hold(project, &store, &id)?;
            let mut state = known(&store, &id)?;
            forget(&mut state, &id, &streams).map_err(|failure| failure.with("id", &id))?;
            store.set_state(&id, &state)?;
            let count = counted(streams.len(), "bookmark was", "bookmarks were");
            print(&format!("{count} removed from the state of {id}\n"))
        }
        StateCommand::Clear { id: Some(id), .. } => {
            let _held = hold(project, &store, &id)?;
            if !store.clear_state(&id)? {
                return Err(no_state(&store, &id));
            }
            print(&format!("the state of {id} was removed\n"))
        }
    }
}

/// Prints the ids, or those that match a pattern.
fn list(store: &States, pattern: Option<&str>) -> Result<()> {
    let pattern = pattern.map(|text| {
        Glob::new(text).map(|glob| glob.compile_matcher()).map_err(|cause| {
            Error::new(ErrorKind::Usage, "cannot read the pattern")
                .with("--pattern", text)
                .caused_by(cause)
        })
    });
    let pattern = pattern.transpose()?;
    let ids = store.state_ids()?.into_iter();
    let ids = ids.filter(|id| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id)));
    print(&(ids.collect::<Vec<_>>().join("\n") + "\n"))
}

/// Returns the state of an id, which has to have one.
fn known(store: &States, id: &str) -> Result<Value> {
    store.state(id)?.ok_or_else(|| no_state(store, id))
}

/// Removes the bookmarks of streams.
fn forget(state: &mut Value, id: &str, streams: &[String]) -> Result<()> {
    for stream in streams {
        let bookmarks = state["bookmarks"].as_object_mut();
        let known: Vec<String> = bookmarks.iter().flat_map(|all| all.keys()).cloned().collect();
        if bookmarks.and_then(|all| all.shift_remove(stream)).is_none() {
            let failure = Error::new(ErrorKind::NoInput, "cannot find the bookmark of the stream")
                .with("stream", stream);
            return Err(match project::names::nearest(stream, &known) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("`chorus state get '{id}'` shows the bookmarks")),
            });
        }
    }
    Ok(())
}

fn no_state(store: &States, id: &str) -> Error {
    let known = store.state_ids().unwrap_or_default();
    let failure = Error::new(ErrorKind::NoInput, "cannot find a state of this id").with("id", id);
    match project::names::nearest(id, &known) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`chorus state list` lists the states"),
    }
}

/// Reads a state in Meltano's format, or the bare value of a STATE message.
fn read(from: &GivenState) -> Result<Value> {
    let mut given = from.state.clone().unwrap_or_default();
    if let Some(path) = &from.input_file {
        given = std::fs::read_to_string(path)
            .map_err(|cause| disk::failure("cannot read the state", path, cause))?;
    } else if given == "-" {
        given.clear();
        std::io::stdin().read_to_string(&mut given).map_err(|cause| {
            Error::new(ErrorKind::Io, "cannot read standard input").caused_by(cause)
        })?;
    }
    of_text(&given)
}

/// Puts a state over another, member by member, as Meltano does.
fn merge(known: &mut Value, new: Value) {
    let (Some(members), Value::Object(new)) = (known.as_object_mut(), new) else { return };
    for (name, value) in new {
        match members.get_mut(&name) {
            Some(inner @ Value::Object(_)) if value.is_object() => merge(inner, value),
            _ => drop(members.insert(name, value)),
        }
    }
}
