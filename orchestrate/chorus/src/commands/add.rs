//! `chorus add`: puts a connector of ours, or a plugin that inherits one, into the project.
//!
//! The entry in `meltano.yml` is short. What the plugin is stands in a lock file, where Meltano has
//! it: so both read the same.

use std::fs;
use std::path::{Path, PathBuf};

use disk::NewFile;
use project::edit::Part;
use project::plugin::about;
use project::{Project, Role, Source};
use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use super::pretty;
use crate::cli::edits::AddArgs;

/// Whose our connectors are, in `variant` and in the names of lock files.
const VARIANT: &str = "chorus";

/// A plugin that is to be added.
struct New {
    name: String,
    role: Role,
    parent: Option<String>,
    /// What a program of ours says of itself, where its lock file is to be written.
    definition: Option<Value>,
}

/// Adds plugins to the project.
pub fn add(project: &Project, args: &AddArgs) -> Result<()> {
    let mut names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let mut kind = args.plugin_type.as_deref().and_then(role_of);
    // Meltano takes it before the names, too.
    if let Some(role) = role_of(names[0]).filter(|_| kind.is_none() && names.len() > 1) {
        kind = Some(role);
        names.remove(0);
    }
    let parent = args.inherit_from.as_deref();
    if names.len() > 1 && (parent.is_some() || args.r#as.is_some()) {
        return Err(Error::new(ErrorKind::Usage, "cannot add several plugins under one name")
            .hint("add them one by one"));
    }
    if let Some(variant) = args.variant.as_deref().filter(|variant| *variant != VARIANT) {
        return Err(foreign(names[0], kind).with("variant", variant));
    }
    let mut source = Source::open(&project.root)?;
    // All are looked at before the first one is written.
    let find = |name| {
        let (name, parent) = args.r#as.as_deref().map_or((name, parent), |new| (new, Some(name)));
        New::find(project, name, parent, kind)?.checked(project, args.update)
    };
    let all: Vec<New> = names.into_iter().map(find).collect::<Result<_>>()?;
    for new in all {
        new.put(project, &mut source)?;
    }
    source.write(project.warnings()).map(drop)
}

impl New {
    /// Finds out what a plugin is: one of ours, or one that inherits a plugin of the project.
    fn find(
        project: &Project,
        name: &str,
        parent: Option<&str>,
        kind: Option<Role>,
    ) -> Result<Self> {
        let base = parent.unwrap_or(name);
        let known = parent.and_then(|parent| role_of(project.plugin_group(parent)?));
        let (role, definition) = if let Some(role) = known {
            (role, None)
        } else {
            let definition = about(base, project.warnings())?;
            let refuse = || match parent {
                Some(parent) => no_parent(project, name, parent),
                None if project.plugin_group(name).is_some() => is_there(name, false),
                None => foreign(base, kind),
            };
            (role_of_name(base), Some(definition.ok_or_else(refuse)?))
        };
        if let Some(kind) = kind.filter(|kind| *kind != role) {
            return Err(Error::new(ErrorKind::Usage, "the plugin is of another type")
                .with("plugin", base)
                .with("type", kind)
                .hint(format!("it is one of the {}", role.key())));
        }
        let (name, parent) = (name.to_owned(), parent.map(str::to_owned));
        Ok(Self { name, role, parent, definition })
    }

    /// Refuses a name that cannot be used, and one that is there.
    fn checked(self, project: &Project, update: bool) -> Result<Self> {
        let name = &self.name;
        let is_usual = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if !name.starts_with(char::is_alphanumeric) || !name.chars().all(is_usual) {
            return Err(Error::new(ErrorKind::Usage, "cannot use this name for a plugin")
                .with("name", name)
                .hint("no task of a job could name it: use letters, digits, `-` and `_`"));
        }
        if project.plugin_group(name).is_some() && !update {
            return Err(is_there(name, self.definition.is_some()));
        }
        Ok(self)
    }

    fn put(&self, project: &Project, source: &mut Source) -> Result<()> {
        let Self { name, role, parent, definition } = self;
        let group = role.key();
        if let Some(definition) = definition {
            let base = parent.as_ref().unwrap_or(name);
            let path = lock_path(&project.root, group, base);
            write_lock(&path, group, definition)?;
            let shown = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
            print(&format!("Wrote {shown}\n"))?;
        }
        if project.plugin_group(name).is_some() {
            return Ok(());
        }
        let mut entry = json!({ "name": name });
        if let Some(parent) = parent {
            entry["inherit_from"] = json!(parent);
        }
        if definition.is_some() {
            entry["variant"] = json!(VARIANT);
        }
        let path = vec!["plugins".into(), group.into(), Part::Named { name: name.clone() }];
        source.put(path, entry)?;
        print(&format!(
            "Added '{name}' to the {group} of the project: `chorus config list {name}` lists its \
             settings, `chorus config set {name} SETTING VALUE` sets one\n"
        ))
    }
}

/// Reads the type of a plugin: the word for one of them, or the key of all.
fn role_of(word: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| [role.word(), role.key()].contains(&word))
}

fn role_of_name(name: &str) -> Role {
    let starts = [("tap-", Role::Extractor), ("target-", Role::Loader)];
    let found = starts.into_iter().find(|(start, _)| name.starts_with(start));
    found.map_or(Role::Mapper, |(_, role)| role)
}

fn lock_path(root: &Path, group: &str, name: &str) -> PathBuf {
    root.join("plugins").join(group).join(format!("{name}--{VARIANT}.lock"))
}

/// Writes what a program says of itself, in the form of Meltano's lock files.
fn write_lock(path: &Path, group: &str, definition: &Value) -> Result<()> {
    let mut lock = json!({
        "plugin_type": group,
        "name": definition["name"],
        "namespace": definition["namespace"],
        "variant": VARIANT,
        "label": definition["name"],
    });
    if let (Some(lock), Some(more)) = (lock.as_object_mut(), definition.as_object()) {
        for (key, value) in more {
            lock.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|cause| disk::failure("cannot make the folder", folder, cause))?;
    }
    let mut file = NewFile::among_others(path, 0o666)?;
    file.write(pretty(&lock).as_bytes())?;
    file.place()
}

/// Refuses a name that a plugin of the project has.
fn is_there(name: &str, is_ours: bool) -> Error {
    let another = format!("chorus add NEW --inherit-from {name} adds another one like it");
    Error::new(ErrorKind::Usage, "a plugin of this name is there already")
        .with("plugin", name)
        .hint(if is_ours {
            format!("chorus add {name} --update writes its lock file anew; {another}")
        } else {
            format!("`chorus config list {name} --all` lists its settings; {another}")
        })
}

/// Refuses to inherit from a plugin that is nowhere.
fn no_parent(project: &Project, name: &str, parent: &str) -> Error {
    let known = project.plugin_names();
    let failure = Error::new(ErrorKind::Usage, "cannot find the plugin to inherit from")
        .with("plugin", name)
        .with("inherit from", parent);
    failure.hint(match project::names::nearest(parent, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => project::names::listed(&known),
    })
}

/// Refuses a plugin of another author, and says what to write.
fn foreign(name: &str, kind: Option<Role>) -> Error {
    let group = kind.unwrap_or_else(|| role_of_name(name)).key();
    Error::new(ErrorKind::Config, "cannot add a plugin of another author: Chorus has no hub")
        .with("plugin", name)
        .hint(format!(
            "write it below `plugins: {group}:` of meltano.yml, then run `chorus install {name}`: \
             {{name: {name}, namespace: {}, pip_url: THE PACKAGE, capabilities: [catalog, \
             discover, state]}}; or let `meltano add {name}` do it",
            name.replace('-', "_")
        ))
}
