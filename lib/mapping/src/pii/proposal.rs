//! What a contract to start from says of a column that may be personal.

use super::{Finding, Kind, Sure};
use crate::contract::{DraftColumn, DraftStream, Logical};

impl Kind {
    /// Returns what it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Mail => "mail address",
            Self::Phone => "phone",
            Self::Iban => "bank account",
            Self::Card => "payment card",
            Self::NetworkAddress => "network address",
            Self::NationalId => "national id",
            Self::BirthDate => "date of birth",
            Self::Address => "postal address",
            Self::Place => "place",
            Self::Gender => "gender",
            Self::Login => "login",
            Self::Secret => "secret",
            Self::Sensitive => "sensitive",
        }
    }

    /// Returns the class that is proposed.
    fn class(self) -> &'static str {
        match self {
            Self::Iban | Self::Card | Self::NationalId | Self::Secret | Self::Sensitive => {
                "restricted"
            }
            _ => "confidential",
        }
    }

    /// Returns the protection that is proposed, for values of a type.
    fn protect(self, logical: Option<Logical>) -> (&'static str, Option<&'static str>) {
        let is_text = logical == Some(Logical::String);
        let is_day = matches!(logical, Some(Logical::Date | Logical::Timestamp));
        match self {
            Self::Mail | Self::Card | Self::Iban if is_text => ("partial", None),
            Self::NetworkAddress if is_text => ("hash", None),
            Self::BirthDate if is_day => ("generalise", Some("year")),
            Self::NationalId | Self::Login | Self::Mail | Self::Card | Self::Iban => ("hash", None),
            _ => ("mask", None),
        }
    }
}

/// Adds class, protection and reason to a column of a contract. A finding that is not sure only
/// adds the reason: a person decides.
pub fn propose(stream: &mut DraftStream, path: &str, finding: &Finding, is_bookmark: bool) {
    let (top, rest) = split(path);
    let Some(column) = stream.columns.iter_mut().find(|column| column.name == top) else {
        return;
    };
    // Elements of arrays are protected with the whole array.
    let whole = rest.is_empty() || path.contains("[]");
    let column = if whole { column } else { part(column, rest) };
    let sure = format!("{:?}", finding.sure).to_lowercase();
    let why = format!("{}? ({sure}: {})", finding.kind.words(), finding.why);
    column.note = Some(match column.note.take() {
        Some(before) => format!("{before}; {why}"),
        None => why,
    });
    if finding.sure == Sure::Low || column.protect.is_some() {
        return;
    }
    column.classification = Some(finding.kind.class());
    if is_bookmark {
        let note = column.note.take().unwrap_or_default();
        column.note = Some(format!("{note}; a replication key cannot be protected"));
        return;
    }
    let (protect, how) = match column.key {
        Some(_) => ("hash", None),
        None if path.contains("[]") => ("mask", None),
        None => finding.kind.protect(column.logical),
    };
    (column.protect, column.generalise) = (Some(protect), how);
}

/// Returns the part of an object, which is added where it is not there.
fn part<'a>(column: &'a mut DraftColumn, path: &str) -> &'a mut DraftColumn {
    column.logical.get_or_insert(Logical::Object);
    let (top, rest) = split(path);
    if column.parts.iter().all(|part| part.name != top) {
        column.parts.push(DraftColumn { name: top.to_owned(), ..DraftColumn::default() });
    }
    let Some(at) = column.parts.iter().position(|part| part.name == top) else { return column };
    let found = &mut column.parts[at];
    if rest.is_empty() { found } else { part(found, rest) }
}

fn split(path: &str) -> (&str, &str) {
    let (top, rest) = path.split_once('.').unwrap_or((path, ""));
    (top.trim_end_matches("[]"), rest)
}
