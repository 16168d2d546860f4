//! `chorus config`: looks at the settings of a plugin and changes them.

use std::fmt::Write;
use std::io::Read;

use project::edit::Part;
use project::plugin::listing::{Listing, Origin, Setting, typed};
use project::plugin::{holds_secret, is_secret_word};
use project::source::quoted;
use project::{Project, Role, Source, warning};
use serde_json::{Map, Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::cli::edits::{ConfigArgs, ConfigCommand, ConfigFormat, ListFormat, Store};
use crate::commands::spelling::python;
use crate::commands::{check, entry_path, pretty};

const HIDDEN: &str = "*****";

/// Does what the command says; `environment` is the one that the command line names.
pub fn config(project: &Project, args: ConfigArgs, environment: Option<&str>) -> Result<()> {
    let with_secrets = args.with_secrets;
    match args.command {
        ConfigCommand::Print { plugin, format } => {
            let listing = Listing::of(project, &plugin)?;
            print(&match format {
                ConfigFormat::Json => as_json(&listing, with_secrets),
                ConfigFormat::Env => as_variables(&listing, with_secrets),
            })
        }
        ConfigCommand::List { plugin, all, filter, format } => {
            let mut listing = Listing::of(project, &plugin)?;
            let is_shown = |setting: &Setting| match &filter {
                Some(part) => setting.name.to_lowercase().contains(&part.to_lowercase()),
                None => all || setting.value.is_some() && !setting.origin.is_default(),
            };
            let count = listing.settings.len();
            listing.settings.retain(is_shown);
            let hidden = count - listing.settings.len();
            print(&match format {
                ListFormat::Json => list_json(&listing, with_secrets),
                ListFormat::Text => list(&listing, with_secrets, hidden),
            })
        }
        ConfigCommand::Set { plugin, mut words, store, from_file } => {
            let listing = Listing::of(project, &plugin)?;
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
            let listing = Listing::of(project, &plugin)?;
            Edited { project, listing, environment }.unset(&words.join("."), store)
        }
        ConfigCommand::Reset { plugin, store, yes } => {
            if !yes {
                return Err(Error::new(ErrorKind::Usage, "cannot remove all settings unasked")
                    .with("plugin", &plugin)
                    .hint(format!("to remove them: chorus config reset {plugin} --yes")));
            }
            let listing = Listing::of(project, &plugin)?;
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

/// Returns the settings as the plugin gets them, secrets hidden.
fn as_json(listing: &Listing, with_secrets: bool) -> String {
    let mut config = Value::Object(listing.plugin.config.clone());
    if !listing.plugin.role.is_of_pipeline() {
        // It reads variables: as in Meltano, all of its settings are shown, by their whole names.
        let all = listing.settings.iter();
        let all = all.map(|one| (one.name.clone(), one.value.clone().unwrap_or_default()));
        config = Value::Object(all.collect());
    }
    for setting in listing.settings.iter().filter(|one| one.is_secret && !with_secrets) {
        hide(&mut config, &setting.name);
    }
    pretty(&config)
}

fn hide(config: &mut Value, name: &str) {
    if let Some(value) = config.get_mut(name).filter(|value| !value.is_null()) {
        *value = HIDDEN.into();
        return;
    }
    if let Some((first, rest)) = name.split_once('.')
        && let Some(inner) = config.get_mut(first)
    {
        hide(inner, rest);
    }
}

fn as_variables(listing: &Listing, with_secrets: bool) -> String {
    let mut text = String::new();
    for (name, value, is_secret) in listing.plugin.setting_variables() {
        let value = if is_secret && !with_secrets { HIDDEN } else { value };
        let _ = writeln!(text, "{name}={}", quoted(value));
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the settings one by one, as Meltano lists them.
fn list(listing: &Listing, with_secrets: bool, hidden: usize) -> String {
    let mut text = String::new();
    for declared in [true, false] {
        let mut all = listing.settings.iter().filter(|one| one.is_declared == declared).peekable();
        if all.peek().is_some() && !declared {
            text += "\nCustom, possibly unsupported by the plugin:\n";
        }
        for setting in all {
            let value = match &setting.value {
                Some(_) if setting.is_secret && !with_secrets => "(redacted)".to_owned(),
                value => python(value.as_ref().unwrap_or(&Value::Null)),
            };
            let Setting { name, variable, .. } = setting;
            let label = setting.origin.label();
            let _ = writeln!(text, "{name} [env: {variable}] current value: {value} ({label})");
            if let Some(words) = &setting.description {
                let _ = writeln!(text, "\t{}", words.lines().next().unwrap_or_default());
            }
        }
    }
    if hidden > 0 {
        let (settings, are) = if hidden == 1 { ("setting", "is") } else { ("settings", "are") };
        let _ =
            writeln!(text, "\n{hidden} {settings} that nobody set {are} hidden. --all shows them.");
    }
    text
}

fn list_json(listing: &Listing, with_secrets: bool) -> String {
    let one = |setting: &Setting| {
        let is_hidden = setting.is_secret && !with_secrets && setting.value.is_some();
        let value = if is_hidden { Some(HIDDEN.into()) } else { setting.value.clone() };
        json!({
            "name": setting.name,
            "value": value,
            "source": setting.origin.label(),
            "env": setting.variable,
            "kind": setting.kind,
            "description": setting.description,
            "secret": setting.is_secret,
            "custom": !setting.is_declared,
        })
    };
    let settings: Vec<Value> = listing.settings.iter().map(one).collect();
    let all = json!({ "plugin": listing.plugin.name, "settings": settings });
    pretty(&all)
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
