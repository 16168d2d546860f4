//! Finds files: one file, all of a folder, or those that match a pattern.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use rustix::io::Errno;
use singer::{Context, Error, ErrorKind, Result};
use walkdir::WalkDir;

use crate::archive::is_archive;
use crate::format::Format;
use crate::identity::Identity;
use crate::once::once;
use crate::unread::Unread;

/// A pattern of paths: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any folders.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The folder below which everything that matches lies; empty for the current one.
    pub base: String,
    /// How many folders deep below it; beyond count when it is not known.
    pub depth: usize,
    matcher: GlobMatcher,
    /// Its parts that begin with a dot, or may do so.
    hidden: Vec<GlobMatcher>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// Fails with `Config`.
    pub fn new(pattern: &str) -> Result<Self> {
        let bad = |cause: globset::Error| {
            Error::new(ErrorKind::Config, "cannot read the pattern").caused_by(cause)
        };
        let glob = |text: &str| GlobBuilder::new(text).literal_separator(true).build().map_err(bad);
        let whole = glob(pattern)?;
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
        // A part of alternatives that hold separators is no pattern by itself: any name fits.
        let part = |part: &&str| glob(part).or_else(|_| glob("*")).map(|g| g.compile_matcher());
        let dotted = rest.iter().filter(|part| part.starts_with('.') || has_dotted_branch(part));
        let hidden = dotted.map(part).collect::<Result<_>>()?;
        Ok(Self { base, depth, matcher: whole.compile_matcher(), hidden })
    }

    /// Tells whether a text is a pattern.
    pub fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// Tells whether a part of the pattern names this hidden file or folder: as in a shell, a
    /// pattern means hidden names only where it has the dot itself.
    fn names_hidden(&self, name: &OsStr) -> bool {
        self.hidden.iter().any(|part| part.is_match(Path::new(name)))
    }

    /// Tells whether a path matches.
    pub fn is_match(&self, path: impl AsRef<Path>) -> bool {
        self.matcher.is_match(path)
    }
}

fn has_dotted_branch(part: &str) -> bool {
    part.contains("{.") || part.contains(",.")
}

/// Finds the regular files of a path, sorted by name: the file itself, those below a folder whose
/// endings tell a format, or those that match a pattern (`*`, `?`, `[a-z]`, `{a,b}`, and `**` for
/// any folders). Hidden files and folders, which begin with a dot, count where the path names them.
/// Symbolic links are followed, and each file is found once; links that lead to a folder which they
/// or the path are in, or to nothing where no file of their name is wanted, are skipped.
///
/// Fails with `NoInput` when nothing is found, with `Config` for a pipe or device.
pub fn find(path: &str) -> Result<Vec<PathBuf>> {
    let literal = Path::new(path);
    let found = if literal.is_dir() {
        Walk { base: literal, depth: usize::MAX, pattern: None }.files()
    } else if literal.exists() || !Pattern::is_one(path) {
        tell_others(path);
        Identity::of(literal).map(|_| vec![literal.to_owned()])
    } else {
        matching(path)
    }
    .with("path", path)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "cannot find a file to read")
            .with("path", path)
            .hint(
                "give a file, a pattern, or a folder with files of known endings (.csv, .tsv, \
                 .psv, .txt, .json, .jsonl, .ndjson, .zip); hidden names match only if the path \
                 has their dot; relative paths start at the folder in which the command runs",
            ));
    }
    Ok(found)
}

/// Warns of the files that a pattern matches, where a file has the very name of the pattern: that
/// one is meant, or a shell has made it.
fn tell_others(path: &str) {
    let found = if Pattern::is_one(path) { matching(path).unwrap_or_default() } else { Vec::new() };
    let others = found.iter().filter(|found| *found != Path::new(path)).count();
    if others > 0 {
        singer::warn!(
            "W-FILE-NOT-READ",
            "reading {path:?} alone, as a file has this name: {others} files that it matches as a \
             pattern are left out; rename the file to read all"
        );
    }
}

/// Tells whether a file of a folder counts: its ending tells a format, and it is none of the JSON
/// files that programs leave beside data, whose names begin with an underscore.
fn has_ending(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match Format::of(name) {
        Some(format) if format.is_json() => !name.starts_with('_'),
        Some(_) => true,
        None => Format::is_text(name) || is_archive(name),
    }
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let pattern = Pattern::new(pattern)?;
    let base = Path::new(&pattern.base);
    if !pattern.base.is_empty() && !base.is_dir() {
        return Ok(Vec::new());
    }
    Walk { base, depth: pattern.depth, pattern: Some(&pattern) }.files()
}

/// A walk through a folder.
struct Walk<'a> {
    base: &'a Path,
    depth: usize,
    /// What the files must match; without one their endings count.
    pattern: Option<&'a Pattern>,
}

impl Walk<'_> {
    fn files(&self) -> Result<Vec<PathBuf>> {
        let here = self.base.as_os_str().is_empty();
        let root = if here { Path::new(".") } else { self.base };
        let mut found = Vec::new();
        let mut hidden = 0;
        let mut unread = Unread::default();
        let entries = WalkDir::new(root).max_depth(self.depth).follow_links(true).into_iter();
        let seen = |entry: &walkdir::DirEntry| {
            let seen = entry.depth() == 0 || self.sees(entry.file_name());
            hidden += usize::from(!seen);
            seen && !leads_above(entry, root)
        };
        for entry in entries.filter_entry(seen) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(cause) if self.is_no_file(&cause, here) => continue,
                Err(cause) => return Err(walk_failure(&cause)),
            };
            let path = named(entry.path(), here);
            if entry.file_type().is_dir() || !self.wants(path) {
                if self.pattern.is_none() && entry.file_type().is_file() {
                    let below = path.strip_prefix(self.base).unwrap_or(path);
                    unread.note(&below.to_string_lossy());
                }
                continue;
            }
            if path.to_str().is_none() {
                return Err(Error::new(
                    ErrorKind::Config,
                    "cannot use a file name that is not UTF-8",
                )
                .with("file", path.display())
                .hint("rename the file"));
            }
            found.push((path.to_owned(), Identity::of(path)?));
        }
        if hidden > 0 {
            tracing::info!("skipping {hidden} hidden files or folders in {}", root.display());
        }
        unread.tell(
            &root.display().to_string(),
            "to read such a file, set its path in an entry, or a pattern for its ending",
        );
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(once(self.base, found))
    }

    fn wants(&self, path: &Path) -> bool {
        self.pattern.map_or_else(|| has_ending(path), |pattern| pattern.is_match(path))
    }

    /// Tells whether a name is one that is not hidden, or that the pattern has with its dot.
    fn sees(&self, name: &OsStr) -> bool {
        !is_hidden(name) || self.pattern.is_some_and(|pattern| pattern.names_hidden(name))
    }

    /// Tells whether what cannot be looked at is nothing that a run misses: a link to nothing, or
    /// back to a folder it is in, where no file of its name is wanted. Hidden links are nobody's
    /// files: editors leave them beside those they hold open.
    fn is_no_file(&self, cause: &walkdir::Error, here: bool) -> bool {
        let Some(path) = cause.path().filter(|_| cause.depth() > 0) else { return false };
        let is_hidden = path.file_name().is_some_and(is_hidden);
        if !leads_nowhere(cause) || (!is_hidden && self.wants(named(path, here))) {
            return false;
        }
        match cause.loop_ancestor() {
            Some(folder) => singer::warn!(
                "W-LINK-OUTSIDE",
                "skipping {}: the link leads back to {}, which contains it",
                path.display(),
                folder.display()
            ),
            None => {
                singer::warn!(
                    "W-LINK-DEAD",
                    "skipping {}: the link leads to nothing",
                    path.display()
                );
            }
        }
        true
    }
}

/// Tells whether an entry is a link to a folder that it is in, or that the folder which is read is
/// in, and warns of it: what lies beside the folder that is read is no part of it.
fn leads_above(entry: &walkdir::DirEntry, root: &Path) -> bool {
    if entry.depth() == 0 || !entry.path_is_symlink() || !entry.file_type().is_dir() {
        return false;
    }
    let link = entry.path();
    let real = |path: &Path| path.canonicalize().ok();
    let Some(target) = real(link) else { return false };
    let holds = |path: &Path| real(path).is_some_and(|path| path.starts_with(&target));
    let held = if link.parent().is_some_and(holds) {
        "it".to_owned()
    } else if holds(root) {
        root.display().to_string()
    } else {
        return false;
    };
    singer::warn!(
        "W-LINK-OUTSIDE",
        "skipping {}: the link leads to {}, which contains {held}",
        link.display(),
        target.display()
    );
    true
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Returns a path as the pattern has it, which may begin in the current folder.
fn named(path: &Path, here: bool) -> &Path {
    if here { path.strip_prefix("./").unwrap_or(path) } else { path }
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
        return Error::new(ErrorKind::NoInput, "cannot find the target of a link")
            .with("link", link.display())
            .caused_by(cause.to_string())
            .hint("repair or remove the link, or give a pattern that does not match it");
    }
    let kind = match cause.io_error().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => ErrorKind::Denied,
        Some(std::io::ErrorKind::NotFound) => ErrorKind::NoInput,
        _ => ErrorKind::Io,
    };
    let failure = Error::new(kind, "cannot list the folder").caused_by(cause.to_string());
    if kind == ErrorKind::Denied {
        failure.hint(
            "give this user the right to read the folder, or give a path without it: \
                      otherwise its rows would be missing",
        )
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
        let found = find(&format!("{}/{pattern}", folder.display()));
        let found = match found {
            Err(failure) if failure.kind() == ErrorKind::NoInput => Vec::new(),
            found => found.unwrap(),
        };
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
        let all = ["a.CSV", "b.csv", "e.txt", "sub/c.csv.gz", "sub/deep/d.csv.zst"];
        check("", &all);
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
    fn hidden_names_count_where_the_path_has_their_dot() {
        let folder = tree();
        let all = names(folder.path(), "");
        for path in [".git/b.csv", ".tmp.csv", "sub/.part/x.csv", "sub/.y.csv", "sub/.y.d/z.csv"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(folder.path().join("_notes.json"), "{}").unwrap();
        let check = |pattern: &str, expected: &[&str]| {
            assert_eq!(names(folder.path(), pattern), expected, "{pattern}");
        };
        assert_eq!(names(folder.path(), ""), all);
        check("*.csv", &["b.csv"]);
        check("**/[a-z.]*.csv", &["b.csv"]);
        check("s*/**/?.csv", &[]);
        check(".tmp.csv", &[".tmp.csv"]);
        check(".*.csv", &[".tmp.csv"]);
        check(".git", &[".git/b.csv"]);
        check(".git/*", &[".git/b.csv"]);
        check("{.git,sub}/*.csv", &[".git/b.csv"]);
        check("sub/.*", &["sub/.y.csv"]);
        check("**/.y*/*.csv", &["sub/.y.d/z.csv"]);
        check("sub/{.part/x,c}.csv", &["sub/.part/x.csv"]);
        check("{b,.tmp}.csv", &[".tmp.csv", "b.csv"]);
    }

    #[test]
    fn a_file_is_found_once_whatever_names_lead_to_it() {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        let all = names(folder.path(), "");
        std::os::unix::fs::symlink("sub/c.csv.gz", at("a.csv.gz")).unwrap();
        std::os::unix::fs::symlink("sub", at("current")).unwrap();
        fs::hard_link(at("b.csv"), at("sub/b_again.csv")).unwrap();
        assert_eq!(names(folder.path(), ""), all);
        assert_eq!(names(folder.path(), "**/*.gz"), ["sub/c.csv.gz"]);
        assert_eq!(names(folder.path(), "*.gz"), ["a.csv.gz"]);
        assert_eq!(names(folder.path(), "current/*.gz"), ["current/c.csv.gz"]);
        std::os::unix::fs::symlink("a.csv.gz", at("z.csv.gz")).unwrap();
        assert_eq!(names(folder.path(), "*.gz"), ["a.csv.gz"]);
        fs::write(at("twin.csv"), "x").unwrap();
        assert_eq!(names(folder.path(), "[bt]*.csv"), ["b.csv", "twin.csv"]);
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
        assert_eq!(names(folder.path(), ""), all);
        assert_eq!(names(folder.path(), "*.csv"), ["b.csv"]);
        assert_eq!(names(folder.path(), "*/c.csv.gz"), ["sub/c.csv.gz"]);
        assert_eq!(names(folder.path(), "**/b.csv"), ["b.csv"]);
        for name in ["latest", "below", "round"] {
            let failure = wanted(&format!("{}*{}", &name[..1], &name[2..])).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::NoInput, "{name}");
            assert!(failure.context("link").unwrap().ends_with(name) && failure.has_hint());
        }
        assert_eq!(wanted("sub/l*").unwrap_err().kind(), ErrorKind::NoInput);
        link("gone.csv", "dangling.csv");
        assert_eq!(wanted("").unwrap_err().kind(), ErrorKind::NoInput);
    }
    #[test]
    fn links_to_folders_above_are_passed_over_and_others_followed() {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        for path in ["far/away/x.csv", "far/y.csv"] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), "x").unwrap();
        }
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, at(name)).unwrap();
        };
        // Above what is read, by several ways; and above the link, outside of what is read.
        link(Path::new(".."), "sub/up");
        link(folder.path(), "sub/deep/top");
        link(Path::new("/"), "sub/deep/root");
        link(&at("far/away"), "sub/far");
        link(Path::new(".."), "far/away/up");
        link(folder.path(), "far/away/top");
        let expected = ["sub/c.csv.gz", "sub/deep/d.csv.zst", "sub/far/x.csv"];
        for path in ["sub", "sub/**/*.*"] {
            assert_eq!(names(folder.path(), path), expected, "{path}");
        }
        assert_eq!(names(folder.path(), "sub/*/?.csv"), ["sub/far/x.csv"]);
        // Who names the link itself means what it leads to.
        assert_eq!(names(folder.path(), "sub/up/*.csv"), ["sub/up/b.csv"]);
    }
}
