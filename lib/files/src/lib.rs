//! What file connectors share: tables of files, dialect, globs, compression, encodings, inference.

#![warn(unreachable_pub)]

pub mod archive;
pub mod column;
pub mod compress;
pub mod dialect;
pub mod disk;
pub mod encoding;
mod evidence;
pub mod failure;
mod footer;
pub mod format;
pub mod identity;
pub mod infer;
pub mod json;
mod once;
pub mod open;
pub mod paths;
pub mod progress;
pub mod reader;
mod scan;
pub mod settings;
mod short_text;
pub mod store;
pub mod table;
pub mod tables;
pub mod unread;
mod written;

pub use column::{ColumnSetting, ColumnType};
pub use compress::{Codec, Limits};
pub use dialect::Dialect;
pub use disk::Disk;
pub use encoding::TextEncoding;
pub use format::Format;
pub use identity::Identity;
pub use infer::Inference;
pub use open::OpenFile;
pub use progress::Progress;
pub use reader::{Reader, Record};
pub use settings::{Metadata, OnRagged, TableSettings, TextSettings};
pub use short_text::ShortText;
pub use store::{Store, StoredFile};
pub use table::Table;
pub use tables::Tables;
pub use unread::Unread;
