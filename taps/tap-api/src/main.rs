//! tap-api: HTTP APIs that answer in JSON, described by settings.

mod address;
mod answer;
mod auth;
mod client;
mod discover;
mod drift;
mod failure;
mod key;
mod link;
mod network;
mod options;
mod pager;
mod paging;
mod plan;
mod reader;
mod request;
mod retry;
mod row;
mod secrets;
mod settings;
mod slice;
mod spool;
mod tap;
mod template;
mod throttle;
mod token;

use std::process::ExitCode;

fn main() -> ExitCode {
    singer::run_tap::<tap::TapApi>()
}
