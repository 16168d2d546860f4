//! What can be set about one column: its type, and how its values are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use singer::Kind;

/// The type of a column.
// Without comments on the variants, so that its schema is a plain list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum ColumnType {
    Boolean,
    Integer,
    Number,
    String,
    Date,
    Time,
    DateTime,
    Json,
}

impl ColumnType {
    /// Returns the kind of such a column.
    pub fn kind(self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Integer => Kind::Integer,
            Self::Number => Kind::Number,
            Self::String => Kind::String,
            Self::Date => Kind::Date,
            Self::Time => Kind::Time,
            Self::DateTime => Kind::DateTime,
            Self::Json => Kind::Json,
        }
    }
}

/// Type of a column, and how its values are written if they differ from the rest of the table.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnFormat {
    /// Type of the column.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// For numbers: decimal mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    /// For numbers: mark between thousands. An empty text means that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
    /// For dates and times: format of the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// For dates: first of the hundred years that two digits may mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub two_digit_century_start: Option<u16>,
    /// For booleans: words for true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub true_values: Option<Vec<String>>,
    /// For booleans: words for false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_values: Option<Vec<String>>,
    /// Texts that mean null in this column. They replace those of the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_values: Option<Vec<String>>,
}

/// What `types` says of a column: its type, or more.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ColumnSetting {
    /// The type alone.
    Type(ColumnType),
    /// The type, and how the values are written.
    Format(Box<ColumnFormat>),
}

impl<'de> Deserialize<'de> for ColumnSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Other than of an untagged enum the failure says which member is wrong.
        let value = Value::deserialize(deserializer)?;
        if value.is_object() {
            return ColumnFormat::deserialize(value)
                .map(Box::new)
                .map(Self::Format)
                .map_err(D::Error::custom);
        }
        ColumnType::deserialize(value).map(Self::Type).map_err(D::Error::custom)
    }
}

/// That of an object, which may be a word instead: of one of several schemas a failure would not
/// say which member is wrong.
impl JsonSchema for ColumnSetting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ColumnSetting".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ColumnFormat::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["string", "object"]));
        schema.insert("if".to_owned(), serde_json::json!({ "type": "string" }));
        schema.insert("then".to_owned(), ColumnType::json_schema(generator).into());
        schema
    }
}

impl From<ColumnType> for ColumnSetting {
    fn from(kind: ColumnType) -> Self {
        Self::Type(kind)
    }
}

impl ColumnSetting {
    /// Returns the kind of the column.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Type(kind) => kind.kind(),
            Self::Format(format) => format.kind.kind(),
        }
    }
}
