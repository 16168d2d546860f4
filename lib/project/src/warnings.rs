//! What there is to warn of in a project.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Warns of something in the project, once: a backfill opens the project for each day.
pub fn warn_once(text: &str) {
    if is_news(text) {
        singer::warn!("W-PROJECT-UNUSED", "{text}");
    }
}

/// Tells whether this process has not said it before.
pub fn is_news(text: &str) -> bool {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.insert(text.to_owned())
}
