//! How often was warned, by codes.

use project::warnings::Counts;
use singer::{Error, ErrorKind, Result};

use crate::observe::OF_OTHERS;

/// Adds counts to others.
pub fn add(all: &mut Counts, more: &Counts) {
    for (code, count) in more {
        *all.entry(code.clone()).or_default() += count;
    }
}

/// Returns the counts of a record in words: `W-NO-KEYS 2, W-PLUGIN 1`.
pub fn words(counts: Option<&Counts>) -> Option<String> {
    let counts = counts?.iter().map(|(code, count)| format!("{code} {count}"));
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Refuses what a plugin of another author has warned of, if that is denied: it knows no such flag.
pub fn check_others(counts: &Counts, denied: &[String]) -> Result<()> {
    let is_denied =
        |code: &String| code.eq_ignore_ascii_case("all") || code.eq_ignore_ascii_case(OF_OTHERS);
    let count = counts.get(OF_OTHERS).copied().unwrap_or(0);
    if count == 0 || !denied.iter().any(is_denied) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "a warning ends the run, as `--deny-warnings` asks")
        .with("code", OF_OTHERS)
        .with("warnings", count)
        .hint("the step has ended, and its data stays; its log shows the warnings"))
}
