//! The arguments of `chorus invoke`.

use clap::{Args, ValueEnum};

use crate::complete;

/// What to run by itself, and how.
#[derive(Debug, Args)]
pub struct InvokeArgs {
    /// A plugin, or a command of it
    #[arg(value_name = "PLUGIN[:COMMAND]", add = complete::invoked())]
    pub plugin: String,
    /// Arguments behind those of the plugin or command
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
    /// Print this file of the plugin, with its secrets, and run nothing
    #[arg(long, value_enum, value_name = "FILE")]
    pub dump: Option<Dump>,
    /// List the commands of the plugin, and run nothing
    #[arg(long)]
    pub list_commands: bool,
    /// Print this variable of the plugin, also if it is a secret; repeatable
    #[arg(long, value_name = "NAME")]
    pub print_var: Vec<String>,
}

/// A file that a tap, a mapper or a target is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dump {
    /// The settings
    Config,
    /// The catalog of a tap
    Catalog,
}
