//! tap-lake: a day of the lake, read back with its types and keys.

mod settings;
mod tap;

use std::process::ExitCode;

fn main() -> ExitCode {
    mapping::run_tap::<tap::TapLake>()
}
