//! The variables that the process of a plugin is given.
//!
//! The rule: a plugin of ours gets what it needs: those of its settings, the `env` blocks of its
//! entry, what each program needs, and what it says it reads. Any other plugin gets what Meltano
//! would give it. None gets a variable that holds a secret of another plugin, unless it is one of
//! its own settings as well. `pass_env` takes the place of what is passed beyond one's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::about::Description;
use super::definition::{Definition, variable_name};
use super::entry::{Entry, pass_env};
use super::exports::Export;
use super::secret_words::is_secret_word;
use crate::project::Project;
use crate::variables::{Variables, names_in};

/// What programs need: where they and their files are, language and time, the network, logs, the
/// project and the day of the run.
const NEEDED: [&str; 28] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TZDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LOGLEVEL",
    "LOGGING_CONF_FILE",
    "SINGER_SDK_LOG_CONFIG",
    "METRICS_INTERVAL_SECONDS",
    "MELTANO_PROJECT_ROOT",
    "MELTANO_ENVIRONMENT",
    "DATESTAMP",
    "EXTRACTED_AT",
];

/// What variables begin with that many programs read: a plugin of such a name, as `aws`, takes none
/// of them away from the others. Its secrets are known by its settings.
const SHARED: [&str; 16] = [
    "AWS_", "AZURE_", "CURL_", "DOCKER_", "GCP_", "GIT_", "GOOGLE_", "HTTP_", "HTTPS_", "JAVA_",
    "LANG_", "MELTANO_", "PG_", "PYTHON_", "SSH_", "SSL_",
];

/// Which variables a plugin has to do with.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// All that it is given when it is run.
    pub given: Variables,
    /// What the names of its variables begin with.
    prefixes: BTreeSet<String>,
    /// Those it is to have whatever others say of them.
    own: BTreeSet<String>,
    /// Those that hold secrets of its settings.
    secret: BTreeSet<String>,
    /// Those that its settings name.
    named: BTreeSet<String>,
}

/// What is known of a plugin.
pub(super) struct Known<'a> {
    pub project: &'a Project,
    pub chain: &'a [Entry<'a>],
    /// The settings that the project declares.
    pub definitions: &'a [Definition],
    /// What the plugin says of itself, if it is one of ours.
    pub description: Option<&'a Description>,
    pub written: &'a Map<String, Value>,
    /// The variables of its names and settings.
    pub exports: &'a [Export],
}

impl Known<'_> {
    /// Returns the settings that the project declares, and those that the plugin says it has.
    fn all(&self) -> impl Iterator<Item = &Definition> {
        let described = self.description.into_iter().flat_map(|all| &all.settings);
        self.definitions.iter().chain(described)
    }
}

impl Environment {
    /// Gathers the variables of a plugin from all that there are.
    pub(super) fn new(known: &Known<'_>, variables: &Variables) -> Self {
        let Known { project, chain, .. } = known;
        let blocks = Blocks::new(project, chain);
        let mut own = blocks.keys(chain);
        let (mut named, mut secret) = (BTreeSet::new(), BTreeSet::new());
        references(&Value::Object(known.written.clone()), "", known, (&mut named, &mut secret));
        for definition in known.all() {
            let (name, default) = (&definition.name, &definition.default);
            references(default, name, known, (&mut named, &mut secret));
            let variables = definition.variables(chain);
            if definition.is_secret() || is_secret_word(&definition.name) {
                secret.extend(variables.iter().cloned());
            }
            own.extend(variables);
        }
        let named = blocks.below(named);
        own.extend(named.iter().cloned());
        let secret = blocks.above(blocks.below(secret));
        let (passed, prefixes) = (passed(known), prefixes(chain));
        let mut given = Variables::default();
        for (name, value) in variables.iter() {
            let is_wanted = passed.as_ref().is_none_or(|patterns| fits(patterns, name));
            let is_own = own.contains(name) || prefixes.iter().any(|own| name.starts_with(own));
            if is_own || is_needed(chain, name) || is_wanted {
                given.set(name, value);
            }
        }
        // Whoever names one by its whole name means it.
        own.extend(passed.into_iter().flatten().filter(|pattern| !pattern.contains('*')));
        let mut environment = Self { given, prefixes, own, secret, named };
        let of_entry = chain.first().map_or([&Value::Null; 2], |entry| entry.blocks("env"));
        let set = [of_entry[0], &project.environment["env"], of_entry[1]];
        environment.add(known.exports, &set);
        environment
    }

    /// Returns the variables of its settings and its entry, with their values.
    pub fn own(&self) -> Vec<(&String, &String)> {
        self.given.iter().filter(|(name, _)| self.own.contains(*name)).collect()
    }

    /// Tells whether a variable holds a secret of its settings.
    pub fn is_secret(&self, variable: &str) -> bool {
        self.secret.contains(variable)
    }

    /// Tells whether its settings name a variable, or are set by it.
    pub fn uses(&self, variable: &str) -> bool {
        self.named.contains(variable) || self.own.contains(variable)
    }

    /// Returns the names of the variables that its settings are made of, or set by.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.named.iter().chain(&self.own)
    }

    /// Keeps these variables, whatever other plugins say of them.
    pub(super) fn keep(&mut self, names: BTreeSet<String>) {
        self.own.extend(names);
    }

    /// Takes away what is of other plugins: of those that run beside it their secrets, of all
    /// others in the project whatever is named after them.
    pub fn without(&mut self, beside: &[&Self], project: &Project) {
        let known: BTreeSet<&String> =
            beside.iter().flat_map(|other| &other.prefixes).chain(&self.prefixes).collect();
        let others: Vec<String> = project
            .plugin_names()
            .iter()
            .map(|name| variable_name(name) + "_")
            .filter(|prefix| !SHARED.contains(&prefix.as_str()))
            .filter(|prefix| !known.iter().any(|own| own.starts_with(prefix.as_str())))
            .collect();
        let names: Vec<String> = self.given.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            let is_secret = beside.iter().any(|other| other.secret.contains(&name));
            let is_of_others = || others.iter().any(|prefix| name.starts_with(prefix));
            let is_needed = NEEDED.contains(&name.as_str());
            if !self.own.contains(&name) && (is_secret || !is_needed && is_of_others()) {
                self.given.remove(&name);
            }
        }
    }

    /// Adds the plugin's names and settings as Meltano names them. What `env` of the plugin and the
    /// environment sets stays as it is there.
    fn add(&mut self, exports: &[Export], set: &[&Value]) {
        for Export { name, text, is_secret } in exports {
            self.own.insert(name.clone());
            let is_set = set.iter().any(|block| !block[name].is_null());
            if !is_set || self.given.get(name).is_none() {
                self.given.set(name, text);
            }
            if *is_secret {
                self.secret.insert(name.clone());
            }
        }
    }
}

/// Returns the patterns of the variables that a plugin is passed beyond its own; `None` for all.
fn passed(known: &Known<'_>) -> Option<Vec<String>> {
    let wanted = known
        .chain
        .iter()
        .find_map(|entry| pass_env(entry.of_environment).or_else(|| pass_env(entry.own)));
    wanted.or_else(|| known.description.map(|description| description.passed.clone()))
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.split_once('*') {
        Some((start, end)) => {
            let rest = name.strip_prefix(start);
            rest.is_some_and(|rest| rest.ends_with(end))
        }
        None => pattern == name,
    })
}

fn is_needed(chain: &[Entry<'_>], name: &str) -> bool {
    let is_level = || {
        let prefix = name.strip_suffix("_LOGLEVEL");
        prefix.is_some_and(|prefix| chain.iter().any(|entry| variable_name(entry.name) == prefix))
    };
    NEEDED.contains(&name) || name.starts_with("LC_") || is_level()
}

fn prefixes(chain: &[Entry<'_>]) -> BTreeSet<String> {
    chain.iter().flat_map(Entry::prefixes).map(|name| variable_name(name) + "_").collect()
}

/// Gathers the variables that settings name, and those that their secrets name.
fn references(
    value: &Value,
    path: &str,
    known: &Known<'_>,
    (all, secret): (&mut BTreeSet<String>, &mut BTreeSet<String>),
) {
    match value {
        Value::String(text) => {
            let names = names_in(text);
            let mut declared = known.all();
            let is_secret =
                |definition: &Definition| definition.is_secret() && definition.is_named(path);
            if declared.any(is_secret) || is_secret_word(path) {
                secret.extend(names.iter().cloned());
            }
            all.extend(names);
        }
        Value::Array(items) => {
            for item in items {
                references(item, path, known, (&mut *all, &mut *secret));
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                references(value, &path, known, (&mut *all, &mut *secret));
            }
        }
        _ => {}
    }
}

/// The `env` blocks: which variable is made of which.
struct Blocks(BTreeMap<String, BTreeSet<String>>);

impl Blocks {
    fn new(project: &Project, chain: &[Entry<'_>]) -> Self {
        let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let own = chain.iter().flat_map(|entry| entry.blocks("env"));
        for block in [&project.file["env"], &project.environment["env"]].into_iter().chain(own) {
            for (name, value) in block.as_object().into_iter().flatten() {
                let names = value.as_str().map(names_in).unwrap_or_default();
                made.entry(name.clone()).or_default().extend(names);
            }
        }
        Self(made)
    }

    /// Returns the names in the blocks of a plugin.
    fn keys(&self, chain: &[Entry<'_>]) -> BTreeSet<String> {
        let own = chain.iter().flat_map(|entry| entry.blocks("env"));
        let names = own.filter_map(Value::as_object).flat_map(Map::keys);
        names.filter(|name| self.0.contains_key(*name)).cloned().collect()
    }

    /// Adds the variables that others are made of.
    fn below(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        closure(names, |known| {
            self.0.iter().filter(|(name, _)| known.contains(*name)).flat_map(|(_, of)| of).collect()
        })
    }

    /// Adds the variables that are made of others.
    fn above(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        closure(names, |known| {
            let is_made = |(_, of): &(&String, &BTreeSet<String>)| !of.is_disjoint(known);
            self.0.iter().filter(is_made).map(|(name, _)| name).collect()
        })
    }
}

/// Adds names until there are no more to add.
fn closure<'a>(
    mut names: BTreeSet<String>,
    more: impl Fn(&BTreeSet<String>) -> Vec<&'a String>,
) -> BTreeSet<String> {
    loop {
        let before = names.len();
        let found: Vec<String> = more(&names).into_iter().cloned().collect();
        names.extend(found);
        if names.len() == before {
            return names;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_star() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(fits(&[pattern.to_owned()], name), expected, "{pattern} {name}");
        };
        check("PG*", "PGHOST", true);
        check("PG*", "XPG", false);
        check("*_PROXY", "HTTP_PROXY", true);
        check("A*A", "A", false);
        check("A", "AB", false);
        check("*", "ANY", true);
    }
}
