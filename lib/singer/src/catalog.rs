//! Streams and the catalog file: what discovery writes and what a run reads back.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::coverage::Coverage;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file_id::FileIds;
use crate::schema::{self, Column, Kind, Types};
use crate::unreadable::Unreadable;

/// Catalog metadata by breadcrumb; `[]` is the stream itself.
pub type Metadata = BTreeMap<Vec<String>, Map<String, Value>>;

/// How a stream is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicationMethod {
    /// Every row, every time.
    #[default]
    FullTable,
    /// Rows whose replication key is at or beyond the bookmark.
    Incremental,
    /// Changes from the source's log.
    LogBased,
}

impl ReplicationMethod {
    /// Returns the word of the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullTable => "FULL_TABLE",
            Self::Incremental => "INCREMENTAL",
            Self::LogBased => "LOG_BASED",
        }
    }

    fn named(word: &str) -> Result<Self> {
        match word {
            "FULL_TABLE" => Ok(Self::FullTable),
            "INCREMENTAL" => Ok(Self::Incremental),
            "LOG_BASED" => Ok(Self::LogBased),
            _ => {
                Err(Error::new(ErrorKind::Config, "cannot use the replication method of a stream")
                    .with("replication method", word)
                    .hint("write FULL_TABLE or INCREMENTAL"))
            }
        }
    }
}

/// A stream: in a tap its catalog entry, in a target what SCHEMA said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// `tap_stream_id`: unique in the catalog, the key of its bookmark.
    pub id: String,
    /// `stream`: the name in messages.
    pub name: String,
    /// The JSON Schema, with every keyword it came with; after selection only selected properties.
    pub schema: Map<String, Value>,
    /// The columns of `schema`, in its order.
    pub columns: Vec<Column>,
    /// `key_properties`.
    pub keys: Vec<String>,
    /// How to read it, once selection has decided.
    pub replication_method: ReplicationMethod,
    /// The column that orders an INCREMENTAL read.
    pub replication_key: Option<String>,
    /// In messages: the stream of the tap that a mapper made this one of.
    pub source_stream: Option<String>,
    /// In messages: which rows come.
    pub coverage: Coverage,
    /// In a target: whether the tap says which rows come; of another one nobody knows.
    pub says_coverage: bool,
    /// In messages: the files of a disk that the rows come from.
    pub read_from: FileIds,
    /// Catalog metadata.
    pub metadata: Metadata,
    /// Further stream-level fields of the catalog (`table_name`, `database_name`, ...), kept as is;
    /// in messages those of a SCHEMA that a mapper passes on.
    pub fields: Map<String, Value>,
}

/// So many columns are named by a warning.
const COLUMNS_TOLD: usize = 20;

impl Stream {
    /// Makes a stream with this schema (an object with `properties`) and keys.
    pub fn new(name: impl Into<String>, schema: Map<String, Value>, keys: Vec<String>) -> Self {
        let name = name.into();
        Self {
            id: name.clone(),
            name,
            columns: schema::columns(&schema),
            schema,
            keys,
            replication_method: ReplicationMethod::FullTable,
            replication_key: None,
            source_stream: None,
            coverage: Coverage::Whole,
            says_coverage: false,
            read_from: FileIds::new(),
            metadata: BTreeMap::new(),
            fields: Map::new(),
        }
    }

    /// Tells whether the catalog has a column, selected or not.
    pub fn knows(&self, column: &str) -> bool {
        let breadcrumb = ["properties".to_owned(), column.to_owned()];
        self.columns.iter().any(|known| known.name == column)
            || self.metadata.contains_key(&breadcrumb[..])
    }

    /// Warns of the columns that are left out because the catalog does not know them; `of` says
    /// whose they are.
    pub fn warn_of_unknown(&self, of: &str, columns: &[&str]) {
        if !columns.is_empty() {
            crate::warn!(
                "W-COLUMN-UNKNOWN",
                "stream {}: left out {} columns of {of} that are not in the catalog ({}{}): to \
                 read them, write the catalog again with --discover, or run without one",
                self.id,
                columns.len(),
                columns[..columns.len().min(COLUMNS_TOLD)].join(", "),
                if columns.len() > COLUMNS_TOLD { ", ..." } else { "" }
            );
        }
    }

    /// Returns what a mapper makes of it: another name, schema or keys, and the same of all else.
    #[must_use]
    pub fn mapped(&self, name: &str, schema: Map<String, Value>, keys: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            columns: schema::columns(&schema),
            schema,
            keys,
            source_stream: self.source_stream.clone().or_else(|| Some(self.name.clone())),
            ..self.clone()
        }
    }

    /// Returns what takes its place within a run. Its rows stay a part where they were one: those
    /// of several streams may come under one name.
    pub(crate) fn in_place_of(&self, new: &Arc<Self>) -> Arc<Self> {
        let coverage = self.coverage.joined(&new.coverage);
        if coverage == new.coverage {
            return Arc::clone(new);
        }
        Arc::new(Self { coverage, ..Self::clone(new) })
    }

    /// Returns the stream with schemas of texts for columns whose values are kept as texts, though
    /// no text can come: those of more than one type, such as integers and booleans.
    #[must_use]
    pub(crate) fn saying_texts(self) -> Self {
        let is_mixed =
            |column: &&Column| column.kind == Kind::String && !column.types.has(Types::STRING);
        let mixed: Vec<&Column> = self.columns.iter().filter(is_mixed).collect();
        if mixed.is_empty() {
            return self;
        }
        let mut schema = self.schema.clone();
        for column in mixed {
            let words: &[&str] = if column.nullable() { &["string", "null"] } else { &["string"] };
            let mut property = json!({ "type": words });
            for name in ["title", "description"] {
                if let Some(text) = column.schema.get(name) {
                    property[name] = text.clone();
                }
            }
            schema["properties"][&column.name] = property;
        }
        self.mapped(&self.name, schema, self.keys.clone())
    }

    /// Returns the stream of the tap: this one, or that of which a mapper made it.
    pub fn of_tap(&self) -> &str {
        self.source_stream.as_deref().unwrap_or(&self.name)
    }

    /// Returns the position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Tells whether there is a column of this name, at once however many there are.
    pub fn has_column(&self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
    }

    /// Returns the schema and the table that it is read from, as its schema says, where its name
    /// is made of them.
    pub fn source_table(&self) -> Option<(&str, &str)> {
        let said = self.schema.get(schema::TABLE)?;
        let (schema, table) = (said["schema"].as_str()?, said["table"].as_str()?);
        let rest = self.name.strip_prefix(schema)?.strip_prefix('-')?;
        (rest == table && !schema.is_empty() && !table.is_empty()).then_some((schema, table))
    }

    /// Tells whether the types of its SQL source, where its schema names them, are of this dialect.
    pub fn has_types_of(&self, dialect: &str) -> bool {
        self.schema.get(schema::SQL_DIALECT).is_none_or(|said| said == dialect)
    }

    /// Says in its schema which table it is read from.
    pub fn set_source_table(&mut self, schema: &str, table: &str) {
        let said = json!({ "schema": schema, "table": table });
        self.schema.insert(schema::TABLE.to_owned(), said);
    }

    /// Adds the property that says that a row was deleted, where it is not declared.
    pub fn declare_deleted_at(&mut self) {
        let properties = self.schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            let moment = || json!({ "type": ["null", "string"], "format": "date-time" });
            properties.entry(schema::DELETED_AT).or_insert_with(moment);
        }
        self.columns = schema::columns(&self.schema);
    }

    /// Returns a metadata value of the stream itself.
    pub fn meta(&self, key: &str) -> Option<&Value> {
        self.metadata.get(&[] as &[String]).and_then(|meta| meta.get(key))
    }

    /// Sets a metadata value of the stream itself (`None`) or of a property.
    pub fn set_meta(&mut self, property: Option<&str>, key: &str, value: impl Into<Value>) {
        let breadcrumb = match property {
            Some(name) => vec!["properties".to_owned(), name.to_owned()],
            None => Vec::new(),
        };
        self.metadata.entry(breadcrumb).or_default().insert(key.to_owned(), value.into());
    }

    /// Returns the catalog entry.
    pub fn to_json(&self) -> Value {
        self.clone().into_json()
    }

    fn into_json(mut self) -> Value {
        // Meltano marks every property without metadata as automatic: each one gets an entry.
        let says_nothing = self.metadata.values().all(Map::is_empty);
        let root = self.metadata.entry(Vec::new()).or_default();
        // What a discovery prints selects what a run without a catalog reads. An entry about the
        // stream that says nothing of its selection would leave the stream out.
        if says_nothing {
            root.insert("selected-by-default".to_owned(), true.into());
        }
        let keys: BTreeSet<&String> = self.keys.iter().collect();
        for Column { name, .. } in self.columns {
            let inclusion = if keys.contains(&name) { "automatic" } else { "available" };
            let breadcrumb = vec!["properties".to_owned(), name];
            let values = self.metadata.entry(breadcrumb).or_default();
            values.entry("inclusion").or_insert_with(|| inclusion.into());
        }
        let mut entry = Map::new();
        entry.insert("tap_stream_id".into(), self.id.into());
        entry.insert("stream".into(), self.name.into());
        entry.extend(self.fields);
        entry.insert("schema".into(), Value::Object(self.schema));
        entry.insert("key_properties".into(), self.keys.into());
        if let Some(key) = self.replication_key {
            entry.insert("replication_key".into(), key.into());
        }
        if self.replication_method != ReplicationMethod::FullTable {
            entry.insert("replication_method".into(), self.replication_method.as_str().into());
        }
        let metadata = self.metadata.into_iter().map(|(breadcrumb, values)| {
            let mut entry = Map::new();
            entry.insert("breadcrumb".into(), breadcrumb.into());
            entry.insert("metadata".into(), Value::Object(values));
            Value::Object(entry)
        });
        entry.insert("metadata".into(), metadata.collect());
        Value::Object(entry)
    }

    /// Reads a catalog entry; one with a replication key but no method is read by this one.
    fn from_json(entry: &Value, default: ReplicationMethod, columns_max: usize) -> Result<Self> {
        let broken = |what: &str| Error::new(ErrorKind::Config, format!("the catalog has {what}"));
        let entry = entry.as_object().ok_or_else(|| broken("an entry that is not an object"))?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
        let id = text("tap_stream_id").or_else(|| text("stream"));
        let id = id.ok_or_else(|| broken("an entry without `tap_stream_id`"))?;
        let schema = entry.get("schema").and_then(Value::as_object);
        let schema = schema.filter(|schema| schema.get("properties").is_some_and(Value::is_object));
        let schema =
            schema.ok_or_else(|| broken("a schema without `properties`").with("stream", id))?;
        schema::check_size(schema, columns_max).map_err(|failure| failure.with("stream", id))?;
        let mut stream = Self::new(text("stream").unwrap_or(id), schema.clone(), Vec::new());
        id.clone_into(&mut stream.id);
        stream.metadata = read_metadata(entry, schema).map_err(|f| f.with("stream", id))?;
        let meta = |stream: &Self, key: &str| stream.meta(key).cloned();
        let is_view = meta(&stream, "is-view") == Some(Value::Bool(true));
        let keys = entry
            .get("key_properties")
            .cloned()
            .filter(|keys| !keys.is_null() && keys.as_array().is_none_or(|keys| !keys.is_empty()))
            .or_else(|| is_view.then(|| meta(&stream, "view-key-properties")).flatten())
            .or_else(|| meta(&stream, "table-key-properties"));
        // A key that is left out in silence makes an upsert add rows.
        let odd =
            |what: &str| broken(what).with("stream", id).hint("write the names as JSON strings");
        stream.keys = strings(keys.as_ref()).ok_or_else(|| odd("keys that are not strings"))?;
        let first = |value: Option<&Value>| {
            let names =
                strings(value).ok_or_else(|| odd("a replication key that is not a string"))?;
            Ok(names.into_iter().find(|name| !name.is_empty()))
        };
        let named = first(entry.get("replication_key"))?;
        stream.replication_key = named.or(first(stream.meta("replication-key"))?);
        let method = text("replication_method")
            .map(str::to_owned)
            .or_else(|| string(stream.meta("replication-method")))
            .or_else(|| string(stream.meta("forced-replication-method")));
        stream.replication_method = match method {
            Some(word) => ReplicationMethod::named(&word).map_err(|f| f.with("stream", id))?,
            None if stream.replication_key.is_some() => default,
            None => ReplicationMethod::FullTable,
        };
        stream.fields.clone_from(entry);
        stream.fields.retain(|key, _| !OWN_FIELDS.contains(&key.as_str()));
        Ok(stream)
    }
}

/// Fields of an entry that [`Stream`] has members for.
const OWN_FIELDS: [&str; 8] = [
    "tap_stream_id",
    "stream",
    "schema",
    "key_properties",
    "replication_key",
    "replication_method",
    "metadata",
    "selected",
];

/// The streams of a catalog that is being written: one at a time is JSON.
struct Streams(Cell<Vec<Stream>>);

impl Serialize for Streams {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.take().into_iter().map(Stream::into_json))
    }
}

/// A catalog that is being written.
#[derive(Serialize)]
struct Written<'a> {
    streams: Streams,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unreadable: &'a [Unreadable],
}

/// Writes a catalog for people, and for `chorus` what the user may not read of the source.
pub fn to_text(streams: Vec<Stream>, unreadable: &[Unreadable]) -> Result<String> {
    let catalog = Written { streams: Streams(Cell::new(streams)), unreadable };
    let text = serde_json::to_string_pretty(&catalog);
    text.or_kind(ErrorKind::Internal, "cannot write the catalog")
}

/// Returns a catalog as JSON.
pub fn to_json(streams: &[Stream]) -> Value {
    json!({ "streams": streams.iter().map(Stream::to_json).collect::<Vec<_>>() })
}

/// Reads a catalog: `{"streams": [...]}`, with metadata or, as older ones, with `selected` and
/// `inclusion` inside the schemas. Streams with a replication key but no method get the default,
/// else `Incremental`; none may have more columns than `columns_max`.
pub fn from_slice(
    text: &[u8],
    default: Option<ReplicationMethod>,
    columns_max: usize,
) -> Result<Vec<Stream>> {
    let catalog: Value = serde_json::from_slice(text)
        .or_kind(ErrorKind::Config, "cannot read the catalog")
        .map_err(|failure| failure.hint("give --catalog the JSON that --discover prints"))?;
    let streams = catalog["streams"].as_array().ok_or_else(|| {
        Error::new(ErrorKind::Config, "the catalog has no list `streams`")
            .hint("write one with --discover")
    })?;
    let default = default.unwrap_or(ReplicationMethod::Incremental);
    streams.iter().map(|entry| Stream::from_json(entry, default, columns_max)).collect()
}

fn string(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// A list of strings, or one string alone; `None` for anything else that is there.
fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        }
        Some(_) => None,
    }
}

/// Reads the metadata of a catalog entry, the legacy form inside the schema too.
fn read_metadata(entry: &Map<String, Value>, schema: &Map<String, Value>) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    for item in entry.get("metadata").and_then(Value::as_array).into_iter().flatten() {
        // A part that is left out would make a property's entry one of the stream.
        let text = |part: &Value| part.as_str().map(str::to_owned);
        let path = item["breadcrumb"].as_array();
        let path = path.and_then(|parts| parts.iter().map(text).collect::<Option<Vec<_>>>());
        let values = item["metadata"].as_object();
        let (Some(path), Some(values)) = (path, values) else {
            return Err(Error::new(
                ErrorKind::Config,
                "a metadata entry of the catalog has no `breadcrumb` or no `metadata`",
            ));
        };
        metadata.entry(path).or_default().extend(values.clone());
    }
    legacy(schema, &mut Vec::new(), &mut metadata);
    if let Some(selected) = entry.get("selected").filter(|selected| selected.is_boolean()) {
        let root = metadata.entry(Vec::new()).or_default();
        root.entry("selected").or_insert_with(|| selected.clone());
    }
    Ok(metadata)
}

/// Takes `selected` and `inclusion` from inside the schema, where no metadata says otherwise.
fn legacy(schema: &Map<String, Value>, at: &mut Vec<String>, metadata: &mut Metadata) {
    for key in ["selected", "inclusion"] {
        if let Some(value) = schema.get(key).filter(|value| value.is_boolean() || value.is_string())
        {
            let meta = metadata.entry(at.clone()).or_default();
            meta.entry(key).or_insert_with(|| value.clone());
        }
    }
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        if let Some(property) = property.as_object() {
            at.extend(["properties".to_owned(), name.clone()]);
            legacy(property, at, metadata);
            at.truncate(at.len() - 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection;

    #[test]
    fn a_table_is_that_of_the_name_it_was_said_for() {
        let check = |name: &str, schema: &str, table: &str, heeded: bool| {
            let mut stream = Stream::new(name, Map::new(), Vec::new());
            assert_eq!(stream.source_table(), None);
            stream.set_source_table(schema, table);
            let expected = heeded.then_some((schema, table));
            assert_eq!(stream.source_table(), expected, "{name}");
        };
        check("public-orders", "public", "orders", true);
        check("a-b-c", "a", "b-c", true);
        check("a-b-c", "a-b", "c", true);
        check("--", "-", "", false);
        check("orders", "public", "orders", false);
        check("public-orders_eu", "public", "orders", false);
        check("publicorders", "public", "orders", false);
    }

    #[test]
    fn what_a_discovery_prints_selects_what_a_run_without_a_catalog_reads() {
        let schema = json!({"properties": {"id": {}, "a": {}, "b": {}}});
        let plain = Stream::new("s", schema.as_object().unwrap().clone(), vec!["id".to_owned()]);
        let mut described = plain.clone();
        described.set_meta(None, "selected-by-default", true);
        described.set_meta(Some("a"), "selected-by-default", false);
        let mut unselected = plain.clone();
        unselected.set_meta(None, "selected-by-default", false);
        let mut silent = plain.clone();
        silent.set_meta(None, "schema-name", "public");
        let without_keys = Stream { keys: Vec::new(), ..plain.clone() };
        for stream in [plain, without_keys, described, unselected, silent] {
            let text = to_json(std::slice::from_ref(&stream)).to_string();
            let read = from_slice(text.as_bytes(), None, schema::COLUMNS_MAX).unwrap().remove(0);
            let names = |stream: Stream| {
                let selected = selection::select(stream).unwrap()?;
                let names = selected.stream.columns.into_iter().map(|column| column.name);
                Some(names.collect::<Vec<_>>())
            };
            assert_eq!(names(stream), names(read), "{text}");
        }
    }
}
