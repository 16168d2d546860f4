//! Files of a crate do not import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use support::root;

/// The modules of a crate by their paths (`reader::page`), each with its text.
fn modules(folder: &Path, within: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = match (within, &*name) {
            (within, "mod") => within.to_owned(),
            ("", name) => name.to_owned(),
            (within, name) => format!("{within}::{name}"),
        };
        if path.is_dir() {
            modules(&path, &module, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_no_module(&name) {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            found.insert(module, text);
        }
    }
}

fn is_no_module(name: &str) -> bool {
    matches!(name, "lib" | "main") || name.ends_with("tests") || name == "fuzz"
}

/// Returns the paths that a `use` names below `start`, with its braces opened.
fn paths(text: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split(start).skip(1) {
        open(rest, "", &mut found);
    }
    found
}

/// Reads a tree of paths up to the end of its item.
fn open<'a>(mut rest: &'a str, before: &str, found: &mut Vec<String>) -> &'a str {
    let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':'));
    let (path, tail) = rest.split_at(end.unwrap_or(rest.len()));
    let path = format!("{before}{path}");
    if !tail.starts_with('{') {
        found.push(path);
        return tail;
    }
    rest = &tail[1..];
    loop {
        rest = rest.trim_start_matches([' ', '\n', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let before = rest.len();
        rest = open(rest, &path, found);
        if rest.len() == before {
            return rest;
        }
    }
}

/// Returns the module that a path leads into.
fn module_of(path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut path = path.trim_end_matches(':');
    loop {
        if modules.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// Returns a text without its comments, and without what tests alone import.
fn code_of(text: &str) -> String {
    let (mut code, mut is_of_tests) = (String::new(), false);
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let skipped = is_of_tests && line.starts_with("use ");
        is_of_tests = line == "#[cfg(test)]";
        if !skipped {
            code = code + line + "\n";
        }
    }
    code
}

/// Returns which modules each module imports.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let of = |name: &str, text: &str| {
        let code = code_of(text);
        let mut named = paths(&code, "crate::");
        if let Some((parent, _)) = name.rsplit_once("::") {
            named.extend(paths(&code, "super::").iter().map(|path| format!("{parent}::{path}")));
        }
        let found = named.iter().filter_map(|path| module_of(path, modules));
        found.filter(|module| module != name).collect()
    };
    modules.iter().map(|(name, text)| (name.clone(), of(name, text))).collect()
}

/// Returns the modules that can be reached from themselves.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reaches_itself = |name: &String| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = imports[name].iter().collect();
        while let Some(next) = open.pop() {
            if next == name {
                return true;
            }
            if seen.insert(next) {
                open.extend(&imports[next]);
            }
        }
        false
    };
    imports.keys().filter(|name| reaches_itself(name)).cloned().collect()
}

fn crates() -> Vec<PathBuf> {
    let groups = ["lib", "taps", "mappers", "targets", "orchestrate"];
    let folders = groups.iter().flat_map(|group| fs::read_dir(root().join(group)).unwrap());
    let mut crates: Vec<_> = folders
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .chain([root().join("bench")])
        .collect();
    crates.sort();
    crates
}

#[test]
fn no_crate_has_a_circle_of_imports() {
    let mut faults = Vec::new();
    for folder in crates() {
        let mut found = BTreeMap::new();
        modules(&folder.join("src"), "", &mut found);
        // A program may have its `main.rs` alone.
        let files = fs::read_dir(folder.join("src")).unwrap().count();
        assert!(!found.is_empty() || files == 1, "{}", folder.display());
        let circle = circle(&imports(&found));
        if !circle.is_empty() {
            faults.push(format!("{}: {}", folder.display(), circle.join(", ")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_circle_is_seen_through_braces_and_parents() {
    let check = |texts: &[(&str, &str)], expected: &[&str]| {
        let modules = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        assert_eq!(circle(&imports(&modules.collect())), expected, "{texts:?}");
    };
    check(&[("a", "use crate::b::B;"), ("b", "")], &[]);
    check(
        &[("a", "use crate::b::B;"), ("b", "use crate::{c, a::{self, A}};"), ("c", "")],
        &["a", "b"],
    );
    check(
        &[("a", "fn f() { crate::b::f() }"), ("b", "// crate::a\nuse crate::c::X;"), ("c", "")],
        &[],
    );
    check(&[("a", "use crate::a::b::B;"), ("a::b", "use super::A;")], &["a", "a::b"]);
    check(&[("a", "use crate::b::c::C;"), ("b", "use crate::a;"), ("b::c", "")], &[]);
}
