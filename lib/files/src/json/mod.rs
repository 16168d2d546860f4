//! Records out of JSON documents of any size, their schema, and their nested values as columns.

mod extent;
mod flatten;
mod path;
mod records;
mod shape;
mod unwind;

pub use flatten::Flatten;
pub use path::{Lacking, RecordsPath};
pub use records::{Record, Records};
pub use shape::Shape;
pub use unwind::{Fields, TakeRecord, Unwinding};
