//! What a stream is: settings of its own, or those of the top level.

use std::collections::BTreeMap;

use http_client::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use singer::Secret;
use singer::settings::SettingsSchema;

/// Names with secret values.
pub type Keys = BTreeMap<String, Secret>;

/// One entry of `streams`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct StreamSettings {
    /// The name of the stream.
    pub name: String,
    /// Where an INCREMENTAL stream starts when there is no state.
    pub start_date: Option<String>,
    /// The stream whose rows this one is read for, whatever day or `start_date` filters those that
    /// are written; `parent_keys` says what is taken from them.
    pub parent: Option<String>,
    /// Columns to add to each row, and the property of the parent's row each is taken from; they
    /// fill `{placeholders}` of the same names. A record that has such a column itself with another
    /// value is refused.
    #[serde(default)]
    pub parent_keys: BTreeMap<String, String>,
    /// What becomes of a row of the parent with null in one of `parent_keys`: `fail`, or `skip` to
    /// read nothing for it.
    #[serde(default)]
    pub null_parent_keys: NullKeys,
    /// Reads the stream for each of its own rows as well, level by level, as folders lie in
    /// folders. The first level is read for `inputs`, or for the rows of `parent`, or once with the
    /// parameters left out that `recurse` fills. Such a stream is read whole each time.
    pub recurse: Option<Recurse>,
    /// A list of objects to read the stream for, one after the other; their members become columns
    /// and fill `{placeholders}` of the same names.
    #[serde(default)]
    pub inputs: Vec<Map<String, Value>>,
    /// What differs from the settings of the same names at the top level.
    #[serde(flatten)]
    pub options: StreamOptions,
    /// What else the entry says.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// How the rows of a stream lead to further rows of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurse {
    /// Columns to add to each row, and the property of the row above it that each is taken from;
    /// they fill `{placeholders}` of the same names. A row with null there has no children.
    pub parent_keys: BTreeMap<String, String>,
    /// A property that says whether a row has children: nothing is asked for one where it is not
    /// there, false, 0, null or empty. Without it everything is asked for.
    pub has_children: Option<String>,
    /// How many levels are read; without it all.
    pub max_depth: Option<u32>,
    /// The column of the level, from 1.
    #[serde(default = "level_column")]
    pub level_column: String,
    /// The column that tells whether a row is without children; null where that is not known, as
    /// on the last level of `max_depth`.
    #[serde(default = "leaf_column")]
    pub leaf_column: String,
}

fn level_column() -> String {
    "level".to_owned()
}

fn leaf_column() -> String {
    "is_leaf".to_owned()
}

/// What can be set for one stream, and at the top level for all of them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// What follows `api_url`; `{placeholders}` come from `inputs` and `parent_keys`, or are
    /// `{start}`, `{end}` or `{datestamp}`; `{+name}` keeps the slashes of a value.
    pub path: Option<String>,
    /// Parameters of the query; one whose `{start}` or `{end}` is not known is left out.
    pub params: Option<Map<String, Value>>,
    /// Parameters of the first page alone, for an API that takes nothing but its token behind it.
    pub first_page_params: Option<Map<String, Value>>,
    /// Headers of the request.
    pub headers: Option<Keys>,
    /// `GET`, or `POST` for APIs that are asked that way; by default `POST` if there is a body.
    pub method: Option<Method>,
    /// The JSON that `POST` sends; its strings may have `{placeholders}`.
    pub body: Option<Value>,
    /// Where the records are in an answer, as `JSONPath`; by default the answer itself, or its
    /// elements if it is an array. Behind `[*]` it may go on, as in `$.edges[*].node`.
    pub records_path: Option<String>,
    /// Columns to add to each record, and where each comes from: fields of what the records lie in,
    /// as `$.orders[*].id` for `$.orders[*].lines[*]`, or beside their lists, as `$.meta.as_of`.
    pub parent_fields: Option<BTreeMap<String, String>>,
    /// The column of records that are no objects, such as texts.
    pub value_column: Option<String>,
    /// The column of the name of each record, where `records_path` ends with `.*`.
    pub key_column: Option<String>,
    /// Where the names of the columns are, if records are arrays: a `JSONPath` such as
    /// `$.columns[*].name`, or `first_row` for the first of the records.
    pub columns_path: Option<String>,
    /// How answers are written: `json`, `jsonl` or `csv`, whose first row names the columns; by
    /// default as the API calls it, else JSON. Values of CSV are texts, null without quotes
    /// where there is nothing, and numbers and booleans where the `schema` declares them.
    pub answer_format: Option<AnswerFormat>,
    /// What stands between the fields of CSV; by default a comma.
    pub delimiter: Option<String>,
    /// The encoding of answers, such as `latin-1`; by default UTF-8, and of answers that are not
    /// UTF-8 what the API calls it.
    pub encoding: Option<String>,
    /// Takes an answer without the place `records_path` names for one without records.
    pub allow_missing_records: Option<bool>,
    /// What becomes of an answer 404: `fail`, or `empty` for no records.
    pub not_found: Option<NotFound>,
    /// What becomes of an answer without records that tells of a failure beside the place of the
    /// records, such as `"error": {...}`, and of one that says there that it is incomplete, such as
    /// `"timed_out": true`: `fail`, or `warn` to take it as it is.
    pub error_in_answer: Option<ErrorInAnswer>,
    /// The columns that identify a row.
    pub primary_keys: Option<Vec<String>>,
    /// The column that says what is new; rows may come in any order. A change of the settings that
    /// decide which rows there are, but for headers and secrets, reads the stream from its start
    /// again.
    pub replication_key: Option<String>,
    /// Parameter that asks for what is new, with `source_search_query` as its value.
    pub source_search_field: Option<String>,
    /// Value of `source_search_field`; `$last_run_date` or `{start}` is where to start.
    pub source_search_query: Option<String>,
    /// Reads what is new in windows of so many days, with a bookmark after each. A window begins
    /// where the one before it ended: the API must give what lies at `{start}`, and may give what
    /// lies at `{end}`, for a row that two windows give comes once.
    pub window_days: Option<u32>,
    /// How `{start}` and `{end}` are written, and the `replication_key` if not in RFC 3339:
    /// `rfc3339`, `date`, `epoch`, `epoch_ms`, or a pattern such as `%Y%m%d`.
    pub time_format: Option<String>,
    /// The JSON Schema of the rows, or the path of its file; without it types are inferred.
    pub schema: Option<Value>,
    /// From how many records types are inferred; without it from all that the first read gives, or
    /// from 1,000 of a stream with a `replication_key` and without a `datestamp`, of which the
    /// first window with records is enough.
    pub num_inference_records: Option<u64>,
    /// Adds the column `_sdc_raw_json` with the record as it came.
    pub store_raw_json_message: Option<bool>,
    /// Makes columns of nested objects, named like `address__city`. An empty object has none, and
    /// stays as it is.
    pub flattening_enabled: Option<bool>,
    /// How many levels are flattened.
    pub flattening_max_depth: Option<usize>,
    /// What stands between the names.
    pub flattening_separator: Option<String>,
    /// Columns that are not flattened.
    pub except_keys: Option<Vec<String>>,
    /// How further pages are asked for: `none`, `page_number`, `offset`, `token` (from the answer),
    /// `header_token`, `next_url` (from the answer) or `link_header`; the words of other taps
    /// (`jsonpath_paginator`, `offset_paginator`, `hateoas_paginator`, ...) are known.
    pub pagination_request_style: Option<String>,
    /// Accepted for compatibility: the request style says it all.
    #[expect(dead_code, reason = "accepted for compatibility")]
    pub pagination_response_style: Option<String>,
    /// `JSONPath` of the next token, URL or "there is more" in an answer; the name of the header
    /// for `header_token`.
    pub next_page_token_path: Option<String>,
    /// Further tokens of the next page: parameters, and the `JSONPath` of each in an answer.
    pub next_page_tokens: Option<BTreeMap<String, String>>,
    /// Sends a token that is an array or object as JSON text where the request has no body.
    pub pagination_token_as_json: Option<bool>,
    /// Parameter for the page, offset or token; by default `page`, or `offset`.
    pub pagination_next_page_param: Option<String>,
    /// Parameter for the size of a page; by default `limit` if there is a size.
    pub pagination_limit_per_page_param: Option<String>,
    /// How many records to ask for in one page.
    pub pagination_page_size: Option<u64>,
    /// Number of the first page, or the first offset; by default 1 for pages, 0 for offsets.
    pub pagination_initial_offset: Option<u64>,
    /// How many records to read at most, without it all; a read that this cuts short leaves the
    /// bookmark where it was.
    pub pagination_results_limit: Option<u64>,
    /// Member of the answer, or `JSONPath`, that says how many records there are.
    pub pagination_total_limit_param: Option<String>,
    /// Accepted for compatibility: records are counted where `records_path` is.
    #[expect(dead_code, reason = "accepted for compatibility")]
    pub offset_records_jsonpath: Option<String>,
    /// Puts parameters and tokens into the body, where `a.b` is member `b` of member `a`.
    pub use_request_body_not_params: Option<bool>,
    /// How many of `inputs`, or of the parent's rows, are asked for at once; rows stay in order.
    pub concurrency: Option<u32>,
    /// How many pages one read may have.
    pub max_pages: Option<u64>,
}

/// What becomes of an answer 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotFound {
    #[default]
    Fail,
    Empty,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    Json,
    Jsonl,
    Csv,
}

/// What becomes of a row of a parent without its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NullKeys {
    #[default]
    Fail,
    Skip,
}

/// What becomes of an answer that tells of a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorInAnswer {
    #[default]
    Fail,
    Warn,
}

/// These are joined by the names of their members.
const JOINED: [&str; 2] = ["params", "headers"];

/// Gives each of the `streams` what is set at the top level and not by the stream itself.
pub fn fill(settings: &mut Map<String, Value>) {
    let schema = SettingsSchema::part::<StreamOptions>();
    let names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let top = names.filter_map(|name| Some((name.clone(), settings.get(name)?.clone())));
    let top: Map<String, Value> = top.collect();
    let streams = settings.get_mut("streams").and_then(Value::as_array_mut);
    for stream in streams.into_iter().flatten().filter_map(Value::as_object_mut) {
        let own = std::mem::replace(stream, top.clone());
        for (name, value) in own {
            match (stream.get_mut(&name), value) {
                (Some(_), Value::Null) => {}
                (Some(Value::Object(top)), Value::Object(own)) if JOINED.contains(&&*name) => {
                    top.extend(own);
                }
                (_, value) => {
                    stream.insert(name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_has_what_is_set_at_the_top_and_not_by_itself() {
        let check = |top: Value, own: Value, expected: Value| {
            let mut settings = top.as_object().unwrap().clone();
            settings.insert("streams".to_owned(), json!([own]));
            fill(&mut settings);
            assert_eq!(settings["streams"][0], expected);
        };
        let top = json!({ "path": "/a", "max_pages": 3, "username": "u", "start_date": "2026" });
        check(
            top.clone(),
            json!({ "x": null }),
            json!({ "path": "/a", "max_pages": 3, "x": null }),
        );
        check(
            top,
            json!({ "path": "/b", "max_pages": null }),
            json!({ "path": "/b", "max_pages": 3 }),
        );
        let top =
            json!({ "params": { "a": 1, "b": 2 }, "headers": { "h": "1" }, "body": { "a": 1 } });
        let own = json!({ "params": { "b": 3 }, "headers": null, "body": { "b": 2 } });
        let both =
            json!({ "params": { "a": 1, "b": 3 }, "headers": { "h": "1" }, "body": { "b": 2 } });
        check(top, own, both);
    }
}
