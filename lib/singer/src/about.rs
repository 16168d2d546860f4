//! What a connector says about itself, in the forms of `--about`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::args::AboutFormat;
use crate::settings::{SettingsSchema, aliases, is_secret};

/// The fixed facts of a connector.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The binary's name: `tap-postgres`.
    pub name: &'static str,
    /// `env!("CARGO_PKG_VERSION")` of the connector.
    pub version: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Meltano capability words.
    pub capabilities: &'static [&'static str],
}

impl About {
    /// Writes what `--about` prints.
    pub fn render(&self, schema: &SettingsSchema, format: AboutFormat) -> String {
        match format {
            AboutFormat::Text => self.text(schema),
            AboutFormat::Json => self.json(schema),
            AboutFormat::Markdown => self.markdown(schema),
            AboutFormat::Meltano => self.meltano(schema),
        }
    }

    fn text(&self, schema: &SettingsSchema) -> String {
        let mut text = format!(
            "{} {}\n{}\n\nCapabilities: {}\n\nSettings:\n",
            self.name,
            self.version,
            self.description,
            self.capabilities.join(" "),
        );
        for (name, property) in schema.properties() {
            let setting = Setting::new(schema, name, property);
            let _ = writeln!(text, "  {name} ({}){}", setting.kind, setting.note());
            let _ = writeln!(text, "      {}", setting.description);
        }
        text
    }

    fn json(&self, schema: &SettingsSchema) -> String {
        let about = json!({
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "sdk_version": self.version,
            "supported_python_versions": [],
            "capabilities": self.capabilities,
            "settings": schema.as_object(),
        });
        serde_json::to_string_pretty(&about).unwrap_or_default() + "\n"
    }

    fn markdown(&self, schema: &SettingsSchema) -> String {
        let mut text = format!("{}\n\n| Setting | Type | Default | Meaning |\n", self.description);
        text.push_str("|---|---|---|---|\n");
        for (name, property) in schema.properties() {
            let setting = Setting::new(schema, name, property);
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let mut meaning = setting.description.clone();
            if !setting.aliases.is_empty() {
                let _ = write!(meaning, " Also: `{}`.", setting.aliases.join("`, `"));
            }
            let default = match (&setting.default, setting.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "required".to_owned(),
                (None, false) => String::new(),
            };
            let kind = if setting.secret { "secret" } else { &setting.kind };
            let row = [&format!("`{name}`"), kind, &default, &meaning].map(cell);
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text
    }

    /// YAML of the plugin's definition, as `meltano add --from-ref` reads it; every scalar that
    /// could be misread is written as JSON, which YAML contains.
    fn meltano(&self, schema: &SettingsSchema) -> String {
        let quote = |text: &str| Value::from(text).to_string();
        let mut text = format!(
            "name: {}\nnamespace: {}\nexecutable: {}\ncapabilities: [{}]\nsettings:\n",
            self.name,
            self.name.replace('-', "_"),
            self.name,
            self.capabilities.join(", "),
        );
        for (name, property) in schema.properties() {
            let setting = Setting::new(schema, name, property);
            let _ = write!(text, "- name: {name}\n  kind: {}\n", setting.meltano_kind());
            if setting.secret {
                text.push_str("  sensitive: true\n");
            }
            if let Some(words) = &setting.words {
                text.push_str("  options:\n");
                for word in words {
                    let word = if word == "null" { quote(word) } else { word.clone() };
                    let _ = writeln!(text, "  - {{label: {word}, value: {word}}}");
                }
            }
            if !setting.aliases.is_empty() {
                let _ = writeln!(text, "  aliases: [{}]", setting.aliases.join(", "));
            }
            if let Some(default) = &setting.default {
                let _ = writeln!(text, "  value: {default}");
            }
            let _ = writeln!(text, "  description: {}", quote(&setting.description));
        }
        text
    }
}

/// One setting, as its schema tells.
struct Setting {
    kind: String,
    description: String,
    /// As JSON text; an empty default is none.
    default: Option<String>,
    required: bool,
    secret: bool,
    aliases: Vec<String>,
    words: Option<Vec<String>>,
}

impl Setting {
    fn new(schema: &SettingsSchema, name: &str, property: &Value) -> Self {
        let branches = property["anyOf"].as_array().into_iter().flatten();
        let branch = branches.into_iter().find(|branch| branch["type"] != "null");
        let shape = branch.unwrap_or(property);
        let words = words(shape);
        let kind = match &shape["type"] {
            _ if words.is_some() => {
                "one of ".to_owned() + &words.clone().unwrap_or_default().join(", ")
            }
            Value::String(word) => word.clone(),
            Value::Array(types) => {
                let types = types.iter().filter_map(Value::as_str).filter(|word| *word != "null");
                types.collect::<Vec<_>>().join(" or ")
            }
            _ => "any".to_owned(),
        };
        let default = property.get("default").filter(|default| !default.is_null());
        let empty = |default: &&Value| **default != json!([]) && **default != json!("");
        Self {
            kind,
            description: property["description"].as_str().unwrap_or_default().replace('\n', " "),
            default: default.filter(empty).map(Value::to_string),
            required: schema.is_required(name),
            secret: is_secret(property),
            aliases: aliases(property).map(str::to_owned).collect(),
            words,
        }
    }

    fn note(&self) -> String {
        let mut note = String::new();
        if self.required {
            note.push_str(", required");
        }
        if self.secret {
            note.push_str(", secret");
        }
        if let Some(default) = &self.default {
            let _ = write!(note, ", default {default}");
        }
        if !self.aliases.is_empty() {
            let _ = write!(note, ", also {}", self.aliases.join(", "));
        }
        note
    }

    fn meltano_kind(&self) -> &str {
        if self.words.is_some() {
            return "options";
        }
        match self.kind.as_str() {
            _ if self.secret => "string",
            "number" => "decimal",
            kind @ ("integer" | "boolean" | "array" | "object") => kind,
            _ => "string",
        }
    }
}

/// Returns the words of an enumeration: `enum`, or `oneOf` with a `const` each.
fn words(shape: &Value) -> Option<Vec<String>> {
    let strings = |values: &Vec<Value>| {
        let words = values.iter().filter_map(Value::as_str).map(str::to_owned);
        words.collect::<Vec<_>>()
    };
    if let Some(values) = shape["enum"].as_array() {
        return Some(strings(values));
    }
    let branches = shape["oneOf"].as_array()?;
    let consts = branches.iter().map(|branch| branch["const"].clone()).collect();
    Some(strings(&consts)).filter(|words| words.len() == branches.len())
}
