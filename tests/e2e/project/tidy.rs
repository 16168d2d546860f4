//! Rules of the project that a machine can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::root;

/// The connectors, in the order of the documents.
pub const CONNECTORS: [&str; 8] = [
    "tap-api",
    "tap-csv",
    "tap-lake",
    "tap-postgres",
    "tap-sftp",
    "map-streams",
    "target-csv",
    "target-postgres",
];

/// Returns the files git knows, or would on `git add`.
pub fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root())
        .output()
        .expect("git");
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    let paths = names.split_terminator('\0').map(|name| root().join(name));
    paths.filter(|path| path.is_file()).collect()
}

fn ends_with(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|e| extensions.iter().any(|known| e == *known))
}

/// Asserts that there are no faults, and shows those that there are.
#[track_caller]
pub fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} found:\n{}", faults.len(), faults.join("\n"));
}

/// What comes by `tracing` is written as ours, on every level; libraries log by `log`.
#[test]
fn no_library_logs_by_tracing() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let users: Vec<&str> =
        lock.split("[[package]]").filter(|package| package.contains("\n \"tracing\",\n")).collect();
    assert!(users.iter().any(|package| package.contains("name = \"singer\"")));
    let libraries = users.iter().filter(|package| package.contains("\nsource = "));
    none(&libraries.map(|package| (*package).to_owned()).collect::<Vec<_>>());
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/e2e/main.rs")).unwrap();
    let mut modules = BTreeSet::new();
    let mut folder = "";
    for line in main.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            folder = name;
        } else if let Some((_, rest)) = line.split_once("mod ") {
            modules.insert(format!("{folder}/{}", rest.trim_end_matches(';')));
        }
    }
    let end_to_end = root().join("tests/e2e");
    let there: BTreeSet<_> = walkdir::WalkDir::new(&end_to_end)
        .min_depth(2)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .map(|path| {
            path.strip_prefix(&end_to_end).unwrap().with_extension("").display().to_string()
        })
        .collect();
    assert_eq!(modules, there);
}

#[test]
fn source_files_keep_the_style() {
    let mut faults = Vec::new();
    for path in files().iter().filter(|path| ends_with(path, &["rs"])) {
        let text = fs::read_to_string(path).unwrap();
        let place = path.strip_prefix(root()).unwrap().display();
        if !text.starts_with("//! ") {
            faults.push(format!("{place}: does not open with a `//!` line of purpose"));
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > 100 {
                faults.push(format!("{place}:{}: longer than 100 columns", at + 1));
            }
            if line.ends_with([' ', '\t']) {
                faults.push(format!("{place}:{}: trailing space", at + 1));
            }
            if ["#[ig", "#[al"].iter().any(|start| line.trim().starts_with(start)) {
                faults.push(format!("{place}:{}: {}", at + 1, line.trim()));
            }
        }
        let vague = ["utils", "common", "helpers", "manager"];
        if vague.contains(&path.file_stem().unwrap().to_str().unwrap()) {
            faults.push(format!("{place}: the name says nothing"));
        }
    }
    none(&faults);
}

/// Programs in any language, tests and scripts alike.
const LINES_MAX: usize = 500;

#[test]
fn no_program_is_long() {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let kind = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if !["rs", "py", "sh"].contains(&kind.as_str()) && !text.starts_with("#!") {
            continue;
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines, at most {LINES_MAX}", path.display()));
        }
        seen.insert(kind);
    }
    let said = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let number = format!("at most {LINES_MAX} lines a file");
    assert!(said.contains(&number), "CONTRIBUTING.md says something else than {number:?}");
    none(&faults);
    assert!(seen.len() >= 3, "{seen:?}");
}

#[test]
fn files_speak_of_the_project_alone() {
    // Written in pieces, so that this file does not find itself.
    let words = [["/work", "/shared"], ["/work", "/main"], ["/root", "/."], ["chat", "gpt"]];
    let mut faults = Vec::new();
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (at, line) in text.to_lowercase().lines().enumerate() {
            if words.iter().any(|word| line.contains(&word.concat())) {
                faults.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn what_a_library_calls_public_can_be_reached() {
    // In a program nothing can, and `pub` says there that other modules use it: so the lint is one
    // of libraries, and not of the workspace.
    let mut faults = Vec::new();
    let libraries = fs::read_dir(root().join("lib")).unwrap();
    for library in libraries.map(|entry| entry.unwrap().path().join("src/lib.rs")) {
        let text = fs::read_to_string(&library).unwrap();
        if !text.contains("\n#![warn(unreachable_pub)]\n") {
            faults.push(format!("{}: lacks #![warn(unreachable_pub)]", library.display()));
        }
    }
    none(&faults);
}

/// Tells whether a word names an entry of the catalogue of faults: a letter and two digits.
fn is_entry(word: &&str) -> bool {
    let digits = word.strip_prefix(|first: char| first.is_ascii_uppercase());
    digits.is_some_and(|rest| rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[test]
fn entries_of_the_catalogue_that_tests_name_are_there() {
    let catalogue = fs::read_to_string(root().join("tests/FAULTS.md")).unwrap();
    let entries: BTreeSet<_> = catalogue
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(is_entry)
        .collect();
    assert!(entries.len() > 200, "{entries:?}");
    let (mut faults, mut named) = (Vec::new(), 0);
    for path in files().iter().filter(|path| ends_with(path, &["rs"])) {
        let text = fs::read_to_string(path).unwrap();
        let head = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        if !head.contains("catalogue") {
            continue;
        }
        for word in head.split(|c: char| !c.is_alphanumeric()).filter(is_entry) {
            named += 1;
            if !entries.contains(word) {
                faults.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(named > 10, "{named}");
    none(&faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for path in files().iter().filter(|path| ends_with(path, &["md"])) {
        let text = fs::read_to_string(path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let local = !file.is_empty() && !file.contains("://");
            if local && !path.parent().unwrap().join(file).exists() {
                faults.push(format!("{}: {target}", path.display()));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_tests_that_the_reliability_page_names_are_there() {
    let page = fs::read_to_string(root().join("tests/RELIABILITY.md")).unwrap();
    let sources: Vec<_> = files().into_iter().filter(|path| ends_with(path, &["rs"])).collect();
    let mut faults = Vec::new();
    for (modules, test) in page.split('`').filter_map(|text| text.rsplit_once("::")) {
        let of_module = |path: &&PathBuf| {
            modules.split("::").any(|module| path.file_stem().is_some_and(|stem| stem == module))
        };
        let function = format!("fn {test}() {{");
        let has = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(&function);
        if !sources.iter().filter(of_module).any(has) {
            faults.push(format!("{modules}::{test}"));
        }
    }
    none(&faults);
}

#[test]
fn who_runs_connectors_knows_them_as_programs() {
    // How targets of others name the folder that they write below.
    let conventions = root().join("lib/runner/src/foreign.rs");
    // A check of contracts is a pipeline of two of ours, whatever the project has.
    let started = root().join("lib/runner/src/own_programs.rs");
    // What the sources and the target of a config.yaml are in a project: settings of plugins.
    let translation = root().join("lib/project/src/plain/made.rs");
    let mut words = CONNECTORS.map(|name| format!("\"{name}\"")).to_vec();
    let settings = ["output_path", "destination_path", "file_naming_scheme", "\"manifest_sha256\""];
    words.extend(settings.map(str::to_owned));
    words.push("[\"files\"].is_object()".to_owned());
    let mut faults = Vec::new();
    for folder in ["lib/project/src", "lib/runner/src", "orchestrate/chorus/src"] {
        let mine = |path: &PathBuf| path.starts_with(root().join(folder));
        let sources: Vec<_> = files().into_iter().filter(mine).collect();
        assert!(!sources.is_empty(), "{folder}");
        let known = [&conventions, &started, &translation];
        for path in sources.iter().filter(|path| !known.contains(path)) {
            let text = fs::read_to_string(path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap().lines().enumerate();
            let code = product.filter(|(_, line)| !line.trim_start().starts_with("//"));
            for (at, line) in code {
                if words.iter().any(|word| line.contains(word)) {
                    faults.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn the_architecture_page_is_short() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 150, "{} lines", text.lines().count());
}

#[test]
fn every_folder_of_a_connector_is_in_the_list() {
    let folders =
        ["taps", "mappers", "targets"].map(|kind| fs::read_dir(root().join(kind)).unwrap());
    let names = folders.into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(names, CONNECTORS.map(str::to_owned).into());
}
