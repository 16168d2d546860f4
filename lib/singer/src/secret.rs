//! A string that never shows itself.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// A password, key or token: prints as `***` and marks itself as a secret in the settings schema.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Hands the secret out, to the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Keeps the memory of this process, where secrets are, from core files, and from other processes
/// of its user. Children are not affected.
pub fn keep_from_dumps() {
    #[cfg(target_os = "linux")]
    let done =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(not(target_os = "linux"))]
    let done = {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })
    };
    if let Err(cause) = done {
        tracing::debug!("cannot switch core files off: {cause}");
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "secret": true, "writeOnly": true })
    }
}

/// Tells whether a setting is a secret.
pub fn is_secret(property: &Value) -> bool {
    let branches = property["anyOf"].as_array().into_iter().flatten();
    let values = property.get("additionalProperties");
    property["secret"] == true || branches.chain(values).any(is_secret)
}
