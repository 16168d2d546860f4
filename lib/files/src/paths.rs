//! Finds files: one file, all of a folder, or those that match a pattern.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use rustix::io::Errno;
use singer::{Context, Error, ErrorKind, Result};
use walkdir::WalkDir;

use crate::open::Identity;

/// The name endings that count in a folder, in any case.
pub const ENDINGS: [&str; 3] = [".csv", ".csv.gz", ".csv.zst"];

/// A pattern of paths: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any folders.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The folder below which everything that matches lies; empty for the current one.
    pub base: String,
    /// How many folders deep below it; beyond count when it is not known.
    pub depth: usize,
    matcher: GlobMatcher,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// Fails with `Config`.
    pub fn new(pattern: &str) -> Result<Self> {
        let bad = |cause: globset::Error| {
            Error::new(ErrorKind::Config, "cannot read the pattern").caused_by(cause)
        };
        let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(bad)?;
        // Walk no more than the part of the tree that can match.
        let parts: Vec<&str> = pattern.split('/').collect();
        let fixed = parts.iter().take_while(|part| !Self::is_one(part)).count();
        let base = match parts[..fixed].join("/") {
            base if fixed > 0 && base.is_empty() => "/".to_owned(),
            base => base,
        };
        let rest = &parts[fixed..];
        // Alternatives may hold separators, so their depth is not known.
        let deep = rest.iter().any(|part| part.contains("**") || part.contains('{'));
        let depth = if deep { usize::MAX } else { rest.len() };
        Ok(Self { base, depth, matcher: glob.compile_matcher() })
    }

    /// Tells whether a text is a pattern.
    pub fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// Tells whether a path matches.
    pub fn is_match(&self, path: impl AsRef<Path>) -> bool {
        self.matcher.is_match(path)
    }
}

/// Finds the regular files of a path, sorted by name: the file itself, those below a folder that
/// end in one of [`ENDINGS`], or those that match a pattern (`*`, `?`, `[a-z]`, `{a,b}`, and `**`
/// for any folders). Symbolic links are followed; those that lead back to a folder they are in, or
/// to nothing where nothing of their name or below is wanted, are passed over.
///
/// Fails with `NoInput` when nothing is found, with `Config` for a pipe or device.
pub fn find(path: &str) -> Result<Vec<PathBuf>> {
    let literal = Path::new(path);
    let found = if literal.is_dir() {
        walk(literal, usize::MAX, has_ending)
    } else if literal.exists() || !Pattern::is_one(path) {
        Identity::of(literal).map(|_| vec![literal.to_owned()])
    } else {
        matching(path)
    }
    .with("path", path)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "cannot find a file to read")
            .with("path", path)
            .hint(
                "give a file, a folder with .csv, .csv.gz or .csv.zst files, or a pattern; \
                 relative paths start at the folder the command runs in",
            ));
    }
    Ok(found)
}

fn has_ending(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let pattern = Pattern::new(pattern)?;
    let base = Path::new(&pattern.base);
    if !pattern.base.is_empty() && !base.is_dir() {
        return Ok(Vec::new());
    }
    walk(base, pattern.depth, |file| pattern.is_match(file))
}

fn walk(base: &Path, depth: usize, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let here = base.as_os_str().is_empty();
    let root = if here { Path::new(".") } else { base };
    let mut found = Vec::new();
    for entry in WalkDir::new(root).max_depth(depth).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(cause) if is_no_file(&cause, depth, |path| wanted(named(path, here))) => continue,
            Err(cause) => return Err(walk_failure(&cause)),
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let path = named(entry.path(), here);
        if !wanted(path) {
            continue;
        }
        if path.to_str().is_none() {
            return Err(Error::new(ErrorKind::Config, "cannot use a file name that is not UTF-8")
                .with("file", path.display())
                .hint("rename the file"));
        }
        Identity::of(path)?;
        found.push(path.to_owned());
    }
    found.sort();
    Ok(found)
}

/// Returns a path as the pattern has it, which may begin in the current folder.
fn named(path: &Path, here: bool) -> &Path {
    if here { path.strip_prefix("./").unwrap_or(path) } else { path }
}

/// Tells whether what cannot be looked at is nothing that a run misses: a link to nothing where no
/// file of its name is wanted, nor any below it, or back to a folder it is in. Hidden links are
/// nobody's files: editors leave them beside those they hold open.
fn is_no_file(cause: &walkdir::Error, depth: usize, wanted: impl Fn(&Path) -> bool) -> bool {
    let Some(path) = cause.path().filter(|_| cause.depth() > 0) else { return false };
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let may_be_folder = cause.loop_ancestor().is_none() && cause.depth() < depth;
    if !leads_nowhere(cause) || (!is_hidden && (may_be_folder || wanted(path))) {
        return false;
    }
    match cause.loop_ancestor() {
        Some(folder) => singer::warn!(
            "W-LINK-OUTSIDE",
            "passing over {}: the link leads back to {}, which it is in",
            path.display(),
            folder.display()
        ),
        None => {
            singer::warn!("W-LINK-DEAD", "passing over {}: it leads to nothing", path.display());
        }
    }
    true
}

fn leads_nowhere(cause: &walkdir::Error) -> bool {
    let Some(failure) = cause.io_error() else { return cause.loop_ancestor().is_some() };
    // A file on the way, and links that lead to each other.
    let nowhere = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Errno::raw_os_error);
    failure.raw_os_error().is_some_and(|code| nowhere.contains(&code))
}

fn walk_failure(cause: &walkdir::Error) -> Error {
    let link = cause.path().filter(|_| cause.depth() > 0 && leads_nowhere(cause));
    if let Some(link) = link {
        return Error::new(ErrorKind::NoInput, "cannot find what a link leads to")
            .with("link", link.display())
            .caused_by(cause.to_string())
            .hint("mend or remove the link, or give a pattern that nothing below it can match");
    }
    let kind = match cause.io_error().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => ErrorKind::Denied,
        Some(std::io::ErrorKind::NotFound) => ErrorKind::NoInput,
        _ => ErrorKind::Io,
    };
    let failure = Error::new(kind, "cannot list the folder").caused_by(cause.to_string());
    if kind == ErrorKind::Denied {
        failure.hint("let this user read it, or give a path without it: its rows would be missing")
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in
            ["b.csv", "a.CSV", "sub/c.csv.gz", "sub/deep/d.csv.zst", "e.txt", "f.csv.partial"]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    fn names(folder: &Path, pattern: &str) -> Vec<String> {
        let found = find(&format!("{}/{pattern}", folder.display())).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        found.iter().map(name).collect()
    }

    #[test]
    fn finds_files_folders_and_patterns_sorted() {
        let folder = tree();
        let check = |pattern: &str, expected: &[&str]| {
            assert_eq!(names(folder.path(), pattern), expected, "{pattern}");
        };
        check("b.csv", &["b.csv"]);
        check("e.txt", &["e.txt"]);
        check("", &["a.CSV", "b.csv", "sub/c.csv.gz", "sub/deep/d.csv.zst"]);
        check("*.csv", &["b.csv"]);
        check("**/*.csv*", &["b.csv", "f.csv.partial", "sub/c.csv.gz", "sub/deep/d.csv.zst"]);
        check("sub/*", &["sub/c.csv.gz"]);
        check("*/c.csv.gz", &["sub/c.csv.gz"]);
        check("{b.csv,sub/c.csv.gz}", &["b.csv", "sub/c.csv.gz"]);
        check("[ab].csv", &["b.csv"]);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_pattern_is_that_file() {
        let folder = tree();
        fs::write(folder.path().join("[b].csv"), "x").unwrap();
        assert_eq!(names(folder.path(), "[b].csv"), ["[b].csv"]);
    }

    #[test]
    fn refuses_nothing_found_and_devices() {
        let folder = tree();
        let kind = |path: &str| find(path).unwrap_err().kind();
        assert_eq!(kind("/nonexistent/*.csv"), ErrorKind::NoInput);
        assert_eq!(kind("/nonexistent.csv"), ErrorKind::NoInput);
        assert_eq!(kind(&format!("{}/*.parquet", folder.path().display())), ErrorKind::NoInput);
        assert_eq!(kind("/dev/zero"), ErrorKind::Config);
        assert_eq!(kind("/dev/zer*"), ErrorKind::Config);
        assert_eq!(kind(&format!("{}/[z-a].csv", folder.path().display())), ErrorKind::Config);
    }

    #[test]
    fn links_that_lead_nowhere_count_where_a_file_of_their_name_is_wanted() {
        let folder = tree();
        let all = names(folder.path(), "");
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        };
        let wanted = |pattern: &str| find(&format!("{}/{pattern}", folder.path().display()));
        link("user@host.1", ".#a.csv");
        link("..", "sub/loop");
        assert_eq!(names(folder.path(), ""), all);
        link("/nonexistent", "latest");
        link("e.txt/below", "below");
        link("round", "round");
        assert_eq!(names(folder.path(), "*.csv"), ["b.csv"]);
        // They may have been folders.
        for pattern in ["", "*/c.csv.gz", "**/*.csv"] {
            assert_eq!(wanted(pattern).unwrap_err().kind(), ErrorKind::NoInput, "{pattern}");
        }
        for name in ["latest", "below", "round"] {
            let failure = wanted(&format!("{}*{}", &name[..1], &name[2..])).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::NoInput, "{name}");
            assert!(failure.context("link").unwrap().ends_with(name) && failure.has_hint());
        }
        assert_eq!(wanted("sub/l*").unwrap_err().kind(), ErrorKind::NoInput);
        link("gone.csv", "dangling.csv");
        assert_eq!(wanted("").unwrap_err().kind(), ErrorKind::NoInput);
    }
}
