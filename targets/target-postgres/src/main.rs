//! The binary `target-postgres`.

mod ask;
mod checks;
mod compare;
mod connection;
mod counts;
mod dayless;
mod decimal;
mod direct;
mod elements;
mod encode;
mod existing;
mod facts;
mod fields;
mod filler;
mod guarded;
mod guards;
mod json_keys;
mod kept;
mod limits;
mod line;
mod literal;
mod load;
mod lookup;
mod lost;
mod mapping;
mod memory;
mod merge;
mod method;
mod money;
mod names;
mod order;
mod own;
mod partition;
mod plan;
mod promises;
mod relatives;
mod rounds;
mod route;
mod session;
mod settings;
mod sink;
mod small;
mod source;
mod stage;
mod table;
mod target;
mod together;
mod types;
mod work;

fn main() -> std::process::ExitCode {
    singer::run_target::<target::TargetPostgres>()
}
