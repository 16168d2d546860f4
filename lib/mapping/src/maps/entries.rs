//! The settings of maps, read and checked before the first stream.

use serde_json::{Map, Value};
use singer::near::{ALIKE, nearest};
use singer::{Error, ErrorKind, Result};

use super::pattern::fits;
use super::settings::MapSettings;

/// What stands for nothing in settings that have no null.
const NULL_TEXT: &str = "__NULL__";
const OPTIONS: [&str; 6] =
    ["__alias__", "__else__", "__filter__", "__key_properties__", "__source__", "__use__"];

/// All maps, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    entries: Vec<Entry>,
    /// Streams that no entry names go no further.
    pub(crate) removes_others: bool,
}

/// What becomes of the streams of a name or pattern.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As it stands in the settings.
    pub(crate) name: String,
    /// `None` removes the stream.
    pub(crate) map: Option<StreamMap>,
}

/// The map of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamMap {
    pub(crate) source: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) keys: Option<Vec<String>>,
    pub(crate) filter: Option<String>,
    /// Properties that are not named are left out.
    pub(crate) removes_others: bool,
    pub(crate) steps: Vec<Step>,
}

/// One thing that a map does to properties.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Rename(String, String),
    Drop(String),
    Set(String, String),
    /// A property has this type.
    Type(String, Value),
}

impl Entry {
    pub(crate) fn fits(&self, stream: &str) -> bool {
        let source = self.map.as_ref().and_then(|map| map.source.as_deref());
        fits(source.unwrap_or(&self.name), stream)
    }

    /// Tells whether it makes a stream beside the one that there is.
    pub(crate) fn is_copy(&self) -> bool {
        self.map.as_ref().is_some_and(|map| map.source.is_some())
    }
}

impl Entries {
    /// Reads the settings.
    pub(crate) fn new(settings: &MapSettings) -> Result<Self> {
        let mut all = Self::default();
        for (name, value) in &settings.stream_maps {
            if name == "__else__" {
                if !is_nothing(value) {
                    return Err(wrong("`__else__` beside the streams takes null alone"));
                }
                all.removes_others = true;
            } else if name.starts_with("__") {
                return Err(wrong("unknown option beside the streams")
                    .with("option", name)
                    .hint("only `__else__: null` may stand there"));
            } else {
                let entry = entry(name, value, &settings.named_maps);
                all.entries.push(entry.map_err(|failure| failure.with("stream", name))?);
            }
        }
        Ok(all)
    }

    /// Returns the entry that decides on a stream: the one of its name, else the last pattern.
    pub(crate) fn of(&self, stream: &str) -> Option<&Entry> {
        let mut own = self.entries.iter().filter(|entry| !entry.is_copy());
        let exact = own.clone().find(|entry| entry.name == stream);
        exact.or_else(|| own.rfind(|entry| entry.fits(stream)))
    }

    /// Returns the entries that make other streams of a stream.
    pub(crate) fn copies(&self, stream: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.is_copy() && entry.fits(stream))
    }

    /// Returns the name or pattern of each entry.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("cannot use `stream_maps`: {what}"))
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == NULL_TEXT
}

fn entry(name: &str, value: &Value, named: &Map<String, Value>) -> Result<Entry> {
    if is_nothing(value) {
        return Ok(Entry { name: name.to_owned(), map: None });
    }
    let Some(members) = value.as_object() else {
        return Err(wrong("a stream has neither a map nor null")
            .hint("write `PROPERTY: EXPRESSION` below the stream, or null to remove it"));
    };
    let mut map = StreamMap::default();
    if let Some(uses) = members.get("__use__") {
        for used in names(uses, "__use__")? {
            named_map(&used, named, &mut map)?;
        }
    }
    properties(members, &mut map)?;
    if map.source.is_some() && map.alias.is_some() {
        return Err(wrong("`__source__` and `__alias__` exclude each other")
            .hint("a copy has the name under which it stands in `stream_maps`"));
    }
    Ok(Entry { name: name.to_owned(), map: Some(map) })
}

fn properties(members: &Map<String, Value>, map: &mut StreamMap) -> Result<()> {
    for (property, value) in members {
        match property.as_str() {
            "__use__" => {}
            "__source__" => map.source = Some(text(value, property)?),
            "__alias__" => map.alias = Some(text(value, property)?),
            "__filter__" if value.is_null() => map.filter = None,
            "__filter__" => map.filter = Some(text(value, property)?),
            "__key_properties__" if value.is_null() => map.keys = Some(Vec::new()),
            "__key_properties__" => map.keys = Some(names(value, property)?),
            "__else__" if is_nothing(value) => map.removes_others = true,
            "__else__" => return Err(wrong("`__else__` of a stream takes null alone")),
            option if option.starts_with("__") && option.ends_with("__") => {
                let failure = wrong("unknown option of a stream").with("option", option);
                return Err(match nearest(option, OPTIONS, ALIKE) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure.hint(format!("there are {}", OPTIONS.join(", "))),
                });
            }
            _ if is_nothing(value) => map.steps.push(Step::Drop(property.clone())),
            _ => map.steps.push(Step::Set(property.clone(), text(value, property)?)),
        }
    }
    Ok(())
}

fn named_map(name: &str, all: &Map<String, Value>, map: &mut StreamMap) -> Result<()> {
    let Some(members) = all.get(name).and_then(Value::as_object) else {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let failure = wrong("`__use__` names a map that is not there").with("map", name);
        return Err(match nearest(name, known.iter().copied(), ALIKE) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!("`named_maps` has {}", known.join(", "))),
        });
    };
    let object = |part: &str, value: &Value| {
        let members = value.as_object().cloned();
        members.ok_or_else(|| wrong("a part of a named map is not an object").with("part", part))
    };
    for (part, value) in members {
        match part.as_str() {
            "rename" => {
                for (old, new) in object(part, value)? {
                    map.steps.push(Step::Rename(old, text(&new, part)?));
                }
            }
            "drop" => map.steps.extend(names(value, part)?.into_iter().map(Step::Drop)),
            "types" => {
                for (property, word) in object(part, value)? {
                    let schema = super::types::of_word(&text(&word, part)?);
                    let schema = schema.map_err(|failure| failure.with("property", &property))?;
                    map.steps.push(Step::Type(property, schema));
                }
            }
            "map" => properties(&object(part, value)?, map)?,
            _ => {
                return Err(wrong("unknown part of a named map")
                    .with("map", name)
                    .with("part", part)
                    .hint("there are rename, drop, types and map"));
            }
        }
    }
    Ok(())
}

fn text(value: &Value, option: &str) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| {
        wrong("a value is not a text")
            .with("property", option)
            .hint("an expression is a text: write numbers in quotes")
    })
}

/// A list of names, or one.
fn names(value: &Value, option: &str) -> Result<Vec<String>> {
    match value {
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(all) => all.iter().map(|name| text(name, option)).collect(),
        _ => Err(wrong("a list of names is expected").with("option", option)),
    }
}
