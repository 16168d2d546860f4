//! The rules of the protocol, for the output of any tap.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use singer::Envelope;
use singer::Stream;
use singer::batch::Batch;
use singer::decode::RecordDecoder;
use singer::refusal::Refusal;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Worth knowing.
    Note,
    /// A target may stumble over it.
    Warning,
    /// Against the protocol.
    Violation,
}

/// What was found, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    /// The line where it was seen first, from 1; 0 for the output as a whole.
    pub line: u64,
    /// What it is.
    pub text: String,
    /// How often it was seen.
    pub count: u64,
}

/// Reads the lines of a tap.
#[derive(Default)]
pub struct Checker {
    streams: BTreeMap<String, Seen>,
    findings: Vec<Finding>,
    line: u64,
    states: u64,
    last_state: Value,
    said_syncing: bool,
    batch: Batch,
}

struct Seen {
    decoder: RecordDecoder,
    width: usize,
    keys: Vec<String>,
    records: u64,
}

impl Checker {
    /// Reads a line.
    pub fn line(&mut self, text: &str) {
        self.line += 1;
        let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else {
            let shown: String = text.chars().take(60).collect();
            return self.violation(&format!("a line that is not a JSON object: {shown}"));
        };
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.to_uppercase().as_str() {
            "SCHEMA" => self.schema(&message),
            "RECORD" => self.record(text, &message),
            "STATE" => self.state(&message),
            "ACTIVATE_VERSION" => self.activate_version(&message),
            "BATCH" => self.note("BATCH messages: few targets accept them"),
            _ => self.violation(&format!("a message of the type {kind:?}")),
        }
        if kind != kind.to_uppercase() {
            self.warning("types in lower case: most targets expect upper case");
        }
    }

    /// Returns the findings, the worst first, once all lines are read.
    pub fn findings(mut self) -> Vec<Finding> {
        if self.line == 0 {
            self.line = 0;
            self.violation("no output at all");
        }
        self.line = 0;
        if self.states == 0 {
            self.warning("no STATE: the next run cannot continue where this run ended");
        }
        if self.said_syncing && !self.last_state["currently_syncing"].is_null() {
            self.violation("the last STATE names a stream as being read: `currently_syncing`");
        }
        if !self.said_syncing {
            self.note(
                "no `currently_syncing` in STATE: a tap that ends too early looks like one that \
                 ended well",
            );
        }
        let empty: Vec<String> = self
            .streams
            .iter()
            .filter(|(_, seen)| seen.records == 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in empty {
            self.note(&format!("stream {name} has no records"));
        }
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
        self.findings
    }

    /// Returns how many records each stream had.
    pub fn records(&self) -> Vec<(String, u64)> {
        self.streams.iter().map(|(name, seen)| (name.clone(), seen.records)).collect()
    }

    /// Returns the value of the last STATE.
    pub fn last_state(&self) -> &Value {
        &self.last_state
    }

    fn schema(&mut self, message: &Map<String, Value>) {
        let Some(name) = message.get("stream").and_then(Value::as_str) else {
            return self.violation("a SCHEMA without `stream`");
        };
        let Some(schema) = message.get("schema").and_then(Value::as_object) else {
            return self.violation(&format!("a SCHEMA of {name} without `schema`"));
        };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return self.violation(&format!("the schema of {name} has no `properties`"));
        };
        let keys = message.get("key_properties").and_then(Value::as_array);
        if keys.is_none() {
            self.violation(&format!("a SCHEMA of {name} without `key_properties`"));
        }
        let keys: Vec<String> =
            keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        for key in keys.iter().filter(|key| !properties.contains_key(*key)) {
            self.violation(&format!("the key {key} of {name} is not a property of its schema"));
        }
        let stream = Stream::new(name, schema.clone(), keys.clone());
        match RecordDecoder::new(&stream, true) {
            Ok(decoder) => {
                let records = self.streams.get(name).map_or(0, |seen| seen.records);
                let width = stream.columns.len() + Envelope::CELLS;
                self.streams.insert(name.to_owned(), Seen { decoder, width, keys, records });
            }
            Err(failure) => {
                self.violation(&format!("the schema of {name}: {}", failure.message()));
            }
        }
    }

    fn record(&mut self, text: &str, message: &Map<String, Value>) {
        let name = message.get("stream").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(seen) = self.streams.get_mut(&name) else {
            return self.violation(&format!("a RECORD of {name} before its SCHEMA"));
        };
        seen.records += 1;
        self.batch.reset(seen.width);
        let read = singer::decode::Line::read(text.as_bytes()).map_err(Refusal::from);
        let fits = read.and_then(|line| seen.decoder.record(&line, &mut self.batch));
        let absent: Vec<String> = seen
            .keys
            .iter()
            .filter(|key| message.get("record").is_none_or(|record| record[*key].is_null()))
            .cloned()
            .collect();
        match fits {
            // What is obeyed without a declaration fits.
            Ok(()) | Err(Refusal::Deletes) => {}
            Err(Refusal::Broken(fault)) => self.violation(&format!("a RECORD: {}", fault.what)),
            Err(Refusal::Unfit(_, reason)) => {
                self.violation(&format!("a RECORD of {name} does not fit its schema: {reason}"));
            }
        }
        for key in absent {
            self.violation(&format!("a RECORD of {name} without its key {key}"));
        }
        if let Some(time) = message.get("time_extracted").and_then(Value::as_str)
            && time.parse::<jiff::Timestamp>().is_err()
        {
            self.violation("`time_extracted` is not an RFC 3339 time");
        }
    }

    fn state(&mut self, message: &Map<String, Value>) {
        match message.get("value") {
            Some(value @ Value::Object(state)) => {
                self.said_syncing |= state.contains_key("currently_syncing");
                self.states += 1;
                self.last_state = value.clone();
            }
            _ => self.violation("a STATE whose `value` is not an object"),
        }
    }

    fn activate_version(&mut self, message: &Map<String, Value>) {
        let name = message.get("stream").and_then(Value::as_str).unwrap_or_default();
        if !self.streams.contains_key(name) {
            self.violation(&format!("an ACTIVATE_VERSION of {name} before its SCHEMA"));
        }
        if !message.get("version").is_some_and(Value::is_i64) {
            self.violation("an ACTIVATE_VERSION whose `version` is not an integer");
        }
    }

    fn violation(&mut self, text: &str) {
        self.find(Grade::Violation, text);
    }

    fn warning(&mut self, text: &str) {
        self.find(Grade::Warning, text);
    }

    fn note(&mut self, text: &str) {
        self.find(Grade::Note, text);
    }

    fn find(&mut self, grade: Grade, text: &str) {
        if let Some(known) = self.findings.iter_mut().find(|finding| finding.text == text) {
            known.count += 1;
            return;
        }
        let (line, text) = (self.line, text.to_owned());
        self.findings.push(Finding { grade, line, text, count: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"a","schema":{"properties":
        {"id":{"type":"integer"},"v":{"type":["string","null"]}}},"key_properties":["id"]}"#;

    fn found(lines: &[&str]) -> Vec<(Grade, u64, u64)> {
        let mut checker = Checker::default();
        for line in lines {
            checker.line(line);
        }
        let of = |finding: &Finding| (finding.grade, finding.line, finding.count);
        checker.findings().iter().filter(|f| f.grade > Grade::Note).map(of).collect()
    }

    #[test]
    fn finds_what_is_against_the_protocol() {
        let end = r#"{"type":"STATE","value":{"currently_syncing":null}}"#;
        let check = |lines: &[&str], expected: &[(u64, u64)]| {
            let all: Vec<&str> = lines.iter().chain(&[end]).copied().collect();
            let expected: Vec<_> =
                expected.iter().map(|(line, count)| (Grade::Violation, *line, *count)).collect();
            assert_eq!(found(&all), expected, "{lines:?}");
        };
        let record =
            |record: &str| format!(r#"{{"type":"RECORD","stream":"a","record":{record}}}"#);
        let good = record(r#"{"id":1,"v":null}"#);
        check(&[SCHEMA, &good], &[]);
        check(&[&good], &[(1, 1)]);
        check(&[SCHEMA, &record(r#"{"id":"x"}"#), &record(r#"{"id":"y"}"#)], &[(2, 2)]);
        check(&[SCHEMA, &record(r#"{"v":"x"}"#)], &[(2, 1)]);
        check(&["starting up", SCHEMA], &[(1, 1)]);
        check(&[r#"{"type":"SCHEMA","stream":"a","schema":{}}"#], &[(1, 1)]);
        check(&[r#"{"type":"SCHEMA","stream":"a","schema":{"properties":{}}}"#], &[(1, 1)]);
        check(&[r#"{"type":"NEWS"}"#], &[(1, 1)]);
        check(&[r#"{"type":"STATE","value":1}"#], &[(1, 1)]);
        check(&[r#"{"type":"ACTIVATE_VERSION","stream":"z","version":1}"#], &[(1, 1)]);
        assert_eq!(found(&[]), [(Grade::Violation, 0, 1), (Grade::Warning, 0, 1)]);
        let syncing = r#"{"type":"STATE","value":{"currently_syncing":"a"}}"#;
        assert_eq!(found(&[SCHEMA, syncing]), [(Grade::Violation, 0, 1)]);
        let lower = SCHEMA.replace("SCHEMA", "schema");
        assert_eq!(found(&[&lower, end]), [(Grade::Warning, 1, 1)]);
    }
}
