//! What a target is asked to do to its tables as a whole: to plan it, and to apply a plan.

use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// The capability of a target that can.
pub const CAPABILITY: &str = "schema-plan";

/// What is wanted of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// They are to be what the streams need, no more and no less.
    #[default]
    Changes,
    /// They are to have what the streams need, and lose nothing.
    Additions,
    /// Those that are missing are to be made.
    Build,
    /// They are to be dropped.
    Drop,
}

impl Aim {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("changes", Self::Changes),
        ("additions", Self::Additions),
        ("build", Self::Build),
        ("drop", Self::Drop),
    ];

    /// Reads its word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, aim)| *aim)
    }

    /// Returns its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, aim)| *aim == self).map_or("changes", |(word, _)| *word)
    }
}

/// What is asked about the tables of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablesAsked {
    /// What is wanted of them.
    pub aim: Aim,
    /// The name of the pipeline that fills them.
    pub pipeline: Option<String>,
}

/// A plan that is to be applied.
#[derive(Clone, Debug)]
pub struct TablesOrder {
    /// The plan, as [`Target::plan_tables`](crate::Target::plan_tables) returned it.
    pub plan: Value,
    /// Whether tables and columns may be dropped.
    pub allow_drop: bool,
}

/// The failure of a target that cannot.
pub(crate) fn unable() -> Error {
    Error::new(ErrorKind::Usage, "cannot plan tables: the target has none")
}
