//! YAML with the place of every value.

pub(crate) use places::{Inner, Member, Node, Spot, parse};
