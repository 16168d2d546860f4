//! The lines and columns of a YAML file at which its values stand: looked for once something is
//! wrong.

pub(crate) use places::Spot;
use places::{Inner, parse};

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// Finds the place of a value, that of its key in a mapping.
pub(crate) fn find(text: &str, path: &[Part]) -> Option<Spot> {
    let mut node = parse(text).ok()?;
    let mut spot = node.spot;
    for part in path {
        node = match (part, node.inner) {
            (Part::Key(key), Inner::Mapping(members)) => {
                let member = members.into_iter().find(|member| member.key == *key)?;
                spot = member.spot;
                member.value
            }
            (Part::Index(at), Inner::List(items)) => {
                let item = items.into_iter().nth(*at)?;
                spot = item.spot;
                item
            }
            _ => return None,
        };
    }
    Some(spot)
}
