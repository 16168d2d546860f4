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
    /// Where the API is; paths of streams are added to it.
    pub api_url: String,
    /// The streams to read.
    pub streams: Vec<StreamSettings>,
    /// Reads one day of the streams that have a `replication_key` or `{start}` and `{end}`, as
    /// YYYY-MM-DD, instead of what is new; bookmarks stay as they are.
    #[schemars(extend("x-role" = "datestamp"))]
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
    /// The User-Agent of requests.
    #[serde(default = "user_agent")]
    pub user_agent: String,
    /// How to get there.
    #[serde(flatten)]
    pub network: NetworkSettings,
    /// How many bytes of rows may be kept in the folder for temporary files at once.
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
    moved: "set `api_url` and `path` to where the API is",
    not_yet: "run again later; if it is always so, check `path`: the result may be at another one",
    credentials: "check `auth_method` and what it needs",
    rights: "check the rights of the user or token, and `auth_method`",
    missing: "check `api_url` and `path`; `not_found: empty` takes 404 for no records",
    request: "check `params`, `body` and `headers` against the answer",
};

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::not_yet("aws_credentials", "{}", "requests signed for AWS are not made"),
    OtherSetting::without_effect("flattening_max_key_length"),
];
