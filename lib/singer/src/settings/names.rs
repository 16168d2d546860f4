//! Names of settings that no struct declares: those of the programs that a connector replaces, and
//! unknown ones.
//!
//! The rule: a setting that is not carried out ends the run, unless leaving it out changes nothing.

use serde_json::{Map, Value};

use super::{SettingsSchema, UnknownSettings, coerce};
use crate::about::About;
use crate::error::{Error, ErrorKind, Result};

/// A setting of a program that a connector replaces, which the connector does not carry out.
#[derive(Clone, Copy, Debug)]
pub struct OtherSetting {
    /// Its name there.
    pub name: &'static str,
    /// What may stand there.
    pub accepts: Accepts,
    /// What to do instead, where the value is refused.
    pub hint: &'static str,
}

/// Which values of a setting change nothing when they are left out.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// Every value: the setting has no effect on rows here.
    Any,
    /// Nothing, or this default, as JSON.
    Default(&'static str),
}

impl OtherSetting {
    /// Describes a setting that has no effect here.
    pub const fn without_effect(name: &'static str) -> Self {
        Self { name, accepts: Accepts::Any, hint: "" }
    }

    /// Describes a setting of which only its default, JSON, is supported.
    pub const fn not_yet(name: &'static str, default: &'static str, hint: &'static str) -> Self {
        Self { name, accepts: Accepts::Default(default), hint }
    }

    fn takes(&self, value: &Value) -> bool {
        let empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        let Accepts::Default(default) = self.accepts else { return true };
        let Ok(default) = serde_json::from_str::<Value>(default) else { return empty };
        // Environment variables and old projects have numbers and booleans as text.
        let kind = match default {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            _ => "string",
        };
        empty || coerce(value.clone(), &serde_json::json!({ "type": kind })) == default
    }
}

/// Settings of every program built on the Singer SDK.
const OF_THE_SDK: &[OtherSetting] = &[
    OtherSetting::not_yet("stream_maps", "{}", MAPPER),
    OtherSetting::without_effect("stream_map_config"),
    OtherSetting::without_effect("faker_config"),
    OtherSetting::not_yet("flattening_enabled", "false", MAPPER),
    OtherSetting::without_effect("flattening_max_depth"),
    OtherSetting::without_effect("flattening_max_key_length"),
    OtherSetting::without_effect("flattening_separator"),
    OtherSetting::not_yet("batch_config", "{}", "remove it: rows travel through the pipe"),
    OtherSetting::without_effect("start_date"),
    OtherSetting::without_effect("disable_collection"),
];

const MAPPER: &str = "put a mapper between tap and target, or remove the setting";

/// Finds a setting of another program.
pub(super) fn other<'a>(others: &'a [OtherSetting], name: &str) -> Option<&'a OtherSetting> {
    others.iter().chain(OF_THE_SDK).find(|known| known.name == name)
}

/// How many unknown settings of a file are reported: there may be very many.
const UNKNOWN_TOLD: usize = 20;

/// Refuses settings that cannot be carried out, and unknown ones.
///
/// `variables` are those whose names begin like those of settings, and end like none.
pub(super) fn check(
    settings: &Map<String, Value>,
    variables: &[String],
    about: &About,
    schema: &SettingsSchema,
) -> Result<()> {
    let mut unknown = Vec::new();
    let mut more = 0;
    for (name, value) in settings {
        if schema.property(name).is_some() {
            continue;
        }
        match other(schema.others, name) {
            Some(known) if known.takes(value) => {
                tracing::debug!("`{name}` has no effect here");
            }
            Some(known) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{} does not support `{name}` yet", about.name),
                )
                .with("setting", name)
                .hint(known.hint));
            }
            None if unknown.len() >= UNKNOWN_TOLD => more += 1,
            None => unknown.push((format!("`{name}`"), meant(schema, name))),
        }
    }
    let prefix = about.variable_prefix();
    for variable in variables {
        if unknown.len() >= UNKNOWN_TOLD {
            more += 1;
            continue;
        }
        let rest = variable.strip_prefix(&prefix).unwrap_or(variable).to_lowercase();
        let near = schema.near(&rest).map(|near| did_you_mean(&about.variable(near)));
        unknown.push((format!("variable `{variable}`"), near));
    }
    let relaxed = settings.get("unknown_settings").and_then(Value::as_str)
        == Some(UnknownSettings::Warn.word());
    if !relaxed {
        return refuse(&unknown, more);
    }
    for (name, near) in unknown {
        let hint = near.map(|near| format!(": {near}")).unwrap_or_default();
        crate::warn!("W-SETTING-UNKNOWN", "unknown setting {name}{hint}");
    }
    if more > 0 {
        crate::warn!("W-SETTING-UNKNOWN", "{more} more unknown settings");
    }
    Ok(())
}

/// Says what an unknown setting may be meant to be: one of an entry of a list, or another name.
fn meant(schema: &SettingsSchema, name: &str) -> Option<String> {
    let of_list = schema.list_with(name);
    let of_list = of_list.map(|list| format!("`{name}` stands in an entry of `{list}`;"));
    of_list.or_else(|| schema.near(name).map(did_you_mean))
}

fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

fn refuse(unknown: &[(String, Option<String>)], more: usize) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    let mut failure = Error::new(ErrorKind::Config, "cannot use an unknown setting");
    let mut near = Vec::new();
    for (name, meant) in unknown {
        failure = failure.with("setting", name);
        near.extend(meant.as_ref().map(|meant| format!("{meant} ")));
    }
    if more > 0 {
        failure = failure.with("and more", more);
    }
    let hint = "--about lists the settings; `unknown_settings: warn` ignores unknown settings";
    Err(failure.hint(near.concat() + hint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_what_changes_nothing() {
        let number = OtherSetting::not_yet("n", "0", "");
        let flag = OtherSetting::not_yet("f", "true", "");
        let map = OtherSetting::not_yet("m", "{}", "");
        let none = OtherSetting::not_yet("x", "null", "");
        let taken = [
            (number, json!(0)),
            (number, json!("0")),
            (number, json!(null)),
            (number, json!("")),
            (flag, json!(true)),
            (flag, json!("true")),
            (map, json!({})),
            (map, json!(null)),
            (none, json!("")),
            (none, json!([])),
            (OtherSetting::without_effect("a"), json!(7)),
        ];
        for (setting, value) in taken {
            assert!(setting.takes(&value), "{setting:?} {value}");
        }
        let refused = [
            (number, json!(1)),
            (number, json!("1")),
            (flag, json!(false)),
            (flag, json!("no")),
            (map, json!({ "a": {} })),
            (none, json!("x")),
            (none, json!(0)),
            (none, json!(false)),
        ];
        for (setting, value) in refused {
            assert!(!setting.takes(&value), "{setting:?} {value}");
        }
    }
}
