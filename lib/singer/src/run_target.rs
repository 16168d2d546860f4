//! Runs a target: rows into sinks, and state out once what it covers is durable.

mod of_tables;
mod outgoing;
mod printed;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use self::outgoing::{Behind, Outgoing, after_end};
use self::source::Source;
use crate::added;
use crate::args::{Action, Role};
use crate::batch::Batch;
use crate::catalog::Stream;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::inline::{Inline, Nothing};
use crate::intake::Intake;
use crate::last_state::LastState;
use crate::mapper::COMBINED;
use crate::metrics::RecordCounter;
use crate::process::{exit, read_args, start};
use crate::receive::{Event, no_input};
use crate::rejects::Rejects;
use crate::settings::{Common, InputCommon, Settings, SettingsSchema, TargetCommon};
use crate::target::{Durability, End, FILLED_SINCE, Sink, Target, Unchanged};
use crate::whole::{self, Whole};
use crate::word::{Syncing, Word};
use crate::{log as stderr, plan, warning};

/// The whole `main` of a target.
pub fn run_target<T: Target>() -> ExitCode {
    run_target_with::<T, Nothing>()
}

/// The whole `main` of a target whose streams something may happen to when they were read.
pub fn run_target_with<T: Target, I: Inline>() -> ExitCode {
    start(&T::ABOUT);
    exit(&T::ABOUT, run::<T, I>())
}

fn run<T: Target, I: Inline>() -> Result<()> {
    let mine = SettingsSchema::new(&[
        SettingsSchema::part::<T::Settings>,
        SettingsSchema::part::<InputCommon>,
        SettingsSchema::part::<TargetCommon>,
        SettingsSchema::part::<Common>,
    ])
    .with_others(T::OTHER_SETTINGS);
    let schema = mine.clone().beside(&SettingsSchema::part::<I::Settings>(), I::CAPABILITIES);
    let args = read_args(&T::ABOUT, Role::Target, &schema, T::EXAMPLES)?;
    let Some(args) = args else { return Ok(()) };
    let settings = Settings::read(&args, &T::ABOUT, &schema)?;
    let common: Common = settings.get()?;
    let input: InputCommon = settings.get()?;
    let own: TargetCommon = settings.get()?;
    stderr::set_format(common.log_format);
    let intake = Intake::new(&common, &input);
    let stages = I::open(settings.without(&mine).get()?)?;
    let rejects = Rejects::new(&common);
    // What comes in may be what nobody is to see; what the sinks get may be seen.
    let hides = stages.as_ref().is_some_and(|stages| stages.hides_rows());
    let of_input = if hides { rejects.hiding() } else { rejects.clone() };
    if let Action::Plan(format) = args.action {
        let (incoming, _) = intake.begin(args.input.as_deref(), &of_input)?;
        let mut stages = stages;
        let streams = plan::streams(&incoming, input.allow_empty)?;
        let streams = source::planned(stages.as_deref_mut(), streams)?;
        let mut planned = T::plan(settings.get()?, &streams)?;
        plan::add_stages(&mut planned, stages.as_deref());
        return plan::print(&planned, format);
    }
    if matches!(args.action, Action::PlanTables(_) | Action::ApplyTables) {
        let (incoming, _) = intake.begin(args.input.as_deref(), &of_input)?;
        // Without any stream, tables that nothing fills any more are left.
        let mut stages = stages;
        let streams = plan::streams(&incoming, true)?;
        let streams = source::planned(stages.as_deref_mut(), streams)?;
        return of_tables::answer::<T>(settings.get()?, &streams, &args);
    }
    warning::check()?;
    let target = T::open(settings.get()?)?;
    let (incoming, give_back) = intake.begin(args.input.as_deref(), &of_input)?;
    let (mut source, give_back) = match stages {
        None => (Source::new(incoming), give_back),
        Some(stages) => Source::through(incoming, stages, of_input, give_back),
    };
    let delivery = Delivery::new(target, own, rejects.clone(), give_back);
    let ended = delivery.run(&mut source, input.allow_empty);
    rejects.report();
    ended
}

/// How long rows of completed streams wait for those of others.
const TOGETHER: Duration = Duration::from_secs(1);

struct Delivery<T: Target> {
    target: T,
    settings: TargetCommon,
    rejects: Rejects,
    streams: Vec<Outgoing<T::Sink>>,
    /// Which of them came of a stream of the tap.
    came_of: BTreeMap<String, Vec<usize>>,
    give_back: SyncSender<Batch>,
    state: Option<Rc<LastState>>,
    /// The state is not printed yet.
    state_pending: bool,
    /// Since when rows of completed streams wait to be made durable together.
    waiting: Option<Instant>,
    /// The state to be printed then.
    held: Option<Rc<LastState>>,
    /// What was said last of the stream that is being read.
    word: Word,
    /// The tap is one of ours: its bookmarks may take along which place they are of.
    ours: bool,
    /// Streams that were read and of which nothing came.
    silent: BTreeSet<String>,
    /// Those of them whose rows the target has, as it was found.
    found: Vec<String>,
    committed: Instant,
}

impl<T: Target> Delivery<T> {
    fn new(
        target: T,
        settings: TargetCommon,
        rejects: Rejects,
        give_back: SyncSender<Batch>,
    ) -> Self {
        Self {
            target,
            settings,
            rejects,
            streams: Vec::new(),
            came_of: BTreeMap::new(),
            give_back,
            state: None,
            state_pending: false,
            waiting: None,
            held: None,
            word: Word::default(),
            ours: false,
            silent: BTreeSet::new(),
            found: Vec::new(),
            committed: Instant::now(),
        }
    }

    fn run(mut self, incoming: &mut Source, allow_empty: bool) -> Result<()> {
        let ended = self.receive(incoming, allow_empty);
        // Streams that had ended well before the failure stay; what fails now is reported after it.
        match (ended, self.commit_waiting()) {
            (Ok(()), committed) => committed,
            (Err(failure), committed) => {
                if let Err(also) = committed {
                    tracing::error!("also: {also}");
                }
                Err(failure)
            }
        }
    }

    fn receive(&mut self, incoming: &mut Source, allow_empty: bool) -> Result<()> {
        while let Some(event) = self.next(incoming)? {
            warning::check()?;
            match event {
                Event::Schema(at, stream) => self.schema(at, &stream)?,
                Event::Rows(at, batch) => self.rows(at, batch)?,
                Event::State(value, word) => self.state(value, word)?,
                Event::Turn(word) => {
                    self.check(&word)?;
                    self.turn(word)?;
                    self.print_state()?;
                }
                Event::Activate(at, version) => self.activate(at, version)?,
                Event::End(0) if !allow_empty => return Err(no_input()),
                Event::End(_) => return self.end(),
                Event::Failed(failure) => return Err(failure),
            }
        }
        Err(Error::new(ErrorKind::Internal, "the reading thread has ended"))
    }

    /// Returns what comes next; `None` where nothing ever comes again. Rows that wait do not wait
    /// for it.
    fn next(&mut self, incoming: &mut Source) -> Result<Option<Event>> {
        if self.waiting.is_some() && !self.target.has_waiting() {
            self.commit_waiting()?;
        }
        if let Some(since) = self.waiting {
            match incoming.next_within(TOGETHER.saturating_sub(since.elapsed())) {
                Ok(event) if since.elapsed() < TOGETHER => return Ok(Some(event)),
                Ok(event) => return self.commit_waiting().map(|()| Some(event)),
                Err(RecvTimeoutError::Timeout) => self.commit_waiting()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        Ok(incoming.next())
    }

    /// Makes the rows of completed streams durable that wait, and prints the state that waits.
    fn commit_waiting(&mut self) -> Result<()> {
        if self.waiting.take().is_none() {
            return Ok(());
        }
        self.target.commit()?;
        for stream in self.streams.iter_mut().filter(|stream| stream.waits) {
            let _within = stream.span.enter();
            (stream.waits, stream.dirty) = (false, false);
            stream.counter.finish(true);
        }
        self.held.take().map_or(Ok(()), |state| self.print(&state))
    }

    fn schema(&mut self, at: usize, stream: &Arc<Stream>) -> Result<()> {
        let Some(known) = self.streams.get_mut(at) else {
            let span = stderr::of_stream(&stream.name);
            let _within = span.clone().entered();
            let sink = self.sink(stream)?;
            let state = self.state.as_ref();
            let mark = state.map(|state| added::mark(state.bookmark(stream.of_tap())));
            self.streams.push(Outgoing::new(stream, sink, span, mark.unwrap_or_default()));
            self.came_of.entry(stream.of_tap().to_owned()).or_default().push(at);
            return Ok(());
        };
        let _within = known.span.clone().entered();
        let stream = &known.stream.in_place_of(stream);
        known.stream = Arc::clone(stream);
        known.behind = known.behind.min(Behind::Something);
        tracing::info!("the schema of stream {} changed", known.name);
        match &mut known.sink {
            Some(sink) => sink.evolve(self.target.shared(), stream).with("stream", &known.name),
            None => self.reopen(at),
        }
    }

    /// Opens the sink of a stream.
    fn sink(&mut self, stream: &Arc<Stream>) -> Result<T::Sink> {
        let mut stream = Stream::clone(stream);
        stream.says_coverage = self.word.run.is_some();
        self.target.sink(&stream).with("stream", &stream.name)
    }

    /// Takes up a stream that had ended, where what comes now goes beside what came before.
    fn reopen(&mut self, at: usize) -> Result<()> {
        if self.streams[at].sink.is_some() {
            return Ok(());
        }
        if !self.streams[at].goes_on {
            return Err(after_end(&self.streams[at].name));
        }
        self.commit_waiting()?;
        let stream = Arc::clone(&self.streams[at].stream);
        tracing::info!("stream {} had ended and continues", stream.name);
        let sink = self.sink(&stream)?;
        let known = &mut self.streams[at];
        known.sink = Some(sink);
        known.counter = RecordCounter::new(&known.name);
        Ok(())
    }

    fn rows(&mut self, at: usize, batch: Batch) -> Result<()> {
        self.reopen(at)?;
        let stream = &mut self.streams[at];
        let _within = stream.span.enter();
        let sink = stream.sink.as_mut().ok_or_else(|| after_end(&stream.name))?;
        sink.write(self.target.shared(), &batch, &self.rejects).with("stream", &stream.name)?;
        stream.dirty = true;
        stream.behind = Behind::Nothing;
        stream.versions.add(&batch);
        stream.counter.leave_out(self.rejects.take_rows(&stream.name));
        stream.counter.add(batch.rows(), batch.text_bytes());
        let _ = self.give_back.try_send(batch);
        Ok(())
    }

    fn activate(&mut self, at: usize, version: i64) -> Result<()> {
        self.reopen(at)?;
        let stream = &mut self.streams[at];
        let _within = stream.span.enter();
        let sink = stream.sink.as_mut().ok_or_else(|| after_end(&stream.name))?;
        if !sink.heeds_versions() {
            let older = stream.versions.any_before(version);
            return sink.activate(version, older).with("stream", &stream.name);
        }
        stream.dirty = true;
        stream.behind = stream.behind.max(Behind::Something);
        match stream.version {
            Some(newer) if newer > version => {
                let name = &stream.name;
                crate::warn!(
                    "W-VERSION-IGNORED",
                    "ACTIVATE_VERSION {version} of {name} is ignored: version {newer} is already \
                     active"
                );
            }
            _ => stream.version = Some(version),
        }
        Ok(())
    }

    fn state(&mut self, value: String, word: Word) -> Result<()> {
        self.check(&word)?;
        self.state = Some(Rc::new(LastState::new(value)));
        self.state_pending = true;
        let ended = word.syncing == Some(Syncing::Nothing);
        let behind = if ended { Behind::End } else { Behind::Something };
        self.streams.iter_mut().for_each(|stream| stream.behind = stream.behind.max(behind));
        self.turn(word)?;
        let interval = Duration::from_secs(self.settings.state_interval_seconds);
        if self.committed.elapsed() >= interval {
            self.commit()?;
        }
        self.print_state()
    }

    /// Completes what came of the stream that is not being read any more.
    fn turn(&mut self, mut word: Word) -> Result<()> {
        if word.syncing.is_none() {
            return Ok(());
        }
        self.silent.extend(std::mem::take(&mut word.unchanged));
        let before = std::mem::replace(&mut self.word, word);
        let Some(Syncing::Stream(name)) = before.syncing else { return Ok(()) };
        if self.word.left_out {
            let came = [name.as_str(), COMBINED].into_iter().filter_map(|of| self.came_of.get(of));
            came.flatten().for_each(|at| self.streams[*at].lacks = true);
        }
        // What is made of all streams of the tap ends with the last of them.
        if name == COMBINED || self.word.syncing == Some(Syncing::Stream(name.clone())) {
            return Ok(());
        }
        let came = self.came_of.get(&name).cloned().unwrap_or_default();
        if came.is_empty() && !before.mapped && !self.came_of.contains_key(COMBINED) {
            self.silent.insert(name);
        }
        came.into_iter().try_for_each(|at| self.complete(at, true))
    }

    /// Refuses the word of another run, and a stream that had ended.
    fn check(&mut self, word: &Word) -> Result<()> {
        self.check_run(word)?;
        self.ours |= word.run.is_some();
        let Some(Syncing::Stream(name)) = &word.syncing else { return Ok(()) };
        let has_ended = |at: &usize| {
            let known = &self.streams[*at];
            known.sink.is_none() && !known.goes_on
        };
        match self.came_of.get(name) {
            Some(came) if came.iter().any(has_ended) => Err(after_end(name)),
            _ => Ok(()),
        }
    }

    /// Refuses the word of another run before the one that began a stream has said that the stream
    /// is read.
    fn check_run(&self, word: &Word) -> Result<()> {
        let Word { syncing: Some(Syncing::Stream(name)), run, ended: false, .. } = &self.word
        else {
            return Ok(());
        };
        if word.syncing.is_none() || word.run == *run {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Protocol, "another tap started before this stream was complete")
            .with("stream", name)
            .with("published before", self.published())
            .hint(
                "the first tap ended too early: read its own messages, then run again; two taps \
                 that write at the same time need two targets",
            ))
    }

    /// Makes durable what can be before its stream ends.
    fn commit(&mut self) -> Result<()> {
        warning::check()?;
        for stream in self.streams.iter_mut().filter(|stream| stream.dirty && !stream.late) {
            if let Some(sink) = &mut stream.sink {
                let _within = stream.span.enter();
                match sink.commit(self.target.shared()).with("stream", &stream.name)? {
                    // What its version does is yet to come.
                    Durability::Durable => {
                        (stream.dirty, stream.partly) = (stream.version.is_some(), true);
                    }
                    Durability::OnComplete | Durability::Together => stream.late = true,
                }
            }
        }
        self.committed = Instant::now();
        Ok(())
    }

    fn complete(&mut self, at: usize, verified: bool) -> Result<()> {
        let stream = &mut self.streams[at];
        let _within = stream.span.enter();
        if let Some(mut sink) = stream.sink.take() {
            stream.goes_on = sink.may_go_on();
            if let Some(version) = stream.version {
                // A row that did not come may still be in the source; those of this run are.
                let doubt = if self.rejects.has_some_of(&stream.name) {
                    Some("some of its records were rejected")
                } else if !verified && stream.behind == Behind::Nothing {
                    Some("the input ended without a state after its records")
                } else if stream.versions.any_lacking() {
                    Some("some of its records have no version")
                } else if stream.versions.any_before(version) {
                    Some("some of its records have an older version")
                } else {
                    None
                };
                match doubt {
                    Some(doubt) => {
                        crate::warn!(
                            "W-VERSION-IGNORED",
                            "ACTIVATE_VERSION of {} is ignored: {doubt}",
                            stream.name
                        );
                    }
                    None => sink.activate(version, false).with("stream", &stream.name)?,
                }
            }
            warning::check()?;
            let state = self.state.as_ref().map(|state| state.of_stream(&stream.of_tap));
            let (left_out, rejected) = (stream.lacks, self.rejects.has_some_of(&stream.name));
            let said = stream.behind.said(verified);
            let end = End { said, left_out, rejected, state };
            let completed = sink.complete(self.target.shared(), end);
            if completed.with("stream", &stream.name)? == Durability::Together {
                (stream.waits, stream.dirty) = (true, true);
                self.waiting.get_or_insert_with(Instant::now);
            } else {
                stream.dirty = false;
                stream.counter.finish(true);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(Syncing::Stream(name)) = &self.word.syncing {
            return Err(outgoing::ended_early(name, &self.published()));
        }
        let unsaid =
            self.streams.iter().find(|known| known.sink.is_some() && known.behind != Behind::End);
        if let Some(stream) = unsaid.filter(|_| self.settings.require_complete) {
            return Err(Error::new(ErrorKind::Protocol, "the tap did not say that it finished")
                .with("stream", &stream.name)
                .hint(
                    "with `require_complete` the tap must send `currently_syncing` in its state",
                ));
        }
        for at in 0..self.streams.len() {
            self.complete(at, self.streams[at].behind == Behind::End)?;
        }
        self.commit_waiting()?;
        let silent = std::mem::take(&mut self.silent);
        let unchanged = self.unchanged(silent);
        self.target.unchanged(&unchanged)?;
        self.found.extend(unchanged.into_iter().map(|stream| stream.name));
        // The last state may be out, without what was found since.
        if let Some(state) = self.state.clone() {
            self.state_pending |= self.marked(&state, true)?.is_some();
        }
        warning::check()?;
        self.target.finish()?;
        warning::check()?;
        self.print_state()?;
        self.target.afterwards()?;
        warning::check()
    }

    /// Returns the streams that are as the state knows them. Only taps of ours leave such out, and
    /// by bookmarks of whole files and days alone.
    fn unchanged(&self, silent: BTreeSet<String>) -> Vec<Unchanged> {
        let known = |name: &String| !self.streams.iter().any(|known| known.name == *name);
        let unchanged = |name: String| {
            let mark = self.state.as_ref()?.bookmark(&name);
            let is_of_day = Whole::of(mark)? == Whole::Day;
            let filled_since = mark[FILLED_SINCE].as_str().map(str::to_owned);
            let rows = mark[whole::ROWS].as_u64();
            Some(Unchanged { name, rows, filled_since, is_of_day })
        };
        silent.into_iter().filter(known).filter_map(unchanged).collect()
    }

    fn published(&self) -> String {
        let done = self.streams.iter().filter(|stream| stream.sink.is_none());
        let partly = self.streams.iter().filter(|stream| stream.sink.is_some() && stream.partly);
        let names: BTreeSet<String> = done
            .map(|stream| stream.name.clone())
            .chain(partly.map(|stream| format!("rows of {}", stream.name)))
            .collect();
        if names.is_empty() { "nothing".to_owned() } else { Vec::from_iter(names).join(", ") }
    }
}
