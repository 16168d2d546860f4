//! Finds the files of a table on the server: one file, a folder, a pattern, a regular expression.

use std::collections::BTreeMap;
use std::sync::Arc;

use files::archive::{Rules, is_archive, plain};
use files::paths::Pattern;
use files::{Format, Unread};
use globset::{Glob, GlobSet, GlobSetBuilder};
use regex::Regex;
use sftp::{Attributes, FileKind, Name, Server};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::found::Found;
use crate::settings::{Search, TableEntry, TapSftpSettings};

/// No tree of folders that is meant goes deeper.
const DEPTH_MAX: usize = 64;
/// What the paths of so many files may take together, each on average.
const PATH_BYTES_EACH: usize = 1024;
/// How many names are reported when some are refused.
const NAMES_TOLD: usize = 5;

/// Knows which files are those of a table.
#[derive(Debug)]
pub struct Finder {
    search: Search,
    expression: Option<Regex>,
    /// Files of any ending count, for the settings say how they are written.
    any_ending: bool,
    ignored: GlobSet,
    /// The names and patterns of `remote_path` that mean what is ignored elsewhere.
    named: GlobSet,
    /// How paths begin in the program before this one.
    prefix: String,
    names_max: usize,
    ratio_max: u64,
    /// No files are no fault.
    pub may_be_none: bool,
}

/// What a walk has come across.
struct Walk<'a> {
    finder: &'a Finder,
    server: &'a Arc<Server>,
    root: String,
    real_root: Option<Vec<u8>>,
    names: usize,
    /// How long the paths are together.
    path_bytes: usize,
    found: Vec<Found>,
    /// The links among them, and what they lead to.
    links: BTreeMap<String, Vec<u8>>,
    refused: Vec<String>,
    /// Files of a folder whose endings tell no format.
    unread: Unread,
    /// Files are wanted by their endings.
    by_endings: bool,
    /// What is skipped was told before, or will be.
    quiet: bool,
}

impl Finder {
    /// Checks the settings of a table.
    pub fn new(entry: &TableEntry, common: &TapSftpSettings) -> Result<Self> {
        let base = common.user_dir.as_deref().unwrap_or_default();
        let (search, prefix) = match entry.search()? {
            Search::Path(path) => (Search::Path(below(base, &path)), String::new()),
            Search::Prefix(prefix, pattern) => {
                let own = if prefix.is_empty() { ".".to_owned() } else { prefix.clone() };
                (Search::Prefix(below(base, &prefix), pattern), own)
            }
        };
        let expression = match &search {
            Search::Prefix(_, Some(text)) => {
                let read = Regex::new(text).or_kind(ErrorKind::Config, "cannot read the pattern");
                Some(read.with("search_pattern", text)?)
            }
            _ => None,
        };
        let ignored = globs(&common.ignore_patterns)?;
        // What is no pattern by itself, as a part of alternatives, names nothing.
        let is_named = |part: &&str| ignored.is_match(part) && Glob::new(part).is_ok();
        let parts: Vec<&str> = match &search {
            Search::Path(path) => path.split('/').filter(is_named).collect(),
            Search::Prefix(..) => Vec::new(),
        };
        let named = globs(&parts)?;
        Ok(Self {
            search,
            expression,
            any_ending: entry.format.is_some(),
            ignored,
            named,
            prefix,
            names_max: common.max_files,
            ratio_max: common.decompression_ratio_max,
            may_be_none: common.warning_if_no_files,
        })
    }

    /// Returns the files that are there now, sorted by path.
    ///
    /// Fails with `NoInput` when there are none, unless that is no fault.
    pub fn find(&self, server: &Arc<Server>) -> Result<Vec<Found>> {
        let found = self.look(server, false)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let (setting, value) = match &self.search {
            Search::Path(path) => ("remote_path", path.as_str()),
            Search::Prefix(prefix, _) => ("search_prefix", shown(prefix)),
        };
        if self.may_be_none {
            singer::warn!("W-NO-FILE", "no file was found at `{setting}` {value}");
            return Ok(found);
        }
        Err(Error::new(ErrorKind::NoInput, "cannot find a file to read").with(setting, value).hint(
            "check the path, the pattern and `ignore_patterns`; relative paths start at \
             `user_dir`, or at the folder of the login; if there may be no file, set \
             `warning_if_no_files`",
        ))
    }

    /// Returns the files that are there now, be there none, sorted by path; a quiet look does not
    /// tell what is skipped.
    pub fn look(&self, server: &Arc<Server>, quiet: bool) -> Result<Vec<Found>> {
        let mut found = match &self.search {
            Search::Path(path) => self.at(server, path, quiet).with("remote_path", path)?,
            Search::Prefix(prefix, _) => {
                let walk = Walk::new(self, server, prefix, quiet);
                walk.go(usize::MAX, &|_| true).with("search_prefix", shown(prefix))?
            }
        };
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Calls with the rules for the members of archives.
    pub fn with_rules<T>(&self, call: impl FnOnce(&Rules<'_>) -> T) -> T {
        call(&Rules {
            members_max: self.names_max,
            ratio_max: self.ratio_max,
            any_ending: self.any_ending,
            ignores: &|part| self.ignores(part),
        })
    }

    /// Tells whether a file of a folder counts by its ending.
    fn takes(&self, path: &str) -> bool {
        self.any_ending || Format::of(path).is_some() || is_archive(path)
    }

    /// Tells whether the expression is found in a path below the root: as the path is, or as the
    /// program before this one has it.
    fn is_found(&self, root: &str, path: &str) -> bool {
        let Some(expression) = &self.expression else { return true };
        let below = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
        expression.is_match(path) || expression.is_match(&format!("{}/{below}", self.prefix))
    }

    /// Tells whether a name is skipped.
    pub fn ignores(&self, name: &str) -> bool {
        self.ignored.is_match(name) && !self.named.is_match(name)
    }

    fn at(&self, server: &Arc<Server>, path: &str, quiet: bool) -> Result<Vec<Found>> {
        match server.stat(shown(path)) {
            Ok(attributes) if attributes.kind == FileKind::Folder => {
                let walk = Walk::new(self, server, path, quiet);
                let walk = Walk { by_endings: true, ..walk };
                walk.go(usize::MAX, &|path| self.takes(path))
            }
            // To open a pipe would wait for its writer.
            Ok(attributes) if attributes.kind != FileKind::File => {
                Err(Error::new(ErrorKind::Config, "cannot read a path that is not a regular file"))
            }
            Ok(attributes) => Ok(vec![Found { path: path.to_owned(), attributes }]),
            Err(failure) if failure.kind() == ErrorKind::NoInput && Pattern::is_one(path) => {
                let pattern = Pattern::new(path)?;
                let walk = Walk::new(self, server, &pattern.base, quiet);
                match walk.go(pattern.depth, &|path| pattern.is_match(path)) {
                    Err(failure) if failure.kind() == ErrorKind::NoInput => Ok(Vec::new()),
                    found => found,
                }
            }
            Err(failure) if failure.kind() == ErrorKind::NoInput && self.may_be_none => {
                Ok(Vec::new())
            }
            Err(failure) => Err(failure),
        }
    }
}

impl<'a> Walk<'a> {
    fn new(finder: &'a Finder, server: &'a Arc<Server>, root: &str, quiet: bool) -> Self {
        Self {
            finder,
            server,
            root: root.to_owned(),
            real_root: None,
            names: 0,
            path_bytes: 0,
            found: Vec::new(),
            links: BTreeMap::new(),
            refused: Vec::new(),
            unread: Unread::default(),
            by_endings: false,
            quiet,
        }
    }

    /// Walks through the folder; returns the files that are wanted.
    fn go(mut self, depth: usize, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Found>> {
        let names_max = self.finder.names_max;
        let root = self.root.clone();
        let wanted = |path: &str| self.finder.is_found(&root, path) && wanted(path);
        let mut folders = vec![(self.root.clone(), 1)];
        while let Some((folder, level)) = folders.pop() {
            let names = match self.server.list(shown(&folder), names_max - self.names) {
                // It was there a moment ago.
                Err(failure) if failure.kind() == ErrorKind::NoInput && level > 1 => continue,
                names => names?,
            };
            for name in names {
                self.names += 1;
                let Some((path, kind)) = self.meet(&folder, &name, &wanted)? else { continue };
                if kind != FileKind::Folder {
                    continue;
                }
                if level >= DEPTH_MAX {
                    let message = "cannot read folders that are nested this deep";
                    return Err(Error::new(ErrorKind::Config, message).with("path", path));
                }
                if level < depth {
                    folders.push((path, level + 1));
                }
            }
            if self.names >= names_max || self.path_bytes / PATH_BYTES_EACH > names_max {
                let message = "cannot search this many files";
                return Err(Error::new(ErrorKind::Config, message)
                    .with("max_files", names_max)
                    .hint("name a smaller folder, or raise `max_files`"));
            }
        }
        self.tell_refused();
        if !self.quiet {
            self.unread.tell(
                shown(&self.root),
                "to read such a file, set its path in an entry, or a pattern for its ending",
            );
        }
        self.once()?;
        Ok(self.found)
    }
}

impl Walk<'_> {
    /// Takes an entry of a folder; returns its path and kind unless it is to be skipped.
    fn meet(
        &mut self,
        folder: &str,
        name: &Name,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<Option<(String, FileKind)>> {
        let Some(text) = plain(&name.name) else {
            let escaped = name.name.escape_ascii().to_string();
            self.refused.push(below(folder, &escaped));
            return Ok(None);
        };
        if self.finder.ignores(text) {
            tracing::debug!("skipping {}", below(folder, text));
            return Ok(None);
        }
        let path = below(folder, text);
        self.path_bytes += path.len();
        let attributes = name.attributes;
        match attributes.kind {
            FileKind::File if wanted(&path) => {
                self.found.push(Found { path: path.clone(), attributes });
            }
            FileKind::Link if wanted(&path) => self.follow(&path)?,
            FileKind::Link => self.pass_over_folder(&path)?,
            FileKind::Other if wanted(&path) => self.not_read(&path, "it is not a regular file"),
            // By a pattern or an expression it was left out on purpose.
            FileKind::File if self.by_endings => {
                let below = path.strip_prefix(&self.root).unwrap_or(&path);
                self.unread.note(below.trim_start_matches('/'));
            }
            _ => {}
        }
        Ok(Some((path, attributes.kind)))
    }

    /// Takes the file that a link leads to, if it lies below the root. Folders are not followed:
    /// what lies in them would come twice, or without end.
    fn follow(&mut self, path: &str) -> Result<()> {
        let attributes = match self.server.stat(path) {
            Ok(attributes) => attributes,
            Err(failure) if matches!(failure.kind(), ErrorKind::NoInput | ErrorKind::Denied) => {
                self.dead(path, "the link leads to a file that cannot be read");
                return Ok(());
            }
            // A circle of links, as some servers call it.
            Err(failure) if failure.kind() == ErrorKind::Unavailable => {
                self.dead(path, "the link leads to nothing");
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        if attributes.kind != FileKind::File {
            self.not_read(path, "the target of the link is not a regular file");
            return Ok(());
        }
        let target = self.server.real_path(path)?;
        if self.is_inside(&target)? {
            self.found.push(Found { path: path.to_owned(), attributes });
            self.links.insert(path.to_owned(), target);
        } else if !self.quiet {
            let root = shown(&self.root);
            singer::warn!("W-LINK-OUTSIDE", "skipping {path}: the link leads out of {root}");
        }
        Ok(())
    }

    /// Tells of a link to a folder elsewhere: nothing in it is read.
    fn pass_over_folder(&mut self, path: &str) -> Result<()> {
        let is_folder = |attributes: Attributes| attributes.kind == FileKind::Folder;
        if self.quiet || !self.server.stat(path).is_ok_and(is_folder) {
            return Ok(());
        }
        let target = self.server.real_path(path)?;
        if !self.is_inside(&target)? {
            let root = shown(&self.root);
            singer::warn!(
                "W-LINK-OUTSIDE",
                "skipping {path}: the link leads to a folder outside of {root}"
            );
        }
        Ok(())
    }

    /// Tells whether a real path is the root, or below it.
    fn is_inside(&mut self, target: &[u8]) -> Result<bool> {
        let root = self.real_root()?;
        let rest = target.strip_prefix(root.as_slice());
        let is_below = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"/");
        Ok(rest.is_some_and(|rest| root.ends_with(b"/") || is_below(rest)))
    }

    fn real_root(&mut self) -> Result<Vec<u8>> {
        if let Some(root) = &self.real_root {
            return Ok(root.clone());
        }
        let root = self.server.real_path(shown(&self.root))?;
        Ok(self.real_root.insert(root).clone())
    }

    /// Leaves each file one name, whatever links lead to it: its own, else the first.
    fn once(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        if links.is_empty() {
            return Ok(());
        }
        let root = self.real_root()?;
        let real = |path: &str| {
            let below = path.strip_prefix(self.root.as_str()).unwrap_or(path);
            let mut real = root.strip_suffix(b"/").unwrap_or(&root).to_vec();
            real.push(b'/');
            real.extend_from_slice(below.trim_start_matches('/').as_bytes());
            real
        };
        let own = self.found.iter().filter(|found| !links.contains_key(&found.path));
        let mut names: BTreeMap<Vec<u8>, String> =
            own.map(|found| (real(&found.path), found.path.clone())).collect();
        let mut twice = BTreeMap::new();
        for (link, target) in links {
            if let Some(name) = names.get(&target) {
                twice.insert(link, name.clone());
            } else {
                names.insert(target, link);
            }
        }
        self.found.retain(|found| !twice.contains_key(&found.path));
        for (link, name) in twice.iter().filter(|_| !self.quiet) {
            singer::warn!("W-FILE-TWICE", "skipping {link}: it leads to the same file as {name}");
        }
        Ok(())
    }

    fn not_read(&self, path: &str, why: &str) {
        if !self.quiet {
            singer::warn!("W-FILE-NOT-READ", "skipping {path}: {why}");
        }
    }

    fn dead(&self, path: &str, why: &str) {
        if !self.quiet {
            singer::warn!("W-LINK-DEAD", "skipping {path}: {why}");
        }
    }

    /// Names what was refused.
    fn tell_refused(&self) {
        if !self.refused.is_empty() && !self.quiet {
            let told: Vec<_> = self.refused.iter().take(NAMES_TOLD).map(String::as_str).collect();
            let more = if self.refused.len() > NAMES_TOLD { ", ..." } else { "" };
            singer::warn!(
                "W-FILE-NOT-READ",
                "skipping {} names that are not UTF-8 or contain control characters: {}{more}",
                self.refused.len(),
                told.join(", ")
            );
        }
    }
}

/// Reads patterns of names.
fn globs(patterns: &[impl AsRef<str>]) -> Result<GlobSet> {
    let mut globs = GlobSetBuilder::new();
    for pattern in patterns {
        let glob =
            Glob::new(pattern.as_ref()).or_kind(ErrorKind::Config, "cannot read the pattern");
        globs.add(glob.with("ignore_patterns", pattern.as_ref())?);
    }
    globs.build().or_kind(ErrorKind::Config, "cannot read the patterns")
}

/// Joins a folder and a path below it, without doubled slashes; an absolute path stays.
fn below(folder: &str, path: &str) -> String {
    let joined = joined(folder, path);
    let mut single = String::with_capacity(joined.len());
    for c in joined.chars() {
        if c != '/' || !single.ends_with('/') {
            single.push(c);
        }
    }
    single
}

fn joined(folder: &str, path: &str) -> String {
    let path = if path == "." { "" } else { path.strip_prefix("./").unwrap_or(path) };
    let folder = if folder == "." { "" } else { folder };
    let trimmed = folder.trim_end_matches('/');
    if folder.is_empty() || path.starts_with('/') {
        let kept = path.trim_end_matches('/');
        return if kept.is_empty() { path.to_owned() } else { kept.to_owned() };
    }
    if path.is_empty() {
        return if trimmed.is_empty() { folder.to_owned() } else { trimmed.to_owned() };
    }
    format!("{trimmed}/{}", path.trim_end_matches('/'))
}

/// Returns what a server calls a folder: the one a login lands in has an empty path here.
fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_written() {
        for (folder, path, expected) in [
            ("", "a.csv", "a.csv"),
            (".", "./a.csv", "a.csv"),
            ("", ".", ""),
            ("in/", "a.csv", "in/a.csv"),
            ("/in", "sub/", "/in/sub"),
            ("/in", "", "/in"),
            ("/", "a", "/a"),
            ("/", "", "/"),
            ("in", "/abs", "/abs"),
            ("", "/", "/"),
            ("", "//in//x", "/in/x"),
            ("/in//", "sub//a.csv", "/in/sub/a.csv"),
            ("", "//", "/"),
        ] {
            assert_eq!(below(folder, path), expected, "{folder:?} {path:?}");
        }
    }

    #[test]
    fn names_that_can_be_no_part_of_a_path_are_refused() {
        for name in ["a.csv", "ä b.csv", "..a", "a\\b"] {
            assert_eq!(plain(name.as_bytes()), Some(name));
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"a\nb", b"\x1b[31m", b"caf\xe9.csv", b"a\0"] {
            assert_eq!(plain(name), None, "{name:?}");
        }
    }
}
