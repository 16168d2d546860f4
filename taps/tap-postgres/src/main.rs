//! tap-postgres: tables and views of a Postgres database as Singer streams, read by COPY.

mod after;
mod attached;
mod catalog;
mod chosen;
mod columns;
mod conditions;
mod convert;
mod discover;
mod family;
mod grants;
mod hidden;
mod keys;
mod lacking;
mod money;
mod origin;
mod read;
mod settings;
mod settled;
mod statement;
mod table;
mod tap;
mod unheld;
mod writers;

fn main() -> std::process::ExitCode {
    mapping::run_tap::<tap::TapPostgres>()
}
