//! target-csv: writes streams as CSV files, as dated partitions or one by one.

mod lost;
mod naming;
mod old_file;
mod place;
mod plain;
mod settings;
mod sink;
mod source;
mod target;
mod together;
mod written_for;

use target::TargetCsv;

fn main() -> std::process::ExitCode {
    mapping::run_target::<TargetCsv>()
}
