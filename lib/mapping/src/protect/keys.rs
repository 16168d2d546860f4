//! The keys of a run, one a use, and the texts that are made with them.

use aes_siv::siv::Aes256Siv;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use singer::quote::{hex, hex_into};
use singer::{Error, ErrorKind, Result, Secret, scrub};

/// So many bytes the text of a `protect_key` must have.
const KEY_BYTES_MIN: usize = 32;
/// So many different bytes it must have: a repeated word is no key.
const KEY_VARIETY_MIN: usize = 8;
/// Says which derivation the keys come from. Another one would give other texts.
const SALT: &[u8] = b"chorus protect 1";
/// What a hash begins with, before the id of its key.
const HASH: &str = "h_";
/// What a token begins with, before the id of its key.
const TOKEN: &str = "t_";

/// The keys that are derived from one `protect_key`.
pub struct Keys {
    mac: Hmac<Sha256>,
    cipher_key: [u8; 64],
    hash_prefix: String,
    token_prefix: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Keys {
    /// Derives the keys, and makes the secret known to what takes secrets out of messages.
    ///
    /// The bytes of the text itself count: there is no second reading as hexadecimal or base64
    /// that could give other keys. White space at its ends does not count.
    ///
    /// # Errors
    /// `Config` where the text is too short or repeats itself; never the text.
    pub fn new(secret: &Secret) -> Result<Self> {
        let text = secret.reveal().trim();
        let hint = "make a key with `openssl rand -base64 32`, and keep it with the passwords";
        if text.len() < KEY_BYTES_MIN {
            return Err(Error::new(ErrorKind::Config, "cannot use a key with too few bytes")
                .with("setting", "protect_key")
                .with("bytes", text.len())
                .with("bytes needed", KEY_BYTES_MIN)
                .hint(hint));
        }
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        if bytes.len() < KEY_VARIETY_MIN {
            return Err(Error::new(ErrorKind::Config, "cannot use a key that repeats itself")
                .with("setting", "protect_key")
                .hint(hint));
        }
        scrub::learn(text);
        let source = Hkdf::<Sha256>::new(Some(SALT), text.as_bytes());
        let derive = |purpose: &[u8], key: &mut [u8]| {
            let derived = source.expand(purpose, key);
            derived.map_err(|_| Error::new(ErrorKind::Internal, "cannot derive a key"))
        };
        let (mut id, mut hash_key, mut cipher_key) = ([0; 4], [0; 32], [0; 64]);
        derive(b"id", &mut id)?;
        derive(b"hash", &mut hash_key)?;
        derive(b"token", &mut cipher_key)?;
        let mac = Hmac::<Sha256>::new_from_slice(&hash_key);
        let mac = mac.map_err(|_| Error::new(ErrorKind::Internal, "cannot use a derived key"))?;
        let id = hex(&id);
        Ok(Self {
            mac,
            cipher_key,
            hash_prefix: format!("{HASH}{id}_"),
            token_prefix: format!("{TOKEN}{id}_"),
        })
    }

    /// Appends the keyed hash of a text: `h_KEYID_` and 64 hexadecimal digits.
    pub(crate) fn hash_into(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut mac = self.mac.clone();
        mac.update(text);
        out.extend_from_slice(self.hash_prefix.as_bytes());
        hex_into(&mac.finalize().into_bytes(), out);
    }

    /// Appends the token of a text: `t_KEYID_` and base64 for addresses. One text has one token.
    pub(crate) fn token_into(&self, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let sealed = Aes256Siv::new((&self.cipher_key).into()).encrypt([[]; 0], text);
        let sealed = sealed.map_err(|_| Error::new(ErrorKind::Internal, "cannot make a token"))?;
        out.extend_from_slice(self.token_prefix.as_bytes());
        out.extend_from_slice(URL_SAFE_NO_PAD.encode(sealed).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Keys {
        Keys::new(&Secret::new(text)).unwrap()
    }

    /// Returns the text that a token was made of, for who has the key.
    fn reveal(keys: &Keys, token: &[u8]) -> Option<Vec<u8>> {
        let sealed = token.strip_prefix(keys.token_prefix.as_bytes())?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        Aes256Siv::new((&keys.cipher_key).into()).decrypt([[]; 0], &sealed).ok()
    }

    const KEY: &str = "n0t-a-real-key-0123456789-abcdefghij";

    #[test]
    fn texts_stay_what_they_were() {
        // These texts are in tables: a change of the derivation breaks every join with them.
        let mut out = Vec::new();
        keys(KEY).hash_into(b"ann@example.com", &mut out);
        out.push(b' ');
        keys(KEY).token_into(b"ann@example.com", &mut out).unwrap();
        let found = String::from_utf8(out).unwrap();
        assert_eq!(found, include_str!("known.txt").trim_end());
    }

    #[test]
    fn short_and_simple_keys_are_refused() {
        for text in ["", "short", &"a".repeat(100), &"abc".repeat(20), &format!("{:>40}", "x")] {
            let failure = Keys::new(&Secret::new(text)).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config);
            assert!(text.is_empty() || !failure.to_string().contains(&format!("{text}\n")));
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        keys(KEY).hash_into(b"x", &mut one);
        keys(&format!("  {KEY}\n")).hash_into(b"x", &mut other);
        assert_eq!(one, other);
    }

    #[test]
    fn tokens_are_read_with_their_key_only() {
        let (keys, other) = (keys(KEY), keys("another-key-0123456789-abcdefghijklmn"));
        let texts = prop_oneof![
            Just(Vec::new()),
            any::<String>().prop_map(String::into_bytes),
            (0_usize..50_000).prop_map(|length| vec![b'x'; length]),
        ];
        testing::property::holds("tokens", 100, texts, |text| {
            let mut token = Vec::new();
            keys.token_into(&text, &mut token).unwrap();
            prop_assert!(reveal(&keys, &token).is_some_and(|read| read == text));
            prop_assert!(reveal(&other, &token).is_none());
            let mut again = Vec::new();
            keys.token_into(&text, &mut again).unwrap();
            prop_assert_eq!(&again, &token);
            let last = token.len() - 2;
            token[last] = if token[last] == b'A' { b'B' } else { b'A' };
            prop_assert!(reveal(&keys, &token).is_none());
            Ok(())
        });
    }
}
