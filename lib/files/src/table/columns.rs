//! The columns of a table: joined by name over all files, and where each cell comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::schema::NO_VALUES;
use singer::{Error, ErrorKind, Kind, Result, Stream};

use crate::infer::Inference;
use crate::json::Shape;
use crate::settings::Metadata;
use crate::table::likeness::Spellings;

/// The union of the columns of the files read so far.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// Where each name stands among them: there may be very many.
    places: BTreeMap<String, usize>,
    pub(super) inference: Inference,
    /// The columns of JSON files, which have types of their own.
    pub(super) shape: Shape,
    /// A file, and a key of the table that is none of its columns.
    pub(super) lacking: Option<(String, String)>,
    /// The failure of the first record of a JSON file that is no object. Where a table has columns,
    /// the reader of the rows refuses such a record; where none has any, nothing else would tell.
    pub(super) no_object: Option<Error>,
    /// How the files spell the names.
    pub(super) spellings: Spellings,
    /// How many there may be.
    max: usize,
}

impl Columns {
    /// Starts without columns.
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// Tells whether a delimited file has a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Tells whether any file has a column.
    pub(super) fn has_any(&self, name: &str) -> bool {
        self.has(name) || self.shape.has(name)
    }

    /// Tells whether no file has a column yet.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.shape.is_empty()
    }

    /// Takes the object of a JSON file into account; tells whether it is one.
    pub(super) fn see(&mut self, object: &[u8], path: &str) -> Result<bool> {
        let known = self.shape.len();
        let is_object = self.shape.see(object).is_ok();
        for name in self.shape.names().skip(known) {
            self.spellings.note(name, path);
        }
        self.spellings.see_together(|name| self.shape.had_last(name));
        check_count(self.shape.len(), self.max)?;
        Ok(is_object)
    }

    /// Adds the columns of a file.
    pub(super) fn join(&mut self, names: Vec<String>, inference: &Inference) -> Result<()> {
        for (theirs, name) in names.into_iter().enumerate() {
            let ours = self.places.get(&name).copied().unwrap_or(self.names.len());
            if ours == self.names.len() {
                self.places.insert(name.clone(), ours);
                self.names.push(name);
                self.inference.grow(ours + 1);
            }
            self.inference.merge(ours, inference, theirs);
        }
        check_count(self.names.len(), self.max)
    }
}

/// Refuses more columns than a table may have.
pub(super) fn check_count(count: usize, max: usize) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "cannot read a table with this many columns")
        .with("columns", count)
        .with("max_columns", max)
        .hint("check the delimiter, and that the first line is a header; else raise `max_columns`"))
}

/// Returns the schema of a column of JSON files whose type is set: numbers and booleans of one that
/// is to be text become text.
pub(super) fn of_json(kind: Kind, found: &Value) -> Value {
    let is_string = found["type"] == json!(["string", "null"]);
    if kind == Kind::String && !is_string {
        return json!({"type": ["boolean", "number", "string", "null"]});
    }
    kind.property()
}

/// Returns the schema of a column that delimited files and JSON files have, from those of both:
/// text of a delimited file can be a string, but what is no string in JSON cannot become text.
pub(super) fn joined(name: &str, delimited: &Value, json: &Value) -> Result<Value> {
    let is = |property: &Value, word: &str| property["type"] == json!([word, "null"]);
    let has_values = |property: &Value| property[NO_VALUES] != true;
    let numbers = |property| is(property, "integer") || is(property, "number");
    match (delimited, json) {
        (one, other) if one == other || !has_values(other) => Ok(one.clone()),
        (one, other) if !has_values(one) => Ok(other.clone()),
        (one, other) if numbers(one) && numbers(other) => Ok(Kind::Number.property()),
        (_, other) if is(other, "string") => Ok(Kind::String.property()),
        _ => Err(Error::new(
            ErrorKind::Data,
            "cannot combine a column of JSON files and of delimited files",
        )
        .with("column", name)
        .with("type in delimited files", &delimited["type"])
        .with("type in JSON files", &json["type"])
        .hint("read the JSON files and the delimited files into two tables")),
    }
}

/// Where the cell of a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Field(usize),
    /// A field that is not read as it stands; `column` is the place of its column in the stream.
    Written {
        field: usize,
        column: usize,
    },
    Metadata(Metadata),
    Nowhere,
}

impl Origin {
    /// Returns the field that it is.
    pub(super) fn field(self) -> Option<usize> {
        match self {
            Self::Field(at) | Self::Written { field: at, .. } => Some(at),
            Self::Metadata(_) | Self::Nowhere => None,
        }
    }
}

/// Finds each column of the stream in a file by name.
pub(super) fn origins(stream: &Stream, names: &[String], metadata: &[Metadata]) -> Vec<Origin> {
    let places: BTreeMap<_, _> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let origin = |name: &str| {
        if let Some(column) = metadata.iter().find(|column| column.name() == name) {
            return Origin::Metadata(*column);
        }
        places.get(name).map_or(Origin::Nowhere, |at| Origin::Field(*at))
    };
    stream.columns.iter().map(|column| origin(&column.name)).collect()
}

/// Returns where the cells come from where the fields stand in another order; `columns` has the
/// column of each field.
pub(super) fn in_order(origins: &[Origin], columns: &[usize]) -> Vec<Origin> {
    let place = |at: usize| columns.iter().position(|column| *column == at).unwrap_or(at);
    let moved = |origin: &Origin| match *origin {
        Origin::Field(at) => Origin::Field(place(at)),
        Origin::Written { field, column } => Origin::Written { field: place(field), column },
        other => other,
    };
    origins.iter().map(moved).collect()
}

/// Returns the columns of a file that the catalog of the stream does not know; those that it only
/// does not select have metadata in it.
pub(super) fn unknown(stream: &Stream, names: &[String]) -> Vec<String> {
    names.iter().filter(|name| !stream.knows(name)).cloned().collect()
}

/// Adds the columns that are not in the files.
pub(super) fn add_metadata(
    properties: &mut Map<String, Value>,
    metadata: &[Metadata],
) -> Result<()> {
    for column in metadata {
        let schema = match column {
            Metadata::File => Kind::String.property(),
            Metadata::Modified => Kind::DateTime.property(),
            Metadata::Line => Kind::Integer.property(),
            Metadata::Extra => {
                json!({"type": ["array", "null"], "items": {"type": ["string", "null"]}})
            }
        };
        if properties.insert(column.name().to_owned(), schema).is_some() {
            return Err(Error::new(
                ErrorKind::Data,
                "cannot add a column that the file already has",
            )
            .with("column", column.name())
            .hint("set `add_metadata_columns` to false"));
        }
    }
    Ok(())
}
