//! Requests and answers: addresses, connections, what may be tried again, and how often a second.

pub mod address;
pub mod answer;
pub mod client;
pub mod failure;
pub mod network;
pub mod retry;
pub mod signer;
pub mod throttle;
