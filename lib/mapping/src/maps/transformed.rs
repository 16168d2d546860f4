//! The schema of a stream whose fields are transformed.

use singer::Stream;

use super::types;

/// Returns the stream; `changed` tells of a column whether it is transformed, and to null.
pub(crate) fn stream(stream: &Stream, changed: impl Fn(usize) -> Option<bool>) -> Stream {
    let mut schema = stream.schema.clone();
    let properties = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    for (at, (name, property)) in properties.into_iter().flatten().enumerate() {
        match changed(at) {
            Some(true) => *property = types::nullable(property.clone()),
            Some(false) => {
                let computed = types::computed(property);
                let is_key = stream.keys.contains(name);
                *property = if is_key { types::required(computed) } else { computed };
            }
            None => {}
        }
    }
    stream.mapped(&stream.name, schema, stream.keys.clone())
}
