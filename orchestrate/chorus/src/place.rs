//! Where a target writes, as far as its settings tell: two steps that write to one place, under
//! whatever names and in whatever environments, may write to one table.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::project::{Plugin, Step};

/// The settings of targets that say where they write, whoever made them; addresses stand for those
/// of a server.
const SETTINGS: [&str; 15] = [
    "account",
    "bucket",
    "catalog",
    "credentials_path",
    "dataset",
    "default_target_schema",
    "destination_path",
    "endpoint",
    "file_naming_scheme",
    "output_path",
    "path",
    "project",
    "schema",
    "table_names",
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
pub fn of(step: &Step) -> String {
    let target = step.target();
    let mut text = format!("{:?}", target.executable.file_name());
    let _ = write!(text, " {}", address(target));
    for name in SETTINGS {
        if let Some(value) = target.config.get(name) {
            let _ = write!(text, " {name}={value}");
        }
    }
    let sum = Sha256::digest(text.as_bytes());
    sum.iter().take(12).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    format!("{host}:{port}/{database}")
}

/// Returns the same of an address: `postgresql://user:secret@host:5432/database?sslmode=require`.
fn of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if has_port { "" } else { ":5432" };
    format!("{server}{port}/{database}")
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
        ] {
            assert_eq!(of_url(url), expected, "{url}");
        }
    }
}
