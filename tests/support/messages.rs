//! Singer messages for tests: short to write, and exactly the bytes one means.

use serde_json::{Value, json};

/// The lines of a tap's output.
#[derive(Clone, Default)]
pub struct Lines(pub Vec<u8>);

impl Lines {
    /// Starts with the SCHEMA of stream `t` (`id` integer, key; `name` string), being read.
    pub fn opened() -> Self {
        Self::default().syncing("t").schema("t", &columns(), &["id"])
    }

    /// A whole run of stream `t` with these rows.
    pub fn whole(rows: &[(i64, &str)]) -> Self {
        rows.iter().fold(Self::opened(), |lines, (id, name)| lines.row(*id, name)).done()
    }

    /// Adds a line as it is.
    pub fn raw(mut self, line: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(line.as_ref());
        self.0.push(b'\n');
        self
    }

    /// Adds a message.
    pub fn message(self, message: &Value) -> Self {
        self.raw(message.to_string())
    }

    /// Adds a SCHEMA.
    pub fn schema(self, stream: &str, properties: &Value, keys: &[&str]) -> Self {
        self.message(&json!({
            "type": "SCHEMA",
            "stream": stream,
            "schema": { "type": "object", "properties": properties },
            "key_properties": keys,
        }))
    }

    /// Adds a RECORD.
    pub fn record(self, stream: &str, record: &Value) -> Self {
        self.message(&json!({ "type": "RECORD", "stream": stream, "record": record }))
    }

    /// Adds a RECORD of stream `t`.
    pub fn row(self, id: i64, name: &str) -> Self {
        self.record("t", &json!({ "id": id, "name": name }))
    }

    /// Adds a STATE.
    pub fn state(self, value: &Value) -> Self {
        self.message(&json!({ "type": "STATE", "value": value }))
    }

    /// Adds the STATE that says that a stream is being read.
    pub fn syncing(self, stream: &str) -> Self {
        self.state(&json!({ "bookmarks": {}, "currently_syncing": stream }))
    }

    /// Adds the STATE of a good end.
    pub fn done(self) -> Self {
        self.state(&json!({ "bookmarks": {}, "currently_syncing": null }))
    }
}

/// The properties of stream `t`.
pub fn columns() -> Value {
    json!({ "id": { "type": "integer" }, "name": { "type": ["null", "string"] } })
}

/// Returns rows of stream `t` as CSV without a header.
pub fn csv<'a>(rows: impl IntoIterator<Item = (i64, &'a str)>) -> String {
    rows.into_iter().fold(String::new(), |text, (id, name)| text + &format!("{id},{name}\n"))
}
