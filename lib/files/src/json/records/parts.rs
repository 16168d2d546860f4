//! Keys, and the document around the records (pure).

use singer::scan::{Scanner, Token};

/// Appends an element to the container at the end of the envelope.
pub(super) fn put(envelope: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if !matches!(envelope.last(), None | Some(b'{' | b'[')) {
        envelope.push(b',');
    }
    envelope.extend_from_slice(key);
    envelope.extend_from_slice(value);
}

/// Tells whether a key, in quotes and with its colon, is this name.
pub(super) fn is_key(key: &[u8], name: &str) -> bool {
    let Ok(Token::String(quoted)) = Scanner::new(key).value() else { return false };
    let mut text = Vec::new();
    quoted.unescape_into(&mut text);
    text == name.as_bytes()
}
