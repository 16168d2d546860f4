//! What must not be shown, also when a server echoes it.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde_json::Value;

use crate::http::address::encoded;

/// Texts shorter than this are left alone: they would be found everywhere.
const LENGTH_MIN: usize = 4;
const WORD_LENGTH: usize = 8;

/// Takes secrets out of texts for people.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Vec<String>>);

impl Secrets {
    /// Adds a secret, in the forms in which it may come back.
    pub fn add(&self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < LENGTH_MIN {
            return;
        }
        let quoted = Value::from(secret).to_string();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for form in [
            secret.to_owned(),
            encoded(secret),
            STANDARD.encode(secret),
            quoted.trim_matches('"').to_owned(),
        ] {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        // The longest first, so that no part of one is left standing.
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Adds the texts of a value that may well be no secrets: short ones are words.
    pub fn add_all(&self, value: &Value) {
        match value {
            Value::String(text) if text.len() >= WORD_LENGTH => self.add(text),
            Value::Array(values) => values.iter().for_each(|value| self.add_all(value)),
            Value::Object(members) => members.values().for_each(|value| self.add_all(value)),
            _ => {}
        }
    }

    /// Replaces every secret in a text.
    pub fn scrub(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// Encodes user and password as basic authorization does.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_secrets_out_in_all_forms() {
        let secrets = Secrets::default();
        secrets.add("s3cr\"t/x");
        secrets.add("ab");
        let text = "a s3cr\"t/x b s3cr%22t%2Fx c s3cr\\\"t/x d czNjciJ0L3g= ab";
        assert_eq!(secrets.scrub(text), "a *** b *** c *** d *** ab");
    }
}
