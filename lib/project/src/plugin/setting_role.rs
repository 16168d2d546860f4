//! What a setting is for, as its program says: `x-role` in the schema of its settings.

/// What a setting is for, where that matters to those who run the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingRole {
    /// The folder that a target writes files below.
    OutputFolder,
    /// The path of a stream's file below it, with placeholders.
    NamingScheme,
    /// The folder of the lake that a tap reads a day of.
    LakeRoot,
    /// The source whose day is written or read.
    Source,
    /// The day that is written or read.
    Datestamp,
}

impl SettingRole {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::OutputFolder => "output-folder",
            Self::NamingScheme => "naming-scheme",
            Self::LakeRoot => "lake-root",
            Self::Source => "source",
            Self::Datestamp => "datestamp",
        }
    }
}
