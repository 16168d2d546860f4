//! The binary `target-postgres`.

mod direct;
mod encode;
mod fields;
mod lane;
mod limits;
mod load;
mod lost;
mod mapping;
mod memory;
mod merge;
mod names;
mod plan;
mod session;
mod settings;
mod sink;
mod stage;
mod table;
mod target;
mod types;

fn main() -> std::process::ExitCode {
    singer::run_target::<target::TargetPostgres>()
}
