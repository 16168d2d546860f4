//! The pipes of the main job: source database -> dated folder -> target database.

use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::Database;
use crate::run::{Outcome, Run, ours, pipe_succeeds};

/// The day of most tests.
pub const DAY: &str = "2026-11-20";

/// A target that writes a day of a source into the dated folders.
pub fn to_lake(lake: &Path, source: &str, day: &str) -> Run {
    ours("target-csv")
        .set("output_path", lake.display())
        .set("source", source)
        .set("datestamp", day)
}

/// A tap that reads a day back.
pub fn from_lake(lake: &Path, day: &str) -> Run {
    ours("tap-csv").set("output", lake.display()).set("datestamp", day)
}

/// A tap on a database, with more settings.
pub fn from_database(database: &Database, more: &Value) -> Run {
    ours("tap-postgres").config(&database.settings_with(more))
}

/// A target on a database that loads into schema `public`, with more settings.
pub fn to_database(database: &Database, more: &Value) -> Run {
    let public = json!({ "default_target_schema": "public", "add_record_metadata": false });
    ours("target-postgres").config(&database.settings_with(&public)).config(more)
}

/// Extracts a database into a day of source `postgres`.
#[track_caller]
pub fn extract(database: &Database, lake: &Path, day: &str) {
    let tap = from_database(database, &json!({}));
    pipe_succeeds(tap, to_lake(lake, "postgres", day));
}

/// Loads a day into a database and returns how the target ended.
#[track_caller]
pub fn load(lake: &Path, day: &str, database: &Database, more: &Value) -> Outcome {
    pipe_succeeds(from_lake(lake, day), to_database(database, more)).1
}
