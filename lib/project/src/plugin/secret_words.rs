//! Names of settings that hold secrets.

/// Words in the names of settings that hold secrets, where nobody says which ones do.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "private_key"];

/// Tells whether the name of a setting says that it holds a secret.
pub fn is_secret_word(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word))
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
