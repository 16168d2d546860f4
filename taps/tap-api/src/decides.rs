//! What decides the rows of a stream, as its bookmark knows it. Pure.
//!
//! The rule: a setting decides the rows if another value of it may have the API give other rows, or
//! the tap read others of them. The bookmark holds the sum of each such setting, and a change of
//! one has the stream read again from its start. Secrets are left out, for even the sum of a short
//! one tells what it is.

use std::collections::{BTreeMap, BTreeSet};

use http_client::{Address, Method};
use serde_json::{Map, Value, json};
use singer::scrub::{is_secret_name, scrub};

use crate::options::StreamOptions;
use crate::paging::{Paging, Style};
use crate::row::Context;
use crate::settings::Settings;
use crate::stream::StreamSpec;
use crate::template::{Template, names_in};

/// The member of a bookmark that holds the sums.
pub const MEMBER: &str = "settings";
/// So much of a sum stands in the bookmark: enough to tell a change, too little to guess a value.
pub const SUM_CHARS: usize = 8;

/// Returns the sums of the settings that decide the rows of the stream of this spec.
pub fn sums(specs: &[StreamSpec], at: usize, settings: &Settings) -> Map<String, Value> {
    let mut values = values(specs, at, settings);
    let place = Address::parse(&settings.api_url).map(|address| address.place());
    values.insert("api_url", place.map(|place| plain("", &place.into())).unwrap_or_default());
    if let Some(zone) = settings.time_zone.as_deref().filter(|zone| *zone != "UTC") {
        values.insert("time_zone", zone.into());
    }
    let sum = |value: Value| sum(&value.to_string()).into();
    values.into_iter().map(|(name, value)| (name.to_owned(), sum(value))).collect()
}

/// Returns the sum of the values that a stream is read for.
pub fn sum_of(spec: &StreamSpec, context: &Context) -> String {
    let members = context.members.iter().map(|(name, value)| (name, value));
    sum(&shown(members, &secret_members(spec)))
}

fn sum(text: &str) -> String {
    let mut sum = disk::sum(text);
    sum.truncate(SUM_CHARS);
    sum
}

/// Returns the settings whose sums are others now; none for a bookmark from before there were sums,
/// which is taken over as it is.
pub fn changed(bookmark: &Value, now: &Map<String, Value>) -> Vec<String> {
    let Some(before) = bookmark.get(MEMBER).and_then(Value::as_object) else { return Vec::new() };
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let changed = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    changed.cloned().collect()
}

/// Returns the values that decide the rows, where they are not what they are by default.
fn values(specs: &[StreamSpec], at: usize, settings: &Settings) -> BTreeMap<&'static str, Value> {
    let (Some(spec), Some(stream)) = (specs.get(at), settings.streams.get(at)) else {
        return BTreeMap::new();
    };
    let options = &stream.options;
    let posts = spec.method == Method::Post;
    let records = spec.records.to_string();
    let mut values = BTreeMap::from([
        ("path", plain("", &options.path.clone().unwrap_or_default().into())),
        ("params", plain("", &Value::Object(spec.params.clone()))),
        ("body", plain("", options.body.as_ref().unwrap_or(&Value::Null))),
        ("method", if posts { "POST".into() } else { Value::Null }),
        ("use_request_body_not_params", spec.in_body.into()),
        ("records_path", if records == "$[*]" { Value::Null } else { records.into() }),
        ("time_format", options.time_format.clone().into()),
        ("inputs", inputs(spec, &stream.inputs)),
    ]);
    let option = |value: Option<&String>| value.map_or(Value::Null, |it| it.as_str().into());
    values.extend([
        ("first_page_params", plain("", &Value::Object(spec.first_params.clone()))),
        ("parent_fields", json!(options.parent_fields)),
        ("value_column", option(options.value_column.as_ref())),
        ("key_column", option(options.key_column.as_ref())),
        ("columns_path", option(options.columns_path.as_ref())),
        ("answer_format", json!(options.answer_format)),
    ]);
    values.insert("recurse", spec.recurse.as_ref().map_or(Value::Null, |it| json!(it)));
    values.extend(of_paging(&spec.paging));
    if let Some((parent, keys)) = &spec.parent {
        values.insert("parent_keys", json!(keys));
        values.insert("parent", json!(self::values(specs, *parent, settings)));
    }
    let is_default = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    values.retain(|_, value| !is_default(value));
    values
}

/// Returns how further pages are asked for, where it is not what it is by default.
fn of_paging(paging: &Paging) -> BTreeMap<&'static str, Value> {
    let values = |paging: &Paging| {
        let (style, path) = (paging.style, paging.path.as_ref());
        let path = path.map_or(Value::Null, |path| path.to_string().into());
        let by_param = !matches!(style, Style::None | Style::NextUrl | Style::LinkHeader);
        let by_header = style == Style::HeaderToken;
        let tokens = paging.tokens.iter();
        let tokens = tokens.map(|(name, path)| format!("{name} {path}")).collect::<Value>();
        BTreeMap::from([
            ("pagination_request_style", Value::from(style.word())),
            ("next_page_tokens", tokens),
            ("next_page_token_path", if by_header { paging.header.clone().into() } else { path }),
            (
                "pagination_next_page_param",
                if by_param { paging.param.clone().into() } else { Value::Null },
            ),
            (
                "pagination_initial_offset",
                if paging.is_numbered() { paging.first.into() } else { Value::Null },
            ),
        ])
    };
    let mut found = values(paging);
    if let Ok(default) = Paging::new(&StreamOptions::default()) {
        let default = values(&default);
        found.retain(|name, value| default.get(name) != Some(value));
    }
    found
}

/// Returns the inputs in an order of their own, for theirs says nothing.
fn inputs(spec: &StreamSpec, inputs: &[Map<String, Value>]) -> Value {
    let secret = secret_members(spec);
    let all: BTreeSet<String> = inputs.iter().map(|input| shown(input, &secret)).collect();
    json!(all)
}

/// Returns the members of inputs that may be secrets, as they are sent where secrets are.
fn secret_members(spec: &StreamSpec) -> Vec<String> {
    let mut secret: Vec<String> = Vec::new();
    for (_, value) in &spec.headers {
        secret.extend(Template::new(value.reveal()).names().map(str::to_owned));
    }
    let body = spec.body.as_ref().unwrap_or(&Value::Null);
    let params = Value::Object(spec.params.clone());
    for value in [body, &params] {
        names_in_secrets(value, &mut secret);
    }
    secret
}

/// Returns the values that a stream is read for, without those that may be secrets.
pub fn plain_members(spec: &StreamSpec, context: &Context) -> Value {
    let secret = secret_members(spec);
    let is_plain = |name: &str, value: &Value| {
        !secret.iter().any(|secret| secret == name) && plain(name, value) == *value
    };
    let members = context.members.iter().filter(|(name, value)| is_plain(name, value));
    sorted(&members.cloned().collect())
}

/// Returns a value with the members of objects in the order of their names.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        other => other.clone(),
    }
}

/// Returns members as text, without those that may be secrets.
fn shown<'a>(
    members: impl IntoIterator<Item = (&'a String, &'a Value)>,
    secret: &[String],
) -> String {
    let members = members.into_iter().filter(|(name, _)| !secret.contains(name));
    plain("", &members.map(|(name, value)| (name.clone(), value.clone())).collect()).to_string()
}

/// Lists the placeholders of members that are named like secrets.
fn names_in_secrets(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|value| names_in_secrets(value, names)),
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret_name(name) {
                    names_in(value, names);
                } else {
                    names_in_secrets(value, names);
                }
            }
        }
        _ => {}
    }
}

/// Returns a value with its members sorted, and with nothing in the place of secrets.
fn plain(name: &str, value: &Value) -> Value {
    match value {
        _ if is_secret_name(name) => Value::Null,
        Value::String(text) => scrub(text).into(),
        Value::Array(elements) => elements.iter().map(|value| plain("", value)).collect(),
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted.into_iter();
            members.map(|(name, value)| (name.clone(), plain(name, value))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::specs;

    fn sums_of(streams: &Value, more: &Value) -> Map<String, Value> {
        let mut settings = json!({ "api_url": "https://api.example.com/v1", "streams": streams });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let specs = specs(&settings).unwrap();
        sums(&specs, specs.len() - 1, &settings)
    }

    fn differences(a: &Value, b: &Value) -> Vec<String> {
        let none = json!({});
        changed(&json!({ "settings": sums_of(a, &none) }), &sums_of(b, &none))
    }

    #[test]
    fn what_decides_rows_is_known_and_nothing_else() {
        let base = json!({ "name": "t", "path": "x", "params": { "a": 1, "b": "{start}" },
            "replication_key": "at", "inputs": [{ "n": 1 }, { "n": 2 }] });
        let with = |more: Value| {
            let mut stream = base.clone();
            stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([stream])
        };
        let check = |more: Value, expected: &[&str]| {
            assert_eq!(differences(&with(json!({})), &with(more.clone())), expected, "{more}");
        };
        check(json!({ "inputs": [{ "n": 1 }, { "n": 3 }] }), &["inputs"]);
        check(json!({ "path": "y" }), &["path"]);
        check(json!({ "params": { "a": 2, "b": "{start}" } }), &["params"]);
        check(json!({ "source_search_field": "q", "source_search_query": "{start}" }), &["params"]);
        check(json!({ "body": { "q": 1 } }), &["body", "method"]);
        check(json!({ "records_path": "$.data[*]" }), &["records_path"]);
        check(json!({ "time_format": "epoch" }), &["time_format"]);
        check(json!({ "pagination_request_style": "none" }), &["pagination_request_style"]);
        check(
            json!({ "pagination_request_style": "offset" }),
            &[
                "pagination_initial_offset",
                "pagination_next_page_param",
                "pagination_request_style",
            ],
        );
        check(json!({ "next_page_token_path": "$.n" }), &["next_page_token_path"]);
        // The same, and what decides nothing.
        check(json!({ "inputs": [{ "n": 2 }, { "n": 1 }] }), &[]);
        check(json!({ "params": { "b": "{start}", "a": 1 } }), &[]);
        check(json!({ "records_path": "$[*]", "pagination_request_style": "token" }), &[]);
        check(
            json!({ "pagination_page_size": 5, "concurrency": 4, "max_pages": 7,
            "headers": { "X-Key": "secret" }, "primary_keys": ["id"], "start_date": "2026-01-01" }),
            &[],
        );
    }

    #[test]
    fn what_decides_the_rows_of_a_parent_decides_those_of_its_children() {
        let streams = |path: &str, column: &str| {
            json!([{ "name": "g", "path": path }, { "name": "p", "path": "p/{g}", "parent": "g",
                "parent_keys": { "g": "id" } }, { "name": "c", "path": "c/{p}", "parent": "p",
                "parent_keys": { "p": column } }])
        };
        let known = streams("a", "id");
        assert_eq!(differences(&known, &streams("b", "id")), ["parent"]);
        assert_eq!(differences(&known, &streams("a", "key")), ["parent_keys"]);
        assert!(differences(&known, &known).is_empty());
    }

    #[test]
    fn secrets_leave_no_trace() {
        let streams = |secret: &str| {
            json!([{ "name": "t", "path": "x", "params": { "api_key": secret, "sig": "{s}" },
                "body": { "auth": { "password": secret }, "list": [{ "token": secret }] },
                "headers": { "X-Tenant": secret, "X-Pat": "{pat}" },
                "inputs": [{ "pat": secret, "s": secret, "client_secret": secret, "n": 1 }] }])
        };
        assert!(differences(&streams("one"), &streams("two")).is_empty());
        singer::scrub::learn("learnt-elsewhere");
        let path = |text: &str| json!([{ "name": "t", "path": text, "inputs": [{ "n": text }] }]);
        assert!(differences(&path("x/learnt-elsewhere"), &path("x/***")).is_empty());
    }

    #[test]
    fn a_place_is_a_host_and_a_path() {
        let streams = json!([{ "name": "t", "path": "x" }]);
        let known = sums_of(&streams, &json!({}));
        let check = |url: &str, expected: &[&str]| {
            let now = sums_of(&streams, &json!({ "api_url": url }));
            assert_eq!(changed(&json!({ "settings": known }), &now), expected, "{url}");
        };
        check("http://API.example.com:8080/v1/", &[]);
        check("https://api.example.com/v2", &["api_url"]);
        check("https://other.example.com/v1", &["api_url"]);
        assert!(changed(&json!({ "replication_key_value": 1 }), &known).is_empty());
    }
}
