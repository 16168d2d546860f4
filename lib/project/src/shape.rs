//! Checks a project file against its shape.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::empties;
use crate::lines::{self, Part, Spot};
use crate::names::nearest;
use crate::role::Role;
use crate::shapes::{FILE, Kind, NAME, Shape};
use crate::system_names;
use crate::warning;
use crate::warnings::Warnings;

/// Keys that only describe: one that is misspelled changes nothing of a run.
const DESCRIBE: [&str; 21] = [
    "label",
    "logo_url",
    "description",
    "hidden",
    "repo",
    "docs",
    "keywords",
    "maintenance_status",
    "quality",
    "prereq",
    "next_steps",
    "usage",
    "definition",
    "domain_url",
    "placeholder",
    "tooltip",
    "documentation",
    "send_anonymous_usage_stats",
    "snowplow",
    "cli",
    "ui",
];

/// A key that is almost one that a run goes by, and has no effect as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Misspelled {
    /// The plugin that it stands in, if it does.
    pub plugin: Option<String>,
    /// The key, where it stands, and the one that was probably meant.
    pub text: String,
    /// The key that was probably meant.
    pub meant: &'static str,
}

/// Returns the keys of one file that are almost ones that a run goes by.
pub(crate) fn misspelled(value: &Value, shown: &str, text: &str) -> Vec<Misspelled> {
    let mut found = Vec::new();
    mapping(value, &FILE, &Place::default(), &mut found);
    let each = found.iter().filter_map(|finding| {
        let Fault::Unknown { near: Some(meant), .. } = finding.fault else { return None };
        let text = unknown(finding, shown, text)?;
        let plugin = plugin_of(value, &finding.place.parts);
        (!DESCRIBE.contains(&meant)).then_some(Misspelled { plugin, text, meant })
    });
    each.collect()
}

/// Returns the name of the plugin that a place is in.
fn plugin_of(value: &Value, parts: &[Part]) -> Option<String> {
    let mut at = value;
    let mut in_plugins = 0;
    for part in parts {
        at = match part {
            Part::Key(key) => {
                in_plugins = usize::from(in_plugins > 0 || key == "plugins") + in_plugins;
                &at[key.as_str()]
            }
            Part::Index(index) => &at[*index],
        };
        if in_plugins == 2 && matches!(part, Part::Index(_)) {
            return at["name"].as_str().map(str::to_owned);
        }
    }
    None
}

/// Says which key is unknown.
fn unknown(finding: &Finding, shown: &str, text: &str) -> Option<String> {
    let Fault::Unknown { key, near } = &finding.fault else { return None };
    let line = lines::find(text, &finding.place.parts)
        .map_or(String::new(), |Spot { line, column }| format!(", line {line}, column {column}"));
    let of = if finding.place.shown.is_empty() { shown } else { &finding.place.shown };
    let hint = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
    Some(format!("unknown key `{key}` of {of} has no effect{hint} ({shown}{line})"))
}

/// Looks at the keys and types of one file: refuses what cannot be used, warns of keys that nobody
/// will read.
pub(crate) fn check(value: &Value, shown: &str, text: &str, warnings: &Warnings) -> Result<()> {
    let mut found = Vec::new();
    mapping(value, &FILE, &Place::default(), &mut found);
    let spot = |finding: &Finding| lines::find(text, &finding.place.parts);
    for finding in &found {
        match &finding.fault {
            Fault::Unknown { .. } => {
                if let Some(text) = unknown(finding, shown, text) {
                    warnings.warn_once(warning!("W-PROJECT-UNUSED", "{text}"));
                }
            }
            Fault::Wrong { is, wanted } => {
                let failure =
                    Error::new(ErrorKind::Config, "cannot use a value of the project file")
                        .with("at", &finding.place.shown);
                let failure = match spot(finding) {
                    Some(spot) => failure.with("line", spot.line).with("column", spot.column),
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
pub(crate) fn check_names(whole: &Value) -> Result<()> {
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
                return Err(Error::new(ErrorKind::Config, "two entries have the same name")
                    .with("at", place)
                    .with("name", name.as_str().unwrap_or_default())
                    .hint(
                        "rename one of them; for the same plugin with other settings use \
                         `inherit_from`",
                    ));
            }
            names.push(name);
        }
    }
    Ok(())
}

/// Returns a sentence on each environment, or on one of them, with settings for a plugin that is
/// not there.
pub(crate) fn unknown_in_environments(whole: &Value, only: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for environment in whole["environments"].as_array().into_iter().flatten() {
        let of = environment["name"].as_str().unwrap_or_default();
        if only.is_some_and(|only| only != of) {
            continue;
        }
        for role in Role::ALL {
            let known = names(&whole["plugins"][role.key()]);
            for name in names(&environment["config"]["plugins"][role.key()]) {
                if !known.contains(&name) {
                    let hint = nearest(&name, &known);
                    let hint =
                        hint.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
                    found.push(format!(
                        "environment {of} has settings for the unknown {role} {name}{hint}"
                    ));
                }
            }
        }
    }
    found
}

/// Warns of what a key promises, and a run does not do.
pub(crate) fn check_effects(whole: &Value, warnings: &Warnings) {
    let entries = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let name = |entry: &Value| entry["name"].as_str().unwrap_or_default().to_owned();
    let environments = entries(&whole["environments"]);
    let blocks = environments.iter().map(|environment| &environment["config"]["plugins"]);
    for plugins in std::iter::once(&whole["plugins"]).chain(blocks) {
        for plugin in Role::ALL.iter().flat_map(|role| entries(&plugins[role.key()])) {
            if plugin["use_state"] == false {
                warnings.warn_once(warning!(
                    "W-PROJECT-UNUSED",
                    "`use_state: false` of {} has no effect, as for Meltano 4: a run goes on from \
                     its state; `state: /dev/null` has it start without one",
                    name(&plugin)
                ));
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
fn mapping(value: &Value, shape: &Shape, place: &Place, found: &mut Vec<Finding>) {
    let Some(members) = value.as_object() else {
        return wrong(value, "a mapping", place, found);
    };
    for (key, value) in members {
        let place_of = place.key(key);
        if let Some((_, kind)) = shape.keys().find(|(name, _)| name == key) {
            if !value.is_null() || shape.is_named && key == NAME {
                look(value, kind, &place_of, found);
            }
        } else if !key.starts_with("x-")
            && !shape.is_open
            && (!place.parts.is_empty() || !system_names::is_setting(key))
        {
            let near = singer::near::nearest(key, shape.keys().map(|(name, _)| name), 0.85);
            let fault = Fault::Unknown { key: key.clone(), near };
            let parts = place_of.parts;
            found.push(Finding { place: Place { parts, shown: place.shown.clone() }, fault });
        }
    }
    if shape.is_named && !members.contains_key(NAME) {
        let (is, wanted) = ("a mapping without `name`", "a mapping with a `name`");
        found.push(Finding { place: place.clone(), fault: Fault::Wrong { is, wanted } });
    }
}

/// Looks at a value and what is in it.
fn look(value: &Value, kind: Kind, place: &Place, found: &mut Vec<Finding>) {
    let fits = |fits: bool, wanted: &'static str, found: &mut Vec<Finding>| {
        if !fits {
            wrong(value, wanted, place, found);
        }
    };
    if empties::is_nothing(value, kind) {
        return;
    }
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object();
    match kind {
        Kind::Any => {}
        Kind::Text => fits(value.is_string(), "a text", found),
        Kind::Scalar => fits(is_scalar(value), "a text", found),
        Kind::Flag => fits(value.is_boolean(), "true or false", found),
        Kind::Integer => fits(value.is_i64(), "a whole number", found),
        Kind::Mapping => fits(value.is_object(), "a mapping", found),
        Kind::Rules => match value.as_object() {
            Some(_) => metadata(value, place, found),
            None => fits(false, "a mapping", found),
        },
        Kind::Scalars => match value.as_object() {
            Some(members) => {
                for (key, value) in members.iter().filter(|(_, value)| !is_scalar(value)) {
                    wrong(value, "a text or a number", &place.key(key), found);
                }
            }
            None => fits(false, "a mapping of names and texts", found),
        },
        Kind::Texts | Kind::Tasks if value.is_string() => {}
        Kind::Texts => look(value, Kind::List(&Kind::Text), place, found),
        Kind::Tasks => look(value, Kind::List(&Kind::Tasks), place, found),
        Kind::List(inner) => {
            let Some(items) = value.as_array() else { return fits(false, "a list", found) };
            for (at, item) in items.iter().enumerate() {
                look(item, *inner, &place.index(at, item), found);
            }
        }
        Kind::At(shape) => mapping(value, shape, place, found),
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
        check("plugins: [a]", "plugins", "1", "a mapping");
        check("x-a: 1\njobs: {a: 1}", "jobs", "2", "a list");
        check("environments: {a: 1}", "environments", "1", "a list");
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
            mapping(&parse(&file).unwrap(), &FILE, &Place::default(), &mut found);
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
    fn keys_without_an_effect_are_told() {
        let check = |text: &str, words: &[&str]| {
            let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            let listener = std::sync::Arc::clone(&heard);
            let warnings = Warnings::new(move |warning| {
                listener.lock().unwrap().push(warning.text.clone());
            });
            check_effects(&parse(text).unwrap(), &warnings);
            let heard = heard.lock().unwrap();
            assert_eq!(heard.len(), words.len(), "{text} {heard:?}");
            assert!(heard.iter().zip(words).all(|(told, word)| told.contains(word)), "{heard:?}");
        };
        let plugin = |text: &str| format!("plugins: {{extractors: [{{name: t, {text}}}]}}");
        check(&plugin("use_state: false"), &["`use_state: false` of t"]);
        check(&plugin("use_state: true"), &[]);
        let inner = plugin("use_state: false");
        let environment = format!("environments: [{{name: e, config: {{{inner}}}}}]");
        check(&environment, &["`use_state: false` of t"]);
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
