//! The text of a new contract: of streams that a tap was found to have.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use singer::Kind;
use singer::schema::columns;

use super::logical::Logical;

/// A contract that is to be written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its id and name.
    pub name: String,
    /// What stands above it, as comments.
    pub notes: Vec<String>,
    /// The streams.
    pub streams: Vec<DraftStream>,
}

/// A stream of such a contract.
#[derive(Clone, Debug, Default)]
pub struct DraftStream {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<DraftColumn>,
}

/// A column of such a stream, or a part of one.
#[derive(Clone, Debug, Default)]
pub struct DraftColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub logical: Option<Logical>,
    /// Its greatest number of characters.
    pub length_max: Option<u64>,
    /// Its place in the key, from 1.
    pub key: Option<usize>,
    /// Null is a violation.
    pub required: bool,
    /// How confidential it is.
    pub classification: Option<&'static str>,
    /// What becomes of its values.
    pub protect: Option<&'static str>,
    /// How they are made coarse.
    pub generalise: Option<&'static str>,
    /// Why, as a comment.
    pub note: Option<String>,
    /// Parts of an object.
    pub parts: Vec<DraftColumn>,
}

impl DraftStream {
    /// Describes a stream by its JSON Schema and its key; only these columns.
    pub fn of(name: &str, schema: &Map<String, Value>, keys: &[String], selected: &[&str]) -> Self {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
        let found = columns(schema).into_iter().filter(|column| {
            selected.contains(&column.name.as_str()) || keys.contains(&column.name)
        });
        let found = found.map(|column| {
            let key = keys.iter().position(|key| *key == column.name).map(|at| at + 1);
            let logical = logical(column.kind, &column.schema);
            let length = column.schema["maxLength"].as_u64();
            DraftColumn {
                required: key.is_some()
                    || is_required(&column.name) && !crate::protect::is_nullable(&column),
                key,
                logical,
                length_max: length.filter(|_| logical == Some(Logical::String)),
                name: column.name,
                ..DraftColumn::default()
            }
        });
        Self { name: name.to_owned(), columns: found.collect() }
    }
}

/// Returns the type of the standard; none where values may be of several.
fn logical(kind: Kind, schema: &Value) -> Option<Logical> {
    Some(match kind {
        Kind::Boolean => Logical::Boolean,
        Kind::Integer => Logical::Integer,
        Kind::Number => Logical::Number,
        Kind::String => Logical::String,
        Kind::Date => Logical::Date,
        Kind::Time => Logical::Time,
        Kind::DateTime => Logical::Timestamp,
        Kind::Json => {
            let words: Vec<&str> = match &schema["type"] {
                Value::String(word) => vec![word],
                Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let mut words = words.into_iter().filter(|word| *word != "null");
            match (words.next(), words.next()) {
                (Some("object"), None) => Logical::Object,
                (Some("array"), None) => Logical::Array,
                _ => return None,
            }
        }
    })
}

impl Draft {
    /// Writes the text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for note in &self.notes {
            let _ = writeln!(text, "# {}", one_line(note));
        }
        let name = quoted(&self.name);
        let _ = write!(
            text,
            "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\n\
             status: draft\nschema:\n"
        );
        for stream in &self.streams {
            let _ = writeln!(text, "- name: {}", quoted(&stream.name));
            if !stream.columns.is_empty() {
                text.push_str("  properties:\n");
            }
            stream.columns.iter().for_each(|column| column.write("  ", &mut text));
        }
        text
    }
}

impl DraftColumn {
    fn write(&self, indent: &str, text: &mut String) {
        if let Some(note) = &self.note {
            let _ = writeln!(text, "{indent}# {}", one_line(note));
        }
        let _ = writeln!(text, "{indent}- name: {}", quoted(&self.name));
        let mut line = |words: &str| {
            let _ = writeln!(text, "{indent}  {words}");
        };
        if let Some(logical) = self.logical {
            line(&format!("logicalType: {}", logical.word()));
        }
        if let Some(length) = self.length_max {
            line(&format!("logicalTypeOptions: {{maxLength: {length}}}"));
        }
        if let Some(key) = self.key {
            line("primaryKey: true");
            line(&format!("primaryKeyPosition: {key}"));
        }
        if self.required {
            line("required: true");
        }
        if let Some(class) = self.classification {
            line(&format!("classification: {class}"));
        }
        if let Some(protect) = self.protect {
            line("customProperties:");
            // Without quotes YAML reads it as nothing.
            let word = if protect == "null" { "\"null\"" } else { protect };
            line(&format!("- {{property: protect, value: {word}}}"));
            if let Some(how) = self.generalise {
                line(&format!("- {{property: generalise, value: {how}}}"));
            }
        }
        if !self.parts.is_empty() {
            line("properties:");
            let inner = format!("{indent}  ");
            self.parts.iter().for_each(|part| part.write(&inner, text));
        }
    }
}

/// Writes a name: as it is where YAML reads it as a text, else in double quotes.
fn quoted(name: &str) -> String {
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if is_word && !reserved.contains(&name.to_lowercase().as_str()) {
        return name.to_owned();
    }
    let mut text = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn one_line(note: &str) -> String {
    note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::Contract;
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let odd = "a: \"b\\\"\n#é\u{85}";
        let schema = json!({ "required": ["n"], "properties": {
            "id": { "type": "integer" },
            "n": { "type": "number" },
            "null": { "type": ["string", "null"], "maxLength": 7 },
            (odd): { "type": "string", "format": "date" },
            "o": { "type": ["object", "null"] },
            "any": {},
            "left": { "type": "string" },
        } });
        let keys = ["id".to_owned()];
        let selected = ["n", "null", odd, "o", "any"];
        let schema = schema.as_object().unwrap();
        let mut stream = DraftStream::of("no", schema, &keys, &selected);
        stream.columns[2].protect = Some("null");
        stream.columns[2].note = Some("because\nof this".to_owned());
        stream.columns[4].parts =
            vec![DraftColumn { name: "p".to_owned(), ..DraftColumn::default() }];
        let draft = Draft { name: "1".to_owned(), notes: Vec::new(), streams: vec![stream] };
        let read = Contract::from_text(&draft.text(), Path::new("c")).unwrap();
        assert_eq!((read.id.as_str(), read.unused.len()), ("1", 0));
        let table = &read.tables[0];
        assert_eq!(table.name, "no");
        let names: Vec<&str> = table.properties.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["id", "n", "null", odd, "o", "any"]);
        let required: Vec<bool> = table.properties.iter().map(|one| one.required).collect();
        assert_eq!(required, [true, true, false, false, false, false]);
        let kinds: Vec<Option<Logical>> = table.properties.iter().map(|one| one.logical).collect();
        assert_eq!(kinds[2..4], [Some(Logical::String), Some(Logical::Date)]);
        assert_eq!(kinds[4..], [Some(Logical::Object), None]);
        assert_eq!(table.properties[0].key, Some(1));
        assert_eq!(table.properties[4].properties[0].name, "p");
    }
}
