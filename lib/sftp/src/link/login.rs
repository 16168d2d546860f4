//! Logging in: keys, agent, password, each offered once, so that no account gets locked.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use singer::{Error, ErrorKind, Secret};

use super::{Ended, Watch, lost};
use crate::attempt::{Attempt, Failure};
use crate::options::Options;

/// Servers hang up after six attempts; one is left for the password.
const AGENT_KEYS_MAX: usize = 4;
/// A server may ask, say something, and be done.
const QUESTIONS_MAX: usize = 4;

/// Logs in with what there is, in this order: private keys, the agent's keys, the password.
///
/// Fails with `Denied` when the server takes none of them.
pub(super) async fn log_in(
    handle: &mut Handle<Watch>,
    options: &Options,
    ended: &Arc<Mutex<Ended>>,
) -> Attempt<()> {
    let mut login =
        Login { handle, options, ended, offered: MethodSet::empty(), tried: Vec::new() };
    // Asks what the server takes; it does not count as an attempt.
    let asked = login.handle.authenticate_none(&options.user).await;
    if login.settled(asked, None)? {
        return Ok(());
    }
    if login.keys().await? || login.agent().await? || login.password().await? {
        return Ok(());
    }
    Err(login.denied())
}

struct Login<'a> {
    handle: &'a mut Handle<Watch>,
    options: &'a Options,
    ended: &'a Arc<Mutex<Ended>>,
    /// What the server takes now.
    offered: MethodSet,
    tried: Vec<String>,
}

impl Login<'_> {
    async fn keys(&mut self) -> Attempt<bool> {
        for key in &self.options.keys {
            if !self.offered.contains(&MethodKind::PublicKey) {
                break;
            }
            let hash = self.hash(&key.algorithm()).await?;
            let name = key.fingerprint(HashAlg::Sha256).to_string();
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            let asked = self.handle.authenticate_publickey(&self.options.user, key).await;
            if self.settled(asked, Some(format!("the private key {name}")))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn agent(&mut self) -> Attempt<bool> {
        if !self.options.agent || !self.offered.contains(&MethodKind::PublicKey) {
            return Ok(false);
        }
        let no_agent = |cause: russh::keys::Error| {
            Failure::Refused(
                Error::new(ErrorKind::Config, "cannot ask the SSH agent for its keys")
                    .caused_by(cause.to_string())
                    .hint("start an agent and set SSH_AUTH_SOCK, or set `use_agent` to false"),
            )
        };
        let mut agent = AgentClient::connect_env().await.map_err(no_agent)?;
        let identities = agent.request_identities().await.map_err(no_agent)?;
        if identities.is_empty() {
            self.tried.push("an agent without keys".to_owned());
        }
        for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let hash = self.hash(&key.algorithm()).await?;
            let name = format!("the agent's key {}", key.fingerprint(HashAlg::Sha256));
            let user = self.options.user.as_str();
            let asked = self.handle.authenticate_publickey_with(user, key, hash, &mut agent).await;
            match asked {
                Ok(asked) => {
                    if self.settled(Ok(asked), Some(name))? {
                        return Ok(true);
                    }
                }
                // The agent may decline to use one of its keys, and have others.
                Err(_) if !self.handle.is_closed() => {
                    self.tried.push(format!("{name}, which it does not use"));
                }
                Err(cause) => return Err(self.hung_up(&cause)),
            }
        }
        Ok(false)
    }

    async fn password(&mut self) -> Attempt<bool> {
        let Some(password) = &self.options.password else { return Ok(false) };
        let user = &self.options.user;
        if self.offered.contains(&MethodKind::Password) {
            let asked = self.handle.authenticate_password(user, password.reveal()).await;
            return self.settled(asked, Some("the password".to_owned()));
        }
        if self.offered.contains(&MethodKind::KeyboardInteractive) {
            return self.answer(password).await;
        }
        Ok(false)
    }

    /// Answers the one question for a password.
    async fn answer(&mut self, password: &Secret) -> Attempt<bool> {
        let user = &self.options.user;
        let mut asked = self.handle.authenticate_keyboard_interactive_start(user, None).await;
        let mut given = false;
        for _ in 0..QUESTIONS_MAX {
            let prompts = match asked {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(true),
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. }) => {
                    self.offered = remaining_methods;
                    break;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(cause) => return Err(self.hung_up(&cause)),
            };
            let answers = match prompts.as_slice() {
                [] => Vec::new(),
                [prompt] if !given && !prompt.echo => {
                    given = true;
                    vec![password.reveal().to_owned()]
                }
                _ => break,
            };
            asked = self.handle.authenticate_keyboard_interactive_respond(answers).await;
        }
        self.tried.push("the password".to_owned());
        Ok(false)
    }

    /// Tells whether the login is done; notes what was tried in vain.
    fn settled(
        &mut self,
        asked: Result<AuthResult, russh::Error>,
        tried: Option<String>,
    ) -> Attempt<bool> {
        match asked {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if !partial_success {
                    self.tried.extend(tried);
                }
                // No methods at all: the connection is gone, or about to be.
                if remaining_methods.is_empty() && self.handle.is_closed() {
                    return Err(self.hung_up(&"no answer to the login"));
                }
                self.offered = remaining_methods;
                Ok(false)
            }
            Err(cause) => Err(self.hung_up(&cause)),
        }
    }

    /// A server that hangs up with words over what was tried does so on purpose; else the
    /// connection just broke, or the server has no time now.
    fn hung_up(&self, cause: &dyn Display) -> Failure {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let words = ended.sent_off.clone().filter(|_| !ended.busy && !self.tried.is_empty());
        drop(ended);
        match words {
            Some(words) => Failure::Refused(self.refusal().with("the server says", words)),
            None => Failure::Lost(lost(&self.options.address()).caused_by(cause.to_string())),
        }
    }

    async fn hash(&self, algorithm: &Algorithm) -> Attempt<Option<HashAlg>> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|cause| self.hung_up(&cause))?;
        // A server that does not tell is older than the announcement, not than SHA-2, unless it is
        // a very old one.
        let untold = (!self.options.legacy).then_some(HashAlg::Sha256);
        Ok(best.unwrap_or(untold))
    }

    fn refusal(&self) -> Error {
        let failure = Error::new(ErrorKind::Denied, "cannot log in to the SFTP server")
            .with("server", self.options.address())
            .with("username", &self.options.user);
        if self.tried.is_empty() { failure } else { failure.with("refused", self.tried.join(", ")) }
    }

    fn denied(&self) -> Failure {
        let methods: Vec<&str> = self.offered.iter().map(<&str>::from).collect();
        let hint = if self.tried.is_empty() {
            "set the credentials that the server accepts: `password`, or `private_key_file` for \
             publickey"
        } else {
            "check `username` and the credentials; each of them was tried once"
        };
        Failure::Refused(self.refusal().with("the server accepts", methods.join(", ")).hint(hint))
    }
}
