//! The plain shape: one file for a small team, read with the place of everything that is wrong, and
//! made into a project. Pure.

mod canonical;
mod contract;
mod given;
mod keys;
mod made;
mod model;
mod read;
mod span;
#[cfg(test)]
mod tests;
mod times;
mod types;

pub use made::{Made, Purpose};
pub use model::{Monitor, Plain, PlainSource, SourceKind, Times};
