//! How requests are signed.

mod needs;
pub mod token;

use http_client::{Sender, Signature, Signer, secrets::basic};
use singer::{Error, ErrorKind, Result, Secret, scrub};

use crate::auth::needs::{missing, needed, secret};
use crate::auth::token::TokenSource;
use crate::settings::{AuthMethod, AuthSettings, KeyPlace};

/// Takes what the method needs from the settings, and makes its secrets known.
///
/// Fails with `Config` when something is missing.
pub fn signer(settings: &AuthSettings) -> Result<Box<dyn Signer>> {
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
            return Ok(Box::new(source));
        }
        AuthMethod::Aws => {
            return Err(Error::new(ErrorKind::Config, "cannot sign requests for AWS")
                .with("setting", "auth_method")
                .hint("use a proxy that signs the requests, or use keys or tokens"));
        }
    };
    Ok(Box::new(Fixed(signature)))
}

/// Headers and parameters that are always the same.
#[derive(Debug)]
struct Fixed(Signature);

impl Signer for Fixed {
    fn signature(&self, _: &dyn Sender) -> Result<Signature> {
        Ok(self.0.clone())
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
