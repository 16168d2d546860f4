//! What each column of a stream needs on its way from COPY text to a cell.

use pg::convert::{Conversion, NanPolicy, Scratch, is_not_finite};
use pg::copy_text::NULL;
use pg::types::{Mapping, SQL_BASE_DATATYPE};

use singer::{Column, Error, ErrorKind, Result, Rows};

use crate::table::REDISCOVER;

/// How the fields of one column become cells.
enum Step {
    /// The field is the cell.
    Copy,
    /// The field is the cell, unless it has escapes.
    Text,
    /// The field is the cell, unless it is not finite.
    Number,
    /// The field is converted.
    Convert(Conversion),
    /// The field is converted and checked: the catalog says something else than the server.
    Check(Conversion),
}

/// How the rows of a stream become cells; reused for every row.
pub struct RowConverter {
    /// How many rows the server has given.
    pub count: u64,
    steps: Vec<Step>,
    /// Whether most fields are cells as they stand, unless they have escapes.
    copies: bool,
    names: Vec<String>,
    policy: NanPolicy,
    scratch: Scratch,
    checked: Vec<u8>,
}

impl RowConverter {
    /// Compares what the catalog says of each column with what the server has.
    pub fn new(columns: &[Column], mappings: Vec<Mapping>, policy: NanPolicy) -> Result<Self> {
        let steps = columns.iter().zip(mappings).map(|(column, mapping)| {
            let own = Column::new(column.name.clone(), mapping.schema.into());
            check_meaning(column, &own)?;
            Ok(match mapping.conversion {
                other if own.kind != column.kind => Step::Check(other),
                Conversion::Number => Step::Number,
                Conversion::Text => Step::Text,
                other if other.is_copy() => Step::Copy,
                other => Step::Convert(other),
            })
        });
        let steps: Vec<Step> = steps.collect::<Result<_>>()?;
        let copied = steps.iter().filter(|step| !matches!(step, Step::Convert(_) | Step::Check(_)));
        Ok(Self {
            count: 0,
            copies: copied.count() * 2 > steps.len(),
            steps,
            names: columns.iter().map(|column| column.name.clone()).collect(),
            policy,
            scratch: Scratch::default(),
            checked: Vec::new(),
        })
    }

    /// Writes the cells of a row of COPY text, without its newline.
    pub fn write(&mut self, row: &[u8], rows: &mut Rows<'_>) -> Result<()> {
        let whole = if self.copies { rows.text(row) } else { None };
        let escapes = whole.is_some() && has_escapes(row);
        let mut start = 0;
        let mut at = 0;
        for end in memchr::memchr_iter(b'\t', row).chain([row.len()]) {
            let field = &row[start..end];
            let copied = whole.map(|whole| whole + start);
            let copied = copied.filter(|_| !escapes || !has_escapes(field));
            start = end + 1;
            if at == self.steps.len() {
                return Err(wrong_width());
            }
            if let Err(failure) = self.cell(at, field, copied, rows) {
                return Err(match failure.context("column") {
                    Some(_) => failure,
                    None => failure.with("column", &self.names[at]),
                });
            }
            at += 1;
        }
        if at == self.steps.len() { Ok(()) } else { Err(wrong_width()) }
    }

    /// Writes a cell; `copied` is where the batch has the field already, if that has no escapes.
    #[inline]
    fn cell(
        &mut self,
        at: usize,
        field: &[u8],
        copied: Option<usize>,
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        let Self { steps, policy, scratch, checked, .. } = self;
        if field == NULL {
            rows.null();
            return Ok(());
        }
        let as_it_is = |rows: &mut Rows<'_>| match copied {
            Some(start) => rows.within(start, field.len()),
            None => rows.verbatim(field),
        };
        match &steps[at] {
            Step::Copy => as_it_is(rows),
            Step::Text if copied.is_some() => as_it_is(rows),
            Step::Text => {
                rows.write(|out| Conversion::Text.convert(field, *policy, scratch, out))?;
            }
            Step::Number if !is_not_finite(field) => as_it_is(rows),
            Step::Number | Step::Check(Conversion::Number)
                if *policy == NanPolicy::Null && is_not_finite(field) =>
            {
                rows.null();
            }
            Step::Number => {
                rows.write(|out| Conversion::Number.convert(field, *policy, scratch, out))?;
            }
            Step::Convert(conversion) => {
                rows.write(|out| conversion.convert(field, *policy, scratch, out))?;
            }
            Step::Check(conversion) => {
                checked.clear();
                conversion.convert(field, *policy, scratch, checked)?;
                rows.cell(checked)?;
            }
        }
        Ok(())
    }
}

/// Refuses a column whose text would be read as another value. Where a type changed to one whose
/// values do not all fit the schema, those that do not are refused; but the text of bytes is text
/// too, and a time without a zone looks like one in UTC.
fn check_meaning(listed: &Column, own: &Column) -> Result<()> {
    let declared = |column: &Column| {
        let base = column.schema[SQL_BASE_DATATYPE].as_str().or(column.sql_datatype());
        base.unwrap_or_default().to_owned()
    };
    let zoned = |sql: &str| sql.starts_with("time").then(|| sql.contains("with time zone"));
    let (before, now) = (declared(listed), declared(own));
    let both = zoned(&before).zip(zoned(&now));
    let is_other =
        both.is_some_and(|(before, now)| before != now) || listed.is_base16() != own.is_base16();
    // Catalogs of other taps say nothing of types.
    if before.is_empty() || !is_other {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unavailable, "cannot read a column: its type has changed")
        .with("column", &listed.name)
        .with("type in the catalog", before)
        .with("type", now)
        .hint(REDISCOVER))
}

#[inline]
fn has_escapes(text: &[u8]) -> bool {
    memchr::memchr(b'\\', text).is_some()
}

fn wrong_width() -> Error {
    Error::new(
        ErrorKind::Internal,
        "cannot read a row: it has another number of columns than requested",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_that_would_mean_another_value_is_refused() {
        let column = |schema| Column::new("c", schema);
        let check = |before: serde_json::Value, now: serde_json::Value, fine| {
            let seen = check_meaning(&column(before.clone()), &column(now.clone()));
            assert_eq!(seen.is_ok(), fine, "{before} {now}");
        };
        let sql = |name: &str| json!({ "type": "string", "x-sql-datatype": name });
        let hex =
            json!({ "type": "string", "x-sql-datatype": "bytea", "contentEncoding": "base16" });
        let (plain, zoned) =
            (sql("timestamp(3) without time zone"), sql("timestamp with time zone"));
        check(plain.clone(), zoned.clone(), false);
        check(zoned.clone(), plain.clone(), false);
        check(sql("time with time zone[]"), sql("time without time zone[]"), false);
        let of_domain =
            json!({ "x-sql-datatype": "at", "x-sql-base-datatype": plain["x-sql-datatype"] });
        check(of_domain.clone(), zoned, false);
        check(of_domain, sql("timestamp without time zone"), true);
        check(hex.clone(), sql("text"), false);
        check(sql("text"), hex.clone(), false);
        check(hex.clone(), hex.clone(), true);
        check(json!({ "type": "string" }), hex, true);
        check(sql("character varying(3)"), sql("text"), true);
        check(sql("text"), sql("uuid"), true);
    }
}
