//! The columns of a data file and where their cells come from; they never change places.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use singer::schema::{PARTITION, Types};
use singer::{Column, Coverage, Error, ErrorKind, Kind, Result, Stream};

/// Where the cells of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This cell of a row.
    Cell {
        /// Position in the batch's row.
        at: usize,
        /// The text is free, not made of digits.
        free_text: bool,
        /// It is part of the key, so it must have a value.
        key: bool,
    },
    /// `time_extracted` of the record.
    Extracted,
    /// When the rows came in.
    Received,
    /// When the first rows of the stream came in.
    Batched,
    /// Milliseconds since 1970 at which the rows came in.
    Sequence,
    /// `version` of the record.
    Version,
    /// Always null.
    Null,
}

/// The metadata columns that a file can have, in their order.
pub const METADATA: [(&str, Origin); 6] = [
    ("_sdc_extracted_at", Origin::Extracted),
    ("_sdc_received_at", Origin::Received),
    ("_sdc_batched_at", Origin::Batched),
    ("_sdc_deleted_at", Origin::Null),
    ("_sdc_sequence", Origin::Sequence),
    ("_sdc_table_version", Origin::Version),
];

/// The columns of a file, in order.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The stream's schema but for its properties.
    top: Map<String, Value>,
    /// The keys of the stream.
    pub keys: Vec<String>,
    /// Which rows of the stream come.
    pub coverage: Coverage,
    columns: Vec<Column>,
    /// Where the cells of each column come from.
    pub origins: Vec<Origin>,
    metadata: Vec<(&'static str, Origin)>,
}

impl Layout {
    /// Lays out the columns of a stream, then the metadata columns that it `adds`, by their names.
    pub fn new(stream: &Stream, adds: impl Fn(&str) -> bool) -> Self {
        let metadata: Vec<_> = METADATA.into_iter().filter(|(name, _)| adds(name)).collect();
        let mut layout = Self {
            top: top(stream),
            keys: stream.keys.clone(),
            coverage: stream.coverage.clone(),
            columns: incoming(stream, &metadata),
            origins: Vec::new(),
            metadata,
        };
        layout.connect(stream);
        layout
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Returns the JSON Schema of the file, its properties in column order.
    pub fn schema(&self) -> Map<String, Value> {
        let mut schema = self.top.clone();
        let properties: Map<_, _> =
            self.columns.iter().map(|c| (c.name.clone(), c.schema.clone())).collect();
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema
    }

    /// Takes a changed schema: new columns go to the end, vanished ones stay and are null. Returns
    /// how many columns are new. A kind that earlier rows do not fit is a `Data` failure.
    pub fn evolve(&mut self, stream: &Stream) -> Result<usize> {
        if stream.keys != self.keys {
            return Err(Error::new(
                ErrorKind::Data,
                "cannot change the keys of a stream during a run",
            )
            .with("keys before", self.keys.join(", "))
            .with("keys now", stream.keys.join(", "))
            .hint("extract the stream again in a run of its own"));
        }
        let incoming = incoming(stream, &self.metadata);
        // By name, for there may be very many.
        let new: BTreeMap<_, _> = incoming.iter().map(|new| (new.name.as_str(), new)).collect();
        for old in &mut self.columns {
            match new.get(old.name.as_str()) {
                Some(new) => *old = merged(old, new)?,
                None => *old = nullable(old),
            }
        }
        let before = self.columns.len();
        let old: BTreeSet<String> = self.names().map(str::to_owned).collect();
        let added = incoming.iter().filter(|new| !old.contains(&new.name));
        self.columns.extend(added.map(nullable));
        self.top = top(stream);
        if let Some(Value::Array(required)) = self.top.get_mut("required") {
            required.retain(|name| name.as_str().is_some_and(|name| old.contains(name)));
        }
        self.coverage = stream.coverage.clone();
        self.connect(stream);
        Ok(self.columns.len() - before)
    }

    /// Returns the stream as its rows come, its columns in the order of their cells.
    pub fn incoming(&self, name: &str) -> Stream {
        let mut places = BTreeMap::new();
        for (column, origin) in self.columns.iter().zip(&self.origins) {
            if let Origin::Cell { at, .. } = origin {
                places.insert(*at, (column.name.clone(), column.schema.clone()));
            }
        }
        let mut schema = self.top.clone();
        let properties = places.into_values().collect();
        schema.insert("properties".to_owned(), Value::Object(properties));
        Stream::new(name, schema, self.keys.clone())
    }

    /// Finds where the cells of each column are in the rows of the stream.
    fn connect(&mut self, stream: &Stream) {
        let names =
            stream.columns.iter().enumerate().map(|(at, column)| (column.name.as_str(), at));
        let places: BTreeMap<_, _> = names.collect();
        let keys: BTreeSet<&String> = self.keys.iter().collect();
        let origin = |column: &Column| match places.get(column.name.as_str()) {
            Some(&at) => Origin::Cell {
                at,
                free_text: matches!(stream.columns[at].kind, Kind::String | Kind::Json),
                key: keys.contains(&column.name),
            },
            None => self
                .metadata
                .iter()
                .find(|(name, _)| *name == column.name)
                .map_or(Origin::Null, |(_, origin)| *origin),
        };
        self.origins = self.columns.iter().map(origin).collect();
    }
}

/// The texts of the metadata columns for the rows of a batch.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    pub received: String,
    pub batched: String,
    pub sequence: String,
}

impl Clock {
    /// Reads the clock, where a column is made of it. `first` is when the first rows came.
    pub(crate) fn now(layout: &Layout, first: &mut Option<Timestamp>) -> Self {
        let wanted = |origin: &Origin| {
            matches!(origin, Origin::Received | Origin::Batched | Origin::Sequence)
        };
        if !layout.origins.iter().any(wanted) {
            return Self::default();
        }
        let now = Timestamp::now();
        let text = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
        Self {
            received: text(now),
            batched: text(*first.get_or_insert(now)),
            sequence: now.as_millisecond().to_string(),
        }
    }
}

/// Returns the schema without its properties and without the partition it was read from.
fn top(stream: &Stream) -> Map<String, Value> {
    let mut top = stream.schema.clone();
    top.shift_remove(PARTITION);
    // Empty, so that it keeps its place among the keywords.
    top.insert("properties".to_owned(), Value::Object(Map::new()));
    top
}

/// Returns the stream's columns with their schemas as they came, then the metadata columns.
fn incoming(stream: &Stream, metadata: &[(&str, Origin)]) -> Vec<Column> {
    let raw = |name: &str| stream.schema.get("properties").and_then(|all| all.get(name)).cloned();
    let mut columns: Vec<Column> = stream
        .columns
        .iter()
        .map(|column| {
            let mut column = column.clone();
            column.schema = raw(&column.name).unwrap_or_default();
            column
        })
        .collect();
    for (name, origin) in metadata {
        if !stream.has_column(name) {
            let integer = matches!(origin, Origin::Sequence | Origin::Version);
            let schema = if integer {
                json!({"type": ["null", "integer"]})
            } else {
                json!({"type": ["null", "string"], "format": "date-time"})
            };
            columns.push(Column::new(*name, schema));
        }
    }
    columns
}

/// Returns the column that holds the rows of both.
fn merged(old: &Column, new: &Column) -> Result<Column> {
    let widened = match (old.kind, new.kind) {
        (before, now) if before == now => true,
        (Kind::Json, _) => false,
        (Kind::Integer, Kind::Number) | (_, Kind::String) => true,
        _ => false,
    };
    if old.kind == Kind::Number && new.kind == Kind::Integer {
        return Ok(if new.nullable() { nullable(old) } else { old.clone() });
    }
    if !widened || old.absent_is_null != new.absent_is_null || old.is_base16() != new.is_base16() {
        return Err(Error::new(ErrorKind::Data, "cannot change the type of a column during a run")
            .with("column", &old.name)
            .with("schema before", &old.schema)
            .with("schema now", &new.schema)
            .hint("extract the stream again, so that all its rows have the new type"));
    }
    if old.kind == new.kind && !new.types.or(Types::NULL).has(old.types) {
        // Both describe rows of the file.
        let schema = json!({"anyOf": [old.schema, new.schema]});
        let types = old.types.or(new.types);
        return Ok(Column { schema, types, ..new.clone() });
    }
    Ok(if old.nullable() { nullable(new) } else { new.clone() })
}

/// Returns the column with null allowed.
fn nullable(column: &Column) -> Column {
    let mut column = column.clone();
    if column.nullable() {
        return column;
    }
    column.types = column.types.or(Types::NULL);
    let schema = &mut column.schema;
    match &mut schema["type"] {
        Value::Array(types) => types.push(json!("null")),
        kind @ Value::String(_) => *kind = json!([kind.take(), "null"]),
        _ => {
            if let Some(object) = schema.as_object_mut() {
                object.shift_remove("type");
            }
            *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(properties: &Value) -> Stream {
        let schema = json!({"type": "object", "properties": properties, "required": ["id", "b"]});
        Stream::new("s", schema.as_object().unwrap().clone(), vec!["id".to_owned()])
    }

    fn cell(at: usize) -> Origin {
        Origin::Cell { at, free_text: false, key: false }
    }

    #[test]
    fn columns_never_change_places() {
        let id = json!({"type": "integer"});
        let mut layout = Layout::new(&stream(&json!({"id": id, "a": id})), |_| true);
        let added = layout.evolve(&stream(&json!({"b": id, "id": id}))).unwrap();
        assert_eq!(added, 1);
        let names: Vec<_> = layout.names().collect();
        assert_eq!(names[..3], ["id", "a", "_sdc_extracted_at"]);
        assert_eq!(names.last(), Some(&"b"));
        let key = Origin::Cell { at: 1, free_text: false, key: true };
        assert_eq!(layout.origins[..3], [key, Origin::Null, Origin::Extracted]);
        assert_eq!(layout.origins.last(), Some(&cell(0)));
        let schema = Value::Object(layout.schema());
        assert_eq!(schema["properties"]["id"], id);
        assert_eq!(schema["properties"]["a"], json!({"type": ["integer", "null"]}));
        assert_eq!(schema["properties"]["b"], json!({"type": ["integer", "null"]}));
        assert_eq!(schema["required"], json!(["id"]));
    }

    #[test]
    fn kinds_widen_or_are_refused() {
        let check = |old: &Value, new: &Value, expected: Option<&Value>| {
            let properties = |c: &Value| json!({"id": {"type": "integer"}, "c": c});
            let mut layout = Layout::new(&stream(&properties(old)), |_| false);
            match (layout.evolve(&stream(&properties(new))), expected) {
                (Ok(added), Some(expected)) => {
                    assert_eq!(added, 0);
                    assert_eq!(&layout.schema()["properties"]["c"], expected, "{old} {new}");
                }
                (Err(failure), None) => assert_eq!(failure.kind(), ErrorKind::Data),
                (found, _) => panic!("{old} {new} {found:?}"),
            }
        };
        let integer = json!({"type": "integer"});
        let number = json!({"type": "number"});
        let text = json!({"type": "string"});
        let date = json!({"type": "string", "format": "date"});
        let object = json!({"type": "object"});
        check(&integer, &number, Some(&number));
        check(&number, &integer, Some(&number));
        check(&integer, &text, Some(&text));
        check(&date, &text, Some(&text));
        let maybe_integer = json!({"type": ["null", "integer"]});
        check(&maybe_integer, &number, Some(&json!({"type": ["number", "null"]})));
        check(&text, &integer, None);
        check(&text, &date, None);
        check(&text, &object, None);
        check(&object, &text, None);
        let array = json!({"type": "array"});
        check(&object, &array, Some(&json!({"anyOf": [object, array]})));
    }

    #[test]
    fn a_day_read_back_loses_the_name_of_its_partition() {
        let mut stream = stream(&json!({"id": {"type": "integer"}}));
        let before = stream.schema.clone();
        stream.schema.insert(PARTITION.to_owned(), json!({"source": "pg"}));
        assert_eq!(Layout::new(&stream, |_| false).schema(), before);
    }
}
