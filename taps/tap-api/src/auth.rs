//! How requests are signed.

pub mod secrets;
pub mod token;

use singer::{Error, ErrorKind, Result, Secret, scrub};

use crate::auth::secrets::basic;
use crate::auth::token::TokenSource;
use crate::settings::{AuthMethod, AuthSettings, KeyPlace};

/// What signs requests.
#[derive(Debug)]
pub enum Auth {
    /// Headers and parameters that are always the same.
    Fixed(Signature),
    /// Tokens that a server gives.
    Tokens(Box<TokenSource>),
}

/// What is added to a request.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Headers.
    pub headers: Vec<(String, Secret)>,
    /// Parameters of the query.
    pub params: Vec<(String, Secret)>,
}

impl Signature {
    /// Signs by the Authorization header.
    pub fn authorization(value: impl Into<String>) -> Self {
        let header = ("authorization".to_owned(), Secret::new(value));
        Self { headers: vec![header], params: Vec::new() }
    }
}

impl Auth {
    /// Takes what the method needs from the settings, and makes its secrets known.
    ///
    /// Fails with `Config` when something is missing.
    pub fn new(settings: &AuthSettings) -> Result<Self> {
        for secret in [
            &settings.password,
            &settings.bearer_token,
            &settings.client_secret,
            &settings.refresh_token,
        ] {
            scrub::learn(secret.as_ref().map(Secret::reveal).unwrap_or_default());
        }
        let extras = settings.api_keys.values().chain(settings.oauth_extras.values());
        extras.for_each(|secret| scrub::learn(secret.reveal()));
        let signature = match settings.auth_method {
            AuthMethod::NoAuth => Signature::default(),
            AuthMethod::Basic => {
                let user = needed(settings.username.as_deref(), "username", "basic")?;
                let password = settings.password.as_ref().map_or("", Secret::reveal);
                let password = password.trim_end_matches(['\r', '\n']);
                let value = basic(user, password);
                scrub::learn(value.trim_start_matches("Basic "));
                Signature::authorization(value)
            }
            AuthMethod::BearerToken => {
                let token = secret(settings.bearer_token.as_ref(), "bearer_token", "bearer_token")?;
                Signature::authorization(format!("Bearer {token}"))
            }
            AuthMethod::RawToken => {
                let token = secret(settings.bearer_token.as_ref(), "bearer_token", "raw_token")?;
                Signature::authorization(token)
            }
            AuthMethod::ApiKey => keys(settings)?,
            AuthMethod::Oauth => {
                let source = TokenSource::new(settings)?;
                return Ok(Self::Tokens(Box::new(source)));
            }
            AuthMethod::Aws => {
                return Err(Error::new(ErrorKind::Config, "cannot sign requests for AWS")
                    .with("setting", "auth_method")
                    .hint("put a proxy that signs them in between, or use keys or tokens"));
            }
        };
        Ok(Self::Fixed(signature))
    }
}

fn keys(settings: &AuthSettings) -> Result<Signature> {
    if settings.api_keys.is_empty() {
        return Err(missing("api_keys", "api_key"));
    }
    let keys: Vec<_> =
        settings.api_keys.iter().map(|(name, key)| (name.clone(), key.clone())).collect();
    Ok(match settings.api_keys_in {
        KeyPlace::Header => Signature { headers: keys, params: Vec::new() },
        KeyPlace::Query => Signature { headers: Vec::new(), params: keys },
    })
}

/// Returns a setting that a method needs.
pub fn needed<'a>(value: Option<&'a str>, setting: &str, method: &str) -> Result<&'a str> {
    value.filter(|value| !value.trim().is_empty()).ok_or_else(|| missing(setting, method))
}

/// Returns a secret that a method needs, without the line end that files put behind it.
pub fn secret<'a>(value: Option<&'a Secret>, setting: &str, method: &str) -> Result<&'a str> {
    needed(value.map(Secret::reveal), setting, method).map(str::trim)
}

fn missing(setting: &str, method: &str) -> Error {
    Error::new(ErrorKind::Config, "a setting is missing")
        .with("setting", setting)
        .hint(format!("`auth_method: {method}` needs it"))
}
