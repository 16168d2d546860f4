//! Objects that stand for lists: their keys are numbers, and their members objects. Pure.

use singer::scan::{Scanner, Token};

/// Returns where the members of an object lie, if each key is a number and each member an object.
pub(super) fn members(text: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut scanner = Scanner::new(text);
    let mut more = scanner.open(b'{', b'}').ok()?;
    let mut members = Vec::new();
    while more {
        let key = scanner.key().ok()?;
        scanner.space();
        let start = scanner.at();
        let is_object = matches!(scanner.value().ok()?, Token::Object(_));
        if !is_object || key.raw.is_empty() || !key.raw.iter().all(u8::is_ascii_digit) {
            return None;
        }
        members.push((start, scanner.at() - start));
        more = scanner.more(b'}').ok()?;
    }
    Some(members)
}
