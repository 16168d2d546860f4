//! The lines and columns of a YAML file at which its values stand: looked for once something is
//! wrong.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::yaml::options;

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// A place in a file, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Spot {
    fn of(location: &serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// Finds the place of a value, that of its key in a mapping.
pub(crate) fn find(text: &str, path: &[Part]) -> Option<Spot> {
    let mut node = serde_saphyr::from_str_with_options::<Node>(text, options()).ok()?;
    let mut spot = Spot::of(&node.0.referenced);
    for part in path {
        node = match (part, node.0.value) {
            (Part::Key(key), Inner::Mapping(members)) => {
                let (name, inner) = members.into_iter().find(|(name, _)| name.value == *key)?;
                spot = Spot::of(&name.referenced);
                inner
            }
            (Part::Index(at), Inner::List(items)) => {
                let item = items.into_iter().nth(*at)?;
                spot = Spot::of(&item.0.referenced);
                item
            }
            _ => return None,
        };
    }
    Some(spot)
}

struct Node(Spanned<Inner>);

enum Inner {
    Scalar,
    List(Vec<Node>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
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

    fn visit_bool<E>(self, _: bool) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Inner::Scalar)
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
        while let Some(member) = members.next_entry()? {
            mapping.push(member);
        }
        Ok(Inner::Mapping(mapping))
    }
}
