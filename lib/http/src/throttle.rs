//! How fast requests may follow each other. Pure but for the clock it is given.

use std::time::{Duration, Instant};

/// Keeps requests apart: each takes its place in a schedule that may be ahead of the clock by the
/// burst, and never before a time the server asked for.
#[derive(Debug)]
pub(crate) struct Throttle {
    lanes: Vec<Lane>,
    not_before: Option<Instant>,
}

/// One limit: the time between requests, and how much of it may be saved up.
#[derive(Debug)]
struct Lane {
    interval: Duration,
    credit: Duration,
    next: Option<Instant>,
}

impl Throttle {
    /// Starts with so many requests a second and a minute, if limited, and so many at once.
    pub(crate) fn new(per_second: Option<f64>, per_minute: Option<f64>, burst: u32) -> Self {
        let lane = |seconds: f64, rate: f64| {
            let interval = Duration::try_from_secs_f64(seconds / rate).unwrap_or(Duration::MAX / 4);
            let credit = interval.saturating_mul(burst.saturating_sub(1));
            Lane { interval, credit, next: None }
        };
        let second = per_second.map(|rate| lane(1.0, rate));
        let minute = per_minute.map(|rate| lane(60.0, rate));
        Self { lanes: second.into_iter().chain(minute).collect(), not_before: None }
    }

    /// Takes a place for a request; returns how long to wait for it.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        let mut at = self.not_before.filter(|time| *time > now).unwrap_or(now);
        for lane in &mut self.lanes {
            let next = lane.next.unwrap_or(now);
            at = at.max(next.checked_sub(lane.credit).unwrap_or(now));
            let earliest = at.checked_sub(Duration::ZERO).unwrap_or(at);
            lane.next = next.max(earliest).checked_add(lane.interval);
        }
        at.saturating_duration_since(now)
    }

    /// Lets no request out before so much time has passed.
    pub(crate) fn pause(&mut self, now: Instant, pause: Duration) {
        let until = now.checked_add(pause);
        self.not_before = self.not_before.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_requests_apart_and_lets_bursts_through() {
        let start = Instant::now();
        let check = |mut throttle: Throttle, expected: &[u64]| {
            let mut now = start;
            let waits: Vec<u64> = expected
                .iter()
                .map(|_| {
                    let wait = throttle.take(now);
                    now += wait;
                    u64::try_from((now - start).as_millis()).unwrap()
                })
                .collect();
            assert_eq!(waits, expected);
        };
        check(Throttle::new(Some(10.0), None, 1), &[0, 100, 200, 300]);
        check(Throttle::new(Some(10.0), None, 3), &[0, 0, 0, 100, 200]);
        check(Throttle::new(None, Some(60.0), 1), &[0, 1000, 2000]);
        check(Throttle::new(None, None, 1), &[0, 0, 0]);
        let mut throttle = Throttle::new(None, None, 1);
        throttle.pause(start, Duration::from_secs(2));
        assert_eq!(throttle.take(start), Duration::from_secs(2));
        assert_eq!(throttle.take(start + Duration::from_secs(3)), Duration::ZERO);
    }
}
