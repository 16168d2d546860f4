//! The writing half of a tap: batches into lines, on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::batch::Batch;
use crate::encode::RecordEncoder;
use crate::error::{Error, ErrorKind, Result};
use crate::output::Output;

/// What is to be written.
pub(crate) enum Job {
    /// The rows of a batch.
    Rows(Arc<RecordEncoder>, Batch),
    /// A line, with its end.
    Line(Vec<u8>),
}

/// The writing thread and the ways to it and back.
pub(crate) struct Pipe {
    jobs: Option<SyncSender<Job>>,
    /// Batches that were written, to be filled anew.
    pub spare: Receiver<Batch>,
    writer: Option<JoinHandle<Result<()>>>,
}

impl Pipe {
    /// Starts the thread, which writes to standard output.
    pub(crate) fn start(mut output: Output) -> Self {
        let (jobs, todo) = sync_channel(2);
        let (give_back, spare) = sync_channel(4);
        let writer = std::thread::spawn(move || {
            loop {
                let job = match todo.try_recv() {
                    Ok(job) => job,
                    Err(TryRecvError::Disconnected) => return output.finish(),
                    Err(TryRecvError::Empty) => {
                        output.flush()?;
                        let Ok(job) = todo.recv() else { return output.finish() };
                        job
                    }
                };
                match job {
                    Job::Line(line) => output.buffer().extend_from_slice(&line),
                    Job::Rows(encoder, batch) => {
                        for row in 0..batch.rows() {
                            encoder.row(&batch, row, output.buffer());
                            output.write_if_full()?;
                        }
                        let _ = give_back.try_send(batch);
                    }
                }
            }
        });
        Self { jobs: Some(jobs), spare, writer: Some(writer) }
    }

    pub(crate) fn send(&mut self, job: Job) -> Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { self.close().and_then(|()| Err(writer_gone())) }
    }

    /// Ends the writer and returns why it failed, if it did.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.jobs = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(writer_gone()),
            None => Ok(()),
        }
    }
}

fn writer_gone() -> Error {
    Error::new(ErrorKind::Internal, "the writing thread has ended")
}
