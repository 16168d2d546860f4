//! What a job has done when it fails: `on_failure` in `annotations: {chorus: ...}` of the job, a
//! command or an address, which gets a summary as JSON.
//!
//! The summary holds no setting, and no word of a plugin that may be a value of a row. What becomes
//! of it changes nothing of the run.

use std::time::Duration;

use disk::Datestamp;
use http_client::{
    Address, Client, Hints, Method, NetworkSettings, Request, Sender, Signature, Signer,
};
use project::capture::{self, Limits};
use project::{Job, Program, Project, Warning, warning};
use serde::Serialize;
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result, scrub};

use crate::failure::Failure;
use crate::record::RunRecord;

/// How long one try may take.
const SECONDS: u64 = 10;
/// How long to wait before the second try.
const WAIT: Duration = Duration::from_secs(1);

/// What is reported of a failure.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The job, in words.
    pub job: String,
    /// The environment.
    pub environment: Option<String>,
    /// The day, if it is for one.
    pub day: Option<Datestamp>,
    /// The run, if there is one.
    pub run: Option<String>,
    /// The step that has failed.
    pub step: Option<String>,
    /// The exit code.
    pub exit: u8,
    /// The plugin that has failed.
    pub plugin: Option<String>,
    /// Why.
    pub reason: String,
    /// The command that shows more.
    pub command: String,
    /// All of it in one line.
    pub text: String,
}

impl Summary {
    /// Sums up how a run has failed.
    pub fn of_run(record: &RunRecord, step: &str, failure: &Failure) -> Self {
        let (exit, plugin) = (failure.exit, failure.plugin.clone());
        let reason = failure.safe_reason.clone();
        let command = format!("chorus logs {}", record.run);
        let told = Failure { reason: reason.clone(), ..failure.clone() };
        Self {
            job: record.job.clone(),
            environment: record.environment.clone(),
            day: record.datestamp,
            run: Some(record.run.clone()),
            step: Some(step.to_owned()),
            exit,
            plugin,
            reason,
            text: text(&record.job, record.datestamp, &told, &command),
            command,
        }
    }

    /// Sums up a failure that is of no run.
    pub fn of_none(
        project: &Project,
        words: &[String],
        day: Option<Datestamp>,
        failure: &Failure,
    ) -> Self {
        let job = words.join(" ");
        let command = format!("chorus status {job}");
        let reason = failure.safe_reason.clone();
        let told = Failure { reason: reason.clone(), ..failure.clone() };
        Self {
            environment: project.environment_name().map(str::to_owned),
            day,
            run: None,
            step: None,
            exit: failure.exit,
            plugin: failure.plugin.clone(),
            reason,
            text: text(&job, day, &told, &command),
            job,
            command,
        }
    }
}

fn text(job: &str, day: Option<Datestamp>, failure: &Failure, command: &str) -> String {
    let day = day.map_or(String::new(), |day| format!(" for {day}"));
    format!("{job}{day} has failed: {}; {command} shows more", failure.line())
}

/// Who receives the message.
#[derive(Debug)]
enum Hook {
    Command(Vec<String>),
    Address(Address),
}

/// Refuses an `on_failure` of a job that cannot be told of anything.
pub fn check(project: &Project, job: &Job) -> Result<()> {
    hooks(project, &job.words).map(drop)
}

/// Tells those whom the jobs among these words name; returns warnings of what goes wrong with that.
#[must_use]
pub fn tell(project: &Project, words: &[String], summary: &Summary) -> Vec<Warning> {
    let mut warnings = Vec::new();
    // They were looked at before the run began.
    for hook in hooks(project, words).unwrap_or_default() {
        let told = hook.tell(project, summary).or_else(|_| {
            std::thread::sleep(WAIT);
            hook.tell(project, summary)
        });
        if let Err(failure) = told {
            warnings.push(warning!(
                "W-HOOK-FAILED",
                "cannot report the failure by `on_failure` of {}: {}",
                summary.job,
                failure.message()
            ));
        }
    }
    warnings
}

fn hooks(project: &Project, words: &[String]) -> Result<Vec<Hook>> {
    let mut found = Vec::new();
    for word in words {
        let said = &project.of_job(word)["on_failure"];
        if said.is_null() {
            continue;
        }
        let read = read(project, said).map_err(|failure| {
            failure.with("job", word).with("setting", "annotations.chorus.on_failure")
        });
        match read? {
            Some(hook) => found.push(hook),
            None => project.warnings().warn_once(warning!(
                "W-PROJECT-UNUSED",
                "`on_failure` of {word} is left out: one of its variables is not set"
            )),
        }
    }
    Ok(found)
}

/// Reads one; there is none where its variables have no value.
fn read(project: &Project, said: &Value) -> Result<Option<Hook>> {
    let mut missing = std::collections::BTreeSet::new();
    let mut expand = |text: &str| project.variables.expand(text, &mut missing);
    match said {
        Value::String(text) => {
            let address = expand(text);
            if !missing.is_empty() || address.trim().is_empty() {
                return Ok(None);
            }
            address_of(&address).map(Hook::Address).map(Some)
        }
        words => {
            let words = words.as_array().into_iter().flatten().filter_map(Value::as_str);
            let words: Vec<String> = words.map(&mut expand).collect();
            if words.first().is_none_or(String::is_empty) {
                return Err(refuse("cannot run a command without a program"));
            }
            Ok(missing.is_empty().then_some(Hook::Command(words)))
        }
    }
}

/// Reads an address. Who knows it may write to it: it is never shown.
fn address_of(text: &str) -> Result<Address> {
    let behind = text.split_once("://").map_or(text, |(_, rest)| rest);
    if let Some((_, path)) = behind.split_once('/') {
        scrub::learn(path);
    }
    let hint = "write a command as a list, or an address that begins with https://";
    let address = Address::parse(text)
        .map_err(|_| refuse("cannot send a failure to this address").hint(hint))?;
    if address.is_secure() || address.origin().is_loopback() {
        return Ok(address);
    }
    Err(refuse("cannot send a failure to an address without TLS").hint(
        "write https://; http:// is allowed only for this machine, such as \
               http://localhost:9000",
    ))
}

impl Hook {
    fn tell(&self, project: &Project, summary: &Summary) -> Result<()> {
        let body = serde_json::to_value(summary).unwrap_or_default();
        match self {
            Self::Command(words) => run(project, words, &body),
            Self::Address(address) => send(address.clone(), &body),
        }
    }
}

/// Runs a command without a shell, in the folder of the project, with the summary as its input.
fn run(project: &Project, words: &[String], body: &Value) -> Result<()> {
    let Some((executable, arguments)) = words.split_first() else { return Ok(()) };
    let is_path = executable.contains('/');
    let executable = if is_path { project.root.join(executable) } else { executable.into() };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let program = Program {
        name: words[0].clone(),
        executable,
        arguments: arguments.to_vec(),
        variables: variables.collect(),
        folder: project.root.clone(),
    };
    let limits = Limits { bytes: 1 << 20, time: Duration::from_secs(SECONDS), ..Limits::WORDS };
    let ended = capture::run_within(&program, &(body.to_string() + "\n"), &limits);
    let ended = ended.map_err(|failure| {
        let why = match (failure.cause(), failure.kind()) {
            (Some(cause), _) => format!("cannot run its command {}: {cause}", words[0]),
            (None, ErrorKind::Temporary) => format!("its command did not end within {SECONDS} s"),
            (None, _) => "its command printed more than 1 MiB".to_owned(),
        };
        Error::new(failure.kind(), why)
    })?;
    match ended.failed {
        None => Ok(()),
        Some(kind) => Err(Error::new(kind, format!("its command ended with {}", ended.exit))),
    }
}

/// Sends the summary to an address.
fn send(address: Address, body: &Value) -> Result<()> {
    let network = json!({
        "connect_timeout_seconds": SECONDS,
        "read_timeout_seconds": SECONDS,
        "request_timeout_seconds": SECONDS,
        "max_attempts": 1,
        "max_response_bytes": 1 << 20,
    });
    let network: NetworkSettings = serde_json::from_value(network)
        .map_err(|_| Error::new(ErrorKind::Internal, "cannot set up the network"))?;
    let agent = concat!("chorus/", env!("CARGO_PKG_VERSION"));
    let client = Client::new(&network, agent, HINTS, &address, Box::new(Unsigned))?;
    let mut request = Request { method: Method::Post, address, headers: Vec::new(), body: None };
    request.set_body(body);
    client.send(&request, &[202]).map(drop)
}

/// Signs nothing: the address is what lets one write.
#[derive(Debug)]
struct Unsigned;

impl Signer for Unsigned {
    fn signature(&self, _: &dyn Sender) -> Result<Signature> {
        Ok(Signature::default())
    }
}

/// None of them is shown: a warning has the message alone.
const HINTS: Hints = Hints {
    address: "on_failure",
    redirect: "",
    moved: "",
    not_yet: "",
    credentials: "",
    rights: "",
    missing: "",
    request: "",
};

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_tls_or_is_of_this_machine() {
        for (text, fine) in [
            ("https://hooks.example.com/a/b", true),
            ("http://localhost:9000/x", true),
            ("http://127.0.0.9/x", true),
            ("http://[::1]:80/x", true),
            ("http://hooks.example.com/a", false),
            ("http://localhost.example.com/a", false),
            ("http://127.0.0.1.example.com/a", false),
            ("ftp://localhost/x", false),
            ("mail -s failed", false),
            ("https://user:word@example.com/", false),
        ] {
            assert_eq!(address_of(text).is_ok(), fine, "{text}");
        }
    }
}
