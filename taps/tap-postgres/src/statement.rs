//! The COPY statement of a stream (pure).

use pg::types::{self, Types};
use pg::{quote_ident, quote_literal};
use singer::{Error, ErrorKind, Result};

use crate::catalog::{Attribute, Form};

/// The server knows no larger number of rows.
const ROWS_MAX: u64 = i64::MAX.unsigned_abs();

/// The order of an INCREMENTAL read, and its part.
pub struct Incremental<'a> {
    /// The replication key.
    pub column: &'a Attribute,
    /// Where to start.
    pub start: Option<&'a str>,
    /// The last key to read.
    pub end: Option<&'a str>,
}

/// Writes what is read of a column.
fn printed(column: &Attribute) -> Result<String> {
    let name = quote_ident(&column.name)?;
    Ok(match column.form {
        Form::Plain => name,
        Form::InUtc => format!("{name} AT TIME ZONE 'UTC'"),
        Form::Amount => format!("{name}::pg_catalog.numeric"),
        Form::Amounts => format!("{name}::pg_catalog.numeric[]"),
    })
}

/// Writes the statement; null keys come first, and only where there is no start. `from` is the
/// quoted name.
pub fn copy(
    from: &str,
    columns: &[&Attribute],
    incremental: Option<&Incremental<'_>>,
    limit: Option<u64>,
    types: &Types,
) -> Result<String> {
    let names: Vec<String> = columns.iter().map(|column| printed(column)).collect::<Result<_>>()?;
    let mut filter = String::new();
    let mut order = String::new();
    if let Some(Incremental { column, start, end }) = incremental {
        let name = quote_ident(&column.name)?;
        if let Some(start) = start {
            filter = format!(" WHERE {name} >= {}", literal(start, column, types)?);
        }
        if let Some(end) = end {
            let end = format!("{name} <= {}", literal(end, column, types)?);
            filter = match (start, column.not_null) {
                (Some(_), _) => format!("{filter} AND {end}"),
                (None, true) => format!(" WHERE {end}"),
                (None, false) => format!(" WHERE ({name} IS NULL OR {end})"),
            };
        }
        // An index in the default order serves only where nulls need no place of their own.
        let nulls = if start.is_none() && !column.not_null { " NULLS FIRST" } else { "" };
        order = format!(" ORDER BY {name} ASC{nulls}");
    }
    let limit = limit.map(|limit| format!(" LIMIT {}", limit.min(ROWS_MAX))).unwrap_or_default();
    let names = names.join(", ");
    let whole = incremental.is_none() && limit.is_empty();
    let plain = |column: &&Attribute| column.stored_alone && column.form == Form::Plain;
    if whole && columns.iter().all(plain) {
        // Cheaper by a tenth: no row passes through a plan.
        return Ok(format!("COPY {from} ({names}) TO STDOUT"));
    }
    Ok(format!("COPY (SELECT {names} FROM {from}{filter}{order}{limit}) TO STDOUT"))
}

/// Writes the query for the key of the n-th row beyond the start, null keys not counted; a moment
/// with its offset. It has no row where no larger key follows that one.
pub fn last_key(
    from: &str,
    incremental: &Incremental<'_>,
    rows: u64,
    types: &Types,
) -> Result<String> {
    let Incremental { column, start, .. } = incremental;
    let name = quote_ident(&column.name)?;
    let beyond = match start {
        Some(start) => format!("> {}", literal(start, column, types)?),
        None => "IS NOT NULL".to_owned(),
    };
    let before = rows.saturating_sub(1).min(ROWS_MAX);
    let zoned = match types::builtin_name(types, column.type_oid).unwrap_or_default() {
        _ if column.form == Form::Amount => format!("last.{name}::pg_catalog.numeric"),
        "timestamp" => format!("(last.{name} AT TIME ZONE 'UTC')"),
        "date" => format!("(last.{name}::pg_catalog.timestamp AT TIME ZONE 'UTC')"),
        _ => format!("last.{name}"),
    };
    Ok(format!(
        "SELECT {zoned}::pg_catalog.text FROM (SELECT {name} FROM {from} WHERE {name} {beyond} \
         ORDER BY {name} OFFSET {before} LIMIT 1) last \
         WHERE EXISTS (SELECT FROM (SELECT {name} FROM {from}) rest \
                        WHERE rest.{name} > last.{name})"
    ))
}

/// Writes a bookmark as a value of the column's type, without its length: a cast to `varchar(3)`
/// would cut the value. A moment has its offset, unless the session is in UTC.
fn literal(text: &str, column: &Attribute, types: &Types) -> Result<String> {
    let text = quote_literal(text);
    let Some(name) = types::builtin_name(types, column.type_oid) else {
        return Err(Error::new(ErrorKind::Config, "cannot use a column as replication key")
            .with("column", &column.name)
            .with("type", &column.formatted));
    };
    Ok(match name {
        _ if column.form == Form::Amount => {
            format!("{text}::pg_catalog.numeric::pg_catalog.money")
        }
        // A cast to timestamp or date would drop the offset without a word.
        "timestamp" => format!("({text}::pg_catalog.timestamptz AT TIME ZONE 'UTC')"),
        "date" => format!("({text}::pg_catalog.timestamptz AT TIME ZONE 'UTC')::pg_catalog.date"),
        name => format!("{text}::pg_catalog.{}", quote_ident(name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pg::types::{Class, PgType};

    fn attribute(name: &str, type_oid: u32) -> Attribute {
        Attribute {
            relation: 1,
            number: 1,
            name: name.into(),
            type_oid,
            modifier: 7,
            formatted: "T".into(),
            not_null: false,
            stored_alone: false,
            readable: true,
            computed: false,
            form: Form::Plain,
            extension: None,
        }
    }

    fn types() -> Types {
        let of = |name: &str, class| PgType {
            name: name.into(),
            formatted: name.into(),
            builtin: true,
            class,
        };
        [
            (20, of("int8", Class::Base)),
            (1042, of("bpchar", Class::Base)),
            (1114, of("timestamp", Class::Base)),
            (9, PgType { builtin: false, ..of("d", Class::Domain { base: 20, modifier: -1 }) }),
            (8, PgType { builtin: false, ..of("own", Class::Base) }),
        ]
        .into()
    }

    #[test]
    fn statements_quote_all_that_is_data() {
        let columns = [attribute("a\"; --", 20), attribute("b", 1114)];
        let columns: Vec<&Attribute> = columns.iter().collect();
        let full = copy("s.t", &columns, None, None, &types()).unwrap();
        assert_eq!(full, r#"COPY (SELECT "a""; --", "b" FROM s.t) TO STDOUT"#);
        let forms = [
            Attribute { form: Form::InUtc, ..attribute("b", 1184) },
            Attribute { form: Form::Amount, stored_alone: true, ..attribute("c", 790) },
            Attribute { form: Form::Amounts, ..attribute("d", 791) },
        ];
        let forms: Vec<&Attribute> = forms.iter().collect();
        let seen = copy("s.v", &forms, None, None, &types()).unwrap();
        assert_eq!(
            seen,
            "COPY (SELECT \"b\" AT TIME ZONE 'UTC', \"c\"::pg_catalog.numeric, \
             \"d\"::pg_catalog.numeric[] FROM s.v) TO STDOUT"
        );
        let alone = Attribute { stored_alone: true, ..attribute("c", 20) };
        let whole = |limit| copy("s.t", &[&alone], None, limit, &types()).unwrap();
        assert_eq!(whole(None), r#"COPY s.t ("c") TO STDOUT"#);
        assert_eq!(whole(Some(3)), r#"COPY (SELECT "c" FROM s.t LIMIT 3) TO STDOUT"#);
        let check = |type_oid, start: Option<&str>, limit, expected: &str| {
            let key = attribute("k", type_oid);
            let incremental = Incremental { column: &key, start, end: None };
            let seen = copy("s.t", &[&key], Some(&incremental), limit, &types()).unwrap();
            assert_eq!(seen, format!(r#"COPY (SELECT "k" FROM s.t{expected}) TO STDOUT"#));
        };
        check(20, None, None, r#" ORDER BY "k" ASC NULLS FIRST"#);
        check(
            9,
            Some("5'"),
            Some(1),
            r#" WHERE "k" >= '5'''::pg_catalog."int8" ORDER BY "k" ASC LIMIT 1"#,
        );
        check(1042, Some("x"), None, r#" WHERE "k" >= 'x'::pg_catalog."bpchar" ORDER BY "k" ASC"#);
        check(
            1114,
            Some("2021-01-01T00:00:00+02:00"),
            None,
            " WHERE \"k\" >= ('2021-01-01T00:00:00+02:00'::pg_catalog.timestamptz AT TIME ZONE \
             'UTC') ORDER BY \"k\" ASC",
        );
        let key = attribute("k", 8);
        let incremental = Incremental { column: &key, start: Some("1"), end: None };
        assert!(copy("s.t", &[&key], Some(&incremental), None, &types()).is_err());
    }

    #[test]
    fn a_run_ends_with_all_rows_of_a_key() {
        let check = |start: Option<&str>, not_null, expected: [&str; 2]| {
            let key = Attribute { not_null, ..attribute("k", 20) };
            let incremental = Incremental { column: &key, start, end: Some("9") };
            let seen = copy("s.t", &[&key], Some(&incremental), None, &types()).unwrap();
            assert_eq!(
                seen,
                format!(r#"COPY (SELECT "k" FROM s.t WHERE {}) TO STDOUT"#, expected[0])
            );
            let seen = last_key("s.t", &incremental, 3, &types()).unwrap();
            let (beyond, rest) = seen.split_once(" ORDER BY").unwrap();
            let known = r#"SELECT last."k"::pg_catalog.text FROM (SELECT "k" FROM s.t WHERE "k" "#;
            assert_eq!(beyond, format!("{known}{}", expected[1]));
            assert!(rest.starts_with(r#" "k" OFFSET 2 LIMIT 1) last WHERE EXISTS"#), "{rest}");
        };
        let end = r#""k" <= '9'::pg_catalog."int8""#;
        let order = r#" ORDER BY "k" ASC"#;
        let first = format!(r#"("k" IS NULL OR {end}){order} NULLS FIRST"#);
        check(None, false, [&first, "IS NOT NULL"]);
        check(None, true, [&format!("{end}{order}"), "IS NOT NULL"]);
        let later = format!(r#""k" >= '5'::pg_catalog."int8" AND {end}{order}"#);
        check(Some("5"), false, [&later, r#"> '5'::pg_catalog."int8""#]);
    }
}
