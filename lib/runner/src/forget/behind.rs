//! What stands in the place of a value behind the mappers of a step: in which stream, in which
//! column, and as which text. Rows are sent through them, as a run would.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use project::{Plugin, Project, Step, capture};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use singer::mapper::{Route, Row};
use singer::{Batch, Cell, Kind, Result, Stream};

use crate::plugin_plan::silent;
use crate::prepare;

/// A stream with the rows of a person.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    /// Its SCHEMA message.
    pub schema: Value,
    /// The column that says whose row it is; `None` where no column holds it any more.
    pub column: Option<String>,
    /// What stands in it.
    pub values: BTreeSet<String>,
}

impl Carried {
    /// Returns the name of the stream.
    pub(super) fn stream(&self) -> &str {
        self.schema["stream"].as_str().unwrap_or_default()
    }

    fn described(&self) -> Option<Stream> {
        let schema = self.schema["schema"].as_object()?.clone();
        let keys = self.schema["key_properties"].as_array().into_iter().flatten();
        let keys = keys.filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Stream::new(self.stream(), schema, keys))
    }
}

/// Sends a stream through plugins, and the settings of maps that a target has itself.
///
/// # Errors
/// A mapper refuses the stream.
pub(super) fn through(
    project: &Project,
    step: &Step,
    of_tap: bool,
    from: Carried,
) -> Result<Vec<Carried>> {
    let first = usize::from(!of_tap);
    let mut all = vec![from];
    for plugin in &step.plugins[first..] {
        let mut next = Vec::new();
        for carried in all {
            if plugin.is_ours() {
                next.extend(within(project, plugin, carried)?);
            } else if plugin.name == step.target().name || plugin.name == step.tap().name {
                next.push(carried);
            } else {
                next.extend(by_program(project, plugin, &carried)?);
            }
        }
        all = next;
    }
    Ok(all)
}

/// Sends a stream through the maps, contracts and protections of a plugin of ours.
fn within(project: &Project, plugin: &Plugin, carried: Carried) -> Result<Vec<Carried>> {
    let mut config = plugin.config.clone();
    // They are named as the plugin finds them, which runs in the folder of the project.
    if let Some(paths) = config.get_mut("contracts").and_then(Value::as_array_mut) {
        for path in paths {
            if let Some(text) = path.as_str() {
                *path = Value::from(project.root.join(text).to_string_lossy());
            }
        }
    }
    let Some(stream) = carried.described() else { return Ok(vec![carried]) };
    let settings = mapping::Settings::deserialize(Value::Object(config)).ok();
    let Some(settings) = settings else { return Ok(vec![carried]) };
    let routes = settings.pipeline()?.routes(&stream)?;
    let Some(routes) = routes else { return Ok(vec![carried]) };
    Ok(routes.into_iter().map(|route| behind(route, &stream, &carried)).collect())
}

/// Sends rows through a route: the value is in those columns that it changes.
fn behind(mut route: Route, stream: &Stream, from: &Carried) -> Carried {
    let to = route.stream.clone();
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let mut rows: Vec<(String, Vec<Option<String>>)> = Vec::new();
    let place = from.column.as_deref().and_then(|column| stream.column(column));
    // A map or a filter may need values in the other columns.
    for fill in place.map_or(Vec::new(), |_| vec![false, true]) {
        let empty = sent(&mut route, stream, None, fill);
        for value in &from.values {
            let Some(row) = sent(&mut route, stream, place.map(|at| (at, value)), fill) else {
                continue;
            };
            found.extend((0..row.len()).filter(|at| {
                let is_value = row[*at].as_ref() == Some(value);
                row[*at].is_some()
                    && empty.as_ref().map_or(is_value, |empty| empty[*at] != row[*at])
            }));
            rows.push((value.clone(), row));
        }
        if !rows.is_empty() {
            break;
        }
    }
    let named = from.column.as_ref().and_then(|column| to.column(column));
    let holds = |at: &usize| rows.iter().any(|(value, row)| row[*at].as_ref() == Some(value));
    let chosen = named
        .filter(|at| found.contains(at) || rows.is_empty())
        .or_else(|| found.iter().copied().find(holds))
        .or_else(|| found.first().copied());
    let mut values = from.values.clone();
    if let Some(at) = chosen {
        values.extend(rows.into_iter().filter_map(|(_, mut row)| row.swap_remove(at)));
    }
    Carried {
        schema: json!({
            "type": "SCHEMA",
            "stream": to.name,
            "schema": to.schema,
            "key_properties": to.keys,
        }),
        column: chosen.map(|at| to.columns[at].name.clone()),
        values,
    }
}

/// Sends one row through a route, with a value in a column; `None` where no row comes out.
fn sent(
    route: &mut Route,
    stream: &Stream,
    value: Option<(usize, &String)>,
    fill: bool,
) -> Option<Vec<Option<String>>> {
    let mut input = Batch::new(stream.columns.len());
    for (at, column) in stream.columns.iter().enumerate() {
        match value {
            Some((place, value)) if place == at => input.push(value.as_bytes()),
            _ if fill => input.push(sample(column.kind)),
            _ => input.push_null(),
        }
    }
    input.note_line(1);
    let width = route.stream.columns.len();
    let mut out = Batch::new(width);
    (route.rows)(Row::new(&input, 0), &mut out).ok()?;
    if out.rows() == 0 {
        return None;
    }
    let text = |cell| match cell {
        Cell::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Cell::Null | Cell::Absent => None,
    };
    Some(out.row(0).take(width).map(text).collect())
}

fn sample(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Integer | Kind::Number => b"1",
        Kind::Boolean => b"true",
        Kind::Date => b"2000-01-01",
        Kind::DateTime => b"2000-01-01T00:00:00Z",
        Kind::Time => b"00:00:00",
        Kind::Json => b"{}",
        Kind::String => b"x",
    }
}

/// Sends a stream through a mapper of another author, with records; where these fail, its SCHEMA
/// alone.
fn by_program(project: &Project, mapper: &Plugin, carried: &Carried) -> Result<Vec<Carried>> {
    let run = |input: &str| {
        let alone = prepare::alone(project, mapper, None, None)?;
        capture::run(&alone.program, input)
    };
    let schema = format!("{}\n", carried.schema);
    let mut captured = run(&format!("{schema}{}", records(carried)))?;
    if captured.failed.is_some() {
        captured = run(&schema)?;
    }
    if let Some(kind) = captured.failed {
        return Err(silent(mapper, kind, &captured));
    }
    let messages: Vec<Value> =
        captured.output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |word: &'static str| messages.iter().filter(move |one| one["type"] == word);
    let mut found: Vec<Carried> = Vec::new();
    for schema in of("SCHEMA") {
        let stream = &schema["stream"];
        let columns = schema["schema"]["properties"].as_object();
        let has = |column: &String| columns.is_some_and(|all| all.contains_key(column));
        let mut records = of("RECORD").filter(|record| record["stream"] == *stream);
        let column = carried.column.clone().filter(has).or_else(|| {
            let holds = |value: &Value| carried.values.contains(&shown(value));
            records.find_map(|record| {
                let mut members = record["record"].as_object()?.iter();
                members.find(|(_, value)| holds(value)).map(|(name, _)| name.clone())
            })
        });
        found.retain(|known| known.schema["stream"] != *stream);
        found.push(Carried { schema: schema.clone(), column, values: carried.values.clone() });
    }
    Ok(found)
}

/// Returns RECORD messages with the values.
fn records(carried: &Carried) -> String {
    let Some(column) = &carried.column else { return String::new() };
    let stream = carried.described();
    let columns = stream.iter().flat_map(|stream| &stream.columns);
    let mut empty = Map::new();
    let mut kind = Kind::String;
    for known in columns {
        empty.insert(known.name.clone(), Value::Null);
        if known.name == *column {
            kind = known.kind;
        }
    }
    let mut text = String::new();
    for value in &carried.values {
        let number = serde_json::from_str::<Value>(value).ok().filter(Value::is_number);
        let is_number = matches!(kind, Kind::Integer | Kind::Number);
        let value = if is_number { number } else { Some(Value::from(value.as_str())) };
        let Some(value) = value else { continue };
        let mut record = empty.clone();
        record.insert(column.clone(), value);
        let message = json!({ "type": "RECORD", "stream": carried.stream(), "record": record });
        let _ = writeln!(text, "{message}");
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
