//! What the logs of a pipeline tell: how many rows of which stream, and what to show at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::Value;

use crate::record::StreamRecord;

/// The code of the warnings of others.
pub const OF_OTHERS: &str = "W-PLUGIN";
/// More that is reported after an error is not kept.
const DOUBTFUL_MAX: usize = 10_000;

/// The streams of a pipeline, in the order in which they were heard of.
#[derive(Debug)]
pub struct Observed {
    started: Instant,
    /// The streams.
    pub streams: Vec<StreamCount>,
    /// How many states the target has printed.
    pub states: u64,
    /// How often the plugins have warned, by codes.
    pub warnings: BTreeMap<String, u64>,
    /// The streams of which the target has added rows that no state covers.
    pub uncovered: BTreeSet<String>,
    /// Who has logged an error.
    failing: BTreeSet<Writer>,
    /// What they have counted since then.
    doubtful: Vec<(Writer, Value)>,
    // Mappers may rename streams: then one that only the target counts may be one of the tap's.
    mapped: bool,
}

/// Who has written a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// The tap.
    Tap,
    /// A mapper.
    Mapper,
    /// The target.
    Target,
}

/// What is known of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamCount {
    /// The stream's name.
    pub name: String,
    tap: Counts,
    target: Counts,
    /// Rows that were set aside, by the tap or the target.
    pub rejected: u64,
    /// How many rows the source expects.
    pub estimate: Option<u64>,
    /// When it was first heard of, in seconds from the start of the pipeline.
    pub begun: f64,
}

/// What one plugin has said of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    rows: Option<u64>,
    bytes: Option<u64>,
    seconds: Option<f64>,
}

impl StreamCount {
    /// Makes one of which nothing is known but its name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Returns the rows that the tap has read; where it does not tell, those the target has taken.
    pub fn rows(&self) -> u64 {
        self.tap.rows.or(self.target.rows).unwrap_or_default()
    }

    /// Returns the bytes of their values, where one of them tells.
    pub fn bytes(&self) -> u64 {
        self.tap.bytes.or(self.target.bytes).unwrap_or_default()
    }

    /// Returns how long it took, in seconds; `None` until it is done.
    pub fn seconds(&self) -> Option<f64> {
        self.tap.seconds.or(self.target.seconds.filter(|_| self.tap.rows.is_none()))
    }
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
        Self {
            started: Instant::now(),
            streams: Vec::new(),
            states: 0,
            warnings: BTreeMap::new(),
            uncovered: BTreeSet::new(),
            failing: BTreeSet::new(),
            doubtful: Vec::new(),
            mapped: false,
        }
    }
}

impl Observed {
    /// Starts to observe; `mapped` where mappers stand between the tap and the target.
    pub fn start(mapped: bool) -> Self {
        Self { mapped, ..Self::default() }
    }

    /// Takes a log line into account. The counts of a tap are rows of the source; a target's are
    /// treated as the streams that its tap does not count. A line counts only where it is a whole
    /// line of a log: what an error quotes is none, so what comes after an error waits for the end.
    pub fn line(&mut self, line: &str, writer: Writer) -> Weight {
        let entry = Entry::read(line);
        if let Some(metric) = entry.metric {
            if !self.failing.contains(&writer) {
                self.metric(&metric, writer);
            } else if self.doubtful.len() < DOUBTFUL_MAX {
                self.doubtful.push((writer, metric));
            }
            return Weight::Metric;
        }
        match entry.level.as_str() {
            "WARNING" => Weight::Warning,
            "ERROR" | "CRITICAL" | "TRACEBACK" => {
                self.failing.insert(writer);
                if entry.level == "TRACEBACK" { Weight::Detail } else { Weight::Warning }
            }
            _ => Weight::Detail,
        }
    }

    /// Counts what a process told after an error, once it has ended well in spite of it.
    pub fn ended_well(&mut self, writer: Writer) {
        let doubtful = std::mem::take(&mut self.doubtful);
        let (believed, rest): (Vec<_>, Vec<_>) =
            doubtful.into_iter().partition(|(other, _)| *other == writer);
        self.doubtful = rest;
        for (writer, metric) in believed {
            self.metric(&metric, writer);
        }
    }

    /// Counts a warning: under its code where the plugin is one of ours.
    pub fn warned(&mut self, line: &str, is_ours: bool) {
        let code = Entry::read(line).code.filter(|_| is_ours);
        *self.warnings.entry(code.unwrap_or_else(|| OF_OTHERS.to_owned())).or_default() += 1;
    }

    fn metric(&mut self, metric: &Value, writer: Writer) {
        let Some(name) = metric["tags"]["stream"].as_str() else { return };
        if metric["metric"] == "rows_uncovered" {
            match metric["value"].as_u64() {
                Some(0) => drop(self.uncovered.remove(name)),
                _ => drop(self.uncovered.insert(name.to_owned())),
            }
            return;
        }
        let is_rejects = metric["metric"] == "reject_count";
        let tap_counts = || self.streams.iter().any(|stream| stream.tap.rows.is_some());
        let wanted = match writer {
            Writer::Tap => true,
            Writer::Mapper => is_rejects,
            Writer::Target => is_rejects || !self.mapped || !tap_counts(),
        };
        if !wanted {
            return;
        }
        if self.mapped && writer == Writer::Tap {
            self.streams.retain(|stream| stream.target == Counts::default());
        }
        let begun = self.started.elapsed().as_secs_f64();
        let at = self.streams.iter().position(|stream| stream.name == name).unwrap_or_else(|| {
            self.streams.push(StreamCount { begun, ..StreamCount::named(name) });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        let counts = if writer == Writer::Target { &mut stream.target } else { &mut stream.tap };
        let count = metric["value"].as_u64().unwrap_or_default();
        match metric["metric"].as_str() {
            Some("record_count") => *counts.rows.get_or_insert(0) += count,
            Some("record_bytes") => *counts.bytes.get_or_insert(0) += count,
            Some("sync_duration") => counts.seconds = metric["value"].as_f64(),
            Some("reject_count") => stream.rejected += count,
            Some("record_estimate") => stream.estimate = Some(count),
            _ => {}
        }
    }

    /// Returns the rows of all streams.
    pub fn rows(&self) -> u64 {
        self.streams.iter().map(StreamCount::rows).sum()
    }

    /// Returns the counts for a record; `table` names the table of a stream.
    pub fn records<'a>(&'a self, table: impl Fn(&'a str) -> &'a str) -> Vec<StreamRecord> {
        let record = |count: &'a StreamCount| {
            let other = table(&count.name);
            StreamRecord {
                stream: count.name.clone(),
                rows: count.rows(),
                rejected: count.rejected,
                bytes: count.bytes(),
                seconds: count.seconds(),
                table: (other != count.name).then(|| other.to_owned()),
            }
        };
        self.streams.iter().map(record).collect()
    }
}

/// What a line of a log says.
#[derive(Debug, Default)]
struct Entry {
    level: String,
    metric: Option<Value>,
    code: Option<String>,
}

impl Entry {
    /// Reads a line of one of the usual forms: JSON, `time | LEVEL | name | message`, and
    /// `LEVEL message` as singer-python writes it.
    fn read(line: &str) -> Self {
        if line.starts_with('{')
            && let Ok(Value::Object(entry)) = serde_json::from_str(line)
        {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let code = Some(text("code")).filter(|code| !code.is_empty()).map(str::to_owned);
            return Self {
                level: text("level").to_uppercase(),
                metric: entry.get("metric_info").filter(|metric| metric.is_object()).cloned(),
                code: code.or_else(|| code_of(text("message"))),
            };
        }
        let (level, message) = level_and_message(line);
        let metric = message.strip_prefix("METRIC: ").filter(|_| level == "INFO");
        Self {
            metric: metric
                .and_then(|text| serde_json::from_str(text).ok())
                .filter(Value::is_object),
            level: level.to_owned(),
            code: code_of(message),
        }
    }
}

fn code_of(message: &str) -> Option<String> {
    singer::warning::code_of(message).map(str::to_owned)
}

fn level_and_message(line: &str) -> (&str, &str) {
    let fields: Vec<&str> = line.splitn(4, '|').collect();
    let is_level = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase());
    if let [time, level, more @ ..] = &fields[..]
        && is_level(level.trim())
        && time.starts_with(|c: char| c.is_ascii_digit())
    {
        return (level.trim(), more.last().copied().unwrap_or_default().trim());
    }
    let line = line.trim_end();
    let (first, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
    match first {
        _ if first.eq_ignore_ascii_case("error") => ("ERROR", rest.trim()),
        "Traceback" => ("TRACEBACK", rest),
        _ => (first, rest.trim_start_matches([' ', ':'])),
    }
}

/// Tells whether a line of a log warns.
pub fn warns(line: &str) -> bool {
    Entry::read(line).level == "WARNING"
}

/// Returns the message of a line that warns, in the text form of ours: behind time, level and name.
pub fn warning(line: &str) -> Option<&str> {
    let (level, message) = level_and_message(line);
    (level == "WARNING").then_some(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_rows_and_weighs_lines() {
        let mut observed = Observed::default();
        let check = |observed: &mut Observed, line: &str, weight| {
            assert_eq!(observed.line(line, Writer::Tap), weight, "{line}");
        };
        let count =
            r#"METRIC: {"type":"counter","metric":"record_count","value":5,"tags":{"stream":"a"}}"#;
        let text = format!("2026-01-31 00:00:00,000 | INFO     | tap-x | {count}");
        check(&mut observed, &text, Weight::Metric);
        check(&mut observed, &format!("INFO {count}"), Weight::Metric);
        let metric = r#"{"metric":"sync_duration","value":1.5,"tags":{"stream":"a"}}"#;
        let done = format!(r#"{{"level":"info","metric_info":{metric}}}"#);
        check(&mut observed, &done, Weight::Metric);
        assert_eq!(observed.line(&text, Writer::Target), Weight::Metric);
        assert_eq!((observed.rows(), observed.streams[0].seconds()), (10, Some(1.5)));
        check(&mut observed, "2026-01-31 00:00:00,000 | WARNING  | tap-x | look", Weight::Warning);
        check(&mut observed, "error: cannot read the file", Weight::Warning);
        check(&mut observed, "CRITICAL it is over", Weight::Warning);
        check(&mut observed, r#"{"level":"warning","message":"look"}"#, Weight::Warning);
        check(&mut observed, "INFO it is 10 | 20", Weight::Detail);
        check(&mut observed, "  path: x", Weight::Detail);
        check(&mut observed, "", Weight::Detail);
    }

    #[test]
    fn what_an_error_quotes_counts_nothing() {
        let count = r#"{"metric":"record_count","value":5,"tags":{"stream":"a"}}"#;
        let rows = |lines: &[&str], ended_well: bool| {
            let mut observed = Observed::default();
            for line in lines {
                observed.line(&line.replace('#', count), Writer::Tap);
            }
            if ended_well {
                observed.ended_well(Writer::Tap);
            }
            observed.rows()
        };
        let text = "2026-01-31 00:00:00,000 | INFO     | tap-x | METRIC: #";
        for whole in ["INFO METRIC: #", text, r#"{"level":"info","metric_info":#}"#] {
            assert_eq!(rows(&[whole], false), 5, "{whole}");
        }
        for part in [
            "METRIC: #",
            "  caused by: METRIC: #",
            "  INFO METRIC: #",
            "error: the server says: INFO METRIC: #",
            "INFO the answer was METRIC: #",
            "INFO METRIC: # and more",
            "ERROR METRIC: #",
            "server said | INFO | x | METRIC: #",
            "2026-01-31 00:00:00,000 | INFO     | tap-x | got METRIC: #",
            "2026-01-31 00:00:00,000 | ERROR    | tap-x | METRIC: #",
            r#"x{"level":"info","metric_info":#}"#,
        ] {
            assert_eq!(rows(&[part], true), 0, "{part}");
        }
        // Lines of what was quoted look like any other.
        for start in
            ["error: cannot read", "CRITICAL it is over", "Traceback (most recent call last):"]
        {
            assert_eq!(rows(&[start, "INFO METRIC: #", text], false), 0, "{start}");
            assert_eq!(rows(&["INFO METRIC: #", start], false), 5, "{start}");
            assert_eq!(rows(&[start, "INFO METRIC: #"], true), 5, "{start}");
        }
    }

    #[test]
    fn warnings_are_counted_by_their_codes() {
        let mut observed = Observed::default();
        let line = "2026-01-31 00:00:00,000 | WARNING  | tap-x | W-NO-KEYS: look";
        observed.warned(line, true);
        observed.warned(r#"{"level":"warning","message":"look","code":"W-NO-KEYS"}"#, true);
        observed.warned("2026-01-31 00:00:00,000 | WARNING  | tap-x | look", true);
        observed.warned(line, false);
        observed.warned("WARNING look", false);
        let counts: Vec<_> =
            observed.warnings.iter().map(|(code, n)| (code.as_str(), *n)).collect();
        assert_eq!(counts, [("W-NO-KEYS", 2), ("W-PLUGIN", 3)]);
    }

    #[test]
    fn takes_the_counts_of_the_target_where_the_tap_has_none() {
        let count = |stream: &str, rows: u64| {
            let tags = json!({ "stream": stream });
            let metric = json!({ "metric": "record_count", "value": rows, "tags": tags });
            format!("INFO METRIC: {metric}")
        };
        let check = |mapped: bool, lines: &[(&str, u64, Writer)], expected: &[(&str, u64)]| {
            let mut observed = Observed::start(mapped);
            for (stream, rows, writer) in lines {
                observed.line(&count(stream, *rows), *writer);
            }
            let rows: Vec<_> = observed
                .streams
                .iter()
                .map(|stream| (stream.name.as_str(), stream.rows()))
                .collect();
            assert_eq!(rows, expected, "{mapped} {lines:?}");
        };
        let (tap, target) = (Writer::Tap, Writer::Target);
        check(false, &[("a", 5, target), ("a", 2, target)], &[("a", 7)]);
        check(false, &[("a", 5, target), ("a", 6, tap), ("b", 1, target)], &[("a", 6), ("b", 1)]);
        check(false, &[("a", 5, Writer::Mapper)], &[]);
        check(true, &[("b", 5, target)], &[("b", 5)]);
        check(true, &[("b", 5, target), ("a", 6, tap), ("b", 1, target)], &[("a", 6)]);
    }
}
