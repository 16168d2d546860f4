//! The lock files of Meltano, `plugins/<type>/<name>--<variant>.lock`: what a plugin is, as the hub
//! describes it. They are a layer below `meltano.yml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

const ENDING: &str = ".lock";

/// The lock files of a project; each is read when a plugin needs it.
#[derive(Debug, Default)]
pub struct Locks(BTreeMap<PathBuf, OnceLock<Value>>);

impl Locks {
    /// Finds the lock files below the folder of a project.
    pub(crate) fn of_project(root: &Path) -> Self {
        let folders = fs::read_dir(root.join("plugins")).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten());
        let paths = files.flatten().map(|file| file.path());
        let is_lock = |path: &PathBuf| path.to_string_lossy().ends_with(ENDING);
        Self(paths.filter(is_lock).map(|path| (path, OnceLock::new())).collect())
    }

    /// Returns the definition of a plugin, where there is one: that of its variant, or, without a
    /// variant, the only one of its name.
    ///
    /// # Errors
    /// `Config`, with the path and the line, for a file that is damaged.
    pub fn find(&self, root: &Path, wanted: Wanted<'_>) -> Result<Option<&Value>> {
        let Some(path) = self.path(root, wanted) else { return Ok(None) };
        let Some(slot) = self.0.get(&path) else { return Ok(None) };
        if let Some(known) = slot.get() {
            return Ok(Some(known));
        }
        let read = read(&path)?;
        Ok(Some(slot.get_or_init(|| read)))
    }

    /// Returns the path of the lock file of a plugin.
    pub fn path(&self, root: &Path, wanted: Wanted<'_>) -> Option<PathBuf> {
        let folder = root.join("plugins").join(wanted.kind);
        let named = |end: &str| {
            let path = folder.join(format!("{}{end}{ENDING}", wanted.name));
            self.0.contains_key(&path).then_some(path)
        };
        if let Some(variant) = wanted.variant {
            return named(&format!("--{variant}"));
        }
        let plain = named("").or_else(|| named("--default")).or_else(|| named("--original"));
        plain.or_else(|| {
            let start = format!("{}--", wanted.name);
            let is_of_name = |path: &&PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                path.parent() == Some(&folder) && name.starts_with(&start)
            };
            let mut all = self.0.keys().filter(is_of_name);
            let first = all.next()?;
            all.next().is_none().then(|| first.clone())
        })
    }
}

/// Which definition is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The folder, such as `extractors`.
    pub kind: &'a str,
    /// The name on the hub.
    pub name: &'a str,
    /// Whose it is.
    pub variant: Option<&'a str>,
}

fn read(path: &Path) -> Result<Value> {
    let refuse = |failure: Error| {
        failure.with("path", path.display()).hint(
            "write it anew with `meltano lock --update --all`, or restore it from your repository",
        )
    };
    let text = fs::read_to_string(path).map_err(|cause| {
        refuse(Error::new(ErrorKind::Config, "cannot read the lock file").caused_by(cause))
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|cause| {
        let failure = Error::new(ErrorKind::Config, "cannot read the lock file as JSON")
            .with("line", cause.line())
            .with("column", cause.column());
        refuse(failure.caused_by(cause))
    })?;
    for (key, is_right) in [
        ("settings", Value::is_array as fn(&Value) -> bool),
        ("capabilities", Value::is_array),
        ("select", Value::is_array),
        ("commands", Value::is_object),
        ("metadata", Value::is_object),
        ("schema", Value::is_object),
        ("namespace", Value::is_string),
        ("executable", Value::is_string),
    ] {
        if !value.is_object() || !(value[key].is_null() || is_right(&value[key])) {
            let line = text.lines().position(|line| line.contains(&format!("\"{key}\"")));
            let failure = Error::new(ErrorKind::Config, "cannot use the lock file")
                .with("line", line.map_or(1, |line| line + 1));
            return Err(refuse(failure.with("key", key)));
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_a_variant_is_found_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join("plugins").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("extractors/tap-a--one.lock", "{\"namespace\": \"one\"}");
        write("extractors/tap-a--two.lock", "{\"namespace\": \"two\"}");
        write("extractors/tap-b--x.lock", "{\"namespace\": \"x\"}");
        write("loaders/target-a.lock", "{\"namespace\": \"plain\"}");
        write("loaders/target-b.lock", "{\"namespace\":\n 1}");
        write("loaders/target-c.lock", "{\n\"settings\": [}");
        let locks = Locks::of_project(folder.path());
        let find = |kind, name, variant| {
            let found = locks.find(folder.path(), Wanted { kind, name, variant })?;
            Ok::<_, Error>(found.map(|lock| lock["namespace"].as_str().unwrap().to_owned()))
        };
        let check = |kind, name, variant, expected: Option<&str>| {
            assert_eq!(find(kind, name, variant).unwrap().as_deref(), expected, "{name}");
        };
        check("extractors", "tap-a", Some("two"), Some("two"));
        check("extractors", "tap-a", Some("three"), None);
        check("extractors", "tap-a", None, None);
        check("extractors", "tap-b", None, Some("x"));
        check("loaders", "target-a", None, Some("plain"));
        check("loaders", "tap-a", Some("one"), None);
        for (name, line) in [("target-b", "1"), ("target-c", "2")] {
            let failure = find("loaders", name, None).unwrap_err();
            assert_eq!((failure.kind(), failure.context("line")), (ErrorKind::Config, Some(line)));
        }
    }
}
