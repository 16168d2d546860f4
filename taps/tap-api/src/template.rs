//! Texts with `{placeholders}`. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

/// What placeholders stand for.
pub type Fills = BTreeMap<String, Value>;

/// Returns the text of a value that stands in a text.
pub fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Placeholders that are not always known.
const TIMES: [&str; 3] = ["start", "end", "datestamp"];

/// What other taps write, for `{start}`.
const LAST_RUN_DATE: &str = "$last_run_date";

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
    /// `{+name}`: slashes in the value part the path.
    Path(String),
}

impl Template {
    /// Reads a text. Braces around anything but a name stand for themselves.
    pub fn new(text: &str) -> Self {
        let text = text.replace("${last_run_date}", "{start}").replace(LAST_RUN_DATE, "{start}");
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            plain.push_str(&rest[..open]);
            let inner = &rest[open + 1..];
            let of_path = inner.starts_with('+');
            let start = usize::from(of_path);
            let close = inner.find('}').filter(|close| is_name(&inner[start.min(*close)..*close]));
            if let Some(close) = close {
                parts.push(Part::Text(std::mem::take(&mut plain)));
                let name = inner[start..close].to_owned();
                parts.push(if of_path { Part::Path(name) } else { Part::Name(name) });
                rest = &inner[close + 1..];
            } else {
                plain.push('{');
                rest = inner;
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        Self(parts)
    }

    /// Returns the placeholders.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) | Part::Path(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Returns the placeholder that the text is all of.
    pub fn whole(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// Fills the placeholders, each value changed by `form`; `None` when a time is not known, or a
    /// value is null.
    /// Other names that are not known stand for themselves: a body may have braces of its own.
    pub fn fill(&self, fills: &Fills, form: impl Fn(&str) -> String) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            let (name, of_path) = match part {
                Part::Text(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Part::Name(name) => (name, false),
                Part::Path(name) => (name, true),
            };
            if fills.get(name).is_some_and(Value::is_null) {
                return None;
            }
            match fills.get(name).map(text_of) {
                Some(value) if of_path => {
                    let segments: Vec<String> = value.split('/').map(&form).collect();
                    text.push_str(&segments.join("/"));
                }
                Some(value) => text.push_str(&form(&value)),
                None if TIMES.contains(&name.as_str()) => return None,
                None => text.extend([if of_path { "{+" } else { "{" }, name, "}"]),
            }
        }
        Some(text)
    }
}

fn is_name(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    first && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Lists the placeholders of all strings in a JSON value.
pub fn names_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => names.extend(Template::new(text).names().map(str::to_owned)),
        Value::Array(elements) => elements.iter().for_each(|element| names_in(element, names)),
        Value::Object(members) => members.values().for_each(|member| names_in(member, names)),
        _ => {}
    }
}

/// Fills the placeholders in all strings of a JSON value; members with a time that is not known go.
///
/// A placeholder that is all of a string becomes the value itself, of the kind that it has.
pub fn fill_in(value: &Value, fills: &Fills) -> Option<Value> {
    fill_each(value, &|template| match template.whole().and_then(|name| fills.get(name)) {
        Some(value) => Some(value.clone()),
        None => template.fill(fills, str::to_owned).map(Value::from),
    })
}

/// Fills the placeholders as [`fill_in`] does, with texts alone: for what is no JSON.
pub fn fill_texts(value: &Value, fills: &Fills) -> Option<Value> {
    fill_each(value, &|template| template.fill(fills, str::to_owned).map(Value::from))
}

fn fill_each(value: &Value, fill: &impl Fn(&Template) -> Option<Value>) -> Option<Value> {
    Some(match value {
        Value::String(text) => fill(&Template::new(text))?,
        Value::Array(elements) => {
            elements.iter().filter_map(|element| fill_each(element, fill)).collect()
        }
        Value::Object(members) => {
            let filled = members.iter();
            filled
                .filter_map(|(name, value)| Some((name.clone(), fill_each(value, fill)?)))
                .collect()
        }
        other => other.clone(),
    })
}

/// Puts a value at a path of members like `page.cursor`, making the objects on the way.
pub fn put(body: &mut Value, path: &str, value: Value) {
    if !body.is_object() {
        *body = Value::Object(serde_json::Map::new());
    }
    let Some(members) = body.as_object_mut() else { return };
    match path.split_once('.') {
        Some((first, rest)) => {
            put(members.entry(first.to_owned()).or_insert(Value::Null), rest, value);
        }
        None => {
            members.insert(path.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fills() -> Fills {
        [("id", "a/b c"), ("start", "2024-01-01")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into()
    }

    #[test]
    fn fills_names_and_leaves_other_braces() {
        let check = |text: &str, expected: Option<&str>| {
            let filled = Template::new(text).fill(&fills(), str::to_owned);
            assert_eq!(filled.as_deref(), expected, "{text}");
        };
        check("/x/{id}/y", Some("/x/a/b c/y"));
        check("gt$last_run_date", Some("gt2024-01-01"));
        check("{\"a\":{\"b\":\"{start}\"}}", Some("{\"a\":{\"b\":\"2024-01-01\"}}"));
        check("{end}", None);
        check("query{users{id}name}", Some("query{usersa/b cname}"));
        check("{users}{+users}", Some("{users}{+users}"));
        check("{}{ id }{", Some("{}{ id }{"));
        check("", Some(""));
        let path = Template::new("/x/{id}").fill(&fills(), http_client::address::encoded);
        assert_eq!(path.as_deref(), Some("/x/a%2Fb%20c"));
        let path = Template::new("/x/{+id}").fill(&fills(), http_client::address::encoded);
        assert_eq!(path.as_deref(), Some("/x/a/b%20c"));
    }

    #[test]
    fn fills_values_and_puts_members() {
        let value = json!({"q": "id={id}", "list": ["{start}", "{end}"], "n": 1, "x": "{end}"});
        let mut names = Vec::new();
        names_in(&value, &mut names);
        assert_eq!(names, ["id", "start", "end", "end"]);
        let mut filled = fill_in(&value, &fills()).unwrap();
        assert_eq!(filled, json!({"q": "id=a/b c", "list": ["2024-01-01"], "n": 1}));
        let kinds =
            [json!("007"), json!(7), json!(1.50), json!(true), json!(null), json!([1, "1"])];
        for kind in kinds {
            let fills = Fills::from([("id".to_owned(), kind.clone())]);
            let body = json!({ "whole": ["{id}"], "part": "x{id}" });
            let filled = fill_in(&body, &fills).unwrap();
            assert_eq!(filled["whole"][0], kind);
            let texts = fill_texts(&body, &fills).unwrap();
            if kind.is_null() {
                assert_eq!((filled.get("part"), texts), (None, json!({ "whole": [] })));
                continue;
            }
            assert_eq!(filled["part"], format!("x{}", text_of(&kind)));
            assert_eq!(texts["whole"][0], *text_of(&kind));
        }
        put(&mut filled, "variables.after", "t".into());
        put(&mut filled, "variables.first", 5.into());
        assert_eq!(filled["variables"], json!({"after": "t", "first": 5}));
    }
}
