//! The states that a tap writes: what they say, and how often.
//!
//! A state is whole, so that a target which keeps the last one alone loses no bookmark. States take
//! no more than a share of the bytes of the rows: one that has none left waits for a minute, for a
//! failure or for the end. The SCHEMA of a stream then says that the stream is being read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::encode::state_line;
use crate::state::State;
use crate::word::{LEFT_OUT, RUN, new_run, run_member};

/// So many bytes of states are written, whatever the rows take.
const FREE_BYTES: u64 = 256 << 10;
/// Beyond these, one byte of states for so many of the rows.
const ROW_BYTES: u64 = 10;
/// The longest that a state waits for its share, while there is something to say.
const WAIT: Duration = Duration::from_mins(1);

/// Stands for the name of a stream while the log of several is read.
const LOG: &str = "--log";

/// The state of a run, and what was written of it.
pub(crate) struct States {
    state: State,
    /// The name of the run.
    run: String,
    written: Instant,
    /// Bytes of all states written, of the last one, and of all rows.
    bytes: u64,
    last_bytes: u64,
    row_bytes: u64,
    /// A state was held back.
    waits: bool,
    /// A state or the SCHEMA says that the stream is being read.
    named: bool,
    /// The bookmark behind the last row of the stream, until that has ended well.
    behind: Option<Value>,
    /// Streams that were read since the last state, and of which nothing was written.
    unchanged: Vec<String>,
    /// Rows of a stream that was read since the last state or SCHEMA were left out.
    left_out: bool,
    /// Streams that are written under other names.
    renamed: BTreeSet<String>,
}

impl States {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state,
            run: new_run(),
            written: Instant::now(),
            bytes: 0,
            last_bytes: 0,
            row_bytes: 0,
            waits: false,
            named: true,
            behind: None,
            unchanged: Vec::new(),
            left_out: false,
            renamed: BTreeSet::new(),
        }
    }

    /// Says that a stream is written under other names than that of the tap: what a state names
    /// as unchanged would be no stream of the target.
    pub(crate) fn rename(&mut self, stream: &str) {
        self.renamed.insert(stream.to_owned());
    }

    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Returns for how long no state was written.
    pub(crate) fn age(&self) -> Duration {
        self.written.elapsed()
    }

    /// Counts rows that were written.
    pub(crate) fn add_rows(&mut self, bytes: usize) {
        self.row_bytes += bytes as u64;
    }

    /// Begins a stream; returns the state that names it, if it has a share left.
    pub(crate) fn begin(&mut self, stream: &str) -> Option<Vec<u8>> {
        self.state.set_currently_syncing(Some(stream));
        self.named = false;
        self.behind = None;
        self.within_share()
    }

    /// Begins to read the log of several streams; returns the state that says so. It names none of
    /// them, and no SCHEMA can say it: each stream is read until that of all is.
    pub(crate) fn begin_log(&mut self) -> Vec<u8> {
        self.state.set_currently_syncing(Some(LOG));
        self.behind = None;
        self.line(false)
    }

    /// Takes the bookmark behind the last row of the stream.
    pub(crate) fn set_behind(&mut self, progress: Value) {
        self.behind = Some(progress);
    }

    /// Ends the stream: where nothing was written of it, or rows of it were left out, what names
    /// the next stream says so.
    pub(crate) fn finish(&mut self, stream_id: &str, left_out: bool) {
        self.left_out |= left_out;
        if let Some(progress) = self.behind.take() {
            self.state.set_bookmark(stream_id, progress);
        }
        let name = self.state.currently_syncing();
        if let Some(name) = name.filter(|name| !self.named && !self.renamed.contains(*name)) {
            self.unchanged.push(name.to_owned());
        }
    }

    /// Returns the SCHEMA of the stream. It names the stream where no state did.
    pub(crate) fn naming(&mut self, mut schema: Value) -> Value {
        if !self.named {
            self.named = true;
            schema[RUN] = self.member(false, &[]);
        }
        schema
    }

    /// Returns a state, if it has a share left.
    pub(crate) fn within_share(&mut self) -> Option<Vec<u8>> {
        let share = FREE_BYTES.saturating_add(self.row_bytes / ROW_BYTES);
        if self.bytes + self.last_bytes <= share || self.age() >= WAIT {
            return Some(self.line(false));
        }
        self.waits = true;
        None
    }

    /// Returns the state that was held back, if one was.
    pub(crate) fn held_back(&mut self) -> Option<Vec<u8>> {
        self.waits.then(|| self.line(false))
    }

    /// Returns the last states: the run that named the last stream has ended, and none is being
    /// read.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let named = self.state.currently_syncing().is_some();
        let mut lines = if named { self.line(true) } else { Vec::new() };
        self.state.set_currently_syncing(None);
        lines.extend(self.line(false));
        lines
    }

    fn member(&mut self, ended: bool, unchanged: &[String]) -> Value {
        let mut member = run_member(&self.run, ended, unchanged);
        if std::mem::take(&mut self.left_out) {
            member[LEFT_OUT] = true.into();
        }
        let name = self.state.currently_syncing();
        if name.is_some_and(|name| self.renamed.contains(name)) {
            member["mapped"] = true.into();
        }
        member
    }

    fn line(&mut self, ended: bool) -> Vec<u8> {
        let mut value = self.state.to_json();
        if self.state.currently_syncing().is_some() {
            let unchanged = std::mem::take(&mut self.unchanged);
            value[RUN] = self.member(ended, &unchanged);
        }
        let line = state_line(&value);
        self.written = Instant::now();
        self.last_bytes = line.len() as u64;
        self.bytes += self.last_bytes;
        self.waits = false;
        self.named = true;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_take_a_share_of_the_rows_and_what_waits_is_told() {
        let mut states = States::new(State::empty());
        let mut written = 0;
        let mut begin = |states: &mut States, number: u64| {
            let line = states.begin(&format!("stream{number}"));
            let said = line.is_some();
            written += line.map_or(0, |line| line.len() as u64);
            let schema = states.naming(Value::Object(serde_json::Map::new()));
            assert_eq!(schema.get(RUN).is_none(), said, "named once");
            states.set_behind("a".repeat(1000).into());
            states.finish(&format!("stream{number}"), false);
            (said, written)
        };
        assert!(states.held_back().is_none());
        let said: Vec<bool> = (0..1000).map(|number| begin(&mut states, number).0).collect();
        assert!(said[..15].iter().all(|said| *said) && said[30..].iter().all(|said| !said));
        let (_, before) = begin(&mut states, 1000);
        assert!(before <= FREE_BYTES + 2000, "{before}");
        // Rows give it a share again: of 22 bookmarks, which the last one had.
        states.add_rows(300_000);
        let (said, after) = begin(&mut states, 1001);
        assert!(said && after - before > 1_000_000, "{after}");
        // Nothing was written of these but the name of one.
        assert_eq!(begin(&mut states, 1002), (false, after));
        assert!(states.begin("silent").is_none());
        states.finish("silent", false);
        let line = states.held_back().unwrap();
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["value"][RUN]["unchanged"], serde_json::json!(["silent"]));
        assert_eq!(value["value"]["bookmarks"].as_object().unwrap().len(), 1003);
        assert!(states.held_back().is_none());
        let lines = String::from_utf8(states.end()).unwrap();
        assert!(!lines.contains("silent\"]") && lines.lines().count() == 2, "told twice");
    }
}
