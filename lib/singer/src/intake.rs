//! The input of a target or a mapper: what is asked of it, and the thread that reads it.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::batch::Batch;
use crate::error::Result;
use crate::input::{Input, Limits};
use crate::receive::{Decoding, Event, Strictness, receive};
use crate::rejects::Rejects;
use crate::settings::{Common, InputCommon};

/// How many batches may wait between the two threads. A batch takes up to 2 MB, so this number
/// decides how much more memory one run takes than another.
const WAITING_BATCHES_MAX: usize = 2;

/// How the input is read.
pub(crate) struct Intake {
    limits: Limits,
    strictness: Strictness,
    passes_on: bool,
}

impl Intake {
    pub(crate) fn new(common: &Common, input: &InputCommon) -> Self {
        let limits = Limits {
            line_bytes: common.max_record_bytes,
            idle: Duration::from_secs(input.idle_timeout_seconds),
        };
        let strictness = Strictness {
            validate: input.validate_records,
            columns_max: common.max_columns,
            record_bytes_max: common.max_record_bytes,
        };
        Self { limits, strictness, passes_on: false }
    }

    /// Keeps what nobody here reads of a SCHEMA, to be passed on.
    pub(crate) fn passing_on(self) -> Self {
        Self { passes_on: true, ..self }
    }

    /// Begins to read a file or standard input, on a thread of its own; returns where what it
    /// reads comes out, and where batches go back to it.
    pub(crate) fn begin(
        self,
        path: Option<&Path>,
        rejects: &Rejects,
    ) -> Result<(Receiver<Event>, SyncSender<Batch>)> {
        let input = match path {
            Some(path) => Input::from_path(path, self.limits)?,
            None => Input::from_stdin(self.limits)?,
        };
        let (events, incoming) = sync_channel(WAITING_BATCHES_MAX);
        let (give_back, spare) = sync_channel(WAITING_BATCHES_MAX);
        let decoding = Decoding::new(self.strictness, rejects.clone(), events, spare);
        let decoding = if self.passes_on { decoding.passing_on() } else { decoding };
        // Not joined: when a sink fails, the reader may be waiting for input that never comes.
        std::thread::spawn(move || receive(input, decoding));
        Ok((incoming, give_back))
    }
}
