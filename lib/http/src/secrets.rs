//! What must not be shown, also when a server writes it again.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use singer::scrub::{self, Scrubber};

/// Values that are not known to be secrets are words, if they are shorter than this.
const WORD_LENGTH: usize = 8;
/// Headers whose parts are words.
const PLAIN_HEADERS: [&str; 6] =
    ["accept", "accept-language", "content-type", "user-agent", "prefer", "referer"];

/// Takes secrets out of what servers write: those that no output may hold, and values of requests
/// that may be secrets.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Scrubber>);

impl Secrets {
    /// Makes a value of a request known by its name: one that is named like a secret is one, others
    /// may be, if they are no words.
    pub fn add_named(&self, name: &str, value: &Value) {
        match value {
            Value::String(text) if scrub::is_secret_name(name) => scrub::learn(text),
            Value::String(text) if text.len() >= WORD_LENGTH => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).add(text);
            }
            Value::Array(values) => values.iter().for_each(|value| self.add_named(name, value)),
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| self.add_named(name, value));
            }
            _ => {}
        }
    }

    /// Replaces every secret in a text, and a part of one at an end that was cut off.
    pub fn scrub(&self, text: &str) -> String {
        let text = scrub::scrub_start(text);
        let maybe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        maybe.scrub_start(&text).into_owned()
    }
}

/// Makes the value of a header known to all outputs, and what stands in it behind `Bearer`, or in a
/// cookie.
pub fn learn_header(name: &str, value: &str) {
    if PLAIN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return;
    }
    scrub::learn(value);
    let parts = value.split([' ', ';', ',']).map(str::trim);
    let parts = parts.map(|part| part.split_once('=').map_or(part, |(_, value)| value));
    parts.filter(|part| part.len() >= WORD_LENGTH).for_each(scrub::learn);
    let login = value.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text.trim()).ok());
    let login = login.and_then(|login| String::from_utf8(login).ok()).unwrap_or_default();
    scrub::learn(login.split_once(':').map_or("", |(_, password)| password));
}

/// Encodes user and password as basic authorization does.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_requests_are_known_by_their_names_and_parts() {
        let secrets = Secrets::default();
        secrets.add_named("api_key", &json!("k3y-1"));
        secrets.add_named("q", &json!({ "filter": ["longer-text"], "sort": "name" }));
        learn_header("Cookie", "session=abcdefgh1; theme=dark");
        learn_header("X-Auth", "Bearer 0123456789");
        learn_header("Authorization", &basic("user", "pa$$word"));
        learn_header("Accept", "application/json");
        let text = "k3y-1 longer%2Dtext name abcdefgh1 dark 0123456789 pa$$word application/json.";
        assert_eq!(secrets.scrub(text), "*** *** name *** dark *** *** application/json.");
    }
}
