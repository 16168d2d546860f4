//! The form in which Meltano keeps a state: what runs that ended well have left, and what others
//! have left since (pure).

use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result};

/// The member that has the value of a STATE message.
const SINGER_STATE: &str = "singer_state";

/// Returns the state that a run starts from: the partial one over the completed one, member by
/// member. `None` where Meltano has none.
///
/// # Errors
/// `Config` when a text is no object.
pub(super) fn read(completed: Option<&str>, partial: Option<&str>) -> Result<Option<Value>> {
    let mut merged = object(completed)?;
    merge(&mut merged, object(partial)?);
    match merged.remove(SINGER_STATE) {
        None | Some(Value::Null) => Ok(None),
        Some(state @ Value::Object(_)) => Ok(Some(state)),
        Some(_) => Err(damaged()),
    }
}

/// Returns a completed state as a member of what Meltano keeps.
pub(super) fn completed(state: &Value) -> Value {
    json!({ SINGER_STATE: state })
}

/// Puts a state over another one, as Meltano does.
pub(crate) fn merged(mut under: Map<String, Value>, state: Value) -> Value {
    if let Value::Object(members) = state {
        merge(&mut under, members);
    }
    Value::Object(under)
}

fn object(text: Option<&str>) -> Result<Map<String, Value>> {
    let Some(text) = text else { return Ok(Map::new()) };
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(damaged()),
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Config, "cannot read the state: it is damaged")
}

/// Puts one object over another, at every depth, as Meltano does.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_state_lies_over_the_completed_one() {
        let check = |completed: &str, partial: &str, expected: Option<Value>| {
            assert_eq!(read(Some(completed), Some(partial)).unwrap(), expected, "{completed}");
        };
        let all = json!({"bookmarks": {"a": {"v": 2, "k": "x"}, "b": {"v": 1}}});
        check(
            r#"{"singer_state": {"bookmarks": {"a": {"v": 1, "k": "x"}, "b": {"v": 1}}}}"#,
            r#"{"singer_state": {"bookmarks": {"a": {"v": 2}}}}"#,
            Some(all),
        );
        check("{}", r#"{"singer_state": {"bookmarks": {}}}"#, Some(json!({"bookmarks": {}})));
        check("null", "{}", None);
        assert_eq!(read(None, None).unwrap(), None);
        for odd in ["", "[]", "{", r#"{"singer_state": 1}"#] {
            assert_eq!(read(Some(odd), None).unwrap_err().kind(), ErrorKind::Config, "{odd}");
        }
    }
}
