//! What a stream becomes: its columns, and where the value of each comes from.

use std::rc::Rc;

use serde_json::{Map, Value as Json, json};
use singer::near::{ALIKE, nearest};
use singer::{Column, Error, ErrorKind, Result, Stream};

use super::entries::{Step, StreamMap};
use super::flatten::{Declared, Flat, Flattening};
use super::types;
use crate::language::{Expression, Fakes, Place, Scope, Value, of_names};

/// What a plan is made of.
pub(crate) struct Context<'c> {
    pub(crate) stream: &'c Stream,
    /// The name of the stream that is made.
    pub(crate) name: &'c str,
    pub(crate) config: &'c Value<'static>,
    pub(crate) fakes: &'c Rc<Fakes>,
    pub(crate) flattening: Option<&'c Flattening>,
}

/// A stream on its way out.
pub(crate) struct Plan {
    pub(crate) stream: Stream,
    pub(crate) filter: Option<Expression>,
    /// Where the value of each column comes from.
    pub(crate) sources: Vec<Source>,
    /// The columns that are flattened, and what their schemas declare.
    pub(crate) flattened: Vec<(usize, Declared)>,
}

/// Where the value of a column comes from.
pub(crate) enum Source {
    /// A cell, copied byte by byte.
    Cell(usize),
    /// A member of a cell.
    Place(Place),
    Expression(Box<Expression>),
}

struct Output {
    name: String,
    schema: Json,
    source: Source,
}

/// Returns the name of what becomes of a stream.
pub(crate) fn name(map: &StreamMap, stream: &str) -> Result<String> {
    let Some(alias) = &map.alias else { return Ok(stream.to_owned()) };
    // A name that looks like an expression of unknown names is a name.
    match of_names(alias, stream) {
        Ok(Value::Text(name)) if !name.is_empty() => Ok(name.into_owned()),
        _ if alias.contains("__stream_name__") || alias.is_empty() => {
            Err(Error::new(ErrorKind::Config, "cannot use `__alias__`: it gives no name")
                .with("alias", alias)
                .hint("write a name, or an expression such as \"__stream_name__ + '_v2'\""))
        }
        _ => Ok(alias.clone()),
    }
}

impl Plan {
    pub(crate) fn new(context: &Context<'_>, map: &StreamMap) -> Result<Self> {
        let names = names(context)?;
        let mut planner = Planner {
            context,
            names: names.all,
            record: names.record,
            outputs: names.outputs,
            keys: context.stream.keys.clone(),
            replication_key: context.stream.replication_key.clone(),
        };
        planner.apply(map)?;
        let filter = map.filter.as_deref();
        let filter = filter.map(|text| planner.filter(text)).transpose()?;
        planner.finish(filter)
    }
}

struct Names {
    /// What expressions can name.
    all: Vec<(String, Place)>,
    /// The columns of the stream as it comes.
    record: Vec<(String, Place)>,
    outputs: Vec<Output>,
}

/// Returns the columns before the map: flat, where that is wanted.
fn names(context: &Context<'_>) -> Result<Names> {
    let stream = context.stream;
    let place = |at: usize| Place { column: at, kind: stream.columns[at].kind, path: Vec::new() };
    let columns = stream.columns.iter().enumerate();
    let record: Vec<(String, Place)> =
        columns.map(|(at, column)| (column.name.clone(), place(at))).collect();
    let none = Map::new();
    let properties = stream.schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
    let Some(flattening) = context.flattening else {
        let outputs = record.iter().map(|(name, place)| Output {
            name: name.clone(),
            schema: properties.get(name).cloned().unwrap_or_default(),
            source: Source::Cell(place.column),
        });
        return Ok(Names { all: record.clone(), outputs: outputs.collect(), record });
    };
    let mut all: Vec<(String, Place)> = Vec::new();
    let mut outputs = Vec::new();
    for Flat { name, schema, path } in flattening.properties(properties)? {
        let Some(at) = path.first().and_then(|first| stream.column(first)) else { continue };
        let unchanged = path.len() == 1 && properties.get(&path[0]) == Some(&schema);
        let place = Place { path: path[1..].to_vec(), ..place(at) };
        let source = if unchanged { Source::Cell(at) } else { Source::Place(place.clone()) };
        all.push((name.clone(), place));
        outputs.push(Output { name, schema, source });
    }
    // An object that was flattened can still be named.
    let whole = record.iter().filter(|(name, _)| !outputs.iter().any(|one| one.name == *name));
    all.extend(whole.cloned());
    Ok(Names { all, record, outputs })
}

struct Planner<'c> {
    context: &'c Context<'c>,
    names: Vec<(String, Place)>,
    record: Vec<(String, Place)>,
    outputs: Vec<Output>,
    keys: Vec<String>,
    replication_key: Option<String>,
}

impl Planner<'_> {
    fn at(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.name == name)
    }

    fn unknown(&self, what: &str, name: &str) -> Error {
        let known = || self.outputs.iter().map(|output| output.name.as_str());
        let failure = Error::new(ErrorKind::Config, what).with("property", name);
        if let Some(near) = nearest(name, known(), ALIKE) {
            failure.hint(format!("did you mean `{near}`?"))
        } else {
            let known: Vec<&str> = known().take(20).collect();
            failure.hint(format!("the stream has the properties {}", known.join(", ")))
        }
    }

    fn apply(&mut self, map: &StreamMap) -> Result<()> {
        if let Some(keys) = &map.keys {
            self.keys.clone_from(keys);
        }
        if map.removes_others {
            let keys = self.keys.clone();
            self.outputs.retain(|output| keys.contains(&output.name));
        }
        for step in &map.steps {
            match step {
                Step::Rename(old, new) => self.rename(old, new, map.keys.is_some())?,
                Step::Drop(name) => self.drop(name)?,
                Step::Set(name, text) => self.set(name, text)?,
                Step::Type(name, schema) => {
                    let what = "cannot give a type to a property that is not there";
                    let at = self.at(name).ok_or_else(|| self.unknown(what, name))?;
                    let output = &mut self.outputs[at];
                    output.schema.clone_from(schema);
                    if let Source::Cell(column) = output.source {
                        let kind = self.context.stream.columns[column].kind;
                        output.source = Source::Place(Place { column, kind, path: Vec::new() });
                    }
                }
            }
        }
        Ok(())
    }

    fn rename(&mut self, old: &str, new: &str, keeps_keys: bool) -> Result<()> {
        let what = "cannot rename a property that is not there";
        let at = self.at(old).ok_or_else(|| self.unknown(what, old))?;
        if old != new && self.at(new).is_some() {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot rename a property: the name is taken",
            )
            .with("property", old)
            .with("name", new)
            .hint("drop the other property first, or write another name"));
        }
        new.clone_into(&mut self.outputs[at].name);
        if !keeps_keys {
            for key in self.keys.iter_mut().filter(|key| *key == old) {
                new.clone_into(key);
            }
        }
        if self.replication_key.as_deref() == Some(old) {
            self.replication_key = Some(new.to_owned());
        }
        Ok(())
    }

    fn drop(&mut self, name: &str) -> Result<()> {
        if self.keys.iter().any(|key| key == name) {
            return Err(Error::new(ErrorKind::Config, "cannot remove a key property")
                .with("property", name)
                .hint("say what the key is instead: `__key_properties__: [...]`, or [] for none"));
        }
        // A property that is not there is removed already, also where a pattern names streams.
        self.outputs.retain(|output| output.name != name);
        // The members of an object that was flattened go with it.
        if self.context.flattening.is_some()
            && let Some((_, whole)) = self.record.iter().find(|(known, _)| known == name)
        {
            let column = whole.column;
            self.outputs.retain(|output| {
                !matches!(&output.source, Source::Place(place)
                    if place.column == column && !place.path.is_empty())
            });
        }
        Ok(())
    }

    fn expression(&self, property: &str, text: &str) -> Result<Expression> {
        let scope = Scope {
            names: &self.names,
            record: &self.record,
            own: Some(property),
            config: self.context.config,
            stream: self.context.name,
            original: &self.context.stream.name,
            fakes: self.context.fakes,
            keys: &self.context.stream.keys,
        };
        Expression::new(text.trim(), &scope)
            .map_err(|fault| fault.of_expression(text.trim()).with("property", property))
    }

    /// Reads the filter. What it cannot name may be a property that the map makes.
    fn filter(&self, text: &str) -> Result<Expression> {
        self.expression("__filter__", text).map_err(|failure| {
            let reason = failure.context("reason").unwrap_or_default().to_owned();
            let is_made = |output: &&Output| reason == format!("unknown name `{}`", output.name);
            match self.outputs.iter().find(is_made) {
                Some(made) => failure.hint(format!(
                    "the filter sees the row before the map, which makes `{}`: write its \
                     expression into the filter",
                    made.name
                )),
                None => failure,
            }
        })
    }

    fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let text = text.trim();
        let expression = self.expression(name, text)?;
        let stream = self.context.stream;
        let own = self.at(name);
        let property = |name: &str| stream.schema.get("properties").and_then(|all| all.get(name));
        let by_text = types::by_text(text, stream);
        // A name alone gives the value as it is, with all that its schema says.
        let copied = expression.copied().filter(|place| place.path.is_empty() && by_text.is_none());
        let (mut schema, source) = if let Some(place) = copied {
            let column = &stream.columns[place.column];
            let schema = property(&column.name).cloned().unwrap_or_default();
            (schema, Source::Cell(place.column))
        } else {
            let existing = own.map(|at| self.outputs[at].schema.clone());
            let existing = existing.or_else(|| property(text).cloned());
            let schema = match (by_text, existing) {
                (Some(schema), _) => types::nullable(schema),
                (None, Some(existing)) => types::computed(&existing),
                (None, None) => types::of_word("string")?,
            };
            (schema, Source::Expression(Box::new(expression)))
        };
        if let Source::Expression(expression) = &source
            && self.keys.iter().any(|key| key == name)
        {
            if matches!(expression.constant(), Some(Value::None)) {
                return Err(Error::new(ErrorKind::Config, "a key property cannot be None")
                    .with("property", name)
                    .with("expression", text)
                    .hint("say what the key is instead: `__key_properties__: [...]`"));
            }
            schema = types::required(schema);
        }
        let output = Output { name: name.to_owned(), schema, source };
        match own {
            Some(at) => self.outputs[at] = output,
            None => self.outputs.push(output),
        }
        Ok(())
    }

    fn finish(mut self, filter: Option<Expression>) -> Result<Plan> {
        for key in &self.keys {
            if self.at(key).is_none() {
                return Err(self
                    .unknown("a key property is not among the properties", key)
                    .with("keys", self.keys.join(", ")));
            }
        }
        let stream = self.context.stream;
        let mut schema = stream.schema.clone();
        let mut properties = Map::new();
        let mut sources = Vec::new();
        for mut output in std::mem::take(&mut self.outputs) {
            if self.context.flattening.is_some() {
                output.schema = flat(output.schema);
            }
            properties.insert(output.name, output.schema);
            sources.push(output.source);
        }
        if let Some(Json::Array(required)) = schema.get_mut("required") {
            required.retain(|name| name.as_str().is_some_and(|name| properties.contains_key(name)));
        }
        let (kept, lost) = match self.replication_key {
            Some(key) if properties.contains_key(&key) => (Some(key), None),
            key => (None, key),
        };
        schema.insert("properties".to_owned(), Json::Object(properties));
        let mut made = stream.mapped(self.context.name, schema, self.keys);
        made.replication_key = kept;
        // The state goes on holding its values: a contract behind the maps has to know.
        if let Some(key) = lost {
            made.fields.entry("bookmark_properties").or_insert_with(|| json!([key]));
        }
        let flattened = self.context.flattening.map(|flattening| {
            let column = |(at, column): (usize, &Column)| {
                let schema = stream.schema.get("properties")?.get(&column.name)?;
                Some((at, flattening.declared(schema)?))
            };
            stream.columns.iter().enumerate().filter_map(column).collect()
        });
        Ok(Plan { stream: made, filter, sources, flattened: flattened.unwrap_or_default() })
    }
}

/// A computed object or list is a text of JSON in a flat stream.
fn flat(schema: Json) -> Json {
    let nested = |word: &Json| *word == "object" || *word == "array";
    let is_nested = match &schema["type"] {
        Json::Array(all) => all.iter().any(nested),
        one => nested(one),
    };
    if is_nested { types::of_word("string").unwrap_or(schema) } else { schema }
}
