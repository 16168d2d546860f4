//! What a connector says about itself, in the forms of `--about`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::about::About;
use crate::args::{AboutFormat, Role};
use crate::man::{self, Entry, Section};
use crate::secret::is_secret;
use crate::settings::{SettingsSchema, aliases, members};

impl About {
    /// Writes what `--about` prints.
    pub(crate) fn render(
        &self,
        role: Role,
        schema: &SettingsSchema,
        format: AboutFormat,
    ) -> String {
        let mut capabilities = role.capabilities().to_vec();
        for capability in [self.capabilities, schema.capabilities()].concat() {
            if !capabilities.contains(&capability) {
                capabilities.push(capability);
            }
        }
        match format {
            AboutFormat::Text => self.text(&capabilities, schema),
            AboutFormat::Json => self.json(&capabilities, schema),
            AboutFormat::Markdown => self.markdown(schema),
            AboutFormat::Meltano => self.meltano(&capabilities, schema),
        }
    }

    fn text(&self, capabilities: &[&str], schema: &SettingsSchema) -> String {
        let mut text = format!(
            "{} {}\n{}\n\nCapabilities: {}\n\nSettings:\n",
            self.name,
            self.version,
            self.description,
            capabilities.join(" "),
        );
        for (name, property) in schema.properties() {
            let setting = Setting::new(schema, name, property);
            let _ = writeln!(text, "  {name} ({}){}", setting.kind, setting.note());
            let _ = writeln!(text, "      {}", setting.description);
            text += &members_text(schema, property, 1);
        }
        text
    }

    /// Returns the sections of the man page about settings.
    pub(crate) fn sections(&self, schema: &SettingsSchema) -> Vec<Section> {
        let mut entries = Vec::new();
        add_entries(&mut entries, schema, schema.properties(), 0);
        let settings = Section { title: "SETTINGS", intro: String::new(), entries };
        let variable = Entry {
            depth: 0,
            word: format!("{}<SETTING>", self.variable_prefix()),
            note: String::new(),
            meaning: "The value of a setting, its name in capitals. `--config=ENV` reads these \
                      variables."
                .to_owned(),
        };
        let environment =
            Section { title: "ENVIRONMENT", intro: String::new(), entries: vec![variable] };
        vec![settings, environment, man::exit_status()]
    }

    fn json(&self, capabilities: &[&str], schema: &SettingsSchema) -> String {
        let about = json!({
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "sdk_version": self.version,
            "supported_python_versions": [],
            "capabilities": capabilities,
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
    fn meltano(&self, capabilities: &[&str], schema: &SettingsSchema) -> String {
        let quote = |text: &str| Value::from(text).to_string();
        let mut text = format!(
            "name: {}\nnamespace: {}\nexecutable: {}\ncapabilities: [{}]\n",
            self.name,
            self.name.replace('-', "_"),
            self.name,
            capabilities.join(", "),
        );
        // The variables of the process that are read beside those of the settings.
        let properties = schema.properties();
        let read = properties.filter_map(|(_, property)| property["x-pass-env"].as_array());
        let read: Vec<&str> = read.flatten().filter_map(Value::as_str).collect();
        let mut told = Vec::new();
        if !read.is_empty() {
            told.push(format!("pass_env: [{}]", read.join(", ")));
        }
        // What the settings are for, for those who run the program and do not know their names.
        let roles = schema.properties().filter_map(|(name, property)| {
            Some(format!("{}: {name}", property["x-role"].as_str()?))
        });
        let roles: Vec<String> = roles.collect();
        if !roles.is_empty() {
            told.push(format!("roles: {{{}}}", roles.join(", ")));
        }
        if !told.is_empty() {
            let _ = writeln!(text, "annotations: {{chorus: {{{}}}}}", told.join(", "));
        }
        text.push_str("settings:\n");
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

/// Adds settings, the members of each below it.
fn add_entries<'a>(
    entries: &mut Vec<Entry>,
    schema: &SettingsSchema,
    settings: impl Iterator<Item = (&'a String, &'a Value)>,
    depth: usize,
) {
    for (name, property) in settings {
        let setting = Setting::new(schema, name, property);
        let (word, note) = match depth {
            0 => (name.clone(), format!(" ({}){}", setting.kind, setting.note())),
            _ => (format!(".{name}"), format!(" ({})", setting.kind)),
        };
        entries.push(Entry { depth, word, note, meaning: setting.description });
        if let Some(members) = members::of(property).filter(|_| depth < 4) {
            add_entries(entries, schema, members.iter(), depth + 1);
        }
    }
}

/// Writes the members of a setting that is a mapping, or a list of mappings, each below the one
/// that it is in.
fn members_text(schema: &SettingsSchema, property: &Value, depth: usize) -> String {
    let indent = "    ".repeat(depth);
    let mut text = String::new();
    for (name, member) in members::of(property).into_iter().flatten().filter(|_| depth < 4) {
        let setting = Setting::new(schema, name, member);
        let _ = writeln!(text, "  {indent}.{name} ({})", setting.kind);
        if !setting.description.is_empty() {
            let _ = writeln!(text, "  {indent}    {}", setting.description);
        }
        text += &members_text(schema, member, depth + 1);
    }
    text
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
            kind @ ("array" | "object") => kind,
            _ if self.secret => "string",
            "number" => "decimal",
            kind @ ("integer" | "boolean") => kind,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::secret::Secret;

    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Shapes {
        /// One.
        key: Secret,
        /// Many.
        keys: BTreeMap<String, Secret>,
    }

    #[test]
    fn secrets_are_texts_or_maps_that_meltano_hides() {
        let about = About { name: "tap-x", version: "1", description: "x", capabilities: &["y"] };
        let schema = SettingsSchema::new(&[SettingsSchema::part::<Shapes>]);
        let text = about.render(Role::Tap, &schema, AboutFormat::Meltano);
        assert!(text.contains("structured-logging, y]\n"), "{text}");
        for (name, kind) in [("key", "string"), ("keys", "object")] {
            let setting = format!("- name: {name}\n  kind: {kind}\n  sensitive: true\n");
            assert!(text.contains(&setting), "{text}");
        }
    }
}
