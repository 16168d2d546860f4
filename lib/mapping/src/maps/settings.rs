//! What a user can set of maps, by the names that the SDK gives them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::language::of_settings;

/// Settings of stream maps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MapSettings {
    /// What becomes of each stream: names of properties with expressions. `null` removes a property
    /// or a stream.
    pub stream_maps: Map<String, Value>,
    /// Values that expressions read as `config`.
    pub stream_map_config: Map<String, Value>,
    /// Maps that several streams share: a stream names them in `__use__`. Each has `rename`,
    /// `drop`, `types` and `map`.
    pub named_maps: Map<String, Value>,
    /// Makes properties of the members of objects.
    pub flattening_enabled: bool,
    /// How many levels of objects are flattened. Deeper ones become texts of JSON.
    pub flattening_max_depth: Option<usize>,
    /// What stands between the names of levels, `__` by default.
    pub flattening_separator: Option<String>,
    /// From this length on, names of outer levels are shortened, 255 by default.
    pub flattening_max_key_length: Option<usize>,
}

impl MapSettings {
    /// Tells whether there is something to do.
    pub fn is_empty(&self) -> bool {
        self.stream_maps.is_empty() && !self.flattening_enabled
    }

    pub(crate) fn config(&self) -> crate::language::Value<'static> {
        of_settings(&Value::Object(self.stream_map_config.clone()))
    }
}

/// A field that is masked, hashed or removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Transformation {
    /// Name of the stream.
    pub tap_stream_name: String,
    /// Name of the property.
    pub field_id: String,
    /// Members of an object to transform, such as `address/street`, in place of all of it.
    #[serde(default)]
    pub field_paths: Vec<String>,
    /// `SET-NULL`, `HASH`, `HASH-SKIP-FIRST-n`, `MASK-HIDDEN`, `MASK-DATE`, `MASK-NUMBER` or
    /// `MASK-STRING-SKIP-ENDS-n`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Conditions that a row has to meet, all of them.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// A condition on another property.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Condition {
    /// Name of the property.
    pub column: String,
    /// A member of it, such as `address/country`.
    pub field_path: Option<String>,
    /// The value that it has to have.
    pub equals: Option<Value>,
    /// A regular expression that has to match a part of it.
    pub regex_match: Option<String>,
}
