//! The names of the settings of Meltano itself.

use serde_json::Value;

use crate::warning;
use crate::warnings::Warnings;

/// The settings, and their defaults where they have one.
pub(crate) const SETTINGS: [(&str, Option<&str>); 26] = [
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

/// Returns the variable of a setting.
pub(crate) fn variable_of(name: &str) -> String {
    format!("MELTANO_{}", name.to_uppercase().replace('.', "_"))
}
