//! The Singer protocol: messages, catalog, state, settings, the Tap and Target traits.
//! Knows no connector.

pub mod about;
pub mod args;
pub mod batch;
pub mod canonical;
pub mod catalog;
pub mod decode;
pub mod encode;
pub mod error;
pub mod input;
pub mod log;
mod main_loop;
pub mod metrics;
pub mod output;
pub mod plan;
pub mod quote;
mod receive;
pub mod rejects;
pub mod rows;
mod run_tap;
mod run_target;
pub mod scan;
pub mod schema;
pub mod scrub;
pub mod secret;
pub mod selection;
pub mod settings;
pub mod state;
pub mod tap;
pub mod target;
pub mod validate;
pub mod warning;

pub use about::About;
pub use batch::{Batch, Cell};
pub use catalog::Stream;
pub use error::{Context, Error, ErrorKind, Result, ResultExt};
pub use plan::{Planned, Reading};
pub use rejects::Rejects;
pub use rows::Rows;
pub use run_tap::run_tap;
pub use run_target::run_target;
pub use schema::{Column, Kind};
pub use secret::Secret;
pub use state::Bookmark;
pub use tap::Tap;
pub use target::{Durability, End, Sink, Target};
