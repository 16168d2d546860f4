//! What of a plugin is installed, and where: `pip_url`, in an environment for Python as Meltano
//! makes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use singer::{Error, ErrorKind, Result, scrub};

use super::entry::{Entry, nearest_text};
use crate::capture::{self, Limits};
use crate::program::Program;
use crate::project::Project;
use crate::role::Role;
use crate::shell_words;
use crate::variables::{Variables, names_in};

/// The file in an environment that tells of what it was made.
pub const FINGERPRINT: &str = ".meltano_plugin_fingerprint";

/// What is to be installed of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Installation {
    /// The role of the plugin.
    pub role: Role,
    /// The name of its folder: plugins that inherit one another share it.
    pub folder: String,
    /// The environment: `.meltano/<role>/<folder>/venv`.
    pub venv: PathBuf,
    /// The arguments of `pip install`.
    pub arguments: Vec<String>,
    /// The interpreter, where the project names one.
    pub python: Option<String>,
    /// The program that it is to bring.
    pub executable: String,
    /// Variables of `pip_url` that are not set.
    pub missing: BTreeSet<String>,
}

/// The variable that has the version of Python: the lists of versions of Airflow need it.
const PYTHON_VERSION: &str = "MELTANO__PYTHON_VERSION";

/// Returns the version of an interpreter, such as `3.11`: that in its name, or what it says.
fn python_version(python: &str, project: &Project) -> Option<String> {
    let of = |text: &str| {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let mut parts = text[start..].split(|c: char| !c.is_ascii_digit());
        let (major, minor) = (parts.next()?, parts.next().filter(|minor| !minor.is_empty())?);
        Some(format!("{major}.{minor}"))
    };
    let name = python.rsplit('/').next().unwrap_or(python);
    if let Some(version) = of(name) {
        return Some(version);
    }
    let mut command = Command::new(python);
    command.arg("--version").env("PATH", project.process.get("PATH").unwrap_or_default());
    let limits = Limits { time: Duration::from_secs(20), ..Limits::WORDS };
    let output = capture::output(&Program::bare(Path::new(python)), command, &limits).ok()?;
    of(&String::from_utf8_lossy(&output.stdout))
}

/// Returns which entry of a chain has the environment: who inherits a plugin and installs the same
/// has none of its own, as for Meltano.
pub(super) fn owner(chain: &[Entry<'_>]) -> usize {
    let own = |at: usize| nearest_text(&chain[at..], "pip_url").map(|(_, text)| text);
    let all = (0..chain.len()).take_while(|at| own(*at) == own(0));
    all.last().unwrap_or_default()
}

impl Installation {
    /// Finds what is to be installed of a plugin, if its entry has a `pip_url`.
    pub(super) fn find(
        project: &Project,
        role: Role,
        chain: &[Entry<'_>],
        variables: &Variables,
    ) -> Result<Option<Self>> {
        let Some((_, written)) = nearest_text(chain, "pip_url") else { return Ok(None) };
        let folder = chain.get(owner(chain)).map_or("", |entry| entry.name);
        for name in names_in(written) {
            // It may be a token for a repository.
            if scrub::is_secret_name(&name) {
                variables.get(&name).into_iter().for_each(scrub::learn);
            }
        }
        let python = nearest_text(chain, "python").map(|(_, text)| text);
        let python = python.or_else(|| project.file["python"].as_str());
        let python = python.filter(|name| !name.is_empty());
        let version = names_in(written)
            .contains(PYTHON_VERSION)
            .then(|| python_version(python.unwrap_or("python3"), project))
            .flatten();
        let with_version = version.map(|version| {
            let mut all = variables.clone();
            if all.get(PYTHON_VERSION).is_none() {
                all.set(PYTHON_VERSION, version);
            }
            all
        });
        let variables = with_version.as_ref().unwrap_or(variables);
        let mut missing = BTreeSet::new();
        let text = variables.expand(written, &mut missing);
        let arguments = shell_words::split(&text).ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot read `pip_url` of the plugin")
                .with("plugin", folder)
                .hint("close each quote in it")
        })?;
        if arguments.is_empty() {
            return Ok(None);
        }
        let base = chain.last().map_or("", |entry| entry.name);
        let executable = nearest_text(chain, "executable").map_or(base, |(_, name)| name);
        Ok(Some(Self {
            role,
            folder: folder.to_owned(),
            venv: project.root.join(".meltano").join(role.key()).join(folder).join("venv"),
            arguments,
            python: python.map(str::to_owned),
            executable: executable.to_owned(),
            missing,
        }))
    }

    /// Returns the sum by which Meltano knows of what an environment was made: of the arguments in
    /// their order, each once, and of an interpreter that the project names.
    pub fn fingerprint(&self) -> String {
        let sorted: BTreeSet<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut parts: Vec<String> = sorted.into_iter().map(str::to_owned).collect();
        parts.extend(self.python.as_ref().map(|python| format!("python:{python}")));
        disk::sum(parts.join(" "))
    }

    /// Tells whether the environment is there and was made of the same.
    pub fn is_up_to_date(&self) -> bool {
        let made = std::fs::read_to_string(self.venv.join(FINGERPRINT));
        self.venv.join("bin/python").exists() && made.is_ok_and(|sum| sum == self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_meltano() {
        // Each was computed by `meltano.core.venv_service.fingerprint` of Meltano 4.4.1.
        let sums = [
            "288cf1161f52f618985f3331d7ed57142f78274406cb783a9ed4e56ac90fabf7",
            "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65",
            "e18ed803cab7fe8950b565a061e9d4407e3e115fe5ad43310d6c3eaa6038cd88",
        ];
        let made = [
            (vec!["tap-x"], None),
            (vec!["b", "a", "b"], None),
            (vec!["./my-tap", "-e"], Some("python3.11")),
        ];
        for ((arguments, python), expected) in made.into_iter().zip(sums) {
            let installation = Installation {
                role: Role::Extractor,
                folder: String::new(),
                venv: PathBuf::new(),
                arguments: arguments.into_iter().map(str::to_owned).collect(),
                python: python.map(str::to_owned),
                executable: String::new(),
                missing: BTreeSet::new(),
            };
            assert_eq!(installation.fingerprint(), expected);
        }
    }
}
