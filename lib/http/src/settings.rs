//! The settings that every connector of HTTP has: how to get there, how fast, when to give up.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// How to get there, how fast, and when to give up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct NetworkSettings {
    /// PEM file, or PEM text, of the certificates to trust besides the system's.
    pub ca_file: Option<String>,
    /// Other origins, like `https://files.example.com`, that next links may lead to; they are
    /// trusted like that of the API and get the credentials.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Refuses addresses of private networks, of this machine, and those that are link-local.
    #[serde(default)]
    pub block_private_addresses: bool,
    /// How many seconds a connection may take to be made, TLS included.
    #[serde(default = "connect_timeout")]
    pub connect_timeout_seconds: Amount,
    /// How many seconds the server may be silent.
    #[serde(default = "read_timeout")]
    pub read_timeout_seconds: Amount,
    /// How many seconds one attempt of a request may take in all.
    #[serde(default = "request_timeout")]
    pub request_timeout_seconds: Amount,
    /// How often a request is tried.
    #[serde(default = "max_attempts")]
    pub max_attempts: u32,
    /// How many seconds to wait before the second attempt, about; the double before each further.
    #[serde(default = "retry_wait")]
    pub retry_wait_seconds: Amount,
    /// The longest wait, in seconds, that `Retry-After` or a rate limit header may ask for.
    #[serde(default = "retry_wait_max")]
    pub retry_wait_max_seconds: Amount,
    /// How many seconds one request may take with its attempts and waits.
    #[serde(default = "retry_budget")]
    pub retry_budget_seconds: Amount,
    /// Accepted for compatibility: `header` reads the wait from the header that `backoff_param`
    /// names, `message` from the first number in the answer.
    pub backoff_type: Option<BackoffType>,
    /// The header that says how many seconds to wait.
    #[serde(default = "backoff_param")]
    pub backoff_param: String,
    /// How many seconds to wait longer than asked for.
    #[serde(default)]
    pub backoff_time_extension: Amount,
    /// How many requests may be sent in a second; without it as many as there are.
    pub requests_per_second: Option<Amount>,
    /// How many requests may be sent in a minute.
    pub requests_per_minute: Option<Amount>,
    /// How many requests may be sent at once after a pause.
    #[serde(default = "one")]
    pub request_burst: u32,
    /// How many bytes an answer may have, decompressed.
    #[serde(default = "max_response_bytes")]
    pub max_response_bytes: u64,
    /// How many bytes a compressed answer may give for each of its own, beyond the first 16 MiB.
    #[serde(default = "decompression_ratio_max")]
    pub decompression_ratio_max: u64,
}

/// A number with or without a fraction, written in any way that JSON knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Amount(pub f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Numbers keep their digits, so `5.50` comes as a text in disguise.
        let number = serde_json::Number::deserialize(deserializer)?;
        number.as_f64().map(Self).ok_or_else(|| D::Error::custom("invalid number"))
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

/// Where the wait is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum BackoffType {
    Header,
    Message,
}

fn connect_timeout() -> Amount {
    Amount(10.0)
}

fn read_timeout() -> Amount {
    Amount(60.0)
}

fn request_timeout() -> Amount {
    Amount(600.0)
}

fn max_attempts() -> u32 {
    3
}

fn retry_wait() -> Amount {
    Amount(1.0)
}

fn retry_wait_max() -> Amount {
    Amount(300.0)
}

fn retry_budget() -> Amount {
    Amount(900.0)
}

fn backoff_param() -> String {
    "Retry-After".to_owned()
}

fn one() -> u32 {
    1
}

fn max_response_bytes() -> u64 {
    4 << 30
}

fn decompression_ratio_max() -> u64 {
    files::Limits::default().ratio_max
}
