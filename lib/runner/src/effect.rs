//! What a step does to what is there: takes its place, is added to it, or lies beside it.

use disk::Datestamp;
use project::Step;
use serde_json::Value;

use crate::lake_paths::{self, is_of_day, keeps_one_run, writes_days, writes_files};

/// Tells whether a step keeps what it did last, so that days must be done in their order. It does
/// not where days are kept apart: in dated folders, in paths and schemas with the day in their
/// names, and in partitions of a table.
pub fn keeps_last(step: &Step, day: Datestamp) -> bool {
    let by_partition = load_method(step) == Some("replace-partition");
    !(by_partition || writes_days(step) || is_of_day(step.target(), day))
}

/// Tells whether the rows of a day take the place of those of the day that was loaded before it, so
/// that to load it again puts it on top. What is only added takes no other row's place; what a
/// target of another author does with a row that it has is known by its `load_method` alone.
pub fn replaces(step: &Step, day: Datestamp) -> bool {
    let replaces = match load_method(step) {
        Some(method) => matches!(method, "upsert" | "overwrite"),
        None => step.target().is_ours(),
    };
    replaces && step.is_of_day && keeps_last(step, day)
}

/// Tells whether what a run gives takes the place of all that was in its table, partition or file;
/// where a target of another author does so is known by its `load_method` alone.
pub fn takes_the_place(step: &Step) -> bool {
    let method = load_method(step);
    writes_days(step)
        || keeps_one_run(step.target())
        || method.is_some_and(|method| matches!(method, "overwrite" | "replace-partition"))
}

/// Which rows a step adds beside those that are there, whatever is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adds {
    /// None, as far as is known.
    None,
    /// Those of streams without keys.
    Keyless,
    /// All.
    All,
}

/// Returns which rows a step adds.
pub fn adds(step: &Step) -> Adds {
    match load_method(step) {
        Some("append-only") => Adds::All,
        Some("upsert") => Adds::Keyless,
        // Without keys, days of the dated folders take the place of their own rows.
        None if step.target().is_ours() && !writes_files(step.target()) => {
            if lake_paths::reads_day(step.tap()) { Adds::None } else { Adds::Keyless }
        }
        _ => Adds::None,
    }
}

/// Says how a step treats the days before, for people.
pub fn words(step: &Step) -> String {
    let method = match load_method(step) {
        Some(method) => format!(" (`load_method: {method}`)"),
        None => String::new(),
    };
    format!("{} keeps the rows of the last load{method}", step.name)
}

/// Returns how a target loads, where its settings say.
pub fn load_method(step: &Step) -> Option<&str> {
    step.target().config.get("load_method").and_then(Value::as_str)
}
