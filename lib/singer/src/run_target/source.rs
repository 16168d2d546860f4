//! What comes to the sinks: the events of the input, or what is made of them on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing::Span;

use crate::batch::{Batch, Envelope};
use crate::catalog::Stream;
use crate::error::{Context as _, ErrorKind, Result};
use crate::held_back::HeldBack;
use crate::inline::Stages;
use crate::log as stderr;
use crate::mapper::{Route, Row, RowMap};
use crate::receive::Event;
use crate::rejects::Rejects;
use crate::rows::made::fits;
use crate::run_tap::one_name;
use crate::unjudged::Unjudged;
use crate::word::{Syncing, Word};

/// So many written batches wait to be filled again.
const SPARE_BATCHES_MAX: usize = 2;

/// The events of a run.
pub(super) struct Source {
    incoming: Receiver<Event>,
    mapped: Option<Mapped>,
    ready: VecDeque<Event>,
}

impl Source {
    /// Takes the events as they come.
    pub(super) fn new(incoming: Receiver<Event>) -> Self {
        Self { incoming, mapped: None, ready: VecDeque::new() }
    }

    /// Sends streams through these stages; returns where written batches go.
    pub(super) fn through(
        incoming: Receiver<Event>,
        stages: Box<dyn Stages>,
        rejects: Rejects,
        give_back: SyncSender<Batch>,
    ) -> (Self, SyncSender<Batch>) {
        let (written, spare) = sync_channel(SPARE_BATCHES_MAX);
        let mapped = Mapped {
            stages,
            rejects,
            streams: Vec::new(),
            names: BTreeMap::new(),
            syncing: None,
            unjudged: Unjudged::default(),
            held_back: HeldBack::default(),
            spare,
            give_back,
        };
        (Self { incoming, mapped: Some(mapped), ready: VecDeque::new() }, written)
    }

    /// Waits for the next event; `None` where none ever comes.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let event = self.incoming.recv().ok()?;
            self.take(event);
        }
    }

    /// Waits for the next event, but no longer than this.
    pub(super) fn next_within(
        &mut self,
        wait: Duration,
    ) -> std::result::Result<Event, RecvTimeoutError> {
        let since = Instant::now();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let event = self.incoming.recv_timeout(wait.saturating_sub(since.elapsed()))?;
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let Some(mapped) = &mut self.mapped else {
            self.ready.push_back(event);
            return;
        };
        if let Err(failure) = mapped.take(event, &mut self.ready) {
            self.ready.push_back(Event::Failed(failure));
        }
    }
}

/// Streams on their way through stages.
struct Mapped {
    stages: Box<dyn Stages>,
    rejects: Rejects,
    streams: Vec<Incoming>,
    /// The place of each stream that comes out, and the name of the one that it comes of.
    names: BTreeMap<String, (usize, String)>,
    /// The stream of the tap that is being read, where the tap says it.
    syncing: Option<String>,
    unjudged: Unjudged<(String, Word)>,
    held_back: HeldBack,
    spare: Receiver<Batch>,
    give_back: SyncSender<Batch>,
}

/// A stream of the input.
struct Incoming {
    stream: Arc<Stream>,
    span: Span,
    routes: Vec<Outgoing>,
}

/// A stream that comes out.
struct Outgoing {
    at: usize,
    columns: usize,
    /// `None`: it stays as it is.
    rows: Option<RowMap>,
}

impl Mapped {
    fn take(&mut self, event: Event, ready: &mut VecDeque<Event>) -> Result<()> {
        match event {
            Event::Schema(at, stream) => return self.schema(at, stream, ready),
            Event::Rows(at, batch) => return self.rows(at, batch, ready),
            Event::State(value, word) => {
                let word = self.turn(word)?;
                let value = self.held_back.in_state(value);
                let states = self.unjudged.hold((value, word));
                ready.extend(states.map(|(value, word)| Event::State(value, word)));
            }
            Event::Turn(word) => {
                let word = self.turn(word)?;
                ready.push_back(Event::Turn(word));
            }
            Event::Activate(at, version) => self.activate(at, version, ready),
            Event::End(messages) => {
                // An input without a message is for the target to judge.
                if messages > 0 {
                    self.stages.finish()?;
                }
                let state = self.unjudged.end();
                ready.extend(state.map(|(value, word)| Event::State(value, word)));
                ready.push_back(Event::End(messages));
            }
            Event::Failed(_) => ready.push_back(event),
        }
        Ok(())
    }

    fn schema(
        &mut self,
        at: usize,
        stream: Arc<Stream>,
        ready: &mut VecDeque<Event>,
    ) -> Result<()> {
        let span = stderr::of_stream(&stream.name);
        let _within = span.clone().entered();
        let mut routes = Vec::new();
        match self.stages.routes(&stream).with("stream", &stream.name)? {
            None => {
                let at = self.place(&stream.name, &stream)?;
                routes.push(Outgoing { at, columns: stream.columns.len(), rows: None });
                ready.push_back(Event::Schema(at, Arc::clone(&stream)));
            }
            Some(made) => {
                for mut route in made.into_iter().map(Route::saying_texts) {
                    let of_tap = stream.of_tap().to_owned();
                    route.stream.source_stream.get_or_insert(of_tap);
                    let at = self.place(&route.stream.name, &stream)?;
                    let columns = route.stream.columns.len();
                    routes.push(Outgoing { at, columns, rows: Some(route.rows) });
                    ready.push_back(Event::Schema(at, Arc::new(route.stream)));
                }
            }
        }
        self.held_back.note(&stream, !routes.is_empty());
        let incoming = Incoming { stream, span, routes };
        match self.streams.get_mut(at) {
            Some(known) => *known = incoming,
            None => self.streams.push(incoming),
        }
        Ok(())
    }

    /// Returns the place of a stream that comes out. Two streams must not become one.
    fn place(&mut self, name: &str, of: &Stream) -> Result<usize> {
        let next = self.names.len();
        let (at, from) =
            self.names.entry(name.to_owned()).or_insert_with(|| (next, of.name.clone()));
        if *from == of.name { Ok(*at) } else { Err(one_name(name, from, &of.name)) }
    }

    fn rows(&mut self, at: usize, batch: Batch, ready: &mut VecDeque<Event>) -> Result<()> {
        let Incoming { stream, span, routes } = &mut self.streams[at];
        let _within = span.enter();
        if self.stages.judges(stream.of_tap()) {
            self.unjudged.add(stream.of_tap());
        }
        if let [Outgoing { at, rows: None, .. }] = &routes[..] {
            ready.push_back(Event::Rows(*at, batch));
            return Ok(());
        }
        for Outgoing { at, columns, rows } in routes {
            let Some(rows) = rows else { continue };
            let mut out = self.spare.try_recv().unwrap_or_default();
            out.reset(*columns + Envelope::CELLS);
            for row in 0..batch.rows() {
                let mark = out.mark();
                let done = rows(Row::new(&batch, row), &mut out).and_then(|()| {
                    let cells = out.cells_since(mark);
                    if cells == 0 { Ok(false) } else { fits(cells, *columns).map(|()| true) }
                });
                match done {
                    Ok(false) => {}
                    Ok(true) => {
                        let envelope = batch.envelope(row);
                        out.push_cell(envelope.time_extracted);
                        out.push_cell(envelope.version);
                        out.note_line(batch.line(row));
                    }
                    Err(failure) => {
                        out.rollback(mark);
                        if failure.kind() != ErrorKind::Data {
                            return Err(failure).with("stream", &stream.name);
                        }
                        self.rejects.row(stream, &batch, row, failure)?;
                    }
                }
            }
            if !out.is_empty() {
                ready.push_back(Event::Rows(*at, out));
            }
        }
        // They are not among the rows that a sink counts.
        self.rejects.take_rows(&stream.name);
        let _ = self.give_back.try_send(batch);
        Ok(())
    }

    /// Has streams judged that were read. What the word says of names is true no more.
    fn turn(&mut self, mut word: Word) -> Result<Word> {
        for name in std::mem::take(&mut word.unchanged) {
            self.stages.unchanged(&name);
        }
        word.mapped = true;
        let now = match &word.syncing {
            None => return Ok(word),
            Some(Syncing::Stream(name)) => Some(name.clone()),
            Some(Syncing::Nothing) => None,
        };
        if self.syncing == now {
            return Ok(word);
        }
        if let Some(read) = std::mem::replace(&mut self.syncing, now) {
            if self.streams.iter().any(|known| known.stream.of_tap() == read) {
                self.stages.complete(&read)?;
                self.unjudged.remove(&read);
            } else {
                self.stages.unchanged(&read);
            }
        }
        Ok(word)
    }

    fn activate(&mut self, at: usize, version: i64, ready: &mut VecDeque<Event>) {
        let Incoming { stream, span, routes } = &self.streams[at];
        let _within = span.enter();
        // A row that does not come may still be there in the source.
        if self.rejects.has_some_of(&stream.name) {
            crate::warn!(
                "W-VERSION-IGNORED",
                "ACTIVATE_VERSION of {} is ignored: some of its records were rejected",
                stream.name
            );
            return;
        }
        ready.extend(routes.iter().map(|route| Event::Activate(route.at, version)));
    }
}

/// Returns what the streams of an input become, for a plan.
pub(super) fn planned(
    stages: Option<&mut (dyn Stages + 'static)>,
    streams: Vec<Arc<Stream>>,
) -> Result<Vec<Arc<Stream>>> {
    let Some(stages) = stages else { return Ok(streams) };
    let mut made = Vec::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for stream in streams {
        let routes = stages.routes(&stream).with("stream", &stream.name)?;
        let from = stream.name.clone();
        let all = match routes {
            None => vec![stream],
            Some(routes) => routes.into_iter().map(|route| Arc::new(route.stream)).collect(),
        };
        for stream in all {
            if let Some(other) = names.insert(stream.name.clone(), from.clone()) {
                return Err(one_name(&stream.name, &other, &from));
            }
            made.push(stream);
        }
    }
    Ok(made)
}
