//! What streams there are: schemas as declared, or inferred from what is kept for the run.

use std::cell::Cell;
use std::collections::BTreeSet;

use files::json::Shape;
use serde_json::{Map, Value, json};
use singer::catalog::ReplicationMethod;
use singer::scan::{Fault, Scanner, Token};
use singer::schema::NO_VALUES;
use singer::{Error, ErrorKind, Result, Stream};

use crate::reader::{Api, Reader, Step};
use crate::row::RAW;
use crate::spool::Spool;
use crate::stream::StreamSpec;

/// So many columns are named in a warning.
const COLUMNS_TOLD: usize = 20;

/// What discovery has read of a stream.
#[derive(Debug)]
pub struct Found {
    /// The rows.
    pub rows: Spool,
    /// Where the read goes on.
    pub reader: Reader,
    /// A slice has ended.
    pub whole_slice: bool,
    /// The read has ended.
    pub end: bool,
}

/// Reads the first slice of a stream that has rows, or as many records as are wanted; returns the
/// schema too.
pub fn infer(
    api: &Api,
    spec: &StreamSpec,
    mut reader: Reader,
) -> Result<(Map<String, Value>, Found)> {
    let mut rows = Spool::new(&api.spool);
    let mut shape = Shape::default();
    let mut whole_slice = false;
    tracing::info!("stream {}: reading records to infer types", spec.name);
    // Rows of a tree come later than they are counted.
    let taken = Cell::new(0);
    let mut take = |row: &[u8]| {
        taken.set(taken.get() + 1);
        shape.see(row).map_err(|fault| {
            Error::new(ErrorKind::Data, "cannot read a record").with("reason", fault.what)
        })?;
        rows.push(row)
    };
    let end = loop {
        match reader.step(api, spec, &mut take)? {
            Step::End => break true,
            step => {
                whole_slice = step == Step::Slice;
                let rows = taken.get();
                // A slice without rows tells nothing of the columns of others.
                let tells = whole_slice && rows > 0 && !spec.sample.of_many_windows;
                if tells || spec.sample.rows.is_some_and(|sample| rows >= sample) {
                    break reader.is_done();
                }
            }
        }
    };
    let mut properties = shape.properties();
    if properties.is_empty() {
        singer::warn!(
            "W-NO-RECORDS",
            "stream {}: no records to infer types from; declare a `schema` to have its columns",
            spec.name
        );
    }
    let mixed: Vec<_> = shape.mixed().take(COLUMNS_TOLD).collect();
    if !mixed.is_empty() {
        singer::warn!(
            "W-KINDS-MIXED",
            "stream {}: values of several kinds, such as 1 and \"1\", are kept as JSON in columns \
             {}; declare them in `schema` to have another type",
            spec.name,
            mixed.join(", ")
        );
    }
    complete(spec, &mut properties);
    Ok((schema(properties, spec), Found { rows, reader, whole_slice, end }))
}

/// Finds properties of rows that the columns inferred from other rows lack.
#[derive(Debug)]
pub struct Columns<'a> {
    known: BTreeSet<&'a str>,
    /// An empty object is one that flattening left, and has no property.
    is_flat: bool,
    name: Vec<u8>,
}

impl<'a> Columns<'a> {
    /// Takes the columns of the stream.
    pub fn new(stream: &'a Stream, spec: &StreamSpec) -> Self {
        let known = stream.columns.iter().map(|column| column.name.as_str()).collect();
        Self { known, is_flat: spec.rules.flatten.is_some(), name: Vec::new() }
    }

    /// Refuses rows from a bookmark on where none from the start on told their types.
    ///
    /// The rule: columns that no record has told say nothing of a record, so that none is set aside
    /// for them.
    pub fn check_told(was_told: bool, spec: &StreamSpec) -> Result<()> {
        if was_told {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Data, "there is no record to infer types from")
            .with("stream", &spec.name)
            .with("start_date", spec.start_date.as_deref().unwrap_or("(none)"))
            .with("reason", "there are records since the bookmark, but none since the start")
            .hint("set an earlier `start_date`, or declare the `schema` of the stream"))
    }

    /// Refuses a row with a value that would be left out.
    pub fn check(&mut self, row: &[u8]) -> Result<()> {
        // What is no row is refused by who takes it.
        let Ok(Some(name)) = self.missing(row) else { return Ok(()) };
        Err(Error::new(ErrorKind::Data, "a record has a property that was not inferred")
            .with("property", name)
            .hint(
                "raise `num_inference_records`, declare a `schema`, or run with a catalog, which \
                 says which columns are read",
            ))
    }

    fn missing(&mut self, row: &[u8]) -> Result<Option<String>, Fault> {
        let mut scanner = Scanner::new(row);
        scanner.space();
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            self.name.clear();
            scanner.key()?.unescape_into(&mut self.name);
            let value = scanner.value()?;
            let name = String::from_utf8_lossy(&self.name);
            let is_empty = matches!(value, Token::Object(object) if object.text == b"{}");
            let is_nothing = matches!(value, Token::Null) || is_empty && self.is_flat;
            if !is_nothing && !self.known.contains(&*name) {
                return Ok(Some(name.into_owned()));
            }
            more = scanner.more(b'}')?;
        }
        Ok(None)
    }
}

/// Returns the schema as declared, with the columns that the tap adds.
pub fn declared(spec: &StreamSpec, given: &Map<String, Value>) -> Map<String, Value> {
    let mut schema = given.clone();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        // What the rows of a tree lie in is of another kind than what the first level is read for.
        let keys = spec.recurse.iter().flat_map(|recurse| recurse.parent_keys.keys());
        let mut added: Vec<(String, Value)> = keys.map(|name| (name.clone(), any())).collect();
        let inputs = spec.inputs.first().into_iter().flat_map(|input| &input.members);
        added.extend(inputs.map(|(name, value)| (name.clone(), of_input(value))));
        let parents = spec.parent.iter().flat_map(|(_, keys)| keys);
        added.extend(parents.map(|(name, _)| (name.clone(), any())));
        added.extend(spec.elements.added().map(|name| (name.clone(), json!({}))));
        if let Some(recurse) = &spec.recurse {
            added.push((recurse.level_column.clone(), json!({"type": "integer"})));
            added.push((recurse.leaf_column.clone(), json!({"type": ["boolean", "null"]})));
        }
        if spec.rules.raw {
            added.push((RAW.to_owned(), raw()));
        }
        for (name, property) in added {
            properties.entry(name).or_insert(property);
        }
    }
    schema
}

/// Returns the stream with its keys.
pub fn stream(spec: &StreamSpec, schema: Map<String, Value>) -> Result<Stream> {
    let mut stream = Stream::new(&spec.name, schema, spec.keys.clone());
    let wanted = spec.keys.iter().chain(&spec.replication_key);
    if let Some(missing) = wanted.clone().find(|name| stream.column(name).is_none()) {
        let columns: Vec<&str> = stream.columns.iter().map(|column| column.name.as_str()).collect();
        return Err(Error::new(ErrorKind::Config, "cannot find a key among the columns")
            .with("stream", &spec.name)
            .with("key", missing)
            .with("columns", columns.join(", "))
            .hint("check `primary_keys` and `replication_key`"));
    }
    if let Some(key) = &spec.replication_key {
        stream.replication_key = Some(key.clone());
        stream.replication_method = ReplicationMethod::Incremental;
        stream.set_meta(None, "valid-replication-keys", vec![key.clone()]);
    }
    stream.set_meta(None, "table-key-properties", spec.keys.clone());
    stream.set_meta(None, "selected-by-default", true);
    Ok(stream)
}

/// Adds what no record had, and takes null from keys.
fn complete(spec: &StreamSpec, properties: &mut Map<String, Value>) {
    let empty = properties.is_empty();
    for name in spec.keys.iter().chain(&spec.replication_key).filter(|_| empty) {
        properties.insert(name.clone(), json!({"type": ["string", "null"], NO_VALUES: true}));
    }
    for name in &spec.keys {
        if let Some(property) = properties.get_mut(name)
            && let Some(types) = property.get_mut("type").and_then(Value::as_array_mut)
        {
            types.retain(|word| word != "null");
        }
    }
    if spec.rules.raw {
        properties.insert(RAW.to_owned(), raw());
    }
}

fn schema(properties: Map<String, Value>, spec: &StreamSpec) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !spec.keys.is_empty() {
        schema.insert("required".to_owned(), spec.keys.clone().into());
    }
    schema
}

fn raw() -> Value {
    json!({"type": ["object", "null"]})
}

fn any() -> Value {
    json!({"type": ["string", "integer", "number", "boolean", "null"]})
}

fn of_input(value: &Value) -> Value {
    match value {
        Value::Bool(_) => json!({"type": ["boolean", "null"]}),
        Value::Number(number) if number.is_i64() => json!({"type": ["integer", "null"]}),
        Value::Number(_) => json!({"type": ["number", "null"]}),
        Value::String(_) => json!({"type": ["string", "null"]}),
        _ => json!({"type": ["object", "array", "null"]}),
    }
}
