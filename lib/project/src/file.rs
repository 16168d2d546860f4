//! `meltano.yml` as it is written, with the files that it includes.

use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::empties;
use crate::lines::{self, Part, Spot};
use crate::shapes::FILE;
use crate::warning;
use crate::warnings::Warnings;
use crate::yaml::parse;
use crate::{shape, spelled};

/// The name of the file that makes a folder a project.
pub(crate) const FILE_NAME: &str = "meltano.yml";

/// Reads the project file of a folder and the files it includes into one value.
pub(crate) fn read(root: &Path, warnings: &Warnings) -> Result<Value> {
    let mut whole = read_one(&root.join(FILE_NAME), warnings)?;
    for path in included(root, &whole, warnings)? {
        let part = read_one(&path, warnings)?;
        merge(&mut whole, part, "").map_err(|failure| failure.with("path", path.display()))?;
    }
    shape::check_names(&whole)
        .map_err(|failure| failure.with("path", root.join(FILE_NAME).display()))?;
    shape::check_effects(&whole, warnings);
    Ok(whole)
}

/// Returns the keys of all files that are almost ones that a run goes by.
pub(crate) fn misspelled(root: &Path, whole: &Value) -> Vec<shape::Misspelled> {
    let mut paths = vec![root.join(FILE_NAME)];
    paths.extend(included(root, whole, &Warnings::default()).unwrap_or_default());
    let of_one = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(shape::misspelled(&parse(&text).ok()?, &shown, &text))
    };
    paths.into_iter().filter_map(of_one).flatten().collect()
}

/// Finds the file of a value and where it stands in it: the first of several places that is there.
pub(crate) fn spot_of(
    root: &Path,
    whole: &Value,
    places: &[Vec<Segment<'_>>],
) -> Option<(PathBuf, Spot)> {
    let mut paths = vec![root.join(FILE_NAME)];
    // What there is to warn of was told when they were read.
    paths.extend(included(root, whole, &Warnings::default()).ok()?);
    let texts = paths.into_iter().filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let value = parse(&text).ok()?;
        Some((path, text, value))
    });
    let texts: Vec<_> = texts.collect();
    places.iter().find_map(|place| {
        texts.iter().find_map(|(path, text, value)| {
            Some((path.clone(), lines::find(text, &parts(value, place)?)?))
        })
    })
}

/// A step into the project file.
#[derive(Clone, Copy)]
pub(crate) enum Segment<'a> {
    /// Into a mapping.
    Key(&'a str),
    /// Into the entry of a list that has this name.
    Named(&'a str),
    /// Into the entry of a list at this position.
    At(usize),
}

fn parts(value: &Value, place: &[Segment<'_>]) -> Option<Vec<Part>> {
    let mut at = value;
    let mut parts = Vec::new();
    for step in place {
        match step {
            Segment::Key(key) => {
                at = at.get(key)?;
                parts.push(Part::Key((*key).to_owned()));
            }
            Segment::Named(name) => {
                let index = at.as_array()?.iter().position(|entry| entry["name"] == **name)?;
                at = &at[index];
                parts.push(Part::Index(index));
            }
            Segment::At(index) => {
                at = at.get(*index)?;
                parts.push(Part::Index(*index));
            }
        }
    }
    Some(parts)
}

fn read_one(path: &Path, warnings: &Warnings) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|cause| {
        let (kind, hint) = match cause.kind() {
            std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::Denied, "give the user of this command the right to read it")
            }
            std::io::ErrorKind::InvalidData => (ErrorKind::Config, "save it as UTF-8"),
            _ => (ErrorKind::Config, "it must be a YAML file"),
        };
        Error::new(kind, "cannot read the project file")
            .with("path", path.display())
            .caused_by(cause)
            .hint(hint)
    })?;
    let shown = path.file_name().unwrap_or_default().to_string_lossy();
    if text.lines().any(|line| line.starts_with("%YAML 1.1")) {
        warnings.warn_once(warning!(
            "W-PROJECT-UNUSED",
            "`%YAML 1.1` of {shown} has no effect: it is read as YAML 1.2, where `yes` is a text \
             and `010` is ten"
        ));
    }
    let value = parse(&text).and_then(|mut value| {
        shape::check(&value, &shown, &text, warnings)?;
        spelled::keep(&mut value, &text)?;
        empties::settle(&mut value, &FILE);
        Ok(value)
    });
    value.map_err(|failure| failure.with("path", path.display()))
}

/// Finds the files of `include_paths`, sorted.
pub(crate) fn included(root: &Path, whole: &Value, warnings: &Warnings) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in whole["include_paths"].as_array().into_iter().flatten() {
        let Some(pattern) = pattern.as_str() else { continue };
        let bad = |cause: globset::Error| {
            Error::new(ErrorKind::Config, "cannot read a pattern of `include_paths`")
                .with("pattern", pattern)
                .caused_by(cause)
        };
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(bad)?
            .compile_matcher();
        let before = found.len();
        walk(root, root, 0, &mut |path| {
            if glob.is_match(path) && path != Path::new(FILE_NAME) {
                found.push(root.join(path));
            }
        })?;
        if found.len() == before {
            warnings.warn_once(warning!(
                "W-PROJECT-UNUSED",
                "`include_paths` names {pattern}, which matches no file"
            ));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

const INCLUDE_DEPTH_MAX: usize = 8;

fn walk(root: &Path, folder: &Path, depth: usize, visit: &mut impl FnMut(&Path)) -> Result<()> {
    let failure = |cause: std::io::Error| {
        Error::new(ErrorKind::Io, "cannot list the folder")
            .with("path", folder.display())
            .caused_by(cause)
    };
    for entry in fs::read_dir(folder).map_err(failure)? {
        let entry = entry.map_err(failure)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(failure)?;
        let path = entry.path();
        if kind.is_dir() && !hidden && depth < INCLUDE_DEPTH_MAX {
            walk(root, &path, depth + 1, visit)?;
        } else if kind.is_file()
            && let Ok(relative) = path.strip_prefix(root)
        {
            visit(relative);
        }
    }
    Ok(())
}

/// Adds the lists of an included file to those of the project.
fn merge(whole: &mut Value, part: Value, place: &str) -> Result<()> {
    let Value::Object(part) = part else { return Ok(()) };
    for (key, value) in part {
        let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        match (&mut whole[&key], value) {
            (Value::Array(all), Value::Array(more)) => all.extend(more),
            (inner @ Value::Object(_), value @ Value::Object(_)) => merge(inner, value, &place)?,
            (slot @ Value::Null, value) => *slot = value,
            (_, _) if key == "version" => {}
            _ => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "an included file sets a key that is already set",
                )
                .with("setting", place));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
fn name_of(entry: &Value) -> &str {
    entry["name"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_the_files_that_patterns_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("meltano.yml", "include_paths: [./parts/*.yml]\njobs: [{name: a, tasks: []}]\n");
        write("parts/b.yml", "jobs: [{name: b, tasks: []}]\nplugins: {extractors: [{name: t}]}\n");
        write("parts/deep/c.yml", "jobs: [{name: c, tasks: []}]\n");
        let whole = read(folder.path(), &Warnings::default()).unwrap();
        let names: Vec<&str> = whole["jobs"].as_array().unwrap().iter().map(name_of).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(whole["plugins"]["extractors"][0]["name"], "t");
        write("parts/b.yml", "default_environment: x\n");
        assert_eq!(read(folder.path(), &Warnings::default()).unwrap()["default_environment"], "x");
        write("parts/b.yml", "include_paths: x\n");
        assert_eq!(
            read(folder.path(), &Warnings::default()).unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}
