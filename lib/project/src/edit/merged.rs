//! What a mapping has by its merge key `<<`: a new entry beside it would hide it.

use serde_json::{Map, Value};

use super::operation::Part;
use super::tree::{Form, Node};

/// Finds the value of a key that a mapping has by its merge key.
pub(super) fn merged<'a>(root: &'a Node, node: &Node, key: &str) -> Option<&'a Node> {
    let Form::Map(entries) = &node.form else { return None };
    let (_, source) = entries.iter().find(|(key, _)| key.is_merge())?;
    in_sources(root, anchored(root, source)?, key, 0)
}

/// The most merge keys that lead to each other: an alias may name a mapping around it.
const DEPTH_MAX: usize = 50;

fn in_sources<'a>(root: &'a Node, source: &'a Node, key: &str, depth: usize) -> Option<&'a Node> {
    if depth > DEPTH_MAX {
        return None;
    }
    match &source.form {
        Form::List(sources) => sources
            .iter()
            .find_map(|source| in_sources(root, followed(root, source)?, key, depth + 1)),
        Form::Map(entries) => {
            let own = entries.iter().find(|(other, _)| other.name() == Some(key));
            own.map(|(_, value)| value).or_else(|| {
                let (_, source) = entries.iter().find(|(key, _)| key.is_merge())?;
                in_sources(root, followed(root, source)?, key, depth + 1)
            })
        }
        _ => None,
    }
}

/// Returns the node itself, or the one that an alias names; as part of the root.
fn anchored<'a>(root: &'a Node, node: &Node) -> Option<&'a Node> {
    let mut found = None;
    root.visit(&mut |other| {
        let is_it = match node.form {
            Form::Alias(id) => other.anchor == id,
            _ => std::ptr::eq(other, node),
        };
        if is_it && found.is_none() {
            found = Some(other);
        }
    });
    found
}

fn followed<'a>(root: &'a Node, node: &'a Node) -> Option<&'a Node> {
    if matches!(node.form, Form::Alias(_)) { anchored(root, node) } else { Some(node) }
}

/// Reads a node as a value that can be written again; `None` where its spelling could be lost.
pub(super) fn copied(root: &Node, node: &Node) -> Option<Value> {
    copied_at(root, node, 0)
}

fn copied_at(root: &Node, node: &Node, depth: usize) -> Option<Value> {
    let node = followed(root, node)?;
    if depth > DEPTH_MAX || node.tag.is_some() {
        return None;
    }
    match &node.form {
        Form::Scalar { text, plain: false } => Some(Value::from(text.as_str())),
        Form::Scalar { .. } if node.is_null() => Some(Value::Null),
        Form::Scalar { text, .. } => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                let written = value.to_string();
                (written == *text).then_some(value)
            }
            Err(_) => super::scalar::is_text(text).then(|| Value::from(text.as_str())),
        },
        Form::List(items) => {
            items.iter().map(|item| copied_at(root, item, depth + 1)).collect::<Option<_>>()
        }
        Form::Map(entries) => {
            let mut members = Map::new();
            for (key, value) in entries.iter().filter(|(key, _)| !key.is_merge()) {
                members.insert(key.name()?.to_owned(), copied_at(root, value, depth + 1)?);
            }
            if let Some((_, source)) = entries.iter().find(|(key, _)| key.is_merge()) {
                let source = followed(root, source)?;
                let one = std::slice::from_ref(source);
                let sources = if let Form::List(all) = &source.form { all.as_slice() } else { one };
                for source in sources {
                    let Value::Object(more) = copied_at(root, source, depth + 1)? else {
                        return None;
                    };
                    for (key, value) in more {
                        members.entry(key).or_insert(value);
                    }
                }
            }
            Some(Value::Object(members))
        }
        Form::Alias(_) | Form::Wanted(_) => None,
    }
}

/// Sets a value inside another one, with the mappings above it that are not there.
pub(super) fn set_inside(outer: &mut Value, path: &[Part], value: Value) -> bool {
    let Some((part, rest)) = path.split_first() else {
        *outer = value;
        return true;
    };
    if outer.is_null() {
        *outer = Value::Object(Map::new());
    }
    match (part, outer) {
        (Part::Key(key), Value::Object(members)) => {
            set_inside(members.entry(key.as_str()).or_insert(Value::Null), rest, value)
        }
        (Part::At(at), Value::Array(items)) => {
            items.get_mut(*at).is_some_and(|item| set_inside(item, rest, value))
        }
        (Part::Named { name }, Value::Array(items)) => {
            let mut named = items.iter_mut().filter(|item| item["name"] == name.as_str());
            named.next().is_some_and(|item| set_inside(item, rest, value))
        }
        _ => false,
    }
}
