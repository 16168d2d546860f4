//! How targets of other authors name where they write: they do not say what their settings are for.

use project::Plugin;
use serde_json::Value;

/// The folder that they write below.
pub(crate) const FOLDERS: [&str; 2] = ["output_path", "destination_path"];
/// The path below it.
pub(crate) const SCHEME: &str = "file_naming_scheme";

/// Returns the folder that a target writes below, as far as its settings tell.
pub(crate) fn folder(target: &Plugin) -> Option<&str> {
    FOLDERS.iter().find_map(|name| target.config.get(*name)?.as_str())
}

/// Has a target write below another folder.
pub(crate) fn put_folder(target: &mut Plugin, folder: Value) {
    target.config.retain(|name, _| !FOLDERS.contains(&name.as_str()));
    target.config.insert(FOLDERS[0].to_owned(), folder);
}

/// Returns what a target puts below its folder.
pub(crate) fn scheme(target: &Plugin) -> Option<&str> {
    target.config.get(SCHEME)?.as_str()
}
