//! Installs plugins: an environment for Python for each, where Meltano has it.
//!
//! An environment is made beside the one that is there, with the number of its making in its name,
//! and `venv` becomes a link to it in one step. So nobody finds a half-made one, and Meltano finds
//! ours. Its programs name their own folder, so it cannot be moved.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use disk::Lock;
use project::capture::{self, Limits};
use project::plugin::{FINGERPRINT, Installation};
use project::{Program, Project, exit};
use singer::{Error, ErrorKind, Result, scrub};

/// What an environment is called until it is in use, and behind its link.
const MADE: &str = ".venv-";
/// A package that is compiled takes minutes.
const TIME_MAX: Duration = Duration::from_hours(2);
/// So much of what the installer has said is shown.
const LINES_SHOWN: usize = 15;

/// How plugins are installed.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// Makes each environment anew, also one that is up to date.
    pub clean: bool,
    /// Ignores the version of Python that a package requires.
    pub force: bool,
    /// So many at once.
    pub parallel: usize,
    /// Tells whether nobody waits for it any more.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
}

/// What has become of an installation.
#[derive(Debug)]
pub struct Installed {
    /// The name of its folder.
    pub folder: String,
    /// Whether it was made now; else it was up to date.
    pub is_new: bool,
    /// How long it took.
    pub seconds: f64,
    /// What there is to say of it.
    pub note: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<Error>,
}

/// Installs all of them; `seen` learns of each that is over.
pub fn all(
    project: &Project,
    wanted: &[Installation],
    how: &How<'_>,
    seen: &(dyn Fn(&Installed) + Sync),
) -> Vec<Installed> {
    let next = Mutex::new(wanted.iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..how.parallel.clamp(1, wanted.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let one = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(one) = one.filter(|_| !(how.is_over)()) else { break };
                    let installed = install(project, one, how);
                    seen(&installed);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(installed);
                }
            });
        }
    });
    done.into_inner().unwrap_or_default()
}

/// Refuses an address that lacks a variable: another package may have that name.
fn check(wanted: &Installation) -> Result<()> {
    let names: Vec<&str> = wanted.missing.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot install: `pip_url` uses variables that are not set")
        .with("variables", names.join(", "))
        .hint("set them in the shell, in `.env` or in `env` of the plugin"))
}

fn install(project: &Project, wanted: &Installation, how: &How<'_>) -> Installed {
    let begun = Instant::now();
    let made = check(wanted).and_then(|()| Making { project, wanted, how }.install());
    let (is_new, failure) = match made {
        Ok(is_new) => (is_new, None),
        Err(failure) => (false, Some(failure.with("plugin", &wanted.folder))),
    };
    let note = failure.is_none().then(|| lacking(wanted)).flatten();
    let seconds = begun.elapsed().as_secs_f64();
    Installed { folder: wanted.folder.clone(), is_new, seconds, note, failure }
}

/// Says that a package does not bring the program that the project looks for.
fn lacking(wanted: &Installation) -> Option<String> {
    let programs = wanted.venv.join("bin");
    if wanted.executable.contains('/') || programs.join(&wanted.executable).is_file() {
        return None;
    }
    Some(format!(
        "the package has no program `{}`: set `executable` of the plugin to one of those in {}",
        wanted.executable,
        programs.display()
    ))
}

struct Making<'a> {
    project: &'a Project,
    wanted: &'a Installation,
    how: &'a How<'a>,
}

impl Making<'_> {
    /// Makes the environment, unless it is up to date; tells whether it was made.
    fn install(&self) -> Result<bool> {
        let Self { wanted, how, .. } = self;
        let folder = wanted.venv.parent().unwrap_or(&wanted.venv);
        fs::create_dir_all(folder)
            .map_err(|cause| disk::failure("cannot make the folder", folder, cause))?;
        let lock = folder.join(".install.lock");
        let _held = Lock::try_take(&lock)?.ok_or_else(|| {
            Error::new(ErrorKind::Temporary, "cannot install: another process is installing it")
                .hint("wait until it has ended")
        })?;
        if !how.clean && wanted.is_up_to_date() {
            return Ok(false);
        }
        sweep(folder, &wanted.venv);
        let moment = jiff::Timestamp::now().as_millisecond();
        let made = folder.join(format!("{MADE}{moment:x}-{}", std::process::id()));
        let done = self.make(&made).and_then(|()| take_in_use(&made, &wanted.venv));
        if done.is_err() {
            // What cannot be removed now is swept by the next one.
            let _ = fs::remove_dir_all(&made);
        }
        done.map(|()| true)
    }

    /// Makes an environment with its packages, and notes of what it was made.
    fn make(&self, folder: &Path) -> Result<()> {
        let Self { wanted, how, .. } = self;
        let python = wanted.python.as_deref().unwrap_or("python3");
        let (path, interpreter) = (text(folder), text(&folder.join("bin/python")));
        if let Some(uv) = self.find("uv") {
            self.run(&uv, &["venv", "--quiet", "--no-project", "--python", python, &path])?;
            self.pip(&uv, &["pip", "install", "--python", &interpreter])?;
        } else {
            let found = self.find(python).ok_or_else(|| {
                Error::new(ErrorKind::Config, "cannot install a plugin without Python")
                    .with("program", python)
                    .hint("install uv, or Python with its modules venv and pip")
            })?;
            self.run(&found, &["-m", "venv", "--clear", &path])?;
            let mut words = vec!["-m", "pip", "install", "--disable-pip-version-check"];
            words.extend(how.force.then_some("--ignore-requires-python"));
            self.pip(Path::new(&interpreter), &words)?;
        }
        let stamp = folder.join(FINGERPRINT);
        fs::write(&stamp, wanted.fingerprint())
            .map_err(|cause| disk::failure("cannot write the file", &stamp, cause))
    }

    fn pip(&self, program: &Path, words: &[&str]) -> Result<()> {
        let own = self.wanted.arguments.iter().map(String::as_str);
        self.run(program, &words.iter().copied().chain(own).collect::<Vec<_>>())
    }

    /// Finds a program on `PATH`, or at its path.
    fn find(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(self.project.root.join(name)).filter(|path| path.is_file());
        }
        let path = self.project.variables.get("PATH").unwrap_or_default();
        let mut places = path.split(':').filter(|folder| !folder.is_empty());
        places.find_map(|folder| Some(Path::new(folder).join(name)).filter(|path| path.is_file()))
    }

    /// Runs a step of it in the folder of the project: paths in `pip_url` start there.
    fn run(&self, program: &Path, words: &[&str]) -> Result<()> {
        let Self { project, wanted, how } = self;
        let mut variables: BTreeMap<String, String> =
            project.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        // An environment around this program is not the one to install into.
        variables.remove("VIRTUAL_ENV");
        variables.remove("PYTHONPATH");
        let program = Program {
            name: wanted.folder.clone(),
            executable: program.to_owned(),
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            variables: variables.into_iter().collect(),
            folder: project.root.clone(),
        };
        let limits = Limits { bytes: 64 << 20, time: TIME_MAX, is_over: how.is_over };
        let output = capture::output(&program, program.command(), &limits)?;
        if output.status.success() {
            return Ok(());
        }
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = scrub::scrub(&String::from_utf8_lossy(&said)).into_owned();
        let mut failure = Error::new(ErrorKind::Unavailable, "cannot install the plugin")
            .with("pip_url", scrub::scrub(&wanted.arguments.join(" ")))
            .with("exit", exit::words(output.status));
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN)) {
            failure = failure.with(&wanted.folder, line.trim_end());
        }
        Err(failure)
    }
}

/// Has the link of an environment lead to the one that was made; the one before goes.
fn take_in_use(made: &Path, venv: &Path) -> Result<()> {
    let failed = |cause| disk::failure("cannot take the environment in use", venv, cause);
    let link = made.with_extension("link");
    let name = made.file_name().unwrap_or_default();
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(name, &link).map_err(failed)?;
    let before = fs::read_link(venv).ok();
    match fs::symlink_metadata(venv) {
        // One that Meltano has made is a folder: a link cannot take its place in one step.
        Ok(found) if found.is_dir() => {
            fs::rename(venv, made.with_extension("before")).map_err(failed)?;
        }
        Err(cause) if cause.kind() != NotFound => return Err(failed(cause)),
        _ => {}
    }
    fs::rename(&link, venv).map_err(failed)?;
    let folder = venv.parent().unwrap_or(venv);
    let before = before.map(|path| folder.join(path));
    for path in before.into_iter().chain([made.with_extension("before")]) {
        // The next one sweeps what is left.
        let _ = fs::remove_dir_all(path);
    }
    Ok(())
}

/// Removes what others have left half made. The lock is held.
fn sweep(folder: &Path, venv: &Path) {
    let used = fs::read_link(venv).ok();
    let used = used.as_deref().and_then(Path::file_name);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_made = name.to_str().is_some_and(|name| name.starts_with(MADE));
        if is_made && Some(name.as_os_str()) != used {
            let path = entry.path();
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
