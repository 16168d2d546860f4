//! What all openings of projects for one purpose share.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::plugin::about::Programs;
use crate::warnings::Warnings;

/// Settings in Meltano's system database, by the namespace of the plugin and the name.
pub type Stored = BTreeMap<(String, String), Value>;

/// What the projects share that one command or one request opens.
#[derive(Debug)]
pub struct Context {
    /// Who receives the warnings.
    pub warnings: Warnings,
    /// What programs say of themselves.
    pub programs: Programs,
    /// The time in UTC that settings such as `3 days ago` are read at: the same for all.
    pub(crate) now: DateTime,
    /// The settings in Meltano's system database, once they have been read.
    stored: OnceLock<Stored>,
}

impl Default for Context {
    fn default() -> Self {
        Self::new(Warnings::default())
    }
}

impl Context {
    /// Makes one with these warnings.
    pub fn new(warnings: Warnings) -> Self {
        let now = jiff::Timestamp::now().to_zoned(TimeZone::UTC).datetime();
        Self { warnings, programs: Programs::default(), now, stored: OnceLock::new() }
    }

    /// Tells whether the settings of Meltano's system database have been read.
    pub fn has_stored(&self) -> bool {
        self.stored.get().is_some()
    }

    /// Keeps the settings of Meltano's system database. The first ones stay.
    pub fn set_stored(&self, stored: Stored) {
        let _ = self.stored.set(stored);
    }

    /// Returns the value of a setting of a plugin in Meltano's system database.
    pub(crate) fn stored(&self, group: &str, plugin: &str, setting: &str) -> Option<&Value> {
        let all = self.stored.get().filter(|all| !all.is_empty())?;
        all.get(&(format!("{group}.{plugin}.default"), setting.to_owned()))
    }
}
