//! Makes a step ready to run: files with the settings, the catalog and the state, and flags.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use project::capture::{self, Limits, last_words};
use project::warning;
use project::warnings::Warning;
use project::{Plugin, Program, Project, Role, Step, exit};
use serde_json::Value;
use singer::{Error, ErrorKind, Result, unreadable};

use crate::catalog_rules::{self, Told};
use crate::observe;
use crate::selection::{Selected, selected};
use crate::store;
use crate::work::WorkFolder;

/// The files of a plugin.
const SETTINGS: &str = "config.json";
const CATALOG: &str = "catalog.json";
const STATE: &str = "state.json";
/// Where the rights are that are lacking.
const GRANTS: &str = "`chorus doctor --grants` prints all that is lacking";

/// The programs of a step, each with a folder of its own; they go when this is dropped.
#[derive(Debug, Default)]
pub struct Prepared {
    /// In the order of the pipe.
    pub programs: Vec<Program>,
    /// Lines in which the tap has warned when it was asked for its catalog.
    pub warnings: Vec<String>,
    /// The streams that the tap is to read, where it is given.
    pub reads: Option<BTreeSet<String>>,
    folders: Vec<WorkFolder>,
}

impl Prepared {
    /// Names the files of the step by what they are: they are gone when somebody looks for them.
    pub fn named(&self, line: String) -> String {
        let places = self.folders.iter().zip(&self.programs);
        places.fold(line, |line, (folder, program)| named(folder, &program.name, line))
    }
}

/// Writes the files of a step and finds out what its tap is to read.
/// Ours among its plugins end at warnings of the codes that are denied.
pub(crate) fn prepare(project: &Project, step: &Step, given: Given<'_>) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    for plugin in &step.plugins {
        let folder = WorkFolder::new(project)?;
        let (program, facts) = program_of(project, plugin, &folder, given)?;
        prepared.programs.push(program);
        prepared.warnings.extend(facts.warnings);
        prepared.reads = prepared.reads.or(facts.reads);
        prepared.folders.push(folder);
    }
    Ok(prepared)
}

/// What a tap is given beside its settings.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// Its state.
    pub state: Option<&'a Value>,
    /// In place of what it discovers.
    pub catalog: Option<&'a Value>,
    /// Codes of warnings that it is to end at.
    pub deny: &'a [String],
    /// Tells whether its discovery is not waited for any more.
    pub is_over: &'a dyn Fn() -> bool,
}

/// Nothing.
pub(crate) const NONE: Given<'_> =
    Given { state: None, catalog: None, deny: &[], is_over: &|| false };

/// What was found out of a tap.
#[derive(Default)]
struct TapFacts {
    warnings: Vec<String>,
    reads: Option<BTreeSet<String>>,
}

/// Writes the files of a plugin and makes its command line.
fn program_of(
    project: &Project,
    plugin: &Plugin,
    folder: &WorkFolder,
    given: Given<'_>,
) -> Result<(Program, TapFacts)> {
    write_settings(folder, plugin)?;
    let mut arguments = vec!["--config".to_owned(), text(&folder.path().join(SETTINGS))];
    arguments.extend(denied(plugin, given.deny));
    let mut facts = TapFacts::default();
    if plugin.role == Role::Extractor {
        let (more, of_tap) = tap_arguments(project, plugin, folder, given)?;
        arguments.extend(more);
        facts = of_tap;
    }
    Ok((program(project, plugin, arguments), facts))
}

/// Returns the catalog that a tap would be run with, and what it has warned of.
pub fn catalog(project: &Project, plugin: &Plugin) -> Result<(Value, Vec<String>)> {
    let folder = WorkFolder::new(project)?;
    write_settings(&folder, plugin)?;
    let (mut catalog, lines) = given_catalog(project, plugin, &folder, NONE)?;
    let told = follow_rules(plugin, &mut catalog)?;
    let mut messages: Vec<String> =
        lines.iter().filter_map(|line| observe::warning(line)).map(str::to_owned).collect();
    let start = format!("{}: ", plugin.name);
    for warning in told {
        let text = warning.text.strip_prefix(&start).unwrap_or(&warning.text);
        messages.push(match warning.code {
            "W-SELECT-NOTHING" => text.to_owned(),
            code => format!("{code}: {text}"),
        });
        project.warnings().warn_once(warning);
    }
    Ok((catalog, messages))
}

/// Returns the flag for codes of warnings that are denied, for one of ours that knows it.
fn denied(plugin: &Plugin, codes: &[String]) -> Vec<String> {
    if codes.is_empty() || !plugin.denies_warnings() {
        return Vec::new();
    }
    vec!["--deny-warnings".to_owned(), codes.join(",")]
}

/// A plugin by itself, and the folder with its files; it goes when this is dropped.
#[derive(Debug)]
pub struct Alone {
    /// The program with its flags.
    pub program: Program,
    _folder: WorkFolder,
}

/// Makes a plugin ready to be run by itself; a tap, with a catalog that it was found to have.
pub fn alone(
    project: &Project,
    plugin: &Plugin,
    state: Option<&Value>,
    catalog: Option<&Value>,
) -> Result<Alone> {
    let folder = WorkFolder::new(project)?;
    let given = Given { state, catalog, ..NONE };
    let (program, _) = program_of(project, plugin, &folder, given)?;
    Ok(Alone { program, _folder: folder })
}

/// Makes a plugin ready that is given its settings and nothing else.
pub fn configured(project: &Project, plugin: &Plugin) -> Result<Alone> {
    let folder = WorkFolder::new(project)?;
    write_settings(&folder, plugin)?;
    let arguments = vec!["--config".to_owned(), text(&folder.path().join(SETTINGS))];
    Ok(Alone { program: program(project, plugin, arguments), _folder: folder })
}

/// What a tap receives beside its settings: its catalog, and the state that it starts from.
fn tap_arguments(
    project: &Project,
    plugin: &Plugin,
    folder: &WorkFolder,
    given: Given<'_>,
) -> Result<(Vec<String>, TapFacts)> {
    let mut arguments = Vec::new();
    let mut facts = TapFacts::default();
    let flag = if plugin.declares("properties") && !plugin.declares("catalog") {
        "--properties"
    } else {
        "--catalog"
    };
    if given.catalog.is_some() || needs_catalog(plugin) {
        let catalog = if let Some(catalog) = given.catalog {
            catalog.clone()
        } else {
            match selected_catalog(project, plugin, folder, given) {
                Ok((catalog, warnings)) => {
                    facts.warnings = warnings;
                    catalog
                }
                Err(failure) if is_bare(project, plugin, &failure) => {
                    return Ok((arguments, facts));
                }
                Err(failure) => return Err(failure),
            }
        };
        facts.reads = Some(names_selected(&catalog));
        let path = folder.path().join(CATALOG);
        write_json(&path, &catalog)?;
        arguments.extend([flag.to_owned(), text(&path)]);
    }
    if let Some(state) = given.state.filter(|_| plugin.can("state")) {
        let path = folder.path().join(STATE);
        write_json(&path, state)?;
        arguments.extend(["--state".to_owned(), text(&path)]);
    }
    Ok((arguments, facts))
}

/// Returns the names of the selected streams of a catalog, as bookmarks may have them.
pub fn names_selected(catalog: &Value) -> BTreeSet<String> {
    let names = |stream: &Selected<'_>| {
        let ids = [&stream.entry["tap_stream_id"], &stream.entry["stream"]];
        ids.map(|id| id.as_str().map(str::to_owned))
    };
    selected(catalog).iter().flat_map(names).flatten().collect()
}

/// Ours read everything when they are given no catalog; others may read nothing.
fn needs_catalog(plugin: &Plugin) -> bool {
    let reads_one = plugin.can("catalog") || plugin.can("properties");
    let leaves_it = plugin.is_ours() && plugin.rules.leave_catalog() && plugin.declares("about");
    reads_one && !leaves_it
}

/// Tells whether a tap is run as Meltano runs it: with its settings alone, because its entry does
/// not say what it can, and it does not answer when it is asked for its streams.
fn is_bare(project: &Project, plugin: &Plugin, failure: &Error) -> bool {
    let is_unknown = plugin.capabilities.is_empty() && !plugin.is_ours();
    let may_be = is_unknown && plugin.rules.leave_catalog() && failure.context("exit").is_some();
    if !may_be || failure.kind() == ErrorKind::Temporary {
        return false;
    }
    project.warnings().warn_once(warning!(
        "W-NO-CAPABILITIES",
        "{} does not answer `--discover`, and its entry has no `capabilities`: it is run with its \
         settings alone, without a catalog and a state. If it can more, add `capabilities`",
        plugin.name
    ));
    true
}

/// Returns the catalog of a tap with the project's rules applied.
fn selected_catalog(
    project: &Project,
    plugin: &Plugin,
    folder: &WorkFolder,
    given: Given<'_>,
) -> Result<(Value, Vec<String>)> {
    let (mut catalog, warnings) = given_catalog(project, plugin, folder, given)?;
    for warning in follow_rules(plugin, &mut catalog)? {
        project.warnings().warn_once(warning);
    }
    Ok((catalog, warnings))
}

/// Applies the project's rules to a catalog; returns what there is to tell of them.
fn follow_rules(plugin: &Plugin, catalog: &mut Value) -> Result<Vec<Warning>> {
    // Ours without rules is run without a catalog, and selects streams itself, such as `tables` of
    // its settings.
    let told = if plugin.is_ours() && !needs_catalog(plugin) {
        Told { unreadable: catalog_rules::unreadable(catalog), ..Told::default() }
    } else {
        catalog_rules::apply(catalog, &plugin.rules)
            .map_err(|failure| failure.with("plugin", &plugin.name))?
    };
    let name = &plugin.name;
    let mut all: Vec<Warning> =
        told.unmatched.iter().map(|text| warning!("W-SELECT-NOTHING", "{name}: {text}")).collect();
    if let Some(text) = unreadable::of_streams(&told.unreadable) {
        all.push(warning!("W-TABLE-NOT-READABLE", "{name}: {text}; {GRANTS}"));
    }
    for text in unreadable::of_columns(&told.unreadable) {
        all.push(warning!("W-COLUMN-NOT-READABLE", "{name}: {text}"));
    }
    Ok(all)
}

/// Returns the catalog that the project names, or else what the tap discovers.
fn given_catalog(
    project: &Project,
    plugin: &Plugin,
    folder: &WorkFolder,
    given: Given<'_>,
) -> Result<(Value, Vec<String>)> {
    if let Some(path) = &plugin.rules.catalog {
        let path = project.root.join(path);
        let text = std::fs::read(&path).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog")
                .with("plugin", &plugin.name)
                .with("path", path.display())
                .caused_by(cause)
        })?;
        let catalog = serde_json::from_slice(&text).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog as JSON")
                .with("path", path.display())
                .caused_by(cause)
        })?;
        return Ok((catalog, Vec::new()));
    }
    discover(project, plugin, folder, given)
}

/// Asks a tap for its catalog.
fn discover(
    project: &Project,
    plugin: &Plugin,
    folder: &WorkFolder,
    given: Given<'_>,
) -> Result<(Value, Vec<String>)> {
    let settings = text(&folder.path().join(SETTINGS));
    let mut arguments = vec!["--config".to_owned(), settings, "--discover".to_owned()];
    arguments.extend(denied(plugin, given.deny));
    let mut program = program(project, plugin, arguments);
    if plugin.is_ours() {
        program.variables.push((unreadable::VARIABLE.to_owned(), "1".to_owned()));
    }
    let limits = Limits { is_over: given.is_over, ..discovery_limits(project) };
    let output = capture::output(&program, program.command(), &limits)?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let kind = exit::kind(output.status);
        let failure = Error::new(kind, "cannot discover the streams of the tap")
            .with("plugin", &plugin.name)
            .with("exit", exit::words(output.status));
        let log = named(folder, &plugin.name, log.into_owned());
        let add = |failure: Error, line: Cow<'_, str>| failure.with(&plugin.name, line);
        return Err(plugin.placed(project, last_words(&log).into_iter().fold(failure, add)));
    }
    let catalog = serde_json::from_slice(&output.stdout).map_err(|cause| {
        Error::new(ErrorKind::Protocol, "cannot read the catalog that the tap discovered")
            .with("plugin", &plugin.name)
            .caused_by(cause)
    })?;
    Ok((catalog, log.lines().filter(|line| observe::warns(line)).map(str::to_owned).collect()))
}

/// A catalog of five thousand tables has some ten megabytes; a tap of another author may take a
/// second for each of them.
fn discovery_limits(project: &Project) -> Limits<'static> {
    let seconds = project.own_number("discovery_seconds");
    let time = Duration::from_secs(seconds.unwrap_or(3600));
    Limits { bytes: 256 << 20, time, ..Limits::WORDS }
}

/// How often our plugins say what they have counted, in seconds, and that they do so whatever the
/// level of their log is: rows are counted by that, and whether a step may be tried again.
const METRICS: [(&str, &str); 2] =
    [("METRICS_INTERVAL_SECONDS", "1"), ("METRICS_AT_EVERY_LEVEL", "1")];

/// Makes the program of a plugin.
pub fn program(project: &Project, plugin: &Plugin, arguments: Vec<String>) -> Program {
    let pairs = plugin.environment.given.iter().map(|(name, value)| (name.clone(), value.clone()));
    // Progress is shown from what the plugins count.
    let metrics = METRICS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let pairs = metrics.into_iter().chain(pairs);
    Program {
        name: plugin.name.clone(),
        executable: plugin.executable.clone(),
        arguments,
        variables: pairs.collect(),
        folder: project.root.clone(),
    }
}

/// Puts names in place of the paths of files that are made for a run and go with it.
fn named(folder: &WorkFolder, plugin: &str, line: String) -> String {
    let folder = text(folder.path());
    if !line.contains(&folder) {
        return line;
    }
    let names = [(SETTINGS, "settings"), (CATALOG, "catalog"), (STATE, "state")];
    names.into_iter().fold(line, |line, (name, what)| {
        line.replace(&format!("{folder}/{name}"), &format!("the {what} of {plugin}"))
    })
}

fn write_settings(folder: &WorkFolder, plugin: &Plugin) -> Result<()> {
    write_json(&folder.path().join(SETTINGS), &Value::Object(plugin.config.clone()))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    store::write_private(path, value.to_string().as_bytes())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
