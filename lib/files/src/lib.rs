//! What file connectors share: dialect, records, globs, compression, encodings, type inference.

pub mod compress;
pub mod dialect;
pub mod encoding;
pub mod infer;
pub mod json;
pub mod open;
pub mod paths;
pub mod reader;
mod scan;

pub use compress::{Codec, Limits};
pub use dialect::Dialect;
pub use encoding::TextEncoding;
pub use infer::Inference;
pub use open::{Identity, OpenFile};
pub use reader::{Reader, Record};
