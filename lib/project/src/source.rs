//! Edits of a project's own files: `meltano.yml` with what it includes, and `.env`.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use disk::Lock;
use disk::replace::{hidden, replace_text};
use serde_json::Value;
use singer::{Error, ErrorKind, Result, ResultExt};

pub use crate::dotenv::quoted;
use crate::edit::{Operation, Part, edit};
use crate::file::{self, FILE_NAME};
use crate::warning;
use crate::warnings::Warnings;
use crate::{dotenv, yaml};

/// The files of a project, to be edited: nobody else of us edits them meanwhile.
#[derive(Debug)]
pub struct Source {
    root: PathBuf,
    files: Vec<SourceFile>,
    warnings: Vec<String>,
    _lock: Lock,
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    before: String,
    after: String,
}

impl Source {
    /// Reads the files of the project of a folder.
    pub fn open(root: &Path) -> Result<Self> {
        let lock = Lock::wait(&hidden(&root.join(FILE_NAME), ".lock"))?;
        let mut files = vec![SourceFile::read(root.join(FILE_NAME))?];
        let whole = yaml::parse(&files[0].before)
            .map_err(|failure| failure.with("path", files[0].path.display()))?;
        // What there is to warn of was told when the project was opened.
        for path in file::included(root, &whole, &Warnings::default())? {
            files.push(SourceFile::read(path)?);
        }
        Ok(Self { root: root.to_owned(), files, warnings: Vec::new(), _lock: lock })
    }

    /// Returns the value that a path leads to: in the file where its entry lives.
    pub fn value(&self, path: &[Part]) -> Option<Value> {
        self.files.iter().find_map(|file| {
            let value = yaml::parse(&file.after).ok()?;
            let (found, length) = follow(&value, path);
            (length == path.len()).then(|| found.clone())
        })
    }

    /// Does an operation, in the file where the entry that its path names lives, or else in
    /// `meltano.yml`.
    pub fn edit(&mut self, path: &[Part], operation: Operation) -> Result<()> {
        let mut best = (0, 0);
        for (at, file) in self.files.iter().enumerate() {
            let Ok(value) = yaml::parse(&file.after) else { continue };
            let length = follow(&value, path).1;
            // A list of the same name may stand in every file: an entry only in one.
            let named = path[..length].iter().rposition(|part| matches!(part, Part::Named { .. }));
            let depth = named.map_or(0, |_| length);
            if depth > best.0 {
                best = (depth, at);
            }
        }
        let file = &mut self.files[best.1];
        let edited = edit(&file.after, None, &[operation])
            .map_err(|refused| refused.into_error().with("path", file.path.display()))?;
        let name = file.path.strip_prefix(&self.root).unwrap_or(&file.path).display().to_string();
        self.warnings.extend(edited.warnings.iter().map(|text| format!("{name}: {text}")));
        file.after = edited.text;
        Ok(())
    }

    /// Sets a value, or inserts it.
    pub fn put(&mut self, path: Vec<Part>, value: Value) -> Result<()> {
        let way = path.clone();
        self.edit(&way, Operation::Put { path, value })
    }

    /// Removes an entry, and tells whether it was there.
    pub fn remove(&mut self, path: Vec<Part>) -> Result<bool> {
        if self.value(&path).is_none() {
            return Ok(false);
        }
        let way = path.clone();
        self.edit(&way, Operation::Remove { path }).map(|()| true)
    }

    /// Writes the files that changed, and returns whether one did.
    ///
    /// # Errors
    /// `Temporary` where another program changed a file meanwhile.
    pub fn write(self, warnings: &Warnings) -> Result<bool> {
        let changed: Vec<&SourceFile> =
            self.files.iter().filter(|file| file.after != file.before).collect();
        for file in &changed {
            let now = fs::read_to_string(&file.path).unwrap_or_default();
            if now != file.before {
                return Err(Error::new(ErrorKind::Temporary, "another program changed the file")
                    .with("path", file.path.display())
                    .hint("run the command again"));
            }
            replace_text(&file.path, file.after.as_bytes())?;
        }
        for text in &self.warnings {
            warnings.warn(warning!("W-PROJECT-ALIAS", "{text}"));
        }
        Ok(!changed.is_empty())
    }

    /// Sets or removes a variable of `.env`; tells whether that changed it.
    pub fn set_variable(&self, name: &str, value: Option<&str>) -> Result<bool> {
        let path = self.root.join(".env");
        let is_there = path.is_file();
        let text = if is_there { SourceFile::read(path.clone())?.before } else { String::new() };
        let after = match value {
            Some(value) => Some(dotenv::set(&text, name, value).ok_or_else(|| {
                Error::new(ErrorKind::Usage, "cannot write the value into .env")
                    .with("variable", name)
                    .hint("a value in .env must not have `${`: set the variable in the shell")
            })?),
            None => dotenv::unset(&text, name),
        };
        let Some(after) = after.filter(|after| *after != text) else { return Ok(false) };
        if !is_there {
            let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            new.or_kind(ErrorKind::Io, "cannot create .env")?;
        }
        replace_text(&path, after.as_bytes())?;
        Ok(true)
    }
}

impl SourceFile {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path);
        let before = text.or_kind(ErrorKind::Config, "cannot read the project file")?;
        Ok(Self { path, after: before.clone(), before })
    }
}

/// Reads the tasks of a job as a command line gives them: one task, or a list as YAML has it.
pub fn tasks(text: &str) -> Result<Value> {
    let text = text.trim();
    if !text.starts_with('[') {
        return Ok(Value::Array(vec![text.into()]));
    }
    yaml::parse(&format!("tasks: {text}")).map(|mut read| read["tasks"].take())
}

/// Follows a path as far as it leads, and returns how far that is.
fn follow<'a>(value: &'a Value, path: &[Part]) -> (&'a Value, usize) {
    let mut at = value;
    for (length, part) in path.iter().enumerate() {
        let next = match part {
            Part::Key(key) => at.get(key),
            Part::At(index) => at.get(index),
            Part::Named { name } => crate::names::find_named(at, name),
        };
        match next {
            Some(next) => at = next,
            None => return (at, length),
        }
    }
    (at, path.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_goes_to_the_file_of_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let own = "include_paths: [more.yml] # here\njobs:\n- name: a\n  tasks: [x y]\n";
        fs::write(at("meltano.yml"), own).unwrap();
        fs::write(at("more.yml"), "jobs:\n- name: b # second\n  tasks: [x y]\n").unwrap();
        let named = |name: &str| vec!["jobs".into(), Part::Named { name: name.to_owned() }];
        let tasks = |name: &str| [named(name), vec!["tasks".into()]].concat();
        let mut source = Source::open(folder.path()).unwrap();
        source.put(tasks("b"), json!(["u v"])).unwrap();
        source.put(named("c"), json!({"name": "c", "tasks": ["w z"]})).unwrap();
        assert!(source.remove(named("a")).unwrap() && !source.remove(named("z")).unwrap());
        assert_eq!(source.value(&tasks("b")), Some(json!(["u v"])));
        assert!(source.write(&Warnings::default()).unwrap());
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        let expected = "include_paths: [more.yml] # here\njobs:\n- name: c\n  tasks:\n  - w z\n";
        assert_eq!(read("meltano.yml"), expected);
        assert!(read("more.yml").starts_with("jobs:\n- name: b # second\n  tasks:\n"));

        let mut source = Source::open(folder.path()).unwrap();
        source.put(tasks("b"), json!(["n m"])).unwrap();
        fs::write(at("more.yml"), "jobs: []\n").unwrap();
        let failure = source.write(&Warnings::default()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Temporary);
        assert_eq!(read("more.yml"), "jobs: []\n");

        let source = Source::open(folder.path()).unwrap();
        assert!(source.set_variable("A_B", Some("s3'cret")).unwrap());
        assert!(!source.set_variable("A_B", Some("s3'cret")).unwrap());
        assert_eq!(read(".env"), "A_B='s3\\'cret'\n");
        assert!(source.set_variable("A_B", None).unwrap());
        assert!(!source.write(&Warnings::default()).unwrap());
    }
}
