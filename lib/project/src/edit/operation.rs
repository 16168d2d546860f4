//! What can be done to a YAML text.

use std::fmt;

use serde_json::Value;

/// One change of a text. Paths lead from the root of a document to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Replaces a value that is there.
    Set {
        /// The way to the value.
        path: Vec<Part>,
        /// The new value.
        value: Value,
    },
    /// Adds an entry to the mapping or list at a path; nothing, `~` and `null` become one.
    Insert {
        /// The way to the mapping or list.
        path: Vec<Part>,
        /// The key, in a mapping.
        key: Option<String>,
        /// The new value.
        value: Value,
        /// The position, from 0; without one, the end.
        at: Option<usize>,
    },
    /// Removes an entry of a mapping or list, with its comments.
    Remove {
        /// The way to the entry.
        path: Vec<Part>,
    },
    /// Gives an entry of a mapping another key.
    Rename {
        /// The way to the entry.
        path: Vec<Part>,
        /// The new key.
        to: String,
    },
    /// Moves an entry to another position of its mapping or list, with its comments.
    Move {
        /// The way to the entry.
        path: Vec<Part>,
        /// The new position, from 0.
        to: usize,
    },
    /// Sets a value, or inserts it with the mappings above it that are not there.
    Put {
        /// The way to the value.
        path: Vec<Part>,
        /// The new value.
        value: Value,
    },
}

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Into a mapping, by key.
    Key(String),
    /// Into a list, by position from 0.
    At(usize),
    /// Into a list, to the one mapping that has this name.
    Named {
        /// The value of its key `name`.
        name: String,
    },
}

impl Operation {
    /// Reads an operation: `{"op": "set", "path": ["a", 0, {"name": "b"}], "value": 1}`; `None`
    /// where it is none.
    // By hand: serde's tagged enums cannot hold numbers of any precision.
    pub fn from_json(json: &Value) -> Option<Self> {
        let path = json["path"].as_array()?.iter().map(Part::from_json).collect::<Option<_>>()?;
        let position = |name: &str| json[name].as_u64().and_then(|at| usize::try_from(at).ok());
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let value = || json.get("value").cloned();
        Some(match json["op"].as_str()? {
            "set" => Self::Set { path, value: value()? },
            "insert" => {
                Self::Insert { path, key: text("key"), value: value()?, at: position("at") }
            }
            "remove" => Self::Remove { path },
            "rename" => Self::Rename { path, to: text("to")? },
            "move" => Self::Move { path, to: position("to")? },
            "put" => Self::Put { path, value: value()? },
            _ => return None,
        })
    }
}

impl Part {
    fn from_json(json: &Value) -> Option<Self> {
        match json {
            Value::String(key) => Some(Self::Key(key.clone())),
            Value::Number(at) => Some(Self::At(usize::try_from(at.as_u64()?).ok()?)),
            Value::Object(_) => Some(Self::Named { name: json["name"].as_str()?.to_owned() }),
            _ => None,
        }
    }
}

impl From<&str> for Part {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::At(at) => write!(f, "{at}"),
            Self::Named { name } => write!(f, "[{name}]"),
        }
    }
}

/// Writes a path for people.
pub(super) fn shown(path: &[Part]) -> String {
    let parts: Vec<String> = path.iter().map(ToString::to_string).collect();
    if parts.is_empty() { "the whole file".to_owned() } else { parts.join(".") }
}
