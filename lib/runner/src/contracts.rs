//! The contracts of a project: where they are, of which taps, and new ones from a discovery.

use std::path::{Path, PathBuf};

use mapping::contract::{Draft, DraftStream};
use project::capture;
use project::{Job, Plugin, Project, Role, Step};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::lake_paths;
use crate::plugin_plan::{schemas, silent};
use crate::prepare;
use crate::store;

/// The folder of the contracts of a project.
pub const FOLDER: &str = "contracts";
/// How their names end.
const ENDING: &str = ".odcs.yaml";
/// The settings that hold a stream to its contract, beside `contracts`.
const SETTINGS: [&str; 7] = [
    "protect_key",
    "strict",
    "extra_columns",
    "missing_columns",
    "columns_change",
    "require_classification",
    "row_hash",
];

/// A tap that reads a source, and what its streams go through.
#[derive(Clone, Debug)]
pub struct Source {
    /// The tap.
    pub tap: Plugin,
    /// The mappers behind it.
    pub mappers: Vec<Plugin>,
    /// The step that it belongs to, unless it was named by itself.
    pub step: Option<Step>,
}

impl Source {
    /// Finds the taps of a job that read sources, and not days; or one tap by its name.
    ///
    /// # Errors
    /// `Config` where there is none.
    pub fn all_of(project: &Project, words: &[String]) -> Result<Vec<Self>> {
        if let [word] = words
            && project.plugin_names_of(Role::Extractor).contains(word)
            && !project.job_names().contains(word)
        {
            let tap = Plugin::find(project, word)?;
            return Ok(vec![Self { tap, mappers: Vec::new(), step: None }]);
        }
        let job = Job::find(project, words)?;
        let mut found: Vec<Self> = Vec::new();
        for step in job.pipelines().filter(|step| !lake_paths::reads_day(step.tap())) {
            let tap = step.tap().clone();
            if found.iter().any(|known| known.tap.name == tap.name) {
                continue;
            }
            let mappers = step.plugins[1..step.plugins.len() - 1].to_vec();
            found.push(Self { tap, mappers, step: Some(step.clone()) });
        }
        if found.is_empty() {
            return Err(Error::new(ErrorKind::Config, "cannot find a tap that reads a source")
                .with("job", &job.name)
                .hint("name a job whose first tap reads a database, files or an API"));
        }
        Ok(found)
    }

    /// Returns the path of the contract that has the name of the tap.
    pub fn path(&self, project: &Project) -> PathBuf {
        let name = disk::name::encode(&self.tap.name);
        project.root.join(FOLDER).join(format!("{name}{ENDING}"))
    }

    /// Returns the files or folders with contracts that plugins of the step name.
    pub fn configured(&self, project: &Project) -> Vec<PathBuf> {
        let named = self.held().and_then(|plugin| plugin.config.get("contracts"));
        let named = named.and_then(Value::as_array).into_iter().flatten();
        named.filter_map(Value::as_str).map(|path| project.root.join(path)).collect()
    }

    /// Returns the plugin of the step whose settings name contracts.
    fn held(&self) -> Option<&Plugin> {
        let target = self.step.as_ref().map(Step::target);
        let mut all = self.mappers.iter().rev().chain([&self.tap]).chain(target);
        all.find(|plugin| {
            plugin.config.get("contracts").and_then(Value::as_array).is_some_and(|c| !c.is_empty())
        })
    }

    /// Returns the settings by which the step holds its streams to contracts, without the paths.
    pub(crate) fn terms(&self) -> serde_json::Map<String, Value> {
        let config = self.held().map(|plugin| &plugin.config);
        let set = |name: &&str| Some(((*name).to_owned(), config?.get(*name)?.clone()));
        SETTINGS.iter().filter_map(set).collect()
    }

    /// Returns the tap and the mappers, none of which holds its streams to a contract.
    pub(crate) fn unheld(&self) -> Vec<Plugin> {
        let free = |plugin: &Plugin| {
            let mut plugin = plugin.clone();
            for name in SETTINGS.iter().chain(&["contracts", "on_violation"]) {
                plugin.config.remove(*name);
            }
            plugin
        };
        [&self.tap].into_iter().chain(&self.mappers).map(free).collect()
    }

    /// Returns the streams, as the mappers write them, and what the tap has warned of.
    ///
    /// # Errors
    /// The tap cannot be discovered, or a mapper refuses a stream.
    pub fn streams(&self, project: &Project) -> Result<(Vec<DraftStream>, Vec<String>)> {
        let (catalog, warnings) = prepare::catalog(project, &self.tap)?;
        let mut messages = schemas(&catalog);
        for mapper in self.unheld().iter().skip(1) {
            if messages.is_empty() {
                break;
            }
            let alone = prepare::alone(project, mapper, None, None)?;
            let captured = capture::run(&alone.program, &messages)?;
            match captured.failed {
                Some(kind) => return Err(silent(mapper, kind, &captured)),
                None => messages = captured.output,
            }
        }
        Ok((described(&messages), warnings))
    }
}

/// Describes the streams of SCHEMA messages.
pub(crate) fn described(messages: &str) -> Vec<DraftStream> {
    let mut streams: Vec<DraftStream> = Vec::new();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(name), Some(schema)) =
            (message["stream"].as_str(), message["schema"].as_object())
        else {
            continue;
        };
        let keys = message["key_properties"].as_array().into_iter().flatten();
        let keys: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let all: Vec<&str> = properties.map(|(name, _)| name.as_str()).collect();
        streams.retain(|known| known.name != name);
        streams.push(DraftStream::of(name, schema, &keys, &all));
    }
    streams
}

/// Writes a new contract.
///
/// # Errors
/// `Config` where there is a file: it is never overwritten.
pub fn write_new(path: &Path, draft: &Draft) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|cause| disk::failure("cannot make the folder", folder, cause))?;
    }
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let mut new = disk::NewFile::among_others(path, 0o666)?;
    new.write(draft.text().as_bytes())?;
    new.place()
}

/// Makes the failure of a contract that would be overwritten.
pub fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::Config, "cannot overwrite a contract").with("path", path.display()).hint(
        "edit the file; or move it away, write a new one, and compare them: \
               chorus contract diff OLD NEW",
    )
}

/// Returns the contracts of the folder of the project.
pub fn in_folder(project: &Project) -> Result<Vec<PathBuf>> {
    let mut paths = store::entries(&project.root.join(FOLDER))?;
    paths.retain(|path| path.to_string_lossy().ends_with(ENDING));
    Ok(paths)
}
