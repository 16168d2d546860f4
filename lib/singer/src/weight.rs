//! What a JSON Schema costs once its references are followed: a schema of 2 KB can name itself
//! over and over until it fills any memory. Both its size and the work on one value are limited.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// How many schemas, words and parts of patterns there may be, references followed.
const WEIGHT_MAX: u64 = 200_000;
/// How deep schemas may lie in each other, references followed.
const HEIGHT_MAX: usize = 100;
/// How many schemas may be looked at for one value, where schemas refer to themselves.
const WORK_MAX: u64 = 1_000_000;
/// How many parts the copies may have that are made of what references lead to.
pub(crate) const COPIED_MAX: u64 = 1_000_000;
/// A class such as `\w` stands for many ranges.
const CLASS_WEIGHT: u64 = 40;

/// Why a schema is refused.
pub(crate) type Fault = String;

/// The keywords whose schemas look at parts of the value; those of the others look at all of it.
const PARTS: [&str; 8] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "items",
    "additionalItems",
    "contains",
    "prefixItems",
];
/// The keywords with a schema for each of some names.
const NAMED: [&str; 3] = ["properties", "dependencies", "dependentSchemas"];
/// The keywords that hold data.
const DATA: [&str; 4] = ["enum", "const", "default", "examples"];

/// Weighs the columns of a stream, each reference once.
pub(crate) struct Scale<'a> {
    root: &'a Map<String, Value>,
    /// Weight and height of what references lead to; `None` while they are being followed.
    known: BTreeMap<String, Option<(u64, usize)>>,
    /// References that come to an end for one value; and those that are being followed there.
    settled: BTreeSet<String>,
    open: BTreeSet<String>,
    /// References of the last column that lead elsewhere in each column.
    own: Vec<String>,
    total: u64,
    recursive: bool,
}

impl<'a> Scale<'a> {
    /// Starts with nothing on it.
    pub(crate) fn new(root: &'a Map<String, Value>) -> Self {
        Self {
            root,
            known: BTreeMap::new(),
            settled: BTreeSet::new(),
            open: BTreeSet::new(),
            own: Vec::new(),
            total: 0,
            recursive: false,
        }
    }

    /// Adds a column; tells whether schemas of it refer to themselves.
    pub(crate) fn add(&mut self, schema: &Value) -> Result<bool, Fault> {
        let shared = ["definitions", "$defs"].iter().all(|key| schema.get(*key).is_none());
        // Those of the column before, and no others: there may be very many.
        for path in std::mem::take(&mut self.own) {
            self.known.remove(&path);
            self.settled.remove(&path);
        }
        if !shared {
            self.known.clear();
            self.settled.clear();
        }
        self.recursive = false;
        let (weight, _) = self.weigh(schema, schema, 0)?;
        self.total = self.total.saturating_add(weight);
        if !shared {
            self.known.clear();
            self.settled.clear();
        }
        if self.total > WEIGHT_MAX {
            return Err(format!(
                "with its references resolved it has more than {WEIGHT_MAX} parts"
            ));
        }
        Ok(self.recursive)
    }

    fn weigh(&mut self, value: &Value, own: &Value, depth: usize) -> Result<(u64, usize), Fault> {
        if depth > HEIGHT_MAX {
            return Err(format!("schemas are nested more than {HEIGHT_MAX} deep"));
        }
        let (mut weight, mut height) = (1_u64, 0);
        let mut add = |(more, deep): (u64, usize)| {
            weight = weight.saturating_add(more);
            height = height.max(deep + 1);
        };
        match value {
            Value::Array(list) => {
                for inner in list {
                    add(self.weigh(inner, own, depth + 1)?);
                }
            }
            Value::Object(keywords) => {
                for (key, inner) in keywords {
                    match (key.as_str(), inner) {
                        ("$ref", Value::String(path)) => add(self.follow(path, own, depth + 1)?),
                        ("pattern", Value::String(pattern)) => add((pattern_weight(pattern), 0)),
                        ("definitions" | "$defs", _) => {}
                        (key, _) if DATA.contains(&key) => add((data_weight(inner), 0)),
                        ("patternProperties", Value::Object(patterns)) => {
                            for (pattern, inner) in patterns {
                                add((pattern_weight(pattern), 0));
                                add(self.weigh(inner, own, depth + 1)?);
                            }
                        }
                        // The keys of these are names, whatever they look like.
                        (key, Value::Object(schemas)) if NAMED.contains(&key) => {
                            for inner in schemas.values() {
                                add(self.weigh(inner, own, depth + 1)?);
                            }
                        }
                        (_, Value::Array(_) | Value::Object(_)) => {
                            add(self.weigh(inner, own, depth + 1)?);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if depth + height > HEIGHT_MAX {
            return Err(format!("schemas are nested more than {HEIGHT_MAX} deep"));
        }
        Ok((weight, height))
    }

    fn follow(&mut self, path: &str, own: &Value, depth: usize) -> Result<(u64, usize), Fault> {
        match self.known.get(path) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => {
                self.recursive = true;
                return Ok((1, 0));
            }
            None => {}
        }
        let target = resolve(path, own, self.root).ok_or("a reference leads nowhere")?;
        self.note_own(path);
        self.known.insert(path.to_owned(), None);
        self.check_progress(path, own, 0)?;
        let weighed = self.weigh(target, own, depth)?;
        self.known.insert(path.to_owned(), Some(weighed));
        Ok(weighed)
    }

    /// Refuses references that lead back to themselves without a step into the value.
    fn check_progress(&mut self, path: &str, own: &Value, depth: usize) -> Result<(), Fault> {
        if self.settled.contains(path) {
            return Ok(());
        }
        if depth > HEIGHT_MAX {
            return Err(format!("schemas are nested more than {HEIGHT_MAX} deep"));
        }
        if !self.open.insert(path.to_owned()) {
            return Err("a reference leads back to itself".to_owned());
        }
        let mut found = Vec::new();
        if let Some(target) = resolve(path, own, self.root) {
            references(target, &mut found);
        }
        for reference in found {
            self.check_progress(reference, own, depth + 1)?;
        }
        self.open.remove(path);
        self.note_own(path);
        self.settled.insert(path.to_owned());
        Ok(())
    }

    /// Notes a path that leads to other schemas in each column.
    fn note_own(&mut self, path: &str) {
        if definition(path).is_none() {
            self.own.push(path.to_owned());
        }
    }
}

/// Finds what a reference leads to: in the column's own schema, else among the definitions of its
/// stream.
fn resolve<'v>(path: &str, own: &'v Value, root: &'v Map<String, Value>) -> Option<&'v Value> {
    let pointer = path.strip_prefix('#')?;
    if let Some(found) = own.pointer(pointer) {
        return Some(found);
    }
    let mut parts = pointer.strip_prefix('/')?.splitn(2, '/');
    let first = parts.next().filter(|part| matches!(*part, "definitions" | "$defs"))?;
    let rest = parts.next().map(|rest| format!("/{rest}")).unwrap_or_default();
    root.get(first)?.pointer(&rest)
}

/// Finds the references that look at the whole value.
fn references<'v>(schema: &'v Value, found: &mut Vec<&'v str>) {
    match schema {
        Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
        Value::Object(keywords) => {
            for (key, inner) in keywords {
                match (key.as_str(), inner) {
                    ("$ref", Value::String(path)) => found.push(path),
                    (key, _) if PARTS.contains(&key) || DATA.contains(&key) => {}
                    ("definitions" | "$defs", _) => {}
                    (key, Value::Object(schemas)) if NAMED.contains(&key) => {
                        schemas.values().for_each(|inner| references(inner, found));
                    }
                    _ => references(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// Returns the definitions of the stream that a column may come to.
pub(crate) fn definitions(schema: &Value, root: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![schema];
    while let Some(next) = todo.pop() {
        match next {
            Value::Array(list) => todo.extend(list),
            Value::Object(keywords) => {
                if let Some(path) = keywords.get("$ref").and_then(Value::as_str)
                    && let Some((key, name)) = definition(path)
                    && let Some(target) = root.get(key).and_then(|all| all.get(&name))
                    && found.insert((key, name), target).is_none()
                {
                    todo.push(target);
                }
                todo.extend(keywords.values());
            }
            _ => {}
        }
    }
    let mut all = Map::new();
    for ((key, name), target) in found {
        all.entry(key).or_insert_with(|| Map::new().into())[name] = target.clone();
    }
    all.into_iter().collect()
}

/// Splits `#/definitions/name/...`.
fn definition(path: &str) -> Option<(&'static str, String)> {
    let mut parts = path.strip_prefix("#/")?.split('/');
    let key = match parts.next()? {
        "definitions" => "definitions",
        "$defs" => "$defs",
        _ => return None,
    };
    Some((key, parts.next()?.replace("~1", "/").replace("~0", "~")))
}

/// Returns how many parts a copy of a value has; a long text counts for several.
pub(crate) fn size(value: &Value) -> u64 {
    let text = |text: &str| 1 + text.len() as u64 / 64;
    match value {
        Value::String(string) => text(string),
        Value::Array(list) => list.iter().map(size).fold(1, u64::saturating_add),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| text(name) + size(value))
            .fold(1, u64::saturating_add),
        _ => 1,
    }
}

fn data_weight(value: &Value) -> u64 {
    match value {
        Value::Array(list) => list.iter().map(data_weight).fold(1, u64::saturating_add),
        Value::Object(members) => members.values().map(data_weight).fold(1, u64::saturating_add),
        _ => 1,
    }
}

/// Returns how many parts a pattern has, its counted repetitions written out.
fn pattern_weight(pattern: &str) -> u64 {
    let mut groups = vec![0_u64];
    let mut last = 0_u64;
    let mut bytes = pattern.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let closed = match byte {
            b'(' => {
                groups.push(0);
                last = 0;
                continue;
            }
            b')' if groups.len() > 1 => groups.pop().unwrap_or_default(),
            b'{' => {
                let rest = pattern.get(at + 1..).unwrap_or_default();
                let bounds = rest.split('}').next().unwrap_or_default();
                let counts = bounds.split(',').filter_map(|count| count.trim().parse().ok());
                let times: u64 = counts.max().unwrap_or(1);
                // Once it is counted already.
                last.saturating_mul(times.saturating_sub(1))
            }
            b'\\' => match bytes.next() {
                Some((_, b'w' | b'W' | b'd' | b'D' | b's' | b'S' | b'p' | b'P')) => CLASS_WEIGHT,
                _ => 1,
            },
            _ => 1,
        };
        if byte != b'{' {
            last = closed;
        }
        if let Some(group) = groups.last_mut() {
            *group = group.saturating_add(closed);
        }
    }
    groups.into_iter().fold(1, u64::saturating_add)
}

/// Tells whether a value can be checked by schemas that refer to themselves without endless work.
pub(crate) fn is_bounded(schema: &Value, value: &Value) -> bool {
    let mut left = WORK_MAX;
    work(schema, value, schema, &mut left)
}

/// Takes the schemas that look at a value, and at its parts, from what is left.
fn work(schema: &Value, value: &Value, root: &Value, left: &mut u64) -> bool {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return false;
    }
    let Value::Object(keywords) = schema else { return true };
    keywords.iter().all(|(key, inner)| match (key.as_str(), inner, value) {
        ("$ref", Value::String(path), _) => {
            let target = path.strip_prefix('#').and_then(|path| root.pointer(path));
            target.is_none_or(|target| work(target, value, root, left))
        }
        ("properties", Value::Object(schemas), Value::Object(members)) => members
            .iter()
            .all(|(name, part)| schemas.get(name).is_none_or(|s| work(s, part, root, left))),
        ("patternProperties", Value::Object(schemas), Value::Object(members)) => schemas
            .values()
            .all(|schema| members.values().all(|part| work(schema, part, root, left))),
        ("additionalProperties" | "propertyNames", _, Value::Object(members)) => {
            members.values().all(|part| work(inner, part, root, left))
        }
        ("items" | "prefixItems", Value::Array(schemas), Value::Array(parts)) => {
            schemas.iter().zip(parts).all(|(schema, part)| work(schema, part, root, left))
        }
        ("items" | "additionalItems" | "contains", _, Value::Array(parts)) => {
            parts.iter().all(|part| work(inner, part, root, left))
        }
        (key, ..) if PARTS.contains(&key) || DATA.contains(&key) => true,
        ("definitions" | "$defs", ..) => true,
        ("dependencies" | "dependentSchemas", Value::Object(schemas), _) => {
            schemas.values().all(|schema| work(schema, value, root, left))
        }
        (_, Value::Array(schemas), _) => {
            schemas.iter().all(|schema| !schema.is_object() || work(schema, value, root, left))
        }
        (_, Value::Object(_), _) => work(inner, value, root, left),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn add(columns: &[Value], root: &Value) -> Result<bool, Fault> {
        let root = root.as_object().unwrap();
        let mut scale = Scale::new(root);
        columns.iter().try_fold(false, |before, column| Ok(scale.add(column)? || before))
    }

    /// Definitions `0` to `count`, each made of a reference to the next one.
    fn chain(count: usize, make: impl Fn(Value) -> Value) -> Value {
        let mut all = Map::new();
        for at in 0..count {
            let next = json!({ "$ref": format!("#/definitions/{}", at + 1) });
            all.insert(at.to_string(), make(next));
        }
        all.insert(count.to_string(), json!({ "type": "string" }));
        json!({ "definitions": all })
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let start = [json!({ "$ref": "#/definitions/0" })];
        for make in [
            |next: Value| json!({ "anyOf": [next, next] }),
            |next: Value| json!({ "allOf": [next, { "not": next }] }),
            |next: Value| json!({ "properties": { "a": next, "b": next } }),
            |next: Value| json!({ "items": [next, next, next] }),
        ] {
            assert!(add(&start, &chain(22, make)).unwrap_err().contains("parts"));
            assert_eq!(add(&start, &chain(5, make)), Ok(false));
        }
        let deep = add(&start, &chain(5000, |next| json!({ "allOf": [next] })));
        assert!(deep.unwrap_err().contains("deep"));
        // What many columns share is heavy once for each, but followed once.
        let shared = chain(10, |next| json!({ "properties": { "a": next, "b": next } }));
        let columns = vec![start[0].clone(); 5000];
        assert!(add(&columns, &shared).is_err());
        assert_eq!(add(&columns, &chain(3, |next| json!({ "items": next }))), Ok(false));
    }

    #[test]
    fn schemas_may_refer_to_themselves_for_parts_of_the_value() {
        let tree = json!({ "definitions": { "n": { "type": "object", "properties": {
            "left": { "$ref": "#/definitions/n" }, "right": { "$ref": "#/definitions/n" } } } } });
        assert_eq!(add(&[json!({ "$ref": "#/definitions/n" })], &tree), Ok(true));
        for endless in [
            json!({ "definitions": { "n": { "$ref": "#/definitions/n" } } }),
            json!({ "definitions": { "n": { "anyOf": [{ "$ref": "#/definitions/m" }] },
                "m": { "not": { "$ref": "#/definitions/n" } } } }),
        ] {
            let found = add(&[json!({ "$ref": "#/definitions/n" })], &endless);
            assert!(found.unwrap_err().contains("itself"), "{endless}");
        }
        assert!(add(&[json!({ "$ref": "#/definitions/x" })], &json!({})).is_err());
    }

    #[test]
    fn the_work_on_a_value_is_bounded() {
        let nested = |depth| (0..depth).fold(json!({}), |inner, _| json!({ "x": inner }));
        let twice = json!({ "$ref": "#/definitions/a" });
        let bomb = json!({ "$ref": "#/definitions/a", "definitions": { "a": { "properties": {
            "x": { "anyOf": [twice, twice] } } } } });
        assert!(is_bounded(&bomb, &nested(5)));
        assert!(!is_bounded(&bomb, &nested(60)));
        let list = json!({ "$ref": "#/definitions/a", "definitions": { "a": { "properties": {
            "x": { "$ref": "#/definitions/a" } } } } });
        assert!(is_bounded(&list, &nested(100)));
    }

    #[test]
    fn patterns_weigh_what_their_repetitions_do() {
        assert!(pattern_weight("^[A-Z]{2}-[0-9]{4}$") < 40);
        assert!(pattern_weight("(((a{100}){100}){100}){100}") > WEIGHT_MAX);
        assert!(pattern_weight(r"\w{9999}") > WEIGHT_MAX);
        assert!(pattern_weight("a{2,") < 10);
    }
}
