//! The form of a catalog: what a tap says, or a file has, may be any JSON.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// Refuses a catalog whose streams, schemas or metadata are not of the form that Singer has.
pub(super) fn check(catalog: &Value) -> Result<()> {
    if !catalog.is_object() {
        return Err(refused("the catalog", "an object"));
    }
    for (at, stream) in catalog["streams"].as_array().into_iter().flatten().enumerate() {
        let place = format!("streams[{at}]");
        if !stream.is_object() {
            return Err(refused(&place, "an object"));
        }
        let schema = &stream["schema"];
        if !schema.is_null() && !schema.is_object() {
            return Err(refused(&format!("{place}.schema"), "an object"));
        }
        for entry in stream["metadata"].as_array().into_iter().flatten() {
            let metadata = entry.get("metadata").unwrap_or(&Value::Null);
            if !entry.is_object() || !metadata.is_null() && !metadata.is_object() {
                return Err(refused(&format!("{place}.metadata"), "a list of objects"));
            }
        }
    }
    Ok(())
}

fn refused(place: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Protocol, "cannot use the catalog of the tap: its form is wrong")
        .with("place", place)
        .with("wanted", wanted)
        .hint("`catalog` of the tap names a catalog to use in place of what the tap says")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn odd_catalogs_are_refused() {
        for odd in [
            json!([]),
            json!(5),
            json!({"streams": [5]}),
            json!({"streams": [[]]}),
            json!({"streams": [{"schema": 5}]}),
            json!({"streams": [{"metadata": [5]}]}),
            json!({"streams": [{"metadata": [{"metadata": 5}]}]}),
        ] {
            assert_eq!(check(&odd).unwrap_err().kind(), ErrorKind::Protocol, "{odd}");
        }
        let good = json!({"streams": [{"schema": {"properties": {"x": true}}, "metadata": [{}]}]});
        check(&good).unwrap();
    }
}
