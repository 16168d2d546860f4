//! Why an expression cannot be used, or has no value for a row.

use std::ops::Range;

use singer::error::{Error, ErrorKind, printable};

/// What is wrong, and with which part of the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    at: Range<usize>,
    reason: String,
    hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Range<usize>, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner { at, reason: reason.into(), hint: None }))
    }

    /// Makes one whose place is not known yet.
    #[cold]
    pub(crate) fn of(reason: impl Into<String>) -> Self {
        Self::new(0..0, reason)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says where it happened, if that is not known yet.
    #[cold]
    pub(crate) fn within(mut self, at: &Range<usize>) -> Self {
        if self.0.at.is_empty() {
            self.0.at = at.clone();
        }
        self
    }

    /// Returns what is wrong.
    #[cfg(test)]
    pub(crate) fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the failure of an expression that cannot be used, with a caret below its place.
    pub(crate) fn of_expression(self, text: &str) -> Error {
        let before = printable(text.get(..self.0.at.start).unwrap_or_default()).chars().count();
        let part = printable(text.get(self.0.at.clone()).unwrap_or_default()).chars().count();
        let caret = format!("{}{}", " ".repeat(before), "^".repeat(part.max(1)));
        let failure = Error::new(ErrorKind::Config, "cannot use an expression")
            .with("expression", text)
            // As wide as the name above it, so that the caret stands below the place.
            .with("      here", caret)
            .with("reason", self.0.reason);
        match self.0.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Returns the failure of a row for which an expression has no value.
    #[cold]
    pub(crate) fn of_row(self, text: &str) -> Error {
        let failure = Error::new(ErrorKind::Data, "cannot compute the value of an expression")
            .with("expression", text);
        let part = text.get(self.0.at).filter(|part| !part.is_empty() && *part != text);
        let failure = match part {
            Some(part) => failure.with("part", part),
            None => failure,
        };
        let failure = failure.with("reason", self.0.reason);
        match self.0.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
