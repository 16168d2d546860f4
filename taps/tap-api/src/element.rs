//! How a record is made of what stands in its place in an answer: of an element of a list in a
//! document, of a value, of a member with its name, of a row of values.

use std::collections::BTreeSet;

use files::json::{Fields, Record, RecordsPath, Unwinding};
use serde_json::Value;
use serde_json_path::JsonPath;
use singer::quote::string_into;
use singer::scan::Scanner;
use singer::{Context as _, Error, ErrorKind, Result};

use crate::options::StreamOptions;
use crate::row::{Context, RowMaker, RowRules};
use crate::spool::{Budget, Spool};

/// The word of `columns_path` for the first of the records.
const FIRST_ROW: &str = "first_row";

/// How records are made.
#[derive(Debug, Default)]
pub struct Elements {
    /// Records lie in documents, and get fields of those.
    pub unwinding: Option<Unwinding>,
    /// The column of a value that is no object.
    value: Option<String>,
    /// The column of the name of a member.
    key: Option<String>,
    /// Where the columns of arrays are named.
    columns: Option<ColumnsPlace>,
    /// The same place, where it is in the simple form that tells what lacks a name.
    names_of: Option<RecordsPath>,
}

#[derive(Debug)]
enum ColumnsPlace {
    FirstRow,
    Path(JsonPath),
}

/// The columns of the arrays of an answer.
pub type Names = Option<Vec<String>>;

impl Elements {
    /// Takes the settings.
    ///
    /// Fails with `Config`.
    pub fn new(options: &StreamOptions, records: &RecordsPath) -> Result<Self> {
        let fields = options.parent_fields.as_ref().filter(|fields| !fields.is_empty());
        let unwinding = fields.map(|fields| Unwinding::new(records, fields)).transpose();
        let columns = match options.columns_path.as_deref() {
            None => None,
            Some(FIRST_ROW) => Some(ColumnsPlace::FirstRow),
            Some(path) => Some(ColumnsPlace::Path(JsonPath::parse(path).map_err(|cause| {
                Error::new(ErrorKind::Config, "cannot read the JSONPath")
                    .with("setting", "columns_path")
                    .with("path", path)
                    .hint("write it like $.columns[*].name, or write the word `first_row`")
                    .caused_by(cause)
            })?)),
        };
        let many = records.way().iter().filter(|step| step.is_none()).count();
        if columns.is_some() && many > 1 {
            return Err(Error::new(ErrorKind::Config, "cannot read the columns of several tables")
                .with("columns_path", options.columns_path.as_deref().unwrap_or_default())
                .with("records_path", records)
                .hint(
                    "let `records_path` lead to the rows of one table, such as \
                       $.tables[0].rows[*]",
                ));
        }
        if options.key_column.is_some() && !records.ends_with_members() {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot use `key_column` with this `records_path`",
            )
            .with("setting", "key_column")
            .with("records_path", records)
            .hint("use a `records_path` that ends with .*, such as $.rates.*"));
        }
        Ok(Self {
            unwinding: unwinding.with("setting", "parent_fields")?,
            value: options.value_column.clone(),
            key: options.key_column.clone(),
            names_of: options.columns_path.as_deref().and_then(|it| RecordsPath::parse(it).ok()),
            columns,
        })
    }

    /// Tells whether a record is anything but the object in its place.
    pub fn is_plain(&self) -> bool {
        let Self { unwinding, value, key, columns, .. } = self;
        unwinding.is_none() && value.is_none() && key.is_none() && columns.is_none()
    }

    /// Tells whether records are made by what stands around them, which may be behind them.
    pub fn waits(&self) -> bool {
        self.unwinding.is_some() || matches!(self.columns, Some(ColumnsPlace::Path(_)))
    }

    /// Returns the columns that are added to records, and whether their values may be anything.
    pub fn added(&self) -> impl Iterator<Item = &String> {
        let fields = self.unwinding.iter().flat_map(Unwinding::columns);
        fields.chain(&self.value).chain(&self.key)
    }

    /// Returns where the columns of arrays are named, if that is a place in an answer.
    pub fn columns_path(&self) -> Option<String> {
        match &self.columns {
            Some(ColumnsPlace::Path(path)) => Some(path.to_string()),
            Some(ColumnsPlace::FirstRow) | None => None,
        }
    }

    /// Tells whether members of an object keep their names.
    pub fn keeps_names(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the columns of the arrays of an answer, by what stands around them.
    pub fn names(&self, envelope: &Value) -> Result<Names> {
        let Some(ColumnsPlace::Path(path)) = &self.columns else { return Ok(None) };
        let lacks = self.names_of.as_ref().is_some_and(|path| path.lacking(envelope).lacking > 0);
        if lacks {
            return Err(no_columns("one has no name"));
        }
        let names = path.query(envelope).all().into_iter().map(|name| {
            name.as_str()
                .map(str::to_owned)
                .ok_or_else(|| no_columns("`columns_path` leads to values that are not strings"))
        });
        checked(names.collect::<Result<Vec<_>>>()?).map(Some)
    }

    /// Makes the object of an element; `None` for the row that names the columns.
    fn object(&self, text: &[u8], names: &mut Names) -> Result<Option<Vec<u8>>> {
        let first = text.first().copied().unwrap_or_default();
        if first == b'[' && self.columns.is_some() {
            let Some(names) = names else {
                let row: Vec<Value> = serde_json::from_slice(text).unwrap_or_default();
                let name = |value: &Value| match value {
                    Value::String(name) => Ok(name.clone()),
                    _ => Err(no_columns("the first row has values that are not strings")),
                };
                *names = Some(checked(row.iter().map(name).collect::<Result<Vec<_>>>()?)?);
                return Ok(None);
            };
            return zipped(text, names).map(Some);
        }
        match &self.value {
            Some(column) if first != b'{' => Ok(Some(object_of([(column.as_str(), text)]))),
            _ => Ok(Some(text.to_vec())),
        }
    }

    /// Makes a record of an element: the name of the member that it was, in quotes, and the fields
    /// of what it lies in are added; `None` for the row that names the columns.
    pub fn made(
        &self,
        text: &[u8],
        key: &[u8],
        fields: &Fields,
        names: &mut Names,
    ) -> Result<Option<Vec<u8>>> {
        let Some(object) = self.object(text, names)? else { return Ok(None) };
        let context = self.context(key, fields);
        if context.members.is_empty() {
            Ok(Some(object))
        } else {
            joined(&object, &context).map(Some)
        }
    }

    /// Returns what is added to a record: the name of the member that it was, in quotes, and the
    /// fields of what it lies in.
    fn context(&self, key: &[u8], fields: &Fields) -> Context {
        let mut members = fields.clone();
        if let Some(column) = &self.key {
            let key = key.strip_suffix(b":").unwrap_or(key);
            members.push((column.clone(), serde_json::from_slice(key).unwrap_or_default()));
        }
        Context::new(members)
    }
}

/// Elements that wait until it is known what stands around them.
pub struct Held {
    rows: Spool,
    is_empty: bool,
}

impl Held {
    /// Starts without any.
    pub fn new(budget: &Budget) -> Self {
        Self { rows: Spool::new(budget), is_empty: true }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Keeps an element.
    pub fn push(&mut self, record: Record<'_>) -> Result<()> {
        self.is_empty = false;
        let mut kept = record.line.to_le_bytes().to_vec();
        let length = u32::try_from(record.key.len()).unwrap_or_default();
        kept.extend_from_slice(&length.to_le_bytes());
        kept.extend_from_slice(&record.key[..length as usize]);
        kept.extend_from_slice(record.text);
        self.rows.push(&kept)
    }

    /// Gives each element: its text, its name, its line.
    pub fn each(&mut self, mut take: impl FnMut(&[u8], &[u8], u64) -> Result<()>) -> Result<()> {
        self.rows.each(|kept| {
            let (line, rest) = kept.split_first_chunk().unwrap_or((&[0; 8], kept));
            let (length, rest) = rest.split_first_chunk().unwrap_or((&[0; 4], rest));
            let (key, text) = rest.split_at(u32::from_le_bytes(*length) as usize);
            take(text, key, u64::from_le_bytes(*line))
        })
    }
}

/// Adds to a record what [`Elements::context`] has.
///
/// Fails with `Data` where it has such members itself, with other values.
fn joined(record: &[u8], context: &Context) -> Result<Vec<u8>> {
    let mut maker = RowMaker::new(&RowRules::default());
    let made = maker.make(record, context).map(<[u8]>::to_vec);
    made.map_err(|unusable| {
        let failure = Error::new(ErrorKind::Data, "cannot make a row of a record");
        match unusable {
            crate::row::Unusable::Fault(fault) => failure
                .with("reason", fault.what)
                .hint("`records_path` must lead to objects; for other values set `value_column`"),
            crate::row::Unusable::Differs(at) => failure
                .with("member of the record", context.members.get(at).map_or("", |(it, _)| it))
                .with("reason", "the record has another value for an added column")
                .hint("choose another name in `parent_fields`, or for `key_column`"),
        }
    })
}

/// Makes an object of the values of an array.
///
/// The rule: an array has a value for each column. Which one a shorter array lacks, nobody knows.
fn zipped(text: &[u8], names: &[String]) -> Result<Vec<u8>> {
    let mut scanner = Scanner::new(text);
    let unusable = |reason: String| {
        Error::new(ErrorKind::Data, "cannot make a row of an array").with("reason", reason)
    };
    let mut pairs = Vec::new();
    let mut read = || -> std::result::Result<usize, singer::scan::Fault> {
        let mut count = 0;
        let mut more = scanner.open(b'[', b']')?;
        while more {
            let start = scanner.at();
            scanner.value()?;
            if let Some(name) = names.get(count) {
                pairs.push((name.as_str(), text[start..scanner.at()].trim_ascii()));
            }
            count += 1;
            more = scanner.more(b']')?;
        }
        Ok(count)
    };
    let count = read().map_err(|fault| unusable(fault.what.to_owned()))?;
    if count != names.len() {
        return Err(unusable(format!(
            "it has {count} values, and there are {} columns",
            names.len()
        ))
        .hint("check `columns_path`"));
    }
    Ok(object_of(pairs))
}

fn object_of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut object = vec![b'{'];
    for (name, value) in pairs {
        if object.len() > 1 {
            object.push(b',');
        }
        string_into(name.as_bytes(), &mut object);
        object.push(b':');
        object.extend_from_slice(value);
    }
    object.push(b'}');
    object
}

/// Refuses columns that a row could not have.
fn checked(names: Vec<String>) -> Result<Vec<String>> {
    let mut known = BTreeSet::new();
    if names.is_empty() {
        return Err(no_columns("there are no columns"));
    }
    match names.iter().find(|name| name.is_empty() || !known.insert(name.as_str())) {
        Some(name) if name.is_empty() => Err(no_columns("one has no name")),
        Some(name) => Err(no_columns("two have one name").with("column", name)),
        None => Ok(names),
    }
}

fn no_columns(reason: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot read the columns of an answer").with("reason", reason).hint(
        "check `columns_path`: it must lead to the name of each column, such as \
               $.columns[*].name",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn elements(options: Value) -> Elements {
        let options: StreamOptions = serde_json::from_value(options).unwrap();
        let path = if options.key_column.is_some() { "$.rows.*" } else { "$.rows[*]" };
        Elements::new(&options, &RecordsPath::parse(path).unwrap()).unwrap()
    }

    fn text(made: Option<Vec<u8>>) -> Option<String> {
        made.map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn values_are_columns() {
        let values = elements(json!({ "value_column": "v" }));
        for (given, expected) in [
            ("1.50", r#"{"v":1.50}"#),
            ("\"a\"", r#"{"v":"a"}"#),
            ("[1]", r#"{"v":[1]}"#),
            ("{\"a\":1}", r#"{"a":1}"#),
        ] {
            let made = values.object(given.as_bytes(), &mut None).unwrap();
            assert_eq!(text(made).as_deref(), Some(expected));
        }
    }

    #[test]
    fn rows_of_values_get_the_names_of_their_columns() {
        let by_path = elements(json!({ "columns_path": "$.columns[*].name" }));
        let envelope = json!({ "columns": [{ "name": "a" }, { "name": "b\"" }] });
        let mut names = by_path.names(&envelope).unwrap();
        let mut made = |row: &str| text(by_path.object(row.as_bytes(), &mut names).unwrap());
        assert_eq!(made("[ 1.50 , [2] ]").as_deref(), Some(r#"{"a":1.50,"b\"":[2]}"#));
        for other in ["[]", "[1]", "[1,2,3]"] {
            assert!(by_path.object(other.as_bytes(), &mut names).is_err(), "{other}");
        }
        for odd in [json!([]), json!([{ "name": "a" }, { "name": "a" }]), json!([{ "name": 1 }])] {
            assert!(by_path.names(&json!({ "columns": odd })).is_err());
        }
        let first = elements(json!({ "columns_path": "first_row" }));
        let mut names = first.names(&envelope).unwrap();
        assert_eq!(first.object(b"[\"x\",\"y\"]", &mut names).unwrap(), None);
        let made = text(first.object(b"[null,\"\"]", &mut names).unwrap());
        assert_eq!(made.as_deref(), Some(r#"{"x":null,"y":""}"#));
        assert!(first.object(b"[\"x\",\"\"]", &mut None).is_err());
    }

    #[test]
    fn a_record_has_one_value_for_a_column() {
        let keys = elements(json!({ "key_column": "k" }));
        let context = keys.context(b"\"de\"", &vec![("f".to_owned(), json!(1))]);
        let made = |record: &str| joined(record.as_bytes(), &context).map(|it| text(Some(it)));
        assert_eq!(made(r#"{"a":1}"#).unwrap().as_deref(), Some(r#"{"f":1,"k":"de","a":1}"#));
        assert_eq!(made(r#"{"k":"de"}"#).unwrap().as_deref(), Some(r#"{"f":1,"k":"de"}"#));
        assert!(made(r#"{"k":"fr"}"#).is_err());
        assert!(made("1").is_err());
    }
}
