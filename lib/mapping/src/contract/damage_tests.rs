//! Damaged contracts are refused with their place, or read.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use singer::ErrorKind;
use testing::changes::{changed, changes};

use super::Contract;

fn contract() -> Value {
    json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1.0.0",
        "status": "active",
        "schema": [{
            "name": "s", "physicalName": "t",
            "customProperties": [{ "property": "standardize", "value": "snake_case" }],
            "properties": [
                { "name": "a", "logicalType": "integer", "primaryKey": true, "required": true,
                  "logicalTypeOptions": { "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2,
                      "format": "i32" },
                  "quality": [{ "metric": "nullValues", "mustBeBetween": [0, 1] }] },
                { "name": "b", "logicalType": "string", "unique": true, "classification": "public",
                  "logicalTypeOptions": { "pattern": "^a", "minLength": 1, "format": "email" },
                  "customProperties": [{ "property": "protect", "value": "generalise" },
                      { "property": "generalise", "value": "first 2" }] },
                { "name": "c", "logicalType": "object", "properties": [
                    { "name": "d", "logicalType": "array", "items": { "name": "e",
                        "customProperties": [{ "property": "protect", "value": "hash" }] } }] }
            ],
            "quality": [{ "metric": "duplicateValues", "arguments": { "properties": ["a"] },
                "unit": "percent", "mustBeLessThan": 1.5, "severity": "error" }]
        }]
    })
}

#[test]
fn a_damaged_contract_is_refused_or_read() {
    Contract::from_text(&contract().to_string(), Path::new("c")).unwrap();
    testing::property::holds("damaged contracts", 2000, changes(), |changes| {
        let document = changed(contract(), &changes);
        match Contract::from_text(&document.to_string(), Path::new("c")) {
            Ok(_) => {}
            Err(failure) => {
                prop_assert_eq!(failure.kind(), ErrorKind::Config, "{}", document);
                let text = failure.to_string();
                prop_assert!(text.contains("contract: c"), "{}", text);
            }
        }
        Ok(())
    });
}

#[test]
fn any_text_is_refused_or_read() {
    let texts = "[a-z:\\[\\]{}\n &*!|>'\"#%@,0-9.~-]{0,80}";
    testing::property::holds("texts as contracts", 2000, texts, |text| {
        let read = Contract::from_text(&text, Path::new("c"));
        prop_assert_eq!(read.unwrap_err().kind(), ErrorKind::Config);
        Ok(())
    });
}
