//! Pipelines of processes, and what each of them used.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use singer::{Context, Error, ErrorKind, Result, ResultExt};
use wait4::Wait4;

/// One process of a pipeline.
pub struct Step {
    /// What the tables call it.
    pub name: String,
    /// The process.
    pub command: Command,
}

/// What one process used; with its children, when it waited for them.
#[derive(Clone, Debug)]
pub struct Usage {
    /// What the tables call it.
    pub name: String,
    /// User and system time.
    pub cpu: Duration,
    /// The most memory it held at once.
    pub peak_bytes: u64,
}

/// What one run of a pipeline took.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the start of the first process to the end of the last.
    pub wall: Duration,
    /// Each process.
    pub processes: Vec<Usage>,
    /// User and system time of the server.
    pub server: Duration,
}

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Step {
    /// Describes a process in a clean environment.
    pub fn new(name: &str, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        Self { name: name.to_owned(), command }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, text: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(text);
        self
    }

    /// Adds `--set NAME=VALUE`.
    #[must_use]
    pub fn set(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arg("--set").arg(format!("{name}={value}"))
    }
}

impl Run {
    /// Adds a run that came after this one.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        self.wall += later.wall;
        self.server += later.server;
        for usage in later.processes {
            match self.processes.iter_mut().find(|known| known.name == usage.name) {
                Some(known) => {
                    known.cpu += usage.cpu;
                    known.peak_bytes = known.peak_bytes.max(usage.peak_bytes);
                }
                None => self.processes.push(usage),
            }
        }
        self
    }

    /// Returns the CPU time of all processes but the server's.
    pub fn cpu(&self) -> Duration {
        self.processes.iter().map(|usage| usage.cpu).sum()
    }
}

/// Runs processes joined by pipes; the last one writes to `output`, else to `/dev/null`. Their
/// logs go to files below `scratch`. Fails when one of them does, with the end of its log.
pub fn run(steps: Vec<Step>, output: Option<&Path>, scratch: &Path) -> Result<Run> {
    let count = steps.len();
    let mut running: Vec<Running> = Vec::with_capacity(count);
    let started = Instant::now();
    for (at, step) in steps.into_iter().enumerate() {
        let input = match running.last_mut().and_then(|before| before.child.stdout.take()) {
            Some(pipe) => Stdio::from(pipe),
            None => Stdio::null(),
        };
        let output = match output {
            _ if at + 1 < count => Stdio::piped(),
            Some(path) => Stdio::from(create(path)?),
            None => Stdio::null(),
        };
        match start(step, input, output, scratch) {
            Ok(process) => running.push(process),
            Err(failure) => {
                // Its pipe is gone, so those before it end by themselves.
                for mut process in running {
                    let _ = process.child.wait();
                }
                return Err(failure);
            }
        }
    }
    let mut processes = Vec::with_capacity(count);
    let mut failed = None;
    for process in running {
        let (usage, failure) = process.end()?;
        processes.push(usage);
        // The last one that failed: those before it may only have lost their reader.
        failed = failure.or(failed);
    }
    match failed {
        Some(failure) => Err(failure),
        None => Ok(Run { wall: started.elapsed(), processes, server: Duration::ZERO }),
    }
}

fn start(step: Step, input: Stdio, output: Stdio, scratch: &Path) -> Result<Running> {
    let Step { name, mut command } = step;
    let log = scratch.join(format!("{name}.log"));
    let errors = create(&log)?;
    let child = command.stdin(input).stdout(output).stderr(errors).spawn();
    let child = child
        .or_kind(ErrorKind::NoInput, "cannot start the process")
        .with("program", command.get_program().display())?;
    Ok(Running { name, child, log })
}

impl Running {
    fn end(mut self) -> Result<(Usage, Option<Error>)> {
        let ended = self.child.wait4();
        let ended = ended.or_kind(ErrorKind::Internal, "cannot wait for the process")?;
        let failure = (!ended.status.success()).then(|| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(8)..].join(" / ");
            Error::new(ErrorKind::Internal, "cannot measure: a process failed")
                .with("process", &self.name)
                .with("status", ended.status)
                .with("log", tail)
        });
        let cpu = ended.rusage.utime + ended.rusage.stime;
        Ok((Usage { name: self.name, cpu, peak_bytes: ended.rusage.maxrss }, failure))
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).or_kind(ErrorKind::Io, "cannot create the file").with("path", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Step {
        Step::new(name, Path::new("/bin/sh")).arg("-c").arg(script)
    }

    #[test]
    fn pipes_join_processes_and_each_is_accounted_for() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let steps = vec![shell("one", "echo 1; echo 2"), shell("two", "wc -l")];
        let run = run(steps, Some(&output), folder.path()).unwrap();
        assert_eq!(fs::read_to_string(output).unwrap().trim(), "2");
        let names: Vec<_> = run.processes.iter().map(|usage| usage.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(run.processes.iter().all(|usage| usage.peak_bytes > 0));
    }

    #[test]
    fn a_process_that_fails_fails_the_run_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let steps = vec![shell("one", "echo lost >&2; exit 3"), shell("two", "cat")];
        let failure = run(steps, None, folder.path()).unwrap_err();
        assert_eq!(failure.context("process"), Some("one"));
        assert_eq!(failure.context("log"), Some("lost"));
    }

    #[test]
    fn runs_in_sequence_add_up() {
        let usage = |name: &str, seconds, peak_bytes| Usage {
            name: name.to_owned(),
            cpu: Duration::from_secs(seconds),
            peak_bytes,
        };
        let wall = Duration::from_secs(1);
        let one = Run { wall, processes: vec![usage("a", 1, 5)], server: wall };
        let two = Run { wall, processes: vec![usage("a", 2, 3), usage("b", 4, 1)], server: wall };
        let sum = one.then(two);
        assert_eq!((sum.wall.as_secs(), sum.cpu().as_secs(), sum.server.as_secs()), (2, 7, 2));
        assert_eq!((sum.processes.len(), sum.processes[0].peak_bytes), (2, 5));
    }
}
