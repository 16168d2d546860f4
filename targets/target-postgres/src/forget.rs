//! The statements that remove rows of a person: told by `--plan`, and never run by a load.

use pg::{quote_ident, quote_literal};
use singer::{Error, ErrorKind, Result, Stream};

use crate::names::TableName;
use crate::settings::Settings;

/// Returns the statement that removes the rows of a stream which `forget_rows` names; none where it
/// does not name the stream.
pub fn statements(settings: &Settings, stream: &Stream, name: &TableName) -> Result<Vec<String>> {
    let Some(columns) = settings.forget_rows.get(&stream.name) else { return Ok(Vec::new()) };
    let mut statements = Vec::new();
    for (column, values) in columns {
        if stream.columns.iter().all(|known| known.name != *column) {
            return Err(Error::new(ErrorKind::Config, "cannot find a column of `forget_rows`")
                .with("stream", &stream.name)
                .with("column", column)
                .hint("the stream has no such column where it is loaded"));
        }
        let column = quote_ident(&pg::shorten_ident(&settings.name_case.of(column)))?;
        let literals: Vec<String> = values.iter().map(|value| quote_literal(value)).collect();
        let condition = match &literals[..] {
            [] => continue,
            // The server reads the text as a value of the column's type.
            [one] => format!("{column} = {one}"),
            several => format!("{column}::text IN ({})", several.join(", ")),
        };
        statements.push(format!("DELETE FROM {} WHERE {condition}", name.sql()?));
    }
    Ok(statements)
}

/// Refuses to load while rows are to be removed.
pub fn check(settings: &Settings) -> Result<()> {
    if settings.forget_rows.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot load with the setting `forget_rows`").hint(
        "`--plan` prints the statements; `chorus forget --apply` runs them; remove the setting \
         to load",
    ))
}
