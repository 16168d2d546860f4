//! What a setting is for, as its program says: `x-role` in the schema of its settings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::definition::Definition;
use super::entry::Entry;

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
    /// The time from which on a tap reads a stream that it has no bookmark of.
    StartDate,
    /// Options by streams, `custom_where_clauses` among them: conditions in SQL for their rows.
    WhereClauses,
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
            Self::StartDate => "start-date",
            Self::WhereClauses => "where-clauses",
        }
    }
}

/// The roles of settings by which a run takes a part, and the names that they have in most taps of
/// other authors.
const OF_PARTS: [(SettingRole, &str); 2] =
    [(SettingRole::StartDate, "start_date"), (SettingRole::WhereClauses, "stream_options")];

/// Returns which setting of a plugin of another author has which role, by the words of the roles:
/// as the project says in `annotations: {chorus: {roles: {start-date: since}}}`, or else by the
/// usual names, where the project declares or sets them.
pub(super) fn of_others(
    chain: &[Entry<'_>],
    definitions: &[Definition],
    config: &Map<String, Value>,
) -> BTreeMap<String, String> {
    let said = |role: SettingRole| {
        let mut all = chain.iter().flat_map(|entry| [entry.of_environment, entry.own]);
        let named = all.find_map(|one| one["annotations"]["chorus"]["roles"][role.word()].as_str());
        named.map(str::to_owned)
    };
    let is_there = |name: &str| {
        config.contains_key(name) || definitions.iter().any(|known| known.name == name)
    };
    let found = OF_PARTS.into_iter().filter_map(|(role, usual)| {
        let name = said(role).or_else(|| is_there(usual).then(|| usual.to_owned()))?;
        Some((role.word().to_owned(), name))
    });
    found.collect()
}
