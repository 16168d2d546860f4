//! Protection inside objects and arrays: JSON is copied, and some members of it are written anew.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::convert::Unfit;
use singer::quote::string_into;
use singer::scan::{Fault, Scanner, Token};
use singer::{Column, Kind};

use super::protector::{Protector, is_nullable};

/// What happens to members that a contract does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// They stay.
    Keep,
    /// They are left out.
    Drop,
    /// They are a violation.
    Fail,
}

/// What happens to a value inside another one.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// It stays.
    Keep,
    /// It is left out.
    Drop,
    /// It is protected as one value.
    Leaf(Protector),
    /// It is an object with members.
    Members {
        /// Those that are listed.
        members: BTreeMap<Vec<u8>, Node>,
        /// What happens to others.
        extra: Extra,
    },
    /// It is an array; this happens to each element.
    Elements(Box<Node>),
}

impl From<Fault> for Refused {
    fn from(_: Fault) -> Self {
        Self(Unfit("it is not JSON"))
    }
}

/// Lets `?` take both kinds of failures.
pub(crate) struct Refused(pub Unfit);

impl From<Unfit> for Refused {
    fn from(unfit: Unfit) -> Self {
        Self(unfit)
    }
}

impl Node {
    /// Tells whether it copies the value.
    pub(crate) fn keeps(&self) -> bool {
        match self {
            Self::Keep => true,
            Self::Drop | Self::Leaf(_) => false,
            Self::Members { members, extra } => {
                *extra == Extra::Keep && members.values().all(Self::keeps)
            }
            Self::Elements(node) => node.keeps(),
        }
    }

    /// Appends what becomes of a JSON text. A value whose parts cannot be told apart, such as a
    /// text where the contract has an object, is refused: it could be anything.
    pub(crate) fn apply(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let mut scanner = Scanner::new(text);
        self.value(&mut scanner, out).map_err(|refused| refused.0)
    }

    fn value(&mut self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
        if scanner.peek() == Some(b'n') {
            scanner.value()?;
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match self {
            Self::Keep => copy(scanner, out)?,
            Self::Drop => {
                scanner.value()?;
            }
            Self::Leaf(protector) => leaf(protector, scanner, out)?,
            Self::Members { members, extra } => object(members, *extra, scanner, out)?,
            Self::Elements(node) => {
                if scanner.peek() != Some(b'[') {
                    return Err(Unfit("it is not an array").into());
                }
                let mut more = scanner.open(b'[', b']')?;
                out.push(b'[');
                while more {
                    node.value(scanner, out)?;
                    more = scanner.more(b']')?;
                    if more {
                        out.push(b',');
                    }
                }
                out.push(b']');
            }
        }
        Ok(())
    }

    /// Returns the schema of what comes out; `None` where the schema says what cannot be followed.
    pub(crate) fn schema_after(&self, before: &Value) -> Option<Value> {
        const PLAIN: [&str; 8] = [
            "type",
            "properties",
            "items",
            "required",
            "additionalProperties",
            "title",
            "description",
            "format",
        ];
        match self {
            Self::Keep | Self::Drop => return Some(before.clone()),
            Self::Leaf(protector) => {
                let nullable = is_nullable(&Column::new("", before.clone()));
                return Some(protector.protection.schema_after(before, nullable));
            }
            _ => {}
        }
        let schema = before.as_object()?;
        let is_plain = |name: &String| PLAIN.contains(&name.as_str()) || name.starts_with("x-");
        if !schema.keys().all(is_plain) {
            return None;
        }
        let mut after = schema.clone();
        match self {
            Self::Members { members, extra } => {
                // What was said of further members may describe one that is protected.
                after.remove("additionalProperties");
                let Some(Value::Object(properties)) = schema.get("properties") else {
                    return Some(Value::Object(after));
                };
                let mut kept = Map::new();
                for (name, property) in properties {
                    match members.get(name.as_bytes()) {
                        Some(Self::Drop) => {}
                        Some(node) => {
                            let schema = node.schema_after(property).unwrap_or_else(|| json!({}));
                            kept.insert(name.clone(), schema);
                        }
                        None if *extra == Extra::Drop => {}
                        None => {
                            kept.insert(name.clone(), property.clone());
                        }
                    }
                }
                if let Some(Value::Array(required)) = after.get_mut("required") {
                    required.retain(|name| name.as_str().is_some_and(|n| kept.contains_key(n)));
                }
                after.insert("properties".to_owned(), Value::Object(kept));
            }
            Self::Elements(node) => {
                if let Some(items) = schema.get("items") {
                    let items = node.schema_after(items).unwrap_or_else(|| json!({}));
                    after.insert("items".to_owned(), items);
                }
            }
            _ => {}
        }
        Some(Value::Object(after))
    }
}

fn copy(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let rest = scanner.rest();
    let start = scanner.at();
    match scanner.value()? {
        Token::Object(nested) | Token::Array(nested) => nested.compact_into(out),
        _ => out.extend_from_slice(&rest[..scanner.at() - start]),
    }
    Ok(())
}

fn leaf(
    protector: &mut Protector,
    scanner: &mut Scanner<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let mut text = Vec::new();
    let kind = match scanner.value()? {
        Token::String(quoted) => {
            quoted.unescape_into(&mut text);
            Kind::String
        }
        Token::Integer(digits) | Token::Decimal(digits) => {
            text.extend_from_slice(digits);
            Kind::Number
        }
        Token::Boolean(value) => {
            text.extend_from_slice(if value { b"true" } else { b"false" });
            Kind::Boolean
        }
        Token::Object(nested) | Token::Array(nested) => {
            text.extend_from_slice(nested.text);
            Kind::Json
        }
        Token::Null => {
            out.extend_from_slice(b"null");
            return Ok(());
        }
    };
    if protector.is_null() {
        out.extend_from_slice(b"null");
    } else if protector.writes_text(kind) {
        let mut shown = Vec::new();
        protector.apply(kind, &text, &mut shown)?;
        string_into(&shown, out);
    } else {
        protector.apply(kind, &text, out)?;
    }
    Ok(())
}

fn object(
    members: &mut BTreeMap<Vec<u8>, Node>,
    extra: Extra,
    scanner: &mut Scanner<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    if scanner.peek() != Some(b'{') {
        return Err(Unfit("it is not an object").into());
    }
    let mut more = scanner.open(b'{', b'}')?;
    let mut name = Vec::new();
    let mut is_first = true;
    out.push(b'{');
    while more {
        name.clear();
        scanner.key()?.unescape_into(&mut name);
        let node = members.get_mut(&name);
        let is_left_out = match (&node, extra) {
            (Some(node), _) => matches!(node, Node::Drop),
            (None, Extra::Drop) => true,
            (None, Extra::Keep) => false,
            (None, Extra::Fail) => {
                return Err(Unfit("it has a member that the contract does not list").into());
            }
        };
        if is_left_out {
            scanner.value()?;
        } else {
            if !std::mem::replace(&mut is_first, false) {
                out.push(b',');
            }
            string_into(&name, out);
            out.push(b':');
            match node {
                Some(node) => node.value(scanner, out)?,
                None => copy(scanner, out)?,
            }
        }
        more = scanner.more(b'}')?;
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::protector::Protection;
    use super::*;

    fn node(protection: Protection) -> Node {
        Node::Leaf(Protector::new(protection, None))
    }

    fn members(nodes: Vec<(&str, Node)>, extra: Extra) -> Node {
        let members = nodes.into_iter().map(|(name, node)| (name.as_bytes().to_vec(), node));
        Node::Members { members: members.collect(), extra }
    }

    fn applied(node: &mut Node, text: &str) -> Option<String> {
        let mut out = Vec::new();
        node.apply(text.as_bytes(), &mut out).ok()?;
        assert!(singer::canonical::is_json(&out), "{text}");
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn members_are_protected_and_others_stay() {
        let address = members(
            vec![("street", node(Protection::Mask)), ("no", Node::Drop), ("zip", Node::Keep)],
            Extra::Keep,
        );
        let phones = Node::Elements(Box::new(node(Protection::Partial)));
        let homes = Node::Elements(Box::new(address.clone()));
        let mut all =
            members(vec![("address", address), ("phones", phones), ("homes", homes)], Extra::Keep);
        for (text, expected) in [
            (r#"{"address":{"no":7,"street":"S"},"x":1}"#, r#"{"address":{"street":"***"},"x":1}"#),
            (r#"{"\u0061ddress":{"street":"S"}}"#, r#"{"address":{"street":"***"}}"#),
            (
                r#"{"address":null,"phones":["12345678",5,null]}"#,
                r#"{"address":null,"phones":["***5678","***",null]}"#,
            ),
            (
                r#"{"homes":[{"street":{"a":"S"}},{"zip":[1, 2]}]}"#,
                r#"{"homes":[{"street":"***"},{"zip":[1,2]}]}"#,
            ),
            (r#"{ "x" : "y" }"#, r#"{"x":"y"}"#),
            ("null", "null"),
            ("{}", "{}"),
        ] {
            assert_eq!(applied(&mut all, text).as_deref(), Some(expected), "{text}");
        }
        // What is not of the shape could be anything.
        for text in [
            r#"{"address":"S 5"}"#,
            r#"{"address":[{"street":"S"}]}"#,
            r#"{"phones":"12345678"}"#,
            r#"{"homes":{"street":"S"}}"#,
            r#""S""#,
            "5",
        ] {
            assert_eq!(applied(&mut all, text), None, "{text}");
        }
    }

    #[test]
    fn members_that_are_not_listed_are_left_out_or_refused() {
        let listed = || vec![("a", Node::Keep)];
        let text = r#"{"b":1,"a":2}"#;
        assert_eq!(applied(&mut members(listed(), Extra::Drop), text).unwrap(), r#"{"a":2}"#);
        assert_eq!(applied(&mut members(listed(), Extra::Fail), text), None);
        assert_eq!(applied(&mut members(listed(), Extra::Keep), text).unwrap(), text);
    }

    #[test]
    fn schemas_say_what_comes_out() {
        let node =
            members(vec![("street", node(Protection::Mask)), ("no", Node::Drop)], Extra::Keep);
        let before = json!({"type": "object", "required": ["street", "no"], "properties": {
            "street": {"type": "string", "enum": ["Secret Street"]}, "no": {"type": "integer"},
            "zip": {"type": "string"}}});
        let after = json!({"type": "object", "required": ["street"], "properties": {
            "street": {"type": "string"}, "zip": {"type": "string"}}});
        assert_eq!(node.schema_after(&before), Some(after));
        assert_eq!(node.schema_after(&json!({"anyOf": [before]})), None);
        assert_eq!(node.schema_after(&json!({"type": "object"})), Some(json!({"type": "object"})));
    }
}
