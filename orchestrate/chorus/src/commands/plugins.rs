//! `chorus remove`, and the commands of Meltano that Chorus does without.

use project::{Project, Role, Source, names_in_tasks};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::commands::entry_path;

/// Takes away the kind that Meltano lets stand before names: `extractor tap-x`, `loaders`.
pub fn without_kind<'a>(project: &Project, names: &'a [String]) -> (Option<Role>, &'a [String]) {
    let Some((first, rest)) = names.split_first() else { return (None, names) };
    let mut roles = Role::ALL.into_iter();
    let role = roles.find(|role| [role.word(), role.key()].contains(&first.as_str()));
    if role.is_some() && project.plugin_group(first).is_none() {
        (role, rest)
    } else {
        (None, names)
    }
}

/// Removes plugins from the project; what is installed or written of them stays.
pub fn remove(project: &Project, names: &[String]) -> Result<()> {
    let names = match without_kind(project, names) {
        (Some(_), rest) if !rest.is_empty() => rest,
        _ => names,
    };
    let mut source = Source::open(&project.root)?;
    for name in names {
        if project.plugin_group(name).is_none() {
            let failure = Error::new(ErrorKind::Usage, "cannot find a plugin of this name")
                .with("plugin", name);
            let known = project.plugin_names();
            return Err(match project::names::nearest(name, &known) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(project::names::listed(&known)),
            });
        }
        source.remove(entry_path(project, name, None))?;
        for environment in project.environment_names() {
            source.remove(entry_path(project, name, Some(&environment)))?;
        }
    }
    source.write(project.warnings())?;
    for job in project.jobs() {
        let used = names_in_tasks(&job["tasks"]);
        if let Some(name) = names.iter().find(|name| used.contains(name)) {
            let job = job["name"].as_str().unwrap_or_default();
            project.warnings().warn(project::warning!(
                "W-PROJECT-UNUSED",
                "the job {job} still names {name}: `chorus job set {job} --tasks ...` changes it"
            ));
        }
    }
    for name in names {
        print(&format!("Removed '{name}' from the project\n"))?;
    }
    Ok(())
}

/// Refuses a command of Meltano that Chorus does without, and says what does its work.
pub fn refuse(command: &'static str) -> Result<()> {
    let hint = match command {
        "lock" => {
            "Chorus reads the lock files that are there, and its own plugins need none; \
             `meltano lock` writes them"
        }
        "compile" => "`chorus plan JOB --json` prints what a run would do, variables replaced",
        _ => {
            "`chorus config test TAP` runs a tap until its first record; `chorus check PLUGIN` \
              tests the Singer protocol"
        }
    };
    Err(Error::new(ErrorKind::Usage, "Chorus has no such command")
        .with("command", command)
        .hint(hint))
}
