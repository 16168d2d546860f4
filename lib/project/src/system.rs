//! Settings of Meltano itself, of which a few matter here: where it keeps its database and states.

use std::collections::BTreeSet;

use crate::project::Project;
use crate::spelled;

/// The value of a setting of Meltano itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemSetting {
    /// The value, with variables replaced.
    pub value: String,
    /// What names it: the setting in `meltano.yml`, or the variable.
    pub source: String,
}

impl Project {
    /// Returns a setting of Meltano itself, such as `state_backend.uri`: that of the variable
    /// `MELTANO_STATE_BACKEND_URI`, or else that of `meltano.yml`. `None` where it is not set.
    pub fn system_setting(&self, name: &str) -> Option<SystemSetting> {
        let variable = format!("MELTANO_{}", name.to_uppercase().replace('.', "_"));
        if let Some(value) = self.variables.get(&variable).filter(|value| !value.is_empty()) {
            return Some(SystemSetting { value: value.to_owned(), source: variable });
        }
        let nested = name.split('.').fold(&self.file, |value, part| &value[part]);
        let value = if nested.is_null() { &self.file[name] } else { nested };
        let text = spelled::text(value)?;
        let value = self.variables.expand(&text, &mut BTreeSet::new());
        Some(SystemSetting { value, source: name.to_owned() }).filter(|one| !one.value.is_empty())
    }
}
