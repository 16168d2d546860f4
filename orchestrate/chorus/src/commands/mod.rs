//! One module for each command.

pub mod backfill;
pub mod check;
pub mod days;
pub mod doctor;
pub mod install;
pub mod invoke;
pub mod plan;
pub mod run;
pub mod runs;
pub mod schedule;
pub mod state;
mod table;
mod what;
