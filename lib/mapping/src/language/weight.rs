//! What values weigh, against the limit of what an expression makes for one row.

use std::borrow::Cow;

use super::fault::Fault;
use super::size::text;
use super::value::Value;

/// Refuses a list before it is made.
pub(crate) fn list(values: usize) -> Result<(), Fault> {
    text(values.saturating_mul(size_of::<Value<'_>>()))
}

/// Returns the bytes that a value takes when it is cloned.
pub(crate) fn of(value: &Value<'_>) -> usize {
    match value {
        Value::Text(Cow::Owned(text)) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) | Value::Tuple(values) => of_all(values),
        Value::Dict(pairs) => pairs.iter().map(|(key, value)| in_list(key) + in_list(value)).sum(),
        _ => 0,
    }
}

/// Returns the bytes of a list. The lists in it are shared, the texts are not.
pub(crate) fn of_all(values: &[Value<'_>]) -> usize {
    values.iter().map(in_list).sum()
}

fn in_list(value: &Value<'_>) -> usize {
    let text = if let Value::Text(Cow::Owned(text)) = value { text.len() } else { 0 };
    size_of::<Value<'_>>() + text
}

/// Refuses a value that would take too much when nothing of it is shared.
pub(crate) fn whole(value: &Value<'_>) -> Result<(), Fault> {
    charge(value, &mut 0)
}

fn charge(value: &Value<'_>, spent: &mut usize) -> Result<(), Fault> {
    let length = match value {
        Value::Text(text) | Value::Digits(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    *spent = spent.saturating_add(size_of::<Value<'_>>() + length);
    text(*spent)?;
    match value {
        Value::List(values) | Value::Tuple(values) => {
            values.iter().try_for_each(|value| charge(value, spent))
        }
        Value::Dict(pairs) => pairs.iter().try_for_each(|(key, value)| {
            charge(key, spent)?;
            charge(value, spent)
        }),
        _ => Ok(()),
    }
}
