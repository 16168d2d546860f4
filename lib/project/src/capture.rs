//! Runs a plugin by itself to its end: its whole input, and all that it writes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use singer::log::reason;
use singer::{Error, ErrorKind, Result};

use crate::exit;
use crate::program::Program;

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
pub fn last_words(log: &str) -> Vec<Cow<'_, str>> {
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<Cow<'_, str>> = lines.map(unnamed).collect();
    let from = lines.iter().position(|line| line.starts_with("error: "));
    lines.split_off(from.unwrap_or(lines.len().saturating_sub(12)))
}

/// Returns a line of a plugin's log without the name of its program: the plugin is named beside it.
pub fn unnamed(line: &str) -> Cow<'_, str> {
    match reason(line) {
        Some(message) => format!("error: {message}").into(),
        None => line.into(),
    }
}

/// What an answer may be at most.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Its length.
    pub bytes: usize,
    /// How long it may take.
    pub time: Duration,
    /// Tells whether nobody waits for it any more.
    pub is_over: &'a dyn Fn() -> bool,
}

impl Limits<'_> {
    /// What a plugin says of itself, or would do.
    pub const WORDS: Self =
        Self { bytes: 64 << 20, time: Duration::from_mins(10), is_over: &|| false };
}

/// How often is looked whether an answer is still waited for.
const TICK: Duration = Duration::from_millis(50);

/// So much of a log is kept, its end.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Runs a program to its end and returns what it writes, if that is within limits; else the program
/// is ended.
pub fn output(program: &Program, mut command: Command, limits: &Limits<'_>) -> Result<Output> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| program.not_started(cause))?;
    let end = Instant::now() + limits.time;
    let log = child.stderr.take().map(|log| std::thread::spawn(move || last_of(log)));
    let (sender, answer) = channel();
    if let Some(output) = child.stdout.take() {
        let most = limits.bytes as u64 + 1;
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.take(most).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    let answer = loop {
        match answer.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) if Instant::now() < end && !(limits.is_over)() => {}
            answer => break answer.ok(),
        }
    };
    let mut status = None;
    while answer.as_ref().is_some_and(|bytes| bytes.len() <= limits.bytes)
        && status.is_none()
        && Instant::now() < end
        && !(limits.is_over)()
    {
        status = child.try_wait().map_err(|cause| program.not_started(cause))?;
        if status.is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    if let (Some(stdout), Some(status)) = (&answer, status) {
        // What it has left behind may hold its log open.
        let log = log.filter(|log| {
            let until = Instant::now() + Duration::from_secs(1);
            while !log.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
            log.is_finished()
        });
        let stderr = log.and_then(|log| log.join().ok()).unwrap_or_default();
        return Ok(Output { status, stdout: stdout.clone(), stderr });
    }
    let _ = child.kill();
    let _ = child.wait();
    let failed = |kind, message: &str| Error::new(kind, message).with("plugin", &program.name);
    Err(match answer {
        Some(bytes) if bytes.len() > limits.bytes => {
            failed(ErrorKind::Protocol, "cannot read the answer of the plugin: it is too long")
                .with("bytes at most", limits.bytes)
        }
        _ => failed(ErrorKind::Temporary, "the plugin did not answer in time")
            .with("seconds", limits.time.as_secs()),
    }
    .with("arguments", program.arguments.last().map_or("", String::as_str)))
}

/// Reads a log to its end, and returns the last part of it.
fn last_of(mut log: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut block = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = log.read(&mut block) {
        kept.extend_from_slice(&block[..bytes]);
        if kept.len() > 2 * LOG_BYTES_MAX {
            kept.drain(..kept.len() - LOG_BYTES_MAX);
        }
    }
    kept
}

/// Runs a program with this input.
pub fn run(program: &Program, input: &str) -> Result<Captured> {
    run_within(program, input, &Limits::WORDS)
}

/// Runs a program with this input, within limits.
pub fn run_within(program: &Program, input: &str, limits: &Limits<'_>) -> Result<Captured> {
    let input = file_of(input).map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot make a temporary file").caused_by(cause)
    })?;
    let mut command = program.command();
    command.stdin(Stdio::from(input));
    let output = output(program, command, limits)?;
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
