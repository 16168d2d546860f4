//! A project of Meltano: `meltano.yml` with what belongs to it, read.
//!
//! Nothing here prints, and nothing runs but programs that are asked what they are.

#![warn(unreachable_pub)]

pub mod capture;
pub mod context;
pub mod day;
mod dotenv;
pub mod edit;
mod empties;
pub mod exit;
mod file;
mod job;
mod lines;
pub mod locks;
pub mod moment;
pub mod names;
pub mod plain;
pub mod plugin;
mod program;
mod project;
mod role;
mod shape;
mod shapes;
mod shell_words;
pub mod source;
pub mod spelled;
mod system;
mod system_names;
mod variables;
pub mod warnings;
mod yaml;

pub use context::Context;
pub use job::{CommandStep, Job, Step, Task, names_in_tasks};
pub use plugin::Plugin;
pub use program::Program;
pub use project::{Opening, Project};
pub use role::Role;
pub use shape::Misspelled;
pub use source::Source;
pub use system::SystemSetting;
pub use variables::{Missing, Variables};
pub use warnings::{Warning, Warnings};
