//! `value[index]` and `value[start:stop:step]`.

use std::borrow::Cow;
use std::rc::Rc;

use super::fault::Fault;
use super::text::part;
use super::value::{Value, Valued, found};

/// Returns `of[index]`.
pub(crate) fn item<'a>(of: &Value<'a>, index: &Value<'a>) -> Valued<'a> {
    let beyond = || Fault::of("the index lies beyond the end");
    match of {
        Value::Dict(pairs) => {
            found(pairs, index).cloned().ok_or_else(|| Fault::of("there is no such key"))
        }
        Value::List(values) | Value::Tuple(values) => {
            let at = place(index.index()?, values.len()).ok_or_else(beyond)?;
            values.get(at).cloned().ok_or_else(beyond)
        }
        Value::Text(text) if text.is_ascii() => {
            let at = place(index.index()?, text.len()).ok_or_else(beyond)?;
            Ok(part(text, at, at + 1))
        }
        Value::Text(text) => {
            let at = place(index.index()?, text.chars().count()).ok_or_else(beyond)?;
            let c = text.chars().nth(at).ok_or_else(beyond)?;
            Ok(Value::text(c.to_string()))
        }
        other => Err(Fault::of(format!("{} has no parts", other.kind()))),
    }
}

/// Counts a negative index from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(at).ok().filter(|_| at < length)
}

/// Returns `of[start:stop:step]`.
pub(crate) fn slice<'a>(of: &Value<'a>, bounds: [Option<i64>; 3]) -> Valued<'a> {
    match of {
        Value::Text(text) if text.is_ascii() => {
            if let (start, stop, 1) = range(bounds, text.len())? {
                Ok(part(text, start, stop.max(start)))
            } else {
                let bytes = text.as_bytes();
                let picked = places(bounds, bytes.len())?;
                Ok(Value::text(picked.map(|at| char::from(bytes[at])).collect::<String>()))
            }
        }
        Value::Text(text) => {
            let chars: Vec<char> = text.chars().collect();
            let picked = places(bounds, chars.len())?;
            Ok(Value::Text(Cow::Owned(picked.map(|at| chars[at]).collect())))
        }
        Value::List(values) => {
            let picked = places(bounds, values.len())?;
            Ok(Value::list(picked.map(|at| values[at].clone()).collect()))
        }
        Value::Tuple(values) => {
            let picked = places(bounds, values.len())?;
            Ok(Value::Tuple(Rc::new(picked.map(|at| values[at].clone()).collect())))
        }
        other => Err(Fault::of(format!("{} has no parts", other.kind()))),
    }
}

/// Returns where a slice starts and stops; backwards each is one more than its place.
fn range(bounds: [Option<i64>; 3], length: usize) -> Result<(usize, usize, i64), Fault> {
    let [start, stop, by] = bounds;
    let by = by.unwrap_or(1);
    if by == 0 {
        return Err(Fault::of("the step of a slice is 0"));
    }
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if by > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: i64| {
        let at = if bound < 0 { bound.saturating_add(length) } else { bound };
        at.clamp(low, high)
    };
    let (first, last) = if by > 0 { (low, high) } else { (high, low) };
    let (start, stop) = (start.map_or(first, bound), stop.map_or(last, bound));
    let shift = i64::from(by < 0);
    let narrow = |at: i64| usize::try_from(at + shift).unwrap_or_default();
    Ok((narrow(start), narrow(stop), by))
}

/// Returns the places that a slice picks.
fn places(
    bounds: [Option<i64>; 3],
    length: usize,
) -> Result<Box<dyn Iterator<Item = usize>>, Fault> {
    let (start, stop, by) = range(bounds, length)?;
    let every = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(if by > 0 {
        Box::new((start..stop).step_by(every))
    } else {
        Box::new((stop..start).rev().step_by(every))
    })
}
