//! Settings of plugins in Meltano's system database: its table `plugin_settings`.

use std::collections::BTreeMap;

use project::context::Stored;
use project::{Project, warning};
use serde_json::Value;
use serde_pickle::DeOptions;
use singer::{Error, ErrorKind, Result};

use crate::state_stores;

/// Gives a project, and all that share its context, the settings in the database. One that cannot
/// be used is reported here, and ends a run when it opens its states.
///
/// # Errors
/// `Config` for a value that cannot be read.
pub fn fill(project: &Project) -> Result<()> {
    if project.context.has_stored() {
        return Ok(());
    }
    let rows = state_stores::stored_settings(project).unwrap_or_else(|failure| {
        project.warnings().warn(warning!(
            "W-PROJECT-UNUSED",
            "settings in Meltano's database are left out: {}",
            failure.message()
        ));
        Vec::new()
    });
    let mut stored: Stored = BTreeMap::new();
    for (namespace, name, pickled) in rows {
        let value = serde_pickle::from_slice::<Value>(&pickled, DeOptions::new());
        let value = value.map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read a setting in Meltano's database")
                .with("plugin", &namespace)
                .with("setting", &name)
                .caused_by(cause)
                .hint("remove it by `meltano config unset --store db`, and set it in meltano.yml")
        })?;
        stored.insert((namespace, name), value);
    }
    project.context.set_stored(stored);
    Ok(())
}
