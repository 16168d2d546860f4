//! `chorus invoke`: one plugin by itself, with this program's input and outputs.

use std::fmt::Write;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use project::{CommandStep, Plugin, Program, Project, Role};
use runner::pipeline::Stop;
use runner::{preflight, prepare};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::{Dump, InvokeArgs};
use crate::commands::pretty;
use crate::signals::Signals;

/// With one of these, a tap reads nothing: it needs no catalog, and may have none yet.
const WITHOUT_CATALOG: [&str; 6] = ["--discover", "--help", "-h", "--version", "--about", "--test"];

/// Runs a plugin or a command of it, or tells what it would be run with; returns its exit code.
pub fn invoke(project: &Project, args: &InvokeArgs) -> Result<ExitCode> {
    let step = CommandStep::find(project, &args.plugin)?;
    if args.list_commands {
        return list(&step.plugin).map(|()| ExitCode::SUCCESS);
    }
    preflight::check_variables(project, &step.plugin)?;
    project.warnings().check()?;
    if let Some(file) = args.dump {
        return dump(project, &step.plugin, file).map(|()| ExitCode::SUCCESS);
    }
    // Its folder goes when the plugin has ended.
    let (program, _folder) = if step.plugin.role.is_of_pipeline() && step.command.is_none() {
        let mut alone = of_pipeline(project, &step.plugin, &args.arguments)?;
        alone.program.arguments.extend_from_slice(&args.arguments);
        let program = std::mem::replace(&mut alone.program, Program::bare(&step.plugin.executable));
        (program, Some(alone))
    } else {
        (step.program(project, &args.arguments)?, None)
    };
    for name in &args.print_var {
        let value = program.variables.iter().find(|(known, _)| known == name);
        print(&format!("{name}={}\n", value.map_or("", |(_, value)| value)))?;
    }
    let status = run(project, &program)?;
    Ok(ExitCode::from(code(status)))
}

/// Makes a tap, a mapper or a target ready.
fn of_pipeline(project: &Project, plugin: &Plugin, more: &[String]) -> Result<prepare::Alone> {
    let needs_none = more.iter().any(|word| WITHOUT_CATALOG.contains(&word.as_str()));
    if plugin.role != Role::Extractor || needs_none {
        return prepare::configured(project, plugin);
    }
    prepare::alone(project, plugin, None, None)
}

/// Runs a program as if it had been started in place of this one.
fn run(project: &Project, program: &Program) -> Result<ExitStatus> {
    let signals = Signals::note(project.warnings());
    let mut command = program.command();
    command.stdin(Stdio::inherit());
    let mut child = command.spawn().map_err(|cause| program.not_started(cause))?;
    let mut sent = None;
    loop {
        let ended = child.try_wait().map_err(|cause| {
            Error::new(ErrorKind::Internal, "cannot wait for the plugin").caused_by(cause)
        })?;
        if let Some(status) = ended {
            return Ok(status);
        }
        let asked = signals.requested().filter(|signal| sent != Some(*signal));
        if let Some(signal) = asked {
            sent = Some(signal);
            hand_on(&child, signal);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to the plugin. What the keys of a terminal send, it has received itself.
fn hand_on(child: &Child, signal: i32) {
    let by_keys = [Signal::INT, Signal::QUIT].iter().any(|key| key.as_raw() == signal);
    if by_keys && std::io::stdin().is_terminal() {
        return;
    }
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(process), Some(signal)) = (process, Signal::from_named_raw(signal)) {
        // It may be gone already.
        let _ = kill_process(process, signal);
    }
}

/// A signal has the code that a shell gives it.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(1)
}

fn list(plugin: &Plugin) -> Result<()> {
    let mut text = String::new();
    for (name, command) in &plugin.commands {
        let name = format!("{}:{name}", plugin.name);
        let told = command.description.as_ref().unwrap_or(&command.arguments);
        let _ = writeln!(text, "{name:<30} {}", singer::error::printable(told));
    }
    if text.is_empty() {
        text = format!("{} has no commands\n", plugin.name);
    }
    print(&text)
}

fn dump(project: &Project, plugin: &Plugin, file: Dump) -> Result<()> {
    let fits = match file {
        Dump::Config => plugin.role.is_of_pipeline(),
        Dump::Catalog => plugin.role == Role::Extractor,
    };
    if !fits {
        return Err(Error::new(ErrorKind::Usage, "the plugin is given no such file")
            .with("plugin", &plugin.name)
            .with("role", plugin.role)
            .hint("`config` is of a tap, a mapper or a target, and `catalog` is of a tap"));
    }
    let value = match file {
        Dump::Config => Value::Object(plugin.config.clone()),
        Dump::Catalog => prepare::catalog(project, plugin)?.0,
    };
    print(&pretty(&value))
}
