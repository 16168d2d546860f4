//! What plugins are in a pipeline.

use std::fmt;

/// What a plugin is in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes messages: a tap.
    Extractor,
    /// Reads and writes messages.
    Mapper,
    /// Reads messages: a target.
    Loader,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Extractor, Self::Mapper, Self::Loader];

    /// Returns the key of the project file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Extractor => "extractors",
            Self::Mapper => "mappers",
            Self::Loader => "loaders",
        }
    }

    /// Returns the word in the names of Meltano's variables: `MELTANO_EXTRACT_HOST`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Extractor => "EXTRACT",
            Self::Mapper => "MAP",
            Self::Loader => "LOAD",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key().trim_end_matches('s'))
    }
}
