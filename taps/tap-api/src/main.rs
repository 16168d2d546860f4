//! tap-api: HTTP APIs that answer in JSON, described by settings.

mod auth;
mod beside;
mod borders;
mod decides;
mod discover;
mod element;
mod key;
mod latest;
mod more;
mod options;
mod paging;
mod partial;
mod reader;
mod request;
mod row;
mod schema;
mod settings;
mod slice;
mod spool;
mod stream;
mod tap;
mod template;
mod told;

use std::process::ExitCode;

fn main() -> ExitCode {
    mapping::run_tap::<tap::TapApi>()
}
