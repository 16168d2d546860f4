//! Transformations of fields, with the settings and results of `transform-field`.

use std::collections::BTreeSet;
use std::rc::Rc;

use regex::Regex;
use sha2::{Digest as _, Sha256};
use singer::mapper::{Route, Row, RowMap};
use singer::{Batch, Cell, Column, Error, ErrorKind, Kind, Result, Stream};

use super::settings::{Condition, Transformation};
use super::transformed;
use crate::language::{Fault, Value, masked_date, of_cell, of_settings};
use crate::maps::fit;
use crate::pipeline::Stage;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Null,
    /// SHA-256 of all but the first characters.
    Hash(Option<usize>),
    Hidden,
    Date,
    Number,
    Ends(usize),
}

impl Change {
    fn named(word: &str) -> Result<Self> {
        let digit = |prefix: &str| {
            let count = word.strip_prefix(prefix)?;
            (count.len() == 1).then(|| count.parse().ok()).flatten()
        };
        let known = match word {
            "SET-NULL" => Some(Self::Null),
            "HASH" => Some(Self::Hash(None)),
            "MASK-HIDDEN" => Some(Self::Hidden),
            "MASK-DATE" => Some(Self::Date),
            "MASK-NUMBER" => Some(Self::Number),
            _ => digit("HASH-SKIP-FIRST-")
                .map(|count| Self::Hash(Some(count)))
                .or_else(|| digit("MASK-STRING-SKIP-ENDS-").map(Self::Ends)),
        };
        known.ok_or_else(|| {
            Error::new(ErrorKind::Config, "unknown type of a transformation")
                .with("type", word)
                .hint(
                    "there are SET-NULL, HASH, HASH-SKIP-FIRST-1 to 9, MASK-HIDDEN, MASK-DATE, \
                     MASK-NUMBER and MASK-STRING-SKIP-ENDS-1 to 9",
                )
        })
    }

    /// Tells whether values of a kind can be changed so.
    fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Null => true,
            Self::Hash(_) | Self::Hidden | Self::Ends(_) => kind == Kind::String,
            Self::Date => matches!(kind, Kind::Date | Kind::DateTime),
            Self::Number => matches!(kind, Kind::Integer | Kind::Number),
        }
    }

    /// Changes a value. What cannot be changed is never passed on.
    fn of<'a>(self, value: &Value<'a>) -> Result<Value<'a>, Fault> {
        let text = || match value {
            Value::Text(text) => Ok(text),
            other => Err(Fault::of(format!("a text is expected, not {}", other.kind()))),
        };
        let hash = |bytes: &[u8]| singer::quote::hex(&Sha256::digest(bytes));
        Ok(match self {
            Self::Null => Value::None,
            Self::Hidden => Value::text("hidden"),
            Self::Number => Value::Int(0),
            _ if matches!(value, Value::None) => Value::None,
            Self::Hash(None) => Value::text(hash(text()?.as_bytes())),
            Self::Hash(Some(count)) => {
                let text = text()?;
                // As in `transform-field`: it keeps characters, and hashes what is behind so
                // many bytes.
                let rest = text.as_bytes().get(count..).unwrap_or_default();
                Value::text(format!("{}{}", &text[..place(text, count)], hash(rest)))
            }
            Self::Date => Value::text(masked_date(text()?)?),
            Self::Ends(count) => {
                let text = text()?;
                let length = text.chars().count();
                if length <= 2 * count {
                    return Ok(Value::text("*".repeat(length)));
                }
                let (first, last) = (place(text, count), place(text, length - count));
                let stars = "*".repeat(length - 2 * count);
                Value::text(format!("{}{stars}{}", &text[..first], &text[last..]))
            }
        })
    }
}

/// Returns where a character starts.
fn place(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// The stage that transforms fields.
///
/// The rule: a transformation is of the streams of its name, and of those that maps have made of
/// the tap's stream of its name. One that no stream meets, or that such a stream lacks the property
/// for, is told: it may be meant to hide a value.
pub struct Transformations {
    all: Vec<(Transformation, Change, Vec<Option<Regex>>)>,
    /// The names that a stream has met.
    used: BTreeSet<String>,
}

impl Transformations {
    /// Checks the settings.
    pub fn new(settings: &[Transformation]) -> Result<Self> {
        let read = |one: &Transformation| {
            let change = Change::named(&one.kind)?;
            let patterns = one.when.iter().map(pattern).collect::<Result<_>>()?;
            Ok((one.clone(), change, patterns))
        };
        let within = |one: &Transformation, failure: Error| {
            failure.with("stream", &one.tap_stream_name).with("property", &one.field_id)
        };
        let all = settings.iter().map(|one| read(one).map_err(|failure| within(one, failure)));
        Ok(Self { all: all.collect::<Result<_>>()?, used: BTreeSet::new() })
    }
}

fn pattern(condition: &Condition) -> Result<Option<Regex>> {
    let wrong = |what: &str| Error::new(ErrorKind::Config, what).with("column", &condition.column);
    match (&condition.equals, &condition.regex_match) {
        (Some(_), None) => Ok(None),
        (None, Some(pattern)) => match Regex::new(pattern) {
            Ok(pattern) => Ok(Some(pattern)),
            Err(failure) => Err(wrong("cannot read a regular expression")
                .with("regex_match", pattern)
                .caused_by(failure)),
        },
        (None, None) => Err(wrong("a condition needs `equals` or `regex_match`, and not null")
            .hint("no row meets `equals: null`: remove the transformation")),
        _ => Err(wrong("a condition has both `equals` and `regex_match`")),
    }
}

/// A field of a stream, ready for its rows.
struct Field {
    column: usize,
    change: Change,
    paths: Vec<String>,
    when: Vec<Test>,
}

struct Test {
    column: usize,
    kind: Kind,
    path: Option<String>,
    equals: Option<Value<'static>>,
    pattern: Option<Regex>,
}

impl Stage for Transformations {
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        let mut mine = Vec::new();
        for (one, change, patterns) in &self.all {
            let is_named = one.tap_stream_name == stream.name;
            let is_made = stream.source_stream.as_ref() == Some(&one.tap_stream_name);
            if !is_named && !is_made {
                continue;
            }
            self.used.insert(one.tap_stream_name.clone());
            if is_named || stream.column(&one.field_id).is_some() {
                mine.push((one, change, patterns));
            } else {
                tell_lacking(stream, one);
            }
        }
        if mine.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        for (one, change, patterns) in mine {
            let field = field(stream, one, *change, patterns);
            fields.push(field.map_err(|failure| {
                failure.with("stream", &stream.name).with("property", &one.field_id)
            })?);
        }
        let changed = |column: usize| {
            let mut changes = fields.iter().filter(move |field| field.column == column);
            changes.next().map(|field| field.change == Change::Null)
        };
        let made = transformed::stream(stream, changed);
        let kinds: Vec<Kind> = stream.columns.iter().map(|column| column.kind).collect();
        let columns = made.columns.clone();
        let rows: RowMap = Box::new(move |row, out| {
            for (at, column) in columns.iter().enumerate() {
                write(row, (at, kinds[at]), &fields, (column, out))?;
            }
            Ok(())
        });
        Ok(Some(vec![Route { stream: made, rows }]))
    }

    fn unchanged(&mut self, stream: &str) {
        self.used.insert(stream.to_owned());
    }

    fn finish(&mut self) -> Result<()> {
        let names: BTreeSet<&String> =
            self.all.iter().map(|(one, ..)| &one.tap_stream_name).collect();
        for name in names.into_iter().filter(|name| !self.used.contains(*name)) {
            singer::warn!(
                "W-MAP-UNUSED",
                "`transformations` has {name:?}, and no stream has this name: nothing of it was \
                 hidden",
            );
        }
        Ok(())
    }
}

/// Tells that a stream that maps have made lacks a property: dropped, or under another name.
fn tell_lacking(stream: &Stream, one: &Transformation) {
    singer::warn!(
        "W-MAP-UNUSED",
        "stream {}: `transformations` names the property {:?} of {:?}, and this stream has none. \
         If a map gives it another name, name that one, with `tap_stream_name: {}`",
        stream.name,
        one.field_id,
        one.tap_stream_name,
        stream.name
    );
}

fn known(stream: &Stream, name: &str) -> Result<usize> {
    stream.column(name).ok_or_else(|| {
        let names: Vec<&str> = stream.columns.iter().take(20).map(|one| &*one.name).collect();
        Error::new(ErrorKind::Config, "a transformation names a property that is not there")
            .with("name", name)
            .hint(format!("the stream has the properties {}", names.join(", ")))
    })
}

fn field(
    stream: &Stream,
    one: &Transformation,
    change: Change,
    patterns: &[Option<Regex>],
) -> Result<Field> {
    let column = known(stream, &one.field_id)?;
    let kind = stream.columns[column].kind;
    let fits = if one.field_paths.is_empty() { change.takes(kind) } else { kind == Kind::Json };
    if !fits {
        return Err(Error::new(ErrorKind::Config, "cannot transform a property of this type so")
            .with("transformation", &one.kind)
            .with("type", stream.columns[column].types.words())
            .hint("texts can be hashed and masked, dates MASK-DATE, numbers MASK-NUMBER"));
    }
    // Rows whose keys became equal would be one row in the target.
    if !matches!(change, Change::Hash(_)) && stream.keys.contains(&one.field_id) {
        let message = match change {
            Change::Null => "a key property cannot be None",
            _ => "a key property cannot be masked: keys of other rows would become the same",
        };
        return Err(Error::new(ErrorKind::Config, message)
            .with("type", &one.kind)
            .hint("remove the transformation, or hash the key"));
    }
    let test = |(condition, pattern): (&Condition, &Option<Regex>)| {
        let column = known(stream, &condition.column)?;
        Ok(Test {
            column,
            kind: stream.columns[column].kind,
            path: condition.field_path.clone(),
            equals: condition.equals.as_ref().map(of_settings),
            pattern: pattern.clone(),
        })
    };
    let when = one.when.iter().zip(patterns).map(test).collect::<Result<_>>()?;
    Ok(Field { column, change, paths: one.field_paths.clone(), when })
}

/// Appends the cell of a column.
fn write(
    row: Row<'_>,
    (at, kind): (usize, Kind),
    fields: &[Field],
    (column, out): (&Column, &mut Batch),
) -> Result<()> {
    let failed = |fault: Fault| fault.of_row(&column.name).with("property", &column.name);
    let mut value: Option<Value<'_>> = None;
    for field in fields.iter().filter(|field| field.column == at) {
        if !field.when.iter().all(|test| test.holds(row)) {
            continue;
        }
        let before = match (value.take(), row.cell(at)) {
            (Some(value), _) => value,
            (None, Cell::Absent) => break,
            (None, Cell::Null) => Value::None,
            (None, Cell::Text(text)) => of_cell(text, kind).map_err(failed)?,
        };
        value = Some(field.apply(before).map_err(failed)?);
    }
    match value {
        None => out.push_cell(row.cell(at)),
        Some(value) => fit::push(&value, column, out).map_err(failed)?,
    }
    Ok(())
}

impl Field {
    fn apply<'a>(&self, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if self.paths.is_empty() {
            return self.change.of(&value);
        }
        let mut value = value;
        for path in &self.paths {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            value = self.within(value, &parts)?;
        }
        Ok(value)
    }

    /// Changes what lies at a path; what is not there stays away. A text or a list in the place of
    /// an object may hold what is to be hidden.
    fn within<'a>(&self, value: Value<'a>, path: &[&str]) -> Result<Value<'a>, Fault> {
        let Some((first, rest)) = path.split_first() else { return self.change.of(&value) };
        Ok(match value {
            Value::Dict(pairs) => {
                let pairs = Rc::unwrap_or_clone(pairs).into_iter().map(|(key, value)| {
                    let here = matches!(&key, Value::Text(key) if key == first);
                    Ok((key, if here { self.within(value, rest)? } else { value }))
                });
                Value::dict(pairs.collect::<Result<_, Fault>>()?)
            }
            Value::List(values) if first.parse::<usize>().is_ok() => {
                let values = Rc::unwrap_or_clone(values).into_iter().enumerate();
                let values = values.map(|(at, value)| {
                    if first.parse() == Ok(at) { self.within(value, rest) } else { Ok(value) }
                });
                Value::list(values.collect::<Result<_, Fault>>()?)
            }
            Value::Text(_) | Value::List(_) => {
                return Err(Fault::of(format!("there is no object that could have `{first}`"))
                    .hint("name the place in a list by its number, such as `items/0/name`"));
            }
            other => other,
        })
    }
}

impl Test {
    fn holds(&self, row: Row<'_>) -> bool {
        let value = match row.cell(self.column) {
            Cell::Absent => Value::text(""),
            Cell::Null => Value::None,
            Cell::Text(text) => of_cell(text, self.kind).unwrap_or(Value::None),
        };
        let value = match &self.path {
            None => Some(value),
            Some(path) => path.split('/').filter(|part| !part.is_empty()).try_fold(value, step),
        };
        let Some(value) = value else { return false };
        match (&self.equals, &self.pattern, &value) {
            (Some(wanted), _, value) => value.equals(wanted),
            (None, Some(pattern), Value::Text(text)) => pattern.is_match(text),
            _ => false,
        }
    }
}

fn step<'a>(value: Value<'a>, part: &str) -> Option<Value<'a>> {
    match value {
        Value::Dict(pairs) => {
            let found =
                pairs.iter().find(|(key, _)| matches!(key, Value::Text(key) if key == part));
            found.map(|(_, value)| value.clone())
        }
        Value::List(values) => values.get(part.parse::<usize>().ok()?).cloned(),
        _ => None,
    }
}
