//! Sends requests: signed, kept apart, redirected with care, tried again where that helps.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use singer::{Context, Error, ErrorKind, Result, Secret};

use crate::address::{Address, Origin};
use crate::answer::{Answer, BodyLimits};
use crate::failure::{Hints, UNREACHABLE};
use crate::network::Network;
use crate::request::{Method, Request};
use crate::retry::{Attempts, RetryPolicy, number_in, reset_of, wait_of};
use crate::secrets::Secrets;
use crate::settings::NetworkSettings;
use crate::signer::{Sender, Signature, Signer};
use crate::throttle::Throttle;

const REDIRECTS_MAX: usize = 10;
const EXCERPT_CHARS: usize = 200;

/// The server at the other end.
#[derive(Debug)]
pub struct Client {
    network: Network,
    hints: Hints,
    signer: Box<dyn Signer>,
    secrets: Secrets,
    policy: RetryPolicy,
    throttle: Mutex<Throttle>,
    limits: BodyLimits,
    trusted: Vec<Origin>,
}

/// An attempt that failed.
struct Failed {
    failure: Error,
    status: Option<u16>,
    /// How long the server wants to be left alone.
    asked: Option<Duration>,
}

impl From<Error> for Failed {
    fn from(failure: Error) -> Self {
        Self { failure, status: None, asked: None }
    }
}

impl Client {
    /// Prepares everything, and connects to nothing.
    pub fn new(
        network: &NetworkSettings,
        user_agent: &str,
        hints: Hints,
        api: &Address,
        signer: Box<dyn Signer>,
    ) -> Result<Self> {
        let mut trusted = vec![api.origin()];
        for origin in &network.allowed_origins {
            let address = Address::parse(origin).with("setting", "allowed_origins");
            trusted.push(address.with("origin", origin)?.origin());
        }
        Ok(Self {
            signer,
            network: Network::new(network, user_agent),
            hints,
            secrets: Secrets::default(),
            policy: RetryPolicy::new(network),
            throttle: Mutex::new(Throttle::new(
                network.requests_per_second.map(|rate| rate.0).filter(|rate| *rate > 0.0),
                network.requests_per_minute.map(|rate| rate.0).filter(|rate| *rate > 0.0),
                network.request_burst,
            )),
            limits: BodyLimits {
                bytes_max: network.max_response_bytes,
                ratio_max: network.decompression_ratio_max,
            },
            trusted,
        })
    }

    /// Returns what must not be shown.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Tells whether an origin may have the credentials.
    pub fn trusts(&self, address: &Address) -> bool {
        self.trusted.contains(&address.origin())
    }

    /// Sends a request until it succeeds, has one of these other statuses, or there is no hope.
    pub fn send(&self, request: &Request, statuses: &[u16]) -> Result<Answer> {
        let mut attempts = self.policy.attempts();
        let mut renewed = false;
        loop {
            let failed = match self.signed(request, statuses) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.status == Some(401)
                && !std::mem::replace(&mut renewed, true)
                && self.signer.refused()
            {
                tracing::info!(
                    "{}: the API refused the token, so the tap asks for a new one",
                    self.shown(request)
                );
                continue;
            }
            let again = failed.failure.kind() == ErrorKind::Temporary;
            let Some(wait) = again.then(|| attempts.next_wait(failed.asked)).flatten() else {
                let made = attempts.made();
                return Err(if again {
                    failed.failure.with("attempts", made)
                } else {
                    failed.failure
                });
            };
            self.wait(request, &failed.failure, wait);
        }
    }

    fn signed(&self, request: &Request, statuses: &[u16]) -> Result<Answer, Failed> {
        let signature = self.signer.signature(self)?;
        let answer = self.follow(request, &signature)?;
        self.judge(request, answer, statuses)
    }

    /// Sends a request and follows where it is redirected to.
    fn follow(&self, request: &Request, signature: &Signature) -> Result<Answer> {
        let mut hop = request.clone();
        let first = request.address.origin();
        for followed in 0..=REDIRECTS_MAX {
            let mut headers = Vec::new();
            let mut sent = hop.clone();
            if self.trusts(&hop.address) {
                headers.extend(hop.headers.iter().cloned());
                headers.extend(signature.headers.iter().cloned());
                let reveal =
                    |(name, key): &(String, Secret)| (name.clone(), key.reveal().to_owned());
                let params: Vec<_> = signature.params.iter().map(reveal).collect();
                sent.address = hop.address.with_params(&params)?;
            }
            let answer = self.exchange(&sent, &headers).map_err(|failure| {
                if followed == 0 || failure.message() != UNREACHABLE {
                    return failure;
                }
                // No setting names this server.
                failure.with("redirected from", self.shown(request)).hint(
                    "the API redirects to this address, and nothing answers there: check the API, \
                     and whether this machine reaches that address",
                )
            })?;
            let location = match answer.status {
                301 | 302 | 303 | 307 | 308 => answer.header("location").map(str::to_owned),
                _ => None,
            };
            let Some(location) = location else { return Ok(answer) };
            let next = hop.address.join(&location).with("request", self.shown(&hop))?;
            let refuse = |why: &str| {
                Err(Error::new(ErrorKind::Unavailable, "cannot follow a redirect")
                    .with("request", self.shown(request))
                    .with("to", self.secrets.scrub(&next.to_string()))
                    .with("reason", why)
                    .hint(self.hints.moved))
            };
            if hop.address.is_secure() && !next.is_secure() {
                return refuse("it leads from https to http");
            }
            // 303 may name a result that is made already.
            let is_made = answer.status == 303 && !next.has_path_of(&hop.address);
            if !is_made && next.loses_params_of(&hop.address) {
                return refuse("it leads to an address with other parameters or without them");
            }
            if hop.body.is_some() && matches!(answer.status, 301 | 302) {
                return refuse("the body of the request would be lost");
            }
            if matches!(answer.status, 301..=303) {
                (hop.method, hop.body) = (Method::Get, None);
            }
            if hop.body.is_some() && next.origin() != first {
                return refuse("a body would be sent to another host");
            }
            hop.address = next;
        }
        Err(Error::new(ErrorKind::Unavailable, "the API redirects too often")
            .with("request", self.shown(request))
            .with("redirects", REDIRECTS_MAX)
            .hint(self.hints.redirect))
    }

    /// Sends one request and receives the answer whole.
    fn exchange(&self, request: &Request, headers: &[(String, Secret)]) -> Result<Answer> {
        let wait = self.throttle().take(Instant::now());
        std::thread::sleep(wait);
        let sent = self.send_once(request, headers);
        sent.map_err(|failure| match failure.context("request") {
            Some(_) => failure,
            None => failure.with("request", self.shown(request)),
        })
    }

    fn send_once(&self, request: &Request, headers: &[(String, Secret)]) -> Result<Answer> {
        let agent = self.network.agent(&request.address)?;
        let builder = request.build(headers)?;
        let bad = |_| Error::new(ErrorKind::Internal, "cannot make the request");
        let sent = match &request.body {
            Some((body, kind)) => {
                let plain = builder.header("content-type", *kind).body(body.as_slice());
                agent.run(plain.map_err(bad)?)
            }
            None if request.method == Method::Post => {
                agent.run(builder.body(&b""[..]).map_err(bad)?)
            }
            None => agent.run(builder.body(()).map_err(bad)?),
        };
        let (parts, mut body) = sent.map_err(|cause| self.hints.of_transport(cause))?.into_parts();
        let address = request.address.clone();
        let answer = Answer::receive(&parts, body.as_reader(), address, self.limits, &self.hints)?;
        tracing::debug!("{}: {}, {} bytes", self.shown(request), answer.status, answer.length);
        self.heed_limits(&answer);
        Ok(answer)
    }

    /// Takes an answer for what its status says.
    fn judge(
        &self,
        request: &Request,
        mut answer: Answer,
        statuses: &[u16],
    ) -> Result<Answer, Failed> {
        let status = answer.status;
        // What was accepted is not answered.
        if matches!(status, 200..300) && status != 202 || statuses.contains(&status) {
            return Ok(answer);
        }
        let text = answer.excerpt();
        let now = Timestamp::now();
        let asked = self.asked_wait(&answer, now);
        let asked =
            asked.or_else(|| self.policy.reads_message().then(|| number_in(&text)).flatten());
        let mut failure = self.hints.of_status(status);
        // Some APIs say so that too much was asked for.
        if status == 403 && asked.is_some() {
            failure = self.hints.of_status(429);
        }
        failure = failure.with("request", self.shown(request)).with("status", status);
        if let Some(excerpt) = self.excerpt(&text) {
            failure = failure.with("answer", excerpt);
        }
        Err(Failed { failure, status: Some(status), asked })
    }

    /// Returns how long the headers of an answer ask to wait.
    fn asked_wait(&self, answer: &Answer, now: Timestamp) -> Option<Duration> {
        let asked = answer.header(&self.policy.header().to_ascii_lowercase());
        let asked = asked.and_then(|value| wait_of(value, now));
        asked
            .or_else(|| answer.header("retry-after").and_then(|value| wait_of(value, now)))
            .or_else(|| exhausted(answer, now))
    }

    /// Starts to count the attempts of a request.
    pub fn attempts(&self) -> Attempts<'_> {
        self.policy.attempts()
    }

    /// Waits before another attempt after an answer that tells of a passing failure; returns the
    /// failure when there is no other attempt.
    pub fn wait_again(
        &self,
        attempts: &mut Attempts<'_>,
        request: &Request,
        failure: Error,
        answer: &Answer,
    ) -> Result<()> {
        let Some(wait) = attempts.next_wait(self.asked_wait(answer, Timestamp::now())) else {
            return Err(failure.with("attempts", attempts.made()));
        };
        self.wait(request, &failure, wait);
        Ok(())
    }

    fn wait(&self, request: &Request, failure: &Error, wait: Duration) {
        let cause = failure.root_cause().map(|cause| format!(": {cause}")).unwrap_or_default();
        singer::warn!(
            "W-TRY-AGAIN",
            "{}: {}{cause}; trying again in {:.1} s",
            self.shown(request),
            failure.message(),
            wait.as_secs_f64()
        );
        std::thread::sleep(wait);
    }

    /// Returns method and address for people.
    pub fn shown(&self, request: &Request) -> String {
        self.secrets.scrub(&request.shown())
    }

    /// Returns the first characters of a text, without secrets.
    pub fn excerpt(&self, text: &str) -> Option<String> {
        // The text may end in the middle of a character and of a secret.
        let text = self.secrets.scrub(text.trim_end_matches('\u{fffd}').trim());
        let excerpt: String = text.chars().take(EXCERPT_CHARS).collect();
        (!excerpt.is_empty()).then_some(excerpt)
    }

    /// Pauses when the server says that nothing is left of a limit.
    fn heed_limits(&self, answer: &Answer) {
        if let Some(wait) = exhausted(answer, Timestamp::now()) {
            let wait = wait.min(self.policy.wait_max());
            tracing::info!(
                "the rate limit of the API is reached: waiting {:.1} s",
                wait.as_secs_f64()
            );
            self.throttle().pause(Instant::now(), wait);
        }
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender for Client {
    fn send_unsigned(&self, request: &Request) -> Result<Answer> {
        let mut attempts = self.policy.attempts();
        loop {
            let sent = self.exchange(request, &request.headers).map_err(Failed::from);
            let failed = match sent.and_then(|answer| self.judge(request, answer, &[])) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let again = failed.failure.kind() == ErrorKind::Temporary;
            let wait = again.then(|| attempts.next_wait(failed.asked)).flatten();
            let Some(wait) = wait else { return Err(failed.failure) };
            std::thread::sleep(wait);
        }
    }
}

/// Reads from the headers of rate limits how long nothing more is allowed.
fn exhausted(answer: &Answer, now: Timestamp) -> Option<Duration> {
    ["ratelimit", "x-ratelimit", "x-rate-limit"].iter().find_map(|family| {
        let left = answer.header(&format!("{family}-remaining"))?;
        let used_up = left.trim().parse::<f64>().is_ok_and(|left| left <= 0.0);
        used_up.then(|| reset_of(answer.header(&format!("{family}-reset"))?, now)).flatten()
    })
}
