//! Streams and columns that a source has and the user may not read.
//!
//! The rule: a tap tells of those that a run would read, and of no others. `chorus`, which knows
//! what `select` selects, asks for all of them in the catalog and tells of them itself.

use serde::{Deserialize, Serialize};

/// The member of a catalog that lists them.
pub const MEMBER: &str = "unreadable";
/// The variable that asks for them there, in place of warnings.
pub const VARIABLE: &str = "UNREADABLE_TO_CATALOG";
/// So many names, and statements, are in a message.
const SHOWN_MAX: usize = 5;

/// A stream or a column that the user may not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unreadable {
    /// The stream.
    pub tap_stream_id: String,
    /// What the source calls it, such as `public.orders`.
    pub name: String,
    /// The column; none where it is the whole stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// It lies where the user may look at nothing: only who names it is told of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_closed: bool,
    /// The statements that give the right.
    pub grants: Vec<String>,
}

/// Tells whether the program that asks for a catalog wants them in it.
pub(crate) fn belong_to_catalog() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| value == "1")
}

/// Warns of them.
pub(crate) fn warn(all: &[Unreadable]) {
    let all: Vec<Unreadable> = all.iter().filter(|one| !one.is_closed).cloned().collect();
    let all = all.as_slice();
    if let Some(text) = of_streams(all) {
        crate::warn!("W-TABLE-NOT-READABLE", "{text}");
    }
    for text in of_columns(all) {
        crate::warn!("W-COLUMN-NOT-READABLE", "{text}");
    }
}

/// Says which streams are left out, and how to have them read.
#[must_use]
pub fn of_streams(all: &[Unreadable]) -> Option<String> {
    let whole: Vec<&Unreadable> = all.iter().filter(|one| one.column.is_none()).collect();
    if whole.is_empty() {
        return None;
    }
    let names: Vec<&str> = whole.iter().take(SHOWN_MAX).map(|one| one.name.as_str()).collect();
    Some(format!(
        "tables left out because the user may not read them ({}): {}{}; run as their owner: {}",
        whole.len(),
        names.join(", "),
        if whole.len() > SHOWN_MAX { ", ..." } else { "" },
        statements(&whole)
    ))
}

/// Says which columns are left out, for each of their streams, and how to have them read.
#[must_use]
pub fn of_columns(all: &[Unreadable]) -> Vec<String> {
    let columns: Vec<&Unreadable> = all.iter().filter(|one| one.column.is_some()).collect();
    let of_one = columns.chunk_by(|one, next| one.tap_stream_id == next.tap_stream_id);
    let text = |some: &[&Unreadable]| {
        let names: Vec<&str> = some.iter().filter_map(|one| one.column.as_deref()).collect();
        format!(
            "columns of {} left out because the user may not read them: {}; run as its owner: {}",
            some.first().map_or("", |one| one.name.as_str()),
            names.join(", "),
            statements(some)
        )
    };
    of_one.map(text).collect()
}

/// Returns the statements for the first of them, each once.
#[must_use]
pub fn statements(some: &[&Unreadable]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for statement in some.iter().take(SHOWN_MAX).flat_map(|one| &one.grants) {
        if !all.contains(&statement.as_str()) {
            all.push(statement);
        }
    }
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, column: Option<&str>) -> Unreadable {
        let grants = vec!["GRANT USAGE".to_owned(), format!("GRANT SELECT ON {name}")];
        let column = column.map(str::to_owned);
        Unreadable {
            tap_stream_id: name.into(),
            name: name.into(),
            column,
            grants,
            is_closed: false,
        }
    }

    #[test]
    fn a_message_has_each_statement_once_and_not_too_many() {
        let text = of_streams(&[one("a", None), one("b", None), one("c", Some("x"))]).unwrap();
        let end =
            "(2): a, b; run as their owner: GRANT USAGE; GRANT SELECT ON a; GRANT SELECT ON b";
        assert!(text.ends_with(end), "{text}");
        let many: Vec<Unreadable> =
            ["a", "b", "c", "d", "e", "f"].map(|name| one(name, None)).into();
        let text = of_streams(&many).unwrap();
        assert!(text.contains("(6): a, b, c, d, e, ...; ") && !text.contains("ON f"), "{text}");
        assert_eq!(of_columns(&many), Vec::<String>::new());
        let columns = [one("a", Some("x")), one("a", Some("y")), one("b", Some("x"))];
        assert_eq!(of_columns(&columns).len(), 2);
        assert_eq!(of_streams(&columns), None);
    }
}
