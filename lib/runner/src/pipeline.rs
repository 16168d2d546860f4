//! Processes joined by pipes, watched until the last one has ended.
//!
//! A copy of each pipe's write end stays here until the process that writes to it has exited with
//! 0: the reader cannot take the end of a broken process for the end of its rows. When a process
//! fails, all others are ended first; when this one is killed, its guard ends them.

use std::io::{BufRead, BufReader, PipeWriter, Read, pipe};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use project::Program;
use rustix::process::{Pid, Signal, kill_process_group};
use singer::{Error, ErrorKind, Result};

use crate::guard::Guard;

/// How long a process may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// A reader that dies makes its writer fail a moment before it is seen to be gone itself.
const OWN_END: Duration = Duration::from_millis(200);
/// How long output may come after the last process has ended: from what it left behind.
const DRAIN: Duration = Duration::from_secs(1);
/// Longer lines of a log are cut.
const LOG_BYTES_MAX: usize = 1 << 16;
/// Longer states are cut, and refused: no target takes a longer line, unless a setting says so.
pub const STATE_BYTES_MAX: usize = 64 << 20;

/// Who writes more lines than are seen by then waits.
const EVENTS_MAX: usize = 64;

/// What is seen of a running pipeline.
#[derive(Debug)]
pub enum Event {
    /// A process has written a line to its log.
    Log(usize, String),
    /// The target has printed a line, a state, with its end.
    State(Vec<u8>),
    /// A moment has passed.
    Tick,
    /// The end of a process, its log or its output.
    End(End),
}

/// What has ended.
#[derive(Debug)]
pub enum End {
    /// A process.
    Process(usize, ExitStatus),
    /// One of the outputs that are read here.
    Output,
}

/// How a pipeline has ended.
#[derive(Debug)]
pub struct Outcome {
    /// Of each process, how it ended.
    pub statuses: Vec<ExitStatus>,
    /// The process that failed first.
    pub failed: Option<usize>,
    /// The signal that asked this program to end.
    pub stopped: Option<i32>,
}

impl Outcome {
    /// Tells whether all of it was done.
    pub fn is_well(&self) -> bool {
        self.failed.is_none() && self.stopped.is_none()
    }
}

/// Asks for the end of a pipeline from outside.
pub trait Stop: Sync {
    /// Returns the signal that was received, if one was.
    fn requested(&self) -> Option<i32>;
}

struct Running {
    process: usize,
    group: Option<Pid>,
    writer: Option<PipeWriter>,
    status: Option<ExitStatus>,
    /// It was asked to end, so its end is no failure of its own.
    asked: bool,
}

struct Watch<'a> {
    running: Vec<Running>,
    guard: Option<Guard>,
    events: Receiver<Event>,
    outputs: usize,
    failed: Option<usize>,
    /// When the others are asked to end, and when they are made to.
    ask_at: Option<Instant>,
    kill_at: Option<Instant>,
    stopped: Option<i32>,
    stop: &'a dyn Stop,
}

/// Runs the programs, each one's output the next one's input, and tells `seen` what happens.
///
/// Fails when a program cannot be started; none is left running then.
pub fn run(programs: &[Program], stop: &dyn Stop, seen: &mut dyn FnMut(Event)) -> Result<Outcome> {
    let (sender, events) = sync_channel(EVENTS_MAX);
    let mut watch = Watch {
        running: Vec::new(),
        guard: None,
        events,
        outputs: 0,
        failed: None,
        ask_at: None,
        kill_at: None,
        stopped: None,
        stop,
    };
    let started = watch.start(programs, &sender);
    drop(sender);
    if let Err(failure) = started {
        watch.ask_at = Some(Instant::now());
        watch.failed = Some(usize::MAX);
        watch.until_all_have_ended(&mut |_| ());
        return Err(failure);
    }
    watch.until_all_have_ended(seen);
    Ok(Outcome {
        statuses: watch.running.iter().filter_map(|running| running.status).collect(),
        failed: watch.failed,
        stopped: watch.stopped,
    })
}

fn no_pipe(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Temporary, "cannot make a pipe").caused_by(cause)
}

fn wait(process: usize, mut child: Child, sender: SyncSender<Event>) {
    std::thread::spawn(move || {
        // Waiting fails for no child of ours.
        let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0x7f00));
        let _ = sender.send(Event::End(End::Process(process, status)));
    });
}

/// The rest of a line that was cut begins none of its own.
fn log_text(line: &[u8], is_rest: bool) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    if is_rest { format!("... {text}") } else { text.to_owned() }
}

fn read_lines(
    input: impl Read + Send + 'static,
    bytes_max: usize,
    sender: SyncSender<Event>,
    event: impl Fn(&[u8], bool) -> Event + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        let mut is_rest = false;
        loop {
            line.clear();
            match input.by_ref().take(bytes_max as u64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => drop(sender.send(event(&line, is_rest))),
            }
            is_rest = !line.ends_with(b"\n");
        }
        let _ = sender.send(Event::End(End::Output));
    });
}

impl Watch<'_> {
    fn start(&mut self, programs: &[Program], sender: &SyncSender<Event>) -> Result<()> {
        let last = programs.len() - 1;
        let mut pipes = Vec::new();
        for _ in programs {
            pipes.push(pipe().map_err(no_pipe)?);
        }
        let held = match last.checked_sub(1) {
            Some(at) => pipes[at].1.try_clone().map_err(no_pipe)?,
            // A program by itself reads nothing: the guard ends its group alone.
            None => pipe().map_err(no_pipe)?.1,
        };
        self.guard = Some(Guard::start(held)?);
        let mut input = Stdio::null();
        for (at, (program, (reader, writer))) in programs.iter().zip(pipes).enumerate() {
            let kept = if at == last { None } else { Some(writer.try_clone().map_err(no_pipe)?) };
            let mut command = program.command();
            command
                .stdin(std::mem::replace(&mut input, Stdio::null()))
                .stdout(writer)
                .stderr(Stdio::piped())
                .process_group(0);
            let mut child = command.spawn().map_err(|cause| program.not_started(cause))?;
            // The command holds the child's end of the pipe.
            drop(command);
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let (Some(guard), Some(group)) = (&mut self.guard, group) {
                guard.watch(group);
            }
            if let Some(log) = child.stderr.take() {
                self.outputs += 1;
                let event = move |line: &[u8], is_rest| Event::Log(at, log_text(line, is_rest));
                read_lines(log, LOG_BYTES_MAX, sender.clone(), event);
            }
            if at == last {
                self.outputs += 1;
                let event = |line: &[u8], _| Event::State(line.to_vec());
                read_lines(reader, STATE_BYTES_MAX, sender.clone(), event);
            } else {
                input = Stdio::from(reader);
            }
            let running = Running { process: at, group, writer: kept, status: None, asked: false };
            self.running.push(running);
            wait(at, child, sender.clone());
        }
        Ok(())
    }

    fn until_all_have_ended(&mut self, seen: &mut dyn FnMut(Event)) {
        let mut drained_by = None;
        let mut killed = false;
        loop {
            let ended = self.running.iter().all(|running| running.status.is_some());
            if ended && self.outputs == 0 {
                return;
            }
            if ended {
                // What a process has started and left behind holds its outputs: it ends too.
                let now = Instant::now();
                let by = *drained_by.get_or_insert(now + DRAIN);
                if now >= by && killed {
                    return;
                }
                if now >= by {
                    self.signal_all(Signal::KILL);
                    // What was written before that is still to be seen.
                    drained_by = Some(now + DRAIN);
                    killed = true;
                }
            }
            match self.events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::End(End::Process(at, status))) => self.process_ended(at, status),
                Ok(Event::End(End::Output)) => self.outputs -= 1,
                Ok(event) => seen(event),
                Err(RecvTimeoutError::Timeout) => seen(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => self.outputs = 0,
            }
            self.look_for_a_signal();
            self.end_the_others();
        }
    }

    fn process_ended(&mut self, at: usize, status: ExitStatus) {
        let last = self.running.len() - 1;
        // Who is done before its input is has lost rows, whatever it says.
        let writer = at.checked_sub(1).map(|before| self.running[before].status);
        let early = writer.is_some_and(|status| !status.is_some_and(|status| status.success()));
        let Some(running) = self.running.iter_mut().find(|running| running.process == at) else {
            return;
        };
        running.status = Some(status);
        let well = status.success() && !early;
        if well && at < last {
            running.writer = None;
        }
        if let Some(guard) = &mut self.guard {
            if let Some(group) = running.group {
                guard.forget(group);
            }
            if well && at + 1 == last {
                guard.release();
            }
        }
        if well || running.asked {
            return;
        }
        match self.failed {
            None => {
                self.failed = Some(at);
                self.ask_at =
                    Some(Instant::now() + if at < last { OWN_END } else { Duration::ZERO });
            }
            // It ended by itself, right after the one that wrote to it.
            Some(first) if first < at => self.failed = Some(at),
            Some(_) => {}
        }
    }

    fn look_for_a_signal(&mut self) {
        if self.stopped.is_none()
            && let Some(signal) = self.stop.requested()
        {
            self.stopped = Some(signal);
            self.ask_at = Some(Instant::now());
        }
    }

    fn end_the_others(&mut self) {
        let now = Instant::now();
        if self.ask_at.is_some_and(|at| now >= at) {
            self.ask_at = None;
            self.kill_at = Some(now + GRACE);
            self.signal_all(Signal::TERM);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill_at = None;
            self.signal_all(Signal::KILL);
        }
    }

    fn signal_all(&mut self, signal: Signal) {
        for running in &mut self.running {
            running.asked |= running.status.is_none();
            let alive = running.status.is_none() || self.outputs > 0;
            if let Some(group) = running.group.filter(|_| alive) {
                // It may be gone already.
                let _ = kill_process_group(group, signal);
            }
        }
    }
}
