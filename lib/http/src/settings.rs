//! The settings that every connector of HTTP has: how to get there, how fast, when to give up.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// How to get there, how fast, and when to give up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct NetworkSettings {
    /// Certificates to trust in addition to those of the system: a PEM file or PEM text.
    pub ca_file: Option<String>,
    /// Other origins, such as `https://files.example.com`, to which links to the next page may
    /// lead. They receive the same credentials as the API.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Refuses addresses of private networks and of this machine, and link-local addresses.
    #[serde(default)]
    pub block_private_addresses: bool,
    /// Seconds that connecting may take, including TLS.
    #[serde(default = "connect_timeout")]
    pub connect_timeout_seconds: Amount,
    /// Seconds to wait for the next data of the server.
    #[serde(default = "read_timeout")]
    pub read_timeout_seconds: Amount,
    /// Seconds that one attempt of a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout_seconds: Amount,
    /// Number of attempts for each request.
    #[serde(default = "max_attempts")]
    pub max_attempts: u32,
    /// Approximate seconds to wait before the second attempt. Each further wait is twice as long.
    #[serde(default = "retry_wait")]
    pub retry_wait_seconds: Amount,
    /// Longest wait, in seconds, that `Retry-After` or a rate limit header may ask for.
    #[serde(default = "retry_wait_max")]
    pub retry_wait_max_seconds: Amount,
    /// Seconds that one request may take, with all of its attempts and waits.
    #[serde(default = "retry_budget")]
    pub retry_budget_seconds: Amount,
    /// Accepted for compatibility. `header` reads the wait from the header that `backoff_param`
    /// names, `message` from the first number in the answer.
    pub backoff_type: Option<BackoffType>,
    /// Name of the header that says how many seconds to wait.
    #[serde(default = "backoff_param")]
    pub backoff_param: String,
    /// Seconds to add to the wait that the server asks for.
    #[serde(default)]
    pub backoff_time_extension: Amount,
    /// Largest number of requests per second. By default there is no limit.
    pub requests_per_second: Option<Amount>,
    /// Largest number of requests per minute. By default there is no limit.
    pub requests_per_minute: Option<Amount>,
    /// Number of requests that may be sent at once after a pause.
    #[serde(default = "one")]
    pub request_burst: u32,
    /// Largest size of an answer, in bytes after decompression.
    #[serde(default = "max_response_bytes")]
    pub max_response_bytes: u64,
    /// Largest number of bytes that one byte of a compressed answer may give. The limit applies
    /// after the first 16 MiB.
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
