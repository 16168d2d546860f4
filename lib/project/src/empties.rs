//! What is empty in a project file, and of another form than it should be: `config: []`.
//!
//! Meltano takes it as nothing. So does this: there is nothing in it that could be lost.

use serde_json::{Map, Value};

use crate::shapes::{Kind, Shape};

/// Tells whether a value says nothing, whatever its form: where a mapping or a list is wanted.
pub(crate) fn is_nothing(value: &Value, kind: Kind) -> bool {
    match value {
        Value::Array(items) => items.is_empty() && is_mapping(kind),
        Value::Object(members) => members.is_empty() && is_list(kind),
        Value::String(text) => {
            text.is_empty() && (is_mapping(kind) || matches!(kind, Kind::List(_)))
        }
        _ => false,
    }
}

/// Gives what is empty the form that it should have.
pub(crate) fn settle(value: &mut Value, shape: &Shape) {
    for (key, kind) in shape.keys() {
        let Some(inner) = value.get_mut(key) else { continue };
        if is_nothing(inner, kind) {
            *inner = if is_list(kind) { Value::Array(vec![]) } else { Value::Object(Map::new()) };
        }
        match kind {
            Kind::At(shape) => settle(inner, shape),
            Kind::List(Kind::At(shape)) => {
                inner.as_array_mut().into_iter().flatten().for_each(|entry| settle(entry, shape));
            }
            _ => {}
        }
    }
}

fn is_mapping(kind: Kind) -> bool {
    matches!(kind, Kind::Mapping | Kind::Scalars | Kind::Rules | Kind::At(_))
}

fn is_list(kind: Kind) -> bool {
    matches!(kind, Kind::List(_) | Kind::Texts | Kind::Tasks)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::shapes::FILE;

    #[test]
    fn what_is_empty_has_the_form_that_is_wanted() {
        let mut value = json!({
            "env": [], "jobs": {}, "schedules": "", "environments": [{"name": "e", "config": []}],
            "plugins": {"extractors": [
                {"name": "t", "config": [], "env": "", "select": {}, "metadata": {"a": []}}]},
        });
        settle(&mut value, &FILE);
        let expected = json!({
            "env": {}, "jobs": [], "schedules": [], "environments": [{"name": "e", "config": {}}],
            "plugins": {"extractors": [
                {"name": "t", "config": {}, "env": {}, "select": [], "metadata": {"a": []}}]},
        });
        assert_eq!(value, expected);
    }
}
