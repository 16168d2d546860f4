//! Names as parts of a path: percent-encoded, reversible, never outside the folder they are in.

use crate::sum;

/// The longest part made of a name, so that prefix and suffix still fit into 255 bytes.
const PART_BYTES_MAX: usize = 200;
/// Stands before the hash of a shortened name; no encoded name contains it.
pub const CUT: char = '~';

/// Encodes a name: `[A-Za-z0-9_-]` and a `.` that is not the first byte stay, other bytes become
/// `%XX`, the empty name becomes `%`. A name too long for a file system is cut and ends in `~` and
/// a hash of the whole name; who keeps things by such a name notes the whole one.
pub fn encode(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte & 15));
        }
    }
    if out.len() <= PART_BYTES_MAX {
        return out;
    }
    let hash = sum(name);
    let mut end = PART_BYTES_MAX - 33;
    // Not in the middle of an escape.
    while out[..end].rfind('%').is_some_and(|at| at + 3 > end) {
        end -= 1;
    }
    format!("{}{CUT}{}", &out[..end], &hash[..32])
}

/// Decodes what [`encode`] wrote; `None` for a shortened name and for foreign text.
pub fn decode(part: &str) -> Option<String> {
    if part == "%" {
        return Some(String::new());
    }
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => out.push(byte),
        }
    }
    let name = String::from_utf8(out).ok()?;
    (encode(&name) == part).then_some(name)
}

fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use testing::property::holds;

    #[test]
    fn encodes_hostile_names() {
        let check = |name: &str, part: &str| {
            assert_eq!(encode(name), part);
            assert_eq!(decode(part).as_deref(), Some(name));
        };
        check("public-orders", "public-orders");
        check("Order_1.v2", "Order_1.v2");
        check("", "%");
        check(".", "%2E");
        check("..", "%2E.");
        check(".hidden", "%2Ehidden");
        check("../../etc/cron.d/x", "%2E.%2F..%2Fetc%2Fcron.d%2Fx");
        check("a\0b", "a%00b");
        check("..%2f", "%2E.%252f");
        check("~root", "%7Eroot");
        check("naïve é", "na%C3%AFve%20%C3%A9");
    }

    #[test]
    fn refuses_foreign_parts() {
        for part in ["%2", "%zz", "a/b", "%41", "%2e", "a~b", ".x"] {
            assert_eq!(decode(part), None, "{part}");
        }
    }

    #[test]
    fn shortens_long_names_with_a_hash() {
        let (one, two) = ("ä".repeat(200) + "1", "ä".repeat(200) + "2");
        assert_ne!(encode(&one), encode(&two));
        assert_eq!(encode(&one), encode(&one));
        assert!(encode(&one).len() <= PART_BYTES_MAX);
        assert_eq!(decode(&encode(&one)), None);
    }

    #[test]
    fn every_name_comes_back_and_stays_inside() {
        let name = prop_oneof![
            "\\PC{0,60}",
            "[./%~aA2Ee\\x00]{0,12}",
            "[aäÄ🎉%. ]{60,230}",
            // A name that looks like one that was shortened.
            "\\PC{40,90}".prop_map(|name| encode(&name)),
        ];
        holds("names", 2000, name, |name| {
            let part = encode(&name);
            prop_assert!(!part.contains(['/', '\0', '=']));
            prop_assert!(!part.starts_with('.') && !part.is_empty());
            prop_assert!(part.len() <= PART_BYTES_MAX);
            prop_assert!(part.is_ascii());
            if !part.contains(CUT) {
                prop_assert_eq!(decode(&part), Some(name));
            }
            Ok(())
        });
    }

    #[test]
    fn two_names_are_two_parts() {
        let long = prop::collection::vec("[aAäÄé/%]{20}", 1..16).prop_map(|parts| parts.concat());
        let change = (any::<prop::sample::Index>(), "[aAäÄ%2fF/. ~]{0,2}");
        let names = prop_oneof![
            ("[aAbB./%2fF~ äÄ]{0,5}", "[aAbB./%2fF~ äÄ]{0,5}"),
            (long, change).prop_map(|(name, (at, with))| {
                let starts: Vec<usize> = name.char_indices().map(|(start, _)| start).collect();
                let start = *at.get(&starts);
                let mut other = name.clone();
                let end = start + name[start..].chars().next().map_or(0, char::len_utf8);
                other.replace_range(start..end, &with);
                (name, other)
            }),
        ];
        holds("pairs of names", 3000, names, |(one, other)| {
            let parts = (encode(&one), encode(&other));
            prop_assert_eq!(one == other, parts.0 == parts.1);
            // Where a file system folds case, only names that differ in the case of a to z meet,
            // and those are refused by the manifest that is there.
            if parts.0.eq_ignore_ascii_case(&parts.1) {
                prop_assert!(one.eq_ignore_ascii_case(&other), "{one:?} {other:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn any_part_is_a_name_s_own_or_none() {
        holds("parts of paths", 2000, "[%a-fA-F0-9._~/é-]{0,12}", |part| {
            if let Some(name) = decode(&part) {
                prop_assert_eq!(encode(&name), part);
            }
            Ok(())
        });
    }
}
