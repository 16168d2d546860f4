//! Catalogs, states, settings and schemas that were changed by hand or cut: read, or refused with
//! the right kind of failure, which shows no value.
#![expect(clippy::unwrap_used, reason = "a test speaks by panicking")]

use proptest::prelude::*;
use proptest::sample::Index;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use singer::Envelope;
use singer::args::{Action, Args};
use singer::decode::RecordDecoder;
use singer::settings::{Common, Settings, SettingsSchema};
use singer::state::State;
use singer::{About, ErrorKind, Secret, Stream, catalog, selection};
use testing::changes::{CANARY, changed, changes};
use testing::property::holds;

/// The text of a changed document, cut now and then.
fn texts(document: Value) -> impl Strategy<Value = String> {
    let cut = prop_oneof![6 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (changes(), cut).prop_map(move |(changes, cut)| {
        let mut text = changed(document.clone(), &changes).to_string();
        if let Some(at) = cut {
            let end = at.index(text.len());
            text.truncate((0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap());
        }
        text
    })
}

fn a_catalog() -> Value {
    json!({ "streams": [
        {
            "tap_stream_id": "public-t", "stream": "t", "table_name": "t", "selected": true,
            "key_properties": ["id"], "replication_method": "INCREMENTAL",
            "replication_key": "at", "is_view": false,
            "schema": { "type": "object", "properties": {
                "id": { "type": "integer", "minimum": 0 },
                "at": { "type": ["null", "string"], "format": "date-time" },
                "doc": { "type": ["null", "object"], "properties": {
                    "a": { "type": "string" },
                    "b": { "type": "array", "items": { "type": "integer" } },
                } },
            } },
            "metadata": [
                { "breadcrumb": [], "metadata": { "selected": true, "table-key-properties": ["id"],
                    "replication-method": "INCREMENTAL", "replication-key": "at" } },
                { "breadcrumb": ["properties", "id"], "metadata": { "inclusion": "automatic" } },
                { "breadcrumb": ["properties", "doc", "properties", "a"],
                    "metadata": { "selected": false } },
            ],
        },
        {
            "stream": "u", "schema": { "selected": true, "properties": {
                "x": { "type": "string", "inclusion": "available", "selected": false },
            } },
        },
    ] })
}

#[test]
fn any_catalog_is_read_or_refused() {
    holds("catalogs", 2000, texts(a_catalog()), |text| {
        let streams = match catalog::from_slice(text.as_bytes(), None, singer::schema::COLUMNS_MAX)
        {
            Ok(streams) => streams,
            Err(failure) => {
                prop_assert_eq!(failure.kind(), ErrorKind::Config, "{} of {}", failure, text);
                return Ok(());
            }
        };
        // What is written for it says the same.
        let written = catalog::to_json(&streams).to_string();
        let again = catalog::from_slice(written.as_bytes(), None, singer::schema::COLUMNS_MAX);
        let again = again.map(|again| catalog::to_json(&again).to_string());
        prop_assert_eq!(again.ok(), Some(written), "{}", text);
        for stream in streams {
            match selection::select(stream) {
                Err(failure) => prop_assert_eq!(failure.kind(), ErrorKind::Config, "{}", text),
                Ok(Some(selected)) => {
                    prop_assert_eq!(selected.stream.columns.len(), selected.prunings.len());
                }
                Ok(None) => {}
            }
        }
        Ok(())
    });
}

#[test]
fn any_state_is_read_or_refused() {
    let bookmark = json!({ "replication_key": "at", "replication_key_value": "2026-11-20" });
    let state = json!({ "bookmarks": { "s": bookmark, "u": {} }, "currently_syncing": "s" });
    let documents = prop_oneof![
        texts(state.clone()),
        texts(json!({ "type": "STATE", "value": state.clone() })),
        texts(json!({ "singer_state": state.clone(), "completed": state })),
    ];
    let schema = json!({ "properties": { "at": { "type": "string", "format": "date-time" } } });
    let mut stream = Stream::new("s", schema.as_object().unwrap().clone(), Vec::new());
    stream.replication_method = catalog::ReplicationMethod::Incremental;
    stream.replication_key = Some("at".to_owned());
    holds("states", 2000, documents, |text| {
        match State::from_slice(text.as_bytes()) {
            Ok(mut state) => {
                state.bookmark(&stream, Some("2026-01-01"));
                state.set_bookmark("s", json!({ "n": 1 }));
                state.set_currently_syncing(None);
                let written = state.to_json();
                prop_assert_eq!(&written["bookmarks"]["s"]["n"], 1);
                let again = State::from_slice(written.to_string().as_bytes());
                prop_assert_eq!(again.unwrap().to_json(), written);
            }
            Err(failure) => prop_assert_eq!(failure.kind(), ErrorKind::Config, "{}", text),
        }
        Ok(())
    });
}

/// Settings of every shape there is.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "what is read is not looked at")]
struct Shapes {
    /// A name.
    name: String,
    /// A secret.
    password: Option<Secret>,
    /// Secrets by name.
    #[serde(default)]
    headers: std::collections::BTreeMap<String, Secret>,
    /// A number.
    #[serde(default)]
    port: u16,
    /// A switch.
    #[serde(default)]
    on: bool,
    /// A choice.
    #[serde(default)]
    mode: Mode,
    /// Parts.
    #[serde(default)]
    parts: Vec<Part>,
}

/// One of two.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "what is read is not looked at")]
enum Mode {
    /// The one.
    #[default]
    OneWay,
    /// The other.
    OrAnother(u8),
}

/// A part.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "what is read is not looked at")]
struct Part {
    /// A path.
    path: std::path::PathBuf,
    /// How many.
    count: Option<u32>,
    /// A secret.
    key: Secret,
}

#[test]
fn any_settings_are_read_or_refused_without_showing_a_value() {
    const ABOUT: About = About { name: "tap-x", version: "1", description: "x", capabilities: &[] };
    let schema =
        SettingsSchema::new(&[SettingsSchema::part::<Shapes>, SettingsSchema::part::<Common>]);
    let document = json!({
        "name": CANARY, "password": CANARY, "headers": { "a": CANARY, "b": "x" }, "port": "5432",
        "on": "yes", "mode": "one-way", "max_rejects": 1, "log_format": "json", "nonsense": CANARY,
        "unknown_settings": "warn",
        "parts": [{ "path": CANARY, "count": 1, "key": CANARY }, { "path": "b", "key": "" }],
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let args = Args {
        action: Action::Run,
        configs: vec![path.clone()],
        sets: Vec::new(),
        catalog: None,
        state: None,
        input: None,
        deny_warnings: Vec::new(),
        to: None,
        pipeline: None,
        schema_apply: None,
        allow_drop: false,
    };
    holds("settings", 1000, texts(document), |text| {
        std::fs::write(&path, &text).unwrap();
        let read = Settings::read(&args, &ABOUT, &schema);
        let done = read.and_then(|settings| {
            settings.get::<Common>()?;
            settings.get::<Shapes>()
        });
        match done {
            Ok(shapes) => {
                let shown = format!("{:?} {:?} {:?}", shapes.password, shapes.headers, shapes.mode);
                prop_assert!(!shown.contains("CANARY"), "{shown}");
            }
            Err(failure) => {
                prop_assert_eq!(failure.kind(), ErrorKind::Config, "{} of {}", failure, text);
                let shown = format!("{failure} {failure:?}");
                prop_assert!(!shown.contains("CANARY"), "{shown} of {text}");
            }
        }
        Ok(())
    });
}

#[test]
fn any_schema_makes_columns_or_is_refused() {
    let schema = json!({ "type": "object", "required": ["id"], "definitions": { "d": {} },
        "additionalProperties": false, "properties": {
        "id": { "type": "integer", "minimum": 0, "maximum": 9_223_372_036_854_775_807_i64 },
        "at": { "type": ["null", "string"], "format": "date-time" },
        "price": { "type": "number", "multipleOf": 0.01, "exclusiveMinimum": 0 },
        "word": { "type": "string", "enum": ["a", "b"], "maxLength": 5, "pattern": "^[ab]$" },
        "any": { "anyOf": [{ "type": "string", "format": "date" }, { "type": "null" }] },
        "ref": { "$ref": "#/definitions/d" },
        "doc": { "type": "object", "properties": { "a": { "$ref": "#/properties/id" } } },
    } });
    let record = br#"{"id":1,"at":"2026-11-20T00:00:00Z","price":1.5,"word":"aaaaaaaaaaaaaaaaaaaa",
        "any":"2026-11-20","ref":{"a":[1]},"doc":{"a":-1}}"#;
    holds("schemas", 1000, (changes(), any::<bool>()), |(changes, validate)| {
        let schema = changed(schema.clone(), &changes);
        let Value::Object(schema) = schema else { return Ok(()) };
        let shown = Value::Object(schema.clone()).to_string();
        let columns = schema.get("properties").and_then(Value::as_object).map_or(0, Map::len);
        let stream = Stream::new("s", schema, Vec::new());
        prop_assert_eq!(stream.columns.len(), columns);
        match RecordDecoder::new(&stream, validate) {
            Ok(mut decoder) => {
                let mut batch = singer::Batch::new(columns + Envelope::CELLS);
                let taken = decoder.object(record, &mut batch);
                prop_assert_eq!(batch.rows(), usize::from(taken.is_ok()));
            }
            Err(failure) => {
                let kinds = [ErrorKind::Data, ErrorKind::Protocol];
                prop_assert!(kinds.contains(&failure.kind()), "{failure} of {shown}");
            }
        }
        Ok(())
    });
}
