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
mod forget;
mod grants;
mod guarded;
mod guards;
mod held;
mod json_keys;
mod kept;
mod letter_case;
mod limits;
mod line;
mod literal;
mod load;
mod locks;
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
mod remark;
mod retype;
mod rounds;
mod route;
mod run_sql;
mod schemas;
mod session;
mod settings;
mod sink;
mod small;
mod source;
mod spelled;
mod split;
mod stage;
mod table;
mod target;
mod together;
mod type_change;
mod types;
mod work;

fn main() -> std::process::ExitCode {
    ::mapping::run_target::<target::TargetPostgres>()
}
