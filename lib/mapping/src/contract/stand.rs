//! What stands in the place of a value behind a contract, so that its rows are found again.

use std::collections::BTreeSet;
use std::rc::Rc;

use singer::{Kind, Result, Secret};

use super::logical::Logical;
use super::model::Contract;
use crate::protect::{Keys, Protection, Protector};

/// What stands in the place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The value.
    Value,
    /// A text of its own, which no other value gets; more than one where the contract does not say
    /// whether the column has numbers.
    Texts(BTreeSet<String>),
    /// Nothing by which it could be found: the protection, in a word.
    Lost(&'static str),
}

impl Contract {
    /// Returns what stands in the place of a value of a column; `None` where the contract does not
    /// describe the stream.
    ///
    /// # Errors
    /// `Config` where the key cannot be used.
    pub fn stands_for(
        &self,
        stream: &str,
        column: &str,
        value: &str,
        key: Option<&Secret>,
    ) -> Result<Option<Stand>> {
        let Some(table) = self.tables.iter().find(|table| table.name == stream) else {
            return Ok(None);
        };
        let property = table.properties.iter().find(|property| property.name == column);
        let protection = property.and_then(|property| property.protection);
        let (Some(protection), Some(property)) = (protection, property) else {
            return Ok(Some(Stand::Value));
        };
        Ok(Some(match (protection, key) {
            (Protection::Keep, _) => Stand::Value,
            (Protection::Hash | Protection::Token, Some(key)) => {
                let keys = Some(Rc::new(Keys::new(key)?));
                let kinds: &[Kind] = match property.logical {
                    Some(Logical::Date) => &[Kind::Date],
                    Some(Logical::Timestamp) => &[Kind::DateTime],
                    Some(Logical::Time) => &[Kind::Time],
                    Some(Logical::Integer | Logical::Number) => &[Kind::Number],
                    Some(Logical::Object | Logical::Array) => &[Kind::Json],
                    Some(Logical::String | Logical::Boolean) => &[Kind::String],
                    None => &[Kind::String, Kind::Number],
                };
                let mut protector = Protector::new(protection, keys);
                let texts = kinds.iter().filter_map(|kind| {
                    let mut text = Vec::new();
                    protector.apply(*kind, value.as_bytes(), &mut text).ok()?;
                    String::from_utf8(text).ok()
                });
                match texts.collect::<BTreeSet<String>>() {
                    texts if texts.is_empty() => Stand::Lost(protection.word()),
                    texts => Stand::Texts(texts),
                }
            }
            (protection, _) => Stand::Lost(protection.word()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_hash_is_found_again_and_a_mask_is_not() {
        let text = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: c\nversion: 1.0.0\n\
                    status: active\nschema:\n- name: s\n  properties:\n\
                    \x20 - {name: a, customProperties: [{property: protect, value: hash}]}\n\
                    \x20 - {name: b, customProperties: [{property: protect, value: mask}]}\n\
                    \x20 - {name: c}\n";
        let contract = Contract::from_text(text, Path::new("c")).unwrap();
        let secret: Secret =
            serde_json::from_value("n0t-a-real-key-0123456789-abcdefghij".into()).unwrap();
        let stand = |stream: &str, column: &str, value: &str, key: Option<&Secret>| {
            contract.stands_for(stream, column, value, key).unwrap()
        };
        let texts = |value: &str| match stand("s", "a", value, Some(&secret)) {
            Some(Stand::Texts(texts)) => texts,
            other => panic!("{other:?}"),
        };
        let hash = texts("17");
        assert!(hash.len() == 1 && hash.iter().all(|hash| hash.starts_with("h_")));
        // It may be a text or a number.
        assert!(texts("17.0").is_superset(&hash) && texts("17.0").len() == 2);
        assert_eq!(stand("s", "a", "17", None), Some(Stand::Lost("hash")));
        assert_eq!(stand("s", "b", "17", Some(&secret)), Some(Stand::Lost("mask")));
        assert_eq!(stand("s", "c", "17", None), Some(Stand::Value));
        assert_eq!(stand("s", "d", "17", None), Some(Stand::Value));
        assert_eq!(stand("t", "a", "17", None), None);
    }
}
