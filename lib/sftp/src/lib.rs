//! An SFTP client that blocks: connecting, host keys, credentials, and files whose reading goes on
//! after a cut. Everything asynchronous is in `link`.

#![warn(unreachable_pub)]

mod attempt;
pub mod client;
mod file;
pub mod host_key;
pub mod keys;
mod link;
pub mod options;
pub mod packet;
mod queue;
pub mod server;

pub use file::RemoteFile;
pub use options::{Options, Trust};
pub use packet::{Attributes, FileKind, Name};
pub use server::Server;
