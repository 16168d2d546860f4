//! Small partitions, which wait to be published together.

use lake::{Outcome, Ready, Run};
use singer::{Durability, Error, ErrorKind, Result};

/// A partition of more bytes is published alone, at once.
const SMALL_BYTES: u64 = 1 << 20;
/// So many bytes, or partitions, are enough.
const ENOUGH_BYTES: u64 = 32 << 20;
const ENOUGH: usize = 1000;

/// What the sinks of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// What their writers share.
    pub writers: lake::format::Shared,
    /// What they leave to be published together.
    pub together: Together,
}

/// The partitions that wait.
#[derive(Debug, Default)]
pub struct Together {
    /// The run that publishes them; none where there are no partitions.
    pub run: Option<Run>,
    waiting: Vec<(Ready, Told)>,
    bytes: u64,
}

/// What is reported of a stream once it is published.
#[derive(Debug)]
pub struct Told {
    /// The name of the stream.
    pub stream: String,
    /// How many rows were written.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the tap said that these are all.
    pub verified: bool,
}

impl Told {
    /// Logs what was done, and where.
    pub fn log(&self, done: &str, path: &str) {
        let Self { stream, rows, bytes, verified } = self;
        let unverified = if *verified { "" } else { ", not known to be complete" };
        let _within = singer::log::of_stream(stream).entered();
        let stream = singer::error::printable(stream);
        tracing::info!("stream {stream}: {done}, {rows} rows, {bytes} bytes{unverified}, {path}");
    }
}

impl Together {
    /// Takes a partition: it is published now, or waits for others.
    pub fn add(&mut self, ready: Ready, told: Told) -> Result<Durability> {
        if ready.is_unchanged() {
            told.log("unchanged", &ready.show());
            return Ok(Durability::Durable);
        }
        if told.bytes > SMALL_BYTES {
            self.publish_these(vec![(ready, told)])?;
            return Ok(Durability::Durable);
        }
        self.bytes += told.bytes;
        self.waiting.push((ready, told));
        if self.bytes >= ENOUGH_BYTES || self.waiting.len() >= ENOUGH {
            self.publish()?;
        }
        Ok(Durability::Together)
    }

    /// Tells whether any wait.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Publishes all that wait.
    pub fn publish(&mut self) -> Result<()> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.publish_these(waiting)
    }

    fn publish_these(&self, these: Vec<(Ready, Told)>) -> Result<()> {
        if these.is_empty() {
            return Ok(());
        }
        let Some(run) = &self.run else {
            return Err(Error::new(ErrorKind::Internal, "a partition without a run"));
        };
        let (ready, told): (Vec<_>, Vec<_>) = these.into_iter().unzip();
        let paths: Vec<_> = ready.iter().map(Ready::show).collect();
        let outcomes = run.publish(ready)?;
        for ((told, path), outcome) in told.iter().zip(paths).zip(outcomes) {
            told.log(if outcome == Outcome::New { "new" } else { "replaced" }, &path);
        }
        Ok(())
    }
}
