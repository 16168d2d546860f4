//! YAML with the place of every value, for errors that say where.

#![warn(unreachable_pub)]

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{MessageFormatter, Spanned};
use singer::{Error, ErrorKind, Result};

/// A place in a file, both numbers from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Spot {
    /// Returns the place of a location.
    fn of(location: &serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }

    /// Makes the failure of what stands here.
    pub fn fault(self, what: &str) -> Error {
        Error::new(ErrorKind::Config, what).with("line", self.line).with("column", self.column)
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub spot: Spot,
    /// What it is.
    pub inner: Inner,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Inner {
    /// A text, number, boolean or null.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in its order.
    Mapping(Vec<Member>),
}

/// A member of a mapping.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its key.
    pub key: String,
    /// Where the key stands.
    pub spot: Spot,
    /// Its value.
    pub value: Node,
}

/// Returns how YAML is read.
#[must_use]
pub fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        // As YAML 1.2 has it, and so Meltano: `yes` is a text.
        strict_booleans: true,
        // The excerpt could show a secret.
        with_snippet: false,
    }
}

/// Reads YAML within limits of depth and size.
///
/// # Errors
/// `Config` with line and column.
pub fn parse(text: &str) -> Result<Node> {
    serde_saphyr::from_str_with_options::<Node>(text, options())
        .map_err(|cause| unreadable(&cause, text))
}

/// Makes the failure of a text that cannot be read. Between `{` and `}` YAML reads `${NAME}` as a
/// mapping.
#[must_use]
pub fn unreadable(cause: &serde_saphyr::Error, text: &str) -> Error {
    let failure = Error::new(ErrorKind::Config, "cannot read the YAML");
    if let Some(Spot { line, column }) = tab(cause, text) {
        return failure
            .with("line", line)
            .with("column", column)
            .with("reason", "a tab stands where the line is indented")
            .hint("indent with blanks: YAML allows no tabs there");
    }
    let failure = match cause.location() {
        Some(place) => failure.with("line", place.line()).with("column", place.column()),
        None => failure,
    };
    let at = cause.location().and_then(|place| usize::try_from(place.line()).ok());
    let line = at.and_then(|at| text.lines().nth(at.checked_sub(1)?)).unwrap_or_default();
    let is_bare = |(at, _): (usize, &str)| !line[..at].ends_with(['"', '\'']);
    let failure = failure.with("reason", reason(cause));
    if line.match_indices("${").any(is_bare) {
        return failure.hint("put variables in quotes where braces surround them: \"${NAME}\"");
    }
    failure
}

/// Returns the place of the tab that a failure is about. What is read when it is found began on a
/// line before it, perhaps: the tab is the first one that indents a line from there on.
fn tab(cause: &serde_saphyr::Error, text: &str) -> Option<Spot> {
    if !reason(cause).split(|c: char| !c.is_alphabetic()).any(|word| word.starts_with("tab")) {
        return None;
    }
    let from = cause.location().map_or(1, |place| place.line());
    let column = |line: &str| {
        let mut indent = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
        Some(indent.position(|c| c == '\t')? as u64 + 1)
    };
    let mut lines = (1..).zip(text.lines()).skip_while(|(line, _)| *line < from);
    lines.find_map(|(line, text)| Some(Spot { line, column: column(text)? }))
}

/// Tells what is wrong, in words of who wrote the file.
fn reason(cause: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as Cause;
    match cause {
        Cause::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is there twice")
        }
        Cause::DuplicateMappingKey { .. } => "a key is there twice".to_owned(),
        Cause::UnknownAnchor { .. } => {
            "no anchor of this name exists above: quote a text that starts with `*`".to_owned()
        }
        Cause::InvalidScalar { .. } => "the value does not fit its tag (`!!...`)".to_owned(),
        Cause::Unexpected { .. } => "a key must be a text".to_owned(),
        Cause::Budget { .. } => "the file is too large, too deep, or repeats too much".to_owned(),
        _ => {
            let text = serde_saphyr::UserMessageFormatter.format_message(cause);
            text.lines().next().unwrap_or_default().trim().to_owned()
        }
    }
}

impl Node {
    /// Returns the members of a mapping.
    pub fn mapping(&self, what: &str) -> Result<&[Member]> {
        match &self.inner {
            Inner::Mapping(members) => Ok(members),
            _ => Err(self.spot.fault("cannot use the value").with(what, "not a mapping")),
        }
    }

    /// Returns the elements of a list.
    pub fn list(&self, what: &str) -> Result<&[Node]> {
        match &self.inner {
            Inner::List(items) => Ok(items),
            _ => Err(self.spot.fault("cannot use the value").with(what, "not a list")),
        }
    }

    /// Returns a text that is not empty; numbers and booleans are texts, too.
    pub fn text(&self, what: &str) -> Result<String> {
        let text = self.any_text(what)?;
        if text.trim().is_empty() && what != "thousands" {
            return Err(self.spot.fault("cannot use the value").with(what, "an empty text"));
        }
        Ok(text)
    }

    /// Returns a text, which may be empty; numbers and booleans are texts, too.
    pub fn any_text(&self, what: &str) -> Result<String> {
        let is_what = match &self.inner {
            Inner::Scalar(Value::String(text)) => return Ok(text.clone()),
            Inner::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => {
                return Ok(value.to_string());
            }
            Inner::Scalar(_) => "no value",
            Inner::List(_) => "a list, not a text",
            Inner::Mapping(_) => "a mapping, not a text",
        };
        Err(self.spot.fault("cannot use the value").with(what, is_what))
    }

    /// Tells whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.inner, Inner::Scalar(Value::Null))
    }

    /// Returns a boolean.
    pub fn boolean(&self, what: &str) -> Result<bool> {
        match &self.inner {
            Inner::Scalar(Value::Bool(value)) => Ok(*value),
            _ => Err(self
                .spot
                .fault("cannot use the value")
                .with(what, "not a boolean")
                .hint("write true or false")),
        }
    }

    /// Returns the number of things.
    pub fn count(&self, what: &str) -> Result<u64> {
        match &self.inner {
            Inner::Scalar(Value::Number(number)) => number.as_u64(),
            _ => None,
        }
        .ok_or_else(|| self.spot.fault("cannot use the value").with(what, "not a number from 0 on"))
    }

    /// Returns the texts of a list, or of one text.
    pub fn texts(&self, what: &str) -> Result<Vec<String>> {
        match &self.inner {
            Inner::List(items) => items.iter().map(|item| item.any_text(what)).collect(),
            _ => Ok(vec![self.any_text(what)?]),
        }
    }

    /// Returns a member of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.inner {
            Inner::Mapping(members) => {
                members.iter().find(|member| member.key == key).map(|member| &member.value)
            }
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Inner>::deserialize(deserializer)?;
        Ok(Self { spot: Spot::of(&spanned.referenced), inner: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inner, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Inner::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Inner, A::Error> {
        let mut mapping = Vec::new();
        while let Some((key, value)) = members.next_entry::<Spanned<String>, Node>()? {
            mapping.push(Member { spot: Spot::of(&key.referenced), key: key.value, value });
        }
        Ok(Inner::Mapping(mapping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_that_indents_is_said_with_its_place() {
        let check = |text: &str, line: u64, column: u64| {
            let failure = parse(text).expect_err(text);
            let number = |key: &str| failure.context(key).and_then(|text| text.parse().ok());
            assert_eq!((number("line"), number("column")), (Some(line), Some(column)), "{text:?}");
            assert!(failure.to_string().contains("hint: indent with blanks"), "{failure}");
        };
        check("a:\n\tb: c\n", 2, 1);
        check("a:\n  b: c\n\td: e\n", 3, 1);
        check("a:\n  - b: c\n  \td: e\n", 3, 3);
        check("a:\n  b: c\n\n  # x\n \t d: e\n", 5, 2);
        check("a: |\n  \tx\nb:\n\tc: d\n", 4, 1);
    }

    #[test]
    fn a_tab_that_does_not_indent_is_none_of_it() {
        assert!(parse("a: |\n  \tx\nb:\t1\nc: d\te\n").is_ok());
        let failure = parse("a: |\n  \tx\nb: [\n").unwrap_err();
        assert!(!failure.to_string().contains("blanks"), "{failure}");
    }
}
