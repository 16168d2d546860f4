//! The texts of values: `str` and `repr`.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::decimal::Decimal;
use super::fault::Fault;
use super::letters::is_printable;
use super::moment::delta_text;
use super::moment_text::zone;
use super::number::{float_text, truncated};
use super::size;
use super::value::Value;

/// Returns `str(value)`.
pub(crate) fn str<'a>(value: &Value<'a>) -> Result<Cow<'a, str>, Fault> {
    Ok(match value {
        Value::Text(text) => text.clone(),
        Value::None => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        Value::Int(number) => number.to_string().into(),
        Value::Big(number) => number.to_string().into(),
        Value::Float(number) => float_text(*number).into(),
        Value::Digits(text) => digits(text),
        Value::Date(date) => date.text().into(),
        Value::DateTime(moment) => moment.text(' ').into(),
        Value::Delta(micros) => delta_text(*micros).into(),
        Value::Zone(offset) => zone(*offset).into(),
        Value::Bytes(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => {
            let mut out = String::new();
            repr(value, &mut out)?;
            out.into()
        }
    })
}

impl<'a> Value<'a> {
    /// Returns the digits of a number without a fraction.
    pub(crate) fn whole_text(&self) -> Result<Cow<'a, str>, Fault> {
        Ok(match self {
            Self::Float(number) => truncated(*number).to_string().into(),
            Self::Digits(text) => {
                let whole = Decimal::read(text).and_then(|number| number.truncated());
                whole.ok_or_else(|| Fault::of("the number is too large"))?.to_string().into()
            }
            other => str(other)?,
        })
    }

    /// Returns a number as JSON has it, with the three words that floats have besides.
    pub(crate) fn number_text(&self) -> Result<Cow<'a, str>, Fault> {
        Ok(match self {
            Self::Float(number) if number.is_nan() => "NaN".into(),
            Self::Float(number) if number.is_infinite() => {
                if *number > 0.0 { "Infinity" } else { "-Infinity" }.into()
            }
            Self::Digits(text) => text.clone(),
            other => str(other)?,
        })
    }
}

/// Returns a number as Python writes it; most are written so.
fn digits<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    let small = text.trim_start_matches('-').starts_with("0.00000");
    if !small && !text.contains(['e', 'E']) {
        return text.clone();
    }
    Decimal::read(text).map_or_else(|| text.clone(), |number| number.text().into())
}

fn repr(value: &Value<'_>, out: &mut String) -> Result<(), Fault> {
    match value {
        Value::Text(text) => quoted(text, out),
        Value::List(values) => row(values, ('[', ']'), out)?,
        Value::Tuple(values) => {
            row(values, ('(', ')'), out)?;
            if values.len() == 1 {
                out.insert(out.len() - 1, ',');
            }
        }
        Value::Dict(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                repr(key, out)?;
                out.push_str(": ");
                repr(value, out)?;
                size::text(out.len())?;
            }
            out.push('}');
        }
        Value::Digits(text) => {
            let _ = write!(out, "Decimal('{}')", digits(text));
        }
        Value::Bytes(_)
        | Value::Date(_)
        | Value::DateTime(_)
        | Value::Delta(_)
        | Value::Zone(_) => {
            return Err(Fault::of(format!("the text of {} is not supported here", value.kind())));
        }
        other => out.push_str(&str(other)?),
    }
    Ok(())
}

fn row(values: &[Value<'_>], brackets: (char, char), out: &mut String) -> Result<(), Fault> {
    out.push(brackets.0);
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        repr(value, out)?;
        size::text(out.len())?;
    }
    out.push(brackets.1);
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if !is_printable(c) => {
                let _ = match u32::from(c) {
                    code @ ..=0xff => write!(out, "\\x{code:02x}"),
                    code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}
