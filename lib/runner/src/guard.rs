//! A process that outlives this one for a moment: when this one is killed, it ends what this one
//! has started, before a target can take that for the end of its rows.
//!
//! The guard holds a copy of the write end of the target's input, as this process does, and reads
//! a pipe that only this process writes to. The end of that pipe without a word is its cue.

use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use singer::{Error, ErrorKind, Result};

/// The name that the guard runs by. It has none of ours in it: who kills all that has shall not
/// hit it.
pub const NAME: &str = "singer-guard";
/// This program, also when another one was installed over it; systems without it have the path.
const ITSELF: &str = "/proc/self/exe";

/// The guard of a pipeline; it goes when this is dropped.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    words: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard that holds a target's input open.
    pub fn start(held: PipeWriter) -> Result<Self> {
        let there = Some(PathBuf::from(ITSELF)).filter(|path| path.exists());
        let started = there.map_or_else(std::env::current_exe, Ok).and_then(|program| {
            Command::new(program)
                .arg0(NAME)
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(held)
                .stderr(Stdio::null())
                // Out of the reach of what is meant for this process and its group.
                .process_group(0)
                .spawn()
        });
        let mut process = started.map_err(|cause| {
            Error::new(ErrorKind::Temporary, "cannot start the guard of the pipeline")
                .caused_by(cause)
        })?;
        let words = process.stdin.take();
        Ok(Self { process, words })
    }

    /// Names a process group to end.
    pub fn watch(&mut self, group: Pid) {
        self.say(&format!("watch {group}"));
    }

    /// Takes a process group off, as its number may go to others.
    pub fn forget(&mut self, group: Pid) {
        self.say(&format!("forget {group}"));
    }

    /// Lets the target see the end of its input: all of it is there.
    pub fn release(&mut self) {
        self.say("release");
    }

    /// A guard that has died is one that can do nothing.
    fn say(&mut self, word: &str) {
        if let Some(words) = &mut self.words {
            let _ = words.write_all(format!("{word}\n").as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.say("done");
        self.words = None;
        let _ = self.process.wait();
    }
}

/// Tells whether this process was started to be a guard.
pub fn is_wanted() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Waits for the end of the process that started this one.
pub fn main() -> ExitCode {
    // Whoever looks for processes by their name.
    let _ = fs::write("/proc/self/comm", NAME);
    let mut groups: Vec<Pid> = Vec::new();
    let mut words = BufReader::new(std::io::stdin());
    let mut line = String::new();
    let mut released = false;
    loop {
        line.clear();
        let read = words.read_line(&mut line);
        let (word, group) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let group = group.parse().ok().and_then(Pid::from_raw);
        match (word, group) {
            ("watch", Some(group)) => groups.push(group),
            ("forget", Some(group)) => groups.retain(|other| *other != group),
            ("release", _) => {
                let nothing = fs::File::create("/dev/null");
                released = nothing.is_ok_and(|nothing| rustix::stdio::dup2_stdout(nothing).is_ok());
            }
            ("done", _) => return ExitCode::SUCCESS,
            _ if matches!(read, Ok(1..)) => {}
            _ => {
                for group in groups {
                    // It may be gone already.
                    let _ = kill_process_group(group, Signal::KILL);
                }
                if !released {
                    end_readers();
                }
                return ExitCode::SUCCESS;
            }
        }
    }
}

/// Ends who holds the pipe of the target: one that was started, and not named before this guard's
/// parent was killed. It must not see the end of its input, so the pipe is held until it is gone.
fn end_readers() {
    let held = rustix::stdio::stdout();
    let wait = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    let mut ends = [PollFd::new(&held, PollFlags::empty())];
    let Ok(pipe) = fs::read_link("/proc/self/fd/1") else { return };
    // With no reader left, the pipe is broken.
    while matches!(poll(&mut ends, Some(&wait)), Ok(0)) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let number = process.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(number) = number.and_then(Pid::from_raw) else { continue };
            let mut files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
            let holds = files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to == pipe));
            if holds && number != rustix::process::getpid() {
                let _ = kill_process(number, Signal::KILL);
            }
        }
    }
}
