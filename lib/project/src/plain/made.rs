//! The project that the plain shape means.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::given::{Given, has_variable};
use super::model::{Plain, PlainSource, SourceKind};
use crate::edit::whole;

/// What a project is made for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The path of the contract, from the folder of the project.
    pub contract: &'a str,
    /// The folder of the days, from the folder of the project.
    pub lake: &'a str,
    /// The folder at which relative paths of the file start, from the folder of the project, where
    /// it is another one.
    pub base: Option<&'a Path>,
}

impl Purpose<'_> {
    /// Returns a path of the file as the project needs it.
    fn path(&self, text: &str) -> String {
        let Some(base) = self.base.filter(|_| !text.starts_with(['/', '~', '$'])) else {
            return text.to_owned();
        };
        let is_named = |part: &Component<'_>| *part != Component::CurDir;
        let path: PathBuf = base.join(text).components().filter(is_named).collect();
        let end = if text.ends_with('/') { "/" } else { "" };
        format!("{}{end}", path.display())
    }
}

/// A project made of the plain shape.
#[derive(Clone, Debug)]
pub struct Made {
    /// What `meltano.yml` says.
    pub file: Value,
    /// The contract, for the path that was named.
    pub contract: Option<Value>,
    /// Secrets that stood in the file, by the names of the variables that have their place.
    pub secrets: Vec<(String, String)>,
    /// How many of the first steps of the job write days of the sources.
    pub extracts: usize,
}

impl Made {
    /// Returns the text of a value as YAML.
    pub fn yaml(value: &Value) -> String {
        whole(value)
    }
}

impl Plain {
    /// Returns the name of the stream of all sources.
    pub(super) fn stream(&self) -> String {
        self.table().map_or_else(|| self.name.clone(), |(_, table)| table.to_owned())
    }

    /// Returns schema and name of the table.
    fn table(&self) -> Option<(&str, &str)> {
        let table = self.target.as_ref()?.text("table")?;
        Some(table.split_once('.').unwrap_or(("public", table)))
    }

    /// Makes the project.
    pub fn made(&self, purpose: Purpose<'_>) -> Made {
        let mut secrets = Vec::new();
        let (mut extractors, mut loaders, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for source in &self.sources {
            let tap = format!("tap-{}--{}", source.name, self.name);
            let lake = format!("target-{}--{}", source.name, self.name);
            let (program, mut config) = self.tap(source, &mut secrets);
            rebase(&mut config, purpose);
            extractors.push(plugin(&tap, program, config));
            let day =
                json!({ "output_path": purpose.lake, "source": source.name, "datestamp": DAY });
            loaders.push(plugin(&lake, "target-csv", day));
            tasks.push(format!("{tap} {lake}"));
        }
        let extracts = tasks.len();
        let reader = format!("tap-lake--{}", self.name);
        let united = if self.combine { json!({ "united": true }) } else { json!({}) };
        let mut config = json!({ "output": purpose.lake, "datestamp": DAY });
        merge(&mut config, united);
        extractors.push(plugin(&reader, "tap-lake", config));
        let mut mappings = Vec::new();
        if let Some(target) = &self.target {
            let (rows, table) =
                (format!("rows--{}", self.name), format!("target-postgres--{}", self.name));
            mappings.push(json!({ "name": rows, "config": self.mapping(purpose.contract, true) }));
            loaders.push(plugin(&table, "target-postgres", self.loader(target, &mut secrets)));
            tasks.push(format!("{reader} {rows} {table}"));
        }
        if let Some(path) = &self.output_csv_path {
            let (rows, file) =
                (format!("file-rows--{}", self.name), format!("target-file--{}", self.name));
            mappings.push(json!({ "name": rows, "config": self.mapping(purpose.contract, false) }));
            loaders.push(plugin(&file, "target-csv", to_file(&purpose.path(path))));
            tasks.push(format!("{reader} {rows} {file}"));
        }
        let mapper = format!("map-streams--{}", self.name);
        let mappers = json!([{
            "name": mapper, "namespace": variable(&mapper), "executable": "map-streams",
            "mappings": mappings,
        }]);
        let file = json!({
            "send_anonymous_usage_stats": false,
            "plugins": { "extractors": extractors, "mappers": mappers, "loaders": loaders },
            "jobs": [{ "name": self.name, "tasks": tasks }],
            "schedules": [self.schedule(purpose)],
        });
        Made { file, contract: self.contract(), secrets, extracts }
    }

    /// Returns the program that reads a source, and its settings.
    fn tap(&self, source: &PlainSource, secrets: &mut Secrets) -> (&'static str, Value) {
        let given = &source.given;
        let part = format!("{}_{}", self.name, source.name);
        let mut get = |name: &str| passed(given, name, &part, secrets);
        match source.kind {
            SourceKind::Local => {
                let mut entry = json!({ "entity": source.name, "allow_empty_files": true });
                for name in ["path"].iter().chain(OF_FILES) {
                    put(&mut entry, name, get(name));
                }
                if self.combine {
                    entry["each_file"] = true.into();
                }
                ("tap-csv", json!({ "files": [entry], "whole_tables": true }))
            }
            SourceKind::Api => {
                let mut stream = json!({ "name": source.name, "path": "" });
                put(&mut stream, "records_path", get("records_path"));
                let folder = get("folder_param");
                put(&mut stream, "params", folder.map(|folder| json!({ "path": folder })));
                let mut config = json!({ "max_attempts": TRIES });
                put(&mut config, "api_url", get("url"));
                let token = get("auth_token").and_then(|token| token.as_str().map(str::to_owned));
                let token = token.map(|token| match given.text("scheme") {
                    Some(scheme) => json!({ "Authorization": format!("{scheme} {token}") }),
                    None => json!({ "Authorization": token }),
                });
                put(&mut config, "headers", token);
                config["streams"] = json!([stream]);
                ("tap-api", config)
            }
            SourceKind::Sftp => {
                let mut config = json!({ "add_metadata_columns": false, "whole_tables": true });
                for name in [
                    "host",
                    "port",
                    "username",
                    "password",
                    "private_key_file",
                    "private_key_passphrase",
                    "known_hosts_file",
                    "host_key_fingerprint",
                    "stability_seconds",
                ] {
                    put(&mut config, name, get(name));
                }
                let mut table = json!({ "table_name": source.name, "allow_empty_files": true });
                for name in ["remote_path"].iter().chain(OF_FILES) {
                    put(&mut table, name, get(name));
                }
                config["tables"] = json!([table]);
                ("tap-sftp", config)
            }
        }
    }

    /// Returns the settings of the mapper; `with_key` adds the key of a table.
    fn mapping(&self, contract: &str, with_key: bool) -> Value {
        let mut config = Map::new();
        let mut put = |name: &str, value: Value| config.insert(name.to_owned(), value);
        if self.combine {
            let column = &self.source_column;
            put(
                "combine",
                json!({ "name": self.stream(), "source_column": column, "names": "lower" }),
            );
        }
        if !self.columns.is_empty() {
            put("contracts", json!([contract]));
            put("strict", self.strict.into());
            let violation = self.on_violation.as_deref().unwrap_or("fail");
            put("on_violation", if self.strict { violation.into() } else { "keep".into() });
            if !self.strict {
                put("missing_columns", "null".into());
            }
            if violation == "reject" {
                put("max_rejects", REJECTS_MAX.into());
                put("rejects_file", format!("rejects-{}.jsonl", self.name).into());
            }
        }
        if with_key {
            // A later file may make a column wider: the keys of its rows stay.
            let mut hash = json!({
                "columns": "all", "count_duplicates": self.duplicates(), "values": "written",
            });
            if self.combine {
                hash["except"] = json!([self.source_column]);
                hash["count_by"] = self.source_column.as_str().into();
            }
            put("row_hash", hash);
        }
        config.into()
    }

    fn loader(&self, target: &Given, secrets: &mut Secrets) -> Value {
        let part = format!("{}_target", self.name);
        let mut config = json!({ "load_method": "upsert", "add_record_metadata": false });
        for name in ["host", "port", "user", "password", "database", "sslmode"] {
            put(&mut config, name, passed(target, name, &part, secrets));
        }
        let (schema, table) = self.table().unwrap_or(("public", "rows"));
        config["default_target_schema"] = escaped(schema).into();
        let named = |source: &PlainSource| {
            let name = format!("{table}_{}", source.name);
            (source.name.clone(), Value::from(escaped(&name)))
        };
        config["table_names"] = if self.combine {
            json!({ table: escaped(table) })
        } else {
            self.sources.iter().map(named).collect::<Map<_, _>>().into()
        };
        // Without a schema, a later file decides what fits.
        if self.columns.is_empty() {
            config["on_type_change"] = "widen".into();
        }
        config
    }

    /// Returns the schedule: each day, or when files change.
    fn schedule(&self, purpose: Purpose<'_>) -> Value {
        let mut own = Map::new();
        let mut put = |name: &str, value: Value| own.insert(name.to_owned(), value);
        if let Some((_, zone)) = &self.times.zone {
            put("timezone", zone.as_str().into());
        }
        if let Some((_, text)) = &self.times.start {
            put("start_time", text.as_str().into());
        }
        if let Some((_, text)) = &self.times.end {
            put("end_time", text.as_str().into());
        }
        if let Some(monitor) = &self.monitor {
            let paths = self.sources.iter().filter_map(PlainSource::local_path);
            put("watch", paths.map(|path| watched(&purpose.path(path))).collect::<Vec<_>>().into());
            put("watch_seconds", monitor.interval.as_secs().max(1).into());
        }
        let interval = if self.monitor.is_some() { "@manual" } else { "@daily" };
        let mut schedule = json!({ "name": self.name, "interval": interval, "job": self.name });
        if !own.is_empty() {
            schedule["annotations"] = json!({ "chorus": own });
        }
        schedule
    }
}

/// Keys of sources that say how files are written.
const OF_FILES: &[&str] = &[
    "format",
    "delimiter",
    "encoding",
    "header",
    "rename_headers",
    "skip_rows",
    "infer_types",
    "types",
];
/// Settings that are numbers.
const COUNTS: [&str; 2] = ["port", "stability_seconds"];
/// The variable with the day of a run.
const DAY: &str = "${DATESTAMP}";
/// How often a request is tried.
const TRIES: u64 = 3;
/// How many rows `on_violation: reject` sets aside, at most.
const REJECTS_MAX: u64 = 1_000_000;

type Secrets = Vec<(String, String)>;

fn plugin(name: &str, program: &str, config: Value) -> Value {
    let mut entry = json!({ "name": name, "namespace": variable(name), "executable": program });
    let secret = ["password", "headers", "private_key_passphrase"];
    let settings: Vec<Value> = config
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let kind = match value {
                // It may be a variable.
                _ if COUNTS.contains(&name.as_str()) => "integer",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                _ => "string",
            };
            let mut setting = json!({ "name": name, "kind": kind });
            if secret.contains(&name.as_str()) {
                setting["sensitive"] = true.into();
            }
            setting
        })
        .collect();
    entry["settings"] = settings.into();
    entry["config"] = config;
    entry
}

/// Returns the name of a variable.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Returns a value for the project: a secret that stands in the file becomes a variable.
fn passed(given: &Given, name: &str, part: &str, secrets: &mut Secrets) -> Option<Value> {
    let one = given.get(name)?;
    let Some(text) = one.value.as_str() else { return Some(one.value.clone()) };
    if !one.is_literal_secret() {
        return Some(escaped(text).into());
    }
    let variable = variable(&format!("{part}_{name}")).to_uppercase();
    let reference = format!("${{{variable}}}");
    secrets.push((variable, text.to_owned()));
    Some(reference.into())
}

/// Escapes what would be a variable for Meltano, and is none here: `$NAME`.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        if c == '$' && !has_variable(&text[at..]) && rest.starts_with(|c: char| c != '{') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn put(to: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        to[name] = value;
    }
}

fn merge(to: &mut Value, from: Value) {
    if let (Value::Object(to), Value::Object(from)) = (to, from) {
        to.extend(from);
    }
}

/// Makes the local paths among settings start where the file starts them.
fn rebase(config: &mut Value, purpose: Purpose<'_>) {
    let Value::Object(members) = config else { return };
    for (name, value) in members {
        match value {
            Value::String(text)
                if matches!(name.as_str(), "path" | "private_key_file" | "known_hosts_file") =>
            {
                *text = purpose.path(text);
            }
            Value::Array(items) if name == "files" => {
                for item in items {
                    rebase(item, purpose);
                }
            }
            _ => {}
        }
    }
}

/// Returns the settings of a target that writes one file.
fn to_file(path: &str) -> Value {
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or(".".into(), |folder| folder.to_string_lossy());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    json!({ "output_path": escaped(&folder), "file_naming_scheme": escaped(&name) })
}

/// Returns the pattern of files for a schedule: of a folder all files below it.
fn watched(path: &str) -> String {
    let path = path.trim_start_matches("./");
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.contains(['.', '*', '?']) { path.to_owned() } else { format!("{path}/**") }
}
