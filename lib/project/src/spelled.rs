//! Numbers and truth values of settings as the file spells them, until their kind is known.
//!
//! The rule: a setting of text gets the text that stands in the file. Any other setting gets the
//! number that Meltano reads there (`010` is 10, `1_000` is 1000, `0x10` is 16); where digits would
//! be lost, the value is refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde_json::{Map, Number, Value};
use serde_saphyr::with_deserializer_from_str_with_options;
use singer::{Error, ErrorKind, Result};

use crate::yaml;

/// What a text begins with that stands without quotes where a number or a truth value is read.
const MARK: &str = "\u{0}plain:";

/// Puts marked texts in place of the numbers and truth values of settings; `text` is what the
/// value was read from.
pub fn keep(value: &mut Value, text: &str) -> Result<()> {
    if value.as_object().is_none_or(Map::is_empty) {
        return Ok(());
    }
    let tagged = RefCell::default();
    loop {
        let (mut kept, count) = (value.clone(), Cell::new(0));
        let counted = Counted { count: &count, tagged: &tagged };
        let seed = Keep { value: &mut kept, place: Vec::new(), inside: false, counted };
        let read = with_deserializer_from_str_with_options(text, yaml::options(), |yaml| {
            seed.deserialize(yaml)
        });
        match read {
            Ok(()) => {
                *value = kept;
                return Ok(());
            }
            // What a tag makes a number of, such as `!!float 3`, is read already: it has no
            // spelling of its own. The text is read once more without it.
            Err(serde_saphyr::Error::TaggedScalarCannotDeserializeIntoString { .. })
                if tagged.borrow().len() < TAGGED_MAX =>
            {
                tagged.borrow_mut().insert(count.get());
            }
            Err(cause) => return Err(yaml::unreadable(&cause, text)),
        }
    }
}

/// How many values of settings may have a tag that makes a number or a truth value of them.
const TAGGED_MAX: usize = 100;

/// Returns a text, as the file spells it; `None` for mappings, lists and null.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.strip_prefix(MARK).unwrap_or(text).to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns how the file spells a number or a truth value that is still to be read.
pub fn unread(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(MARK)
}

/// Reads what is left of a setting, as no kind is known for it: numbers and truth values.
pub fn settle(value: &mut Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(settle),
        Value::Object(members) => settle_members(members),
        other => {
            if let Some(spelled) = unread(other) {
                *other = plain(spelled).ok_or_else(inexact)?;
            }
            Ok(())
        }
    }
}

/// Reads what is left of settings; a failure names the setting.
pub fn settle_members(members: &mut Map<String, Value>) -> Result<()> {
    for (name, value) in members {
        settle(value).map_err(|failure| {
            let name = match failure.context("setting") {
                Some(inner) => format!("{name}.{inner}"),
                None => name.clone(),
            };
            inexact().with("setting", name)
        })?;
    }
    Ok(())
}

/// The failure of a number whose digits would not all arrive. It may be a secret, so it is not
/// shown.
pub fn inexact() -> Error {
    Error::new(ErrorKind::Config, "cannot keep all digits of a number")
        .hint("put quotes around a text; write a number with a fraction with at most 17 digits")
}

/// Reads a plain number or truth value that means one thing alone.
pub fn plain(spelled: &str) -> Option<Value> {
    match spelled {
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ => {}
    }
    let joined = spelled.replace('_', "");
    if let Some(whole) = whole(&joined) {
        return Some(whole);
    }
    let written = Decimal::read(&joined)?;
    let number: f64 = joined.parse().ok()?;
    let kept = Decimal::read(&format!("{number:e}"))?;
    let is_same = (written.negative, written.digits, written.exponent)
        == (kept.negative, kept.digits, kept.exponent);
    is_same.then(|| Number::from_f64(number).map(Value::Number)).flatten()
}

/// Reads a whole number of any length, by the base that its prefix says.
fn whole(joined: &str) -> Option<Value> {
    let unsigned = joined.strip_prefix(['-', '+']).unwrap_or(joined);
    let sign = if joined.starts_with('-') { "-" } else { "" };
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based =
        prefixes.iter().find_map(|(prefix, base)| Some((unsigned.strip_prefix(prefix)?, *base)));
    let digits = match based {
        Some((digits, base)) => u64::from_str_radix(digits, base).ok()?.to_string(),
        None => unsigned.to_owned(),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_start_matches('0');
    let kept = if kept.is_empty() { "0" } else { kept };
    let sign = if kept == "0" { "" } else { sign };
    format!("{sign}{kept}").parse::<Number>().ok().map(Value::Number)
}

/// A number as it is written: its digits without zeros at the ends, and where their point is.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let (whole, part) = match mantissa.split_once('.') {
            Some((whole, part)) => (whole, Some(part)),
            None => (mantissa, None),
        };
        let part = part.unwrap_or_default();
        let digits = format!("{whole}{part}");
        let in_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !in_digits {
            return None;
        }
        let after = i64::try_from(part.len()).ok()?;
        let mut exponent = exponent.map_or(Some(0), |text| text.parse::<i64>().ok())? - after;
        let significant = digits.trim_start_matches('0');
        let kept = significant.trim_end_matches('0');
        exponent += i64::try_from(significant.len() - kept.len()).ok()?;
        let exponent = if kept.is_empty() { 0 } else { exponent };
        Some(Self { negative, digits: kept.to_owned(), exponent })
    }
}

/// Reads a file once more, beside what was read of it.
struct Keep<'a> {
    value: &'a mut Value,
    /// The keys of the mappings around it.
    place: Vec<String>,
    /// Whether a setting is around it.
    inside: bool,
    counted: Counted<'a>,
}

/// Which numbers and truth values of settings have a tag, by their places among all of them.
#[derive(Clone, Copy)]
struct Counted<'a> {
    count: &'a Cell<usize>,
    tagged: &'a RefCell<BTreeSet<usize>>,
}

/// Tells whether a place of the project file holds settings or variables.
fn holds_settings(place: &[String]) -> bool {
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    matches!(
        place[..],
        ["env"]
            | ["environments" | "schedules", "env"]
            | ["plugins", _, "config" | "env"]
            | ["plugins", _, "settings", "value"]
            | ["plugins", _, "mappings", "config"]
            | ["environments", "config", "plugins", _, "config" | "env"]
    )
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        match self.value {
            Value::Object(_) => yaml.deserialize_map(self),
            Value::Array(_) => yaml.deserialize_seq(self),
            Value::Number(_) | Value::Bool(_) if self.inside => {
                self.counted.count.set(self.counted.count.get() + 1);
                if self.counted.tagged.borrow().contains(&self.counted.count.get()) {
                    return IgnoredAny::deserialize(yaml).map(drop);
                }
                *self.value = Value::from(MARK.to_owned() + &String::deserialize(yaml)?);
                Ok(())
            }
            _ => IgnoredAny::deserialize(yaml).map(drop),
        }
    }
}

impl<'de> serde::de::Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for value in self.value.as_array_mut().into_iter().flatten() {
            let (place, inside, counted) = (self.place.clone(), self.inside, self.counted);
            items.next_element_seed(Keep { value, place, inside, counted })?;
        }
        items.next_element::<IgnoredAny>().map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            let Some(value) = self.value.get_mut(&key) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let mut place = self.place.clone();
            place.push(key);
            let inside = self.inside || holds_settings(&place);
            let counted = self.counted;
            members.next_value_seed(Keep { value, place, inside, counted })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::parse;

    fn kept(yaml: &str) -> Value {
        let mut value = parse(yaml).unwrap();
        keep(&mut value, yaml).unwrap();
        value
    }

    #[test]
    fn settings_keep_their_spelling_and_other_keys_their_values() {
        let plugin = "name: t, config: {a: 007, b: [1_0, x, {c: True}], d: '007', e: ~}";
        let yaml = format!(
            "version: 1\nenv: {{A: 0x10}}\nx-a: &a {{k: 1.50}}\nplugins:\n  loaders:\n  \
             - {{{plugin}, settings: [{{name: s, value: 1e3, hidden: true}}]}}\n  \
             - {{name: u, config: {{<<: *a, f: *a}}}}\nenvironments:\n- name: e\n  config: \
             {{plugins: {{loaders: [{{name: t, config: {{g: 08}}}}]}}}}\n"
        );
        let value = kept(&yaml);
        let marked = |text: &str| json!(MARK.to_owned() + text);
        assert_eq!((&value["version"], &value["x-a"]["k"]), (&json!(1), &json!(1.5)));
        assert_eq!(value["env"]["A"], marked("0x10"));
        let [first, second] = [0, 1].map(|at| &value["plugins"]["loaders"][at]);
        let list = json!([marked("1_0"), "x", {"c": marked("True")}]);
        let expected = json!({"a": marked("007"), "b": list, "d": "007", "e": null});
        assert_eq!(first["config"], expected);
        assert_eq!(
            first["settings"][0],
            json!({"name": "s", "value": marked("1e3"), "hidden": true})
        );
        let one = marked("1.50");
        assert_eq!(second["config"], json!({"k": one, "f": {"k": one}}));
        let of_environment = &value["environments"][0]["config"]["plugins"]["loaders"][0];
        assert_eq!(of_environment["config"]["g"], marked("08"));
        assert_eq!(text(&value["env"]["A"]).as_deref(), Some("0x10"));
    }

    #[test]
    fn a_tag_says_what_a_number_is() {
        let value = kept("env: {A: !!float 3, B: 007, C: !!int 0x10, D: [!!bool true, !!float 1]}");
        let marked = json!(MARK.to_owned() + "007");
        assert_eq!(value["env"], json!({"A": 3.0, "B": marked, "C": 16, "D": [true, 1.0]}));
    }

    #[test]
    fn numbers_are_what_meltano_reads() {
        for (spelled, expected) in [
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("+5", json!(5)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("007", json!(7)),
            ("05432", json!(5432)),
            ("-08", json!(-8)),
            ("1_000", json!(1000)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0b11", json!(3)),
            ("00.5", json!(0.5)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("0.1", json!(0.1)),
            ("-2.50e-3", json!(-0.0025)),
            ("1e3", json!(1000.0)),
            ("100000000000000000000.0", json!(1e20)),
            ("0.0", json!(0.0)),
            ("True", json!(true)),
            ("FALSE", json!(false)),
        ] {
            assert_eq!(plain(spelled), Some(expected), "{spelled}");
        }
        let long = "123456789012345678901234567890";
        assert_eq!(plain(long).map(|number| number.to_string()).as_deref(), Some(long));
        for spelled in ["0.12345678901234567890", "1e999", "9007199254740993.0"] {
            assert_eq!(plain(spelled), None, "{spelled}");
        }
        let mut config = kept("env: {a: {b: [1, 0.12345678901234567890]}}")["env"].clone();
        let failure = settle(&mut config).unwrap_err();
        assert_eq!(failure.context("setting"), Some("a.b"));
    }
}
