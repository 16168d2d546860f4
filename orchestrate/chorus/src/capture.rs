//! Runs a plugin by itself to its end: its whole input, and all that it writes.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::Stdio;

use singer::ErrorKind;

use crate::exit;
use crate::pipeline::Program;
use crate::prepare;

/// How a program has ended.
#[derive(Default)]
pub struct Captured {
    /// Why it failed, if it did; one that could not be started has failed, too.
    pub kind: Option<ErrorKind>,
    /// What it has printed.
    pub output: String,
    /// What it has logged.
    pub log: String,
}

/// Runs a program with this input.
pub fn run(program: &Program, input: &str) -> Captured {
    let unstarted = || Captured { kind: Some(ErrorKind::Config), ..Captured::default() };
    let Ok(input) = file_of(input) else { return unstarted() };
    let mut command = prepare::command(program);
    let Ok(output) = command.stdin(Stdio::from(input)).output() else { return unstarted() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = (!output.status.success()).then(|| exit::kind(output.status));
    Captured { kind, output: text(&output.stdout), log: text(&output.stderr) }
}

/// Puts a text into a file without a name: through a pipe, both sides could wait for each other.
fn file_of(text: &str) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
