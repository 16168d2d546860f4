//! The part of a catalog that a run takes: of what the project selects, what patterns name.

use std::collections::BTreeSet;

use project::names::nearest;
use project::plugin::Part;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::matching::Streams;
use super::pattern::{Pattern, id, names};
use super::select_stream;
use super::unreadable::is_marked;
use crate::selection::{Selected, selected};

/// Leaves out what is not of a part; each pattern, and each stream that is named, has to be there.
pub(super) fn take(catalog: &mut Value, part: &Part) -> Result<()> {
    if !part.select.is_empty() {
        select(catalog, &part.select)?;
    }
    let mut read = selected(catalog);
    read.retain(|stream| !is_marked(stream.entry));
    let names: BTreeSet<String> = read.iter().flat_map(names_of).collect();
    if let Some(stream) = part.narrowed.iter().find(|stream| !names.contains(*stream)) {
        let known: Vec<String> = names.iter().cloned().collect();
        return Err(refuse("cannot select rows of a stream that is not read")
            .with("stream", stream)
            .hint(hint(stream, &known)));
    }
    if let Some(stream) = read.iter().filter(|_| part.since).find(|stream| !has_time(stream)) {
        return Err(refuse("cannot use --days for a stream without a replication key of time")
            .with("stream", id(stream.entry))
            .hint("name streams that have one with --select; `chorus plan` lists the keys"));
    }
    Ok(())
}

fn select(catalog: &mut Value, select: &[String]) -> Result<()> {
    let mut patterns: Vec<Pattern> =
        select.iter().map(|text| Pattern::read(text)).collect::<Result<_>>()?;
    if patterns.iter().all(|pattern| pattern.excludes) {
        patterns.push(Pattern::read("*.*")?);
    }
    let Some(streams) = catalog["streams"].as_array_mut() else { return Ok(()) };
    let all = Streams::of(streams);
    for text in select {
        if let Some(hint) = all.lacks(&Pattern::read(text)?, text) {
            return Err(refuse("cannot find a stream or column that the run is to read")
                .with("--select", text)
                .hint(hint));
        }
    }
    for stream in streams.iter_mut() {
        let before = stream.clone();
        let id = id(stream);
        select_stream(stream, &id, &patterns);
        keep_out(stream, &before);
    }
    for (text, pattern) in select.iter().zip(&patterns).filter(|(_, one)| !one.excludes) {
        if !streams.iter().any(|stream| reads(stream, pattern)) {
            return Err(refuse("cannot read a stream or column that the project leaves out")
                .with("--select", text)
                .hint("check `select` and `metadata` of the tap in meltano.yml"));
        }
    }
    Ok(())
}

/// Leaves out what the project does.
fn keep_out(stream: &mut Value, before: &Value) {
    let is_out = |value: &Value| *value == false || *value == "false";
    if is_out(&before["selected"]) {
        stream["selected"] = false.into();
    }
    let known = before["metadata"].as_array().into_iter().flatten();
    let entries = stream["metadata"].as_array_mut().into_iter().flatten();
    for (entry, before) in entries.zip(known) {
        if is_out(&before["metadata"]["selected"]) {
            entry["metadata"]["selected"] = false.into();
        }
    }
}

/// Tells whether anything that a pattern names is read.
fn reads(stream: &Value, pattern: &Pattern) -> bool {
    let is_read = |entry: &Value| entry["metadata"]["selected"] == true;
    pattern.stream.is_match(id(stream))
        && stream["selected"] == true
        && pattern.property.as_ref().is_none_or(|property| {
            let mut entries = stream["metadata"].as_array().into_iter().flatten();
            entries.any(|entry| {
                let way = names(&entry["breadcrumb"]).join(".");
                !way.is_empty() && property.is_match(way) && is_read(entry)
            })
        })
}

fn names_of(stream: &Selected<'_>) -> Vec<String> {
    let names = [&stream.entry["tap_stream_id"], &stream.entry["stream"]];
    names.into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Tells whether a stream has a replication key that is a time, as far as its schema tells, and is
/// read by it.
fn has_time(stream: &Selected<'_>) -> bool {
    let is_whole = stream.value_of("replication-method") == "FULL_TABLE";
    let key = stream.value_of("replication-key");
    let valid = &stream.root["valid-replication-keys"][0];
    let key = key.as_str().or_else(|| valid.as_str()).filter(|_| !is_whole);
    key.is_some_and(|key| {
        let kind = stream.entry["schema"]["properties"][key]["type"].to_string();
        !kind.contains("integer") && !kind.contains("number")
    })
}

fn hint(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the run reads: {}", known.join(", ")),
    }
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use project::plugin::Rules;
    use serde_json::json;

    use super::super::apply;
    use super::*;

    fn catalog() -> Value {
        let at = json!({"breadcrumb": [], "metadata": {"replication-key": "at"}});
        let n = json!({"breadcrumb": [], "metadata": {"replication-key": "n"}});
        let column = |name: &str| {
            let breadcrumb = ["properties", name];
            json!({"breadcrumb": breadcrumb, "metadata": {"inclusion": "available"}})
        };
        let columns = json!([at, column("id"), column("at"), column("email")]);
        json!({"streams": [
            {"tap_stream_id": "orders", "stream": "orders", "metadata": columns,
             "schema": {"properties": {"id": {}, "at": {"type": "string"}, "email": {}}}},
            {"tap_stream_id": "items", "stream": "items", "metadata": [n],
             "schema": {"properties": {"n": {"type": ["null", "integer"]}}}},
        ]})
    }

    /// Returns what is read with these rules: each stream with its columns.
    fn read(select: &[&str], part: Part) -> Result<Vec<String>> {
        let said = || select.iter().map(|text| (*text).to_owned()).collect();
        let select = (!select.is_empty()).then(said);
        let mut catalog = catalog();
        apply(&mut catalog, &Rules { select, part, ..Rules::default() })?;
        let line =
            |stream: &Selected<'_>| format!("{} {}", id(stream.entry), stream.columns.join(" "));
        Ok(selected(&catalog).iter().map(line).collect())
    }

    fn part(select: &[&str], narrowed: &[&str], since: bool) -> Part {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Part { select: texts(select), narrowed: texts(narrowed).into_iter().collect(), since }
    }

    #[test]
    fn a_part_is_of_what_the_project_selects() {
        let check = |select: &[&str], of: &[&str], expected: &[&str]| {
            assert_eq!(read(select, part(of, &[], false)).unwrap(), expected, "{select:?} {of:?}");
        };
        check(&[], &["orders.id"], &["orders id at"]);
        check(&[], &["orders.id", "items"], &["orders id at", "items n"]);
        check(&[], &["!orders.email"], &["orders id at", "items n"]);
        check(&["*.*", "!orders.email"], &["orders.*"], &["orders id at"]);
        check(&["orders.*"], &["*"], &["orders id at email"]);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let check = |select: &[&str], part: Part, word: &str| {
            let failure = read(select, part.clone()).expect_err(word);
            assert_eq!(failure.kind(), ErrorKind::Usage, "{part:?}");
            assert!(failure.to_string().contains(word), "{part:?}: {failure}");
        };
        check(&[], part(&["order"], &[], false), "did you mean `orders`?");
        check(&[], part(&["orders.emial"], &[], false), "did you mean `orders.email`?");
        check(&["*.*", "!orders.email"], part(&["orders.email"], &[], false), "leaves out");
        check(&["orders.*"], part(&["items"], &[], false), "leaves out");
        check(&[], part(&[], &["order"], false), "did you mean `orders`?");
        check(&[], part(&["items"], &["orders"], false), "the run reads: items");
        check(&[], part(&[], &[], true), "stream: items");
        assert!(read(&[], part(&["orders"], &["orders"], true)).is_ok());
    }
}
