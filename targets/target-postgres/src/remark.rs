//! The comment of a column that was made for values which another one does not take (pure).

use pg::quote_literal;

/// Returns the comment of a column that was made for values of this one.
pub fn of(column: &str) -> String {
    format!("target-postgres: values of column {column:?} that its type does not take")
}

/// Returns the statement that gives a column, quoted like its table, the comment.
pub fn statement(table: &str, column: &str, made_for: &str) -> String {
    format!("COMMENT ON COLUMN {table}.{column} IS {}", quote_literal(&of(made_for)))
}
