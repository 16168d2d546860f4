//! `logicalTypeOptions`: what values must be; and custom properties: how they are written.

use regex::Regex;
use singer::{Context as _, Result};

use super::logical::Logical;
use super::words::{OF_PROPERTY, custom, no_value_between, note_unknown, unknown_word};
use super::yaml::{Node, Spot};

/// What the values of a property must be, and how they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub format: Option<String>,
    pub pattern: Option<Regex>,
    pub low: Option<Limit>,
    pub high: Option<Limit>,
    /// The least number of characters, elements or members.
    pub count_min: Option<u64>,
    /// The greatest number of them.
    pub count_max: Option<u64>,
    pub multiple_of: Option<(String, Spot)>,
    pub unique_items: bool,
    /// Options of times that nothing is held to here: their names, and what they say.
    pub of_times: Vec<(String, String)>,
    /// Members that an object must have.
    pub members: Vec<String>,
    /// How values are written.
    pub written: Written,
}

/// An end of a range.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub text: String,
    pub excluded: bool,
    pub spot: Spot,
}

/// How values are written in the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub decimal: Option<String>,
    pub thousands: Option<String>,
    pub truths: Vec<String>,
    pub falsities: Vec<String>,
    pub century_start: Option<u16>,
    /// White space at both ends does not count.
    pub trim: bool,
    pub case: Option<Case>,
}

/// The case that texts are brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
}

/// The options of the standard.
const KNOWN: [&str; 18] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "required",
    "timezone",
    "defaultTimezone",
    "precision",
];

impl Options {
    /// Reads the options of a property.
    pub(super) fn read(
        node: &Node,
        logical: Option<Logical>,
        of: &str,
        unused: &mut Vec<(String, u64)>,
    ) -> Result<Self> {
        let mut options = Self { written: written(node, logical, of, unused)?, ..Self::default() };
        let Some(node) = node.get("logicalTypeOptions") else { return Ok(options) };
        let members = node.mapping("logicalTypeOptions")?;
        note_unknown(members, &KNOWN, of, unused);
        for member in members {
            let value = &member.value;
            match member.key.as_str() {
                "format" => options.format = Some(value.text("format")?),
                "pattern" => options.pattern = Some(pattern(value)?),
                "minLength" | "minItems" | "minProperties" => {
                    options.count_min = Some(value.count(&member.key)?);
                }
                "maxLength" | "maxItems" | "maxProperties" => {
                    options.count_max = Some(value.count(&member.key)?);
                }
                "multipleOf" => {
                    options.multiple_of = Some((value.text("multipleOf")?, value.spot));
                }
                "uniqueItems" => options.unique_items = value.boolean("uniqueItems")?,
                key @ ("timezone" | "defaultTimezone" | "precision") => {
                    options.of_times.push((key.to_owned(), value.text(key)?));
                }
                "required" => options.members = value.texts("required")?,
                _ => {}
            }
            if logical.is_some_and(|logical| !has_effect(logical, &member.key, &options)) {
                unused.push((format!("`{}` of {of}", member.key), member.spot.line));
            }
        }
        options.low = limit(node, "minimum", "exclusiveMinimum")?;
        options.high = limit(node, "maximum", "exclusiveMaximum")?;
        if logical.is_none() && !members.is_empty() {
            return Err(node
                .spot
                .fault("cannot use `logicalTypeOptions` without `logicalType`")
                .hint("add the `logicalType` of the property"));
        }
        if let (Some(min), Some(max)) = (options.count_min, options.count_max)
            && min > max
        {
            return Err(no_value_between(node.spot));
        }
        Ok(options)
    }
}

/// Tells whether an option is judged for values of a type; one that the standard does not have is
/// noted elsewhere.
fn has_effect(logical: Logical, option: &str, options: &Options) -> bool {
    let is_number = matches!(logical, Logical::Integer | Logical::Number);
    let is_time = matches!(logical, Logical::Date | Logical::Timestamp | Logical::Time);
    match option {
        "format" => {
            let format = options.format.as_deref().unwrap_or_default();
            is_time
                || logical == Logical::String && STRING_FORMATS.contains(&format)
                || logical == Logical::Integer && INTEGER_FORMATS.contains(&format)
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => is_number || is_time,
        "multipleOf" => is_number,
        "minLength" | "maxLength" => logical == Logical::String,
        "minItems" | "maxItems" | "uniqueItems" => logical == Logical::Array,
        "minProperties" | "maxProperties" | "required" => logical == Logical::Object,
        "timezone" | "defaultTimezone" | "precision" => false,
        _ => true,
    }
}

/// The values of `format` that texts are judged by.
const STRING_FORMATS: [&str; 6] = ["email", "uuid", "ipv4", "ipv6", "hostname", "uri"];
/// The values of `format` that integers are judged by.
const INTEGER_FORMATS: [&str; 10] =
    ["i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128"];

/// Reads an end of a range: `exclusiveMinimum` is a value or, as in older contracts, a boolean.
fn limit(node: &Node, included: &str, excluded: &str) -> Result<Option<Limit>> {
    let value = |node: &Node, excluded: bool| -> Result<Limit> {
        Ok(Limit { text: node.text(included)?, excluded, spot: node.spot })
    };
    match (node.get(included), node.get(excluded)) {
        (Some(limit), Some(excluded)) if excluded.boolean("").is_ok() => {
            value(limit, excluded.boolean("")?).map(Some)
        }
        (Some(limit), None) => value(limit, false).map(Some),
        (None, Some(limit)) if limit.boolean("").is_err() => value(limit, true).map(Some),
        (Some(_), Some(node)) => Err(node
            .spot
            .fault("a range of a contract has two ends on one side")
            .hint(format!("write `{included}` or `{excluded}`"))),
        (None, _) => Ok(None),
    }
}

/// Compiles a regular expression: of those that end in time linear to the text.
pub(super) fn pattern(node: &Node) -> Result<Regex> {
    Regex::new(&node.any_text("pattern")?).map_err(|cause| {
        let (reason, hint) = match &cause {
            regex::Error::CompiledTooBig(_) => {
                ("it is too large".to_owned(), "write smaller counts in `{}`")
            }
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                (
                    last.trim_start_matches("error: ").to_owned(),
                    "look-around and back references are not supported: write the pattern without \
                     them",
                )
            }
        };
        let fault = node.spot.fault("cannot use the pattern of a contract");
        fault.with("reason", reason).hint(hint)
    })
}

fn written(
    node: &Node,
    logical: Option<Logical>,
    of: &str,
    unused: &mut Vec<(String, u64)>,
) -> Result<Written> {
    let mut written = Written::default();
    for (property, value) in custom(node, &OF_PROPERTY)? {
        match property.as_str() {
            "decimal" => written.decimal = Some(value.text("decimal")?),
            // A space is no text to YAML without quotes.
            "thousands" => written.thousands = Some(value.text("thousands")?),
            "trueValues" => written.truths = value.texts("trueValues")?,
            "falseValues" => written.falsities = value.texts("falseValues")?,
            "centuryStart" => {
                let year = u16::try_from(value.count("centuryStart")?).unwrap_or(u16::MAX);
                written.century_start = Some(year);
            }
            "trim" => written.trim = value.boolean("trim")?,
            "standardize" => {
                let word = value.text("standardize")?;
                written.case = Some(match word.as_str() {
                    "lower" => Case::Lower,
                    "upper" => Case::Upper,
                    _ => {
                        let words = ["lower", "upper"];
                        return Err(unknown_word(value.spot, "standardize", &word, &words));
                    }
                });
            }
            _ => {}
        }
        let has_effect = match property.as_str() {
            "decimal" | "thousands" => {
                matches!(logical, Some(Logical::Integer | Logical::Number))
            }
            "trueValues" | "falseValues" => logical == Some(Logical::Boolean),
            "centuryStart" => {
                matches!(logical, Some(Logical::Date | Logical::Timestamp | Logical::Time))
            }
            _ => true,
        };
        if !has_effect {
            unused.push((format!("`{property}` of {of}"), value.spot.line));
        }
    }
    Ok(written)
}

impl Written {
    /// Tells whether something is said.
    pub(super) fn is_declared(&self) -> bool {
        self.decimal.is_some()
            || self.thousands.is_some()
            || !self.truths.is_empty()
            || !self.falsities.is_empty()
            || self.trim
            || self.case.is_some()
    }

    /// Returns the marks of numbers.
    pub(super) fn numbers(&self, spot: Spot) -> Result<singer::convert::NumberFormat> {
        let decimal = self.decimal.as_deref().unwrap_or(".");
        let format = singer::convert::NumberFormat::new(decimal, self.thousands.as_deref());
        format.with("line", spot.line)
    }
}
