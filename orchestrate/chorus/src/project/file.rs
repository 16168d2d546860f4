//! `meltano.yml` as it is written, with the files that it includes.

use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

/// The name of the file that makes a folder a project.
pub const FILE_NAME: &str = "meltano.yml";

/// The keys that Meltano knows, at each place; a dot steps into a list or mapping.
const KNOWN: [(&str, &str); 7] = [
    (
        "",
        "version default_environment project_id annotations database_uri database_max_retries \
         database_retry_timeout send_anonymous_usage_stats project_readonly include_paths \
         environments plugins jobs schedules env state_backend elt elf experimental ff venv \
         hub_url hub_api_root snowplow cli ui auto_install logging requires_meltano python",
    ),
    ("environments", "name config env state_id_suffix annotations"),
    ("environments.config", "plugins annotations"),
    (
        "plugins",
        "extractors loaders mappers transformers transforms orchestrators utilities files \
         annotations",
    ),
    (
        "plugin",
        "name inherit_from namespace label logo_url description variant variants hidden pip_url \
         repo docs ext_repo settings_group_validation capabilities settings commands requires \
         executable keywords maintenance_status quality config env select metadata schema catalog \
         load_schema state select_filter use_cached_catalog use_state mappings annotations \
         hidden prereq next_steps usage definition python update target_schema dialect \
         default_variant domain_url table_pattern",
    ),
    ("jobs", "name tasks annotations"),
    ("schedules", "name interval job extractor loader transform start_date env annotations"),
];

/// Reads the project file of a folder and the files it includes into one value.
pub fn read(root: &Path) -> Result<Value> {
    let mut whole = read_one(&root.join(FILE_NAME))?;
    for path in included(root, &whole)? {
        let part = read_one(&path)?;
        merge(&mut whole, part, "").map_err(|failure| failure.with("path", path.display()))?;
    }
    check_keys(&whole);
    Ok(whole)
}

fn read_one(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|cause| {
        let kind = match cause.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NoInput,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Config,
        };
        Error::new(kind, "cannot read the project file")
            .with("path", path.display())
            .caused_by(cause)
            .hint("run in the folder of a meltano.yml, or name it with --project")
    })?;
    parse(&text).map_err(|failure| failure.with("path", path.display()))
}

/// Reads YAML; anchors, depth and size are bounded.
pub fn parse(text: &str) -> Result<Value> {
    let options = serde_saphyr::options! {
        // As YAML 1.2 has it, and so Meltano: `yes` is a text.
        strict_booleans: true,
        // The excerpt could show a secret.
        with_snippet: false,
    };
    let value = serde_saphyr::from_str_with_options::<Option<Value>>(text, options);
    let value = value.map_err(|cause| {
        let message = cause.to_string();
        Error::new(ErrorKind::Config, "cannot read the YAML")
            .with("reason", message.lines().next().unwrap_or_default().trim())
    })?;
    match value {
        Some(value @ Value::Object(_)) => Ok(value),
        None => Ok(Value::Object(Map::new())),
        Some(_) => Err(Error::new(ErrorKind::Config, "the YAML is not a mapping")),
    }
}

/// Finds the files of `include_paths`, sorted.
fn included(root: &Path, whole: &Value) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in whole["include_paths"].as_array().into_iter().flatten() {
        let Some(pattern) = pattern.as_str() else { continue };
        let bad = |cause: globset::Error| {
            Error::new(ErrorKind::Config, "cannot read a pattern of `include_paths`")
                .with("pattern", pattern)
                .caused_by(cause)
        };
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(bad)?
            .compile_matcher();
        let before = found.len();
        walk(root, root, 0, &mut |path| {
            if glob.is_match(path) && path != Path::new(FILE_NAME) {
                found.push(root.join(path));
            }
        })?;
        if found.len() == before {
            log::warn!("`include_paths` names {pattern}, which matches no file");
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

const INCLUDE_DEPTH_MAX: usize = 8;

fn walk(root: &Path, folder: &Path, depth: usize, visit: &mut impl FnMut(&Path)) -> Result<()> {
    let failure = |cause: std::io::Error| {
        Error::new(ErrorKind::Io, "cannot list the folder")
            .with("path", folder.display())
            .caused_by(cause)
    };
    for entry in fs::read_dir(folder).map_err(failure)? {
        let entry = entry.map_err(failure)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(failure)?;
        let path = entry.path();
        if kind.is_dir() && !hidden && depth < INCLUDE_DEPTH_MAX {
            walk(root, &path, depth + 1, visit)?;
        } else if kind.is_file()
            && let Ok(relative) = path.strip_prefix(root)
        {
            visit(relative);
        }
    }
    Ok(())
}

/// Adds the lists of an included file to those of the project.
fn merge(whole: &mut Value, part: Value, place: &str) -> Result<()> {
    let Value::Object(part) = part else { return Ok(()) };
    for (key, value) in part {
        let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        match (&mut whole[&key], value) {
            (Value::Array(all), Value::Array(more)) => all.extend(more),
            (inner @ Value::Object(_), value @ Value::Object(_)) => merge(inner, value, &place)?,
            (slot @ Value::Null, value) => *slot = value,
            (_, _) if key == "version" => {}
            _ => {
                return Err(Error::new(ErrorKind::Config, "cannot include a setting made twice")
                    .with("setting", place));
            }
        }
    }
    Ok(())
}

/// Warns of keys that nobody will read.
fn check_keys(whole: &Value) {
    let lists = |at: &str| whole[at].as_array().into_iter().flatten();
    check(whole, "", FILE_NAME);
    check(&whole["plugins"], "plugins", "plugins");
    for (kind, plugins) in whole["plugins"].as_object().into_iter().flatten() {
        for plugin in plugins.as_array().into_iter().flatten() {
            check(plugin, "plugin", &format!("plugins.{kind}.{}", name_of(plugin)));
        }
    }
    for environment in lists("environments") {
        let place = format!("environments.{}", name_of(environment));
        check(environment, "environments", &place);
        check(&environment["config"], "environments.config", &format!("{place}.config"));
        for (kind, plugins) in environment["config"]["plugins"].as_object().into_iter().flatten() {
            for plugin in plugins.as_array().into_iter().flatten() {
                check(plugin, "plugin", &format!("{place}.{kind}.{}", name_of(plugin)));
            }
        }
    }
    for at in ["jobs", "schedules"] {
        for entry in lists(at) {
            check(entry, at, &format!("{at}.{}", name_of(entry)));
        }
    }
}

fn name_of(entry: &Value) -> &str {
    entry["name"].as_str().unwrap_or("(without a name)")
}

fn check(mapping: &Value, place: &str, shown: &str) {
    let known = KNOWN.iter().find(|(at, _)| *at == place).map_or("", |(_, keys)| *keys);
    for key in mapping.as_object().into_iter().flat_map(Map::keys) {
        if known.split_whitespace().any(|name| name == key) || key.starts_with("x-") {
            continue;
        }
        let near = known
            .split_whitespace()
            .map(|name| (strsim::jaro_winkler(name, key), name))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.85);
        let hint = near.map_or(String::new(), |(_, name)| format!(": did you mean `{name}`?"));
        log::warn!("key `{key}` of {shown} is not known and has no effect{hint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_the_files_that_patterns_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("meltano.yml", "include_paths: [./parts/*.yml]\njobs: [{name: a, tasks: []}]\n");
        write("parts/b.yml", "jobs: [{name: b, tasks: []}]\nplugins: {extractors: [{name: t}]}\n");
        write("parts/deep/c.yml", "jobs: [{name: c, tasks: []}]\n");
        let whole = read(folder.path()).unwrap();
        let names: Vec<&str> = whole["jobs"].as_array().unwrap().iter().map(name_of).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(whole["plugins"]["extractors"][0]["name"], "t");
        write("parts/b.yml", "default_environment: x\n");
        assert_eq!(read(folder.path()).unwrap()["default_environment"], "x");
        write("parts/b.yml", "include_paths: x\n");
        assert_eq!(read(folder.path()).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn reads_yaml_as_meltano_does() {
        let value =
            parse("a: yes\nb: true\nc: 1.50\nd: 00123\ne: ~\nf: &x {g: 1}\nh: *x\n").unwrap();
        assert_eq!(value["a"], "yes");
        assert_eq!(value["b"], true);
        assert_eq!(value["e"], Value::Null);
        assert_eq!(value["h"]["g"], 1);
        assert_eq!(parse("").unwrap(), Value::Object(Map::new()));
        for text in ["- a", "a: [", "a: 1\na: 2", "text"] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
        let bomb: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |all, at| {
            let before = at - 1;
            let more = format!("a{at}: &a{at} [{}]\n", format!("*a{before},").repeat(9));
            all + &more
        });
        assert_eq!(parse(&bomb).unwrap_err().kind(), ErrorKind::Config);
        let deep = format!("a: {}", "[".repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().kind(), ErrorKind::Config);
    }
}
