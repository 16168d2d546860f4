//! Settings: files, environment and flags into one object, checked against the schema that the
//! documented structs of the connector and of this crate give.

mod judge;
pub(crate) mod members;
mod names;
mod schema;

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use names::{Accepts, OtherSetting};
pub use schema::{SettingsSchema, aliases};

use crate::about::About;
use crate::args::Args;
use crate::error::{Error, ErrorKind, Result};
use crate::scrub;
use crate::secret::is_secret;

/// Settings that every tap and target has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Form of the log on stderr: `text`, or `json` with one JSON object per line.
    pub log_format: LogFormat,
    /// Number of records that may be rejected before the run fails. Rejected records go to
    /// `rejects_file`. With 0, the first rejected record ends the run.
    pub max_rejects: u64,
    /// File for rejected records, as JSON lines with the place and the reason of each. It is
    /// created when the first record is rejected.
    pub rejects_file: String,
    /// Writes each rejected record itself into `rejects_file`. With `false` the file has only its
    /// place and the reason.
    pub rejects_include_record: bool,
    /// Largest size of one record, in bytes.
    pub max_record_bytes: usize,
    /// Largest number of columns of a stream. Each column takes some KB of memory.
    pub max_columns: usize,
    /// What happens when a setting has an unknown name: `fail` ends the run, `warn` prints a
    /// warning and ignores the setting.
    pub unknown_settings: UnknownSettings,
}

/// What happens when a setting has an unknown name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownSettings {
    /// Ends the run.
    #[default]
    Fail,
    /// Prints a warning and ignores the setting.
    Warn,
}

impl UnknownSettings {
    const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
        }
    }
}

/// Settings that every tap has. The driver reads them, and hands them to `Tap::open`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TapCommon {
    /// Where an INCREMENTAL stream starts when it has no bookmark: a date or an RFC 3339 time.
    #[serde(deserialize_with = "filled")]
    #[schemars(extend("x-role" = "start-date"))]
    pub start_date: Option<String>,
    /// Numbers the full-table runs of a stream and sends `ACTIVATE_VERSION` at the end of each. The
    /// target then knows that rows with older numbers are gone from the source.
    pub emit_activate_version_messages: bool,
    /// Keeps a bookmark that is a time at or before the start of the run. Otherwise one row with a
    /// key in the future would stop the reading of all earlier rows. Set `false` if keys lie in the
    /// future on purpose, such as an expiry date.
    pub bookmark_cap: bool,
    /// The settings that targets and mappers have as well.
    #[serde(flatten)]
    pub all: Common,
}

/// Settings that every target and mapper has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InputCommon {
    /// Checks each record against the JSON Schema of its stream.
    pub validate_records: bool,
    /// Accepts an input without any message. By default such an input ends the run with an error.
    pub allow_empty: bool,
    /// Seconds to wait for the next message of the tap. When they are over, the run ends with exit
    /// code 75. With 0 there is no limit.
    pub idle_timeout_seconds: u64,
}

/// Settings that every target has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetCommon {
    /// Refuses a stream if the tap has not announced its end by `currently_syncing` in the state.
    /// By default a target accepts the streams of a tap that never sends `currently_syncing`.
    pub require_complete: bool,
    /// Seconds between two commits while a stream is read. The target prints the state after each
    /// commit.
    pub state_interval_seconds: u64,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// The text form of the Singer SDK.
    #[default]
    Text,
    /// The structured form of the Singer SDK.
    Json,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            max_rejects: 0,
            rejects_file: "rejects.jsonl".to_owned(),
            rejects_include_record: true,
            max_record_bytes: 64 << 20,
            max_columns: crate::schema::COLUMNS_MAX,
            unknown_settings: UnknownSettings::Fail,
        }
    }
}

impl Default for TapCommon {
    fn default() -> Self {
        Self {
            start_date: None,
            emit_activate_version_messages: false,
            bookmark_cap: true,
            all: Common::default(),
        }
    }
}

impl Default for InputCommon {
    fn default() -> Self {
        Self { validate_records: true, allow_empty: false, idle_timeout_seconds: 0 }
    }
}

impl Default for TargetCommon {
    fn default() -> Self {
        Self { require_complete: false, state_interval_seconds: 60 }
    }
}

/// Reads a text; an empty one, as a variable without a value gives it, is none.
fn filled<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// The settings as given, by their canonical names.
#[derive(Clone)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Reads every `--config` and `--set`; refuses settings that nobody knows.
    pub fn read(args: &Args, about: &About, schema: &SettingsSchema) -> Result<Self> {
        let mut settings = Map::new();
        let mut unknown_variables = Vec::new();
        for path in &args.configs {
            let given = if path.as_os_str() == "ENV" {
                let (given, unknown) = from_environment(about, schema)?;
                unknown_variables = unknown;
                given
            } else {
                from_file(path)?
            };
            merge(&mut settings, given, schema);
        }
        for (name, text) in &args.sets {
            let known = schema.canonical_name(name).unwrap_or(name);
            let property = schema.property(known).unwrap_or(&Value::Null);
            if property.is_null() && names::other(schema.others, known).is_none() {
                let hint = schema.near(known).map(|near| format!("did you mean `{near}`?"));
                return Err(Error::new(ErrorKind::Usage, "cannot set an unknown setting")
                    .with("setting", known)
                    .hint(hint.unwrap_or_else(|| "--about lists the settings".to_owned())));
            }
            if is_secret(property) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "cannot use a secret from the command line",
                )
                .with("setting", known)
                .hint("other users can see arguments: use a --config file or --config ENV"));
            }
            let mut given = Map::new();
            given.insert(known.to_owned(), from_text(text, property, known)?);
            merge(&mut settings, given, schema);
        }
        let settings = Self(settings);
        scrub::learn_settings(settings.with_schemas(schema));
        names::check(&settings.0, &unknown_variables, about, schema)?;
        settings.check(schema)?;
        Ok(settings)
    }

    /// Returns the settings that are not among these.
    #[must_use]
    pub fn without(&self, schema: &SettingsSchema) -> Self {
        let others = self.0.iter().filter(|(name, _)| schema.property(name).is_none());
        Self(others.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Turns the settings into the struct that documents them.
    pub fn get<S: DeserializeOwned>(&self) -> Result<S> {
        serde_json::from_value(Value::Object(self.0.clone())).map_err(|failure| {
            // The text of a data failure may hold the value, and the value may be a secret.
            let failure = failure.to_string();
            let reason = failure.split(['`', '"']).next().unwrap_or_default().to_owned();
            let named = failure.starts_with("missing field") || failure.starts_with("unknown");
            Error::new(ErrorKind::Config, "cannot use the settings")
                .with("reason", if named { failure } else { reason })
                .hint("--about lists the settings and their types")
        })
    }

    /// Returns each setting with its schema; one that nobody knows has none.
    fn with_schemas<'a>(
        &'a self,
        schema: &'a SettingsSchema,
    ) -> impl Iterator<Item = (&'a Value, &'a Value)> {
        self.0.iter().map(|(name, value)| (value, schema.property(name).unwrap_or(&Value::Null)))
    }

    /// Checks the types, so that a failure names the setting and not its value.
    fn check(&self, schema: &SettingsSchema) -> Result<()> {
        for (name, _) in schema.properties().filter(|(name, _)| schema.is_required(name)) {
            if !self.0.contains_key(name) {
                return Err(Error::new(ErrorKind::Config, "a setting is missing")
                    .with("setting", name)
                    .hint(place()));
            }
        }
        for (name, value) in &self.0 {
            if let Some(property) = schema.property(name) {
                judge::check(name, value, property)?;
            }
        }
        if schema.property("start_date").is_some()
            && let Some(Value::String(text)) = self.0.get("start_date")
        {
            crate::state::start_date(text)?;
        }
        Ok(())
    }
}

/// Says where settings are written: in the file of the project that a program runs for, if one has
/// started it.
fn place() -> &'static str {
    match std::env::var_os("MELTANO_PROJECT_ROOT") {
        Some(_) => "put it under `config` of the plugin in meltano.yml",
        None => "put it into the --config file, or use --set",
    }
}

/// Adds settings under their canonical names; later ones win.
fn merge(settings: &mut Map<String, Value>, given: Map<String, Value>, schema: &SettingsSchema) {
    // A null sets nothing, also under another name of a setting that is set.
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
        let known = schema.canonical_name(&name).map(str::to_owned).unwrap_or(name);
        let value = match schema.property(&known) {
            Some(property) => coerce(value, property),
            None => value,
        };
        settings.insert(known, value);
    }
}

fn from_file(path: &Path) -> Result<Map<String, Value>> {
    let cannot = |kind, cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(kind, "cannot read the settings").with("path", path.display()).caused_by(cause)
    };
    let text = std::fs::read(path).map_err(|cause| {
        cannot(ErrorKind::Config, cause.into()).hint("give --config a JSON file, or ENV")
    })?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let value: Value = serde_json::from_slice(text).map_err(|cause| {
        let place = format!("line {}, column {}", cause.line(), cause.column());
        Error::new(ErrorKind::Config, "the settings are not JSON")
            .with("path", path.display())
            .with("at", place)
            .hint(
                "write one JSON object, {\"name\": value, ...}: names and texts in double quotes, \
                 no comma after the last value, no comments",
            )
    })?;
    match value {
        Value::Object(settings) => Ok(settings),
        _ => Err(Error::new(ErrorKind::Config, "the settings are not a JSON object")
            .with("path", path.display())),
    }
}

/// Reads `<PLUGIN_NAME>_<SETTING>` for every setting and alias, and for settings of other programs.
/// Returns the variables that begin so and are no setting, too.
fn from_environment(
    about: &About,
    schema: &SettingsSchema,
) -> Result<(Map<String, Value>, Vec<String>)> {
    let mut settings = Map::new();
    let mut known = BTreeSet::from([about.variable("loglevel")]);
    for (name, property) in schema.properties() {
        for spelled in aliases(property).chain([name.as_str()]) {
            let variable = about.variable(spelled);
            if let Some(text) = variable_text(&variable)? {
                settings.insert(name.clone(), from_text(&text, property, &variable)?);
                known.insert(variable);
            }
        }
    }
    let prefix = about.variable_prefix();
    let mut unknown = Vec::new();
    for (variable, value) in std::env::vars_os() {
        let Some(variable) = variable.to_str().filter(|name| !known.contains(*name)) else {
            continue;
        };
        // A second underscore begins the names of settings that are Meltano's own.
        let rest = variable.strip_prefix(&prefix).filter(|rest| !rest.starts_with('_'));
        let Some(rest) = rest.map(str::to_lowercase) else { continue };
        match names::other(schema.others, &rest) {
            Some(other) => {
                let text = value.to_string_lossy();
                let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
                settings.insert(other.name.to_owned(), value);
            }
            None => unknown.push(variable.to_owned()),
        }
    }
    unknown.sort();
    Ok((settings, unknown))
}

/// Reads a variable; `None` where it is not set.
fn variable_text(variable: &str) -> Result<Option<String>> {
    let text = std::env::var_os(variable).map(std::ffi::OsString::into_string).transpose();
    text.map_err(|_| {
        Error::new(ErrorKind::Config, "cannot read a variable: its value is not UTF-8")
            .with("variable", variable)
            .hint(
                "save what sets the variable as UTF-8, or give the setting in the file of --config",
            )
    })
}

/// Reads a setting given as text: JSON for arrays and objects, else the text, coerced.
fn from_text(text: &str, property: &Value, name: &str) -> Result<Value> {
    let nested = text.starts_with(['{', '[']);
    if nested && (accepts(property, "array") || accepts(property, "object")) {
        return serde_json::from_str(text).map_err(|cause| {
            Error::new(ErrorKind::Config, "the value of a setting is not JSON")
                .with("setting", name)
                .with("at column", cause.column())
        });
    }
    Ok(coerce(Value::String(text.to_owned()), property))
}

/// Turns a text into the boolean or number its setting wants; what does not fit stays.
fn coerce(value: Value, property: &Value) -> Value {
    let Value::String(text) = &value else { return value };
    if accepts(property, "string") {
        return value;
    }
    let word = text.to_lowercase();
    if accepts(property, "boolean") {
        match word.as_str() {
            "true" | "1" | "yes" | "on" => return Value::Bool(true),
            "false" | "0" | "no" | "off" | "" => return Value::Bool(false),
            _ => {}
        }
    }
    if (accepts(property, "integer") || accepts(property, "number"))
        && let Ok(number) = serde_json::from_str::<Value>(text.trim())
        && number.is_number()
    {
        return number;
    }
    value
}

/// Tells whether a schema lets a JSON type pass.
fn accepts(property: &Value, word: &str) -> bool {
    match &property["type"] {
        Value::String(one) => one == word,
        Value::Array(words) => words.iter().any(|one| one == word),
        _ => ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| property[*key].as_array())
            .flatten()
            .any(|branch| accepts(branch, word)),
    }
}
