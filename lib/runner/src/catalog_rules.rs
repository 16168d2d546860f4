//! Applies a project's `select`, `metadata` and `schema` to the catalog of a tap, as Meltano does.

mod form;
mod matching;
mod part;
mod pattern;
mod unreadable;

use globset::GlobMatcher;
use project::plugin::Rules;
use serde_json::{Map, Value, json};
use singer::unreadable::Unreadable;
use singer::{Error, ErrorKind, Result};

use matching::Streams;
use pattern::{Pattern, id, is_selected, matcher, names, split};

/// What there is to tell of the rules.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Patterns that match nothing.
    pub unmatched: Vec<String>,
    /// What is selected and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// Changes the catalog as the rules say. Without `select` everything is selected. Returns what to
/// tell of patterns that match nothing, and of what the user may not read. A pattern that would
/// leave something out is refused, and so is `select` as a whole where it selects no stream at all.
pub(crate) fn apply(catalog: &mut Value, rules: &Rules) -> Result<Told> {
    form::check(catalog)?;
    let unreadable = unreadable::add(catalog);
    let mut warnings = if rules.catalog.is_some() {
        beside_catalog(rules)
    } else {
        select_streams(catalog, rules)?
    };
    filter_streams(catalog, &rules.select_filter, &mut warnings)?;
    part::take(catalog, &rules.part)?;
    let patterns = [rules.select.as_deref().unwrap_or_default(), &rules.part.select].concat();
    let patterns: Vec<Pattern> =
        patterns.iter().map(|text| Pattern::read(text)).collect::<Result<_>>()?;
    let unreadable = unreadable::remove(catalog, unreadable, &patterns)?;
    Ok(Told { unmatched: warnings, unreadable })
}

/// Returns what a run without any rule would read and the user may not, and takes it out of the
/// catalog.
pub(crate) fn unreadable(catalog: &mut Value) -> Vec<Unreadable> {
    let mut all = unreadable::take(catalog);
    all.retain(|one| !one.is_closed);
    all
}

/// Tells of rules that have no effect: as for Meltano, a catalog that the project names is used as
/// it is.
fn beside_catalog(rules: &Rules) -> Vec<String> {
    let all = [
        ("select", rules.select.as_ref().is_none_or(Vec::is_empty)),
        ("metadata", rules.metadata.is_empty()),
        ("schema", rules.schema.is_empty()),
    ];
    let given = all.into_iter().filter(|(_, is_empty)| !is_empty);
    given.map(|(name, _)| format!("`{name}` has no effect beside `catalog`")).collect()
}

fn select_streams(catalog: &mut Value, rules: &Rules) -> Result<Vec<String>> {
    let everything = ["*.*".to_owned()];
    let select = rules.select.as_deref().unwrap_or(&everything);
    let patterns: Vec<Pattern> =
        select.iter().map(|text| Pattern::read(text)).collect::<Result<_>>()?;
    let Some(streams) = catalog["streams"].as_array_mut() else {
        return Err(Error::new(ErrorKind::Protocol, "the catalog of the tap has no `streams`"));
    };
    let mut warnings = Vec::new();
    streams.iter_mut().for_each(complete_metadata);
    Streams::of(streams).check_schema(&rules.schema, &mut warnings)?;
    for stream in streams.iter_mut() {
        let id = id(stream);
        add_schema(stream, &id, &rules.schema)?;
        complete_metadata(stream);
    }
    let all = Streams::of(streams);
    all.check_select(rules.select.as_deref().unwrap_or_default(), &mut warnings)?;
    all.check_some(&patterns, select)?;
    all.check_metadata(&rules.metadata, &mut warnings)?;
    for stream in streams {
        let id = id(stream);
        select_stream(stream, &id, &patterns);
        add_metadata(stream, &id, &rules.metadata)?;
    }
    Ok(warnings)
}

/// Leaves out the streams that no pattern of `select_filter` names, and those that one leaves out.
fn filter_streams(
    catalog: &mut Value,
    filter: &[String],
    warnings: &mut Vec<String>,
) -> Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    let patterns: Vec<Pattern> =
        filter.iter().map(|text| Pattern::read(text)).collect::<Result<_>>()?;
    let streams = catalog["streams"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    Streams::of(streams).check_filter(filter, warnings)?;
    for stream in streams {
        let id = id(stream);
        let is_named = |excludes: bool| {
            let mut named = patterns.iter().filter(|pattern| pattern.excludes == excludes);
            named.any(|pattern| pattern.stream.is_match(&id))
        };
        let names_all = patterns.iter().all(|pattern| pattern.excludes);
        if is_named(true) || !names_all && !is_named(false) {
            complete_metadata(stream);
            stream["selected"] = false.into();
            for entry in stream["metadata"].as_array_mut().into_iter().flatten() {
                entry["metadata"]["selected"] = false.into();
            }
        }
    }
    Ok(())
}

/// Tells whether patterns leave a stream in, as far as its name tells; without patterns all are.
pub(crate) fn selects(select: Option<&[String]>, stream: &str) -> Result<bool> {
    let Some(select) = select else { return Ok(true) };
    let patterns: Vec<Pattern> =
        select.iter().map(|text| Pattern::read(text)).collect::<Result<_>>()?;
    Ok(is_selected(stream, &patterns))
}

/// Adds the entries that the tap left out: for the stream, and for every property.
fn complete_metadata(stream: &mut Value) {
    let mut wanted = vec![Vec::new()];
    gather(&stream["schema"], &mut Vec::new(), &mut wanted);
    if !stream["metadata"].is_array() {
        stream["metadata"] = json!([]);
    }
    let Some(entries) = stream["metadata"].as_array_mut() else { return };
    for breadcrumb in wanted {
        let breadcrumb = Value::from(breadcrumb);
        if entries.iter().any(|entry| entry["breadcrumb"] == breadcrumb) {
            continue;
        }
        let depth = breadcrumb.as_array().map_or(0, Vec::len);
        let inclusion = if depth <= 2 { "automatic" } else { "available" };
        let metadata = json!({ "inclusion": inclusion });
        entries.push(json!({ "breadcrumb": breadcrumb, "metadata": metadata }));
    }
}

fn gather(schema: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        at.extend(["properties".to_owned(), name.clone()]);
        found.push(at.clone());
        gather(property, at, found);
        at.truncate(at.len() - 2);
    }
}

fn select_stream(stream: &mut Value, id: &str, select: &[Pattern]) {
    let here: Vec<&Pattern> = select.iter().filter(|pattern| pattern.stream.is_match(id)).collect();
    let selected = is_selected(id, select);
    stream["selected"] = selected.into();
    for entry in stream["metadata"].as_array_mut().into_iter().flatten() {
        let names = names(&entry["breadcrumb"]);
        let chosen =
            if names.is_empty() { selected } else { selected && property_is_chosen(&names, &here) };
        entry["metadata"]["selected"] = chosen.into();
    }
}

/// A property is chosen by a pattern of its own or of one inside of it; a pattern that leaves out
/// one of its parents leaves it out.
fn property_is_chosen(names: &[&str], patterns: &[&Pattern]) -> bool {
    let path = names.join(".");
    let parents: Vec<String> = (1..=names.len()).map(|depth| names[..depth].join(".")).collect();
    let hits = |pattern: &&Pattern| match &pattern.property {
        None => true,
        Some(property) if pattern.excludes => parents.iter().any(|path| property.is_match(path)),
        Some(property) => {
            property.is_match(&path) || {
                let text = property.glob().glob();
                text.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    };
    let mut out = patterns.iter().filter(|pattern| pattern.excludes && pattern.property.is_some());
    let mut chosen = patterns.iter().filter(|pattern| !pattern.excludes);
    !out.any(&hits) && chosen.any(&hits)
}

fn add_metadata(stream: &mut Value, id: &str, rules: &Map<String, Value>) -> Result<()> {
    for (place, values) in rules {
        let pattern = Pattern::read(place)?;
        // A rule may also be written as stream: {property: {key: value}}.
        let Some(values) = values.as_object().filter(|_| pattern.stream.is_match(id)) else {
            continue;
        };
        for (key, value) in values {
            let nested = value.as_object().filter(|_| pattern.property.is_none());
            if let Some(inner) = nested {
                let property = matcher(key)?;
                for (key, value) in inner {
                    set_metadata(stream, Some(&property), key, value);
                }
            } else {
                set_metadata(stream, pattern.property.as_ref(), key, value);
            }
        }
    }
    Ok(())
}

fn set_metadata(stream: &mut Value, property: Option<&GlobMatcher>, key: &str, value: &Value) {
    for entry in stream["metadata"].as_array_mut().into_iter().flatten() {
        let names = names(&entry["breadcrumb"]);
        let here = match property {
            None => names.is_empty(),
            Some(property) => !names.is_empty() && property.is_match(names.join(".")),
        };
        if here {
            entry["metadata"][key] = value.clone();
        }
    }
    // Taps read some of them from the stream alone, such as `key_properties`.
    if property.is_none() {
        stream[key.replace('-', "_")] = value.clone();
    }
}

fn add_schema(stream: &mut Value, id: &str, rules: &Map<String, Value>) -> Result<()> {
    for (place, values) in rules {
        let (of_stream, path) = split(place);
        let Some(values) = values.as_object() else { continue };
        if !matcher(of_stream)?.is_match(id) {
            continue;
        }
        let Some(path) = path else {
            for (key, value) in values {
                set_schema(stream, key, value)?;
            }
            continue;
        };
        set_schema(stream, path, &Value::Object(values.clone()))?;
    }
    Ok(())
}

/// Replaces the schema of the properties that a pattern names; a name that no property has is a new
/// property. One with dots names a property inside others, or none.
fn set_schema(stream: &mut Value, pattern: &str, schema: &Value) -> Result<()> {
    let matching = matcher(pattern)?;
    let Some(properties) = stream["schema"]["properties"].as_object_mut() else { return Ok(()) };
    let is_way = pattern.contains('.');
    if !is_way && !pattern.contains(['*', '?', '[']) && !properties.contains_key(pattern) {
        properties.insert(pattern.to_owned(), Value::Null);
    }
    replace(properties, "", is_way, &mut |way, property| {
        let is_it = matching.is_match(way);
        if is_it {
            *property = schema.clone();
        }
        is_it
    });
    Ok(())
}

/// Visits properties, and those inside the ones that are not replaced.
fn replace(
    properties: &mut Map<String, Value>,
    above: &str,
    is_deep: bool,
    replaced: &mut dyn FnMut(&str, &mut Value) -> bool,
) {
    for (name, property) in properties {
        let way = format!("{above}{name}");
        if !replaced(&way, property)
            && is_deep
            && let Some(inner) = property.get_mut("properties").and_then(Value::as_object_mut)
        {
            replace(inner, &format!("{way}."), is_deep, replaced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Value {
        json!({"streams": [
            {"tap_stream_id": "public-users", "stream": "public-users",
             "schema": {"properties": {
                 "id": {}, "email": {}, "home": {"properties": {"city": {}}},
             }},
             "metadata": [
                 {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
             ]},
            {"tap_stream_id": "public-orders", "stream": "public-orders",
             "schema": {"properties": {"id": {}, "at": {"type": "string"}}}, "metadata": []},
        ]})
    }

    /// Returns `stream` or `stream.property` of everything selected.
    fn selected(select: &[&str]) -> Vec<String> {
        let mut catalog = catalog();
        let select: Vec<String> = select.iter().map(|text| (*text).to_owned()).collect();
        let select = Some(select).filter(|select| !select.is_empty());
        apply(&mut catalog, &Rules { select, ..Rules::default() }).unwrap();
        let mut found = Vec::new();
        for stream in catalog["streams"].as_array().unwrap() {
            let id = stream["tap_stream_id"].as_str().unwrap().trim_start_matches("public-");
            for entry in stream["metadata"].as_array().unwrap() {
                if entry["metadata"]["selected"] == true {
                    let names = names(&entry["breadcrumb"]).join(".");
                    found.push(format!("{id}.{names}").trim_end_matches('.').to_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn selects_by_patterns() {
        let users = ["users", "users.email", "users.home", "users.home.city", "users.id"];
        let orders = ["orders", "orders.at", "orders.id"];
        let all: Vec<&str> = orders.iter().chain(&users).copied().collect();
        assert_eq!(selected(&[]), all);
        assert_eq!(selected(&["*.*"]), all);
        assert_eq!(selected(&["public-users.*"]), users);
        assert_eq!(selected(&["public-users"]), users);
        assert_eq!(selected(&["*.*", "!public-users.*"]), orders);
        assert_eq!(selected(&["*.*", "!public-users"]), orders);
        assert_eq!(selected(&["*-orders.id"]), ["orders", "orders.id"]);
        let without = ["users", "users.email", "users.id"];
        assert_eq!(selected(&["public-users.*", "!public-users.home"]), without);
        let inner = ["users", "users.home", "users.home.city"];
        assert_eq!(selected(&["public-users.home.city"]), inner);
    }

    #[test]
    fn a_catalog_of_the_project_is_used_as_it_is() {
        let rules = Rules {
            catalog: Some("catalog.json".to_owned()),
            select: Some(vec!["*.*".to_owned()]),
            select_filter: vec!["!public-users".to_owned()],
            ..Rules::default()
        };
        let mut given = catalog();
        assert_eq!(apply(&mut given, &rules).unwrap().unmatched.len(), 1);
        let [users, orders] = [0, 1].map(|at| &given["streams"][at]);
        assert_eq!((&users["selected"], &orders["selected"]), (&json!(false), &Value::Null));
    }

    #[test]
    fn a_filter_leaves_streams_out() {
        let filtered = |filter: &[&str]| {
            let mut catalog = catalog();
            let select_filter = filter.iter().map(|text| (*text).to_owned()).collect();
            apply(&mut catalog, &Rules { select_filter, ..Rules::default() }).map(|told| {
                let streams = catalog["streams"].as_array().unwrap();
                let kept = streams.iter().filter(|stream| stream["selected"] == true);
                (kept.map(id).collect::<Vec<_>>().join(" "), told.unmatched.len())
            })
        };
        let check = |filter: &[&str], expected: &str, warnings: usize| {
            assert_eq!(filtered(filter).unwrap(), (expected.to_owned(), warnings), "{filter:?}");
        };
        check(&["public-users"], "public-users", 0);
        check(&["public-users.id", "*-orders"], "public-users public-orders", 0);
        check(&["!public-users"], "public-orders", 0);
        check(&["*", "!*-orders"], "public-users", 0);
        check(&["nothing"], "", 1);
        assert_eq!(filtered(&["!nothing"]).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn patterns_that_match_nothing_are_told_or_refused() {
        let with = |select: Value, metadata: Value, schema: Value| {
            let member = |value: Value| value.as_object().cloned().unwrap_or_default();
            let select: Option<Vec<String>> = serde_json::from_value(select).unwrap();
            let (metadata, schema) = (member(metadata), member(schema));
            let rules = Rules { select, metadata, schema, ..Rules::default() };
            apply(&mut catalog(), &rules)
        };
        let check = |select: Value, metadata: Value, schema: Value, words: &str| {
            let warnings = with(select, metadata, schema).unwrap().unmatched;
            if words.is_empty() {
                assert_eq!(warnings, Vec::<String>::new());
            } else {
                assert!(
                    warnings.len() == 1 && warnings[0].contains(words),
                    "{words}: {warnings:?}"
                );
            }
        };
        let refused = |select: Value, metadata: Value, hint: &str| {
            let failure = with(select, metadata, json!({})).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config);
            assert!(failure.to_string().contains(hint), "{failure}");
        };
        let none = || json!({});
        let all = || Value::Null;
        check(json!(["*.*", "!*-users.email", "!public-orders"]), none(), none(), "");
        check(json!(["public-users.home.city", "*.id"]), none(), none(), "");
        check(json!(["*.*", "public-user.*"]), none(), none(), "did you mean `public-users.*`?");
        check(json!(["*.*", "public-users.hone.city"]), none(), none(), "public-users.home.city");
        check(json!(["*.*", "x-*"]), none(), none(), "the tap has: public-users, public-orders");
        refused(json!(["*.*", "!public-users.emial"]), none(), "`!public-users.email`?");
        refused(json!(["!public-users.email"]), none(), "add \"*.*\"");
        refused(json!(["public-user.*"]), none(), "did you mean `public-users.*`?");
        refused(json!(["x.*", "public-order"]), none(), "did you mean `public-orders`?");
        refused(json!(["x.*", "y.*"]), none(), "the tap has: public-users, public-orders");
        refused(json!(["x.*", "y.*"]), none(), "select: x.*, y.*");
        refused(json!(["*.*", "!*.*"]), none(), "leaves out");
        refused(json!([]), none(), "take the tap out of the job");
        refused(json!(["!public-user"]), none(), "did you mean `!public-users`?");
        refused(json!(["!*.secret*"]), none(), "the tap has: ");
        refused(json!(["*.*", "!public-users.home.town"]), none(), "rule: select");
        // Metadata that keeps something out does the same as an exclusion.
        let out = json!({"selected": false});
        refused(all(), json!({"public-users.emial": out}), "did you mean `public-users.email`?");
        refused(all(), json!({"public-users": {"emial": out}}), "rule: metadata");
        refused(all(), json!({"private-*": {"inclusion": "unsupported"}}), "the tap has: ");
        let method = json!({"replication-method": "FULL_TABLE"});
        check(all(), json!({"public-order": method}), none(), "did you mean `public-orders`?");
        check(all(), json!({"public-users": {"replication-key": "id", "email": out}}), none(), "");
        let date = json!({"format": "date"});
        check(all(), none(), json!({"public-order": {"at": date}}), "public-orders");
        check(all(), none(), json!({"public-orders": {"new_column": date}}), "");
        check(all(), none(), json!({"public-orders": {"id?": date}}), "matches nothing");
        check(all(), none(), json!({"public-users": {"emial": date}}), "`public-users.email`?");
    }

    #[test]
    fn sets_metadata_and_schema_by_patterns() {
        let mut catalog = catalog();
        let member = |value: Value| value.as_object().unwrap().clone();
        let rules = Rules {
            metadata: member(json!({
                "*": {"replication-method": "FULL_TABLE"},
                "public-orders": {"replication-method": "INCREMENTAL", "replication-key": "at"},
                "public-users.email": {"selected": false},
            })),
            schema: member(
                json!({"public-orders": {"at": {"format": "date"}, "new": {"type": "string"}}}),
            ),
            ..Rules::default()
        };
        apply(&mut catalog, &rules).unwrap();
        let [users, orders] = [&catalog["streams"][0], &catalog["streams"][1]];
        assert_eq!(users["replication_method"], "FULL_TABLE");
        assert_eq!(orders["replication_method"], "INCREMENTAL");
        assert_eq!(orders["replication_key"], "at");
        assert_eq!(orders["metadata"][0]["metadata"]["replication-key"], "at");
        assert_eq!(orders["schema"]["properties"]["at"], json!({"format": "date"}));
        assert_eq!(orders["schema"]["properties"]["new"]["type"], "string");
        let entries = users["metadata"].as_array().unwrap();
        let email = entries.iter().find(|e| e["breadcrumb"][1] == "email").unwrap();
        assert_eq!(email["metadata"]["selected"], false);
    }
}
