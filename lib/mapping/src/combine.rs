//! `combine`: many streams become one, united by the names of their columns.

mod wider;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use singer::mapper::{COMBINED, Route, RowMap};
use singer::scan::{Scanner, Token};
use singer::schema::{PLAIN_VALUES, SQL_DIALECT};
use singer::{Cell, Column, Error, ErrorKind, Kind, Result, Stream};

use crate::maps::nullable;
use crate::pipeline::Stage;
use wider::{widened, words};

/// Unites all streams as one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CombineSettings {
    /// The name of the stream that all streams become.
    pub name: String,
    /// The column that names the stream which a row came from.
    #[serde(default = "source")]
    pub source_column: String,
    /// How names of columns are compared and written: `keep` as they are, `lower` in lower case and
    /// without blanks around them.
    #[serde(default)]
    pub names: CombineNames,
}

/// How names of columns are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum CombineNames {
    #[default]
    Keep,
    Lower,
}

fn source() -> String {
    "source".to_owned()
}

/// Unites streams.
pub struct Combine {
    settings: CombineSettings,
    /// The streams that are known, in their order.
    members: Vec<Member>,
    /// The columns of all of them, but the one with the source.
    union: Vec<Column>,
    /// What was reported of columns that widened.
    told: BTreeSet<String>,
    /// Streams of the tap whose rows have other columns now.
    renewed: Vec<String>,
}

struct Member {
    name: String,
    of_tap: String,
    /// Its columns, by the names that they get.
    columns: Vec<Column>,
}

impl Combine {
    /// Takes the settings.
    pub fn new(settings: CombineSettings) -> Self {
        let (members, union) = (Vec::new(), Vec::new());
        Self { settings, members, union, told: BTreeSet::new(), renewed: Vec::new() }
    }

    /// Takes note of the columns of a stream.
    fn register(&mut self, stream: &Stream) -> Result<()> {
        let mut columns: Vec<Column> = Vec::new();
        for column in &stream.columns {
            let name = match self.settings.names {
                CombineNames::Keep => column.name.clone(),
                CombineNames::Lower => column.name.trim().to_lowercase(),
            };
            if name == self.settings.source_column {
                return Err(Error::new(ErrorKind::Config, "cannot add the column with the source")
                    .with("column", &column.name)
                    .with("reason", "the stream has a column of this name")
                    .hint("give the added column another name with `source_column`"));
            }
            if columns.iter().any(|known| known.name == name) {
                return Err(Error::new(ErrorKind::Config, "two columns of a stream get one name")
                    .with("column", name)
                    .hint("rename one of them in the source"));
            }
            columns.push(plain(Column { name, ..column.clone() }));
        }
        let (name, of_tap) = (stream.name.clone(), stream.of_tap().to_owned());
        let member = Member { name, of_tap, columns };
        match self.members.iter_mut().find(|known| known.name == member.name) {
            Some(known) => *known = member,
            None => self.members.push(member),
        }
        let union = self.unite()?;
        let is_same = union.len() == self.union.len()
            && union
                .iter()
                .zip(&self.union)
                .all(|(new, old)| new.name == old.name && new.schema == old.schema);
        if !is_same {
            self.union = union;
            let others = self.members.iter().filter(|member| member.name != stream.name);
            self.renewed.extend(others.map(|member| member.of_tap.clone()));
        }
        Ok(())
    }

    /// Returns the columns of all streams.
    fn unite(&mut self) -> Result<Vec<Column>> {
        let mut union: Vec<Column> = Vec::new();
        let mut clashes = Vec::new();
        for member in &self.members {
            for column in &member.columns {
                let known = union.iter_mut().find(|known| known.name == column.name);
                let Some(known) = known else {
                    union.push(column.clone());
                    continue;
                };
                let Some(schema) = widened(known, column) else {
                    clashes.push(self.clash(member, column));
                    continue;
                };
                let wide = Column::new(column.name.clone(), schema);
                let is_wider = |of: &Column| !of.is_guess() && words(of) != words(&wide);
                if (is_wider(known) || is_wider(column)) && self.told.insert(wide.name.clone()) {
                    tracing::info!(
                        "column {} becomes {}: it is {} in stream {}, and {} before",
                        column.name,
                        words(&wide),
                        words(column),
                        member.name,
                        words(known)
                    );
                }
                *known = wide;
            }
        }
        if !clashes.is_empty() {
            return Err(Error::new(ErrorKind::Data, "cannot unite streams: columns clash")
                .with("columns", clashes.join(", "))
                .hint("rename the columns in one of the sources, or do not combine the streams"));
        }
        // A stream that lacks a column has NULL there.
        let with_null = |column: Column| Column::new(column.name, nullable(column.schema));
        Ok(union.into_iter().map(with_null).collect())
    }

    /// Says why a column of a member fits no column before it.
    fn clash(&self, member: &Member, column: &Column) -> String {
        let of_name =
            |member: &'_ Member| member.columns.iter().position(|known| known.name == column.name);
        let before = self.members.iter().take_while(|known| known.name != member.name);
        let before: Vec<(&Member, &Column)> =
            before.filter_map(|known| Some((known, &known.columns[of_name(known)?]))).collect();
        let clashing = before.iter().find(|(_, known)| widened(known, column).is_none());
        let one = clashing
            .or(before.first())
            .map(|(known, own)| format!("{} in stream {}, ", words(own), known.name));
        let name = if column.name.is_empty() { "\"\"" } else { &column.name };
        format!("{name} ({}{} in stream {})", one.unwrap_or_default(), words(column), member.name)
    }

    fn route(&self, stream: &Stream) -> Route {
        let member = self.members.iter().find(|member| member.name == stream.name);
        let own: &[Column] = member.map_or(&[], |member| &member.columns);
        let place = |column: &Column| own.iter().position(|known| known.name == column.name);
        let from = |at: usize| {
            let is_text = own.get(at).is_some_and(|column| column.kind == Kind::String);
            From { at, of_json: is_text && stream.columns[at].kind == Kind::Json }
        };
        let places: Vec<Option<From>> =
            self.union.iter().map(|column| place(column).map(from)).collect();
        let names: Vec<String> = self.union.iter().map(|column| column.name.clone()).collect();
        let mut properties: Map<String, Value> =
            self.union.iter().map(|column| (column.name.clone(), column.schema.clone())).collect();
        properties.insert(self.settings.source_column.clone(), json!({ "type": "string" }));
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), properties.into());
        let dialect = stream.schema.get(SQL_DIALECT).cloned();
        schema.extend(dialect.map(|dialect| (SQL_DIALECT.to_owned(), dialect)));
        let mut united = stream.mapped(&self.settings.name, schema, Vec::new());
        united.source_stream = Some(COMBINED.to_owned());
        united.replication_key = None;
        united.fields = Map::new();
        let name = stream.name.clone().into_bytes();
        let rows: RowMap = Box::new(move |row, out| {
            for (at, place) in places.iter().enumerate() {
                match place.map(|from| (row.cell(from.at), from.of_json)) {
                    Some((Cell::Text(text), false)) => out.push(text),
                    Some((Cell::Text(text), true)) => {
                        out.push_with(|cell| written(text, cell))
                            .map_err(|failure| failure.with("column", &names[at]))?;
                    }
                    _ => out.push_null(),
                }
            }
            out.push(&name);
            Ok(())
        });
        Route { stream: united, rows }
    }
}

impl Stage for Combine {
    fn announce(&mut self, streams: &[Stream]) -> Result<()> {
        for stream in streams {
            self.register(stream)?;
        }
        Ok(())
    }

    fn unites(&self) -> bool {
        true
    }

    fn renewed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.renewed)
    }

    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        self.register(stream)?;
        Ok(Some(vec![self.route(stream)]))
    }
}

/// Where a value comes from.
#[derive(Clone, Copy)]
struct From {
    at: usize,
    /// It is JSON there, and a text in the united stream.
    of_json: bool,
}

/// Makes a text of a column whose plain values are of several kinds, such as 1 and "1": texts of
/// other streams fit beside them.
fn plain(column: Column) -> Column {
    if column.kind == Kind::Json && column.schema[PLAIN_VALUES] == true {
        Column::new(column.name, Kind::String.property())
    } else {
        column
    }
}

/// Appends a plain value of JSON as it is written: a text without quotes.
fn written(json: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match Scanner::new(json).value() {
        Ok(Token::String(text)) => text.unescape_into(out),
        Ok(Token::Object(_) | Token::Array(_)) | Err(_) => {
            return Err(Error::new(
                ErrorKind::Data,
                "an object or list came into a column of texts",
            )
            .hint("the first records of the source had plain values: read it by itself"));
        }
        Ok(_) => out.extend_from_slice(json),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use singer::{Batch, Row};

    use super::*;

    fn stream(name: &str, properties: &Value) -> Stream {
        let mut schema = Map::new();
        schema.insert("properties".to_owned(), properties.clone());
        Stream::new(name, schema, Vec::new())
    }

    fn combine() -> Combine {
        let (name, source_column) = ("all".to_owned(), "source".to_owned());
        Combine::new(CombineSettings { name, source_column, names: CombineNames::Lower })
    }

    #[test]
    fn streams_are_united_by_the_names_of_their_columns() {
        let one = stream("a", &json!({ "ID ": { "type": "integer" }, "x": { "type": "boolean" } }));
        let other = stream(
            "b",
            &json!({
                "y": { "type": ["string", "null"], "format": "date" },
                "id": { "type": ["number", "null"] },
                "x": { "type": "string", "x-no-values": true },
            }),
        );
        let mut combine = combine();
        combine.announce(&[one.clone(), other.clone()]).unwrap();
        combine.renewed();
        let mut rows = Batch::new(3);
        rows.push(b"2026-01-31");
        rows.push(b"1.5");
        rows.push_null();
        let mut of_both = Vec::new();
        for stream in [&one, &other] {
            let mut routes = combine.routes(stream).unwrap().unwrap();
            assert_eq!(routes.len(), 1);
            let Route { stream: united, rows: map } = &mut routes[0];
            assert_eq!((united.name.as_str(), united.of_tap()), ("all", COMBINED));
            let mut out = Batch::new(united.columns.len());
            map(Row::new(&rows, 0), &mut out).unwrap();
            let text = |cell| match cell {
                Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => "-".to_owned(),
            };
            of_both.push((united.schema.clone(), out.row(0).map(text).collect::<Vec<_>>()));
        }
        assert!(combine.renewed().is_empty());
        assert_eq!(of_both[0].0, of_both[1].0);
        let expected = json!({
            "id": { "type": ["number", "null"] },
            "x": { "type": ["boolean", "null"] },
            "y": { "type": ["string", "null"], "format": "date" },
            "source": { "type": "string" },
        });
        assert_eq!(of_both[0].0["properties"], expected);
        assert_eq!(of_both[0].1, ["2026-01-31", "1.5", "-", "a"]);
        assert_eq!(of_both[1].1, ["1.5", "-", "2026-01-31", "b"]);
    }

    #[test]
    fn a_stream_that_comes_late_renews_the_others() {
        let mut combine = combine();
        let one = stream("a", &json!({ "id": { "type": "integer" } }));
        combine.routes(&one).unwrap();
        assert!(combine.renewed().is_empty());
        combine.routes(&stream("b", &json!({ "id": { "type": "string" } }))).unwrap();
        assert_eq!(combine.renewed(), ["a"]);
        assert_eq!(combine.union[0].kind, Kind::String);
    }

    #[test]
    fn a_column_that_another_stream_lacks_may_be_null_whatever_says_its_type() {
        let mut combine = combine();
        let branches = json!({ "anyOf": [{ "type": "integer" }, { "type": "boolean" }] });
        let one = stream("a", &json!({ "x": branches }));
        combine.announce(&[one, stream("b", &json!({ "y": { "type": "string" } }))]).unwrap();
        assert!(combine.union.iter().all(Column::nullable), "{:?}", combine.union);
    }

    #[test]
    fn plain_values_of_several_kinds_become_texts() {
        let json = json!({ "type": ["string", "number", "boolean", "object", "array", "null"],
            PLAIN_VALUES: true });
        let one = stream("a", &json!({ "x": json }));
        let text = stream("b", &json!({ "x": { "type": ["string", "null"] } }));
        let mut combine = combine();
        combine.announce(&[one.clone(), text]).unwrap();
        let mut route = combine.routes(&one).unwrap().unwrap().remove(0);
        assert_eq!(route.stream.schema["properties"]["x"], json!({ "type": ["string", "null"] }));
        let mut rows = Batch::new(1);
        let values = ["1.50", "true", r#""a\"b""#, r#""1""#];
        for value in values {
            rows.push(value.as_bytes());
        }
        let mut out = Batch::new(2);
        for at in 0..values.len() {
            (route.rows)(Row::new(&rows, at), &mut out).unwrap();
        }
        let text = |at| match out.row(at).next() {
            Some(Cell::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => "-".to_owned(),
        };
        assert_eq!((0..4).map(text).collect::<Vec<_>>(), ["1.50", "true", "a\"b", "1"]);
        let mut nested = Batch::new(1);
        nested.push(b"{}");
        let failure = (route.rows)(Row::new(&nested, 0), &mut out).unwrap_err();
        assert!(failure.kind() == ErrorKind::Data, "{failure}");
    }

    #[test]
    fn what_cannot_be_united_is_named() {
        let fails = |streams: &[Stream], says: &str| {
            let failure = combine().announce(streams).unwrap_err();
            assert!(failure.to_string().contains(says), "{failure}");
        };
        let object = stream("a", &json!({ "x": { "type": "object" }, "y": { "type": "array" } }));
        let scalar = stream("b", &json!({ "x": { "type": "integer" }, "y": { "type": "string" } }));
        fails(&[object, scalar], "columns clash");
        fails(&[stream("a", &json!({ "ID": {}, "id": {} }))], "get one name");
        fails(&[stream("a", &json!({ "Source": {} }))], "the column with the source");
    }
}
