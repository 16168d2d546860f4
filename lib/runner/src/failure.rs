//! A failure as it is reported everywhere: exit code, plugin, reason, in one line.

use project::Plugin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::Error;
use singer::error::printable;
use singer::log::reason;
use singer::scrub;

/// How much of a reason is reported.
const REASON_CHARS_MAX: usize = 300;

/// Why a step failed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Failure {
    /// The exit code.
    pub exit: u8,
    /// The plugin that failed, if one did.
    pub plugin: Option<String>,
    /// The reason, in one line. The text of a plugin of another author may contain values of rows.
    pub reason: String,
    /// The reason without the text of plugins of other authors.
    #[serde(skip)]
    pub safe_reason: String,
}

impl Failure {
    /// Makes one of the error that has ended a step with these plugins, or what comes before it.
    pub fn of(failure: &Error, plugins: &[Plugin]) -> Self {
        let plugin = failure.context("plugin");
        let said = plugin.and_then(|name| said(failure, name));
        let is_ours = plugins.iter().any(|one| Some(one.name.as_str()) == plugin && one.is_ours());
        let message = failure.message();
        let with = |said: Option<&str>| match said {
            Some(said) if message == PLUGIN_FAILED => one_line(said),
            Some(said) => one_line(&format!("{message}: {said}")),
            None => one_line(message),
        };
        let signal = failure.context("signal").and_then(|signal| signal.parse::<u8>().ok());
        Self {
            exit: signal.map_or(failure.kind().exit_code(), |signal| 128 + signal),
            plugin: plugin.map(str::to_owned),
            reason: with(said),
            safe_reason: with(said.filter(|_| is_ours)),
        }
    }

    /// Tells it in one line.
    pub fn line(&self) -> String {
        let plugin = self.plugin.as_ref().map_or(String::new(), |name| format!(", {name}"));
        format!("exit {}{plugin}: {}", self.exit, self.reason)
    }
}

/// The message of a failure that says nothing which the plugin does not say itself.
pub(crate) const PLUGIN_FAILED: &str = "a plugin failed";

/// Returns what a plugin has said last: its error, or else its last line.
fn said<'a>(failure: &'a Error, plugin: &str) -> Option<&'a str> {
    let lines = failure.context_pairs().filter(|(key, _)| *key == plugin).map(|(_, line)| line);
    let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().find_map(|line| reason(line));
    error.or_else(|| lines.last().copied())
}

fn one_line(text: &str) -> String {
    printable(&scrub::excerpt(text, REASON_CHARS_MAX)).into_owned()
}

#[cfg(test)]
mod tests {
    use singer::ErrorKind;

    use super::*;

    #[test]
    fn a_failure_is_told_in_one_line() {
        let check = |failure: Error, line: &str, safe: &str| {
            let told = Failure::of(&failure, &[]);
            assert_eq!((told.line().as_str(), told.safe_reason.as_str()), (line, safe));
        };
        let failed = |message: &str| {
            Error::new(ErrorKind::Denied, message).with("plugin", "tap-x").with("exit", 77)
        };
        check(
            failed(PLUGIN_FAILED)
                .with("tap-x", "INFO reading")
                .with("tap-x", "error: tap-x: cannot log in")
                .with("tap-x", "  host: h"),
            "exit 77, tap-x: cannot log in",
            PLUGIN_FAILED,
        );
        check(
            failed("cannot discover the streams of the tap")
                .with("tap-x", "Traceback")
                .with("tap-x", "ValueError: 5 \u{1b}[31m"),
            "exit 77, tap-x: cannot discover the streams of the tap: ValueError: 5 \\u{1b}[31m",
            "cannot discover the streams of the tap",
        );
        let stopped = Error::new(ErrorKind::Temporary, "the run was asked to end");
        let asked = "the run was asked to end";
        check(stopped.with("signal", 15), "exit 143: the run was asked to end", asked);
    }
}
