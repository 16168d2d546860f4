//! A setting of a plugin, as it is declared.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::entry::Entry;
use crate::spelled;

/// The kinds that Meltano knows.
const KINDS: [&str; 13] = [
    "string",
    "integer",
    "boolean",
    "decimal",
    "date_iso8601",
    "email",
    "password",
    "oauth",
    "options",
    "file",
    "array",
    "object",
    "hidden",
];

/// A setting as `settings` of the project describes it.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// The name, dots between levels.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its kind, where that is said.
    pub kind: Option<String>,
    /// What it is where nothing sets it.
    pub default: Value,
    /// The values that it may have, of kind `options`.
    pub options: Vec<String>,
    /// Its other names.
    pub aliases: Vec<String>,
    /// A variable with a name of its own that has it; Meltano gives it to the plugin, and does not
    /// read it.
    pub variable: Option<String>,
    /// What is made of its value when it is read: `value_processor`.
    pub processor: Option<String>,
    /// What is made of its value for the plugin: `value_post_processor`.
    pub post_processor: Option<String>,
    /// Whether its value is a secret.
    pub sensitive: bool,
}

impl Definition {
    /// Returns its kind: text where nobody says it.
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("string")
    }

    /// Refuses an unknown kind, and a value that is none of its options, as Meltano does.
    pub(super) fn check(&self, value: &Value) -> Result<()> {
        let kind = self.kind();
        if !KINDS.contains(&kind) {
            return Err(Error::new(ErrorKind::Config, "cannot use the kind of a setting")
                .with("kind", kind)
                .hint(format!("a kind is one of: {}", KINDS.join(", "))));
        }
        let text = spelled::text(value).filter(|_| kind == "options" && !self.options.is_empty());
        if text.is_none_or(|text| self.options.contains(&text)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, "cannot use a value that is none of its options")
            .hint(format!("it is one of: {}", self.options.join(", "))))
    }

    /// Tells whether its value is a secret.
    pub fn is_secret(&self) -> bool {
        self.sensitive
    }

    /// Tells whether this is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Tells whether it has this name, or is what a setting of this name lies in.
    pub fn is_named(&self, path: &str) -> bool {
        let mut names = std::iter::once(&self.name).chain(&self.aliases);
        names.any(|name| {
            path.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Returns the variables that set it.
    pub fn read_variables(&self, chain: &[Entry<'_>]) -> Vec<String> {
        let names = std::iter::once(&self.name).chain(&self.aliases);
        let written = names.flat_map(|name| {
            let prefixes = chain.iter().flat_map(Entry::prefixes);
            prefixes.map(move |prefix| format!("{}_{}", variable_name(prefix), variable_name(name)))
        });
        written.collect()
    }

    /// Returns the variables that have it: those that set it, and the one of its own name.
    pub fn variables(&self, chain: &[Entry<'_>]) -> Vec<String> {
        let mut all = self.read_variables(chain);
        all.extend(self.variable.clone());
        all
    }

    /// Tells whether a variable sets it, when names of settings stand behind this prefix.
    pub fn is_read_from(&self, variable: &str, prefix: &str) -> bool {
        let mut names = std::iter::once(&self.name).chain(&self.aliases);
        let rest = variable.strip_prefix(prefix);
        self.variable.as_deref() == Some(variable)
            || names.any(|name| rest == Some(variable_name(name).as_str()))
    }
}

/// Reads an entry of `settings`.
pub(super) fn definition(setting: &Value) -> Option<Definition> {
    let aliases = setting["aliases"].as_array().into_iter().flatten();
    let options = setting["options"].as_array().into_iter().flatten();
    let text = |key: &str| setting[key].as_str().map(str::to_owned);
    Some(Definition {
        name: setting["name"].as_str()?.to_owned(),
        description: text("description"),
        kind: text("kind"),
        default: setting["value"].clone(),
        options: options.filter_map(|option| spelled::text(&option["value"])).collect(),
        aliases: aliases.filter_map(Value::as_str).map(str::to_owned).collect(),
        variable: text("env"),
        processor: text("value_processor"),
        post_processor: text("value_post_processor"),
        sensitive: setting["sensitive"] == true
            || setting["kind"] == "password"
            || setting["kind"] == "oauth",
    })
}

/// Returns the name of something in the names of variables: `tap-csv` in `TAP_CSV_FILES`.
pub fn variable_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}
