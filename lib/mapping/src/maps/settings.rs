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
