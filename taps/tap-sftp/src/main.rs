//! tap-sftp: delimited files on an SFTP server.

mod folder;
mod found;
mod settings;
mod store;
mod tap;

use std::process::ExitCode;

fn main() -> ExitCode {
    mapping::run_tap::<tap::TapSftp>()
}
