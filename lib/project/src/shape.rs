//! The shape of a project file: which keys there are at each place, and what they hold.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::lines::{self, Part};
use crate::names::nearest;
use crate::role::Role;
use crate::warning;
use crate::warnings::Warnings;

/// The keys of each place and what they hold, where that is known: `[x]` is a list of `x`, `{x}` a
/// mapping whose keys are those of the place `x`. `!` is behind what must be there, and at a place
/// with `*` other keys are somebody else's.
const SHAPES: [(&str, &str); 17] = [
    (
        "file",
        "version default_environment:text project_id annotations:{file.annotations} database_uri \
         database_max_retries database_retry_timeout send_anonymous_usage_stats project_readonly \
         include_paths:[text] environments:[environment] plugins:{plugins} jobs:[job] \
         schedules:[schedule] env:{scalars} state_backend elt elf experimental ff:{ff} venv \
         hub_url hub_url_auth hub_api_root snowplow cli ui auto_install logging requires_meltano \
         python",
    ),
    ("ff", "* strict_env_var_mode:flag"),
    (
        "environment",
        "name:text! config:{environment.config} env:{scalars} state_id_suffix:text \
         annotations:{annotations}",
    ),
    ("environment.config", "plugins:{plugins} annotations:{annotations}"),
    (
        "plugins",
        "extractors:[plugin] loaders:[plugin] mappers:[plugin] transformers:[any] \
         transforms:[any] orchestrators:[any] utilities:[any] files:[any] \
         annotations:{annotations}",
    ),
    (
        "plugin",
        "name:text! inherit_from:text namespace:text label logo_url description variant variants \
         hidden pip_url repo docs ext_repo settings_group_validation capabilities:[text] \
         settings:[setting] commands:{} requires executable:text keywords maintenance_status \
         quality config:{} env:{scalars} select:texts metadata:rules schema:{} catalog:text \
         load_schema state:text select_filter use_cached_catalog use_state mappings:[mapping] \
         annotations:{plugin.annotations} prereq next_steps usage definition python update \
         target_schema dialect default_variant domain_url table_pattern",
    ),
    (
        "setting",
        "name:text! aliases:[text] label value placeholder kind:text description tooltip \
         documentation hidden sensitive env:text env_specific value_processor \
         value_post_processor oauth options required custom protected annotations:{annotations}",
    ),
    ("mapping", "name:text! config:{} annotations:{annotations}"),
    ("job", "name:text! tasks:tasks annotations:{annotations}"),
    (
        "schedule",
        "name:text! interval:text job:text extractor:text loader:text transform:text start_date \
         env:{scalars} annotations:{schedule.annotations}",
    ),
    ("annotations", "* chorus:{annotations.chorus}"),
    ("schedule.annotations", "* chorus:{schedule.chorus}"),
    (
        "schedule.chorus",
        "timezone:text start_time:text end_time:text missed:text day_offset:integer watch:texts \
         watch_seconds:integer",
    ),
    ("plugin.annotations", "* chorus:{plugin.chorus}"),
    ("plugin.chorus", "pass_env:texts roles:{}"),
    ("file.annotations", "* chorus:{file.chorus}"),
    ("file.chorus", "runs_kept:integer discovery_seconds:integer"),
];

/// Looks at the keys and types of one file: refuses what cannot be used, warns of keys that nobody
/// will read.
pub fn check(value: &Value, shown: &str, text: &str, warnings: &Warnings) -> Result<()> {
    let mut found = Vec::new();
    mapping(value, "file", &Place::default(), &mut found);
    let line = |finding: &Finding| lines::find(text, &finding.place.parts);
    for finding in &found {
        match &finding.fault {
            Fault::Unknown { key, near } => {
                let line = line(finding).map_or(String::new(), |line| format!(", line {line}"));
                let of = if finding.place.shown.is_empty() { shown } else { &finding.place.shown };
                let hint = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
                warnings.warn_once(warning!(
                    "W-PROJECT-UNUSED",
                    "key `{key}` of {of} is not known and has no effect{hint} ({shown}{line})"
                ));
            }
            Fault::Wrong { is, wanted } => {
                let failure =
                    Error::new(ErrorKind::Config, "cannot use a value of the project file")
                        .with("at", &finding.place.shown);
                let failure = match line(finding) {
                    Some(line) => failure.with("line", line),
                    None => failure,
                };
                return Err(failure.with("it is", is).with("wanted", wanted));
            }
        }
    }
    Ok(())
}

/// Refuses names that are there twice: only the first one would be used. To be asked when all files
/// are joined.
pub fn check_names(whole: &Value) -> Result<()> {
    let mut lists = vec![
        ("environments".to_owned(), &whole["environments"]),
        ("jobs".to_owned(), &whole["jobs"]),
        ("schedules".to_owned(), &whole["schedules"]),
    ];
    for role in Role::ALL {
        let key = role.key();
        lists.push((format!("plugins.{key}"), &whole["plugins"][key]));
    }
    for (place, list) in lists {
        let mut names: Vec<&Value> = Vec::new();
        for name in list.as_array().into_iter().flatten().map(|entry| &entry["name"]) {
            if names.contains(&name) {
                return Err(Error::new(ErrorKind::Config, "cannot tell two of one name apart")
                    .with("at", place)
                    .with("name", name.as_str().unwrap_or_default())
                    .hint(
                        "rename one of them; a plugin with other settings needs `inherit_from`",
                    ));
            }
            names.push(name);
        }
    }
    Ok(())
}

/// Warns of settings for plugins that are not there.
pub fn check_environments(whole: &Value, warnings: &Warnings) {
    for environment in whole["environments"].as_array().into_iter().flatten() {
        for role in Role::ALL {
            let known = names(&whole["plugins"][role.key()]);
            for name in names(&environment["config"]["plugins"][role.key()]) {
                if !known.contains(&name) {
                    let hint = nearest(&name, &known);
                    let hint =
                        hint.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
                    let of = environment["name"].as_str().unwrap_or_default();
                    warnings.warn_once(warning!(
                        "W-PROJECT-UNUSED",
                        "environment {of} has settings for {name}, which is no {role}{hint}"
                    ));
                }
            }
        }
    }
}

fn names(list: &Value) -> Vec<String> {
    let names = list.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Where a value stands.
#[derive(Clone, Default)]
struct Place {
    parts: Vec<Part>,
    shown: String,
}

struct Finding {
    place: Place,
    fault: Fault,
}

enum Fault {
    Unknown { key: String, near: Option<&'static str> },
    Wrong { is: &'static str, wanted: &'static str },
}

impl Place {
    fn key(&self, key: &str) -> Self {
        let dot = if self.shown.is_empty() { "" } else { "." };
        self.with(Part::Key(key.to_owned()), &format!("{dot}{key}"))
    }

    /// An entry is called by its name, where it has one.
    fn index(&self, at: usize, entry: &Value) -> Self {
        let name = entry["name"].as_str().map(|name| format!(".{name}"));
        self.with(Part::Index(at), &name.unwrap_or_else(|| format!("[{at}]")))
    }

    fn with(&self, part: Part, shown: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(part);
        Self { parts, shown: self.shown.clone() + shown }
    }
}

/// Looks at the keys of a mapping.
fn mapping(value: &Value, shape: &str, place: &Place, found: &mut Vec<Finding>) {
    let Some(members) = value.as_object() else {
        return wrong(value, "a mapping", place, found);
    };
    let known = SHAPES.iter().find(|(at, _)| *at == shape).map_or("", |(_, keys)| *keys);
    let known: Vec<(&'static str, &'static str)> = known
        .split_whitespace()
        .map(|word| word.split_once(':').unwrap_or((word, "any")))
        .collect();
    for (key, value) in members {
        let place_of = place.key(key);
        match known.iter().find(|(name, _)| name == key) {
            Some((_, kind)) => {
                if !value.is_null() || kind.ends_with('!') {
                    look(value, kind.trim_end_matches('!'), &place_of, found);
                }
            }
            None if key.starts_with("x-") || known.contains(&("*", "any")) => {}
            None => {
                let near = known
                    .iter()
                    .map(|(name, _)| (strsim::jaro_winkler(name, key), *name))
                    .max_by(|a, b| a.0.total_cmp(&b.0))
                    .filter(|(likeness, _)| *likeness > 0.85);
                let fault = Fault::Unknown { key: key.clone(), near: near.map(|(_, name)| name) };
                let parts = place_of.parts;
                found.push(Finding { place: Place { parts, shown: place.shown.clone() }, fault });
            }
        }
    }
    for (name, _) in known.iter().filter(|(_, kind)| kind.ends_with('!')) {
        if !members.contains_key(*name) {
            let (is, wanted) = ("a mapping without `name`", "a mapping with a `name`");
            found.push(Finding { place: place.clone(), fault: Fault::Wrong { is, wanted } });
        }
    }
}

/// Looks at a value and what is in it.
fn look(value: &Value, kind: &'static str, place: &Place, found: &mut Vec<Finding>) {
    let fits = |fits: bool, wanted: &'static str, found: &mut Vec<Finding>| {
        if !fits {
            wrong(value, wanted, place, found);
        }
    };
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object();
    match kind {
        "any" => {}
        "text" => fits(value.is_string(), "a text", found),
        "flag" => fits(value.is_boolean(), "true or false", found),
        "integer" => fits(value.is_i64(), "a whole number", found),
        "{}" => fits(value.is_object(), "a mapping", found),
        "rules" => match value.as_object() {
            Some(_) => metadata(value, place, found),
            None => fits(false, "a mapping", found),
        },
        "{scalars}" => match value.as_object() {
            Some(members) => {
                for (key, value) in members.iter().filter(|(_, value)| !is_scalar(value)) {
                    wrong(value, "a text or a number", &place.key(key), found);
                }
            }
            None => fits(false, "a mapping of names and texts", found),
        },
        "texts" | "tasks" if value.is_string() => {}
        "texts" => look(value, "[text]", place, found),
        "tasks" => look(value, "[texts]", place, found),
        _ => {
            if let Some(inner) = kind.strip_prefix('[') {
                let Some(items) = value.as_array() else { return fits(false, "a list", found) };
                for (at, item) in items.iter().enumerate() {
                    look(item, inner.trim_end_matches(']'), &place.index(at, item), found);
                }
            } else {
                mapping(value, kind.trim_matches(['{', '}']), place, found);
            }
        }
    }
}

/// Keys of a catalog's metadata that taps go by; a tap may have others.
const METADATA: [&str; 6] = [
    "replication-method",
    "replication-key",
    "table-key-properties",
    "view-key-properties",
    "selected",
    "inclusion",
];

/// Looks for keys of metadata that are spelled nearly like one that taps go by: no tap reads those.
/// They stand below patterns of streams and of properties.
fn metadata(value: &Value, place: &Place, found: &mut Vec<Finding>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let inner = place.key(key);
        if value.is_object() {
            metadata(value, &inner, found);
            continue;
        }
        let near = METADATA.into_iter().find(|known| {
            known != key
                && strsim::jaro_winkler(known, &key.to_lowercase().replace('_', "-")) > 0.95
        });
        if near.is_some() {
            let fault = Fault::Unknown { key: key.clone(), near };
            let Place { parts, .. } = inner;
            found.push(Finding { place: Place { parts, shown: place.shown.clone() }, fault });
        }
    }
}

fn wrong(value: &Value, wanted: &'static str, place: &Place, found: &mut Vec<Finding>) {
    let is = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    found.push(Finding { place: place.clone(), fault: Fault::Wrong { is, wanted } });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place_and_line() {
        let check = |text: &str, at: &str, line: &str, wanted: &str| {
            let failure = check(&parse(text).unwrap(), "meltano.yml", text, &Warnings::default())
                .expect_err(text);
            let of = |key: &str| failure.context(key).unwrap_or_default();
            assert_eq!((of("at"), of("line"), of("wanted")), (at, line, wanted), "{text}");
        };
        check("plugins: []", "plugins", "1", "a mapping");
        check("x-a: 1\njobs: {}", "jobs", "2", "a list");
        check("environments: {}", "environments", "1", "a list");
        check("environments: [dev]", "environments[0]", "1", "a mapping");
        check("env: {A: [1]}", "env.A", "1", "a text or a number");
        check("ff: {strict_env_var_mode: 'yes'}", "ff.strict_env_var_mode", "1", "true or false");
        check("jobs:\n- name: j\n  tasks: 5\n", "jobs.j.tasks", "3", "a list");
        check("jobs:\n- tasks: [a b]\n", "jobs[0]", "2", "a mapping with a `name`");
        let plugin = |text: &str| format!("plugins:\n  extractors:\n  - name: t\n    {text}\n");
        let at = |key: &str| format!("plugins.extractors.t.{key}");
        check(&plugin("config: 5"), &at("config"), "4", "a mapping");
        check(&plugin("select: {a: b}"), &at("select"), "4", "a list");
        check(&plugin("settings:\n    - {name: [x]}"), &at("settings[0].name"), "5", "a text");
        let own =
            |text: &str| format!("schedules:\n- {{name: s, annotations: {{chorus: {text}}}}}");
        let at = |key: &str| format!("schedules.s.annotations.chorus.{key}");
        check(&own("{day_offset: x}"), &at("day_offset"), "2", "a whole number");
        check(&own("{watch: [[]]}"), &at("watch[0]"), "2", "a text");
    }

    #[test]
    fn keys_of_metadata_that_no_tap_reads_are_found() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let file = format!(
                "plugins: {{extractors: [{{name: t, metadata: {text}}}]}}\n\
                 environments:\n- name: e\n  \
                 config: {{plugins: {{extractors: [{{name: t, metadata: {text}}}]}}}}\n"
            );
            let mut found = Vec::new();
            mapping(&parse(&file).unwrap(), "file", &Place::default(), &mut found);
            let told: Vec<_> = found
                .iter()
                .filter_map(|finding| match &finding.fault {
                    Fault::Unknown { key, near } => Some((key.as_str(), near.unwrap_or_default())),
                    Fault::Wrong { .. } => None,
                })
                .collect();
            assert_eq!(told, [expected, expected].concat(), "{text}");
        };
        check("{a: {replication_method: X}}", &[("replication_method", "replication-method")]);
        check("{a: {Replication-Key: id}}", &[("Replication-Key", "replication-key")]);
        check("{a: {b: {selectd: true}}}", &[("selectd", "selected")]);
        check(
            "{'*': {table_key_properties: [x]}}",
            &[("table_key_properties", "table-key-properties")],
        );
        check(
            "{a: {replication-method: X, replication-key: y, forced-replication-method: z}}",
            &[],
        );
        check(
            "{replication_method: {selected: true, my_own: 1, schema-name: s, sql-datatype: t}}",
            &[],
        );
    }

    #[test]
    fn names_are_there_once() {
        let check = |text: &str, name: Option<&str>| {
            let failure = check_names(&parse(text).unwrap()).err();
            assert_eq!(failure.as_ref().and_then(|found| found.context("name")), name, "{text}");
        };
        check("plugins: {extractors: [{name: a}, {name: b}], loaders: [{name: a}]}", None);
        check("plugins: {extractors: [{name: a}, {name: a}]}", Some("a"));
        check("jobs: [{name: j}, {name: j}]", Some("j"));
    }
}
