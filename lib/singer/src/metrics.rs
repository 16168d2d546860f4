//! METRIC log lines, as the Singer SDK writes them: every minute and at the end of a stream.
//! Beyond the SDK's there are `record_bytes`, `record_estimate`, `reject_count` and
//! `rows_uncovered`.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// So many characters of the name of a stream are written.
const NAME_MAX: usize = 1000;
/// The variable that asks for other seconds between lines.
const INTERVAL_VARIABLE: &str = "METRICS_INTERVAL_SECONDS";
/// The variable by which a program asks for them whatever the level of the log is.
const WANTED_VARIABLE: &str = "METRICS_AT_EVERY_LEVEL";
/// What the log knows them by.
pub(crate) const TARGET: &str = module_path!();

/// Tells whether metrics are written also where the level of the log hides what is less than a
/// warning.
pub(crate) fn are_wanted() -> bool {
    std::env::var(WANTED_VARIABLE).is_ok_and(|value| value == "1")
}

/// Tells whether the environment says anything of metrics: whoever sets that wants to see them.
pub(crate) fn are_named() -> bool {
    [WANTED_VARIABLE, INTERVAL_VARIABLE].iter().any(|name| std::env::var_os(name).is_some())
}

fn interval() -> Duration {
    static INTERVAL: OnceLock<Duration> = OnceLock::new();
    *INTERVAL.get_or_init(|| {
        let given = std::env::var(INTERVAL_VARIABLE).ok().and_then(|text| text.parse().ok());
        Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(60))
    })
}

/// Counts the records of a stream.
pub struct RecordCounter {
    stream: String,
    started: Instant,
    reported: Instant,
    pending: u64,
    pending_bytes: u64,
    total: u64,
    /// Records that were counted, or are about to be, and were refused.
    left_out: u64,
    /// All records that were refused.
    refused: u64,
}

impl RecordCounter {
    /// Starts the clock.
    pub fn new(stream: &str) -> Self {
        let now = Instant::now();
        let stream = stream.to_owned();
        let (pending, pending_bytes, total, left_out, refused) = (0, 0, 0, 0, 0);
        Self {
            stream,
            started: now,
            reported: now,
            pending,
            pending_bytes,
            total,
            left_out,
            refused,
        }
    }

    /// Says how many records the source expects the stream to have.
    pub fn estimate(&self, records: u64) {
        counter("record_estimate", records, &self.stream);
    }

    /// Adds records and the bytes of their values; called once a batch.
    pub fn add(&mut self, records: usize, bytes: usize) {
        self.pending += records as u64;
        self.pending_bytes += bytes as u64;
        self.total += records as u64;
        if self.reported.elapsed() >= interval() {
            self.report();
        }
    }

    /// Takes records out of the count that were refused.
    pub fn leave_out(&mut self, records: u64) {
        self.left_out += records;
        self.refused += records;
    }

    /// Returns the records so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the records so far without those that were refused.
    pub fn kept(&self) -> u64 {
        self.total.saturating_sub(self.refused)
    }

    /// Writes the last count and how long the stream took.
    pub fn finish(&mut self, succeeded: bool) {
        self.report();
        let status = if succeeded { "succeeded" } else { "failed" };
        let seconds = self.started.elapsed().as_secs_f64();
        let metric = json!({
            "type": "timer", "metric": "sync_duration", "value": seconds,
            "tags": { "stream": shown(&self.stream), "context": {}, "status": status },
        });
        log(&self.stream, &metric);
    }

    fn report(&mut self) {
        let left_out = self.left_out.min(self.pending);
        self.pending -= left_out;
        self.left_out -= left_out;
        counter("record_count", self.pending, &self.stream);
        counter("record_bytes", self.pending_bytes, &self.stream);
        (self.pending, self.pending_bytes) = (0, 0);
        self.reported = Instant::now();
    }
}

impl Drop for RecordCounter {
    /// What a run that fails has counted is reported, too.
    fn drop(&mut self) {
        if self.pending > 0 {
            self.report();
        }
    }
}

/// Writes how many of something a stream has.
pub fn counter(name: &str, value: u64, stream: &str) {
    let metric = json!({
        "type": "counter", "metric": name, "value": value, "tags": { "stream": shown(stream) },
    });
    log(stream, &metric);
}

/// Returns as much of a name as is written.
fn shown(stream: &str) -> &str {
    let end = stream.char_indices().nth(NAME_MAX).map(|(at, _)| at);
    &stream[..end.unwrap_or(stream.len())]
}

/// Writes whether a target has added rows of a stream that no state covers.
pub(crate) fn uncovered(stream: &str, is_so: bool) {
    let metric = json!({
        "type": "gauge", "metric": "rows_uncovered", "value": u8::from(is_so),
        "tags": { "stream": shown(stream) },
    });
    log(stream, &metric);
}

fn log(stream: &str, metric: &Value) {
    tracing::info!(target: TARGET, stream, metric_info = %metric);
}
