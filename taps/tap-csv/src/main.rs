//! tap-csv: CSV files, and days of the lake read back.

mod settings;
mod tap;

use std::process::ExitCode;

fn main() -> ExitCode {
    mapping::run_tap::<tap::TapCsv>()
}
