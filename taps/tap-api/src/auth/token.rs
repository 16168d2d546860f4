//! OAuth: tokens of client credentials, of a refresh token, or of a password.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use disk::{NewFile, replace_file};
use http_client::{Address, Request, Sender, Signature, Signer, secrets::basic};
use serde_json::{Value, json};
use singer::{Context, Error, ErrorKind, Result, ResultExt, Secret, own_file, scrub};

use crate::auth::needs::{needed, secret};
use crate::settings::AuthSettings;

/// A token is renewed so long before its time is up.
const MARGIN: Duration = Duration::from_secs(30);
/// A file of a token is no larger.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// Only its owner reads the file of a token.
const MODE: u32 = 0o600;
const SAVE: &str = "cannot keep the refresh token";

/// Where tokens come from.
#[derive(Debug)]
pub struct TokenSource {
    address: Address,
    /// The form but for the refresh token.
    form: Vec<(String, Secret)>,
    client: Option<Secret>,
    refreshes: bool,
    default_life: Option<Duration>,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    access: Option<(Secret, Option<Instant>)>,
    refresh: Option<Secret>,
}

impl TokenSource {
    /// Takes what the grant needs from the settings.
    ///
    /// Fails with `Config` when something is missing.
    pub fn new(settings: &AuthSettings) -> Result<Self> {
        let url = needed(settings.access_token_url.as_deref(), "access_token_url", "oauth")?;
        let address = Address::parse(url).with("setting", "access_token_url")?;
        let by_default = if settings.refresh_token.is_some() || settings.oauth_token_file.is_some()
        {
            "refresh_token"
        } else {
            "client_credentials"
        };
        let grant = settings.grant_type.as_deref().unwrap_or(by_default);
        let mut form = vec![("grant_type".to_owned(), Secret::new(grant))];
        let mut add = |name: &str, value: &str| form.push((name.to_owned(), Secret::new(value)));
        let id = settings.client_id.as_deref().unwrap_or_default();
        let client_secret = settings.client_secret.as_ref().map_or("", |key| key.reveal().trim());
        match grant {
            "client_credentials" => {
                needed(settings.client_id.as_deref(), "client_id", "oauth")?;
                secret(settings.client_secret.as_ref(), "client_secret", "oauth")?;
            }
            "refresh_token" if settings.oauth_token_file.is_none() => {
                secret(settings.refresh_token.as_ref(), "refresh_token", "oauth")?;
            }
            "refresh_token" => {}
            "password" => {
                add("username", needed(settings.username.as_deref(), "username", "oauth")?);
                add("password", secret(settings.password.as_ref(), "password", "oauth")?);
            }
            other => {
                return Err(Error::new(ErrorKind::Config, "cannot use this grant of oauth")
                    .with("grant_type", other)
                    .hint("set `grant_type` to client_credentials, refresh_token or password"));
            }
        }
        let client = settings.oauth_basic_client.then(|| Secret::new(basic(id, client_secret)));
        scrub::learn(client.as_ref().map(Secret::reveal).unwrap_or_default());
        if client.is_none() {
            [("client_id", id), ("client_secret", client_secret)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .for_each(|(name, value)| add(name, value));
        }
        for (name, value) in [("scope", &settings.scope), ("redirect_uri", &settings.redirect_uri)]
        {
            if let Some(value) = value {
                add(name, value);
            }
        }
        for (name, value) in &settings.oauth_extras {
            add(name, value.reveal());
        }
        Ok(Self {
            address,
            form,
            client,
            refreshes: grant == "refresh_token",
            default_life: settings.oauth_expiration_secs.map(Duration::from_secs),
            file: settings.oauth_token_file.as_ref().map(PathBuf::from),
            state: Mutex::new(State { access: None, refresh: settings.refresh_token.clone() }),
        })
    }

    fn fetch(&self, sender: &dyn Sender, state: &mut State) -> Result<Secret> {
        // Before anything is asked: a refresh token that changes must not be lost.
        let keeper = match &self.file {
            Some(path) if self.refreshes => Some(Keeper::open(path)?),
            _ => None,
        };
        let mut form = self.form.clone();
        if self.refreshes {
            if let Some(kept) = keeper.as_ref().map(Keeper::read).transpose()?.flatten() {
                scrub::learn(kept.reveal());
                state.refresh = Some(kept);
            }
            let Some(refresh) = &state.refresh else {
                return Err(Error::new(ErrorKind::Config, "the refresh token is missing").hint(
                    "set `refresh_token`; the tap keeps later tokens in `oauth_token_file`",
                ));
            };
            form.push(("refresh_token".to_owned(), Secret::new(refresh.reveal().trim())));
        }
        let mut request = Request::form(self.address.clone(), &form);
        if let Some(basic) = &self.client {
            request.headers.push(("authorization".to_owned(), basic.clone()));
        }
        let answer = sender.send_unsigned(&request).map_err(refused)?;
        let mut answer = answer;
        let body: Value = serde_json::from_reader(answer.body()?).map_err(|_| {
            Error::new(ErrorKind::Data, "the answer of the token server is not JSON")
                .with("request", request.shown())
        })?;
        let Some(token) = body["access_token"].as_str().filter(|token| !token.is_empty()) else {
            return Err(Error::new(ErrorKind::Denied, "the token server sent no token")
                .with("request", request.shown())
                .hint("check `access_token_url`, `grant_type` and `scope`"));
        };
        scrub::learn(token);
        let life = &body["expires_in"];
        let life = life.as_u64().or_else(|| life.as_str()?.parse().ok()).map(Duration::from_secs);
        let life = life.or(self.default_life).map(|life| life.saturating_sub(MARGIN.min(life / 2)));
        state.access = Some((Secret::new(token), life.map(|life| Instant::now() + life)));
        if let Some(fresh) = body["refresh_token"].as_str().filter(|_| self.refreshes) {
            scrub::learn(fresh);
            rotate(fresh, state, keeper.as_ref())?;
        }
        Ok(Secret::new(token))
    }
}

/// Keeps a refresh token that the server has changed.
fn rotate(fresh: &str, state: &mut State, keeper: Option<&Keeper>) -> Result<()> {
    if state.refresh.as_ref().is_some_and(|known| known.reveal().trim() == fresh) {
        return Ok(());
    }
    state.refresh = Some(Secret::new(fresh));
    if let Some(keeper) = keeper {
        return keeper.write(fresh);
    }
    singer::warn!(
        "W-TOKEN-CHANGED",
        "the token server changed the refresh token, so the token in the settings may no longer be \
          valid: set `oauth_token_file` to keep the new tokens"
    );
    Ok(())
}

impl Signer for TokenSource {
    /// Signs with a token whose time is not up.
    fn signature(&self, sender: &dyn Sender) -> Result<Signature> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = state.access.as_ref().filter(|(_, end)| {
            end.is_none_or(|end| end.saturating_duration_since(Instant::now()) > Duration::ZERO)
        });
        let token = match valid {
            Some((token, _)) => token.clone(),
            None => self.fetch(sender, &mut state)?,
        };
        Ok(Signature::authorization(format!("Bearer {}", token.reveal())))
    }

    /// Forgets the token that was refused.
    fn refused(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).access = None;
        true
    }
}

/// A refused refresh token or client is a matter of credentials, whatever the status.
fn refused(failure: Error) -> Error {
    let hint = "check `client_id`, `client_secret`, `refresh_token` and `access_token_url`";
    match failure.kind() {
        ErrorKind::Unavailable | ErrorKind::Denied => failure.of_kind(ErrorKind::Denied).hint(hint),
        _ => failure,
    }
    .with("for", "a token of oauth")
}

/// The file of the refresh token, locked against other runs.
struct Keeper {
    path: PathBuf,
    _lock: File,
}

impl Keeper {
    fn open(path: &Path) -> Result<Self> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = own_file::write(Path::new(&lock)).map_err(|failure| {
            if failure.has_hint() {
                return failure;
            }
            failure.hint("the folder of `oauth_token_file` must be writable")
        })?;
        lock.lock().or_kind(ErrorKind::Io, SAVE)?;
        // A token that cannot be kept must not be asked for: the one before it is void then.
        drop(NewFile::alone(path, MODE)?);
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    fn read(&self) -> Result<Option<Secret>> {
        let text = own_file::read(&self.path, TOKEN_BYTES_MAX);
        let Some(text) = text.with("setting", "oauth_token_file")? else { return Ok(None) };
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        match value["refresh_token"].as_str() {
            Some(token) => Ok(Some(Secret::new(token))),
            None => Err(Error::new(ErrorKind::Config, "cannot read the refresh token")
                .with("path", self.path.display())
                .hint(
                    "the file must hold {\"refresh_token\": \"...\"}; remove it to start with \
                       the token of the settings",
                )),
        }
    }

    fn write(&self, token: &str) -> Result<()> {
        let text = json!({ "refresh_token": token }).to_string();
        let kept = replace_file(&self.path, text.as_bytes(), MODE);
        kept.or_kind(ErrorKind::Io, SAVE).with("path", self.path.display())
    }
}
