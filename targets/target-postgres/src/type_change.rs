//! What becomes of a column whose type takes no values of the class that comes (pure).

use singer::Column;

use crate::retype;
use crate::settings::OnTypeChange;
use crate::types::{self, Change, SqlType};

/// Decides how an existing column that is part of no key takes values for which `wanted` would be
/// made.
pub fn change(how: OnTypeChange, column: &Column, existing: &SqlType, wanted: &SqlType) -> Change {
    let fit = types::change(column, existing, wanted);
    // A stream that does not say that its text is a uuid may have any.
    let any_text = existing.is(&["uuid"]) && wanted.is(&["text"]) && !column.is_guess();
    match how {
        OnTypeChange::Refuse => fit,
        _ if fit != Change::Refuse && !any_text => fit,
        OnTypeChange::Widen => widest(existing, wanted).map_or(Change::Refuse, Change::Widen),
        OnTypeChange::AddColumn => Change::Refuse,
    }
}

/// Returns the type that keeps the values of both, where there is one.
pub fn widest(existing: &SqlType, wanted: &SqlType) -> Option<SqlType> {
    const NUMBERS: &[&str] =
        &["smallint", "integer", "bigint", "numeric", "real", "double precision"];
    // A domain says more of its values than its type does.
    let plain = std::ptr::eq(existing.storage(), existing);
    let text = plain && retype::text_of("", existing).is_some();
    let numbers = existing.is(NUMBERS) && wanted.is(NUMBERS);
    text.then(|| SqlType::plain(if numbers { "numeric" } else { "text" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_becomes_what_keeps_both() {
        use OnTypeChange::{AddColumn, Refuse, Widen};
        let check = |schema: &str, existing: &str, expected: [&str; 3]| {
            let column = Column::new("c", serde_json::from_str(schema).unwrap());
            let existing = SqlType::from_server(existing);
            let wanted = types::from_schema(&column, false);
            for (how, expected) in [Refuse, Widen, AddColumn].into_iter().zip(expected) {
                let found = match change(how, &column, &existing, &wanted) {
                    Change::Keep => "keep".to_owned(),
                    Change::Widen(wide) => wide.sql(),
                    Change::Refuse => "refuse".to_owned(),
                };
                assert_eq!(found, expected, "{existing:?} <- {schema} {how:?}");
            }
        };
        let (text, date) = (r#"{"type":"string"}"#, r#"{"type":"string","format":"date"}"#);
        let all = ["refuse", "text", "refuse"];
        check(text, "bigint", all);
        check(text, "numeric(10,2)", all);
        check(text, "boolean", all);
        check(text, "date", all);
        check(text, "timestamp(3) without time zone", all);
        check(date, "integer", all);
        check(r#"{"type":"integer"}"#, "date", all);
        check(r#"{"type":"object"}"#, "boolean", all);
        check(text, "uuid", ["keep", "text", "refuse"]);
        check(r#"{"type":"string","format":"uuid"}"#, "uuid", ["keep"; 3]);
        check(r#"{"type":"string","x-no-values":true}"#, "uuid", ["keep"; 3]);
        check(r#"{"type":"integer"}"#, "text", ["keep"; 3]);
        check(r#"{"type":"number"}"#, "bigint", ["numeric"; 3]);
        check(r#"{"type":"object"}"#, "money", ["refuse"; 3]);
        check(r#"{"type":"boolean"}"#, "bigint[]", ["refuse"; 3]);
    }
}
