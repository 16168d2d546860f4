//! Where a target writes, as far as its settings tell: two steps that write to one place, under
//! whatever names and in whatever environments, may write to one table.

use std::fmt::Write;

use project::plugin::{SettingRole, is_secret_word};
use project::{Plugin, Step};
use serde_json::Value;

use crate::effect;
use crate::foreign::{FOLDERS, SCHEME};

/// The settings of targets that say where they write, whoever made them; addresses stand for those
/// of a server.
const SETTINGS: [&str; 14] = [
    "account",
    "bucket",
    "catalog",
    "credentials_path",
    "dataset",
    "default_target_schema",
    FOLDERS[1],
    "endpoint",
    SCHEME,
    FOLDERS[0],
    "path",
    "project",
    "schema",
    "warehouse",
];
/// The names that a part of a server's address has, its variable, and what it is without either.
const ADDRESS: [(&[&str], &str, &str); 3] = [
    (&["host", "hostname", "server"], "PGHOST", "localhost"),
    (&["port"], "PGPORT", "5432"),
    (&["database", "dbname"], "PGDATABASE", ""),
];
/// Settings with a whole address.
const URLS: [&str; 3] = ["sqlalchemy_url", "url", "uri"];

/// Names the place that a step writes to; the name tells nothing, as an address may hold a secret.
pub(crate) fn of(step: &Step) -> String {
    let target = step.target();
    let mut text = format!("{:?}", target.executable.file_name());
    let _ = write!(text, " {}", address(target));
    for name in SETTINGS {
        if let Some(value) = written(target, name) {
            let _ = write!(text, " {name}={value}");
        }
    }
    digest(&text)
}

/// Names what the tap of a step reads, by all of its settings but its secrets: a step that has
/// another name, state or environment may read the same.
pub(crate) fn from(step: &Step) -> String {
    let tap = step.tap();
    let mut text = format!("{:?} {}", tap.executable.file_name(), address(tap));
    // A part is of the same source.
    let config = tap.before_part.as_ref().unwrap_or(&tap.config);
    let is_told = |name: &&String| !is_secret_word(name) && !URLS.contains(&name.as_str());
    let mut names: Vec<&String> = config.keys().filter(is_told).collect();
    names.sort();
    for name in names {
        let _ = write!(text, " {name}={}", config[name]);
    }
    digest(&text)
}

/// Names what a step replaces as a whole, if it does: its day, its file, its table, or the
/// partition of it.
pub(crate) fn replaced(step: &Step) -> Option<String> {
    if !effect::takes_the_place(step) {
        return None;
    }
    let mut text = of(step);
    if effect::load_method(step) != Some("overwrite") {
        // The partition of a load may be that of the day which its tap reads.
        let loads = effect::load_method(step).is_some();
        for role in [SettingRole::Source, SettingRole::Datestamp] {
            let of_tap = || step.tap().value_for(role).filter(|_| loads);
            let value = step.target().value_for(role).or_else(of_tap);
            let _ = write!(text, " {}={value:?}", role.word());
        }
    }
    Some(digest(&text))
}

/// Returns the table of a stream, as far as the settings of its target name one.
pub(crate) fn table<'a>(step: &'a Step, stream: &'a str) -> &'a str {
    let names = step.target().config.get("table_names");
    names.and_then(|names| names[stream].as_str()).unwrap_or(stream)
}

/// Returns a setting in the one form of all that mean the same.
fn written(target: &Plugin, name: &str) -> Option<String> {
    match target.config.get(name) {
        Some(Value::String(text)) => {
            let text = text.strip_prefix("./").unwrap_or(text);
            Some(text.strip_suffix('/').filter(|text| !text.is_empty()).unwrap_or(text).to_owned())
        }
        Some(Value::Null) | None if name == "default_target_schema" && target.is_ours() => {
            Some("public".to_owned())
        }
        Some(Value::Null) | None => None,
        Some(value) => Some(value.to_string()),
    }
}

fn digest(text: &str) -> String {
    disk::sum(text)[..24].to_owned()
}

/// Returns host, port and database, from one setting or several; without the user, who may differ.
fn address(target: &Plugin) -> String {
    let text = |name: &&str| target.config.get(*name).and_then(Value::as_str);
    if let Some(url) = URLS.iter().find_map(text) {
        return of_url(url);
    }
    let named = |(names, variable, default): (&[&str], &str, &str)| {
        let set = names.iter().find_map(|name| target.config.get(*name));
        let set = set.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let given = || target.environment.given.get(variable).map(str::to_owned);
        set.or_else(given).unwrap_or_else(|| default.to_owned())
    };
    let [host, port, database] = ADDRESS.map(named);
    server_address(&host, &port, &database)
}

/// Writes the parts of an address in one form: a folder of sockets may end in a slash.
fn server_address(host: &str, port: &str, database: &str) -> String {
    let host = host.strip_suffix('/').filter(|host| !host.is_empty()).unwrap_or(host);
    let host = if host.starts_with('/') { host.to_owned() } else { host.to_lowercase() };
    format!("{host}:{port}/{database}")
}

/// Returns the same of an address: `postgresql://user:secret@host:5432/database?sslmode=require`.
fn of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let with_port = server.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let (host, port) = with_port.unwrap_or((server, ""));
    let parsed = |part: &str, names: &[&str], default: &str| {
        let mut more = query.split('&').filter_map(|pair| pair.split_once('='));
        let more = more.find(|(name, _)| names.contains(name)).map(|(_, value)| value);
        let text = if part.is_empty() { more.unwrap_or(default) } else { part };
        disk::name::decode(text).unwrap_or_else(|| text.to_owned())
    };
    let [host, port, database] = [(host, 0), (port, 1), (database, 2)].map(|(text, at)| {
        let (names, _, default) = ADDRESS[at];
        parsed(text, names, default)
    });
    server_address(&host, &port, &database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for (url, expected) in [
            ("postgresql://u:s@db:5432/sales?sslmode=require", "db:5432/sales"),
            ("postgresql+psycopg2://db/sales", "db:5432/sales"),
            ("postgres://u@[::1]/x", "[::1]:5432/x"),
            ("db:5433", "db:5433/"),
            ("postgres:///x?host=/run/pg/&port=6432", "/run/pg:6432/x"),
            ("postgres://u@%2Frun%2Fpg/x", "/run/pg:5432/x"),
            ("postgres://DB/?dbname=x", "db:5432/x"),
        ] {
            assert_eq!(of_url(url), expected, "{url}");
        }
    }
}
