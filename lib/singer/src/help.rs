//! The form that `--help` has in every program: one screen, with the examples at its end.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command};

/// So many columns a line of help has at most.
pub const COLUMNS_MAX: usize = 80;

/// A line for a shell, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// What the line does, as a command: "Print the catalog".
    pub what: &'static str,
    /// The line; `{}` stands for the name of the program.
    pub line: &'static str,
}

/// Gives a command and its subcommands one form of help, for `-h` and `--help` alike.
#[must_use]
pub fn shaped(command: Command) -> Command {
    let help = Arg::new("help")
        .long("help")
        .short('h')
        .action(ArgAction::HelpShort)
        .display_order(1000)
        .help("Print this help");
    let command = command.max_term_width(COLUMNS_MAX).disable_help_flag(true).arg(help);
    command.mut_subcommands(shaped)
}

/// Writes the examples of a program as they stand below its options.
#[must_use]
pub fn examples(name: &str, examples: &[&[Example]]) -> String {
    let mut text = "Examples:".to_owned();
    for Example { what, line } in examples.iter().copied().flatten() {
        let _ = write!(text, "\n  # {what}\n  {}", line.replace("{}", name));
    }
    text
}
