//! What a user can set of maps, by the names that the SDK gives them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

use crate::language::{Fakes, Locale, of_settings};

/// Settings of stream maps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MapSettings {
    /// What becomes of each stream: names of properties with expressions. `null` removes a property
    /// or a stream.
    pub stream_maps: Map<String, Value>,
    /// Values that expressions read as `config`.
    pub stream_map_config: Map<String, Value>,
    /// What `fake` in expressions takes its values from.
    pub faker_config: FakerSettings,
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

    pub(crate) fn fakes(&self) -> Result<Fakes> {
        let names = match &self.faker_config.locale {
            None => &[] as &[String],
            Some(Locales::One(name)) => std::slice::from_ref(name),
            Some(Locales::Several(names)) => names,
        };
        let mut locales = Vec::new();
        for name in names {
            let (locale, instead) = Locale::named(name).map_err(|unknown| {
                Error::new(ErrorKind::Config, "cannot make values of a locale: it is not known")
                    .with("setting", "faker_config.locale")
                    .with("locale", name)
                    .hint(unknown.hint)
            })?;
            if let Some(instead) = instead {
                singer::warn!(
                    "W-FAKE-VALUES",
                    "`fake` has no words of the locale {name} and takes those of {instead}"
                );
            }
            locales.push(locale);
        }
        let seed = match &self.faker_config.seed {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        Ok(Fakes::new(&seed, locales))
    }

    pub(crate) fn config(&self) -> crate::language::Value<'static> {
        of_settings(&Value::Object(self.stream_map_config.clone()))
    }
}

/// What values that are not real are made of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FakerSettings {
    /// With another seed, a text or a number, all values are others. With the same one they stay.
    pub seed: Option<Value>,
    /// The language and country of names, addresses and texts, such as `de_DE`, or a list of them.
    /// `en_US` by default.
    pub locale: Option<Locales>,
}

/// One locale, or several ones.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Locales {
    /// The name of one.
    One(String),
    /// The names of several ones: each value is of one of them.
    Several(Vec<String>),
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
