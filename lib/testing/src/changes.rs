//! Changes of JSON documents, as a slip of a hand or a faulty program makes them.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Stands for a secret in documents: no failure may show it.
pub const CANARY: &str = "CANARY-5f3a";

/// What happens to one place of a document.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another value is there.
    Put(Value),
    /// It is not there.
    Remove,
    /// It has another name.
    Rename(String),
    /// It is in a list.
    Wrap,
    /// The value of another place is there.
    Copy(Index),
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!(CANARY)),
        Just(json!([CANARY])),
        Just(json!({ "a": CANARY })),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(serde_json::from_str("1e400").unwrap()),
        "[a-z$#/\\\\.(*+\u{0}é]{0,6}".prop_map(Value::from),
        prop::sample::select(vec!["string", "integer", "object", "date-time", "INCREMENTAL"])
            .prop_map(Value::from),
        prop::sample::select(vec![
            json!({ "$ref": "#/properties/id" }),
            json!({ "$ref": "#" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "anyOf": [{ "type": "null" }, {}] }),
            json!({ "type": "string", "pattern": "(?=(a+)+$)b", "maxLength": -1 }),
            json!({ "type": ["integer", "nothing"], "minimum": 1e300, "multipleOf": 0 }),
        ]),
    ]
}

/// Draws up to three changes.
pub fn changes() -> impl Strategy<Value = Vec<(Index, Change)>> {
    let change = prop_oneof![
        4 => odd().prop_map(Change::Put),
        2 => Just(Change::Remove),
        1 => "[a-z_$-]{0,8}".prop_map(Change::Rename),
        1 => Just(Change::Wrap),
        2 => any::<Index>().prop_map(Change::Copy),
    ];
    prop::collection::vec((any::<Index>(), change), 0..4)
}

/// Returns the paths of all values of a document.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            places(value, &format!("{at}/{key}"), found);
        }),
        Value::Array(values) => values.iter().enumerate().for_each(|(index, value)| {
            places(value, &format!("{at}/{index}"), found);
        }),
        _ => {}
    }
}

/// Makes the changes.
pub fn changed(mut document: Value, changes: &[(Index, Change)]) -> Value {
    for (at, change) in changes {
        let mut found = Vec::new();
        places(&document, "", &mut found);
        let path: &String = at.get(&found);
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        match change {
            Change::Put(value) => *document.pointer_mut(path).unwrap() = value.clone(),
            Change::Copy(from) => {
                let value = document.pointer(from.get(&found).as_str()).unwrap().clone();
                *document.pointer_mut(path).unwrap() = value;
            }
            Change::Wrap => {
                let value = document.pointer_mut(path).unwrap();
                *value = json!([value.take()]);
            }
            Change::Remove | Change::Rename(_) => match document.pointer_mut(above) {
                Some(Value::Object(members)) => {
                    let removed = members.shift_remove(name);
                    if let (Change::Rename(name), Some(value)) = (change, removed) {
                        members.insert(name.clone(), value);
                    }
                }
                Some(Value::Array(values)) if !path.is_empty() => {
                    values.remove(name.parse().unwrap());
                }
                _ => {}
            },
        }
    }
    document
}
