//! Settings of Meltano itself. A few matter here: where it keeps its database and states. Plugins
//! have all of them as variables.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::Project;
use crate::spelled;
use crate::warning;
use crate::warnings::Warnings;

/// The value of a setting of Meltano itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemSetting {
    /// The value, with variables replaced.
    pub value: String,
    /// What names it: the setting in `meltano.yml`, or the variable.
    pub source: String,
}

/// The settings, and their defaults where they have one.
const SETTINGS: [(&str, Option<&str>); 26] = [
    ("default_environment", None),
    ("send_anonymous_usage_stats", Some("true")),
    ("disable_tracking", None),
    ("project_id", None),
    ("database_uri", Some("sqlite:///${MELTANO_SYS_DIR_ROOT}/meltano.db")),
    ("database_max_retries", Some("3")),
    ("database_retry_timeout", Some("5")),
    ("project_readonly", Some("false")),
    ("hub_api_root", None),
    ("hub_url", Some("https://hub.meltano.com")),
    ("hub_url_auth", None),
    ("elt.buffer_size", Some("104857600")),
    ("python", None),
    ("auto_install", Some("true")),
    ("state_backend.uri", Some("systemdb")),
    ("state_backend.lock_timeout_seconds", Some("10")),
    ("state_backend.lock_retry_seconds", Some("1")),
    ("cli.log_level", Some("info")),
    ("cli.log_config", Some("logging.yaml")),
    ("cli.log_format", Some("colored")),
    ("cli.disable_version_check", Some("false")),
    ("snowplow.collector_endpoints", Some("[\"https://sp.meltano.com\"]")),
    ("venv.backend", Some("uv")),
    ("experimental", Some("false")),
    ("ff.strict_env_var_mode", Some("false")),
    ("ff.plugin_locks_required", Some("false")),
];

impl Project {
    /// Returns the settings as the variables that plugins find them in, but for those that the
    /// process has.
    pub(crate) fn system_variables(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, default) in SETTINGS {
            let variable = variable_of(name);
            if self.process.get(&variable).is_some() {
                continue;
            }
            let text = spelled::text(self.written_setting(name));
            if let Some(text) = text.or_else(|| default.map(str::to_owned)) {
                found.push((variable, self.variables.expand(&text, &mut BTreeSet::new())));
            }
        }
        found
    }

    fn written_setting(&self, name: &str) -> &Value {
        let nested = name.split('.').fold(&self.file, |value, part| &value[part]);
        if nested.is_null() { &self.file[name] } else { nested }
    }

    /// Returns a setting of Meltano itself, such as `state_backend.uri`: that of the variable
    /// `MELTANO_STATE_BACKEND_URI`, or else that of `meltano.yml`. `None` where it is not set. As
    /// for Meltano, `env` of an environment says nothing of them.
    pub fn system_setting(&self, name: &str) -> Option<SystemSetting> {
        let variable = variable_of(name);
        if let Some(value) = self.of_all.get(&variable).filter(|value| !value.is_empty()) {
            return Some(SystemSetting { value: value.to_owned(), source: variable });
        }
        let text = spelled::text(self.written_setting(name))?;
        let value = self.of_all.expand(&text, &mut BTreeSet::new());
        Some(SystemSetting { value, source: name.to_owned() }).filter(|one| !one.value.is_empty())
    }
}

impl SystemSetting {
    /// Reads it as true or false, in Meltano's words; `None` for others.
    pub fn truth(&self) -> Option<bool> {
        match self.value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// Warns of settings of Meltano in `env` of an environment that would say where states are.
pub(crate) fn check_environment(block: &Value, warnings: &Warnings) {
    let names = SETTINGS.iter().map(|(name, _)| variable_of(name));
    let of_states = names.filter(|name| {
        name.starts_with("MELTANO_STATE_BACKEND_") || name.starts_with("MELTANO_DATABASE_")
    });
    for name in of_states.filter(|name| block.get(name).is_some()) {
        warnings.warn_once(warning!(
            "W-PROJECT-UNUSED",
            "{name} in `env` of an environment has no effect on where states are, as in Meltano: \
             set it in the shell, in .env or in `env` of the project"
        ));
    }
}

/// Tells whether this is a setting of Meltano itself.
pub(crate) fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|(known, _)| *known == name)
}

fn variable_of(name: &str) -> String {
    format!("MELTANO_{}", name.to_uppercase().replace('.', "_"))
}
