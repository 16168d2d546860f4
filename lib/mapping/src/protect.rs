//! Protection of values: what is written in the place of a value that nobody may read.

mod generalise;
mod keys;
mod nested;
mod partial;
mod protector;
mod samples;

pub use generalise::Generalise;
pub use keys::Keys;
pub(crate) use nested::{Extra, Node};
pub(crate) use partial::mail_parts;
pub use protector::Protection;
pub(crate) use protector::{Protector, is_nullable};
pub(crate) use samples::remove_samples;
