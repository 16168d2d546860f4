//! The language of stream maps: the part of Python that people write in them, with its meaning.
//!
//! An expression is parsed and compiled once a stream, and computed for each row over the cells.

mod arithmetic;
mod ast;
mod attributes;
mod call;
mod code;
mod compile;
mod decimal;
mod eval;
mod faker;
mod fault;
mod functions;
mod given;
mod input;
mod json;
mod letters;
mod literal;
mod moment;
mod moment_text;
mod number;
mod parse;
mod percent;
mod place;
mod show;
mod size;
mod slice;
mod text;
mod value;
mod weight;

use std::rc::Rc;

use singer::Row;

use code::{Code, Step};
use eval::Scene;

pub(crate) use compile::Scope;
pub(crate) use eval::of_cell;
pub(crate) use faker::{Fakes, Locale};
pub(crate) use fault::Fault;
pub(crate) use json::{compact, member};
pub(crate) use place::Place;
pub(crate) use show::str;
pub(crate) use value::Value;

/// An expression that is ready for the rows of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    text: String,
    code: Code,
}

impl Expression {
    /// Reads an expression and resolves its names.
    pub(crate) fn new(text: &str, scope: &Scope<'_>) -> Result<Self, Fault> {
        let code = compile::compile(&parse::parse(text)?, scope)?;
        Ok(Self { text: text.to_owned(), code })
    }

    /// Computes its value.
    pub(crate) fn value<'a>(&'a self, row: Row<'a>) -> Result<Value<'a>, Fault> {
        Scene::new(Some(row)).value(&self.code)
    }

    /// Returns its text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the place whose value it is, unchanged.
    pub(crate) fn copied(&self) -> Option<&Place> {
        match &self.code.step {
            Step::Column(place) => Some(place),
            Step::Get(place, default) if matches!(default.step, Step::Constant(Value::None)) => {
                Some(place)
            }
            _ => None,
        }
    }

    /// Returns its value where no row changes it.
    pub(crate) fn constant(&self) -> Option<&Value<'static>> {
        match &self.code.step {
            Step::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// Returns a value of the settings.
pub(crate) fn of_settings(value: &serde_json::Value) -> Value<'static> {
    let text = value.to_string();
    let read = json::read(text.as_bytes(), json::Fractions::Floats);
    read.map_or(Value::None, |value| functions::owned(&value))
}

/// Computes an expression over names that are texts, such as the name of a stream.
pub(crate) fn of_names(text: &str, stream: &str) -> Result<Value<'static>, Fault> {
    let scope = Scope {
        names: &[],
        record: &[],
        own: None,
        config: &Value::None,
        stream,
        original: stream,
        fakes: &Rc::new(Fakes::new("", Vec::new())),
        keys: &[],
    };
    let code = compile::compile(&parse::parse(text)?, &scope)?;
    let value = Scene::new(None).value(&code)?;
    weight::whole(&value)?;
    Ok(functions::owned(&value))
}

/// Returns a date or moment with its month and day set to the first of January.
pub(crate) fn masked_date(text: &str) -> Result<String, Fault> {
    if text.len() == 10 {
        let (year, ..) = moment::read_day(text)?.parts();
        return Ok(moment::Date::new(year, 1, 1)?.text());
    }
    let moment = moment::read(text)?;
    let (year, ..) = moment.date().parts();
    Ok(moment::Date::new(year, 1, 1)?.at(moment.of_day(), moment.offset).text('T'))
}

#[cfg(test)]
mod tests;
