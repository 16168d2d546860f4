//! Settings that a method of signing cannot do without.

use singer::{Error, ErrorKind, Result, Secret};

/// Returns a setting that a method needs.
pub fn needed<'a>(value: Option<&'a str>, setting: &str, method: &str) -> Result<&'a str> {
    value.filter(|value| !value.trim().is_empty()).ok_or_else(|| missing(setting, method))
}

/// Returns a secret that a method needs, without the line end that files put behind it.
pub fn secret<'a>(value: Option<&'a Secret>, setting: &str, method: &str) -> Result<&'a str> {
    needed(value.map(Secret::reveal), setting, method).map(str::trim)
}

/// Refuses a method without one of its settings.
pub fn missing(setting: &str, method: &str) -> Error {
    Error::new(ErrorKind::Config, "a setting is missing")
        .with("setting", setting)
        .hint(format!("`auth_method: {method}` needs it"))
}
