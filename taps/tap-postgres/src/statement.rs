//! The COPY statement of a stream (pure).

use pg::types::{self, Types};
use pg::{quote_ident, quote_literal};
use singer::{Error, ErrorKind, Result};

use crate::columns::{Attribute, Form};

/// The server knows no larger number of rows.
const ROWS_MAX: u64 = i64::MAX.unsigned_abs();
const SECONDS_OF_DAY: u64 = 86_400;

/// The order of an INCREMENTAL read, and its part.
#[derive(Clone, Copy)]
pub struct Incremental<'a> {
    /// The replication key.
    pub column: &'a Attribute,
    /// Where to start.
    pub start: Option<&'a str>,
    /// How far before the start to begin.
    pub lookback: u64,
    /// The last key to read.
    pub end: Option<&'a str>,
    /// The key at which the read is cut in two, and its part.
    pub settled: Option<(Part, &'a str)>,
}

/// A part of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Up to the key, and the rows without one.
    UpTo,
    /// The keys beyond.
    Beyond,
}

/// Writes an operator as it is in `pg_catalog`, for statements that find names by the search path
/// of the role: others may have made an operator that fits its operands better. So written, all
/// operators bind alike.
fn operator(symbol: &str, column: &Attribute) -> String {
    if column.computed { format!("OPERATOR(pg_catalog.{symbol})") } else { symbol.to_owned() }
}

impl Incremental<'_> {
    /// Writes the condition on the key; null keys are read only where there is no start.
    pub fn condition(&self, types: &Types) -> Result<String> {
        let Self { column, start, lookback, end, settled } = self;
        let name = quote_ident(&column.name)?;
        let [at_least, at_most, above] = [">=", "<=", ">"].map(|one| operator(one, column));
        let mut conditions = Vec::new();
        if let Some(start) = start {
            let start = literal(start, column, types)?;
            let start = before(start, *lookback, column, types).unwrap_or_default();
            conditions.push(format!("{name} {at_least} {start}"));
        }
        let nulls = start.is_none() && !column.not_null;
        let mut up_to = |key: &str, nulls: bool| -> Result<()> {
            let end = format!("{name} {at_most} {}", literal(key, column, types)?);
            let end = if nulls { format!("({name} IS NULL OR {end})") } else { end };
            conditions.push(end);
            Ok(())
        };
        let beyond = settled.filter(|(part, _)| *part == Part::Beyond);
        if let Some(end) = end {
            up_to(end, nulls && beyond.is_none())?;
        }
        if let Some((Part::UpTo, key)) = settled {
            up_to(key, nulls)?;
        }
        if let Some((_, key)) = beyond {
            conditions.push(format!("{name} {above} {}", literal(key, column, types)?));
        }
        let joined = conditions.join(" AND ");
        Ok(if joined.is_empty() { joined } else { format!(" WHERE {joined}") })
    }

    /// Writes the condition of the keys before those of the read; nothing where there is no start.
    pub fn before(&self, types: &Types) -> Result<Option<String>> {
        let Some(start) = self.start else { return Ok(None) };
        let start = literal(start, self.column, types)?;
        let start = before(start, self.lookback, self.column, types).unwrap_or_default();
        let (name, below) = (quote_ident(&self.column.name)?, operator("<", self.column));
        Ok(Some(format!(" WHERE {name} {below} {start}")))
    }
}

/// Writes the statement for the rows before those of an INCREMENTAL read, by its condition.
pub fn copy_before(
    from: &str,
    columns: &[&Attribute],
    key: &Attribute,
    before: &str,
) -> Result<String> {
    let names: Vec<String> = columns.iter().map(|column| printed(column)).collect::<Result<_>>()?;
    let (names, key) = (names.join(", "), quote_ident(&key.name)?);
    Ok(format!("COPY (SELECT {names} FROM {from}{before} ORDER BY {key} ASC) TO STDOUT"))
}

/// Tells whether a read can begin before a bookmark of the column.
pub fn looks_back(column: &Attribute, types: &Types) -> bool {
    before(String::new(), 1, column, types).is_some()
}

/// Writes the value so far before another one: seconds for times, days for dates, else the unit of
/// the number; `None` for what is neither.
fn before(value: String, lookback: u64, column: &Attribute, types: &Types) -> Option<String> {
    let interval = |seconds: u64| format!("pg_catalog.make_interval(secs => {seconds})");
    let back = match types::builtin_name(types, column.type_oid).unwrap_or_default() {
        _ if lookback == 0 => return Some(value),
        "timestamp" | "timestamptz" => interval(lookback),
        "date" => lookback.div_ceil(SECONDS_OF_DAY).to_string(),
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => lookback.to_string(),
        _ => return None,
    };
    Some(format!("({value} {} {back})", operator("-", column)))
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
    if let Some(incremental) = incremental {
        let Incremental { column, start, settled, .. } = incremental;
        let name = quote_ident(&column.name)?;
        filter = incremental.condition(types)?;
        let nulls = start.is_none() && settled.is_none_or(|(part, _)| part == Part::UpTo);
        // An index in the default order serves only where nulls need no place of their own.
        let nulls = if nulls && !column.not_null { " NULLS FIRST" } else { "" };
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
    let above = operator(">", column);
    let beyond = match start {
        Some(start) => format!("{above} {}", literal(start, column, types)?),
        None => "IS NOT NULL".to_owned(),
    };
    let before = rows.saturating_sub(1).min(ROWS_MAX);
    let last = key_text(column, types)?;
    Ok(format!(
        "SELECT {last} FROM (SELECT {name} FROM {from} WHERE {name} {beyond} \
         ORDER BY {name} OFFSET {before} LIMIT 1) last \
         WHERE EXISTS (SELECT FROM (SELECT {name} FROM {from}) rest \
                        WHERE rest.{name} {above} last.{name})"
    ))
}

/// Writes the key of the row `last` as text: a moment with its offset.
fn key_text(column: &Attribute, types: &Types) -> Result<String> {
    let name = quote_ident(&column.name)?;
    let zoned = match types::builtin_name(types, column.type_oid).unwrap_or_default() {
        _ if column.form == Form::Amount => format!("last.{name}::pg_catalog.numeric"),
        "timestamp" => format!("(last.{name} AT TIME ZONE 'UTC')"),
        // It is no moment, and there are dates beyond all moments.
        _ => format!("last.{name}"),
    };
    Ok(format!("{zoned}::pg_catalog.text"))
}

/// Writes the query for the highest key, as text; of numbers, the highest one that is finite.
pub fn highest_key(from: &str, column: &Attribute, types: &Types) -> Result<String> {
    let name = quote_ident(&column.name)?;
    let below = operator("<", column);
    let finite = match types::builtin_name(types, column.type_oid).unwrap_or_default() {
        "float4" | "float8" => format!("{name} {below} 'Infinity'::pg_catalog.float8"),
        // Older servers know no infinite number of this type.
        "numeric" => format!("{name} {below} '1e131071'::pg_catalog.numeric"),
        _ => format!("{name} IS NOT NULL"),
    };
    let last = key_text(column, types)?;
    Ok(format!(
        "SELECT {last} FROM (SELECT {name} FROM {from} WHERE {finite} \
         ORDER BY {name} DESC LIMIT 1) last"
    ))
}

/// Writes the query for the last settled key of a time without a zone or of a date, in
/// microseconds since 1970 and read in UTC: before the highest key by as much as the transaction
/// that is open `since` then is before the `clock`. A key of half a day ago is one of the past in
/// every zone.
pub fn settled_time(
    from: &str,
    column: &Attribute,
    (since, clock): (i64, i64),
    types: &Types,
) -> Result<String> {
    let name = quote_ident(&column.name)?;
    let [at_most, plus, minus, times] = ["<=", "+", "-", "*"].map(|one| operator(one, column));
    let at = |micros: i64| {
        format!(
            "('1970-01-01 00:00'::pg_catalog.timestamp {plus} \
              ({micros} {times} 'PT0.000001S'::pg_catalog.interval))"
        )
    };
    let (since, clock, half_day) = (at(since), at(clock), "'PT12H'::pg_catalog.interval");
    let settled = if types::builtin_name(types, column.type_oid) == Some("date") {
        let day =
            |at: &str| format!("(({at} AT TIME ZONE 'UTC') AT TIME ZONE zone)::pg_catalog.date");
        let (first, last) = (day(&since), day(&clock));
        format!(
            "greatest(last.key {minus} ( \
               SELECT pg_catalog.max({last} {minus} {first}) \
                 FROM (VALUES ('UTC'), ((SELECT reset_val FROM pg_catalog.pg_settings \
                                          WHERE name OPERATOR(pg_catalog.=) 'TimeZone'))) \
                      zones (zone)), \
             least(last.key, ({since} {minus} {half_day})::pg_catalog.date {minus} 1)) \
             ::pg_catalog.timestamp"
        )
    } else {
        format!(
            "greatest(last.key {minus} ({clock} {minus} {since}), \
             least(last.key, {since} {minus} {half_day}))"
        )
    };
    Ok(format!(
        "SELECT (extract(epoch FROM {settled}) {times} 1000000)::pg_catalog.int8 \
           FROM (SELECT pg_catalog.max({name}) AS key FROM {from} \
                  WHERE {name} {at_most} ({clock} {plus} 'PT14H'::pg_catalog.interval)) last"
    ))
}

/// Writes a bookmark as a value of the column's type, without its length: a cast to `varchar(3)`
/// would cut the value. A moment has its offset, unless the session is in UTC.
fn literal(text: &str, column: &Attribute, types: &Types) -> Result<String> {
    let is_day = is_day(text);
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
        "date" if is_day => format!("{text}::pg_catalog.date"),
        "date" => format!("({text}::pg_catalog.timestamptz AT TIME ZONE 'UTC')::pg_catalog.date"),
        name => format!("{text}::pg_catalog.{}", quote_ident(name)?),
    })
}

/// Tells whether a text is a date alone, as the server prints it.
pub fn is_day(text: &str) -> bool {
    let text = text.strip_suffix(" BC").unwrap_or(text);
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &&str, least, most| {
        (least..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(&parts[..], [year, month, day]
        if digits(year, 4, 7) && digits(month, 2, 2) && digits(day, 2, 2))
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
            let incremental = reading(&key, start, None);
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
        let incremental = reading(&key, Some("1"), None);
        assert!(copy("s.t", &[&key], Some(&incremental), None, &types()).is_err());
    }

    fn reading<'a>(
        column: &'a Attribute,
        start: Option<&'a str>,
        end: Option<&'a str>,
    ) -> Incremental<'a> {
        Incremental { column, start, lookback: 0, end, settled: None }
    }

    #[test]
    fn days_are_told_from_moments() {
        for day in ["2026-01-02", "0044-03-15 BC", "5874897-12-31"] {
            assert!(is_day(day), "{day}");
        }
        for other in ["2026-01-02T00:00:00Z", "2026-01-02 00:00:00+00", "infinity", "now", "1-1-1"]
        {
            assert!(!is_day(other), "{other}");
        }
    }

    #[test]
    fn a_read_is_cut_in_two_at_the_settled_key() {
        let check = |start, end, part, not_null, expected: &str| {
            let key = Attribute { not_null, ..attribute("k", 20) };
            let settled = Some((part, "7"));
            let read = Incremental { settled, ..reading(&key, start, end) };
            let seen = copy("s.t", &[&key], Some(&read), None, &types()).unwrap();
            let seen = seen.replace(r#"::pg_catalog."int8""#, "");
            assert_eq!(seen, format!(r#"COPY (SELECT "k" FROM s.t WHERE {expected}) TO STDOUT"#));
        };
        let (up_to, beyond) = (Part::UpTo, Part::Beyond);
        let first = r#"("k" IS NULL OR "k" <= '7') ORDER BY "k" ASC NULLS FIRST"#;
        check(None, None, up_to, false, first);
        check(None, None, beyond, false, r#""k" > '7' ORDER BY "k" ASC"#);
        check(None, None, up_to, true, r#""k" <= '7' ORDER BY "k" ASC"#);
        let later = r#""k" >= '5' AND "k" <= '9' AND "k" <= '7' ORDER BY "k" ASC"#;
        check(Some("5"), Some("9"), up_to, false, later);
        let later = r#""k" >= '5' AND "k" <= '9' AND "k" > '7' ORDER BY "k" ASC"#;
        check(Some("5"), Some("9"), beyond, false, later);
        check(None, Some("9"), beyond, false, r#""k" <= '9' AND "k" > '7' ORDER BY "k" ASC"#);
    }

    #[test]
    fn a_read_begins_before_its_bookmark() {
        let check = |type_oid, expected: Option<&str>| {
            let key = attribute("k", type_oid);
            let read = Incremental { lookback: 90_000, ..reading(&key, Some("5"), None) };
            assert_eq!(looks_back(&key, &types()), expected.is_some());
            let Some(expected) = expected else { return };
            let seen = copy("s.t", &[&key], Some(&read), None, &types()).unwrap();
            assert!(seen.contains(&format!(r#"WHERE "k" >= ({expected}) ORDER"#)), "{seen}");
            let last = last_key("s.t", &read, 3, &types()).unwrap();
            assert!(!last.contains("90000"), "each run goes on behind its bookmark: {last}");
        };
        check(20, Some(r#"'5'::pg_catalog."int8" - 90000"#));
        let naive = "('5'::pg_catalog.timestamptz AT TIME ZONE 'UTC')";
        check(1114, Some(&format!("{naive} - pg_catalog.make_interval(secs => 90000)")));
        check(1042, None);
    }

    #[test]
    fn a_run_ends_with_all_rows_of_a_key() {
        let check = |start: Option<&str>, not_null, expected: [&str; 2]| {
            let key = Attribute { not_null, ..attribute("k", 20) };
            let incremental = reading(&key, start, Some("9"));
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
