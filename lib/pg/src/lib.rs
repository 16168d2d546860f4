//! What both Postgres connectors share: connect, TLS, COPY data, types, names.

#![warn(unreachable_pub)]

pub mod array;
mod attempts;
pub mod client;
mod commit;
mod connect;
pub mod convert;
pub mod copy;
pub mod copy_binary;
pub mod copy_text;
pub mod failure;
pub mod ident;
mod lent;
mod login;
mod moments;
mod notice;
mod options;
pub mod ours;
mod parameters;
mod password_file;
mod private_file;
mod protocol;
mod rights;
mod servers;
mod session;
mod session_attributes;
pub mod settings;
mod socket;
mod ssl_mode;
mod tls;
pub mod types;
mod url;
mod wire;

pub use client::{Client, Row};
pub use copy::CopyOut;
pub use ident::{array_literal, quote_ident, quote_literal, quote_qualified, shorten_ident};
pub use rights::Rights;
pub use servers::{Host, Server};
pub use session::{Changed, no_idle_limits};
pub use session_attributes::SessionAttributes;
pub use settings::{Config, ConnectionSettings};
pub use ssl_mode::SslMode;
