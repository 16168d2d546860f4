//! What the user may not read of a source, and of that what the rules select.
//!
//! The rule: it takes part in the selection as if it could be read, so that a pattern that names it
//! matches something; afterwards it is taken out, and told of if it was selected. What lies where
//! the user may look at nothing is told of only if a pattern names nothing else.

use serde_json::{Map, Value, json};
use singer::unreadable::{MEMBER, Unreadable, statements};
use singer::{Error, ErrorKind, Result};

use super::pattern::{Pattern, id};

/// Marks a stream that stands for one that cannot be read.
const MARK: &str = "unreadable";

/// Tells whether an entry stands for a stream that cannot be read.
pub(super) fn is_marked(stream: &Value) -> bool {
    stream[MARK] == true
}

/// Returns what a tap lists as unreadable, and takes the list out of the catalog.
pub(super) fn take(catalog: &mut Value) -> Vec<Unreadable> {
    let listed = catalog.as_object_mut().and_then(|catalog| catalog.shift_remove(MEMBER));
    listed.and_then(|listed| serde_json::from_value(listed).ok()).unwrap_or_default()
}

/// Puts what a tap lists as unreadable among its streams and their properties.
pub(super) fn add(catalog: &mut Value) -> Vec<Unreadable> {
    let all = take(catalog);
    let Some(streams) = catalog["streams"].as_array_mut() else { return Vec::new() };
    for one in &all {
        match &one.column {
            None => streams.push(json!({ "tap_stream_id": one.tap_stream_id, MARK: true,
                                         "schema": { "properties": {} } })),
            Some(column) => {
                let stream = streams.iter_mut().find(|stream| id(stream) == one.tap_stream_id);
                if let Some(properties) = stream.and_then(|one| properties(one)) {
                    properties.entry(column).or_insert_with(|| json!({}));
                }
            }
        }
    }
    all
}

/// Takes it out again; returns what of it was selected.
///
/// # Errors
/// `Denied` where nothing else was.
pub(super) fn remove(
    catalog: &mut Value,
    all: Vec<Unreadable>,
    patterns: &[Pattern],
) -> Result<Vec<Unreadable>> {
    let Some(streams) = catalog["streams"].as_array_mut() else { return Ok(Vec::new()) };
    let names_it_alone = |one: &Unreadable| {
        let is_open = |stream: &&Value| !is_marked(stream);
        let mut readable = streams.iter().filter(is_open);
        let mut naming = patterns
            .iter()
            .filter(|pattern| !pattern.excludes && pattern.stream.is_match(&one.tap_stream_id));
        naming.any(|pattern| !readable.any(|stream| pattern.stream.is_match(id(stream))))
    };
    let is_told = |one: &Unreadable| {
        let stream = streams.iter().find(|stream| id(stream) == one.tap_stream_id);
        let is_selected = stream.is_some_and(|stream| selects(stream, one.column.as_deref()));
        is_selected && (!one.is_closed || names_it_alone(one))
    };
    let told: Vec<bool> = all.iter().map(is_told).collect();
    for one in all.iter().rev() {
        let Some(column) = &one.column else { continue };
        let Some(stream) = streams.iter_mut().find(|stream| id(stream) == one.tap_stream_id) else {
            continue;
        };
        if let Some(properties) = properties(stream) {
            properties.shift_remove(column);
        }
        if let Some(entries) = stream["metadata"].as_array_mut() {
            entries.retain(|entry| entry["breadcrumb"] != json!(["properties", column]));
        }
    }
    streams.retain(|stream| !is_marked(stream));
    let mut told = told.into_iter();
    let told: Vec<Unreadable> =
        all.into_iter().filter(|_| told.next().unwrap_or_default()).collect();
    let whole: Vec<&Unreadable> = told.iter().filter(|one| one.column.is_none()).collect();
    if !whole.is_empty() && !streams.iter().any(|stream| selects(stream, None)) {
        return Err(refused(&whole));
    }
    Ok(told)
}

/// Says that the user may not read what is to be read.
pub(super) fn refused(all: &[&Unreadable]) -> Error {
    let names: Vec<&str> = all.iter().take(5).map(|one| one.name.as_str()).collect();
    Error::new(ErrorKind::Denied, "cannot read anything that is selected: the user lacks the right")
        .with("tables", format!("{}: {}", all.len(), names.join(", ")))
        .hint(format!(
            "run as their owner: {}; `chorus doctor --grants` prints all that is lacking",
            statements(all)
        ))
}

fn properties(stream: &mut Value) -> Option<&mut Map<String, Value>> {
    stream["schema"]["properties"].as_object_mut()
}

/// Tells whether a stream, or a property of it, is selected by what the rules have written.
fn selects(stream: &Value, column: Option<&str>) -> bool {
    let mut entries = stream["metadata"].as_array().into_iter().flatten();
    let is_selected = |breadcrumb: &Value, entry: &Value| {
        entry["breadcrumb"] == *breadcrumb && entry["metadata"]["selected"] == true
    };
    stream["selected"] == true
        && column.is_none_or(|column| {
            let breadcrumb = json!(["properties", column]);
            entries.any(|entry| is_selected(&breadcrumb, entry))
        })
}

#[cfg(test)]
mod tests {
    use project::plugin::{Part, Rules};
    use singer::ErrorKind;

    use super::super::apply;
    use super::*;

    /// Streams `p-a` (with the columns `id` and, hidden, `secret`) and `p-b`; `p-c` and `shut-d`
    /// cannot be read.
    fn catalog() -> Value {
        let stream = |id: &str| {
            json!({ "tap_stream_id": id, "stream": id,
                    "schema": { "properties": { "id": {} } }, "metadata": [] })
        };
        json!({
            "streams": [stream("p-a"), stream("p-b")],
            "unreadable": [
                { "tap_stream_id": "p-a", "name": "p.a", "column": "secret", "grants": ["G a"] },
                { "tap_stream_id": "p-c", "name": "p.c", "grants": ["G c"] },
                { "tap_stream_id": "shut-d", "name": "shut.d", "is_closed": true,
                  "grants": ["G shut", "G d"] },
            ],
        })
    }

    fn rules(select: &[&str]) -> Rules {
        let select: Vec<String> = select.iter().map(|text| (*text).to_owned()).collect();
        Rules { select: Some(select).filter(|select| !select.is_empty()), ..Rules::default() }
    }

    /// Returns what is told with these rules.
    fn told(rules: &Rules) -> Result<String> {
        let mut catalog = catalog();
        let told = apply(&mut catalog, rules)?;
        assert_eq!(told.unmatched, Vec::<String>::new());
        let text = catalog.to_string();
        for hidden in ["secret", "p-c", "shut-d", "unreadable"] {
            assert!(!text.contains(hidden), "{text}");
        }
        let names = told.unreadable.iter().map(|one| {
            one.column.as_ref().map_or(one.name.clone(), |column| format!("{}.{column}", one.name))
        });
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_is_selected_and_cannot_be_read_is_told() {
        let check = |select: &[&str], expected: &str| {
            assert_eq!(told(&rules(select)).unwrap(), expected, "{select:?}");
        };
        check(&[], "p.a.secret p.c");
        check(&["*.*"], "p.a.secret p.c");
        check(&["p-b.*"], "");
        check(&["p-a.id"], "");
        check(&["p-a.secret", "p-a.id"], "p.a.secret");
        check(&["p-b.*", "p-c.*"], "p.c");
        check(&["p-b.*", "p-c.id"], "p.c");
        check(&["p-b.*", "shut-*.*"], "shut.d");
        check(&["*.*", "!p-c.*"], "p.a.secret");
        check(&["*.*", "!p-c", "!p-a.secret"], "");
        check(&["*.*", "!shut-d.*"], "p.a.secret p.c");
        let filter = |text: &str| vec![text.to_owned()];
        let filtered = Rules { select_filter: filter("p-b"), ..rules(&[]) };
        assert_eq!(told(&filtered).unwrap(), "");
        let metadata = json!({ "p-c": { "selected": false } }).as_object().cloned().unwrap();
        assert_eq!(told(&Rules { metadata, ..rules(&[]) }).unwrap(), "p.a.secret");
        let part = Part { select: filter("p-b"), ..Part::default() };
        assert_eq!(told(&Rules { part, ..rules(&[]) }).unwrap(), "");
    }

    #[test]
    fn a_selection_of_nothing_else_is_refused() {
        let part = Part { select: vec!["p-c".to_owned()], ..Part::default() };
        for rules in [
            rules(&["p-c.*"]),
            rules(&["p-c", "shut-d"]),
            rules(&["shut-d.*"]),
            Rules { select_filter: vec!["p-c".to_owned()], ..rules(&[]) },
            Rules { part, ..rules(&[]) },
        ] {
            let failure = told(&rules).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Denied, "{rules:?}");
            assert!(failure.to_string().contains("run as their owner: G "), "{failure}");
        }
        let failure = told(&rules(&["p-q.*"])).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config);
    }
}
