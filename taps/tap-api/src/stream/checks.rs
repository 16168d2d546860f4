//! What the settings of streams must be: refused before the first request. Pure.

use std::collections::BTreeSet;

use files::json::RecordsPath;
use singer::{Error, ErrorKind, Result};

use super::StreamSpec;
use crate::settings::Settings;
use crate::template::{Template, names_in};

/// Checks all streams.
///
/// Fails with `Config`; placeholders that nothing fills are reported together.
pub(super) fn all(specs: &[StreamSpec], settings: &Settings) -> Result<()> {
    check_parents(specs)?;
    check_placeholders(specs, settings)?;
    let reads_a_day = settings.datestamp.is_some();
    for spec in specs {
        check_windows(spec, reads_a_day)?;
        check_members(spec)?;
        check_tree(spec)?;
        check_places(spec)?;
    }
    Ok(())
}

fn check_parents(specs: &[StreamSpec]) -> Result<()> {
    for spec in specs {
        let mut at = spec;
        for _ in 0..=specs.len() {
            let Some((parent, _)) = &at.parent else { break };
            at = &specs[*parent];
            if at.name == spec.name {
                return Err(Error::new(ErrorKind::Config, "a stream is its own ancestor")
                    .with("stream", &spec.name));
            }
        }
    }
    Ok(())
}

/// Refuses windows that give the rows of those before them again.
fn check_windows(spec: &StreamSpec, reads_a_day: bool) -> Result<()> {
    let cut = spec.window_days.is_some_and(|days| days > 0) && spec.replication_key.is_some();
    let has_times = spec.asks_for_times();
    if !cut || spec.asks_from_a_time() || reads_a_day && has_times {
        return Ok(());
    }
    let reason = if has_times {
        "with only {end} each window has the rows of all windows before it"
    } else {
        "the request is the same for each window"
    };
    Err(Error::new(ErrorKind::Config, "cannot divide the read into windows")
        .with("stream", &spec.name)
        .with("reason", reason)
        .hint("put {start} and {end} into `params`, or remove `window_days`"))
}

/// Refuses a column that has a value of the parent and one of an input.
fn check_members(spec: &StreamSpec) -> Result<()> {
    let mut keys = spec.parent.iter().flat_map(|(_, keys)| keys);
    let inputs = spec.inputs.first().map(|input| &input.members);
    let is_input = |name: &String| inputs.is_some_and(|all| all.iter().any(|(at, _)| at == name));
    let Some((name, _)) = keys.find(|(name, _)| is_input(name)) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Config,
        "`inputs` and `parent_keys` both give a value for one column",
    )
    .with("stream", &spec.name)
    .with("column", name)
    .hint("choose another name in `parent_keys`"))
}

/// Refuses places within the list of the records: of that the last element alone is known when they
/// are looked for.
fn check_places(spec: &StreamSpec) -> Result<()> {
    let paths = spec.paging.path.iter().map(|path| ("next_page_token_path", path.to_string()));
    let tokens = spec.paging.tokens.iter();
    let tokens = tokens.map(|(_, path)| ("next_page_tokens", path.to_string()));
    let columns = spec.elements.columns_path().map(|path| ("columns_path", path));
    for (setting, text) in paths.chain(tokens).chain(columns) {
        let path = RecordsPath::parse(&text.replace("['", ".").replace("']", ""));
        if path.is_ok_and(|path| spec.records.is_entered_by(&path)) {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot read a field inside the list of records",
            )
            .with("stream", &spec.name)
            .with("setting", setting)
            .with("path", text)
            .with("records_path", &spec.records)
            .hint("only the last element of that list can be used: [-1]"));
        }
    }
    Ok(())
}

/// Refuses a tree of which a part would be read: what is under a row is found by the row.
fn check_tree(spec: &StreamSpec) -> Result<()> {
    let Some(recurse) = &spec.recurse else { return Ok(()) };
    let refuse = |reason: &str| {
        Err(Error::new(ErrorKind::Config, "cannot use `recurse`")
            .with("stream", &spec.name)
            .with("reason", reason))
    };
    let columns = [&recurse.level_column, &recurse.leaf_column];
    let is_column = |name: &String| columns.contains(&name);
    let inputs = spec.inputs.iter().flat_map(|input| &input.members).map(|(name, _)| name);
    let parents = spec.parent.iter().flat_map(|(_, keys)| keys).map(|(name, _)| name);
    if recurse.parent_keys.is_empty() {
        return refuse("it has no `parent_keys`, which say how a row leads to its children");
    }
    if recurse.max_depth == Some(0) {
        return refuse("its `max_depth` is 0, but the first level is 1");
    }
    if spec.asks_for_times() || spec.window_days.is_some_and(|days| days > 0) {
        return refuse(
            "the request asks for a part of the time, but a row that did not change may have \
             children that changed: remove {start}, {end}, {datestamp} and `window_days`",
        );
    }
    let mut names = recurse.parent_keys.keys().chain(inputs).chain(parents);
    if columns[0] == columns[1] || names.any(is_column) {
        return refuse("two of its columns have one name: set `level_column` or `leaf_column`");
    }
    let is_asked = |name: &&String| !spec.placeholders().contains(name);
    match recurse.parent_keys.keys().find(is_asked) {
        Some(name) => refuse(&format!("the request does not use {{{name}}}")),
        None => Ok(()),
    }
}

/// Returns what fills the placeholders of a stream besides times.
fn known(spec: &StreamSpec) -> BTreeSet<String> {
    let inputs = spec.inputs.iter().flat_map(|input| &input.members);
    let mut names: BTreeSet<String> = inputs.map(|(name, _)| name.clone()).collect();
    if let Some((_, keys)) = &spec.parent {
        names.extend(keys.iter().map(|(to, _)| to.clone()));
    }
    names.extend(spec.recurse.iter().flat_map(|recurse| recurse.parent_keys.keys().cloned()));
    names
}

fn check_placeholders(specs: &[StreamSpec], settings: &Settings) -> Result<()> {
    let mut missing = Vec::new();
    for spec in specs {
        let mut known = known(spec);
        if settings.datestamp.is_some() {
            known.insert("datestamp".to_owned());
        }
        if spec.replication_key.is_some() || settings.datestamp.is_some() {
            known.extend(["start".to_owned(), "end".to_owned()]);
        }
        let mut look = |place: &str, names: Vec<String>| {
            for name in names.into_iter().filter(|name| !known.contains(name)) {
                missing.push(format!("{}.{place}: {{{name}}}", spec.name));
            }
        };
        look("path", spec.path.names().map(str::to_owned).collect());
        let first = spec.first_params.iter().map(|param| ("first_page_params", param));
        let params = spec.params.iter().map(|param| ("params", param));
        for (place, (name, value)) in params.chain(first) {
            let mut names = Vec::new();
            names_in(value, &mut names);
            look(&format!("{place}.{name}"), names);
        }
        for (name, value) in &spec.headers {
            let template = Template::new(value.reveal());
            look(&format!("headers.{name}"), template.names().map(str::to_owned).collect());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot fill all placeholders")
        .with("without a value", missing.join(", "))
        .hint(
            "placeholders are members of `inputs`, columns of `parent_keys`, {start} and {end} of \
             streams with a `replication_key`, or {datestamp}",
        ))
}
