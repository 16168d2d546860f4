//! JSON into values, and values into JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use singer::quote::string_into;
use singer::scan::{DEPTH_MAX, Quoted, Scanner, Token};

use super::arithmetic::integer;
use super::fault::Fault;
use super::number::float_text;
use super::value::{Dict, Value, Valued, set};
use super::{show, size};

/// So many keys are compared with each other; more are looked up.
const FEW: usize = 16;

/// What a number with a fraction becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fractions {
    /// A number with its digits, as for values of records.
    Digits,
    /// A float, as `json.loads` reads it.
    Floats,
}

/// Reads a text, which is UTF-8.
pub(crate) fn read(text: &[u8], fractions: Fractions) -> Valued<'_> {
    let fault = |_| Fault::of("the text is not JSON");
    let mut scanner = Scanner::new(text);
    scanner.space();
    let value = value(&mut scanner, fractions, 0)?;
    scanner.space();
    scanner.end().map_err(fault)?;
    Ok(value)
}

fn value<'a>(scanner: &mut Scanner<'a>, fractions: Fractions, depth: usize) -> Valued<'a> {
    let fault = |_| Fault::of("the text is not JSON");
    if depth > DEPTH_MAX {
        return Err(Fault::of(format!("the text nests more than {DEPTH_MAX} times")));
    }
    match scanner.peek() {
        Some(b'{') => {
            let mut pairs = Dict::new();
            let mut more = scanner.open(b'{', b'}').map_err(fault)?;
            while more {
                let key = text(scanner.key().map_err(fault)?);
                pairs.push((key, value(scanner, fractions, depth + 1)?));
                more = scanner.more(b'}').map_err(fault)?;
            }
            Ok(Value::dict(without_repeated(pairs)))
        }
        Some(b'[') => {
            let mut values = Vec::new();
            let mut more = scanner.open(b'[', b']').map_err(fault)?;
            while more {
                values.push(value(scanner, fractions, depth + 1)?);
                more = scanner.more(b']').map_err(fault)?;
            }
            Ok(Value::list(values))
        }
        _ => Ok(match scanner.value().map_err(fault)? {
            Token::Boolean(truth) => Value::Bool(truth),
            Token::Integer(digits) => whole(&String::from_utf8_lossy(digits)),
            Token::Decimal(digits) => {
                let digits = String::from_utf8_lossy(digits);
                match fractions {
                    Fractions::Digits => Value::Digits(digits),
                    Fractions::Floats => Value::Float(digits.parse().unwrap_or(f64::NAN)),
                }
            }
            Token::String(quoted) => text(quoted),
            Token::Null | Token::Object(_) | Token::Array(_) => Value::None,
        }),
    }
}

/// Leaves each key once, at its first place and with its last value.
fn without_repeated(pairs: Dict<'_>) -> Dict<'_> {
    if pairs.len() <= FEW {
        let mut kept = Dict::with_capacity(pairs.len());
        for (key, value) in pairs {
            set(&mut kept, key, value);
        }
        return kept;
    }
    let mut places: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    let mut kept = Dict::with_capacity(pairs.len());
    for (key, value) in pairs {
        let Value::Text(name) = &key else { continue };
        match places.entry(name.clone()) {
            Entry::Occupied(at) => kept[*at.get()].1 = value,
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

/// Returns the integer of digits.
pub(crate) fn whole<'a>(digits: &str) -> Value<'a> {
    match digits.parse() {
        Ok(number) => Value::Int(number),
        Err(_) => integer(digits.parse().unwrap_or_default()),
    }
}

fn text(quoted: Quoted<'_>) -> Value<'_> {
    if quoted.plain {
        return Value::Text(String::from_utf8_lossy(quoted.raw));
    }
    let mut out = Vec::new();
    quoted.unescape_into(&mut out);
    Value::Text(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))
}

/// Appends a value as a record has it: compact, with its digits.
pub(crate) fn compact(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    write(value, &Style { between: ",", colon: ":", ascii: false, start: out.len() }, out)
}

/// Returns what `json.dumps` writes.
pub(crate) fn dumps(value: &Value<'_>) -> Result<String, Fault> {
    let mut out = Vec::new();
    write(value, &Style { between: ", ", colon: ": ", ascii: true, start: 0 }, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct Style {
    between: &'static str,
    colon: &'static str,
    /// Other characters are escaped.
    ascii: bool,
    /// Where the value starts.
    start: usize,
}

fn write(value: &Value<'_>, style: &Style, out: &mut Vec<u8>) -> Result<(), Fault> {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Float(number) if number.is_nan() => out.extend_from_slice(b"NaN"),
        Value::Float(number) if number.is_infinite() => {
            let word = if *number > 0.0 { "Infinity" } else { "-Infinity" };
            out.extend_from_slice(word.as_bytes());
        }
        Value::Float(number) => out.extend_from_slice(float_text(*number).as_bytes()),
        Value::Int(_) | Value::Big(_) => out.extend_from_slice(show::str(value)?.as_bytes()),
        Value::Digits(text) => out.extend_from_slice(text.as_bytes()),
        Value::Text(text) => string(text, style, out),
        Value::Date(date) if !style.ascii => string(&date.text(), style, out),
        Value::DateTime(moment) if !style.ascii => string(&moment.text('T'), style, out),
        Value::List(values) | Value::Tuple(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(style.between.as_bytes());
                }
                write(value, style, out)?;
                size::text(out.len() - style.start)?;
            }
            out.push(b']');
        }
        Value::Dict(pairs) => {
            out.push(b'{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(style.between.as_bytes());
                }
                match key {
                    Value::Text(key) => string(key, style, out),
                    Value::None
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Big(_)
                    | Value::Float(_) => {
                        out.push(b'"');
                        write(key, style, out)?;
                        out.push(b'"');
                    }
                    other => return Err(unfit(other)),
                }
                out.extend_from_slice(style.colon.as_bytes());
                write(value, style, out)?;
                size::text(out.len() - style.start)?;
            }
            out.push(b'}');
        }
        other => return Err(unfit(other)),
    }
    Ok(())
}

fn unfit(value: &Value<'_>) -> Fault {
    Fault::of(format!("JSON has no {}", value.kind()))
}

fn string(text: &str, style: &Style, out: &mut Vec<u8>) {
    if !style.ascii || text.is_ascii() && !text.contains('\u{7f}') {
        return string_into(text.as_bytes(), out);
    }
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            ' '..='\u{7f}' => out.extend(u8::try_from(c)),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

/// Returns the text of a member of an object, the last one of that name.
pub(crate) fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    if scanner.peek() != Some(b'{') {
        return None;
    }
    let mut more = scanner.open(b'{', b'}').ok()?;
    let mut found = None;
    while more {
        let key = scanner.key().ok()?;
        let start = scanner.at();
        scanner.value().ok()?;
        let same = if key.plain {
            key.raw == name.as_bytes()
        } else {
            let mut plain = Vec::new();
            key.unescape_into(&mut plain);
            plain == name.as_bytes()
        };
        if same {
            found = Some(&text[start..scanner.at()]);
        }
        more = scanner.more(b'}').ok()?;
    }
    found
}
