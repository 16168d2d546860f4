//! What happens to streams between tap and target: maps, contracts, protection, row hashes.

#![warn(unreachable_pub)]

pub mod contract;
mod normal;
mod pipeline;
pub mod protect;
pub mod row_hash;

pub use pipeline::{Pipeline, Stage};
