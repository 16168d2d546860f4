//! The schema of settings: names, types, defaults and descriptions.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::names::OtherSetting;
use crate::near::{ALIKE, nearest};

/// The schema of settings: the connector's own, then the common ones.
#[derive(Clone, Debug)]
pub struct SettingsSchema {
    schema: Map<String, Value>,
    pub(super) others: &'static [OtherSetting],
    /// What the connector can besides, by settings that are not its own.
    capabilities: &'static [&'static str],
}

impl SettingsSchema {
    /// Joins the schemas of settings structs.
    pub fn new(parts: &[fn() -> Value]) -> Self {
        let mut joined = Map::new();
        joined.insert("type".to_owned(), "object".into());
        let mut properties = Map::new();
        let mut required = Vec::new();
        for part in parts {
            let schema = part();
            properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
            required.extend(schema["required"].as_array().cloned().unwrap_or_default());
        }
        joined.insert("properties".to_owned(), Value::Object(properties));
        joined.insert("required".to_owned(), Value::Array(required));
        Self { schema: joined, others: &[], capabilities: &[] }
    }

    /// Adds the settings of something else that the program does. A setting that is there stays.
    #[must_use]
    pub fn beside(mut self, part: &Value, capabilities: &'static [&'static str]) -> Self {
        self.capabilities = capabilities;
        let added = part["properties"].as_object().into_iter().flatten();
        if let Some(Value::Object(properties)) = self.schema.get_mut("properties") {
            for (name, property) in added {
                properties.entry(name).or_insert_with(|| property.clone());
            }
        }
        self
    }

    /// Returns what the connector can besides, by settings that are not its own.
    pub(crate) fn capabilities(&self) -> &'static [&'static str] {
        self.capabilities
    }

    /// Adds settings of other programs.
    #[must_use]
    pub fn with_others(self, others: &'static [OtherSetting]) -> Self {
        Self { others, ..self }
    }

    /// Gives a setting another description, where there is one.
    #[must_use]
    pub fn describe(mut self, name: &str, description: Option<&str>) -> Self {
        let property = self.schema.get_mut("properties").and_then(|all| all.get_mut(name));
        if let Some((property, description)) = property.zip(description) {
            property["description"] = description.into();
            // What does something else is not for the same.
            if let Some(members) = property.as_object_mut() {
                members.remove("x-role");
            }
        }
        self
    }

    /// Returns the JSON Schema of one settings struct, without references.
    pub fn part<S: JsonSchema>() -> Value {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        SchemaGenerator::new(settings).into_root_schema_for::<S>().to_value()
    }

    /// Returns the JSON Schema as an object.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.schema
    }

    /// Returns name and schema of each setting, in order.
    pub fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    /// Tells whether a setting must be given.
    pub fn is_required(&self, name: &str) -> bool {
        let required = self.schema.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|required| required == name))
    }

    pub(super) fn property(&self, name: &str) -> Option<&Value> {
        self.properties().find(|(known, _)| *known == name).map(|(_, property)| property)
    }

    /// Returns the setting that goes by this name or alias.
    pub(super) fn canonical_name(&self, name: &str) -> Option<&str> {
        let named = |(known, property): &(&String, &Value)| {
            *known == name || aliases(property).any(|alias| alias == name)
        };
        self.properties().find(named).map(|(known, _)| known.as_str())
    }

    /// Returns the setting whose entries have a setting of this name.
    pub(super) fn list_with(&self, name: &str) -> Option<&str> {
        let has = |property: &Value| property["items"]["properties"].get(name).is_some();
        self.properties().find(|(_, property)| has(property)).map(|(known, _)| known.as_str())
    }

    /// Returns the setting whose name is most like this one, if any is.
    pub(super) fn near(&self, name: &str) -> Option<&str> {
        nearest(name, self.properties().map(|(known, _)| known.as_str()), ALIKE)
    }
}

/// Returns the other names of a setting.
pub fn aliases(property: &Value) -> impl Iterator<Item = &str> {
    property["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
