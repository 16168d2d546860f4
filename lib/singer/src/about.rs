//! The fixed facts of a connector.

mod render;

/// The fixed facts of a connector.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The binary's name: `tap-postgres`.
    pub name: &'static str,
    /// `env!("CARGO_PKG_VERSION")` of the connector.
    pub version: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Meltano's words for what this connector can do and not every tap, or target, can.
    pub capabilities: &'static [&'static str],
}

impl About {
    /// Returns how the names of its variables begin: `TAP_CSV_`.
    pub(crate) fn variable_prefix(&self) -> String {
        self.variable("")
    }

    /// Returns the variable of a setting: `TAP_CSV_FILES`.
    pub(crate) fn variable(&self, setting: &str) -> String {
        format!("{}_{setting}", self.name).to_uppercase().replace(['-', '.'], "_")
    }
}
