//! What happens to streams between tap and target: maps, contracts, protection, row hashes.

#![warn(unreachable_pub)]

mod pipeline;

pub use pipeline::{Pipeline, Stage};
