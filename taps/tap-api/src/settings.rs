//! The settings of tap-api: the API, how to sign in, how to get there.

use http_client::{Hints, NetworkSettings};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use singer::{OtherSetting, Secret};

use crate::options::{self, Keys, StreamOptions, StreamSettings};

/// The settings of tap-api.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(remote = "Self")]
pub struct Settings {
    /// Address of the API. The `path` of each stream is added to it.
    pub api_url: String,
    /// Streams to read.
    pub streams: Vec<StreamSettings>,
    /// Day to read, as YYYY-MM-DD. It applies to streams that have a `replication_key` or use
    /// `{start}` and `{end}`, and leaves their bookmarks unchanged. By default such streams read
    /// the records since their bookmark.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// Time zone in which a `datestamp` or a `window_days` begins. It also applies to `{start}` and
    /// `{end}` if `time_format` writes no zone. By default UTC; if the bookmark or `start_date` has
    /// another offset, such a `time_format` uses that offset. A `start_date` that the zone skips or
    /// has twice needs an offset.
    pub time_zone: Option<String>,
    /// What streams that do not say otherwise do.
    #[serde(flatten)]
    pub defaults: StreamOptions,
    /// How to sign in.
    #[serde(flatten)]
    pub auth: AuthSettings,
    /// Text of the User-Agent header.
    #[serde(default = "user_agent")]
    pub user_agent: String,
    /// How to get there.
    #[serde(flatten)]
    pub network: NetworkSettings,
    /// Largest number of bytes of rows that the tap keeps in the folder for temporary files at one
    /// time.
    #[serde(default = "max_spool_bytes")]
    pub max_spool_bytes: u64,
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut given = Map::deserialize(deserializer)?;
        options::fill(&mut given);
        Self::deserialize(Value::Object(given)).map_err(D::Error::custom)
    }
}

impl Settings {
    /// Gives the common `start_date` to the streams that have none of their own.
    pub fn start_at(&mut self, date: Option<&String>) {
        for stream in &mut self.streams {
            stream.start_date = stream.start_date.take().or_else(|| date.cloned());
        }
    }
}

/// How to sign in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AuthSettings {
    /// How requests are signed: `basic` with `username` and `password`, `bearer_token`, `raw_token`
    /// (`bearer_token` without the word Bearer), `api_key` with `api_keys`, or `oauth`. `aws` is
    /// not supported and is refused.
    #[serde(default)]
    pub auth_method: AuthMethod,
    /// Names and values that `api_key` adds to each request.
    #[serde(default)]
    pub api_keys: Keys,
    /// Where `api_key` puts them: into the headers or the query.
    #[serde(default)]
    pub api_keys_in: KeyPlace,
    /// User name for `basic`, and for `oauth` with the grant `password`.
    pub username: Option<String>,
    /// Password for `basic`, and for `oauth` with the grant `password`.
    pub password: Option<Secret>,
    /// Token for `bearer_token` and `raw_token`.
    pub bearer_token: Option<Secret>,
    /// Client id for `oauth`.
    pub client_id: Option<String>,
    /// Client secret for `oauth`.
    pub client_secret: Option<Secret>,
    /// Refresh token for `oauth`. If the server changes it, the tap keeps the new one in
    /// `oauth_token_file`.
    pub refresh_token: Option<Secret>,
    /// Grant of `oauth`: `client_credentials`, `refresh_token` or `password`. By default
    /// `refresh_token` if `refresh_token` or `oauth_token_file` is set, else `client_credentials`.
    pub grant_type: Option<String>,
    /// Scope that `oauth` asks for.
    pub scope: Option<String>,
    /// Address at which `oauth` gets its tokens.
    pub access_token_url: Option<String>,
    /// Redirect address that `oauth` sends, if the server asks for one.
    pub redirect_uri: Option<String>,
    /// More fields of the form that `oauth` sends.
    #[serde(default)]
    pub oauth_extras: Keys,
    /// Lifetime in seconds of an `oauth` token, if the server does not send one.
    pub oauth_expiration_secs: Option<u64>,
    /// Sends client id and secret of `oauth` as basic authorization. By default they are part of
    /// the form.
    #[serde(default)]
    pub oauth_basic_client: bool,
    /// File in which `oauth` keeps refresh tokens that the server has changed. A token in this file
    /// wins over `refresh_token`.
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

fn user_agent() -> String {
    concat!("tap-api/", env!("CARGO_PKG_VERSION")).to_owned()
}

fn max_spool_bytes() -> u64 {
    16 << 30
}

/// What to do about requests that fail.
pub const HINTS: Hints = Hints {
    address: "`api_url`",
    redirect: "check `api_url` and `path`",
    moved: "set `api_url` and `path` to the new address of the API",
    not_yet: "run again later; if this does not help, check `path`",
    credentials: "check `auth_method` and the settings that it needs",
    rights: "check the rights of the user or token, and `auth_method`",
    missing: "check `api_url` and `path`; `not_found: empty` accepts 404",
    request: "check `params`, `body` and `headers` against the answer",
};

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::not_yet(
        "aws_credentials",
        "{}",
        "requests that are signed for AWS are not supported",
    ),
    OtherSetting::without_effect("flattening_max_key_length"),
];
