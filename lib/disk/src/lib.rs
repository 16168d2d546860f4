//! What crates that write files share: files replaced as one step, locks, names of path
//! parts, sums, the day.

#![warn(unreachable_pub)]

pub mod datestamp;
mod failure;
pub mod lock;
pub mod name;
mod plain;
pub mod replace;
pub mod sum;

pub use datestamp::Datestamp;
pub use failure::failure;
pub use lock::Lock;
pub use plain::open_plainly;
pub use replace::{NewFile, replace_file};
pub use sum::{Sum, sum};
