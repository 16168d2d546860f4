//! How the values of the columns of a table are read, by its settings.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use singer::convert::{BooleanWords, Conversion, NumberFormat, TimeFormat, ZonedTimes};
use singer::{Context, Error, ErrorKind, Kind, Result};

use crate::column::{ColumnFormat, ColumnSetting, ColumnType};
use crate::settings::TextSettings;

/// How the values of a column are read.
#[derive(Debug)]
pub(crate) struct Writing {
    /// Other than as they stand.
    pub(crate) conversion: Option<Conversion>,
    /// The texts that mean null, where they are not those of the table.
    pub(crate) nulls: Option<Vec<String>>,
    /// Of date-times that are read as they stand: whether one without an offset was told.
    pub(crate) unzoned: Option<AtomicBool>,
}

impl Writing {
    /// Tells whether it fits a column of a stream: a catalog may have another kind.
    pub(crate) fn fits(&self, kind: Kind) -> bool {
        let own = match &self.conversion {
            Some(conversion) => conversion.kind(),
            None if self.unzoned.is_some() => Kind::DateTime,
            None => return true,
        };
        own == kind || own == Kind::Integer && kind == Kind::Number
    }
}

/// Returns how the values of the columns are read that are not read as they stand.
///
/// Fails with `Config`.
pub(crate) fn writings(text: &TextSettings) -> Result<BTreeMap<String, Writing>> {
    let mut found = BTreeMap::new();
    for (name, setting) in &text.types {
        let writing = writing(setting, text).with("column", name)?;
        if writing.conversion.is_some() || writing.nulls.is_some() || writing.unzoned.is_some() {
            found.insert(name.clone(), writing);
        }
    }
    Ok(found)
}

fn writing(setting: &ColumnSetting, values: &TextSettings) -> Result<Writing> {
    let own = match setting {
        ColumnSetting::Type(_) => None,
        ColumnSetting::Format(format) => Some(&**format),
    };
    if let Some(own) = own {
        check(own)?;
    }
    let kind = setting.kind();
    let of = |own: Option<&Option<String>>, all: &Option<String>| {
        let text = own.cloned().flatten().or_else(|| all.clone());
        text.filter(|text| !text.is_empty())
    };
    let words = |own: Option<&Option<Vec<String>>>, all: &[String]| {
        own.cloned().flatten().unwrap_or_else(|| all.to_vec())
    };
    let start = own.and_then(|own| own.two_digit_century_start).or(values.two_digit_century_start);
    let times = |all: &Option<String>| {
        let format = of(own.map(|own| &own.format), all);
        let read = |format: String| TimeFormat::new(kind, &format, start).map(Conversion::Time);
        format.map(read).transpose()
    };
    let conversion = match kind {
        Kind::Integer | Kind::Number => {
            let decimal = of(own.map(|own| &own.decimal), &values.decimal);
            let thousands = of(own.map(|own| &own.thousands), &values.thousands);
            if decimal.is_none() && thousands.is_none() {
                None
            } else {
                let decimal = decimal.as_deref().unwrap_or(".");
                let format = NumberFormat::new(decimal, thousands.as_deref())?;
                let is_integer = kind == Kind::Integer;
                Some(if is_integer {
                    Conversion::Integer(format)
                } else {
                    Conversion::Number(format)
                })
            }
        }
        Kind::Boolean => {
            let truths = words(own.map(|own| &own.true_values), &values.true_values);
            let falsities = words(own.map(|own| &own.false_values), &values.false_values);
            let none = truths.is_empty() && falsities.is_empty();
            let read = || BooleanWords::new(&truths, &falsities).map(Conversion::Boolean);
            (!none).then(read).transpose()?
        }
        Kind::Date => times(&values.date_format)?,
        Kind::Time => times(&values.time_format)?,
        Kind::DateTime => match (times(&values.datetime_format)?, &values.datetime_zone) {
            (Some(Conversion::Time(format)), Some(zone)) => {
                Some(Conversion::Zoned(ZonedTimes::new(Some(format), zone)?))
            }
            (None, Some(zone)) => Some(Conversion::Zoned(ZonedTimes::new(None, zone)?)),
            (format, _) => format,
        },
        Kind::String | Kind::Json => None,
    };
    let as_it_stands = kind == Kind::DateTime && conversion.is_none();
    let nulls = own.and_then(|own| own.null_values.clone());
    Ok(Writing { conversion, nulls, unzoned: as_it_stands.then(AtomicBool::default) })
}

/// Returns the settings of values that have no effect where columns are of these kinds, with the
/// kinds that they are for.
pub(crate) fn unused(text: &TextSettings, kinds: &[Kind]) -> Vec<(&'static str, &'static str)> {
    let any = |of: &[Kind]| kinds.iter().any(|kind| of.contains(kind));
    let numbers = any(&[Kind::Integer, Kind::Number]);
    let settings = [
        ("decimal", text.decimal.is_some(), numbers, "integer or number"),
        ("thousands", text.thousands.is_some(), numbers, "integer or number"),
        ("date_format", text.date_format.is_some(), any(&[Kind::Date]), "date"),
        ("time_format", text.time_format.is_some(), any(&[Kind::Time]), "time"),
        ("datetime_format", text.datetime_format.is_some(), any(&[Kind::DateTime]), "date-time"),
        ("datetime_zone", text.datetime_zone.is_some(), any(&[Kind::DateTime]), "date-time"),
        ("true_values", !text.true_values.is_empty(), any(&[Kind::Boolean]), "boolean"),
        ("false_values", !text.false_values.is_empty(), any(&[Kind::Boolean]), "boolean"),
    ];
    let unused = settings.into_iter().filter(|(_, is_set, is_used, _)| *is_set && !is_used);
    unused.map(|(name, _, _, of)| (name, of)).collect()
}

/// Refuses what has no effect on values of its type.
fn check(own: &ColumnFormat) -> Result<()> {
    let is = |kinds: &[ColumnType]| kinds.contains(&own.kind);
    let numbers = is(&[ColumnType::Integer, ColumnType::Number]);
    let times = is(&[ColumnType::Date, ColumnType::Time, ColumnType::DateTime]);
    let booleans = is(&[ColumnType::Boolean]);
    let members = [
        ("decimal", own.decimal.is_some(), numbers),
        ("thousands", own.thousands.is_some(), numbers),
        ("format", own.format.is_some(), times),
        ("two_digit_century_start", own.two_digit_century_start.is_some(), times),
        ("true_values", own.true_values.is_some(), booleans),
        ("false_values", own.false_values.is_some(), booleans),
    ];
    let useless = members.into_iter().find(|(_, is_given, fits)| *is_given && !fits);
    let Some((name, ..)) = useless else { return Ok(()) };
    Err(Error::new(ErrorKind::Config, "cannot use this setting for a column of this type")
        .with("setting", name)
        .with("type", format!("{:?}", own.kind.kind()).to_lowercase()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(types: Value, mut table: Value) -> Result<BTreeMap<String, Writing>> {
        table["types"] = types;
        writings(&serde_json::from_value(table).unwrap())
    }

    fn convert(types: Value, values: Value, text: &str) -> Option<String> {
        let found = read(types, values).unwrap();
        let mut out = Vec::new();
        found["c"].conversion.as_ref().unwrap().convert(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_a_column_says_beats_what_its_table_says() {
        let table = json!({
            "decimal": ",", "thousands": ".", "date_format": "DD.MM.YYYY", "time_format": "HH:mm",
            "true_values": ["ja"], "false_values": ["nein"], "two_digit_century_start": 1970,
        });
        for (types, text, expected) in [
            (json!({ "c": "number" }), "1.234,5", Some("1234.5")),
            (json!({ "c": "integer" }), "1.234", Some("1234")),
            (
                json!({ "c": { "type": "number", "decimal": ".", "thousands": "" } }),
                "1.5",
                Some("1.5"),
            ),
            (json!({ "c": { "type": "number", "thousands": "" } }), "1.234,5", None),
            (json!({ "c": { "type": "number", "thousands": " " } }), "1 234,5", Some("1234.5")),
            (json!({ "c": "boolean" }), "ja", Some("true")),
            (json!({ "c": { "type": "boolean", "true_values": ["X"] } }), "ja", None),
            (json!({ "c": { "type": "boolean", "true_values": ["X"] } }), "nein", Some("false")),
            (json!({ "c": "date" }), "31.12.2026", Some("2026-12-31")),
            (
                json!({ "c": { "type": "date", "format": "%d.%m.%y" } }),
                "31.12.26",
                Some("2026-12-31"),
            ),
            (json!({ "c": "time" }), "07:30", Some("07:30:00")),
        ] {
            let found = convert(types.clone(), table.clone(), text);
            assert_eq!(found.as_deref(), expected, "{types} {text}");
        }
        // Without a form of its own a column is read as it stands.
        for types in [json!({ "c": "string" }), json!({ "c": "json" })] {
            assert!(read(types, table.clone()).unwrap().is_empty());
        }
        let words = read(json!({ "c": { "type": "string", "null_values": ["-"] } }), json!({}));
        assert_eq!(words.unwrap()["c"].nulls.as_deref(), Some(&["-".to_owned()][..]));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_column() {
        for types in [
            json!({ "c": { "type": "date", "decimal": "," } }),
            json!({ "c": { "type": "number", "format": "%d" } }),
            json!({ "c": { "type": "string", "true_values": ["x"] } }),
            json!({ "c": { "type": "number", "decimal": ",", "thousands": "," } }),
            json!({ "c": { "type": "date", "format": "DD.MM.YY" } }),
            json!({ "c": { "type": "boolean", "true_values": ["x"], "false_values": ["x"] } }),
        ] {
            let failure = read(types.clone(), json!({})).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{types}");
            assert_eq!(failure.context("column"), Some("c"), "{types}");
        }
        for (setting, words) in [
            (json!({ "type": "number", "decimals": "," }), "decimals"),
            (json!({ "decimal": "," }), "type"),
            (json!("numbr"), "numbr"),
            (json!(7), "number"),
        ] {
            let failure = serde_json::from_value::<ColumnSetting>(setting).unwrap_err();
            assert!(failure.to_string().contains(words), "{failure}");
        }
    }

    #[test]
    fn a_bookmark_has_a_type_alone_as_the_word_it_was() {
        let text = |setting: Value| {
            let read: ColumnSetting = serde_json::from_value(setting).unwrap();
            serde_json::to_string(&read).unwrap()
        };
        assert_eq!(text(json!("date-time")), "\"date-time\"");
        let more = json!({ "type": "number", "decimal": "," });
        assert_eq!(text(more), "{\"type\":\"number\",\"decimal\":\",\"}");
    }
}
