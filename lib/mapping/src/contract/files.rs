//! Finds the files of contracts, and names what has no effect in them.

use std::path::{Path, PathBuf};

use singer::{Context as _, Error, ErrorKind, Result, ResultExt as _};

use super::model::Contract;

/// Names the parts of a contract that nobody judges here.
pub(super) fn report(contract: &Contract) {
    if contract.unused.is_empty() {
        return;
    }
    let parts = contract.unused.iter().map(|(what, line)| format!("{what} (line {line})"));
    let parts: Vec<String> = parts.take(10).collect();
    singer::warn!(
        "W-CONTRACT-UNUSED",
        "parts of {} have no effect: {}",
        contract.path.display(),
        parts.join(", ")
    );
}

/// Returns the files with contracts: those that are named, and those in folders that are named.
///
/// # Errors
/// A folder cannot be listed, or has no contract.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path)
            .or_kind(ErrorKind::NoInput, "cannot list the folder with contracts")
            .with("path", path.display())?;
        let is_contract = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.ends_with(".odcs.yaml") || name.ends_with(".odcs.yml")
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| is_contract(path))
            .collect();
        found.sort();
        if found.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot find a contract in the folder")
                .with("path", path.display())
                .hint("contracts are files whose names end with `.odcs.yaml`"));
        }
        files.append(&mut found);
    }
    Ok(files)
}
