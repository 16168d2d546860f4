//! What stands beside the records, and is otherwise where there are none. Pure.
//!
//! The rule: a page without records is the end, unless a code or a message beside them, which pages
//! with records do not have, is one of failure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::stream::StreamSpec;
use crate::told::{Told, is_around, is_code, is_complaint, is_failed, is_good, is_message, plain};

/// More texts than these are no messages of an API.
const TEXTS_MAX: usize = 100;

/// What pages with records say beside them.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// There were such pages.
    is_known: bool,
    /// The members that hold codes.
    codes: BTreeSet<String>,
    /// The codes and messages.
    texts: BTreeSet<String>,
}

impl Beside {
    /// Adds what a page with records says.
    pub fn note(&mut self, spec: &StreamSpec, envelope: &Value) {
        self.is_known = true;
        visit(spec, envelope, &mut |members| {
            for (name, value) in members {
                let known = plain(name);
                let is_told = is_code(&known) || is_message(&known);
                if is_told && self.texts.len() < TEXTS_MAX {
                    self.texts.insert(value.to_string());
                }
                if is_code(&known) && !is_failed(value) {
                    self.codes.insert(known);
                }
            }
        });
    }

    /// Adds what those of another read say.
    pub fn join(&mut self, other: &Self) {
        self.is_known |= other.is_known;
        self.codes.extend(other.codes.iter().cloned());
        self.texts.extend(other.texts.iter().cloned());
    }

    /// Finds the failure that a page without records tells of.
    pub fn failure_of(&self, spec: &StreamSpec, envelope: &Value) -> Option<Told> {
        if !self.is_known {
            return None;
        }
        let (mut told, mut found) = (Told::default(), false);
        visit(spec, envelope, &mut |members| {
            let new =
                || members.iter().filter(|(_, value)| !self.texts.contains(&value.to_string()));
            let messages = || {
                let messages = new().filter(|(name, _)| is_message(&plain(name)));
                messages.filter_map(|(_, value)| value.as_str())
            };
            let is_good = messages().any(|text| !text.is_empty() && is_good(text));
            let is_coded =
                new().any(|(name, value)| self.codes.contains(&plain(name)) && is_failed(value));
            if !is_good && (is_coded || messages().any(is_complaint)) {
                found = true;
                messages().for_each(|text| told.say(text));
            }
        });
        found.then_some(told)
    }
}

/// Shows the objects that lead to the records, and those in them that speak of the answer.
fn visit(spec: &StreamSpec, envelope: &Value, look: &mut dyn FnMut(&Map<String, Value>)) {
    let mut names = spec.records.names().peekable();
    let mut at = envelope.as_object().filter(|_| !spec.records.is_root());
    while let (Some(members), Some(name)) = (at, names.next()) {
        look(members);
        let others = members.iter().filter(|(other, _)| *other != name && is_around(&plain(other)));
        others.filter_map(|(_, value)| value.as_object()).for_each(&mut *look);
        at = names.peek().and_then(|_| members.get(name)?.as_object());
    }
}
