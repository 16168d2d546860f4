//! Settings of schemas: where the tables of a source's schema go, and who may read them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// One text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several, in their order.
    Several(Vec<String>),
}

impl Texts {
    /// Returns them, without empty ones.
    pub fn list(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        };
        texts.iter().map(String::as_str).filter(|text| !text.trim().is_empty())
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

/// The roles that may read tables.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Readers {
    /// By their names.
    Roles(Texts),
    /// By their kinds, which Postgres does not tell apart.
    Kinds {
        /// Roles that may log in.
        users: Option<Texts>,
        /// Roles that have members.
        groups: Option<Texts>,
    },
}

impl Readers {
    /// Returns the names of the roles.
    pub fn roles(&self) -> Vec<String> {
        let parts = match self {
            Self::Roles(names) => [Some(names), None],
            Self::Kinds { users, groups } => [users.as_ref(), groups.as_ref()],
        };
        parts.into_iter().flatten().flat_map(Texts::list).map(str::to_owned).collect()
    }
}

impl JsonSchema for Readers {
    fn schema_name() -> Cow<'static, str> {
        "Readers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let texts = json_schema!({ "type": ["string", "array", "null"] });
        json_schema!({
            "type": ["string", "array", "object"],
            "items": { "type": "string" },
            "properties": { "users": texts.clone(), "groups": texts },
            "additionalProperties": false,
        })
    }
}

/// Where the tables of one schema of a source go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Schema of the tables. By default the schema that they would have without this entry.
    pub target_schema: Option<String>,
    /// Roles that may read the tables. They replace `default_target_schema_select_permissions`.
    pub target_schema_select_permissions: Option<Readers>,
    /// Indices of new tables, by table, as a list. Each entry is a column, or several columns
    /// separated by commas.
    #[serde(default)]
    pub indices: BTreeMap<String, Vec<String>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn readers_come_in_every_form_of_the_variants() {
        for (readers, expected) in [
            (json!("a"), vec!["a"]),
            (json!(["a", "", "b"]), vec!["a", "b"]),
            (json!({ "users": ["a", "b"], "groups": "c" }), vec!["a", "b", "c"]),
            (json!({ "groups": ["c"] }), vec!["c"]),
        ] {
            let found: Readers = serde_json::from_value(readers.clone()).unwrap();
            assert_eq!(found.roles(), expected, "{readers}");
        }
    }
}
