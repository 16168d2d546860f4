//! The programs of ours that a check of contracts starts by their names: one reads a day, and one
//! judges rows.

use std::path::{Path, PathBuf};

use project::Program;
use serde_json::Value;
use singer::Result;

use crate::store;

/// Reads the days of a lake.
pub(crate) const DAYS: &str = "tap-lake";
/// Holds streams to contracts.
pub(crate) const JUDGE: &str = "map-streams";

/// Makes a program of ours ready, with these settings in a file of a folder.
pub(crate) fn ready(name: &str, config: &Value, folder: &Path) -> Result<Program> {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(name))).filter(|path| path.is_file());
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut on_path = std::env::split_paths(&on_path).map(|folder| folder.join(name));
    let executable = beside.or_else(|| on_path.find(|path| path.is_file()));
    let path = folder.join(format!("{name}.json"));
    store::write_private(&path, config.to_string().as_bytes())?;
    Ok(Program {
        name: name.to_owned(),
        executable: executable.unwrap_or_else(|| PathBuf::from(name)),
        arguments: vec!["--config".to_owned(), path.to_string_lossy().into_owned()],
        variables: Vec::new(),
        folder: PathBuf::from("."),
    })
}
