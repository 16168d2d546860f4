//! The contract that `schema` of the plain shape means.

use serde_json::{Map, Value, json};

use super::model::Plain;
use super::types::{FALSITIES, TRUTHS};

impl Plain {
    /// Returns the contract in the Open Data Contract Standard; `None` without `schema`.
    pub(super) fn contract(&self) -> Option<Value> {
        if self.columns.is_empty() {
            return None;
        }
        let mut properties: Vec<Value> = Vec::new();
        for (name, of) in &self.columns {
            let mut property = Map::new();
            property.insert("name".to_owned(), name.as_str().into());
            property.insert("physicalType".to_owned(), of.word.as_str().into());
            if let Some(logical) = of.logical {
                property.insert("logicalType".to_owned(), logical.into());
            }
            if !of.options.is_empty() {
                property.insert("logicalTypeOptions".to_owned(), of.options.clone().into());
            }
            if of.logical == Some("boolean") {
                let custom =
                    |name: &str, words: &[&str]| json!({ "property": name, "value": words });
                let custom = [custom("trueValues", &TRUTHS), custom("falseValues", &FALSITIES)];
                property.insert("customProperties".to_owned(), custom.to_vec().into());
            }
            properties.push(property.into());
        }
        if self.combine {
            properties.push(json!({ "name": self.source_column, "logicalType": "string" }));
        }
        let streams: Vec<String> = if self.combine {
            vec![self.stream()]
        } else {
            self.sources.iter().map(|source| source.name.clone()).collect()
        };
        let schema: Vec<Value> = streams
            .iter()
            .map(|stream| {
                json!({
                    "name": stream,
                    "customProperties": [{ "property": "standardize", "value": "lower" }],
                    "properties": properties,
                })
            })
            .collect();
        Some(json!({
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": self.name,
            "name": self.name,
            "version": "1.0.0",
            "status": "active",
            "schema": schema,
        }))
    }
}
