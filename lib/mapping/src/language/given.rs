//! The arguments that a call was given.

use std::borrow::Cow;

use super::fault::Fault;
use super::value::Value;

/// Values by place and by name. Each is taken once; what is left at the end is too much.
pub(crate) struct Given<'a> {
    pub(crate) placed: std::vec::IntoIter<Value<'a>>,
    pub(crate) named: Vec<(String, Value<'a>)>,
    name: &'static str,
}

impl<'a> Given<'a> {
    pub(crate) fn new(
        name: &'static str,
        placed: Vec<Value<'a>>,
        named: Vec<(String, Value<'a>)>,
    ) -> Self {
        Self { placed: placed.into_iter(), named, name }
    }

    /// Takes the next argument, or that of a name.
    pub(crate) fn maybe(&mut self, name: &str) -> Option<Value<'a>> {
        self.placed.next().or_else(|| {
            let at = self.named.iter().position(|(known, _)| known == name)?;
            Some(self.named.remove(at).1)
        })
    }

    pub(crate) fn must(&mut self, name: &str) -> Result<Value<'a>, Fault> {
        let function = self.name;
        self.maybe(name).ok_or_else(|| Fault::of(format!("`{function}` lacks an argument")))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let value = self.must(name)?;
        self.as_text(value)
    }

    pub(crate) fn maybe_text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.maybe(name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => self.as_text(value).map(Some),
        }
    }

    fn as_text(&self, value: Value<'a>) -> Result<Cow<'a, str>, Fault> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(Fault::of(format!("`{}` takes a str, not {}", self.name, other.kind()))),
        }
    }

    pub(crate) fn index(&mut self, name: &str) -> Result<i64, Fault> {
        self.must(name)?.index()
    }

    pub(crate) fn maybe_index(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        match self.maybe(name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => value.index().map(Some),
        }
    }

    /// Refuses arguments that nobody has taken.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        let function = self.name;
        if let Some((name, _)) = self.named.first() {
            return Err(Fault::of(format!("`{function}` has no argument `{name}`")));
        }
        match self.placed.next() {
            None => Ok(()),
            Some(_) => Err(Fault::of(format!("`{function}` has too many arguments"))),
        }
    }
}
