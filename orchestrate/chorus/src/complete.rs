//! What a shell completes: commands and flags, and the names of jobs, plugins, states, schedules
//! and runs that the project has.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use clap_complete::{CompleteEnv, Generator, Shell};
use project::plugin::listing::Listing;
use project::{Context, Opening, Project, Role, Warnings};
use runner::history::History;
use runner::state_stores::States;
use singer::man::File;
use singer::{ErrorKind, Result, ResultExt};

/// The variable by which the scripts of shells ask `chorus` to complete a line.
const VARIABLE: &str = "CHORUS_COMPLETE";
/// So many of the last runs are offered.
const RUNS_MAX: usize = 20;

/// Answers a shell that completes a line; `false` when no shell asks.
///
/// # Errors
/// For a shell that is not known.
pub fn answer(definition: fn() -> Command) -> clap::error::Result<bool> {
    let folder = env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| fit(definition())).var(VARIABLE);
    asked.try_complete(env::args_os(), folder.as_deref())
}

/// Returns the definition, whose flags are offered only where they are typed, or nothing else is
/// there to offer.
fn fit(definition: Command) -> Command {
    let (_, word) = split_words();
    if word.starts_with('-') { definition } else { without_flags(definition) }
}

fn without_flags(command: Command) -> Command {
    let command = command.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) });
    command.mut_subcommands(without_flags)
}

/// Returns the script that has a shell ask `chorus` at each TAB.
///
/// # Errors
/// None that can be expected: it is written to memory.
pub fn script(shell: Shell) -> Result<File> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Elvish => &Elvish,
        _ => &Bash,
    };
    let mut text = Vec::new();
    let written = completer.write_registration(VARIABLE, "chorus", "chorus", "chorus", &mut text);
    written.or_kind(ErrorKind::Internal, "cannot write the completions")?;
    let mut text = String::from_utf8_lossy(&text).trim_start().to_owned();
    if shell == Shell::Zsh {
        // Zsh runs a file of its `fpath` at the first TAB, and expects it to complete.
        text += "if [ \"$funcstack[1]\" = _chorus ]; then\n    \
                 _clap_dynamic_completer_chorus \"$@\"\nfi\n";
    }
    Ok(File { name: shell.file_name("chorus"), text })
}

/// Offers jobs, and plugins in the order of a pipeline: a tap first, then mappers and targets.
pub fn pipelines() -> ArgValueCandidates {
    offer(|project| {
        let (typed, _) = split_words();
        let has_typed = |names: &[String]| names.iter().any(|name| typed.contains(name));
        let of = |role| project.plugin_names_of(role);
        let [taps, mappers, targets] = [Role::Extractor, Role::Mapper, Role::Loader].map(of);
        let jobs = project.job_names();
        if has_typed(&taps) || has_typed(&mappers) {
            return [named(mappers, "mapper"), named(targets, "target")].concat();
        }
        let jobs_typed = has_typed(&jobs);
        let jobs = named(jobs, "job");
        let commands = named(project.command_names(), "command");
        if jobs_typed { jobs } else { [jobs, named(taps, "tap"), commands].concat() }
    })
}

/// Offers jobs.
pub fn jobs() -> ArgValueCandidates {
    offer(|project| named(project.job_names(), "job"))
}

/// Offers taps and targets.
pub fn plugins() -> ArgValueCandidates {
    offer(|project| {
        let of = |role| project.plugin_names_of(role);
        [named(of(Role::Extractor), "tap"), named(of(Role::Loader), "target")].concat()
    })
}

/// Offers taps.
pub fn taps() -> ArgValueCandidates {
    offer(|project| named(project.plugin_names_of(Role::Extractor), "tap"))
}

/// Offers targets.
pub fn targets() -> ArgValueCandidates {
    offer(|project| named(project.plugin_names_of(Role::Loader), "target"))
}

/// Offers the settings of the plugin that the line names.
pub fn settings() -> ArgValueCandidates {
    offer(|project| {
        let (words, _) = split_words();
        let plugins = project.plugin_names();
        let Some(at) = words.iter().position(|word| plugins.contains(word)) else {
            return Vec::new();
        };
        // Behind the name of a setting stands its value.
        if words[at + 1..].iter().any(|word| !word.starts_with('-')) {
            return Vec::new();
        }
        let listing = Listing::of(project, &words[at]).ok();
        let settings = listing.into_iter().flat_map(|listing| listing.settings);
        settings.map(|one| (one.name, one.kind.unwrap_or_else(|| "string".to_owned()))).collect()
    })
}

/// Offers the connectors that lie beside this program.
pub fn connectors() -> ArgValueCandidates {
    offer(|project| {
        let own = env::current_exe().ok();
        let folder = own.and_then(|own| fs::read_dir(own.parent()?).ok());
        let files = folder.into_iter().flatten().filter_map(|entry| {
            let entry = entry.ok().filter(|entry| entry.path().is_file())?;
            entry.file_name().into_string().ok()
        });
        let is_connector = |name: &String| {
            ["tap-", "target-", "map-"].iter().any(|start| name.starts_with(start))
                && !name.contains('.')
                && project.plugin_group(name).is_none()
        };
        let mut names: Vec<String> = files.filter(is_connector).collect();
        names.sort();
        named(names, "connector")
    })
}

/// Offers plugins.
pub fn all_plugins() -> ArgValueCandidates {
    offer(|project| named(project.plugin_names(), "plugin"))
}

/// Offers plugins and their commands.
pub fn invoked() -> ArgValueCandidates {
    offer(|project| {
        let plugins = named(project.plugin_names(), "plugin");
        [named(project.command_names(), "command"), plugins].concat()
    })
}

/// Offers schedules.
pub fn schedules() -> ArgValueCandidates {
    offer(|project| {
        let names = project.schedules().iter().filter_map(|entry| entry["name"].as_str());
        named(names.map(str::to_owned).collect(), "schedule")
    })
}

/// Offers the environments of the project.
pub fn environments() -> ArgValueCandidates {
    offer(|project| named(project.environment_names(), "environment"))
}

/// Offers the ids of states.
pub fn states() -> ArgValueCandidates {
    offer(|project| named(state_ids(project), "state"))
}

/// Returns the ids of states; a server is not asked for them at each TAB.
fn state_ids(project: &Project) -> Vec<String> {
    let database = project.system_setting("database_uri");
    if database.is_some_and(|setting| !setting.value.starts_with("sqlite:")) {
        return Vec::new();
    }
    States::open(project).and_then(|states| states.state_ids()).unwrap_or_default()
}

/// Offers the last runs, the latest first.
pub fn runs() -> ArgValueCandidates {
    offer(|project| {
        let mut offered = vec![("last".to_owned(), "the last run".to_owned())];
        let Ok(history) = History::read(project) else { return offered };
        for run in history.all().iter().rev().take(RUNS_MAX) {
            let record = &run.record;
            let what = format!("{} ({})", record.words.join(" "), record.status.word());
            offered.push((record.run.clone(), what));
        }
        offered
    })
}

/// Offers the words that stand for a day.
pub fn days() -> ArgValueCandidates {
    ArgValueCandidates::new(|| vec!["today".into(), "yesterday".into()])
}

/// A name, and what it names.
type Offered = (String, String);

fn named(names: Vec<String>, what: &str) -> Vec<Offered> {
    names.into_iter().map(|name| (name, what.to_owned())).collect()
}

/// Offers names of the project; none where it cannot be read.
fn offer(names: fn(&Project) -> Vec<Offered>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let offered = project().map(|project| names(&project)).unwrap_or_default();
        let candidates = offered.into_iter().enumerate().map(|(at, (name, what))| {
            CompletionCandidate::new(name).help(Some(what.into())).display_order(Some(at))
        });
        candidates.collect()
    })
}

/// Opens the project that the line names, and prints no warning.
fn project() -> Option<Project> {
    let (words, _) = split_words();
    let value_of = |flags: &[&str]| {
        words.iter().enumerate().find_map(|(at, word)| {
            let next = || words.get(at + 1).cloned();
            flags.iter().find_map(|flag| {
                let rest = word.strip_prefix(flag)?;
                if rest.is_empty() { next() } else { rest.strip_prefix('=').map(str::to_owned) }
            })
        })
    };
    let folder = value_of(&["--project", "--cwd"]).map_or(PathBuf::from("."), PathBuf::from);
    let environment = value_of(&["--environment", "-e"]);
    let context = Arc::new(Context::new(Warnings::new(|_| {})));
    let opening =
        |environment| Opening { folder: &folder, environment, variables: &[], context: &context };
    Project::open(&opening(environment.as_deref())).ok()
}

/// Returns the words of the line that is completed but the one at the cursor, and that one.
fn split_words() -> (Vec<String>, String) {
    let mut words: Vec<String> = env::args().skip_while(|word| word != "--").skip(1).collect();
    let index = env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let index = index.unwrap_or(words.len().saturating_sub(1));
    let word = if index < words.len() { words.remove(index) } else { String::new() };
    (words, word)
}
