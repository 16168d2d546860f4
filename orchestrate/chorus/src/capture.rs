//! Runs a plugin by itself to its end: its whole input, and all that it writes.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::Stdio;

use singer::{Error, ErrorKind, Result};

use crate::exit;
use crate::pipeline::Program;
use crate::prepare;

/// How a program has ended.
pub struct Captured {
    /// Why it failed, if it did.
    pub failed: Option<ErrorKind>,
    /// How, in words.
    pub exit: String,
    /// What it has printed.
    pub output: String,
    /// What it has logged.
    pub log: String,
}

/// Returns the last lines of a log, from the message of the failure on where it has one.
pub fn last_words(log: &str) -> Vec<&str> {
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<&str> = lines.collect();
    let from = lines.iter().position(|line| line.starts_with("error: "));
    lines.split_off(from.unwrap_or(lines.len().saturating_sub(12)))
}

/// Runs a program with this input.
pub fn run(program: &Program, input: &str) -> Result<Captured> {
    let input = file_of(input).map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot make a temporary file").caused_by(cause)
    })?;
    let mut command = prepare::command(program);
    let output = command.stdin(Stdio::from(input)).output();
    let output = output.map_err(|cause| prepare::not_started(program, cause))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Captured {
        failed: (!output.status.success()).then(|| exit::kind(output.status)),
        exit: exit::words(output.status),
        output: text(&output.stdout),
        log: text(&output.stderr),
    })
}

/// Puts a text into a file without a name: through a pipe, both sides could wait for each other.
fn file_of(text: &str) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
