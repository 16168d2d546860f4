//! Whether a column keeps text as it came: known by its type, or to be compared (pure).
//!
//! A value that a column would keep differently is refused, never changed without a word. Numbers,
//! dates and times are held to their types by the encoder. Text is kept by types that hold text, by
//! types whose every spelling has one meaning, and by the type that it had in its source, if that
//! is of one shape everywhere. What comes into any other type is compared with what that kept.

use singer::{Column, Kind};

use crate::decimal;
use crate::literal;
use crate::table::Wanted;
use crate::types::{Making, SqlType, fits};

/// Types that keep all text they take, or all that it means, beside what [`crate::limits`] checks.
const KEEPING: &[&str] = &[
    "text",
    "character varying",
    "character",
    "bpchar",
    "name",
    "json",
    "jsonb",
    "xml",
    "bytea",
    "uuid",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit",
    "bit varying",
    "interval",
    "int4range",
    "int8range",
    "numrange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
];

/// Types that print what they keep in other signs than one may write, but in the same words.
const REWORDING: &[&str] =
    &["tsvector", "tsquery", "point", "line", "lseg", "box", "path", "polygon", "circle"];

/// Types of numbers, dates and times, for elements that the encoder has checked.
const CHECKED: &[&str] =
    &["boolean", "smallint", "integer", "bigint", "numeric", "real", "double precision", "date"];

/// How what came is compared with what the column kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Letter by letter.
    Exactly,
    /// By its words and numbers, in any order.
    Words,
    /// By its letters and digits.
    Letters,
    /// As amounts of money.
    Money,
    /// As shapes of `PostGIS`, whose functions have this before their names: `public.`.
    Shape(String),
    /// With an interval of all fields, by the server.
    Interval,
    /// Part by part.
    Parts,
    /// Part by part, and ranges with the bounds that they came with.
    Bounds,
    /// Element by element.
    Elements(Box<How>),
}

/// Returns how the cells of a column are compared with what the type keeps of them; `None` where
/// there is nothing to find. `came` is the type of the source, where it is known here, and
/// `printed` tells that the source is a server of Postgres which has printed the values: what
/// another one says of their type need not be so.
pub fn compared(
    column: &Column,
    came: Option<&SqlType>,
    sql: &SqlType,
    printed: bool,
) -> Option<How> {
    let sql = sql.storage();
    let literal = column.kind == Kind::String;
    let read = literal || column.kind == Kind::Json && sql.array;
    // Of a guess that does not fit no value is taken.
    if !read || !fits(column, sql) || printed && is_same_type(came, sql) {
        return None;
    }
    let leaf = &*sql.name;
    let bounds = came.is_some_and(|came| is_of_other_bounds(came.storage(), sql));
    let checked = CHECKED.contains(&leaf) || leaf.starts_with("time") || leaf == "oid";
    let how = match sql.making {
        Making::Label => None,
        Making::Parts => Some(How::Parts),
        _ if bounds => Some(How::Bounds),
        _ if KEEPING.contains(&leaf) || sql.extension == "citext" => None,
        Making::KnownParts => Some(How::Parts),
        Making::One if sql.array && checked => None,
        Making::One if leaf.starts_with("interval ") => Some(How::Interval),
        Making::One if leaf == "money" => Some(How::Money),
        Making::One if REWORDING.contains(&leaf) => Some(How::Words),
        Making::One => Some(match &*sql.extension {
            "hstore" | "cube" | "seg" => How::Words,
            "isn" => How::Letters,
            "postgis" => place_of(leaf).map_or(How::Exactly, How::Shape),
            _ => How::Exactly,
        }),
    };
    match how {
        Some(How::Interval) | None if !(sql.array && literal) => how,
        None => Some(How::Parts),
        Some(how) if sql.array => Some(How::Elements(Box::new(how))),
        how => how,
    }
}

/// Tells whether a type has ranges of integers or days, and its source ranges of something between:
/// with another bound such a range has other values in the source.
fn is_of_other_bounds(came: &SqlType, sql: &SqlType) -> bool {
    const FAMILIES: [&[&str]; 2] = [
        &["int4range", "int8range", "int4multirange", "int8multirange"],
        &["daterange", "datemultirange"],
    ];
    let family = FAMILIES.iter().find(|family| family.contains(&&*sql.name));
    let of_parts = matches!(came.making, Making::Parts | Making::KnownParts);
    of_parts && family.is_some_and(|family| !family.contains(&&*came.name))
}

/// Tells whether the source has the same type: one of the same name, and of one shape in every
/// database.
fn is_same_type(came: Option<&SqlType>, sql: &SqlType) -> bool {
    // This one holds other text in newer servers.
    let one = sql.name != "\"char\"" && sql.making != Making::Parts;
    one && came.is_some_and(|came| came.sql() == sql.sql())
}

/// Tells whether a key's column, or an array's elements, takes texts for equal that are two keys in
/// the source. Such keys are refused; where the source has the same type they are one there too.
pub fn is_spelled(
    column: &Column,
    wanted: &Wanted,
    sql: &SqlType,
    collation: Option<&String>,
) -> bool {
    let sql = sql.storage();
    let list = column.kind == Kind::Json && sql.array;
    let name = &*sql.name;
    let format = if list { &column.schema["items"]["format"] } else { &column.schema["format"] };
    // What an array of JSON has beside strings, and the texts of moments, are as in a column alone.
    let checked = CHECKED.contains(&name) || name.starts_with("time");
    let as_alone = list && (checked || matches!(name, "oid" | "json" | "jsonb"));
    let one_meaning = name == "uuid" && format == "uuid"
        || matches!(name, "bytea" | "text" | "character varying" | "name");
    let one_meaning = one_meaning && (list || !sql.array)
        || as_alone
        || sql.making == Making::Label
        || is_same_type(wanted.came.as_ref(), sql);
    (column.kind == Kind::String || list) && (collation.is_some() || !one_meaning)
}

/// Tells whether equal values of a type are written alike: of others, the last spelling wins.
pub fn has_one_spelling(sql: &SqlType) -> bool {
    const MORE: &[&str] = &[
        "text",
        "character varying",
        "name",
        "bytea",
        "uuid",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "bit",
        "bit varying",
        "oid",
    ];
    const LESS: &[&str] = &["numeric", "real", "double precision"];
    let name = &*sql.name;
    let checked = CHECKED.contains(&name) && !LESS.contains(&name) || name.starts_with("time");
    !sql.array && sql.extension.is_empty() && (checked || MORE.contains(&name))
        || sql.making == Making::Label && !sql.array
}

fn place_of(name: &str) -> Option<String> {
    let name = name.split('(').next().unwrap_or_default();
    let place = ["geometry", "geography"].iter().find_map(|kind| name.strip_suffix(kind));
    place.filter(|place| place.is_empty() || place.ends_with('.')).map(str::to_owned)
}

impl How {
    /// Returns the SQL of the text that came (`came` is a column of text), as it is compared.
    pub fn came(&self, came: &str, sql: &SqlType) -> String {
        match self {
            Self::Interval if sql.storage().array => {
                format!("format('%s', {came}::pg_catalog.interval[])")
            }
            Self::Interval => format!("format('%s', {came}::pg_catalog.interval)"),
            _ => came.to_owned(),
        }
    }

    /// Returns the SQL of the text of what the column kept.
    pub fn kept(&self, came: &str, kept: &str) -> String {
        match self {
            Self::Shape(place) => format!(
                "CASE WHEN {came} ~ '^\\s*[0-9A-Fa-f]+\\s*$' THEN format('%s', {kept}) \
                 WHEN {came} ~ '^\\s*\\{{' THEN {place}st_asgeojson({kept}, 17, 0) \
                 ELSE {place}st_asewkt({kept}, 17) END"
            ),
            _ => format!("format('%s', {kept})"),
        }
    }

    /// Tells whether both texts are the same value.
    pub fn is_same(&self, came: &str, kept: &str) -> bool {
        came == kept
            || match self {
                Self::Exactly | Self::Interval => false,
                Self::Words => words(came) == words(kept),
                Self::Letters => letters(came) == letters(kept),
                Self::Money => amount(came).is_some_and(|came| {
                    let kept = amount(kept).unwrap_or_default();
                    decimal::same(came.as_bytes(), kept.as_bytes())
                }),
                Self::Shape(_) => is_same_shape(&came.to_uppercase(), &kept.to_uppercase()),
                Self::Parts => literal::same(came, kept, &literal::is_same_value),
                Self::Bounds => literal::same_parts(came, kept, &literal::is_same_value),
                Self::Elements(how) => {
                    literal::same(came, kept, &|came, kept| how.is_same(came, kept))
                }
            }
    }
}

/// Returns the words and numbers of a text, sorted.
fn words(text: &str) -> Vec<String> {
    let part = |sign: char| sign.is_alphanumeric() || "+-._".contains(sign);
    let words = text.split(|sign| !part(sign)).map(|word| word.trim_matches('.'));
    let mut words: Vec<String> =
        words.filter(|word| !word.is_empty()).map(decimal::normal).collect();
    words.sort_unstable();
    words
}

/// Returns the letters and digits of a text.
fn letters(text: &str) -> String {
    text.chars().filter(|sign| sign.is_alphanumeric()).collect()
}

/// Returns the number in an amount: `-$1,234.50`. Commas stand between groups of three digits.
fn amount(text: &str) -> Option<String> {
    let text = text.trim();
    let (minus, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let rest = rest.strip_prefix('$').unwrap_or(rest);
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    if whole.contains(',') && !(1..=3).contains(&first.len()) || !groups.all(|g| g.len() == 3) {
        return None;
    }
    let point = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    Some(format!("{minus}{}{point}", whole.replace(',', "")))
}

/// Tells whether two texts are one shape. A column may add the number of its reference system.
fn is_same_shape(came: &str, kept: &str) -> bool {
    let kept = match kept.split_once(';') {
        Some((system, kept)) if system.starts_with("SRID=") && !came.contains(';') => kept,
        _ => kept,
    };
    came == kept || words(came) == words(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(name: &str, making: Making, extension: &str) -> SqlType {
        SqlType::from_server(name).known(None, making, extension)
    }

    #[test]
    fn what_may_change_text_is_compared() {
        let check = |schema: &str, came: Option<&str>, sql: &SqlType, expected: Option<How>| {
            let column = Column::new("c", serde_json::from_str(schema).unwrap());
            let came = came.map(|name| {
                let mut came = sql.clone();
                name.clone_into(&mut came.name);
                came
            });
            assert_eq!(
                compared(&column, came.as_ref(), sql, true),
                expected,
                "{schema} {}",
                sql.sql()
            );
        };
        let (text, list) = (r#"{"type":"string"}"#, r#"{"type":"array"}"#);
        let one = |name: &str| sql(name, Making::One, "");
        check(text, None, &one("text"), None);
        check(text, None, &one("uuid"), None);
        check(text, None, &one("interval"), None);
        check(text, None, &one("interval hour to minute"), Some(How::Interval));
        check(list, None, &one("interval year[]"), Some(How::Interval));
        check(text, None, &one("tsvector"), Some(How::Words));
        check(text, Some("tsvector"), &one("tsvector"), None);
        check(text, Some("text"), &one("tsvector"), Some(How::Words));
        check(text, Some("\"char\""), &one("\"char\""), Some(How::Exactly));
        check(text, None, &one("oid"), Some(How::Exactly));
        check(list, None, &one("numeric[]"), None);
        check(text, None, &one("numeric[]"), Some(How::Parts));
        check(text, Some("numeric"), &one("numeric[]"), None);
        check(list, None, &one("tsvector[]"), Some(How::Elements(Box::new(How::Words))));
        check(text, None, &sql("public.mood", Making::Label, ""), None);
        check(text, None, &sql("public.citext", Making::One, "citext"), None);
        check(text, None, &sql("public.hstore", Making::One, "hstore"), Some(How::Words));
        check(text, Some("public.hstore"), &sql("public.hstore", Making::One, "hstore"), None);
        check(text, Some("public.own"), &sql("public.own", Making::One, ""), None);
        check(text, Some("public.pt"), &sql("public.pt", Making::Parts, ""), Some(How::Parts));
        check(text, Some("tsrange"), &sql("tsrange", Making::KnownParts, ""), None);
        check(text, None, &sql("daterange", Making::KnownParts, ""), Some(How::Parts));
        check(text, None, &sql("int4range", Making::KnownParts, ""), None);
        check("{}", None, &one("jsonb"), None);
        check(r#"{"type":"string","x-no-values":true}"#, None, &one("integer"), None);
        check(r#"{"type":"number"}"#, None, &one("numeric"), None);
        let shape = sql("s.geometry(Point,4326)", Making::One, "postgis");
        check(text, None, &shape, Some(How::Shape("s.".to_owned())));
    }

    #[test]
    fn spellings_are_not_changes() {
        for (how, came, kept, expected) in [
            (How::Exactly, "a", "A", false),
            (How::Bounds, "[1.0,5)", "[1,5)", true),
            (How::Bounds, "[1,5]", "[1,6)", false),
            (How::Bounds, "{(1,5)}", "{[2,5)}", false),
            (How::Words, "a=>1", r#""a"=>"1""#, true),
            (How::Words, "a=>1, a=>2", r#""a"=>"1""#, false),
            (How::Words, "the cat", "'cat' 'the'", true),
            (How::Words, "b a a", "'a' 'b'", false),
            (How::Words, "a:2A,1", "'a':1,2A", true),
            (How::Words, "( 1.50 , -2 )", "(1.5,-2)", true),
            (How::Words, "(123456789.123456789,0)", "(123456789.12345679,0)", false),
            (How::Letters, "9780393040029", "978-0-393-04002-9", true),
            (How::Money, "1,234.5", "$1,234.50", true),
            (How::Money, "-5", "-$5.00", true),
            (How::Money, "1,5", "$15.00", false),
            (How::Money, "12,34", "$1,234.00", false),
            (How::Shape("s.".into()), "Point(1 2.50)", "SRID=4326;POINT(1 2.5)", true),
            (How::Shape("s.".into()), "SRID=1;POINT(1 2)", "SRID=4326;POINT(1 2)", false),
            (How::Elements(Box::new(How::Words)), "{b a a}", "{\"'a' 'b'\"}", false),
            (How::Elements(Box::new(How::Words)), "{b a}", "{\"'a' 'b'\"}", true),
        ] {
            assert_eq!(how.is_same(came, kept), expected, "{how:?} {came} {kept}");
        }
    }
}
