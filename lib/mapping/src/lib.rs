//! What happens to streams between tap and target: maps, contracts, protection, row hashes.

#![warn(unreachable_pub)]

pub mod combine;
pub mod contract;
mod inline;
mod language;
mod maps;
mod normal;
pub mod pii;
mod pipeline;
pub mod protect;
pub mod row_hash;

pub use inline::{Inline, Settings, run_tap, run_target};
pub use maps::{Condition, MapSettings, Maps, Transformation, Transformations};
pub use pipeline::{Pipeline, Stage};
