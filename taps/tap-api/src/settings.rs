//! The settings of tap-api: the API, how to sign in, how to get there.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use singer::{OtherSetting, Secret};

use crate::options::{Keys, StreamOptions, StreamSettings};

/// The settings of tap-api.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// Where the API is; paths of streams are added to it.
    pub api_url: String,
    /// The streams to read.
    pub streams: Vec<StreamSettings>,
    /// Reads one day of the streams that have a `replication_key` or `{start}` and `{end}`, as
    /// YYYY-MM-DD, instead of what is new; bookmarks stay as they are.
    pub datestamp: Option<String>,
    /// The time zone in which a `datestamp` or a `window_days` begins, and of which `{start}` and
    /// `{end}` are in a `time_format` that shows none. By default UTC, but where the bookmark or
    /// `start_date` has an offset of its own, such a `time_format` shows the clock of that offset.
    pub time_zone: Option<String>,
    /// What streams that do not say otherwise do.
    #[serde(flatten)]
    pub defaults: StreamOptions,
    /// How to sign in.
    #[serde(flatten)]
    pub auth: AuthSettings,
    /// How to get there.
    #[serde(flatten)]
    pub network: NetworkSettings,
    /// One of the common settings, for streams that have none of their own.
    #[schemars(skip)]
    pub start_date: Option<String>,
    /// One of the common settings, which the reader of the keys heeds as well.
    #[serde(default = "capped")]
    #[schemars(skip)]
    pub bookmark_cap: bool,
    /// One of the common settings, which the reader of the answers keeps to as well.
    #[serde(default = "max_record_bytes")]
    #[schemars(skip)]
    pub max_record_bytes: usize,
}

/// How to sign in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AuthSettings {
    /// How requests are signed: `basic` by `username` and `password`, `bearer_token`, `raw_token`
    /// (`bearer_token` without the word Bearer), `api_key` by `api_keys`, or `oauth`; `aws` is
    /// refused, as it is not supported.
    #[serde(default)]
    pub auth_method: AuthMethod,
    /// Names and values that `api_key` adds to each request.
    #[serde(default)]
    pub api_keys: Keys,
    /// Where `api_key` puts them.
    #[serde(default)]
    pub api_keys_in: KeyPlace,
    /// User name of `basic`, and of `oauth` with the grant `password`.
    pub username: Option<String>,
    /// Password of `basic`, and of `oauth` with the grant `password`.
    pub password: Option<Secret>,
    /// The token of `bearer_token` and `raw_token`.
    pub bearer_token: Option<Secret>,
    /// Client id of `oauth`.
    pub client_id: Option<String>,
    /// Client secret of `oauth`.
    pub client_secret: Option<Secret>,
    /// Refresh token of `oauth`; one that the server changes is kept in `oauth_token_file`.
    pub refresh_token: Option<Secret>,
    /// What `oauth` presents: `client_credentials`, `refresh_token` or `password`; by default
    /// `refresh_token` if there is one.
    pub grant_type: Option<String>,
    /// Scope that `oauth` asks for.
    pub scope: Option<String>,
    /// Where `oauth` gets its tokens.
    pub access_token_url: Option<String>,
    /// Redirect address that `oauth` names, if the server wants one.
    pub redirect_uri: Option<String>,
    /// More fields of the form that `oauth` sends.
    #[serde(default)]
    pub oauth_extras: Keys,
    /// For how many seconds a token of `oauth` counts when the server does not say.
    pub oauth_expiration_secs: Option<u64>,
    /// Sends client id and secret of `oauth` as basic authorization instead of in the form.
    #[serde(default)]
    pub oauth_basic_client: bool,
    /// File in which `oauth` keeps refresh tokens that the server changes; it counts more than
    /// `refresh_token`.
    pub oauth_token_file: Option<String>,
}

/// How requests are signed.
// Without comments on the variants, so that its schema is a plain list of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    #[default]
    NoAuth,
    Basic,
    BearerToken,
    RawToken,
    ApiKey,
    Oauth,
    Aws,
}

/// Where keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    #[default]
    Header,
    Query,
}

/// How to get there, how fast, and when to give up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct NetworkSettings {
    /// PEM file, or PEM text, of the certificates to trust besides the system's.
    pub ca_file: Option<String>,
    /// The User-Agent of requests.
    #[serde(default = "user_agent")]
    pub user_agent: String,
    /// Other origins, like `https://files.example.com`, that next links may lead to; they are
    /// trusted like that of `api_url` and get the credentials.
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
    /// How many bytes of rows may be kept in the folder for temporary files at once.
    #[serde(default = "max_spool_bytes")]
    pub max_spool_bytes: u64,
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
pub enum BackoffType {
    Header,
    Message,
}

fn capped() -> bool {
    true
}

fn max_record_bytes() -> usize {
    64 << 20
}

fn user_agent() -> String {
    concat!("tap-api/", env!("CARGO_PKG_VERSION")).to_owned()
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

fn max_spool_bytes() -> u64 {
    16 << 30
}

fn decompression_ratio_max() -> u64 {
    files::Limits::default().ratio_max
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::not_yet("aws_credentials", "{}", "requests signed for AWS are not made"),
    OtherSetting::without_effect("flattening_max_key_length"),
];
