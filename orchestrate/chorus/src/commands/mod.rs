//! One module for each command.

pub mod add;
pub mod backfill;
pub mod check;
pub mod config;
mod config_print;
pub mod contract;
pub mod days;
pub mod doctor;
pub mod el;
pub mod environment;
pub mod forget;
mod held_state;
pub mod init;
pub mod install;
pub mod invoke;
pub mod job;
pub mod pii;
pub mod plain;
pub mod plain_run;
pub mod plan;
pub mod plugins;
pub mod run;
pub mod runs;
pub mod schedule;
pub mod schedule_entry;
pub mod schedules;
pub mod schema;
pub mod select;
mod spelling;
pub mod state;
mod state_edit;
mod table;
mod what;

use project::Project;
use project::edit::Part;
use serde_json::Value;

/// Returns the path of the file to what it says of a plugin: in an environment, or of itself.
fn entry_path(project: &Project, plugin: &str, environment: Option<&str>) -> Vec<Part> {
    let group = project.plugin_group(plugin).unwrap_or("extractors");
    let named = |name: &str| Part::Named { name: name.to_owned() };
    let own = ["plugins".into(), group.into(), named(plugin)];
    match environment {
        Some(name) => {
            [vec!["environments".into(), named(name), "config".into()], own.to_vec()].concat()
        }
        None => own.to_vec(),
    }
}

/// Writes JSON for people, as Meltano does.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
