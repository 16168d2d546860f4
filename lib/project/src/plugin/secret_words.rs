//! Which settings hold secrets: by their names, their definitions and their values.

use serde_json::Value;

use super::definition::Definition;

/// Words in the names of settings that hold secrets, where nobody says which ones do.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "private_key"];

/// Tells whether the name of a setting says that it holds a secret.
pub fn is_secret_word(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Tells whether a setting holds a secret: by its definition or that of a member, by its name, or
/// by its value.
pub(super) fn is_secret(name: &str, value: &Value, definitions: &[Definition]) -> bool {
    let prefix = format!("{name}.");
    let is_here = |known: &&Definition| known.is_named(name) || known.name.starts_with(&prefix);
    definitions.iter().filter(is_here).any(|known| known.is_secret() || is_secret_word(&known.name))
        || is_secret_word(name)
        || holds_secret(value)
}

/// Tells whether a value has a member with the name of a secret, or an address with a password.
pub fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split_once("://").is_some_and(|(_, rest)| {
            let person = rest.split(['/', '?', ' ']).next().unwrap_or_default();
            person.rsplit_once('@').is_some_and(|(person, _)| person.contains(':'))
        }),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(members) => {
            members.iter().any(|(name, value)| is_secret_word(name) || holds_secret(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_words() {
        for (name, expected) in [
            ("password", true),
            ("auth.clientSecret", true),
            ("access-token", true),
            ("API_KEY", true),
            ("host", false),
            ("keys", false),
        ] {
            assert_eq!(is_secret_word(name), expected, "{name}");
        }
    }
}
