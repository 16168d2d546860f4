//! `chorus install`: the programs of plugins, into the folders where Meltano has them.

use project::plugin::Installation;
use project::{Job, Plugin, Project, Task};
use runner::install::{self, How, Installed};
use runner::pipeline::Stop;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::{InstallArgs, InstallFlags};
use crate::commands::plugins::without_kind;
use crate::commands::{schedule_entry, table};
use crate::signals::Signals;

/// Installs plugins, and prints what has become of each.
pub fn install(project: &Project, args: &InstallArgs) -> Result<()> {
    let wanted = wanted(project, &named(project, args)?)?;
    if wanted.is_empty() {
        return print("no plugin of the project has a `pip_url`: there is nothing to install\n");
    }
    let signals = Signals::note(project.warnings());
    let is_over = || signals.requested().is_some();
    let how =
        How { clean: args.clean, force: args.force, parallel: args.parallel, is_over: &is_over };
    let mut done = install::all(project, &wanted, &how, &|one| tell(project, one));
    done.sort_by(|one, other| one.folder.cmp(&other.folder));
    let rows = done.iter().map(|one| {
        let became = match (&one.failure, one.is_new) {
            (Some(_), _) => "failed",
            (None, true) => "installed",
            (None, false) => "up to date",
        };
        vec![one.folder.clone(), became.to_owned(), format!("{:.1}", one.seconds)]
    });
    print(&table::render(&["plugin", "", "seconds"], rows.collect(), &[2]))?;
    ended(done, &signals)
}

/// Installs the plugins of a job that a run needs; tells whether there were any. Without a flag,
/// those whose program is found nowhere: a program of ours often has the place of one that the
/// project would install.
pub fn for_run(project: &Project, job: &Job, flags: InstallFlags) -> Result<bool> {
    let is_on = || project.system_setting("auto_install").and_then(|setting| setting.truth());
    if flags.none || (!flags.all && !flags.only && is_on() == Some(false)) {
        return Ok(false);
    }
    let mut wanted: Vec<Installation> = Vec::new();
    for plugin in job.steps.iter().flat_map(Task::plugins) {
        let Some(one) = &plugin.installation else { continue };
        let lacks = if flags.all || flags.only {
            !one.is_up_to_date()
        } else {
            !plugin.executable.is_file()
        };
        if lacks && wanted.iter().all(|other| other.venv != one.venv) {
            wanted.push(one.clone());
        }
    }
    if wanted.is_empty() {
        return Ok(false);
    }
    let signals = Signals::note(project.warnings());
    let is_over = || signals.requested().is_some();
    let how = How { clean: false, force: false, parallel: 4, is_over: &is_over };
    let done = install::all(project, &wanted, &how, &|one| tell(project, one));
    ended(done, &signals).map(|()| true)
}

/// Tells how installations have ended.
fn ended(done: Vec<Installed>, signals: &Signals) -> Result<()> {
    if let Some(signal) = signals.requested() {
        return Err(Error::new(ErrorKind::Temporary, "the installation was asked to end")
            .with("signal", signal));
    }
    match done.into_iter().find_map(|one| one.failure) {
        None => Ok(()),
        Some(failure) if failure.has_hint() => Err(failure),
        Some(failure) => Err(failure.hint(
            "check `pip_url` of the plugin, the network and, for `git+`, whether git is installed",
        )),
    }
}

/// Tells of one that is over, while others are still being installed.
fn tell(project: &Project, one: &Installed) {
    if let Some(failure) = &one.failure {
        tracing::error!("{}: {}", one.folder, failure.message());
    } else if one.is_new {
        tracing::info!("installed {} in {:.1} s", one.folder, one.seconds);
    }
    if let Some(note) = &one.note {
        project.warnings().warn(project::warning!("W-PROJECT-UNUSED", "{}: {note}", one.folder));
    }
}

/// Returns the names of the plugins that the words, a kind or a schedule say; none for all.
fn named(project: &Project, args: &InstallArgs) -> Result<Vec<String>> {
    if let Some(name) = &args.schedule {
        return schedule_entry::plugins(project, name);
    }
    let kind: Vec<String> = args.plugin_type.iter().cloned().collect();
    let (role, names) = match without_kind(project, &args.plugins) {
        (None, names) => (without_kind(project, &kind).0, names),
        found => found,
    };
    let of_kind = |role| {
        let all = project.plugin_names_of(role).into_iter();
        all.filter(|name| Plugin::find(project, name).is_ok_and(|one| one.installation.is_some()))
    };
    Ok(match role {
        Some(role) if names.is_empty() => of_kind(role).collect(),
        _ => names.to_vec(),
    })
}

/// Returns what is to be installed, each environment once.
fn wanted(project: &Project, names: &[String]) -> Result<Vec<Installation>> {
    let all = if names.is_empty() { project.plugin_names() } else { names.to_vec() };
    let mut wanted: Vec<Installation> = Vec::new();
    for name in all {
        let plugin = Plugin::find(project, &name)?;
        match plugin.installation {
            Some(one) if wanted.iter().all(|other| other.venv != one.venv) => wanted.push(one),
            None if !names.is_empty() => {
                let message = "cannot install a plugin without `pip_url`";
                return Err(Error::new(ErrorKind::Config, message)
                    .with("plugin", &name)
                    .with("program", plugin.executable.display())
                    .hint("add `pip_url` to it, or put its program on the PATH"));
            }
            _ => {}
        }
    }
    Ok(wanted)
}
