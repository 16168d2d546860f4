//! Runs the pages: their blocks in order, in one shell and one folder, as a reader would.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::book::fixtures::{Fixture, Server, prepare};
use crate::book::pages::{Block, Page, pages};
use crate::project::tidy::none;
use support::example::search_path;
use support::run::Run;

/// In how many shares, each with a server of its own, the pages of a fixture are run at once.
const SHARES: usize = 4;

/// Runs all pages of a fixture.
fn run_pages(fixture: &str) {
    let pages = pages();
    let of_fixture: Vec<_> = pages.iter().filter(|p| p.fixture() == Some(fixture)).collect();
    assert!(!of_fixture.is_empty(), "no page has the fixture {fixture}");
    let faults = std::thread::scope(|scope| {
        let shares = of_fixture.chunks(of_fixture.len().div_ceil(SHARES));
        let running: Vec<_> = shares
            .map(|pages| {
                scope.spawn(move || {
                    let server = Server::default();
                    let faults = pages.iter().filter_map(|p| run_page(p, fixture, &server).err());
                    faults.collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|share| share.join().unwrap()).collect::<Vec<_>>()
    });
    none(&faults);
}

fn run_page(page: &Page, fixture: &str, server: &Server) -> Result<(), String> {
    let fixture = prepare(fixture, server);
    let here = |text: &str| {
        fixture.names.iter().fold(text.to_owned(), |text, (name, here)| text.replace(name, here))
    };
    let outputs = support::folder();
    let mut script = String::from("set -eo pipefail\n");
    for (at, block) in page.blocks.iter().enumerate() {
        script += &lines(at, block, outputs.path(), &here(&block.text));
    }
    let programs: Vec<&Path> = fixture.programs.iter().map(AsRef::as_ref).collect();
    let outcome = shell(&script, &fixture, &programs);
    let said = |at: usize| fs::read_to_string(outputs.path().join(at.to_string()));
    let mut last = None;
    for (at, block) in page.blocks.iter().enumerate() {
        let place = page.place(block);
        if block.has("run") {
            let Ok(said) = said(at) else { break };
            last = Some((place, said));
        } else if block.has("output") {
            let Some((_, said)) = &last else {
                return Err(format!("{place}: no block before it is run"));
            };
            if let Some(line) = missing(&here(&block.text), said) {
                return Err(format!("{place}: the output has no\n{line}\nit is\n{said}"));
            }
        }
    }
    match outcome.code {
        0 => Ok(()),
        code => {
            let (place, said) = last.unwrap_or_default();
            Err(format!("{place}: exit code {code}\n{said}{}", outcome.stderr))
        }
    }
}

/// Returns the lines of the script for a block.
fn lines(at: usize, block: &Block, outputs: &Path, text: &str) -> String {
    let mut lines = String::new();
    if let Some(path) = block.value("file") {
        writeln!(lines, "mkdir -p \"$(dirname '{path}')\"").unwrap();
        writeln!(lines, "cat >'{path}' <<'END_OF_BLOCK'\n{text}END_OF_BLOCK").unwrap();
    } else if block.has("run") {
        writeln!(lines, "exec >'{}' 2>&1\n{text}", outputs.join(at.to_string()).display()).unwrap();
    }
    lines
}

fn shell(script: &str, fixture: &Fixture, programs: &[&Path]) -> support::run::Outcome {
    let script = format!("cd '{}'\n{script}", fixture.folder.display());
    let mut run = Run::new("/bin/bash".as_ref()).args(["-c", &script]);
    for (name, value) in &fixture.variables {
        run = run.env(name, value);
    }
    run.env("PATH", search_path(programs)).patience(Duration::from_mins(10)).go()
}

/// Returns the first line that an output does not have behind those before it; `...` stands for
/// anything within a line.
fn missing<'a>(wanted: &'a str, said: &str) -> Option<&'a str> {
    let mut said = said.lines();
    let wanted = wanted.lines().filter(|line| !["", "..."].contains(&line.trim()));
    wanted.into_iter().find(|line| !said.any(|there| fits(line.trim(), there.trim())))
}

/// Tells whether a line has the parts of a pattern, in this order.
fn fits(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    pattern.split("...").map(str::trim).all(|part| {
        rest.find(part).is_some_and(|at| {
            rest = &rest[at + part.len()..];
            true
        })
    })
}

#[test]
fn pages_about_sales_work() {
    run_pages("sales");
}

#[test]
fn pages_about_the_example_project_work() {
    run_pages("example");
}

#[test]
fn pages_about_an_api_work() {
    run_pages("api");
}

#[test]
fn pages_about_sftp_work() {
    run_pages("sftp");
}

#[test]
fn pages_that_need_nothing_work() {
    run_pages("empty");
}

#[test]
fn outputs_are_compared_line_by_line() {
    assert_eq!(missing("a\n...\nb ... d\n", "x\na\nb c d\n"), None);
    assert_eq!(missing("b\na\n", "a\nb\n"), Some("a"));
    assert_eq!(missing("a ... c\n", "x a b c d\n"), None);
    assert_eq!(missing("c ... a\n", "a b c\n"), Some("c ... a"));
    assert_eq!(missing("a\na\n", "a\n"), Some("a"));
}
