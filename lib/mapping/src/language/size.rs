//! How much an expression may make for one row. Values of a row multiply where they are joined,
//! repeated or put in place of others: without a limit one row could take all memory.

use std::borrow::Cow;

use super::fault::Fault;
use super::value::Value;

/// The bytes that an expression may make for one row.
pub(crate) const MADE_MAX: usize = 256 << 20;
/// How often loops may turn for one row.
pub(crate) const TURNS_MAX: usize = 1_000_000;

/// Refuses a text before it is made.
pub(crate) fn text(bytes: usize) -> Result<(), Fault> {
    if bytes <= MADE_MAX {
        return Ok(());
    }
    let megabytes = MADE_MAX >> 20;
    Err(Fault::of(format!("an expression makes {megabytes} MB at most for one row")))
}

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
