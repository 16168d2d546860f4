//! Programs: what is run, with what, and where.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use singer::{Error, ErrorKind};

/// A process to be.
#[derive(Debug)]
pub struct Program {
    /// The plugin's name.
    pub name: String,
    /// The file to run.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All of its environment.
    pub variables: Vec<(String, String)>,
    /// The folder it runs in.
    pub folder: PathBuf,
}

impl Program {
    /// Names a program that is run for what it says alone.
    pub fn bare(executable: &Path) -> Self {
        let name = executable.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (arguments, variables) = (vec!["--about".to_owned()], Vec::new());
        let folder = PathBuf::from(".");
        Self { name, executable: executable.to_owned(), arguments, variables, folder }
    }

    /// Makes a command without input.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Makes the failure of a program that cannot be run.
    pub fn not_started(&self, cause: std::io::Error) -> Error {
        let missing = cause.kind() == std::io::ErrorKind::NotFound;
        // The system says the same where the folder is missing.
        if missing && !self.folder.is_dir() {
            return Error::new(ErrorKind::Config, "cannot start the plugin: its folder is missing")
                .with("plugin", &self.name)
                .with("folder", self.folder.display())
                .hint("make the folder, or correct `project_dir` of the plugin");
        }
        let failure = Error::new(ErrorKind::Config, "cannot start the plugin")
            .with("plugin", &self.name)
            .with("executable", self.executable.display())
            .caused_by(cause);
        if missing {
            failure.hint("install it, put it on PATH, or set `executable` to its path")
        } else {
            failure
        }
    }
}
