//! Runs a tap: flags, settings, catalog and state around [`Tap`].

mod chosen;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use self::chosen::one_name;
use self::chosen::{Chosen, choose};
use crate::args::{Action, Args, Role, TestDepth};
use crate::catalog::{self, ReplicationMethod, Stream};
use crate::coverage::Coverage;
use crate::encode::{activate_version_line, schema_line, schema_message};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::inline::{Inline, Nothing, Stages};
use crate::outbox::Outbox;
use crate::plan::{self, Planned, Reading};
use crate::process::{exit, read_args, start};
use crate::rows::{self, Closed};
use crate::selection::{Rules, Selected, select};
use crate::settings::{Settings, SettingsSchema, TapCommon};
use crate::state::{Bookmark, State};
use crate::tap::{LOG_BASED, TEST, Tap, no_log};
use crate::unreadable::{self, Unreadable};
use crate::{log as stderr, output, schema, warning};

/// The whole `main` of a tap.
pub fn run_tap<T: Tap>() -> ExitCode {
    run_tap_with::<T, Nothing>()
}

/// The whole `main` of a tap whose streams something may happen to before they are written.
pub fn run_tap_with<T: Tap, I: Inline>() -> ExitCode {
    start(&T::ABOUT);
    exit(&T::ABOUT, run::<T, I>())
}

fn run<T: Tap, I: Inline>() -> Result<()> {
    let own = SettingsSchema::new(&[
        SettingsSchema::part::<T::Settings>,
        SettingsSchema::part::<TapCommon>,
    ])
    .with_others(T::OTHER_SETTINGS)
    .describe("start_date", T::START_DATE);
    let schema = own.clone().beside(&SettingsSchema::part::<I::Settings>(), I::CAPABILITIES);
    let args = read_args(&T::ABOUT, Role::Tap, &schema, T::EXAMPLES)?;
    let Some(args) = args else { return Ok(()) };
    let settings = Settings::read(&args, &T::ABOUT, &schema)?;
    let common: TapCommon = settings.get()?;
    stderr::set_format(common.all.log_format);
    warning::check()?;
    let mut tap = T::open(settings.get()?, &common)?;
    if args.action == Action::Discover {
        let (streams, unreadable) = discover(&mut tap, common.all.max_columns)?;
        let is_asked = unreadable::belong_to_catalog();
        if !is_asked {
            unreadable::warn(&unreadable);
        }
        let listed = if is_asked { unreadable } else { Vec::new() };
        warning::check()?;
        return output::print(&(catalog::to_text(streams, &listed)? + "\n"));
    }
    let mut stages = I::open(settings.without(&own).get()?)?;
    let state = match &args.state {
        Some(path) => State::from_slice(&read_file(path, "cannot read the state", NO_STATE)?)
            .map_err(|failure| failure.with("path", path.display()))?,
        None => State::empty(),
    };
    let streams = streams(&mut tap, &args, common.all.max_columns)?;
    let mut streams = order(streams, state.currently_syncing());
    let mut known: Vec<&mut Stream> = streams.iter_mut().map(|one| &mut one.stream).collect();
    tap.prepare(&mut known)?;
    let streams = choose(streams, stages.as_deref_mut())?;
    warning::check()?;
    if let Action::Plan(format) = args.action {
        let mut planned = plan(tap, &streams, &state, &common)?;
        plan::add_stages(&mut planned, stages.as_deref());
        return plan::print(&planned, format);
    }
    let test = if let Action::Test(depth) = args.action { Some(depth) } else { None };
    let limit = test.map(|_| 1);
    let mut out = Outbox::new(state, &common, limit);
    if stages.as_ref().is_some_and(|stages| stages.hides_rows()) {
        out.hide_rows();
    }
    if stages.is_some() {
        out.change_rows();
    }
    let run = Run { tap, stages, out, common, test };
    run.streams(streams)
}

fn plan<T: Tap>(
    mut tap: T,
    streams: &[Chosen],
    state: &State,
    common: &TapCommon,
) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for chosen in streams {
        let stream = &chosen.selected.stream;
        let since = state.bookmark(stream, common.start_date.as_deref());
        let Reading { steps, coverage } =
            tap.plan(stream, &since).map_err(|failure| with_stream(failure, stream))?;
        let coverage = coverage.unwrap_or_else(|| covered(stream, &since));
        for mut stream in chosen.written().cloned() {
            stream.coverage = coverage.clone();
            let (steps, schema) = (steps.clone(), Some(schema_message(&stream)));
            planned.push(Planned { stream: stream.name, steps, schema, rows: None });
        }
    }
    Ok(planned)
}

/// Returns which rows there are of a stream, where the tap itself does not say it.
pub fn covered(stream: &Stream, since: &Bookmark) -> Coverage {
    let goes_on = stream.replication_method == ReplicationMethod::Incremental
        && !since.value["replication_key_value"].is_null()
        && rows::unused(stream, since).is_none();
    if goes_on { Coverage::since(&since.value) } else { Coverage::Whole }
}

/// Returns the selected streams, from the catalog given or else from discovery.
fn streams<T: Tap>(tap: &mut T, args: &Args, columns_max: usize) -> Result<Vec<Selected>> {
    let streams = if let Some(path) = &args.catalog {
        let text = read_file(path, "cannot read the catalog", NO_CATALOG)?;
        let read = catalog::from_slice(&text, tap.default_method(), columns_max);
        let adjusted = read.and_then(|mut streams| {
            tap.adjust(&mut streams)?;
            Ok(streams)
        });
        adjusted.map_err(|failure| failure.with("path", path.display()))?
    } else {
        let (streams, unreadable) = discover(tap, columns_max)?;
        unreadable::warn(&unreadable);
        streams
    };
    let found = streams.len();
    let mut selected = Vec::new();
    for stream in streams {
        let mut found = select(stream)?;
        if let Some(Selected { stream, .. }) = &mut found
            && let Some((schema, table)) = tap.source_table(stream)
        {
            stream.set_source_table(&schema, &table);
        }
        selected.extend(found);
    }
    check_names(&selected)?;
    if !T::ABOUT.capabilities.contains(&LOG_BASED) {
        let by_log = |one: &&Selected| one.stream.replication_method == ReplicationMethod::LogBased;
        if let Some(Selected { stream, .. }) = selected.iter().find(by_log) {
            return Err(with_stream(no_log(), stream));
        }
    }
    let is_told = T::TELLS_NO_STREAM && found == 0 && args.catalog.is_none();
    if selected.is_empty() && !is_told {
        crate::warn!(
            "W-NO-STREAM",
            "none of the {found} streams of the catalog is selected, so nothing is read"
        );
    }
    Ok(selected)
}

/// Returns the streams that the tap finds, each with as many columns as it may have, and what of
/// those that are wanted the user may not read.
fn discover<T: Tap>(tap: &mut T, columns_max: usize) -> Result<(Vec<Stream>, Vec<Unreadable>)> {
    let mut found = tap.discover()?;
    tap.adjust(&mut found)?;
    for stream in &found {
        schema::check_size(&stream.schema, columns_max)
            .map_err(|failure| with_stream(failure, stream))?;
    }
    let mut unreadable = tap.unreadable();
    if !unreadable.is_empty() {
        let is_out = |stream: &&Stream| !Rules::new(&stream.metadata, iter::empty()).root();
        let out: BTreeSet<&str> = found.iter().filter(is_out).map(|one| one.id.as_str()).collect();
        unreadable.retain(|one| !out.contains(one.tap_stream_id.as_str()));
    }
    Ok((found, unreadable))
}

/// Refuses two streams that would be one for a target.
fn check_names(selected: &[Selected]) -> Result<()> {
    let mut ids = BTreeMap::new();
    for Selected { stream, .. } in selected {
        if let Some(other) = ids.insert(stream.name.as_str(), stream.id.as_str()) {
            let hint = if other == stream.id {
                "the catalog has this entry twice: remove one of them"
            } else {
                "give each entry of the catalog a `stream` of its own, such as its tap_stream_id"
            };
            return Err(Error::new(ErrorKind::Config, "cannot read two streams of one name")
                .with("stream", &stream.name)
                .with("tap_stream_id", other)
                .with("and", &stream.id)
                .hint(hint));
        }
    }
    Ok(())
}

const NO_STATE: &str =
    "give --state the last line that the target printed; without --state a run reads everything";
const NO_CATALOG: &str =
    "write a catalog with --discover; without --catalog a run reads every stream";

/// Puts the stream an earlier run was cut short in first.
fn order(mut streams: Vec<Selected>, first: Option<&str>) -> Vec<Selected> {
    let at = streams.iter().position(|selected| Some(selected.stream.id.as_str()) == first);
    streams.rotate_left(at.unwrap_or(0));
    streams
}

fn read_file(path: &Path, what: &str, hint: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .or_kind(ErrorKind::Config, what)
        .map_err(|failure| failure.with("path", path.display()).hint(hint))
}

struct Run<T> {
    tap: T,
    stages: Option<Box<dyn Stages>>,
    out: Outbox,
    common: TapCommon,
    test: Option<TestDepth>,
}

impl<T: Tap> Run<T> {
    fn streams(mut self, streams: Vec<Chosen>) -> Result<()> {
        if self.test.is_some() {
            // Named for the whole run and never cleared: no target takes a test for an extract.
            self.out.name(TEST)?;
        }
        let read = self.read(streams);
        match read {
            Ok(()) if self.test.is_some() => self.out.close(),
            Ok(()) => self.out.end(),
            // What was handed on before the failure still reaches the target; the last state or
            // SCHEMA names the stream, so that it is not treated as whole.
            Err(failure) => {
                self.out.fail();
                Err(failure)
            }
        }
    }

    fn read(&mut self, streams: Vec<Chosen>) -> Result<()> {
        for chosen in streams.iter().filter(|chosen| chosen.has_other_names()) {
            self.out.states().rename(&chosen.selected.stream.name);
        }
        if self.tap.schemas_first() && self.test.is_none() {
            for stream in streams.iter().flat_map(Chosen::written) {
                self.out.line(schema_line(stream))?;
            }
        }
        let by_log =
            |one: &Chosen| one.selected.stream.replication_method == ReplicationMethod::LogBased;
        let (logged, tables): (Vec<_>, Vec<_>) = streams.into_iter().partition(by_log);
        tables.into_iter().try_for_each(|chosen| self.stream(chosen))?;
        if !logged.is_empty() {
            self.log(logged)?;
        }
        match &mut self.stages {
            Some(stages) if self.test.is_none() => stages.finish(),
            _ => Ok(()),
        }
    }

    /// Hands on what waits of a stream, and has it judged as a whole.
    fn complete(&mut self, place: usize, stream: &Stream) -> Result<()> {
        let Some(stages) = &mut self.stages else { return Ok(()) };
        let changed = self.out.hand_on(place)?;
        if self.test.is_some() {
            return Ok(());
        }
        if changed {
            return stages.complete(&stream.name).map_err(|failure| with_stream(failure, stream));
        }
        stages.unchanged(&stream.name);
        Ok(())
    }

    /// Tells whether the rows of a stream are judged together.
    fn judges(&self, stream: &Stream) -> bool {
        self.stages.as_ref().is_some_and(|stages| stages.judges(&stream.name))
    }

    fn stream(&mut self, chosen: Chosen) -> Result<()> {
        let written: Vec<Stream> = chosen.written().cloned().collect();
        let Chosen { selected, routes } = chosen;
        let stream = &selected.stream;
        let _within = stderr::of_stream(&stream.name).entered();
        let version = self.version(stream);
        if self.test.is_none() {
            self.out.name(&stream.name)?;
        }
        if self.test == Some(TestDepth::Schema) {
            return written.iter().try_for_each(|stream| self.out.line(schema_line(stream)));
        }
        let since = self.since(stream);
        let judged = self.judges(stream);
        let place = self.out.open(&selected, version, routes, judged);
        let mut rows = self.out.rows(place)?;
        rows.cover(&covered(stream, &since));
        rows.check_bookmark(stream, &since, self.tap.reads_parts(stream));
        tracing::info!("reading stream {}", stream.name);
        let read = self.tap.sync(stream, &since, &mut rows);
        read.map_err(|failure| with_stream(failure, stream))?;
        self.complete(place, stream)?;
        let Closed { count, left_out, lacks } = self.out.close_stream()?;
        if let (Some(_), Some(why)) = (version, lacks) {
            crate::warn!(
                "W-VERSION-IGNORED",
                "stream {}: no ACTIVATE_VERSION is sent, because {why}",
                stream.name
            );
        }
        // What was left out is not gone.
        if let Some(version) = version.filter(|_| !left_out) {
            for stream in &written {
                self.out.line(activate_version_line(&stream.name, version))?;
            }
        }
        tracing::info!("read stream {}: {count} records", stream.name);
        Ok(())
    }

    /// Reads what has changed in these streams since their bookmarks, all at once.
    fn log(&mut self, chosen: Vec<Chosen>) -> Result<()> {
        if self.test.is_none() {
            self.out.name_log()?;
        }
        if self.test == Some(TestDepth::Schema) {
            return (chosen.iter().flat_map(Chosen::written).map(schema_line))
                .try_for_each(|line| self.out.line(line));
        }
        let mut streams = Vec::new();
        for Chosen { selected, routes } in chosen {
            let _within = stderr::of_stream(&selected.stream.name).entered();
            let since = self.since(&selected.stream);
            let judged = self.judges(&selected.stream);
            let place = self.out.open(&selected, None, routes, judged);
            self.out.rows(place)?.cover(&Coverage::since(&since.value));
            streams.push((selected.stream, since));
        }
        tracing::info!("reading the log of {} streams", streams.len());
        self.tap.sync_log(&streams, &mut self.out)?;
        for (place, (stream, _)) in streams.iter().enumerate() {
            self.complete(place, stream)?;
        }
        for (stream, _) in streams.iter().rev() {
            let _within = stderr::of_stream(&stream.name).entered();
            let count = self.out.close_stream()?.count;
            tracing::info!("read stream {}: {count} records", stream.name);
        }
        Ok(())
    }

    fn since(&mut self, stream: &Stream) -> Bookmark {
        self.out.state().bookmark(stream, self.common.start_date.as_deref())
    }

    /// Full tables are numbered by the millisecond they are read in, if wanted.
    fn version(&self, stream: &Stream) -> Option<i64> {
        let wanted = self.common.emit_activate_version_messages
            && stream.replication_method == ReplicationMethod::FullTable;
        wanted.then(|| jiff::Timestamp::now().as_millisecond())
    }
}

fn with_stream(failure: Error, stream: &Stream) -> Error {
    match failure.context("stream") {
        Some(_) => failure,
        None => failure.with("stream", &stream.id),
    }
}
