//! `chorus config`: looks at the settings of a plugin and changes them.

use std::io::Read;

use project::edit::Part;
use project::plugin::listing::{Listing, Origin, Setting, typed};
use project::plugin::{holds_secret, is_secret_word};
use project::{Project, Role, Source, warning};
use serde_json::{Map, Value};
use singer::output::print;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::cli::edits::{ConfigArgs, ConfigCommand, ConfigFormat, Store};
use crate::commands::config_print::{
    Shown, as_json, as_variables, extras_json, extras_variables, listed, of_extras,
};
use crate::commands::spelling::python;
use crate::commands::{check, entry_path};

/// Does what the command says; `environment` is the one that the command line names.
pub fn config(project: &Project, args: ConfigArgs, environment: Option<&str>) -> Result<()> {
    let ConfigArgs { with_secrets, plugin_type, command } = args;
    let listing = |plugin: &str| {
        let listing = Listing::of(project, plugin)?;
        let role = listing.plugin.role;
        let is_of = |kind: &String| [role.word(), role.key()].contains(&kind.as_str());
        if plugin_type.as_ref().is_none_or(is_of) {
            return Ok(listing);
        }
        let failure = Error::new(ErrorKind::Usage, "cannot find a plugin of this kind and name");
        Err(failure.with("plugin", plugin).hint(format!("the {role} has this name")))
    };
    match command {
        ConfigCommand::Print { plugin, format, extras } => {
            let listing = listing(&plugin)?;
            print(&match (extras, format) {
                (true, ConfigFormat::Json) => extras_json(&listing),
                (true, ConfigFormat::Env) => extras_variables(&listing),
                (false, ConfigFormat::Json) => as_json(&listing, with_secrets),
                (false, ConfigFormat::Env) => as_variables(&listing, with_secrets),
            })
        }
        ConfigCommand::List { plugin, all, filter, format, extras } => {
            let listing = listing(&plugin)?;
            let listing = if extras { of_extras(listing) } else { listing };
            print(&listed(listing, &Shown { all, filter, with_secrets }, format))
        }
        ConfigCommand::Set { plugin, interactive: true, .. } => {
            Err(Error::new(ErrorKind::Usage, "cannot ask for settings one by one").hint(format!(
                "`chorus config list {plugin} --all` lists them, `chorus config set {plugin} NAME \
                 VALUE` sets one; `--from-file -` reads a secret from standard input"
            )))
        }
        ConfigCommand::Set { plugin, mut words, store, from_file, .. } => {
            let listing = listing(&plugin)?;
            let text = match from_file {
                Some(path) => read_value(&path)?,
                None => words.pop().unwrap_or_default(),
            };
            if words.is_empty() {
                return Err(Error::new(ErrorKind::Usage, "cannot set a setting without its value")
                    .hint(format!("write: chorus config set {plugin} NAME VALUE")));
            }
            Edited { project, listing, environment }.set(&words.join("."), &text, store)
        }
        ConfigCommand::Unset { plugin, words, store } => {
            let listing = listing(&plugin)?;
            Edited { project, listing, environment }.unset(&words.join("."), store)
        }
        ConfigCommand::Reset { plugin, store, yes } => {
            if !yes {
                return Err(Error::new(ErrorKind::Usage, "cannot remove all settings unasked")
                    .with("plugin", &plugin)
                    .hint(format!("to remove them: chorus config reset {plugin} --yes")));
            }
            let listing = listing(&plugin)?;
            Edited { project, listing, environment }.reset(store)
        }
        ConfigCommand::Test { plugin } => check::first_record(project, &plugin),
    }
}

fn read_value(path: &std::path::Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == std::path::Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = read.or_kind(ErrorKind::NoInput, "cannot read the file with the value");
    text.map(|text| text.trim().to_owned()).map_err(|failure| failure.with("path", path.display()))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A plugin whose settings are changed.
struct Edited<'a> {
    project: &'a Project,
    listing: Listing,
    environment: Option<&'a str>,
}

impl Edited<'_> {
    fn set(&self, name: &str, text: &str, store: Store) -> Result<()> {
        let setting = self.known(name)?;
        let is_extra = is_extra(self.listing.plugin.role, name);
        let read = is_extra.then(|| serde_json::from_str(text).ok()).flatten();
        let value = read.map_or_else(|| typed(setting, text), Ok).map_err(|failure| {
            failure.with("plugin", &self.listing.plugin.name).with("setting", name)
        })?;
        let is_secret = holds_secret(&value)
            || setting.map_or_else(|| is_secret_word(name), |setting| setting.is_secret);
        let into_dotenv = match store {
            Store::Auto => is_secret,
            Store::Dotenv => true,
            Store::MeltanoYml => false,
            Store::Db => return Err(in_database()),
        };
        let mut source = Source::open(&self.project.root)?;
        let shown = if is_secret { "(redacted)".to_owned() } else { python(&value) };
        let place = if into_dotenv {
            let variable = self.variable(setting, name);
            source.set_variable(&variable, Some(&plain(&value)))?;
            ".env"
        } else {
            let path = self.way(&source, name);
            source.put(path, value)?;
            source.write(self.project.warnings())?;
            "meltano.yml"
        };
        let plugin = self.title();
        print(&format!("{plugin} setting '{name}' was set in `{place}`: {shown}\n"))?;
        if let (false, Some(Origin::Shell(variable) | Origin::Dotenv(variable))) =
            (into_dotenv, setting.map(|setting| &setting.origin))
        {
            self.project.warnings().warn(warning!(
                "W-PROJECT-UNUSED",
                "the variable {variable} sets {name}, too, and wins over meltano.yml"
            ));
        }
        Ok(())
    }

    /// Finds a setting; refuses one that a plugin of ours does not have.
    fn known(&self, name: &str) -> Result<Option<&Setting>> {
        let found = self.listing.setting(name);
        if found.is_some_and(|setting| setting.is_declared) {
            return Ok(found);
        }
        if is_extra(self.listing.plugin.role, name) {
            return Ok(None);
        }
        if name.starts_with('_') {
            return Err(Error::new(ErrorKind::Usage, "cannot set an extra of a plugin here")
                .with("name", name)
                .hint("write it into the entry of the plugin in meltano.yml"));
        }
        let plugin = &self.listing.plugin;
        let near = self.listing.nearest(name);
        let is_inside = name.split_once('.').is_some_and(|(first, _)| {
            self.listing.settings.iter().any(|setting| setting.is_declared && setting.name == first)
        });
        if plugin.is_ours() && !is_inside {
            let failure = Error::new(ErrorKind::Usage, "the plugin has no such setting")
                .with("plugin", &plugin.name)
                .with("setting", name);
            return Err(failure.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("chorus config list {} --all lists them", plugin.name),
            }));
        }
        if !is_inside {
            let hint = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            self.project.warnings().warn(warning!(
                "W-PROJECT-UNUSED",
                "{} does not declare the setting {name}{hint}",
                plugin.name
            ));
        }
        Ok(found)
    }

    fn variable(&self, setting: Option<&Setting>, name: &str) -> String {
        setting.map_or_else(
            || self.listing.plugin.variable_of(name),
            |setting| setting.variable.clone(),
        )
    }

    fn base(&self) -> Vec<Part> {
        entry_path(self.project, &self.listing.plugin.name, self.environment)
    }

    /// Returns the way to a setting: under its whole name where that is there, else level by level.
    fn way(&self, source: &Source, name: &str) -> Vec<Part> {
        if let Some(extra) = name.strip_prefix('_') {
            return [self.base(), extra.split('.').map(Part::from).collect()].concat();
        }
        let config = [self.base(), vec!["config".into()]].concat();
        let whole = [config.clone(), vec![name.into()]].concat();
        if source.value(&whole).is_some() {
            return whole;
        }
        [config, name.split('.').map(Part::from).collect()].concat()
    }

    fn unset(&self, name: &str, store: Store) -> Result<()> {
        let setting = self.listing.setting(name);
        let mut source = Source::open(&self.project.root)?;
        let mut places = Vec::new();
        if store == Store::Db {
            return Err(in_database());
        }
        if store != Store::Dotenv {
            let mut path = self.way(&source, name);
            if source.remove(path.clone())? {
                places.push("`meltano.yml`");
                self.remove_empty(&mut source, &mut path)?;
            }
        }
        if store != Store::MeltanoYml && source.set_variable(&self.variable(setting, name), None)? {
            places.push("`.env`");
        }
        source.write(self.project.warnings())?;
        if places.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot find a value to remove")
                .with("plugin", &self.listing.plugin.name)
                .with("setting", name)
                .hint(format!("`chorus config list {}` shows them", self.listing.plugin.name)));
        }
        let (plugin, places) = (self.title(), places.join(" and "));
        print(&format!("{plugin} setting '{name}' in {places} was unset\n"))
    }

    /// Removes the mappings above a value that have become empty, up to `config`.
    fn remove_empty(&self, source: &mut Source, path: &mut Vec<Part>) -> Result<()> {
        let length = self.base().len();
        while path.len() > length + 1 {
            path.pop();
            if source.value(path) != Some(Value::Object(Map::new())) {
                return Ok(());
            }
            source.remove(path.clone())?;
        }
        Ok(())
    }

    fn reset(&self, store: Store) -> Result<()> {
        if store == Store::Db {
            return Err(in_database());
        }
        let mut source = Source::open(&self.project.root)?;
        if store != Store::Dotenv {
            source.remove([self.base(), vec!["config".into()]].concat())?;
        }
        if store != Store::MeltanoYml {
            for setting in &self.listing.settings {
                source.set_variable(&setting.variable, None)?;
            }
        }
        source.write(self.project.warnings())?;
        let places = match store {
            Store::Auto => "`meltano.yml` and `.env`",
            Store::Dotenv => "`.env`",
            Store::MeltanoYml | Store::Db => "`meltano.yml`",
        };
        print(&format!("{} settings in {places} were reset\n", self.title()))
    }

    fn title(&self) -> String {
        let role = self.listing.plugin.role.to_string();
        let (first, rest) = role.split_at(1);
        format!("{}{rest} '{}'", first.to_uppercase(), self.listing.plugin.name)
    }
}

/// Tells whether this is one of Meltano's names for what stands beside `config`, such as `_select`.
fn is_extra(role: Role, name: &str) -> bool {
    let known: &[&str] = match role {
        Role::Extractor => {
            &["select", "select_filter", "metadata", "schema", "catalog", "state", "load_schema"]
        }
        Role::Loader => &["dialect", "target_schema"],
        _ => &[],
    };
    let extra = name.strip_prefix('_').and_then(|name| name.split('.').next());
    extra.is_some_and(|extra| known.contains(&extra))
}

/// Refuses to change Meltano's database.
fn in_database() -> Error {
    Error::new(ErrorKind::Usage, "cannot change settings in Meltano's database: they are only read")
        .hint("leave out --store, or let `meltano config set --store db` do it")
}
