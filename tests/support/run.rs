//! Our binaries as processes: arguments, settings, pipes, signals, and what came of them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::secrets;

/// No process of a test may take longer, unless it says so: then it hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// How a process ended and what it wrote.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code, or 128 and the signal that ended it, as a shell reports it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A process to be.
pub struct Run {
    command: Command,
    name: String,
    input: Option<Vec<u8>>,
    piped: bool,
    scratch: tempfile::TempDir,
    files: u32,
    patience: Duration,
}

/// A process that runs.
pub struct Running {
    child: Child,
    name: String,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: JoinHandle<String>,
    feeder: Option<JoinHandle<()>>,
    patience: Duration,
    _scratch: tempfile::TempDir,
}

impl Outcome {
    /// Asserts success and returns the outcome.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    /// Asserts the exit code and returns the outcome.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let stdout = self.text();
        let stdout = stdout.get(..4000).unwrap_or(&stdout);
        assert_eq!(self.code, code, "stdout: {stdout}\nstderr: {}", self.complaint());
        self
    }

    /// Returns standard error without the log of what went well.
    pub fn complaint(&self) -> String {
        let lines = self.stderr.lines().filter(|line| !line.contains("| INFO "));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns what stands in quotes in standard error, such as the values that a hint gives.
    pub fn quoted(&self) -> Vec<&str> {
        self.stderr
            .split('"')
            .enumerate()
            .filter_map(|(at, text)| (at % 2 == 1).then_some(text))
            .collect()
    }

    /// Returns standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the lines of standard output behind the first one that starts like this.
    pub fn stdout_lines_after(&self, start: &str) -> Vec<&str> {
        let text = std::str::from_utf8(&self.stdout).unwrap();
        text.lines().skip_while(|line| !line.starts_with(start)).skip(1).collect()
    }

    /// Returns the messages of a tap, parsed.
    pub fn messages(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Returns the records of a stream, parsed.
    pub fn records(&self, stream: &str) -> Vec<Value> {
        let of_stream = |m: &Value| m["type"] == "RECORD" && m["stream"] == stream;
        self.messages().into_iter().filter(of_stream).map(|mut m| m["record"].take()).collect()
    }
}

/// Starts to describe a run of one of our binaries.
pub fn ours(name: &str) -> Run {
    let path = crate::binaries_dir().join(name);
    assert!(path.exists(), "{} is not built: run `make test`", path.display());
    Run::new(&path)
}

/// One of our binaries that signals end also where they are ignored around the tests, as shells do
/// for what runs in the background: children inherit that.
pub fn ours_to_end(name: &str) -> Run {
    let mut run = Run::new(Path::new("/usr/bin/env"));
    name.clone_into(&mut run.name);
    run.args(["--default-signal=HUP,INT,QUIT,TERM"]).args([crate::binaries_dir().join(name)])
}

/// Feeds lines to one of our targets.
pub fn feed(name: &str, config: &Value, lines: &[u8]) -> Outcome {
    ours(name).config(config).input(lines).go()
}

/// Runs two processes in a pipe, like a shell without pipefail, and returns both outcomes.
pub fn pipe(tap: Run, target: Run) -> (Outcome, Outcome) {
    let mut tap = tap.start(false);
    let source = tap.child.stdout.take().unwrap();
    let target = target.start_with(Stdio::from(source), true);
    (tap.wait(), target.wait())
}

/// Runs two processes in a pipe and asserts that both succeed.
#[track_caller]
pub fn pipe_succeeds(tap: Run, target: Run) -> (Outcome, Outcome) {
    let (tap, target) = pipe(tap, target);
    assert!(
        tap.code == 0 && target.code == 0,
        "tap {}: {}\ntarget {}: {}",
        tap.code,
        tap.complaint(),
        target.code,
        target.complaint()
    );
    (tap, target)
}

impl Run {
    /// Describes a run of any program, in a clean environment and a folder of its own.
    pub fn new(program: &Path) -> Self {
        let scratch = crate::folder();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", scratch.path())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(scratch.path());
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        Self { command, name, input: None, piped: false, scratch, files: 0, patience: PATIENCE }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets one setting on the command line.
    pub fn set(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.args([OsString::from("--set"), format!("{name}={value}").into()])
    }

    /// Writes settings to a file and passes it by `--config`.
    pub fn config(self, settings: &Value) -> Self {
        self.json("--config", settings)
    }

    /// Writes a JSON file and passes it by this flag.
    pub fn json(mut self, flag: &str, value: &Value) -> Self {
        self.files += 1;
        let path = self.scratch.path().join(format!("{}.json", self.files));
        std::fs::write(&path, value.to_string()).unwrap();
        self.args([OsStr::new(flag), path.as_os_str()])
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Leaves standard input open, for the caller to write to.
    pub fn piped(mut self) -> Self {
        self.piped = true;
        self
    }

    /// Sets how long the process may take.
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// Sets what comes on standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Runs to the end.
    pub fn go(self) -> Outcome {
        self.start(true).wait()
    }

    /// Runs to the end, and does something once the first of its output is there.
    pub fn go_amid(self, act: impl FnOnce()) -> Outcome {
        let mut running = self.start(false);
        let mut pipe = running.child.stdout.take().unwrap();
        let mut text = vec![0; 100_000];
        pipe.read_exact(&mut text).unwrap();
        act();
        pipe.read_to_end(&mut text).unwrap();
        let mut outcome = running.wait();
        outcome.stdout = text;
        outcome
    }

    /// Starts the process; `collect` reads its output, else the caller takes it.
    pub fn start(self, collect: bool) -> Running {
        let piped = self.input.is_some() || self.piped;
        let stdin = if piped { Stdio::piped() } else { Stdio::null() };
        self.start_with(stdin, collect)
    }

    /// Starts the process with this standard input.
    pub fn start_with(mut self, stdin: Stdio, collect: bool) -> Running {
        let command = self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let stderr = reader(child.stderr.take().unwrap());
        let stdout = collect.then(|| {
            let mut pipe = child.stdout.take().unwrap();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).unwrap();
                bytes
            })
        });
        let feeder = self.input.take().map(|bytes| {
            let mut stdin = child.stdin.take().unwrap();
            // The process may stop reading early: that is for its exit code to tell.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)))
        });
        Running {
            child,
            name: self.name,
            stdout,
            stderr,
            feeder,
            patience: self.patience,
            _scratch: self.scratch,
        }
    }
}

impl Running {
    /// Returns the process, to take its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until a signal has stopped the process for good: a tracer also stops it at each call.
    #[track_caller]
    pub fn wait_until_stopped(&mut self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let end = Instant::now() + PATIENCE;
        let mut stopped = 0;
        while stopped < 20 {
            let text = std::fs::read_to_string(&stat).expect("the process runs");
            let state = text.rsplit(") ").next().unwrap().chars().next();
            stopped = if matches!(state, Some('T' | 't')) { stopped + 1 } else { 0 };
            assert!(Instant::now() < end && state != Some('Z'), "{} never stops", self.name);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops the process; tells whether it was still there to be stopped.
    pub fn stop(&mut self) -> bool {
        self.signal(rustix::process::Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        loop {
            let text = std::fs::read_to_string(&stat).expect("nobody has waited for it");
            match text.rsplit(") ").next().unwrap().chars().next() {
                Some('T' | 't') => return true,
                Some('Z') => return false,
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        drop(self.child.stdin.take());
        let status = self.status();
        if let Some(feeder) = self.feeder {
            feeder.join().unwrap();
        }
        let outcome = Outcome {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap()),
            stdout: self.stdout.map(|reader| reader.join().unwrap()).unwrap_or_default(),
            stderr: self.stderr.join().unwrap(),
        };
        // Whatever a test is about, this must hold.
        assert!(!outcome.stderr.contains("panicked"), "{}: {}", self.name, outcome.stderr);
        secrets::hides(&self.name, &outcome);
        outcome
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > end {
                self.child.kill().unwrap();
                panic!("{} hangs", self.name);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn reader(mut pipe: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Writes a file below a folder, with the folders it needs, and returns its path.
pub fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(&path).unwrap().write_all(bytes.as_ref()).unwrap();
    path
}
