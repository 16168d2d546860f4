//! Makes columns of the members of objects, with the names that the SDK gives them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::scan::Scanner;
use singer::{Error, ErrorKind, Result};

use super::settings::MapSettings;
use super::types::nullable;

/// How objects are flattened.
#[derive(Clone, Debug)]
pub(crate) struct Flattening {
    depth: usize,
    separator: String,
    key_length: usize,
}

/// A property of the flat stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flat {
    pub(crate) name: String,
    pub(crate) schema: Value,
    /// The names that lead to it.
    pub(crate) path: Vec<String>,
}

/// The members that the schema of an object declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Declared {
    members: BTreeMap<String, Option<Declared>>,
}

impl Declared {
    /// Returns the path of a member that is not declared.
    pub(crate) fn other(&self, object: &[u8]) -> Option<String> {
        let mut scanner = Scanner::new(object);
        if !object.starts_with(b"{") || !scanner.open(b'{', b'}').ok()? {
            return None;
        }
        loop {
            let mut name = Vec::new();
            scanner.key().ok()?.unescape_into(&mut name);
            let name = String::from_utf8_lossy(&name);
            let start = scanner.at();
            scanner.value().ok()?;
            match self.members.get(&*name) {
                None => return Some(name.into_owned()),
                Some(None) => {}
                Some(Some(inner)) => {
                    if let Some(path) = inner.other(&object[start..scanner.at()]) {
                        return Some(format!("{name}.{path}"));
                    }
                }
            }
            if !scanner.more(b'}').ok()? {
                return None;
            }
        }
    }
}

impl Flattening {
    /// Reads the settings; nothing where they leave objects as they are.
    pub(crate) fn new(settings: &MapSettings) -> Result<Option<Self>> {
        if !settings.flattening_enabled {
            return Ok(None);
        }
        let Some(depth) = settings.flattening_max_depth else {
            return Err(Error::new(ErrorKind::Config, "cannot flatten without a depth")
                .hint("set `flattening_max_depth`, such as 3"));
        };
        let separator = settings.flattening_separator.clone();
        Ok((depth > 0).then(|| Self {
            depth,
            separator: separator.unwrap_or_else(|| "__".to_owned()),
            key_length: settings.flattening_max_key_length.unwrap_or(255),
        }))
    }

    /// Returns the properties of a flat stream.
    pub(crate) fn properties(&self, properties: &Map<String, Value>) -> Result<Vec<Flat>> {
        let mut flat = Vec::new();
        self.level(properties, &mut Vec::new(), &mut flat);
        for (at, one) in flat.iter().enumerate() {
            if let Some(other) = flat[..at].iter().find(|other| other.name == one.name) {
                return Err(Error::new(
                    ErrorKind::Config,
                    "flattening gives two properties one name",
                )
                .with("name", &one.name)
                .with("of", other.path.join("."))
                .with("and", one.path.join("."))
                .hint("set another `flattening_separator` or `flattening_max_key_length`"));
            }
        }
        Ok(flat)
    }

    /// Returns the members of a property that is flattened.
    pub(crate) fn declared(&self, schema: &Value) -> Option<Declared> {
        self.declared_at(schema, 1)
    }

    fn declared_at(&self, schema: &Value, depth: usize) -> Option<Declared> {
        let inner = self.inner(schema, depth)?;
        let member =
            |(name, schema): (&String, &Value)| (name.clone(), self.declared_at(schema, depth + 1));
        Some(Declared { members: inner.iter().map(member).collect() })
    }

    /// Returns the members that become properties of their own.
    fn inner<'v>(&self, schema: &'v Value, depth: usize) -> Option<&'v Map<String, Value>> {
        let inner = schema["properties"].as_object()?;
        (allows(schema, "object") && depth <= self.depth).then_some(inner)
    }

    fn level(&self, properties: &Map<String, Value>, path: &mut Vec<String>, out: &mut Vec<Flat>) {
        for (name, schema) in properties {
            path.push(name.clone());
            match self.inner(schema, path.len()) {
                Some(inner) => self.level(inner, path, out),
                None => out.push(Flat {
                    name: self.name(path),
                    schema: if path.len() > 1 { nullable(leaf(schema)) } else { leaf(schema) },
                    path: path.clone(),
                }),
            }
            path.pop();
        }
    }

    /// Joins names. A name that is too long has its outer parts shortened.
    fn name(&self, path: &[String]) -> String {
        let mut parts = path.to_vec();
        let mut at = 0;
        while parts.join(&self.separator).chars().count() >= self.key_length && at < parts.len() {
            parts[at] = shortened(&parts[at]);
            at += 1;
        }
        parts.join(&self.separator)
    }
}

fn allows(schema: &Value, word: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == word,
        Value::Array(all) => all.iter().any(|one| one == word),
        _ => false,
    }
}

/// Returns the type of a property that is not flattened any further.
fn leaf(schema: &Value) -> Value {
    let text = || json!({ "type": ["string", "null"] });
    if allows(schema, "array") || allows(schema, "object") {
        return if allows(schema, "null") { text() } else { json!({ "type": "string" }) };
    }
    if !schema["type"].is_null() {
        return schema.clone();
    }
    let branches = ["anyOf", "oneOf"].iter().find_map(|keyword| schema[*keyword].as_array());
    match branches {
        None => text(),
        Some(branches) => {
            let nested = |branch: &Value| allows(branch, "array") || allows(branch, "object");
            if branches.iter().any(nested) { text() } else { schema.clone() }
        }
    }
}

/// `customer_address` becomes `ca`; a word without capitals its first three letters.
fn shortened(part: &str) -> String {
    let mut camel = String::new();
    let mut upper = true;
    for c in part.chars() {
        match c {
            '_' if !upper => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    let capitals: String = camel.chars().filter(|c| !c.is_ascii_lowercase()).collect();
    let short =
        if capitals.chars().count() > 1 { capitals } else { part.chars().take(3).collect() };
    short.to_lowercase()
}
