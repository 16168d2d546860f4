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
    /// Name of the stream.
    pub name: String,
    /// Where an INCREMENTAL stream starts when it has no bookmark.
    pub start_date: Option<String>,
    /// Name of the parent stream. This stream is read once for each row of the parent. All rows of
    /// the parent count, also those that a day or `start_date` keeps out of its output.
    pub parent: Option<String>,
    /// Columns to add to each row, each with the property of the parent's row that it comes from.
    /// They also fill the `{placeholders}` with their names. A record that has such a column with
    /// another value is refused.
    #[serde(default)]
    pub parent_keys: BTreeMap<String, String>,
    /// What happens to a row of the parent with null in one of `parent_keys`: `fail` ends the run,
    /// `skip` reads nothing for this row.
    #[serde(default)]
    pub null_parent_keys: NullKeys,
    /// Reads the stream again for each of its own rows, level by level, for trees such as folders
    /// in folders. The first level is read for `inputs`, for the rows of `parent`, or once without
    /// the parameters that `recurse` fills. Such a stream is read in full each time.
    pub recurse: Option<Recurse>,
    /// List of objects. The stream is read once for each, in this order. Their members become
    /// columns and fill the `{placeholders}` with their names.
    #[serde(default)]
    pub inputs: Vec<Map<String, Value>>,
    /// Settings of this stream that replace those of the same name at the top level.
    #[serde(flatten)]
    pub options: StreamOptions,
    /// Other members of the entry.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// How the rows of a stream lead to further rows of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurse {
    /// Columns to add to each row, each with the property of the row above that it comes from. They
    /// also fill the `{placeholders}` with their names. A row with null there has no children.
    pub parent_keys: BTreeMap<String, String>,
    /// Property that says whether a row has children. Nothing is requested for a row in which it is
    /// missing, false, 0, null or empty. By default the children of every row are requested.
    pub has_children: Option<String>,
    /// Largest number of levels. By default all levels are read.
    pub max_depth: Option<u32>,
    /// Name of the column for the level, from 1.
    #[serde(default = "level_column")]
    pub level_column: String,
    /// Name of the column that says whether a row has no children. It is null if this is not known,
    /// as on the last level of `max_depth`.
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
    /// Path after `api_url`. `{placeholders}` are the names in `inputs` and `parent_keys`, or
    /// `{start}`, `{end}` and `{datestamp}`. `{+name}` keeps the slashes of a value.
    pub path: Option<String>,
    /// Parameters of the query. A parameter is left out if its `{start}` or `{end}` has no value.
    pub params: Option<Map<String, Value>>,
    /// Parameters of the first page only. Set it if the API accepts only its token for the other
    /// pages.
    pub first_page_params: Option<Map<String, Value>>,
    /// Headers of the request.
    pub headers: Option<Keys>,
    /// HTTP method: `GET` or `POST`. By default `POST` if there is a `body`, else `GET`.
    pub method: Option<Method>,
    /// JSON body of a `POST` request. Its strings may have `{placeholders}`.
    pub body: Option<Value>,
    /// Place of the records in an answer, as `JSONPath`. By default the answer itself, or its
    /// elements if it is an array. After `[*]` the path may continue, as in `$.edges[*].node`.
    pub records_path: Option<String>,
    /// Columns to add to each record, each with its place in the answer: a field of an object that
    /// contains the records (`$.orders[*].id` for `$.orders[*].lines[*]`), or a field beside the
    /// list (`$.meta.as_of`).
    pub parent_fields: Option<BTreeMap<String, String>>,
    /// Column for records that are not objects, such as texts.
    pub value_column: Option<String>,
    /// Column for the name of each record, if `records_path` ends with `.*`.
    pub key_column: Option<String>,
    /// Place of the column names, if the records are arrays: a `JSONPath` such as
    /// `$.columns[*].name`, or `first_row` if the first record has them.
    pub columns_path: Option<String>,
    /// Format of the answers: `json`, `jsonl`, or `csv` with the column names in the first row. By
    /// default the content type decides, else JSON. Values of CSV are texts, or numbers and
    /// booleans if the `schema` says so. An empty value without quotes is null.
    pub answer_format: Option<AnswerFormat>,
    /// Character between two fields of CSV. By default a comma.
    pub delimiter: Option<String>,
    /// Encoding of the answers, such as `latin-1`. By default UTF-8, and for answers that are not
    /// UTF-8 the encoding that the content type names.
    pub encoding: Option<String>,
    /// Accepts an answer in which `records_path` is missing, as an answer without records.
    pub allow_missing_records: Option<bool>,
    /// What happens when the API answers 404: `fail` ends the run, `empty` means that there are no
    /// records.
    pub not_found: Option<NotFound>,
    /// What happens to an answer that reports an error outside its records and has none, such as
    /// `"error": {...}`, or that says it is incomplete, such as `"timed_out": true`. `fail` ends
    /// the run, `warn` prints a warning and accepts the answer.
    pub error_in_answer: Option<ErrorInAnswer>,
    /// Columns that identify a row.
    pub primary_keys: Option<Vec<String>>,
    /// Column that says which records are new. The records may come in any order. If a setting
    /// changes that decides which records there are, the stream is read from its start again.
    /// Headers and secrets do not count.
    pub replication_key: Option<String>,
    /// Name of the parameter that asks for new records. Its value is `source_search_query`.
    pub source_search_field: Option<String>,
    /// Value of the parameter `source_search_field`. `$last_run_date` or `{start}` stands for the
    /// time at which to start.
    pub source_search_query: Option<String>,
    /// Reads new records in windows of this many days, and sets the bookmark after each. A window
    /// begins where the window before ended. The API must include records at `{start}`. It may
    /// include those at `{end}`, because a record of two windows is kept once.
    pub window_days: Option<u32>,
    /// Format of `{start}` and `{end}`, and of the `replication_key` if it is not RFC 3339:
    /// `rfc3339`, `date`, `epoch`, `epoch_ms`, or a pattern such as `%Y%m%d`.
    pub time_format: Option<String>,
    /// JSON Schema of the rows, or the path of its file. By default the tap infers the types.
    pub schema: Option<Value>,
    /// Number of records from which types are inferred. By default all records of the first read.
    /// For a stream with a `replication_key` and without a `datestamp` the default is 1,000, or
    /// fewer if the first window with records has fewer.
    pub num_inference_records: Option<u64>,
    /// Adds the column `_sdc_raw_json` with the unchanged record.
    pub store_raw_json_message: Option<bool>,
    /// Makes columns of nested objects, with names such as `address__city`. An empty object stays
    /// an object.
    pub flattening_enabled: Option<bool>,
    /// Largest number of levels to flatten.
    pub flattening_max_depth: Option<usize>,
    /// Text between the parts of a flattened name.
    pub flattening_separator: Option<String>,
    /// Columns that are not flattened.
    pub except_keys: Option<Vec<String>>,
    /// How the next page is requested: `none`, `page_number`, `offset`, `token` (from the answer),
    /// `header_token`, `next_url` (from the answer) or `link_header`. The words of other taps
    /// (`jsonpath_paginator`, `offset_paginator`, `hateoas_paginator`, ...) are accepted too.
    pub pagination_request_style: Option<String>,
    /// Accepted for compatibility and not used, because `pagination_request_style` decides.
    #[expect(dead_code, reason = "accepted for compatibility")]
    pub pagination_response_style: Option<String>,
    /// `JSONPath` of the next token or URL in an answer, or of the value that says whether there
    /// are more pages. With `header_token` it is the name of the header.
    pub next_page_token_path: Option<String>,
    /// More tokens for the next page: name of each parameter, and the `JSONPath` of its value in an
    /// answer.
    pub next_page_tokens: Option<BTreeMap<String, String>>,
    /// Sends a token that is an array or object as JSON text, if the request has no body.
    pub pagination_token_as_json: Option<bool>,
    /// Parameter for the page, offset or token. By default `page`, or `offset` for offsets.
    pub pagination_next_page_param: Option<String>,
    /// Parameter for the page size. By default `limit` if `pagination_page_size` is set.
    pub pagination_limit_per_page_param: Option<String>,
    /// Number of records to ask for per page.
    pub pagination_page_size: Option<u64>,
    /// Number of the first page, or the first offset. By default 1 for pages and 0 for offsets.
    pub pagination_initial_offset: Option<u64>,
    /// Largest number of records to read. By default there is no limit. If the limit cuts a read
    /// short, the bookmark does not move.
    pub pagination_results_limit: Option<u64>,
    /// Member of the answer, or `JSONPath`, that holds the total number of records.
    pub pagination_total_limit_param: Option<String>,
    /// Accepted for compatibility and not used, because records are counted at `records_path`.
    #[expect(dead_code, reason = "accepted for compatibility")]
    pub offset_records_jsonpath: Option<String>,
    /// Puts parameters and tokens into the body. `a.b` is the member `b` of the member `a`.
    pub use_request_body_not_params: Option<bool>,
    /// Number of `inputs`, or of rows of the parent, for which requests run at the same time. The
    /// rows stay in order.
    pub concurrency: Option<u32>,
    /// Largest number of pages of one read.
    pub max_pages: Option<u64>,
}

/// What happens when the API answers 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotFound {
    #[default]
    Fail,
    Empty,
}

/// Format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    Json,
    Jsonl,
    Csv,
}

/// What happens to a row of a parent without its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NullKeys {
    #[default]
    Fail,
    Skip,
}

/// What happens to an answer that reports an error.
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
