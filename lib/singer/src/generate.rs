//! What `--generate` writes: completions for shells, and man pages. Both come from the definition
//! of the command line.

use std::fs;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command};
use clap_complete::{Generator, Shell};

use crate::about::About;
use crate::error::{Error, ErrorKind, Result};
use crate::man::{self, File};
use crate::output;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The page for `man`.
    Man,
    /// The completions of a shell.
    Complete(Shell),
}

/// The words for it on the command line.
const KINDS: [(&str, Kind); 5] = [
    ("man", Kind::Man),
    ("complete-bash", Kind::Complete(Shell::Bash)),
    ("complete-zsh", Kind::Complete(Shell::Zsh)),
    ("complete-fish", Kind::Complete(Shell::Fish)),
    ("complete-powershell", Kind::Complete(Shell::PowerShell)),
];

/// Reads the word for a kind.
#[must_use]
pub fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(KINDS.map(|(word, _)| word)).map(|word| {
        let known = KINDS.iter().find(|(known, _)| *known == word);
        known.map_or(Kind::Man, |(_, kind)| *kind)
    })
}

/// Returns the two flags: `--generate KIND`, and `--to FOLDER`.
#[must_use]
pub fn flags() -> [Arg; 2] {
    let generate = Arg::new("generate")
        .long("generate")
        .value_name("KIND")
        .value_parser(kinds())
        .hide_possible_values(true)
        .help(
            "Print the man page (man), or completions: complete-bash, complete-zsh, \
             complete-fish, complete-powershell",
        );
    let to = Arg::new("to")
        .long("to")
        .value_name("FOLDER")
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .value_hint(clap::ValueHint::DirPath)
        .requires("generate")
        .help("Write what --generate makes to this folder");
    [generate, to]
}

/// Returns the completions of a shell that need no run of the program.
#[must_use]
pub fn completions(shell: Shell, about: &About, command: &Command) -> File {
    let name = about.name;
    let mut text = Vec::new();
    let mut command = shown(about, command);
    clap_complete::generate(shell, &mut command, name, &mut text);
    File { name: shell.file_name(name), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Returns a connector's command without the flags that help does not show: they are accepted, and
/// nobody is to type them.
fn shown(about: &About, command: &Command) -> Command {
    let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
    Command::new(about.name)
        .version(about.version)
        .disable_version_flag(command.is_disable_version_flag_set())
        .disable_help_flag(command.is_disable_help_flag_set())
        .args(flags)
}

/// Returns the man page of a command, and those of its subcommands behind it; the sections stand in
/// the first one.
#[must_use]
pub fn pages(command: Command, sections: &[man::Section]) -> Vec<File> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let version = command.get_version().unwrap_or_default().to_owned();
    let mut pages = vec![man::page(&command, &version, sections)];
    add_pages(&mut pages, &command, &version);
    pages
}

fn add_pages(pages: &mut Vec<File>, command: &Command, version: &str) {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages.push(man::page(command, version, &[]));
        add_pages(pages, command, version);
    }
}

/// Prints the first file, or writes all of them to a folder.
///
/// # Errors
/// `Io` when they cannot be written.
pub fn write(files: &[File], folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder else {
        return files.first().map_or(Ok(()), |file| output::print(&file.text));
    };
    let failed = |path: &Path, cause| {
        let failure = Error::new(ErrorKind::Io, "cannot write the generated file");
        failure.with("path", path.display()).caused_by(cause)
    };
    fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
    for File { name, text } in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|cause| failed(&path, cause))?;
    }
    Ok(())
}
