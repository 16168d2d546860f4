//! What the elements of an array are held to: to the rules of a column of their type (pure).

use singer::Result;

use crate::decimal;
use crate::limits::{self, Length, refusal};
use crate::types::SqlType;

/// The rule of one type of elements.
#[derive(Clone, Debug)]
pub struct Elements {
    form: Form,
    /// Digits after the point that the type keeps.
    scale: Option<i32>,
    length: Option<Length>,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Boolean,
    Number(Option<limits::Refuse>),
    Date,
    /// A date with a time; the flag tells whether the type keeps (or converts) an offset.
    Moment(bool),
    Time(bool),
    /// Bytes that the source sends as hexadecimal digits.
    Hex,
    /// Bytes, of which the source does not know.
    Bytes,
}

impl Elements {
    /// Returns the rule of an array's elements; `None` where their type keeps all that it takes.
    /// `hex` tells that the source sends bytes as hexadecimal digits, `floats` and `padded` what it
    /// holds.
    pub fn of(array: &SqlType, hex: bool, (floats, padded): (bool, bool)) -> Option<Self> {
        let sql = SqlType::sized(&array.name, &array.modifiers);
        let form = match &*sql.name {
            "boolean" => Form::Boolean,
            "smallint" | "integer" | "bigint" | "numeric" => Form::Number(None),
            name @ ("real" | "double precision") => {
                Form::Number(limits::in_float_type(name, floats))
            }
            "oid" => Form::Number(Some(limits::not_negative)),
            "date" => Form::Date,
            "timestamp without time zone" => Form::Moment(false),
            "timestamp with time zone" => Form::Moment(true),
            "time without time zone" => Form::Time(false),
            "time with time zone" => Form::Time(true),
            "bytea" if hex => Form::Hex,
            "bytea" => Form::Bytes,
            _ => Form::Text,
        };
        let (scale, length) = (sql.scale(), limits::length(&sql, padded));
        let free = matches!(form, Form::Text) && scale.is_none() && length.is_none();
        (!free).then_some(Self { form, scale, length })
    }

    /// Refuses an element, a string or a number, that the type would take and change.
    pub fn check(&self, element: &[u8], string: bool) -> Result<()> {
        let scale = self.scale;
        match self.form {
            Form::Text => match scale {
                Some(scale) => limits::fraction(element, scale),
                None => self.length.map_or(Ok(()), |length| length.check(element)),
            },
            Form::Number(refuse) => {
                let word = matches!(element, b"NaN" | b"Infinity" | b"-Infinity");
                if string && !word && !decimal::is_number(element) {
                    return Err(refusal("the text is not a number"));
                }
                refuse.map_or(Ok(()), |refuse| refuse(element))?;
                scale.map_or(Ok(()), |scale| limits::scale(element, scale))
            }
            Form::Boolean if string && matches!(element, b"true" | b"false" | b"t" | b"f") => {
                Ok(())
            }
            Form::Boolean => Err(refusal("the value is not a boolean")),
            Form::Date | Form::Moment(_) | Form::Time(_) | Form::Hex if !string => {
                Err(refusal("the number is not a value of the column's type"))
            }
            Form::Date => limits::date(element, None),
            Form::Moment(zoned) => limits::date(element, scale.map(|scale| (scale, zoned))),
            Form::Time(zoned) => limits::clock(element, zoned, scale),
            Form::Hex => Ok(()),
            Form::Bytes => Err(refusal("the source does not say that the text stands for bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_obey_what_scalars_obey() {
        let check = |sql: &str, element: &str, string: bool, expected: bool| {
            let rule = Elements::of(&SqlType::from_server(sql), false, (false, false));
            let taken = rule.is_none_or(|rule| rule.check(element.as_bytes(), string).is_ok());
            assert_eq!(taken, expected, "{sql} <- {element}");
        };
        for (sql, element, expected) in [
            ("date[]", "2026-01-01", true),
            ("date[]", "0044-03-15 BC", true),
            ("date[]", "-infinity", true),
            ("date[]", "2026-01-01 00:00:00", true),
            ("date[]", "2026-01-01T00:00:00Z", true),
            ("date[]", "2026-01-01 23:30:00", false),
            ("date[]", "2026-01-01T00:00:00.000001", false),
            ("date[]", "2026-01-01T00:00:00+02:00", false),
            ("date[]", "yesterday", false),
            ("date[]", "01/02/03", false),
            ("date[]", "20260102", false),
            ("timestamp(3) without time zone[]", "2026-01-01T10:00:00.123", true),
            ("timestamp(3) without time zone[]", "2026-01-01T10:00:00.1234", false),
            ("timestamp without time zone[]", "0044-03-15 09:00:00 BC", true),
            ("timestamp without time zone[]", "2026-01-01T10:00:00+02:00", false),
            ("timestamp without time zone[]", "2026-01-01 10:00 Asia/Tokyo", false),
            ("timestamp without time zone[]", "2026-01-01T23:59:60", false),
            ("timestamp with time zone[]", "2026-01-01T10:00:00+02:00", true),
            ("timestamp with time zone[]", "12026-01-01 10:00:00+00", true),
            ("timestamp with time zone[]", "now", false),
            ("time without time zone[]", "10:00:00+02:00", false),
            ("time without time zone[]", "10:00:00.5", true),
            ("time with time zone[]", "10:00:00+02:00", true),
            ("time(0) without time zone[]", "10:00:00.5", false),
            ("numeric(5,2)[]", "1.005", false),
            ("numeric[]", "007", false),
            ("numeric[]", "NaN", true),
            ("double precision[]", "0.12345678901234567891", false),
            ("real[]", "123456789.12", false),
            ("oid[]", "-1", false),
            ("boolean[]", "yes", false),
            ("boolean[]", "t", true),
            ("bytea[]", "cafe", false),
            ("interval(0)[]", "PT1.6S", false),
            ("money[]", "$1.005", false),
            ("name[]", "ééééééééééééééééééééééééééééééééé", false),
            ("character varying(2)[]", "ab ", false),
            ("text[]", "anything", true),
        ] {
            check(sql, element, true, expected);
        }
        check("double precision[]", "9007199254740993", false, false);
        check("double precision[]", "0.5", false, true);
        check("boolean[]", "1", false, false);
        check("date[]", "20260101", false, false);
        check("text[]", "1", false, true);
    }
}
