//! The command lines of all programs: their help fits a screen and ends with examples that work,
//! and completions and man pages come from the same definitions.

use std::path::Path;

use serde_json::Value;

use super::tidy::{CONNECTORS, none};
use support::run::{Run, file, ours};
use support::{binaries_dir, folder, root};

/// A help has at most so many lines, of so many columns: that of `chorus` lists all commands.
const LINES_MAX: usize = 48;
const COLUMNS_MAX: usize = 80;

/// Returns the help of a program or of one of its commands.
pub fn help(words: &[String]) -> String {
    ours(&words[0]).args(&words[1..]).args(["--help"]).go().success().text()
}

/// Returns every program, and every command of `chorus`, as words.
pub fn command_lines() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = CONNECTORS.map(|name| vec![name.to_owned()]).into();
    all.extend(commands(vec!["chorus".to_owned()]));
    all
}

fn commands(words: Vec<String>) -> Vec<Vec<String>> {
    let help = help(&words);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A line that goes on from the one before begins further to the right.
    let listed = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    let below = |name: &str| commands([words.clone(), vec![name.to_owned()]].concat());
    let below: Vec<_> = names.filter(|name| *name != "help").flat_map(below).collect();
    [vec![words], below].concat()
}

/// Returns the examples of a help: each a line for a shell.
fn examples(help: &str) -> Vec<String> {
    let (_, below) = help.split_once("\nExamples:\n").unwrap_or_default();
    let parts = below.trim_end().split("  # ").skip(1);
    parts.map(|part| part.lines().skip(1).collect::<Vec<_>>().join("\n")).collect()
}

#[test]
fn every_help_fits_a_screen_and_ends_with_examples() {
    let all = command_lines();
    assert!(all.len() > 24, "{all:?}");
    let mut faults = Vec::new();
    for words in all {
        let (text, name) = (help(&words), words.join(" "));
        if text.lines().count() > LINES_MAX {
            faults.push(format!("{name}: {} lines\n{text}", text.lines().count()));
        }
        let wide = text.lines().filter(|line| line.chars().count() > COLUMNS_MAX);
        faults.extend(wide.map(|line| format!("{name}: wide: {line}")));
        let examples = examples(&text);
        if examples.is_empty() || !examples.iter().all(|line| line.contains(&name)) {
            faults.push(format!("{name}: examples: {examples:?}"));
        }
        let short = ours(&words[0]).args(&words[1..]).args(["-h"]).go().success().text();
        if short != text {
            faults.push(format!("{name}: -h differs from --help"));
        }
    }
    none(&faults);
}

/// Runs each example with programs in place of ours that only read their flags.
#[test]
fn every_example_has_flags_and_settings_that_there_are() {
    let scratch = folder();
    for name in CONNECTORS {
        // `--about` reads the whole command line, and does nothing else.
        let real = binaries_dir().join(name);
        // A pipe may be closed before it is written to: nothing is.
        let line = format!("exec '{}' \"$@\" --about >/dev/null", real.display());
        program(scratch.path(), name, &line);
    }
    let real = binaries_dir().join("chorus");
    // What stands behind the plugin of `invoke` is the plugin's.
    let invoke = format!("[ \"$1\" = invoke ] && exec '{}' invoke --help", real.display());
    let line = format!("{invoke}\nexec '{}' \"$@\" --help", real.display());
    program(scratch.path(), "chorus", &line);
    for name in ["state.json", "bookmark.json", "mail.txt"] {
        file(scratch.path(), name, "{}");
    }
    let path = format!("{}:/usr/bin:/bin", scratch.path().display());
    let mut project = std::fs::read_to_string(root().join("meltano.yml")).unwrap();
    for name in CONNECTORS {
        let path = root().join(format!("plugins/{name}.meltano.yml"));
        project += &std::fs::read_to_string(path).unwrap();
    }
    let mut faults = Vec::new();
    for words in command_lines() {
        for line in examples(&help(&words)) {
            let script = format!("cd '{}'\n{line}", scratch.path().display());
            let run = Run::new("/bin/bash".as_ref()).args(["-o", "pipefail", "-ec", &script]);
            let outcome = run.env("PATH", &path).go();
            if outcome.code != 0 {
                faults.push(format!("{line}: {}", outcome.stderr));
            }
            faults.extend(unknown_settings(&line));
            faults.extend(unknown_names(&line, &project));
        }
    }
    none(&faults);
}

fn program(folder: &Path, name: &str, line: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = file(folder, name, format!("#!/bin/sh\n{line}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns what is set by `--set` in a line, and is no setting of its program.
fn unknown_settings(line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for part in line.split('|') {
        let words: Vec<&str> = part.split_whitespace().collect();
        let set = words.windows(2).filter(|pair| pair[0] == "--set");
        for (name, _) in set.filter_map(|pair| pair[1].split_once('=')) {
            let about = ours(words[0]).args(["--about", "--format", "json"]).go().success().text();
            let about: Value = serde_json::from_str(&about).unwrap();
            if about["settings"]["properties"].get(name).is_none() {
                faults.push(format!("{part}: no setting {name}"));
            }
        }
    }
    faults
}

/// Returns the jobs and plugins in a line of `chorus` that the example project lacks.
fn unknown_names(line: &str, project: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let runs = ["run", "plan", "backfill", "status", "days", "doctor", "check"];
    if words[0] != "chorus" || !words.get(1).is_some_and(|word| runs.contains(word)) {
        return Vec::new();
    }
    let names = words[2..].iter().take_while(|word| !word.starts_with('-'));
    let unknown = names.filter(|name| !project.contains(&format!("- name: {name}\n")));
    unknown
        .filter(|name| !project.contains(&format!("- name: {name} ")))
        .map(|name| format!("{line}: {name}"))
        .collect()
}

#[test]
fn completions_are_scripts_that_their_shells_read() {
    let scratch = folder();
    let path = scratch.path().to_string_lossy().into_owned();
    let shells = [("bash", ".bash"), ("zsh", ""), ("fish", ".fish"), ("powershell", ".ps1")];
    for name in CONNECTORS.into_iter().chain(["chorus"]) {
        for (shell, end) in shells {
            let kind = format!("complete-{shell}");
            let text = ours(name).args(["--generate", &kind]).go().success().text();
            assert!(text.contains(name), "{name} {shell}: {text}");
            ours(name).args(["--generate", &kind, "--to", &path]).go().success();
            let start = if shell == "zsh" || shell == "powershell" { "_" } else { "" };
            let written = scratch.path().join(format!("{start}{name}{end}"));
            assert_eq!(std::fs::read_to_string(&written).unwrap(), text, "{name} {shell}");
            let program = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(shell));
            if let Some(program) = program.iter().find(|program| program.is_file()) {
                let read = Run::new(program).args(["-n"]).args([&written]).go().success();
                assert_eq!(read.stderr, "", "{name} {shell}");
            }
        }
    }
    assert!(Path::new("/bin/bash").is_file());
}

/// Completes a line in bash, the last word being the one at the cursor.
fn completed(project: &Path, words: &[&str]) -> Vec<String> {
    let script = "source <(\"$1\" --generate complete-bash)
        name=$1; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        function_of=$(complete -p \"$name\" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
        \"$function_of\" \"$name\" \"${@: -1}\" \"${@: -2:1}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let script = format!("cd '{}'\n{script}", project.display());
    let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
    let run = Run::new("/bin/bash".as_ref()).args(["-c", &script, "bash"]).args(words);
    let outcome = run.env("PATH", path).go().success();
    assert!(!outcome.stderr.contains("error"), "{}", outcome.stderr);
    outcome.text().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_and_the_names_of_a_project() {
    let scratch = folder();
    let meltano = "environments: [{name: dev}, {name: prod}]
jobs: [{name: daily, tasks: [tap-a target-b]}, {name: dawn, tasks: [tap-a target-b]}]
schedules: [{name: night, interval: '@daily', job: daily}]
plugins:
  extractors: [{name: tap-a}, {name: tap-z}]
  mappers: [{name: map-m}]
  loaders: [{name: target-b}]\n";
    file(scratch.path(), "meltano.yml", meltano);
    let project = scratch.path().to_string_lossy().into_owned();
    let (state, text) = ("dev:tap-a-to-target-b", r#"{"singer_state": {}}"#);
    ours("chorus").args(["--project", &project, "state", "set", state, text]).go().success();
    let cases: &[(&[&str], &[&str])] = &[
        (&["tap-csv", "--disc"], &["--discover"]),
        (&["tap-csv", "--de"], &["--deny-warnings"]),
        (&["chorus", "pl"], &["plan"]),
        (&["target-csv", "--inp"], &["--input"]),
        (&["chorus", "back"], &["backfill"]),
        (&["chorus", "run", "--datest"], &["--datestamp"]),
        (&["chorus", "run", "da"], &["daily", "dawn"]),
        (&["chorus", "run", "t"], &["tap-a", "tap-z"]),
        (&["chorus", "run", "tap-a", ""], &["map-m", "target-b"]),
        (&["chorus", "run", "daily", "d"], &["daily", "dawn"]),
        (&["chorus", "schedule", "start", ""], &["night"]),
        (&["chorus", "--environment", "p"], &["prod"]),
        (&["chorus", "check", "t"], &["tap-a", "tap-z", "target-b"]),
        (&["chorus", "logs", ""], &["last"]),
        (&["chorus", "run", "tap-a", "target-b", "--state-id", ""], &[state]),
        (&["chorus", "backfill", "daily", "--only", "failed-"], &["failed-and-before"]),
    ];
    for (words, wanted) in cases {
        let found = completed(scratch.path(), words);
        let found: Vec<&str> = found.iter().map(|word| word.trim_end()).collect();
        assert_eq!(found, *wanted, "{words:?}");
    }
}

#[test]
fn man_pages_render_without_warnings() {
    let scratch = folder();
    let path = scratch.path().to_string_lossy().into_owned();
    for name in CONNECTORS.into_iter().chain(["chorus"]) {
        ours(name).args(["--generate", "man", "--to", &path]).go().success();
        let text = ours(name).args(["--generate", "man"]).go().success().text();
        let written = std::fs::read_to_string(scratch.path().join(format!("{name}.1"))).unwrap();
        assert_eq!(text, written, "{name}");
    }
    let mut pages: Vec<_> = command_lines().iter().map(|words| words.join("-") + ".1").collect();
    let there = std::fs::read_dir(scratch.path()).unwrap();
    let mut there: Vec<_> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    there.sort();
    assert_eq!(there, pages);
    let rendered = |page: &str| {
        // Long words, such as lists of choices, cannot be broken.
        let flags = ["-ww", "-Wbreak", "-man", "-Tutf8", "-P-cbou"];
        let run = Run::new("/usr/bin/groff".as_ref()).args(flags);
        let outcome = run.args([scratch.path().join(page)]).go().success();
        assert_eq!(outcome.stderr, "", "{page}");
        outcome.text()
    };
    for page in &there {
        let text = rendered(page);
        for heading in ["NAME\n", "SYNOPSIS\n", "OPTIONS\n", "EXAMPLES\n"] {
            assert!(text.contains(heading), "{page}: {heading}: {text}");
        }
    }
    let text = rendered("tap-csv.1");
    let parts = ["SETTINGS\n", ".path (string)", "TAP_CSV_<SETTING>", "EXIT STATUS\n"];
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(rendered("chorus.1").contains("chorus-run(1)"));
}

#[test]
fn what_is_generated_is_a_thing_of_its_own() {
    let both = ours("chorus").args(["--generate", "man", "runs"]).go().exits(64);
    assert!(both.stderr.contains("cannot generate and run"), "{}", both.stderr);
    let alone = ours("tap-csv").args(["--to", "x"]).go().exits(64);
    assert!(alone.stderr.contains("--generate"), "{}", alone.stderr);
    let unknown = ours("tap-csv").args(["--generate", "complete-tcsh"]).go().exits(64);
    assert!(unknown.stderr.contains("complete-tcsh"), "{}", unknown.stderr);
    let full = ours("chorus").args(["--generate", "man", "--to", "/dev/null/x"]).go().exits(74);
    assert!(full.stderr.contains("/dev/null/x"), "{}", full.stderr);
    let nothing = ours("chorus").args(["--project", "."]).go().exits(64);
    assert!(nothing.stderr.contains("a command is missing"), "{}", nothing.stderr);
}
