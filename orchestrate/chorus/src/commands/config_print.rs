//! How `chorus config` shows the settings of a plugin.

use std::fmt::Write;

use project::plugin::listing::{Listing, Setting};
use project::source::quoted;
use serde_json::{Value, json};

use crate::cli::edits::ListFormat;
use crate::commands::pretty;
use crate::commands::spelling::python;

const HIDDEN: &str = "*****";

/// Which settings are listed, and how.
pub struct Shown {
    /// Also those that nobody has set.
    pub all: bool,
    /// Only those whose names have this text.
    pub filter: Option<String>,
    /// Secrets, too.
    pub with_secrets: bool,
}

/// Returns what stands beside the settings in their place.
pub fn of_extras(listing: Listing) -> Listing {
    Listing { settings: listing.extras.clone(), groups: Vec::new(), ..listing }
}

/// Lists settings.
pub fn listed(mut listing: Listing, shown: &Shown, format: ListFormat) -> String {
    let groups = listing.groups.clone();
    let is_required = |name: &String| groups.iter().any(|group| group.contains(name));
    let is_set = |setting: &Setting| setting.value.is_some() && !setting.origin.is_default();
    let is_shown = |setting: &Setting| match &shown.filter {
        Some(part) => setting.name.to_lowercase().contains(&part.to_lowercase()),
        None => shown.all || is_set(setting) || is_required(&setting.name),
    };
    let count = listing.settings.len();
    listing.settings.retain(is_shown);
    let hidden = count - listing.settings.len();
    match format {
        ListFormat::Json => list_json(&listing, shown.with_secrets),
        ListFormat::Text => list(&listing, shown.with_secrets, hidden),
    }
}

/// Returns what stands beside the settings as JSON, what nobody sets as null.
pub fn extras_json(listing: &Listing) -> String {
    let all = listing.extras.iter();
    let all = all.map(|one| (one.name.clone(), one.value.clone().unwrap_or_default()));
    pretty(&Value::Object(all.collect()))
}

/// Returns what stands beside the settings as variables.
pub fn extras_variables(listing: &Listing) -> String {
    let mut text = String::new();
    for (name, value) in listing.plugin.extra_variables() {
        let _ = writeln!(text, "{name}={}", quoted(value));
    }
    text
}

/// Says which settings belong together, as Meltano does.
fn groups(groups: &[Vec<String>]) -> String {
    let sorted = |group: &Vec<String>| {
        let mut names = group.clone();
        names.sort();
        names.join(", ")
    };
    match groups {
        [] => String::new(),
        [one] => format!("Required settings: {}\n\n", sorted(one)),
        several => {
            let mut text =
                "Setting groups (one of the following combinations is required):\n".to_owned();
            for (at, group) in several.iter().enumerate() {
                let _ = writeln!(text, "  Group {}: {}", at + 1, sorted(group));
            }
            text + "\n"
        }
    }
}

/// Returns the settings as the plugin gets them, secrets hidden.
pub fn as_json(listing: &Listing, with_secrets: bool) -> String {
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

pub fn as_variables(listing: &Listing, with_secrets: bool) -> String {
    let mut text = String::new();
    for (name, value, is_secret) in listing.plugin.setting_variables() {
        let value = if is_secret && !with_secrets { HIDDEN } else { value };
        let _ = writeln!(text, "{name}={}", quoted(value));
    }
    text
}

/// Returns the settings one by one, as Meltano lists them.
fn list(listing: &Listing, with_secrets: bool, hidden: usize) -> String {
    let mut text = groups(&listing.groups);
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
