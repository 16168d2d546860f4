//! What the logs of a pipeline tell: how many rows of which stream, and what to show at once.

use std::time::Instant;

use serde_json::{Value, json};

/// The streams of a pipeline, in the order in which they were heard of.
#[derive(Debug)]
pub struct Observed {
    started: Instant,
    /// The streams.
    pub streams: Vec<StreamCount>,
    /// How many states the target has printed.
    pub states: u64,
}

/// What is known of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamCount {
    /// The stream's name.
    pub name: String,
    /// Rows that the tap has read.
    pub rows: u64,
    /// Bytes of their values, where the tap tells.
    pub bytes: u64,
    /// Rows that were set aside, by the tap or the target.
    pub rejected: u64,
    /// How many rows the source expects.
    pub estimate: Option<u64>,
    /// How long the tap took for it, in seconds; `None` until it is done.
    pub seconds: Option<f64>,
    /// When it was first heard of, in seconds from the start of the pipeline.
    pub begun: f64,
}

/// How a log line is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Numbers: they are counted, not shown.
    Metric,
    /// Worth a line in the log file.
    Detail,
    /// Shown at once.
    Warning,
}

impl Default for Observed {
    fn default() -> Self {
        Self { started: Instant::now(), streams: Vec::new(), states: 0 }
    }
}

impl Observed {
    /// Takes a log line into account. Only the counts of a tap are rows of the source.
    pub fn line(&mut self, line: &str, is_tap: bool) -> Weight {
        let structured: Option<Value> =
            line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten();
        let metric = match &structured {
            Some(entry) => Some(entry["metric_info"].clone()).filter(Value::is_object),
            None => {
                line.split_once("METRIC: ").and_then(|(_, text)| serde_json::from_str(text).ok())
            }
        };
        if let Some(metric) = metric {
            if is_tap || metric["metric"] == "reject_count" {
                self.metric(&metric);
            }
            return Weight::Metric;
        }
        let level = match &structured {
            Some(entry) => entry["level"].as_str().unwrap_or_default().to_uppercase(),
            None => level_of(line).to_owned(),
        };
        if matches!(level.as_str(), "WARNING" | "ERROR" | "CRITICAL") {
            Weight::Warning
        } else {
            Weight::Detail
        }
    }

    fn metric(&mut self, metric: &Value) {
        let Some(name) = metric["tags"]["stream"].as_str() else { return };
        let begun = self.started.elapsed().as_secs_f64();
        let at = self.streams.iter().position(|stream| stream.name == name).unwrap_or_else(|| {
            self.streams.push(StreamCount { name: name.to_owned(), begun, ..Default::default() });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        let count = metric["value"].as_u64().unwrap_or_default();
        match metric["metric"].as_str() {
            Some("record_count") => stream.rows += count,
            Some("record_bytes") => stream.bytes += count,
            Some("reject_count") => stream.rejected += count,
            Some("record_estimate") => stream.estimate = Some(count),
            Some("sync_duration") => stream.seconds = metric["value"].as_f64(),
            _ => {}
        }
    }

    /// Returns the rows of all streams.
    pub fn rows(&self) -> u64 {
        self.streams.iter().map(|stream| stream.rows).sum()
    }

    /// Returns the counts for a record or summary.
    pub fn to_json(&self) -> Value {
        let count = |c: &StreamCount| {
            let (stream, rows, bytes) = (&c.name, c.rows, c.bytes);
            let (rejected, seconds) = (c.rejected, c.seconds);
            json!({
                "stream": stream, "rows": rows, "rejected": rejected, "bytes": bytes,
                "seconds": seconds,
            })
        };
        self.streams.iter().map(count).collect()
    }
}

/// Returns the level of a line of the usual text forms: `time | LEVEL | name | message`, and
/// `LEVEL message` as singer-python writes it.
fn level_of(line: &str) -> &str {
    let field = line.split('|').nth(1).map(str::trim);
    let first = || line.split([' ', ':']).find(|word| !word.is_empty()).unwrap_or_default();
    match field {
        Some(level) if !level.is_empty() && level.chars().all(|c| c.is_ascii_uppercase()) => level,
        _ if first().eq_ignore_ascii_case("error") => "ERROR",
        _ => first(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rows_and_weighs_lines() {
        let mut observed = Observed::default();
        let check = |observed: &mut Observed, line: &str, weight| {
            assert_eq!(observed.line(line, true), weight, "{line}");
        };
        let count =
            r#"METRIC: {"type":"counter","metric":"record_count","value":5,"tags":{"stream":"a"}}"#;
        let text = format!("2026-01-31 00:00:00,000 | INFO     | tap-x | {count}");
        check(&mut observed, &text, Weight::Metric);
        check(&mut observed, &format!("INFO {count}"), Weight::Metric);
        let metric = r#"{"metric":"sync_duration","value":1.5,"tags":{"stream":"a"}}"#;
        let done = format!(r#"{{"level":"info","metric_info":{metric}}}"#);
        check(&mut observed, &done, Weight::Metric);
        assert_eq!(observed.line(&text, false), Weight::Metric);
        assert_eq!((observed.rows(), observed.streams[0].seconds), (10, Some(1.5)));
        check(&mut observed, "2026-01-31 00:00:00,000 | WARNING  | tap-x | look", Weight::Warning);
        check(&mut observed, "error: cannot read the file", Weight::Warning);
        check(&mut observed, "CRITICAL it is over", Weight::Warning);
        check(&mut observed, r#"{"level":"warning","message":"look"}"#, Weight::Warning);
        check(&mut observed, "INFO it is 10 | 20", Weight::Detail);
        check(&mut observed, "  path: x", Weight::Detail);
        check(&mut observed, "", Weight::Detail);
    }
}
