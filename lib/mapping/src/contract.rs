//! Contracts: what the columns of a stream are, what becomes of them, and what ends a run.

mod already;
mod checks;
mod compile;
mod convert;
#[cfg(test)]
mod damage_tests;
pub mod diff;
mod differences;
mod draft;
#[cfg(test)]
mod exact_tests;
mod files;
mod logical;
mod model;
mod odcs;
mod options;
mod parts;
mod property;
mod row;
mod rules;
mod settings;
mod stage;
mod stand;
#[cfg(test)]
mod tests;
mod told;
mod unlike;
mod words;
mod yaml;

pub use draft::{Draft, DraftColumn, DraftStream};
pub use files::files;
pub use logical::Logical;
pub use model::{Contract, Property, Table};
pub use settings::{ColumnsChange, ContractSettings, ExtraColumns, MissingColumns, OnViolation};
pub use stage::Guard;
pub use stand::Stand;
