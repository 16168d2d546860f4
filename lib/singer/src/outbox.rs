//! What a tap writes into: one pipe, one state and one count of rejects a run, and the streams
//! that are open.

use serde_json::Value;

use crate::error::Result;
use crate::future::Cap;
use crate::mapper::Route;
use crate::output::Output;
use crate::pipe::Pipe;
use crate::rejects::Rejects;
use crate::rows::{Closed, OpenStream, Rows, Shared};
use crate::selection::Selected;
use crate::settings::TapCommon;
use crate::state::State;
use crate::states::States;

/// The batches of all open streams hold no more than this before they are handed on.
const PENDING_BYTES: usize = 8 << 20;

/// A run on its way out: several streams of it may be open at once.
pub struct Outbox {
    shared: Shared,
    open: Vec<OpenStream>,
}

impl Outbox {
    pub(crate) fn new(state: State, common: &TapCommon, limit: Option<u64>) -> Self {
        let shared = Shared {
            pipe: Pipe::start(Output::new()),
            rejects: Rejects::new(&common.all),
            states: States::new(state),
            cap: Cap::new(common.bookmark_cap),
            limit,
            record_bytes_max: common.all.max_record_bytes,
            files_told: false,
            changes_rows: false,
            pending_bytes: 0,
        };
        Self { shared, open: Vec::new() }
    }

    /// Shows no row as it came from now on, and no key of one.
    pub(crate) fn hide_rows(&mut self) {
        self.shared.rejects = self.shared.rejects.hiding();
    }

    /// Says that something happens to rows before they are written.
    pub(crate) fn change_rows(&mut self) {
        self.shared.changes_rows = true;
    }

    /// Opens a stream, of which those of `routes` are made where there are some; returns its place
    /// for [`Outbox::rows`].
    pub(crate) fn open(
        &mut self,
        selected: &Selected,
        version: Option<i64>,
        routes: Option<Vec<Route>>,
        judged: bool,
    ) -> usize {
        let stream = OpenStream::new(selected, version, routes);
        self.open.push(OpenStream { judged, ..stream });
        self.open.len() - 1
    }

    /// Returns the rows of an open stream, to be written into. The streams of
    /// [`Tap::sync_log`](crate::Tap::sync_log) have the places that they have there.
    ///
    /// # Errors
    /// Those of writing the rows that wait, which happens when they are many.
    pub fn rows(&mut self, place: usize) -> Result<Rows<'_>> {
        if self.shared.pending_bytes > PENDING_BYTES {
            self.flush()?;
        }
        Ok(Rows::new(&mut self.shared, &mut self.open[place]))
    }

    /// Hands on the rows of all open streams, before a wait.
    ///
    /// # Errors
    /// Those of writing them.
    pub fn flush(&mut self) -> Result<()> {
        let Self { shared, open } = self;
        open.iter_mut().try_for_each(|stream| Rows::new(shared, stream).flush())
    }

    /// Says that everything up to here is covered: each stream receives its bookmark, by its place.
    /// A run with a limit of rows keeps no bookmark.
    pub fn checkpoint(&mut self, bookmarks: Vec<(usize, Value)>) -> Result<()> {
        let Self { shared, open } = self;
        open.iter_mut().try_for_each(|stream| Rows::new(shared, stream).hand_on())?;
        if shared.limit.is_some() {
            return Ok(());
        }
        if open.iter().any(|stream| stream.judged) {
            for (place, bookmark) in bookmarks {
                open[place].unjudged = Some(bookmark);
            }
            return Ok(());
        }
        for (place, bookmark) in bookmarks {
            shared.states.state().set_bookmark(&open[place].id, bookmark);
        }
        let Some(line) = shared.states.within_share() else { return Ok(()) };
        for stream in open {
            stream.unstated = 0;
        }
        shared.line(line)
    }

    /// Hands on what waits of the stream at a place; tells whether its source has changed.
    pub(crate) fn hand_on(&mut self, place: usize) -> Result<bool> {
        self.rows(place)?.hand_on()?;
        Ok(!self.open[place].unchanged)
    }

    /// Closes the stream that was opened last; returns how it ended.
    pub(crate) fn close_stream(&mut self) -> Result<Closed> {
        let Some(mut stream) = self.open.pop() else { return Ok(Closed::default()) };
        let count = Rows::new(&mut self.shared, &mut stream).finish()?;
        Ok(Closed { count, left_out: stream.part || stream.left_out, lacks: stream.lacks })
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.shared.states.state()
    }

    pub(crate) fn states(&mut self) -> &mut States {
        &mut self.shared.states
    }

    pub(crate) fn line(&mut self, line: Vec<u8>) -> Result<()> {
        self.shared.line(line)
    }

    /// Says that the log is being read, which is the end of no stream.
    pub(crate) fn name_log(&mut self) -> Result<()> {
        let line = self.shared.states.begin_log();
        self.line(line)
    }

    /// Says that a stream is being read, or leaves that to its SCHEMA.
    pub(crate) fn name(&mut self, stream: &str) -> Result<()> {
        match self.shared.states.begin(stream) {
            Some(line) => self.line(line),
            None => Ok(()),
        }
    }

    /// Says that all streams were read: the run that named the last one has ended, and none is
    /// being read.
    pub(crate) fn end(mut self) -> Result<()> {
        let lines = self.shared.states.end();
        self.line(lines)?;
        self.close()
    }

    /// Says at a failure what no state has said yet.
    pub(crate) fn fail(mut self) {
        if let Some(line) = self.shared.states.held_back() {
            let _ = self.line(line);
        }
        let _ = self.close();
    }

    /// Waits until everything is written.
    pub(crate) fn close(mut self) -> Result<()> {
        self.shared.rejects.report();
        self.shared.pipe.close()
    }
}
