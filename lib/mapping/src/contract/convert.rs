//! How the values of a column become those of the type that a contract names.

use serde_json::{Value, json};
use singer::canonical::is_canonical;
use singer::convert::{BooleanWords, Conversion, NumberFormat, TimeFormat, Unfit};
use singer::{Column, Context as _, Error, ErrorKind, Kind, Result};

use super::logical::Logical;
use super::model::Property;
use super::options::Case;
use crate::normal::Decimal;

/// Makes of a value in canonical text one of another type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Converter {
    trim: bool,
    case: Option<Case>,
    step: Step,
}

#[derive(Clone, Debug, Default)]
enum Step {
    #[default]
    Copy,
    /// A text in a declared form.
    Declared(Conversion),
    /// A text that is canonical for the kind.
    Canonical(Kind),
    /// A number without a fraction.
    Whole,
    /// The start of the day.
    DateToMoment,
    /// A moment that is the start of a day.
    MomentToDate,
}

/// What a contract makes of a column, before protection.
pub(crate) struct Converted {
    pub converter: Converter,
    /// The kind of what comes out.
    pub kind: Kind,
    /// The schema of what comes out.
    pub schema: Value,
}

/// Decides how the values of a column become those of its property.
pub(crate) fn compile(column: &Column, property: &Property) -> Result<Converted> {
    let written = &property.options.written;
    let mut converter =
        Converter { trim: written.trim, case: written.case, ..Converter::default() };
    let Some(logical) = property.logical else {
        return Ok(Converted { converter, kind: column.kind, schema: column.schema.clone() });
    };
    let to = kind_of(logical);
    converter.step = step(column, property, logical, to)?;
    let keeps = column.kind == to;
    let schema = if keeps { column.schema.clone() } else { schema_of(logical, column) };
    Ok(Converted { converter, kind: to, schema })
}

/// Returns the kind of values of a type.
pub(crate) fn kind_of(logical: Logical) -> Kind {
    match logical {
        Logical::String => Kind::String,
        Logical::Date => Kind::Date,
        Logical::Timestamp => Kind::DateTime,
        Logical::Time => Kind::Time,
        Logical::Number => Kind::Number,
        Logical::Integer => Kind::Integer,
        Logical::Boolean => Kind::Boolean,
        Logical::Object | Logical::Array => Kind::Json,
    }
}

/// Returns the JSON Schema of a type, for a column that had another one.
fn schema_of(logical: Logical, column: &Column) -> Value {
    let (word, format) = match logical {
        Logical::Date => ("string", Some("date")),
        Logical::Timestamp => ("string", Some("date-time")),
        Logical::Time => ("string", Some("time")),
        other => (other.word(), None),
    };
    let mut schema =
        if column.nullable() { json!({ "type": [word, "null"] }) } else { json!({ "type": word }) };
    if let Some(format) = format {
        schema["format"] = format.into();
    }
    for name in ["title", "description"] {
        if let Some(text) = column.schema.get(name) {
            schema[name] = text.clone();
        }
    }
    schema
}

/// Returns the schema of a property that no stream has: its column is null.
pub(crate) fn schema_of_missing(property: &Property) -> Value {
    let logical = property.logical.unwrap_or(Logical::String);
    schema_of(logical, &Column::new(&property.name, json!({ "type": ["null", "string"] })))
}

fn step(column: &Column, property: &Property, logical: Logical, to: Kind) -> Result<Step> {
    let (options, spot) = (&property.options, property.spot);
    let written = &options.written;
    let has_marks = written.decimal.is_some() || written.thousands.is_some();
    let words = || BooleanWords::new(&written.truths, &written.falsities).with("line", spot.line);
    let numbers = || -> Result<NumberFormat> { written.numbers(spot) };
    let time = |pattern: &str| time(to, pattern, property);
    let format = options.format.as_deref();
    Ok(match (column.kind, to) {
        (Kind::String, Kind::Integer) => Step::Declared(Conversion::Integer(numbers()?)),
        (Kind::String, Kind::Number) => Step::Declared(Conversion::Number(numbers()?)),
        (Kind::String | Kind::Integer, Kind::Boolean) if !written.truths.is_empty() => {
            Step::Declared(Conversion::Boolean(words()?))
        }
        (Kind::String, Kind::Boolean) => Step::Declared(Conversion::Boolean(words()?)),
        (Kind::String | Kind::Integer, Kind::Date | Kind::Time | Kind::DateTime) => match format {
            Some(pattern) => time(pattern)?,
            None if column.kind == Kind::String => Step::Canonical(to),
            None => return Err(refused(column, property, logical)),
        },
        (from, to) if from == to => {
            if has_marks {
                let failure = refused(column, property, logical);
                return Err(
                    failure.with("reason", "`decimal` and `thousands` are for columns of texts")
                );
            }
            Step::Copy
        }
        (Kind::Integer, Kind::Number)
        | (
            Kind::Integer | Kind::Number | Kind::Boolean | Kind::Date | Kind::Time | Kind::DateTime,
            Kind::String,
        ) => Step::Copy,
        (Kind::Number, Kind::Integer) => Step::Whole,
        (Kind::Date, Kind::DateTime) => Step::DateToMoment,
        (Kind::DateTime, Kind::Date) => Step::MomentToDate,
        _ => return Err(refused(column, property, logical)),
    })
}

/// Reads the format of dates and times, of which the standard says that it is as in Java.
fn time(to: Kind, pattern: &str, property: &Property) -> Result<Step> {
    let spot = property.spot;
    if !pattern.contains('%') && pattern.contains(['Y', 'D']) {
        return Err(spot
            .fault("cannot use the format of a date or time")
            .with("format", pattern)
            .with(
                "reason",
                "in this standard, YYYY is the year of a week, and DD a day of the year",
            )
            .hint("write yyyy for the year and dd for the day"));
    }
    let format = TimeFormat::new(to, pattern, property.options.written.century_start);
    let step = format.map(|format| Step::Declared(Conversion::Time(format)));
    let lacks_century =
        pattern.contains("yy") && !pattern.contains("yyyy") || pattern.contains("%y");
    step.map_err(|failure| {
        let failure = failure.with("line", spot.line);
        if lacks_century && property.options.written.century_start.is_none() {
            return failure.hint(
                "add the custom property `centuryStart` with the first year that two digits may \
                 mean, such as 1970",
            );
        }
        failure
    })
}

fn refused(column: &Column, property: &Property, logical: Logical) -> Error {
    Error::new(ErrorKind::Config, "cannot convert a column to the type of its contract")
        .with("column", &property.name)
        .with("types of the stream", column.types.words())
        .with("logicalType", logical.word())
        .with("line", property.spot.line)
        .hint(
            "correct `logicalType`; convert the column by a stream map before, where its values \
               need another form",
        )
}

impl Converter {
    /// Tells whether it copies every value.
    pub(crate) fn copies(&self) -> bool {
        matches!(self.step, Step::Copy) && !self.trim && self.case.is_none()
    }

    /// Appends the value that a value becomes.
    pub(crate) fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let text = if self.trim { trimmed(text) } else { text };
        let cased;
        let text = match self.case {
            None => text,
            Some(case) => {
                let unicode = std::str::from_utf8(text).map_err(|_| Unfit("it is not UTF-8"))?;
                cased = match case {
                    Case::Lower => unicode.to_lowercase(),
                    Case::Upper => unicode.to_uppercase(),
                };
                cased.as_bytes()
            }
        };
        match &self.step {
            Step::Copy => out.extend_from_slice(text),
            Step::Declared(conversion) => conversion.convert(text, out)?,
            Step::Canonical(kind) => {
                if !is_canonical(*kind, text) {
                    return Err(Unfit("it is not a date or time as in 2026-11-20T06:00:00Z"));
                }
                out.extend_from_slice(text);
            }
            Step::Whole => {
                let number = Decimal::read(text).ok_or(Unfit("it is not a number"))?;
                if number.has_fraction() {
                    return Err(Unfit("it has a fraction"));
                }
                if number.scale >= 1000 {
                    return Err(Unfit("it is too large to be written as an integer"));
                }
                let mut number = number;
                let zeros = usize::try_from(number.scale).unwrap_or_default();
                number.digits.extend(std::iter::repeat_n(b'0', zeros));
                number.scale = 0;
                number.write(out);
            }
            Step::DateToMoment => {
                if !text.last().is_some_and(u8::is_ascii_digit) {
                    return Err(Unfit("it is not a day of the years 1 to 9999"));
                }
                out.extend_from_slice(text);
                out.extend_from_slice(b"T00:00:00");
            }
            Step::MomentToDate => {
                let (date, time) = text.split_at_checked(10).ok_or(NO_DAY)?;
                let [b'T' | b't' | b' ', time @ ..] = time else { return Err(NO_DAY) };
                let is_zero = |time: &[u8]| {
                    time.strip_prefix(b"00:00:00").is_some_and(|rest| {
                        let rest = rest.strip_prefix(b".").unwrap_or(rest);
                        let zeros = rest.iter().take_while(|byte| **byte == b'0').count();
                        matches!(&rest[zeros..], b"" | b"Z" | b"z" | b"+00:00")
                    })
                };
                if !is_zero(time) {
                    return Err(NO_DAY);
                }
                out.extend_from_slice(date);
            }
        }
        Ok(())
    }
}

/// Removes white space of all alphabets at both ends.
fn trimmed(text: &[u8]) -> &[u8] {
    std::str::from_utf8(text).map_or_else(|_| text.trim_ascii(), |text| text.trim().as_bytes())
}

const NO_DAY: Unfit = Unfit("it is not the start of a day");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_become_other_types_without_loss() {
        for (step, text, expected) in [
            (Step::Whole, "5.0", Some("5")),
            (Step::Whole, "5e2", Some("500")),
            (Step::Whole, "-0.0", Some("0")),
            (Step::Whole, "5.5", None),
            (Step::Whole, "NaN", None),
            (Step::Whole, "1e999999", None),
            (Step::DateToMoment, "2026-01-02", Some("2026-01-02T00:00:00")),
            (Step::DateToMoment, "0044-03-15 BC", None),
            (Step::MomentToDate, "2026-01-02T00:00:00.000Z", Some("2026-01-02")),
            (Step::MomentToDate, "2026-01-02 00:00:00", Some("2026-01-02")),
            (Step::MomentToDate, "2026-01-02T00:00:01", None),
            (Step::MomentToDate, "2026-01-02T00:00:00+01:00", None),
            (Step::MomentToDate, "infinity", None),
        ] {
            let name = format!("{step:?} {text}");
            let converter = Converter { step, ..Converter::default() };
            let mut out = Vec::new();
            let found = converter.convert(text.as_bytes(), &mut out).ok();
            let found = found.map(|()| String::from_utf8(out).unwrap());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_brought_to_a_case() {
        let converter = Converter { trim: true, case: Some(Case::Lower), ..Converter::default() };
        let mut out = Vec::new();
        converter.convert("  ÉMILE@Example.com ".as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "émile@example.com");
    }
}
