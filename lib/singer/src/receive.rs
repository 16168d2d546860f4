//! The reading half of a target: lines from input into batches and events, on its own thread.

mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Envelope};
use crate::catalog::Stream;
use crate::cut_off;
use crate::decode::{Line, RecordDecoder};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Next, too_long};
use crate::log::of_stream;
use crate::refusal::Refusal;
use crate::rejects::{Refused, Rejects, key_of};
use crate::scan::{Fault, Quoted, Token};
use crate::word::Word;

/// What the sinks receive, in the order of the input.
pub(crate) enum Event {
    /// A stream appeared, or its schema or keys changed.
    Schema(usize, Arc<Stream>),
    /// Rows of a stream.
    Rows(usize, Batch),
    /// A state, as it stands but for the name of the run, and what was said last of that.
    State(String, Word),
    /// A SCHEMA says which stream is being read now.
    Turn(Word),
    /// Rows of older versions are gone.
    Activate(usize, i64),
    /// The input ended; how many messages there were.
    End(u64),
    /// The input cannot be read on.
    Failed(Error),
}

/// All batches together hold no more than this before they are handed on.
const PENDING_BYTES: usize = 8 << 20;
const BATCH_AGE: Duration = Duration::from_secs(1);

/// Reads the input to its end; the last event says how it ended.
pub(crate) fn receive(mut input: Input, mut decoding: Decoding) {
    let event = match read(&mut input, &mut decoding) {
        Ok(()) => Event::End(decoding.messages),
        Err(Stop::Failed(failure)) => Event::Failed(failure),
        Err(Stop::Gone) => return,
    };
    decoding.report();
    let _ = decoding.events.send(event);
}

fn read(input: &mut Input, decoding: &mut Decoding) -> Result<(), Stop> {
    let mut handed_on = Instant::now();
    loop {
        match input.next_line() {
            Next::Line(line, number) => {
                if let Err(stop) = decoding.line(line, number) {
                    let unfinished = is_unfinished(line, &stop);
                    return Err(if unfinished && input.cut_short() {
                        Stop::Failed(ended_early(number))
                    } else {
                        stop
                    });
                }
            }
            Next::Pause => {
                // Rows and states wait for more to come, but not for long.
                let left = BATCH_AGE.saturating_sub(handed_on.elapsed());
                if left.is_zero() || !input.is_ready_within(left)? {
                    decoding.hand_on()?;
                    handed_on = Instant::now();
                }
                input.fill()?;
            }
            Next::End => return decoding.hand_on(),
        }
    }
}

fn is_unfinished(line: &[u8], stop: &Stop) -> bool {
    let Stop::Failed(failure) = stop else { return false };
    let byte = failure.context("byte").and_then(|byte| byte.parse::<usize>().ok());
    byte.is_some_and(|byte| cut_off::may_go_on(line, byte - 1))
}

fn ended_early(number: u64) -> Error {
    at_line(ErrorKind::Protocol, "the input ended in the middle of a message", number)
        .hint("the tap ended too early: read its own messages")
}

/// The failure of an input without a message.
pub(crate) fn no_input() -> Error {
    Error::new(ErrorKind::Protocol, "the input is empty").hint(
        "the tap wrote nothing: read its own messages; if it may end well without writing \
         anything, set `allow_empty: true`",
    )
}

/// The sinks have ended early, for a reason that is theirs to tell; or the input is at fault.
enum Stop {
    Gone,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(failure: Error) -> Self {
        Self::Failed(failure)
    }
}

/// How strictly records and schemas are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strictness {
    /// Records are checked against their schema.
    pub validate: bool,
    /// The most columns that a stream may have.
    pub columns_max: usize,
    /// How long the line of a record may be.
    pub record_bytes_max: usize,
}

/// The streams seen so far and the rows of each that wait to be handed on.
pub(crate) struct Decoding {
    strictness: Strictness,
    rejects: Rejects,
    streams: Vec<Incoming>,
    names: BTreeMap<String, usize>,
    /// The streams whose batches have rows, or memory for some.
    holding: Vec<usize>,
    /// The stream of the last record: the next one is likely its too.
    last: usize,
    /// Text handed to batches since the last time all were flushed.
    pending_bytes: usize,
    messages: u64,
    /// The last state, while it waits for the rows before it to be handed on. A later one takes
    /// its place, unless it names another stream.
    state: Vec<u8>,
    state_waits: bool,
    word: Word,
    events: SyncSender<Event>,
    spare: Receiver<Batch>,
    /// A mapper passes on what it does not know.
    passes_on: bool,
}

struct Incoming {
    stream: Arc<Stream>,
    /// The SCHEMA as it stood, to know a repeated one without reading it.
    schema: Vec<u8>,
    decoder: RecordDecoder,
    batch: Batch,
    /// It is among [`Decoding::holding`].
    holds: bool,
    /// A record said that its row was deleted, and the SCHEMA did not declare that.
    deletes: bool,
}

impl Decoding {
    pub(crate) fn new(
        strictness: Strictness,
        rejects: Rejects,
        events: SyncSender<Event>,
        spare: Receiver<Batch>,
    ) -> Self {
        Self {
            strictness,
            rejects,
            streams: Vec::new(),
            names: BTreeMap::new(),
            holding: Vec::new(),
            last: 0,
            pending_bytes: 0,
            messages: 0,
            state: Vec::new(),
            state_waits: false,
            word: Word::default(),
            events,
            spare,
            passes_on: false,
        }
    }

    /// Keeps the members of a SCHEMA that nobody here reads.
    pub(crate) fn passing_on(mut self) -> Self {
        self.passes_on = true;
        self
    }

    #[inline]
    fn line(&mut self, line: &[u8], number: u64) -> Result<(), Stop> {
        if let Some(incoming) = self.streams.get_mut(self.last)
            && incoming.decoder.predicts(line)
        {
            self.messages += 1;
            let before = incoming.batch.text_bytes();
            let done = incoming.decoder.predicted(line, &mut incoming.batch);
            let bytes = incoming.batch.text_bytes() - before;
            return self.taken(done, bytes, line, number);
        }
        self.other_line(line, number)
    }

    /// After a record: hands its batch on if it is full, or sets the record aside.
    #[inline]
    fn taken(
        &mut self,
        done: Result<(), Refusal>,
        bytes: usize,
        line: &[u8],
        number: u64,
    ) -> Result<(), Stop> {
        // The input knows lines that are longer than its buffer; most are not.
        if line.len() > self.strictness.record_bytes_max {
            return Err(too_long(number, self.strictness.record_bytes_max).into());
        }
        if !std::mem::replace(&mut self.streams[self.last].holds, true) {
            self.holding.push(self.last);
        }
        if let Err(refusal) = done {
            return self.refused(refusal, line, number);
        }
        self.pending_bytes += bytes;
        let batch = &mut self.streams[self.last].batch;
        batch.note_line(number);
        if batch.is_full() {
            self.flush(self.last)?;
        }
        if self.pending_bytes > PENDING_BYTES {
            self.flush_all()?;
        }
        Ok(())
    }

    fn other_line(&mut self, text: &[u8], number: u64) -> Result<(), Stop> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.messages += 1;
        let line = Line::read(text).map_err(|fault| not_json(text, number, fault))?;
        let kind = line.kind.map(|kind| kind.raw.to_ascii_uppercase()).unwrap_or_default();
        match kind.as_slice() {
            b"RECORD" => {
                self.last = self.known(line.stream, "RECORD", number)?;
                let incoming = &mut self.streams[self.last];
                let before = incoming.batch.text_bytes();
                let done = incoming.decoder.record(&line, &mut incoming.batch);
                let bytes = incoming.batch.text_bytes() - before;
                self.taken(done, bytes, text, number)
            }
            b"SCHEMA" => self.schema(&line, text, number),
            b"STATE" => self.state(&line, number),
            b"ACTIVATE_VERSION" => {
                let at = self.known(line.stream, "ACTIVATE_VERSION", number)?;
                let Some(Token::Integer(digits)) = line.version else {
                    return Err(broken("an ACTIVATE_VERSION without an integer `version`", number));
                };
                let version = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                let version = version
                    .ok_or_else(|| broken("an ACTIVATE_VERSION with a huge `version`", number))?;
                self.hand_on()?;
                self.send(Event::Activate(at, version))
            }
            b"BATCH" => Err(Stop::Failed(
                at_line(ErrorKind::Protocol, "cannot read a BATCH message", number).hint(
                    "BATCH messages are not supported yet: remove `batch_config` from the \
                           settings of the tap",
                ),
            )),
            b"" => Err(broken("a message without `type`", number)),
            other => Err(Stop::Failed(
                at_line(ErrorKind::Protocol, "a message has an unknown type", number)
                    .with("type", String::from_utf8_lossy(other)),
            )),
        }
    }

    /// Returns the stream of a message, which must have a SCHEMA before it.
    fn known(&self, name: Option<Quoted<'_>>, kind: &str, number: u64) -> Result<usize, Stop> {
        let name = stream_name(name, kind, number)?;
        self.names.get(&name).copied().ok_or_else(|| {
            let article = if kind == "ACTIVATE_VERSION" { "an" } else { "a" };
            let what = format!("{article} {kind} came before the SCHEMA of its stream");
            Stop::Failed(at_line(ErrorKind::Protocol, &what, number).with("stream", name))
        })
    }

    fn schema(&mut self, line: &Line<'_>, text: &[u8], number: u64) -> Result<(), Stop> {
        let name = stream_name(line.stream, "SCHEMA", number)?;
        let at = self.names.get(&name).copied();
        if at.is_some_and(|at| self.streams[at].schema == text) {
            return Ok(());
        }
        self.hand_on()?;
        let _within = of_stream(&name).entered();
        let mut stream = schema::read(&name, line, number, self.strictness.columns_max)?;
        if self.passes_on {
            stream.fields = schema::further_members(text);
        }
        let word = line.syncing_run.and_then(|run| Word::of_schema(stream.of_tap(), run));
        if let Some(word) = word.filter(|word| *word != self.word) {
            self.word = word.clone();
            self.send(Event::Turn(word))?;
        }
        let deletes = at.is_some_and(|at| self.streams[at].deletes);
        if deletes {
            stream.declare_deleted_at();
        }
        if let Some(at) = at {
            let known = &self.streams[at].stream;
            let is_same = known.schema == stream.schema
                && known.keys == stream.keys
                && known.coverage == stream.coverage
                && known.fields == stream.fields;
            if is_same {
                text.clone_into(&mut self.streams[at].schema);
                return Ok(());
            }
        }
        let stream = Arc::new(stream);
        let width = stream.columns.len() + Envelope::CELLS;
        let decoder = RecordDecoder::new(&stream, self.strictness.validate)
            .map_err(|failure| failure.with("line", number))?
            .heeding_deletions();
        let schema = text.to_vec();
        let batch = Batch::new(width);
        let incoming =
            Incoming { stream: Arc::clone(&stream), schema, decoder, batch, holds: false, deletes };
        let at = if let Some(at) = at {
            self.streams[at] = incoming;
            at
        } else {
            self.streams.push(incoming);
            self.names.insert(name, self.streams.len() - 1);
            self.streams.len() - 1
        };
        self.last = at;
        self.send(Event::Schema(at, stream))
    }

    fn state(&mut self, line: &Line<'_>, number: u64) -> Result<(), Stop> {
        let Some(value) = line.value else {
            return Err(broken("a STATE without `value`", number));
        };
        let mut state = Vec::with_capacity(value.len());
        let word = Word::read(value, &mut state);
        let turns = word.syncing.is_some() && word != self.word;
        if turns {
            self.hand_on()?;
            self.word = word;
        }
        self.state = state;
        self.state_waits = true;
        if turns { self.hand_on() } else { Ok(()) }
    }

    /// Hands on all rows, and then the state, which must not come before the rows it covers.
    fn hand_on(&mut self) -> Result<(), Stop> {
        self.flush_all()?;
        if !self.state_waits {
            return Ok(());
        }
        self.state_waits = false;
        let value = String::from_utf8_lossy(&self.state).into_owned();
        self.send(Event::State(value, self.word.clone()))
    }

    /// Declares the property in which a record says that its row was deleted: that is obeyed
    /// whether the SCHEMA declares it or not. Reads the record again.
    #[cold]
    fn deletes(&mut self, text: &[u8], number: u64) -> Result<(), Stop> {
        self.hand_on()?;
        let at = self.last;
        let incoming = &mut self.streams[at];
        let mut stream = Stream::clone(&incoming.stream);
        stream.declare_deleted_at();
        incoming.stream = Arc::new(stream);
        incoming.deletes = true;
        incoming.decoder.undeclared.report(&incoming.stream.name);
        incoming.decoder = RecordDecoder::new(&incoming.stream, self.strictness.validate)
            .map_err(|failure| failure.with("line", number))?;
        incoming.batch = Batch::new(incoming.stream.columns.len() + Envelope::CELLS);
        let stream = Arc::clone(&incoming.stream);
        self.send(Event::Schema(at, stream))?;
        self.messages -= 1;
        self.other_line(text, number)
    }

    fn refused(&mut self, refusal: Refusal, text: &[u8], number: u64) -> Result<(), Stop> {
        let (at, reason) = match refusal {
            Refusal::Broken(fault) => return Err(not_json(text, number, fault).into()),
            Refusal::Deletes => return self.deletes(text, number),
            Refusal::Unfit(at, reason) => (at, reason),
        };
        let incoming = &self.streams[self.last];
        let line = Line::read(text).map_err(|fault| not_json(text, number, fault))?;
        let record = line.record.unwrap_or(text);
        let mut failure = at_line(ErrorKind::Data, "a record does not fit its schema", number)
            .with("stream", &incoming.stream.name);
        let hides = self.rejects.hides_rows();
        if let Some(key) = key_of(record, &incoming.stream.keys).filter(|_| !hides) {
            failure = failure.with("key", key);
        }
        if let Some(at) = at {
            failure = failure.with("column", &incoming.stream.columns[at].name);
        }
        let columns = &incoming.stream.columns;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let record = Refused::Object(record).selected(&names, &[]).filter(|_| !hides);
        Ok(self.rejects.add(record.as_deref(), failure.with("reason", reason))?)
    }

    /// Hands on the rows of one stream, of which there will be more.
    fn flush(&mut self, at: usize) -> Result<(), Stop> {
        let fresh = self.spare.try_recv().unwrap_or_default();
        self.replace(at, fresh)
    }

    /// Hands on the rows of all streams. They keep no memory: most of them may have ended.
    fn flush_all(&mut self) -> Result<(), Stop> {
        self.pending_bytes = 0;
        let mut holding = std::mem::take(&mut self.holding);
        holding.sort_unstable();
        for at in holding {
            self.streams[at].holds = false;
            self.replace(at, Batch::default())?;
        }
        Ok(())
    }

    fn replace(&mut self, at: usize, mut fresh: Batch) -> Result<(), Stop> {
        let batch = &mut self.streams[at].batch;
        fresh.reset(batch.width());
        let full = std::mem::replace(batch, fresh);
        if full.is_empty() {
            return Ok(());
        }
        self.pending_bytes = self.pending_bytes.saturating_sub(full.text_bytes());
        let Incoming { decoder, stream, .. } = &mut self.streams[at];
        decoder.undeclared.report(&stream.name);
        self.send(Event::Rows(at, full))
    }

    fn send(&self, event: Event) -> Result<(), Stop> {
        self.events.send(event).map_err(|_| Stop::Gone)
    }

    fn report(&self) {
        for incoming in &self.streams {
            incoming.decoder.undeclared.sum_up(&incoming.stream.name);
        }
    }
}

fn stream_name(name: Option<Quoted<'_>>, kind: &str, number: u64) -> Result<String, Stop> {
    let mut text = Vec::new();
    if let Some(name) = name {
        name.unescape_into(&mut text);
    }
    if text.is_empty() {
        return Err(broken(&format!("a {kind} without `stream`"), number));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn at_line(kind: ErrorKind, what: &str, number: u64) -> Error {
    Error::new(kind, what).with("line", number)
}

fn broken(what: &str, number: u64) -> Stop {
    Stop::Failed(at_line(ErrorKind::Protocol, &format!("the input has {what}"), number))
}

/// Says where a line is not JSON, without showing data.
fn not_json(text: &[u8], number: u64, fault: Fault) -> Error {
    let failure = at_line(ErrorKind::Protocol, "a line of the input is not a JSON message", number)
        .with("byte", fault.at + 1)
        .with("reason", fault.what);
    if text.trim_ascii_start().first() == Some(&b'{') {
        failure
    } else {
        failure.hint(
            "a tap may write only messages to standard output: check whether it writes \
                      its log there",
        )
    }
}
