//! What plugins are: parts of a pipeline, or programs with commands.

use std::fmt;

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes messages: a tap.
    Extractor,
    /// Reads and writes messages.
    Mapper,
    /// Reads messages: a target.
    Loader,
    /// Changes what is loaded: dbt.
    Transformer,
    /// Any other program.
    Utility,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Extractor, Self::Mapper, Self::Loader, Self::Transformer, Self::Utility];

    /// Tells whether plugins of this role are parts of a pipeline; others have commands.
    pub fn is_of_pipeline(self) -> bool {
        matches!(self, Self::Extractor | Self::Mapper | Self::Loader)
    }

    /// Returns the key of the project file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Extractor => "extractors",
            Self::Mapper => "mappers",
            Self::Loader => "loaders",
            Self::Transformer => "transformers",
            Self::Utility => "utilities",
        }
    }

    /// Returns the word for one of them.
    pub fn word(self) -> &'static str {
        match self {
            Self::Utility => "utility",
            _ => self.key().trim_end_matches('s'),
        }
    }

    /// Returns the word in the names of Meltano's variables: `MELTANO_EXTRACT_HOST`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Extractor => "EXTRACT",
            Self::Mapper => "MAP",
            Self::Loader => "LOAD",
            Self::Transformer => "TRANSFORM",
            Self::Utility => "UTILIZE",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
