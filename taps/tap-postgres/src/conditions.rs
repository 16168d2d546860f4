//! The conditions of a stream, `custom_where_clauses`: SQL of the operator, of which all must be
//! true of a row that is read.
//!
//! The rule: each is one expression, and stays within its parentheses; the server says so before
//! the first row of a run. What a read with conditions leaves out is not gone.

use pg::Client;
use singer::{Bookmark, Error, ErrorKind, Result, Rows, Stream};

/// The member of a bookmark that has the conditions of the rows up to it.
const MEMBER: &str = "where";

/// Writes the condition that all of them are true; a comment at the end of one ends with its line.
pub fn all_of(conditions: &[String]) -> String {
    let each = conditions.iter().map(|condition| format!("({condition}\n)"));
    each.collect::<Vec<_>>().join(" AND ")
}

/// Has the server check the conditions of a stream, which is read from this table (quoted).
pub fn check(
    client: &mut Client,
    stream: &Stream,
    table: &str,
    conditions: &[String],
) -> Result<()> {
    let found = client.query("SELECT to_regclass($1)", &[Some(table)])?;
    if found.first().is_none_or(|row| row.get(0).is_none()) {
        // That it is gone is reported when it is read.
        return Ok(());
    }
    // They compute by the settings of the role, as views do.
    client.lend(true)?;
    for condition in conditions {
        // Here a parenthesis too many closes nothing, and there no semicolon ends a statement.
        let alone = format!("SELECT CASE WHEN {condition}\n THEN true END FROM {table} LIMIT 0");
        let filter = all_of(std::slice::from_ref(condition));
        let within = format!("SELECT FROM {table} WHERE {filter} LIMIT 0");
        for sql in [alone, within] {
            client
                .query_by_role(&sql, &[])
                .map_err(|failure| refused(failure, stream, condition))?;
        }
    }
    client.take_back()
}

fn refused(failure: Error, stream: &Stream, condition: &str) -> Error {
    let state = pg::failure::sqlstate(&failure).unwrap_or_default();
    let failure = match state {
        "42501" => failure,
        _ if state.starts_with("42")
            || state.starts_with("22")
            || state.starts_with("0A")
            || state == "08P01" =>
        {
            failure.of_kind(ErrorKind::Config).hint(
                "write one expression that is true or false for a row, such as `status = 'paid'`; \
                 write names of tables and functions as schema.name",
            )
        }
        _ => return failure,
    };
    failure
        .with("setting", "stream_options.custom_where_clauses")
        .with("stream", &stream.id)
        .with("condition", condition)
}

/// Compares the bookmark with the conditions, and has the next one say them.
pub fn remember(stream: &Stream, since: &Bookmark, conditions: &[String], rows: &mut Rows<'_>) {
    if since.is_of_state() {
        tell(stream, since, conditions);
    }
    if !conditions.is_empty() {
        rows.add_to_bookmark(MEMBER, conditions.into());
    }
}

/// Warns where the rows up to the bookmark were read by a condition that is none any more.
fn tell(stream: &Stream, since: &Bookmark, conditions: &[String]) {
    let known = since.value[MEMBER].as_array().into_iter().flatten();
    let is_gone = |known: &&serde_json::Value| {
        !conditions.iter().any(|condition| known.as_str() == Some(condition))
    };
    if known.filter(is_gone).count() > 0 {
        singer::warn!(
            "W-CONDITION-CHANGED",
            "stream {}: its `custom_where_clauses` have changed since its bookmark. Rows up to the \
              bookmark that the old clauses left out are not read; to read them, run once without \
             the bookmark",
            stream.name
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_stay_within_their_parentheses() {
        let conditions = ["a = 1 OR b".to_owned(), "c -- why".to_owned()];
        assert_eq!(all_of(&conditions), "(a = 1 OR b\n) AND (c -- why\n)");
    }
}
