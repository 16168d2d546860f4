//! Runs a mapper: messages in, and what becomes of them out, in the same order.
//!
//! A STATE stays behind the rows that it covers, and keeps the names of the tap. Each SCHEMA says
//! of which stream of the tap it came, so that a target knows when it is whole.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use serde_json::Value;
use tracing::Span;

use crate::args::{Action, Role};
use crate::batch::{Batch, Envelope};
use crate::catalog::Stream;
use crate::encode::{
    Envelopes, RecordEncoder, activate_version_line, message_line, schema_message,
};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::held_back::HeldBack;
use crate::intake::Intake;
use crate::mapper::{COMBINED, Mapper, Route, Row, RowMap};
use crate::metrics::RecordCounter;
use crate::output::Output;
use crate::pipe::{Job, Pipe};
use crate::plan::{self, Planned};
use crate::process::{exit, read_args, start};
use crate::receive::{Event, no_input};
use crate::rejects::Rejects;
use crate::settings::{Common, InputCommon, Settings, SettingsSchema};
use crate::unjudged::Unjudged;
use crate::word::{RUN, Syncing, Word, with_run};
use crate::{log as stderr, warning};

/// The last thing that a mapper writes when it fails: it is no message, and has no line end.
const UNFINISHED: &[u8] = b"{\"type\":";

/// The whole `main` of a mapper.
pub fn run_mapper<M: Mapper>() -> ExitCode {
    start(&M::ABOUT);
    exit(&M::ABOUT, run::<M>())
}

fn run<M: Mapper>() -> Result<()> {
    let schema = SettingsSchema::new(&[
        SettingsSchema::part::<M::Settings>,
        SettingsSchema::part::<InputCommon>,
        SettingsSchema::part::<Common>,
    ])
    .with_others(M::OTHER_SETTINGS);
    let args = read_args(&M::ABOUT, Role::Mapper, &schema, M::EXAMPLES)?;
    let Some(args) = args else { return Ok(()) };
    let settings = Settings::read(&args, &M::ABOUT, &schema)?;
    let common: Common = settings.get()?;
    let own: InputCommon = settings.get()?;
    stderr::set_format(common.log_format);
    warning::check()?;
    let mapper = M::open(settings.get()?)?;
    let rejects = Rejects::new(&common);
    let rejects = if mapper.hides_rows() { rejects.hiding() } else { rejects };
    let intake = Intake::new(&common, &own).passing_on();
    let (incoming, give_back) = intake.begin(args.input.as_deref(), &rejects)?;
    let mut mapping = Mapping {
        mapper,
        rejects: rejects.clone(),
        pipe: Pipe::start(Output::new().holding_the_end()),
        streams: Vec::new(),
        announced: Vec::new(),
        names: BTreeMap::new(),
        give_back,
        untold: None,
        syncing: None,
        unjudged: Unjudged::default(),
        held_back: HeldBack::default(),
    };
    if let Action::Plan(format) = args.action {
        let streams = plan::streams(&incoming, own.allow_empty)?;
        return plan::print(&mapping.plan(&streams)?, format);
    }
    let ended = mapping.run(&incoming, own.allow_empty);
    // What came before a failure still goes on. The last state says that it is not all; where the
    // tap says nothing of that, a line without an end does: no target takes it for a good end.
    if ended.is_err() && mapping.syncing.is_none() && !mapping.streams.is_empty() {
        let _ = mapping.pipe.send(Job::Line(UNFINISHED.to_vec()));
    }
    let closed = mapping.pipe.close();
    rejects.report();
    ended.and(closed)
}

struct Mapping<M> {
    mapper: M,
    rejects: Rejects,
    pipe: Pipe,
    streams: Vec<Incoming>,
    /// Streams whose SCHEMA came, and nothing since.
    announced: Vec<(usize, Arc<Stream>)>,
    /// The stream of the tap by the name of each stream that comes of one.
    names: BTreeMap<String, String>,
    give_back: SyncSender<Batch>,
    /// What a SCHEMA said of the run, which none has said behind the mapper yet.
    untold: Option<Value>,
    /// The stream of the tap that is being read, where the tap says it.
    syncing: Option<String>,
    unjudged: Unjudged<(String, Word)>,
    held_back: HeldBack,
}

struct Incoming {
    stream: Arc<Stream>,
    span: Span,
    routes: Vec<Outgoing>,
}

/// A stream on its way out.
struct Outgoing {
    stream: Stream,
    encoder: Arc<RecordEncoder>,
    map: RowMap,
    counter: RecordCounter,
}

impl<M: Mapper> Mapping<M> {
    fn run(&mut self, incoming: &Receiver<Event>, allow_empty: bool) -> Result<()> {
        for event in incoming {
            warning::check()?;
            if !matches!(event, Event::Schema(..) | Event::Failed(_)) {
                self.settle()?;
            }
            match event {
                Event::Schema(at, stream) => self.announced.push((at, stream)),
                Event::Rows(at, batch) => self.rows(at, batch)?,
                Event::State(value, word) => self.state(value, word)?,
                Event::Turn(mut word) => {
                    self.turn(&mut word)?;
                    self.untold = word.mapped_member();
                }
                Event::Activate(at, version) => self.activate(at, version)?,
                Event::End(0) if !allow_empty => return Err(no_input()),
                Event::End(_) => {
                    self.mapper.finish()?;
                    if let Some((value, word)) = self.unjudged.end() {
                        self.send_state(&value, &word)?;
                    }
                    let routes = self.streams.iter_mut().flat_map(|stream| &mut stream.routes);
                    routes.for_each(|route| route.counter.finish(true));
                    return warning::check();
                }
                Event::Failed(failure) => return Err(failure),
            }
        }
        Err(Error::new(ErrorKind::Internal, "the reading thread has ended"))
    }

    /// Takes up the streams whose SCHEMA came: those that come together are known together.
    fn settle(&mut self) -> Result<()> {
        if self.announced.is_empty() {
            return Ok(());
        }
        let announced = std::mem::take(&mut self.announced);
        let streams: Vec<_> = announced.iter().map(|(_, stream)| Arc::clone(stream)).collect();
        self.mapper.announce(&streams)?;
        for (at, stream) in announced {
            self.schema(at, stream)?;
            for name in self.mapper.renewed() {
                let is = |known: &Incoming| known.stream.of_tap() == name;
                let Some(other) = self.streams.iter().position(is) else { continue };
                if other != at {
                    let stream = Arc::clone(&self.streams[other].stream);
                    self.schema(other, stream)?;
                }
            }
        }
        Ok(())
    }

    /// Asks what becomes of a stream. Two streams must not become one.
    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>> {
        let mut routes = self.mapper.routes(stream).with("stream", &stream.name)?;
        for Route { stream: to, .. } in &mut routes {
            to.source_stream.get_or_insert_with(|| stream.of_tap().to_owned());
            let from = self.names.entry(to.name.clone()).or_insert_with(|| stream.name.clone());
            let is_combined = to.source_stream.as_deref() == Some(COMBINED);
            if *from != stream.name && !is_combined {
                return Err(Error::new(
                    ErrorKind::Config,
                    "cannot send two streams under one name",
                )
                .with("stream", &to.name)
                .with("of", from)
                .with("and", &stream.name)
                .hint("give one of them another name in the settings of the mapper"));
            }
        }
        Ok(routes)
    }

    fn schema(&mut self, at: usize, stream: Arc<Stream>) -> Result<()> {
        let span = stderr::of_stream(&stream.name);
        let _within = span.clone().entered();
        let mut routes = Vec::new();
        for Route { stream, rows } in self.routes(&stream)? {
            let stream = stream.saying_texts();
            let encoder = Arc::new(RecordEncoder::new(&stream, &[], Envelopes::OfRows));
            let counter = RecordCounter::new(&stream.name);
            routes.push(Outgoing { stream, encoder, map: rows, counter });
        }
        self.held_back.note(&stream, !routes.is_empty());
        let incoming = Incoming { stream, span, routes };
        match self.streams.get_mut(at) {
            Some(known) => *known = incoming,
            None => self.streams.push(incoming),
        }
        self.send_schemas(at)
    }

    fn send_schemas(&mut self, at: usize) -> Result<()> {
        let untold = self.untold.take();
        for Outgoing { stream, .. } in &self.streams[at].routes {
            let mut message = schema_message(stream);
            for (name, value) in &stream.fields {
                message[name] = value.clone();
            }
            if let Some(member) = &untold {
                message[RUN] = member.clone();
            }
            self.pipe.send(Job::Line(message_line(&message)))?;
        }
        Ok(())
    }

    fn rows(&mut self, at: usize, batch: Batch) -> Result<()> {
        if self.untold.is_some() {
            self.send_schemas(at)?;
        }
        let Incoming { stream, span, routes } = &mut self.streams[at];
        let _within = span.enter();
        for route in routes {
            let mut out = self.pipe.spare.try_recv().unwrap_or_default();
            out.reset(route.stream.columns.len() + Envelope::CELLS);
            for row in 0..batch.rows() {
                if let Err(failure) = route.row(&batch, row, &mut out) {
                    if failure.kind() != ErrorKind::Data {
                        return Err(failure.with("stream", &stream.name));
                    }
                    self.rejects.row(stream, &batch, row, failure)?;
                }
            }
            if self.mapper.judges(route.stream.of_tap()) {
                self.unjudged.add(route.stream.of_tap());
            }
            if !out.is_empty() {
                route.counter.add(out.rows(), out.text_bytes());
                self.pipe.send(Job::Rows(Arc::clone(&route.encoder), out))?;
            }
        }
        let _ = self.give_back.try_send(batch);
        Ok(())
    }

    /// Says that a stream has been read, where the tap turns to another one or to none; has the
    /// word say that records of it were rejected here.
    fn turn(&mut self, word: &mut Word) -> Result<()> {
        let lacks = |known: &Incoming| {
            self.syncing.as_deref() == Some(known.stream.of_tap())
                && self.rejects.has_some_of(&known.stream.name)
        };
        word.left_out |= self.streams.iter().any(lacks);
        word.unchanged.iter().for_each(|name| self.mapper.unchanged(name));
        let Some(syncing) = &word.syncing else { return Ok(()) };
        let now = match syncing {
            Syncing::Stream(name) => Some(name.clone()),
            Syncing::Nothing => None,
        };
        if self.syncing == now {
            return Ok(());
        }
        if let Some(read) = &self.syncing {
            if self.streams.iter().any(|known| known.stream.of_tap() == read) {
                self.mapper.complete(read)?;
                self.unjudged.remove(read);
            } else {
                self.mapper.unchanged(read);
            }
        }
        self.syncing = now;
        Ok(())
    }

    fn state(&mut self, value: String, mut word: Word) -> Result<()> {
        self.turn(&mut word)?;
        let value = self.held_back.in_state(value);
        let mut states = self.unjudged.hold((value, word));
        states.try_for_each(|(value, word)| self.send_state(&value, &word))
    }

    fn send_state(&mut self, value: &str, word: &Word) -> Result<()> {
        self.untold = None;
        let line = format!("{{\"type\":\"STATE\",\"value\":{}}}\n", with_run(value, word));
        self.pipe.send(Job::Line(line.into_bytes()))
    }

    fn activate(&mut self, at: usize, version: i64) -> Result<()> {
        let Incoming { stream, span, routes } = &self.streams[at];
        let _within = span.enter();
        // A row that does not come may still be there in the source.
        if self.rejects.has_some_of(&stream.name) {
            crate::warn!(
                "W-VERSION-IGNORED",
                "ACTIVATE_VERSION of {} is ignored: some of its records were rejected",
                stream.name
            );
            return Ok(());
        }
        for Outgoing { stream, .. } in routes {
            if stream.of_tap() == COMBINED {
                crate::warn!(
                    "W-VERSION-IGNORED",
                    "ACTIVATE_VERSION of {} is ignored: {} has rows of other streams, too, which \
                     must not go with those of an older version",
                    self.streams[at].stream.name,
                    stream.name
                );
                continue;
            }
            self.pipe.send(Job::Line(activate_version_line(&stream.name, version)))?;
        }
        Ok(())
    }

    fn plan(&mut self, streams: &[Arc<Stream>]) -> Result<Vec<Planned>> {
        let mut planned = Vec::new();
        self.mapper.announce(streams)?;
        for stream in streams {
            for Route { stream: to, .. } in self.routes(stream)? {
                let (columns, of) = (to.columns.len(), stream.columns.len());
                let step = format!("{columns} columns, of {of} of stream {}", stream.name);
                let schema = Some(schema_message(&to));
                let mut steps = vec![step];
                steps.extend(self.mapper.plan(&to.name));
                planned.push(Planned { stream: to.name, steps, schema, rows: None });
            }
        }
        Ok(planned)
    }
}

impl Outgoing {
    /// Appends what becomes of a row; on failure nothing.
    fn row(&mut self, batch: &Batch, row: usize, out: &mut Batch) -> Result<()> {
        let mark = out.mark();
        if let Err(failure) = (self.map)(Row::new(batch, row), out) {
            out.rollback(mark);
            return Err(failure);
        }
        let (cells, columns) = (out.cells_since(mark), self.stream.columns.len());
        if cells == 0 {
            return Ok(());
        }
        if cells != columns {
            return Err(Error::new(ErrorKind::Internal, "a mapped row has the wrong width")
                .with("cells", cells)
                .with("columns", columns));
        }
        let envelope = batch.envelope(row);
        out.push_cell(envelope.time_extracted);
        out.push_cell(envelope.version);
        Ok(())
    }
}
