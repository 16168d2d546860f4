//! What connectors of HTTP share: addresses, signed requests, redirects, retries, rate limits, and
//! answers that are kept whole. A connector brings its signer and its own words for hints.

#![warn(unreachable_pub)]

pub mod address;
pub mod answer;
pub mod client;
pub mod failure;
mod network;
pub mod request;
pub mod retry;
pub mod secrets;
pub mod settings;
pub mod signer;
mod throttle;

pub use address::{Address, Origin};
pub use answer::Answer;
pub use client::Client;
pub use failure::Hints;
pub use request::{Method, Request};
pub use retry::Attempts;
pub use secrets::Secrets;
pub use settings::NetworkSettings;
pub use signer::{Sender, Signature, Signer};
