//! The one error type of the workspace: kind, message, context, hint, source.

use std::fmt;

use crate::scrub::excerpt;

/// So many characters of a name or a text from outside are shown.
const SHOWN_MAX: usize = 4000;

/// What `main` and every fallible call of the workspace return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of a failure: it decides the exit code and whether a rerun helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Wrong flags on the command line (64).
    Usage,
    /// A record or file does not fit its schema (65).
    Data,
    /// A file, table, day or partition is not there (66).
    NoInput,
    /// The peer refused for good: a missing object, an unsupported server (69).
    Unavailable,
    /// A bug of ours (70).
    Internal,
    /// The local disk or a pipe failed (74).
    Io,
    /// Network, timeout, server restart, partition in use: a rerun helps (75).
    Temporary,
    /// The other side broke Singer, or its output ended early (76).
    Protocol,
    /// Credentials, rights, TLS or a host key (77).
    Denied,
    /// A setting is missing or wrong (78).
    Config,
    /// The reader of our output has gone (141); reported by the exit code alone.
    ReaderGone,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Internal,
        Self::Io,
        Self::Temporary,
        Self::Protocol,
        Self::Denied,
        Self::Config,
        Self::ReaderGone,
    ];

    /// Returns the process exit code, from sysexits.h where one fits.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Protocol => 76,
            Self::Denied => 77,
            Self::Config => 78,
            Self::ReaderGone => 141,
        }
    }
}

/// A failure as its reader needs it: what failed, where, why, and what to do.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(String, String)>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    record: Option<Vec<u8>>,
    ends_run: bool,
}

impl Error {
    /// Makes an error; `message` is lower case, without a final period: "cannot open the file".
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            source: None,
            record: None,
            ends_run: false,
        }))
    }

    /// Adds a context line `key: value`, once; never a secret.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        let line = (key.to_owned(), value.to_string());
        if !self.0.context.contains(&line) {
            self.0.context.push(line);
        }
        self
    }

    /// Sets what the reader should do next.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.0.hint = Some(text.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets what rejects may hold of the row that it is about, as JSON. No message shows it.
    #[must_use]
    pub fn showing(mut self, record: Vec<u8>) -> Self {
        self.0.record = Some(record);
        self
    }

    /// Lets it end the run, also where rows may be set aside.
    #[must_use]
    pub fn ending_run(mut self) -> Self {
        self.0.ends_run = true;
        self
    }

    /// Returns what rejects may hold of the row.
    pub(crate) fn record(&self) -> Option<&[u8]> {
        self.0.record.as_deref()
    }

    /// Tells whether it ends the run, also where rows may be set aside.
    pub(crate) fn ends_run(&self) -> bool {
        self.0.ends_run
    }

    /// Returns the class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Replaces the class of the failure.
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns the message without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the text of the cause.
    pub fn cause(&self) -> Option<String> {
        self.0.source.as_ref().map(ToString::to_string)
    }

    /// Returns the text of the first of all causes.
    pub fn root_cause(&self) -> Option<String> {
        let source: &(dyn std::error::Error + 'static) = self.0.source.as_deref()?;
        let causes = std::iter::successors(Some(source), |cause| cause.source());
        causes.last().map(ToString::to_string)
    }

    /// Tells whether a hint is set.
    pub fn has_hint(&self) -> bool {
        self.0.hint.is_some()
    }

    /// Returns the context lines.
    pub fn context_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.context.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns the value of a context line.
    pub fn context(&self, key: &str) -> Option<&str> {
        self.0.context.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Shows no secret, and of long texts the beginning.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| printable(&excerpt(text, SHOWN_MAX)).into_owned();
        f.write_str(&shown(&self.0.message))?;
        for (key, value) in &self.0.context {
            write!(f, "\n  {key}: {}", shown(value))?;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> =
            self.0.source.as_deref().map(|source| source as _);
        while let Some(source) = cause {
            write!(f, "\n  caused by: {}", shown(&source.to_string()))?;
            cause = source.source();
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\n  hint: {}", shown(hint))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

/// Escapes characters that control a terminal, break lines or turn the direction of text, so that
/// data in a message cannot forge or colour log lines.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let turns = ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    let controls = |c: char| c.is_control() || turns.iter().any(|range| range.contains(&c));
    if !text.chars().any(controls) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if controls(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

/// Turns foreign errors into ours and adds context on the way up.
pub trait ResultExt<T> {
    /// Wraps the error of another library as the cause of one of ours.
    fn or_kind(self, kind: ErrorKind, message: &str) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> ResultExt<T>
    for std::result::Result<T, E>
{
    fn or_kind(self, kind: ErrorKind, message: &str) -> Result<T> {
        self.map_err(|source| Error::new(kind, message).caused_by(source))
    }
}

/// Adds context to a failure of ours on its way up.
pub trait Context<T> {
    /// Adds a context line when this is a failure.
    fn with(self, key: &str, value: impl fmt::Display) -> Result<T>;
    /// Sets the hint when this is a failure.
    fn hint(self, text: &str) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn with(self, key: &str, value: impl fmt::Display) -> Result<T> {
        self.map_err(|failure| failure.with(key, value))
    }
    fn hint(self, text: &str) -> Result<T> {
        self.map_err(|failure| failure.hint(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_context_causes_and_hint_on_lines_of_their_own() {
        let cause = std::io::Error::from_raw_os_error(2);
        let failure = Error::new(ErrorKind::NoInput, "cannot open the CSV file")
            .with("path", "a\u{1b}[31m\n.csv")
            .caused_by(cause)
            .hint("check `files[0].path`");
        assert_eq!(
            failure.to_string(),
            "cannot open the CSV file\n  path: a\\u{1b}[31m\\n.csv\n  caused by: No such file or \
             directory (os error 2)\n  hint: check `files[0].path`"
        );
        assert_eq!(failure.kind().exit_code(), 66);
    }
}
