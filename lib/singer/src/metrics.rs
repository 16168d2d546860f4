//! METRIC log lines, as the Singer SDK writes them: every minute and at the end of a stream.

use std::time::{Duration, Instant};

use serde_json::json;

const INTERVAL: Duration = Duration::from_secs(60);

/// Counts the records of a stream.
pub struct RecordCounter {
    stream: String,
    started: Instant,
    reported: Instant,
    pending: u64,
    total: u64,
}

impl RecordCounter {
    /// Starts the clock.
    pub fn new(stream: &str) -> Self {
        let now = Instant::now();
        Self { stream: stream.to_owned(), started: now, reported: now, pending: 0, total: 0 }
    }

    /// Adds records; called once a batch.
    pub fn add(&mut self, records: usize) {
        self.pending += records as u64;
        self.total += records as u64;
        if self.reported.elapsed() >= INTERVAL {
            self.report();
        }
    }

    /// Returns the records so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Writes the last count and how long the stream took.
    pub fn finish(&mut self, succeeded: bool) {
        self.report();
        let status = if succeeded { "succeeded" } else { "failed" };
        let seconds = self.started.elapsed().as_secs_f64();
        metric(&json!({
            "type": "timer", "metric": "sync_duration", "value": seconds,
            "tags": { "stream": self.stream, "context": {}, "status": status },
        }));
    }

    fn report(&mut self) {
        metric(&json!({
            "type": "counter", "metric": "record_count", "value": self.pending,
            "tags": { "stream": self.stream },
        }));
        self.pending = 0;
        self.reported = Instant::now();
    }
}

fn metric(metric: &serde_json::Value) {
    log::info!("METRIC: {metric}");
}
