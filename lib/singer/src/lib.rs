//! The Singer protocol: messages, catalog, state, settings, the Tap and Target traits.
//! Knows no connector.

pub mod about;
pub mod batch;
pub mod catalog;
pub mod error;
pub mod rows;
pub mod schema;
pub mod secret;
pub mod state;
pub mod tap;
pub mod target;

pub use about::About;
pub use batch::{Batch, Cell};
pub use catalog::Stream;
pub use error::{Context, Error, ErrorKind, Result, ResultExt};
pub use rows::Rows;
pub use schema::{Column, Kind};
pub use secret::Secret;
pub use state::Bookmark;
pub use tap::Tap;
pub use target::{Durability, End, Sink, Target};
