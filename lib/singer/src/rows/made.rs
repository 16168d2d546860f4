//! What becomes of the rows of a stream before they are written.

use std::convert::Infallible;
use std::sync::Arc;

use super::{OpenStream, Shared};
use crate::batch::{Batch, Cell};
use crate::catalog::Stream;
use crate::encode::{Envelopes, RecordEncoder};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::mapper::{Route, Row, RowMap};
use crate::pipe::Job;
use crate::selection::Pruning;

/// The streams that are made of one that a tap reads.
pub(crate) struct Made {
    /// The stream as it is read.
    from: Stream,
    streams: Vec<MadeStream>,
    /// The rows without what is not selected of their nested values, if anything is not.
    pruned: Batch,
}

struct MadeStream {
    columns: usize,
    encoder: Arc<RecordEncoder>,
    rows: RowMap,
}

impl Made {
    /// Prepares for the streams that are made.
    pub(crate) fn new(from: &Stream, routes: Vec<Route>, envelopes: Envelopes<'_>) -> Self {
        let made = |Route { stream, rows }| MadeStream {
            encoder: Arc::new(RecordEncoder::new(&stream, &[], envelopes)),
            columns: stream.columns.len(),
            rows,
        };
        let streams = routes.into_iter().map(made).collect();
        Self { from: from.clone(), streams, pruned: Batch::default() }
    }
}

/// Writes what becomes of the rows that wait.
pub(crate) fn send(run: &mut Shared, open: &mut OpenStream) -> Result<()> {
    let Some(made) = &mut open.made else { return Ok(()) };
    let rows = if open.prunings.iter().any(Option::is_some) {
        prune(&open.batch, &open.prunings, &mut made.pruned);
        &made.pruned
    } else {
        &open.batch
    };
    let before = open.counter.total() - rows.rows() as u64;
    // A row that is rejected in one of several streams may be written in another one.
    let is_one = made.streams.len() == 1;
    for stream in &mut made.streams {
        let mut out = run.pipe.spare.try_recv().unwrap_or_default();
        out.reset(stream.columns);
        for row in 0..rows.rows() {
            let mark = out.mark();
            let done = (stream.rows)(Row::new(rows, row), &mut out).and_then(|()| {
                let cells = out.cells_since(mark);
                if cells == 0 { Ok(()) } else { fits(cells, stream.columns) }
            });
            if let Err(failure) = done {
                out.rollback(mark);
                let failure = failure.with("row", before + row as u64 + 1);
                if failure.kind() != ErrorKind::Data {
                    return Err(failure).with("stream", &made.from.name);
                }
                open.left_out = true;
                open.counter.leave_out(u64::from(is_one));
                run.rejects.row(&made.from, rows, row, failure)?;
            }
        }
        if !out.is_empty() {
            run.pipe.send(Job::Rows(Arc::clone(&stream.encoder), out))?;
        }
    }
    Ok(())
}

/// Checks the width of a row that was made.
pub(crate) fn fits(cells: usize, columns: usize) -> Result<()> {
    if cells == columns {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, "a mapped row has the wrong width")
        .with("cells", cells)
        .with("columns", columns))
}

/// Copies rows without what is not selected.
fn prune(rows: &Batch, prunings: &[Option<Pruning>], out: &mut Batch) {
    out.reset(rows.width());
    for row in 0..rows.rows() {
        for (cell, pruning) in rows.row(row).zip(prunings) {
            match (cell, pruning) {
                (Cell::Text(text), Some(pruning)) => {
                    let Ok(()) = out.push_with(|all| {
                        pruning.apply(text, all);
                        Ok::<_, Infallible>(())
                    });
                }
                (cell, _) => out.push_cell(cell),
            }
        }
    }
}
