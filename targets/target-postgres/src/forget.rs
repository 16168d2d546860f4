//! The statements that remove rows of a person: told by `--plan`, and never run by a load.

use pg::failure::sqlstate;
use pg::{Client, quote_ident, quote_literal};
use singer::{Error, ErrorKind, Planned, Result, Stream};

use crate::ask;
use crate::names::TableName;
use crate::settings::Settings;

/// The table is not there.
const NO_TABLE: &str = "42P01";
/// The server has no such comparison for the type of the column.
const NO_OPERATOR: &str = "42883";

/// Returns the statements that remove the rows of a stream which `forget_rows` names, and how many
/// rows those are. The server is asked, so that a value which does not fit its column is known
/// before anything is removed. No statement where the settings do not name the stream, or the
/// database has no table of it.
pub fn plan(
    client: &mut Client,
    settings: &Settings,
    stream: &Stream,
    name: &TableName,
) -> Result<Planned> {
    let mut planned =
        Planned { stream: stream.name.clone(), steps: Vec::new(), schema: None, rows: None };
    let Some(columns) = settings.forget_rows.get(&stream.name) else { return Ok(planned) };
    // The server itself refuses what is more than a plan.
    client.execute("SET default_transaction_read_only = on")?;
    let table = name.sql()?;
    for (column, values) in columns {
        if stream.columns.iter().all(|known| known.name != *column) {
            return Err(Error::new(ErrorKind::Config, "cannot find a column of `forget_rows`")
                .with("stream", &stream.name)
                .with("column", column)
                .hint("the stream has no such column where it is loaded"));
        }
        let column = quote_ident(&pg::shorten_ident(&settings.name_case.of(column)))?;
        let condition = match condition(client, &table, &column, values) {
            Ok(Some(condition)) => condition,
            Ok(None) => continue,
            Err(failure) if sqlstate(&failure) == Some(NO_TABLE) => return Ok(planned),
            Err(failure) => return Err(failure.with("stream", &stream.name)),
        };
        let counted = ask::one(client, &format!("SELECT count(*) FROM {table} WHERE {condition}"));
        *planned.rows.get_or_insert(0) += counted?;
        planned.steps.push(format!("DELETE FROM {table} WHERE {condition}"));
    }
    Ok(planned)
}

/// Returns what finds the rows with one of these values; `None` where no row can have them.
fn condition(
    client: &mut Client,
    table: &str,
    column: &str,
    values: &[String],
) -> Result<Option<String>> {
    let (mut plain, mut others) = (Vec::new(), Vec::new());
    for value in values {
        let literal = quote_literal(value);
        match comparison(client, table, column, &literal)? {
            Some(Comparison::Plain) => plain.push(literal),
            Some(Comparison::Number) => others.push(format!("{column} = {literal}::numeric")),
            Some(Comparison::Text) => others.push(format!("{column}::text = {literal}")),
            None => {}
        }
    }
    match &plain[..] {
        [] => {}
        [one] => others.insert(0, format!("{column} = {one}")),
        several => others.insert(0, format!("{column} IN ({})", several.join(", "))),
    }
    Ok((!others.is_empty()).then(|| others.join(" OR ")))
}

/// How a value is compared with a column.
enum Comparison {
    /// The server reads the text as a value of the column's type.
    Plain,
    /// A number in another form than the type reads, such as 1.0 beside a bigint.
    Number,
    /// The type has no comparison: its text is compared.
    Text,
}

/// Asks the server how a value can be compared with a column; `None` where the column cannot hold
/// it, as a number column cannot hold the hash of a number.
fn comparison(
    client: &mut Client,
    table: &str,
    column: &str,
    literal: &str,
) -> Result<Option<Comparison>> {
    let mut reads = |condition: &str| {
        // No row is read: the server reads the value and chooses the comparison.
        let sql = format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 0");
        match ask::one(client, &sql) {
            Ok(_) => Ok(Ok(())),
            Err(failure) => match sqlstate(&failure) {
                Some(NO_OPERATOR) => Ok(Err(Misfit::Operator)),
                Some(state) if state.starts_with("22") => Ok(Err(Misfit::Value)),
                _ => Err(failure),
            },
        }
    };
    match reads(&format!("{column} = {literal}"))? {
        Ok(()) => Ok(Some(Comparison::Plain)),
        Err(Misfit::Operator) => Ok(Some(Comparison::Text)),
        Err(Misfit::Value) => {
            let number = reads(&format!("{column} = {literal}::numeric"))?;
            Ok(number.is_ok().then_some(Comparison::Number))
        }
    }
}

/// Why a comparison was refused.
enum Misfit {
    /// The type has none.
    Operator,
    /// The value is none of the type.
    Value,
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
