//! What becomes of values that are protected, and of the schemas of their properties.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use singer::convert::Unfit;
use singer::schema::ABSENT_IS_NULL;
use singer::{Column, Kind, Result};

use super::generalise::Generalise;
use super::keys::Keys;
use super::partial::{MASK, partial_into};
use crate::normal::{is_always_normal, normal_into};

/// What becomes of the values of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The column is left out.
    Drop,
    /// The column stays, and is null.
    Null,
    /// A keyed hash: the same value gives the same text in every stream; nobody can reverse it.
    Hash,
    /// A token: as a hash, and who has the key can read it.
    Token,
    /// `***`
    Mask,
    /// A part: `j***@example.com`, `***3000`.
    Partial,
    /// Made coarse.
    Generalise(Generalise),
    /// As it is.
    Keep,
}

impl Protection {
    /// Tells whether two values that differ stay two values, so that the column can be a key.
    pub(crate) fn keeps_apart(self) -> bool {
        matches!(self, Self::Hash | Self::Token | Self::Keep)
    }

    /// Tells whether it needs a key.
    pub(crate) fn needs_key(self) -> bool {
        matches!(self, Self::Hash | Self::Token)
    }

    /// Returns the word of a contract.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Null => "null",
            Self::Hash => "hash",
            Self::Token => "token",
            Self::Mask => "mask",
            Self::Partial => "partial",
            Self::Generalise(_) => "generalise",
            Self::Keep => "keep",
        }
    }

    /// Returns the schema of a property after it, given the one before. It is made anew: words
    /// such as `enum`, `default` and `examples` could show values.
    pub(crate) fn schema_after(self, before: &Value, nullable: bool) -> Value {
        let mut after = Map::new();
        let keep = |names: &[&str], after: &mut Map<String, Value>| {
            for name in names {
                if let Some(value) = before.get(*name) {
                    after.insert((*name).to_owned(), value.clone());
                }
            }
        };
        let typed = |word: &str| if nullable { json!([word, "null"]) } else { json!(word) };
        keep(&["title", "description"], &mut after);
        match self {
            Self::Keep | Self::Drop => return before.clone(),
            Self::Null => {
                let column = Column::new("", before.clone());
                let kinds = [
                    (Kind::Boolean, "boolean"),
                    (Kind::Integer, "integer"),
                    (Kind::Number, "number"),
                    (Kind::Json, "object"),
                ];
                let word = kinds.iter().find(|(kind, _)| *kind == column.kind);
                after.insert("type".to_owned(), json!([word.map_or("string", |(_, w)| w), "null"]));
                if matches!(column.kind, Kind::Date | Kind::Time | Kind::DateTime) {
                    keep(&["format"], &mut after);
                }
                keep(&["x-sql-datatype", "x-sql-extension"], &mut after);
            }
            Self::Generalise(Generalise::Year) => {
                after.insert("type".to_owned(), typed("integer"));
            }
            Self::Generalise(Generalise::Range(_)) => {
                let column = Column::new("", before.clone());
                let word = if column.kind == Kind::Integer { "integer" } else { "number" };
                after.insert("type".to_owned(), typed(word));
            }
            Self::Hash | Self::Token | Self::Mask | Self::Partial | Self::Generalise(_) => {
                after.insert("type".to_owned(), typed("string"));
            }
        }
        Value::Object(after)
    }
}

/// Tells whether a column may be null after it was protected.
pub(crate) fn is_nullable(column: &Column) -> bool {
    column.nullable() || column.schema[ABSENT_IS_NULL] == Value::Bool(true)
}

/// Writes protected values.
#[derive(Clone, Debug)]
pub(crate) struct Protector {
    pub(super) protection: Protection,
    keys: Option<Rc<Keys>>,
    scratch: Vec<u8>,
}

impl Protector {
    /// Takes the keys, which are there where the protection needs them.
    pub(crate) fn new(protection: Protection, keys: Option<Rc<Keys>>) -> Self {
        Self { protection, keys, scratch: Vec::new() }
    }

    /// Tells whether it makes every value null.
    pub(crate) fn is_null(&self) -> bool {
        self.protection == Protection::Null
    }

    /// Tells whether what it writes is a text in JSON.
    pub(crate) fn writes_text(&self, kind: Kind) -> bool {
        match self.protection {
            Protection::Generalise(how) => how.is_text(),
            Protection::Keep => !matches!(kind, Kind::Boolean | Kind::Integer | Kind::Number),
            _ => true,
        }
    }

    /// Appends what stands in the place of a value in canonical text. `Err` says why that cannot
    /// be; the value is not shown then.
    pub(crate) fn apply(
        &mut self,
        kind: Kind,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        match self.protection {
            Protection::Keep => out.extend_from_slice(text),
            Protection::Mask => out.extend_from_slice(MASK),
            Protection::Partial if kind == Kind::Json => out.extend_from_slice(MASK),
            Protection::Partial => partial_into(text, out),
            Protection::Generalise(how) => how.apply(text, out)?,
            Protection::Hash | Protection::Token => {
                let keys = self.keys.as_ref().ok_or(Unfit("there is no key"))?;
                let text = if is_always_normal(kind) {
                    text
                } else {
                    self.scratch.clear();
                    normal_into(kind, text, &mut self.scratch);
                    &self.scratch
                };
                if self.protection == Protection::Hash {
                    keys.hash_into(text, out);
                } else {
                    keys.token_into(text, out).map_err(|_| Unfit("it is too large"))?;
                }
            }
            Protection::Drop | Protection::Null => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use singer::Secret;

    use super::*;

    #[test]
    fn what_is_protected_does_not_show_its_value() {
        let keys = Keys::new(&Secret::new("n0t-a-real-key-0123456789-abcdefghij")).unwrap();
        let keys = Rc::new(keys);
        let all = [
            Protection::Hash,
            Protection::Token,
            Protection::Mask,
            Protection::Partial,
            Protection::Null,
            Protection::Generalise(Generalise::First(2)),
        ];
        let values = ("[ -~\u{a1}-\u{17f}]{9,40}", prop::sample::select(all.to_vec()));
        testing::property::holds("protected texts", 2000, values, |(text, protection)| {
            let mut protector = Protector::new(protection, Some(Rc::clone(&keys)));
            let mut out = Vec::new();
            protector.apply(Kind::String, text.as_bytes(), &mut out).unwrap();
            let shown = String::from_utf8(out).unwrap();
            // Nine characters in a row are never seen, but in the domain of an address.
            let hidden: Vec<char> = match super::super::mail_parts(&text) {
                Some((name, _)) => name.chars().collect(),
                None => text.chars().collect(),
            };
            for part in hidden.windows(9) {
                let part: String = part.iter().collect();
                prop_assert!(!shown.contains(&part), "{:?} {} {}", protection, text, shown);
            }
            Ok(())
        });
    }

    #[test]
    fn one_value_gives_one_text_in_every_type() {
        let keys = Keys::new(&Secret::new("n0t-a-real-key-0123456789-abcdefghij")).unwrap();
        let keys = Rc::new(keys);
        for protection in [Protection::Hash, Protection::Token] {
            let mut texts: Vec<Vec<u8>> = Vec::new();
            for (kind, text) in [
                (Kind::Integer, "17"),
                (Kind::Number, "17.0"),
                (Kind::Number, "1.7e1"),
                (Kind::String, "17"),
                (Kind::Json, "17.00"),
                (Kind::Json, "\"17\""),
            ] {
                let mut out = Vec::new();
                let mut protector = Protector::new(protection, Some(Rc::clone(&keys)));
                protector.apply(kind, text.as_bytes(), &mut out).unwrap();
                texts.push(out);
            }
            texts.dedup();
            assert_eq!(texts.len(), 1, "{protection:?}");
        }
    }
}
