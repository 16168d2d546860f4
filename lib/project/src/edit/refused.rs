//! Why an edit was not made.

use std::fmt;

use singer::{Error, ErrorKind};

/// An edit that was not made; the text stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason it is: a stable word in capitals.
    pub code: &'static str,
    /// The reason, for people.
    pub message: String,
    /// The line that it is about, from 1.
    pub line: Option<usize>,
}

impl Refused {
    /// Makes one.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), line: None }
    }

    /// Says which line it is about.
    pub(super) fn at_line(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Returns the failure that says the same.
    pub fn into_error(self) -> Error {
        let failure = Error::new(ErrorKind::Config, "cannot edit the YAML file");
        let failure = match self.line {
            Some(line) => failure.with("line", line),
            None => failure,
        };
        let hint = match self.code {
            "NOT_VALID" => "correct the line that is named, then run the command again",
            "THROUGH_ALIAS" | "THROUGH_MERGE" => {
                "change it by hand where its anchor (`&NAME`) stands, or write it out in place of \
                 the alias (`*NAME`); the command changed nothing"
            }
            _ => "edit the file by hand: the command changed nothing",
        };
        failure.with("reason", self.message).with("code", self.code).hint(hint)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
