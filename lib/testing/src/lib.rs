//! What tests of every crate share. Only tests depend on it, so a failure is a panic.
#![warn(unreachable_pub)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    reason = "only tests use it"
)]

pub mod changes;
pub mod drip;
pub mod property;
