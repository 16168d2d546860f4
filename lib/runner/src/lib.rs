//! Runs pipelines of a project, and keeps what they leave behind: states, records, logs and days.
//!
//! Nothing here prints: an [`observer::Observer`] sees what happens, and warnings go to
//! whoever opened the project. A program that runs pipelines calls [`guard::main`] where
//! [`guard::is_wanted`], before anything else.

#![warn(unreachable_pub)]

mod again;
mod attempt;
mod awaited;
pub mod backfill;
mod catalog_rules;
pub mod check;
mod command;
pub mod contract_check;
pub mod contracts;
pub mod days;
mod dbt;
pub mod effect;
pub mod ended;
pub mod failure;
mod foreign;
pub mod forget;
pub mod grants;
pub mod guard;
pub mod history;
pub mod hook;
pub mod host;
pub mod install;
pub mod lake_paths;
mod left_behind;
mod life;
pub mod observe;
pub mod observer;
pub mod options;
pub mod order;
mod own_programs;
pub mod params;
pub mod part;
pub mod pii;
pub mod pipeline;
mod place;
pub mod plain;
pub mod plan;
mod plugin_plan;
pub mod preflight;
pub mod prepare;
pub mod record;
pub mod run;
pub mod schedule;
pub mod selection;
pub mod standing;
pub mod state_lock;
pub mod state_names;
pub mod state_stores;
pub mod states;
pub mod store;
pub mod stored;
pub mod tables;
mod taken;
pub mod warnings;
mod work;
