//! When to try again, and after how long. Pure but for the clock it is given.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::settings::{Amount, BackoffType, NetworkSettings};

/// How requests are tried again.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    attempts_max: u32,
    wait: Duration,
    wait_max: Duration,
    budget: Duration,
    header: String,
    from_message: bool,
    extension: Duration,
}

/// The attempts of one request.
#[derive(Debug)]
pub struct Attempts<'a> {
    policy: &'a RetryPolicy,
    begun: Instant,
    made: u32,
    backoff: ExponentialBackoff,
}

impl RetryPolicy {
    /// Takes the policy from the settings.
    pub fn new(settings: &NetworkSettings) -> Self {
        Self {
            attempts_max: settings.max_attempts.max(1),
            wait: seconds(settings.retry_wait_seconds),
            wait_max: seconds(settings.retry_wait_max_seconds),
            budget: seconds(settings.retry_budget_seconds),
            header: settings.backoff_param.clone(),
            from_message: settings.backoff_type == Some(BackoffType::Message),
            extension: seconds(settings.backoff_time_extension),
        }
    }

    /// Returns the header that says how long to wait.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Returns the longest wait a server may ask for.
    pub fn wait_max(&self) -> Duration {
        self.wait_max
    }

    /// Tells whether the answer's text says how long to wait.
    pub fn reads_message(&self) -> bool {
        self.from_message
    }

    /// Starts the attempts of a request.
    pub fn attempts(&self) -> Attempts<'_> {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(self.wait)
            .with_max_delay(self.wait_max.max(self.wait))
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Attempts { policy: self, begun: Instant::now(), made: 0, backoff: backoff.build() }
    }
}

impl Attempts<'_> {
    /// Counts an attempt that failed; returns how long to wait before the next, or `None` when
    /// there is none. `asked` is what the server asked for.
    pub fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.made += 1;
        if self.made >= self.policy.attempts_max {
            return None;
        }
        let backoff = self.backoff.next().unwrap_or(self.policy.wait);
        let wait = match asked {
            Some(asked) => (asked + self.policy.extension).min(self.policy.wait_max),
            None => backoff,
        };
        (self.begun.elapsed() + wait <= self.policy.budget).then_some(wait)
    }

    /// Returns how many attempts were made.
    pub fn made(&self) -> u32 {
        self.made
    }
}

/// Turns a setting into a duration; what is no number of seconds is none.
pub fn seconds(value: Amount) -> Duration {
    Duration::try_from_secs_f64(value.0).unwrap_or(Duration::ZERO)
}

/// Reads how long a server wants to be left alone: seconds, or a date.
pub fn wait_of(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(wait) = value.parse::<f64>() {
        // An absurd number is as long as can be, which the policy caps.
        return Some(Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or(Duration::MAX / 4));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Reads when a rate limit begins anew: seconds from now, or seconds since 1970.
pub fn reset_of(value: &str, now: Timestamp) -> Option<Duration> {
    let reset: f64 = value.trim().parse().ok()?;
    let from_now = if reset > 1e9 { reset - now.as_duration().as_secs_f64() } else { reset };
    Some(seconds(Amount(from_now.max(0.0))))
}

/// Finds the first number in a text.
pub fn number_in(text: &str) -> Option<Duration> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let digits = text[start..].split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_forms_of_retry_after() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let check = |value: &str, expected: Option<u64>| {
            let wait = wait_of(value, now).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{value}");
        };
        check("5", Some(5));
        check(" 0.5 ", Some(0));
        check("-3", Some(0));
        check("Fri, 20 Nov 2026 10:00:30 GMT", Some(30));
        check("Fri, 20 Nov 2026 09:00:00 GMT", Some(0));
        check("soon", None);
        assert!(wait_of("1e300", now).unwrap() > Duration::from_secs(1 << 40));
        assert_eq!(reset_of("7", now), Some(Duration::from_secs(7)));
        assert_eq!(reset_of("1795168810", now).map(|wait| wait.as_secs()), Some(10));
        assert_eq!(number_in("wait 12 or 13 s"), Some(Duration::from_secs(12)));
    }
}
