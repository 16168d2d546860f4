//! What a connector says about itself.

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
