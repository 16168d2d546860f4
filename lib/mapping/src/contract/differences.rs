//! What differs between streams and contracts: what ends the run, and what is only reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use singer::{Column, Error, ErrorKind, Result, Stream};

use super::compile::{Compiled, Terms, by_name, spelled};
use super::model::{Property, Table};
use super::settings::ExtraColumns;

/// Says what happens to a stream that no contract lists; `true`: it passes.
pub(super) fn passes(
    stream: &Stream,
    tables: &BTreeMap<String, (PathBuf, Table)>,
    terms: &Terms,
) -> Result<bool> {
    if tables.is_empty() {
        return Ok(true);
    }
    let refuse = |what: &str| {
        Error::new(ErrorKind::Config, what)
            .with("stream", &stream.name)
            .hint("add the stream to a contract, or deselect it in the tap")
    };
    if terms.extra == ExtraColumns::Drop {
        singer::warn!(
            "W-CONTRACT-DIFFERS",
            "stream {} is left out: no contract lists it",
            stream.name
        );
        return Ok(false);
    }
    if terms.require_classification {
        return Err(refuse("columns of a stream have no classification: it has no contract"));
    }
    if terms.extra == ExtraColumns::Fail {
        return Err(refuse("a stream has no contract").of_kind(ErrorKind::Data));
    }
    let meant = tables.values().find(|(_, table)| {
        alike(&table.name, &stream.name) && table.properties.iter().any(Property::is_protected)
    });
    if let Some((path, table)) = meant {
        return Err(Error::new(
            ErrorKind::Config,
            "a stream has no contract, and its name is almost that of one that protects columns",
        )
        .with("stream", &stream.name)
        .with("in the contract", &table.name)
        .with("contract", path.display())
        .hint(
            "write the name of the stream as `physicalName` into the contract; for a stream that \
             may pass as it is, add a contract with its name",
        ));
    }
    singer::warn!(
        "W-CONTRACT-DIFFERS",
        "stream {} passes as it is: no contract lists it",
        stream.name
    );
    Ok(true)
}

/// Tells whether two names differ only in case, in marks between words, or in a schema before them.
fn alike(one: &str, other: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let last = |name: &str| letters(name.rsplit(['-', '.']).next().unwrap_or_default());
    letters(one) == letters(other) || last(one) == last(other)
}

/// Refuses a stream that lacks a protected column, and has one with almost its name, which would
/// pass as it is.
pub(super) fn check_protected(columns: &[Column], table: &Table, terms: &Terms) -> Result<()> {
    if terms.extra != ExtraColumns::Keep {
        return Ok(());
    }
    let listed = by_name(table);
    let names: BTreeSet<String> =
        columns.iter().map(|column| spelled(&column.name, table.names)).collect();
    let lacking = |property: &&Property| property.is_protected() && !names.contains(&property.name);
    for property in table.properties.iter().filter(lacking) {
        let is_near =
            |name: &&String| !listed.contains_key(name.as_str()) && alike(&property.name, name);
        let near = names.iter().find(is_near);
        if let Some(near) = near {
            return Err(Error::new(
                ErrorKind::Config,
                "a stream lacks a protected column, and has one with almost its name",
            )
            .with("column", near)
            .with("in the contract", &property.name)
            .hint(
                "write the name of the column as `physicalName` into the contract, or set \
                 `extra_columns: drop`",
            ));
        }
    }
    Ok(())
}

/// Reports columns that pass without being listed, and those that are left out.
pub(super) fn tell(stream: &str, compiled: &Compiled) {
    if !compiled.unlisted.is_empty() {
        singer::warn!(
            "W-CONTRACT-DIFFERS",
            "stream {stream} has columns that its contract does not list, and they pass: {}",
            compiled.unlisted.join(", ")
        );
    }
    if !compiled.left_out.is_empty() {
        tracing::info!(
            "stream {stream}: left out by its contract: {}",
            compiled.left_out.join(", ")
        );
    }
}

/// Refuses to protect the column that orders an incremental read: the state shows its values.
pub(super) fn check_bookmark(stream: &Stream, table: &Table) -> Result<()> {
    let named = match stream.fields.get("bookmark_properties") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name.as_str()],
        _ => Vec::new(),
    };
    let named = named.into_iter();
    for key in named.chain(stream.replication_key.as_deref()) {
        let name = spelled(key, table.names);
        let property = table.properties.iter().find(|property| property.name == name);
        if !stream.has_column(key) && table.properties.iter().any(Property::is_protected) {
            singer::warn!(
                "W-CONTRACT-DIFFERS",
                "stream {}: its replication key {key} is not a column behind the stream maps; the \
                 state holds the last value as it is, and no contract protects it",
                stream.name
            );
        }
        if property.is_some_and(Property::is_protected) {
            return Err(Error::new(ErrorKind::Config, "cannot protect a replication key")
                .with("column", &name)
                .with("reason", "the state of every run holds its last value as it is")
                .hint("choose another replication key, or read the stream in full"));
        }
    }
    Ok(())
}
