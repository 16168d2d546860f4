//! Settings of Meltano itself. A few matter here: where it keeps its database and states. Plugins
//! have all of them as variables.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::Project;
use crate::spelled;
use crate::system_names::{SETTINGS, variable_of};

/// The value of a setting of Meltano itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemSetting {
    /// The value, with variables replaced.
    pub value: String,
    /// What names it: the setting in `meltano.yml`, or the variable.
    pub source: String,
}

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
