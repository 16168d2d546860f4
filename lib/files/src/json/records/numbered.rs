//! Objects that stand for lists: their keys are numbers, and their members objects. Pure.

use singer::scan::{Fault, Scanner, Token};

/// An object that stands for a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    /// Where its members lie, each by its start and length.
    pub(super) members: Vec<(usize, usize)>,
    /// Its keys are not places in a list, and no value of a member says the same: nothing of the
    /// records has them.
    pub(super) loses_keys: bool,
}

/// Reads an object if each key is a number and each member an object.
pub(super) fn read(text: &[u8]) -> Option<Numbered> {
    let mut scanner = Scanner::new(text);
    let mut more = scanner.open(b'{', b'}').ok()?;
    let mut found = Numbered { members: Vec::new(), loses_keys: false };
    let (mut from_zero, mut from_one, mut all_have_theirs) = (true, true, true);
    let mut last = None;
    while more {
        let key = scanner.key().ok()?;
        scanner.space();
        let start = scanner.at();
        let is_object = matches!(scanner.value().ok()?, Token::Object(_));
        if !is_object || key.raw.is_empty() || !key.raw.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let member = &text[start..scanner.at()];
        all_have_theirs = all_have_theirs && has_value(member, key.raw).unwrap_or(false);
        let place = std::str::from_utf8(key.raw).ok()?.parse::<u64>().ok();
        // A list with gaps rises from its first place; one that is counted from one has none.
        from_zero &= if last.is_none() { place == Some(0) } else { place > last };
        from_one &= place == Some(found.members.len() as u64 + 1);
        last = place;
        found.members.push((start, member.len()));
        more = scanner.more(b'}').ok()?;
    }
    found.loses_keys = !found.members.is_empty() && !from_zero && !from_one && !all_have_theirs;
    Some(found)
}

/// Tells whether an object has a value, a number or a text, of these digits.
fn has_value(object: &[u8], digits: &[u8]) -> Result<bool, Fault> {
    let mut scanner = Scanner::new(object);
    let mut more = scanner.open(b'{', b'}')?;
    while more {
        scanner.key()?;
        let is_it = match scanner.value()? {
            Token::Integer(number) => number == digits,
            Token::String(text) => text.raw == digits,
            _ => false,
        };
        if is_it {
            return Ok(true);
        }
        more = scanner.more(b'}')?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_places_are_lost_unless_their_members_have_them() {
        for (text, loses_keys) in [
            (r#"{"0":{"n":1},"1":{"n":1}}"#, false),
            (r#"{"0":{},"2":{},"7":{}}"#, false),
            (r#"{"1":{},"2":{},"3":{}}"#, false),
            (r#"{"17":{"id":17,"n":1},"25":{"n":2,"id": "25"}}"#, false),
            ("{}", false),
            (r#"{"17":{"n":1},"25":{"n":2}}"#, true),
            (r#"{"17":{"id":17},"25":{"n":2}}"#, true),
            (r#"{"2024":{"n":2025},"2025":{"n":2024}}"#, true),
            (r#"{"0":{},"5":{},"3":{}}"#, true),
            (r#"{"007":{}}"#, true),
            (r#"{"99999999999999999999":{}}"#, true),
        ] {
            assert_eq!(read(text.as_bytes()).map(|found| found.loses_keys), Some(loses_keys));
        }
        for text in [r#"{"1":{},"b":{}}"#, r#"{"1":{},"2":[]}"#, r#"{"":{}}"#, "[1]"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
