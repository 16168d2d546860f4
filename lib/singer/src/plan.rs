//! What a run would do with each stream, told by `--plan` and not done.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use crate::args::PlanFormat;
use crate::catalog::Stream;
use crate::coverage::Coverage;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::inline::Stages;
use crate::output;
use crate::receive::{Event, no_input};
use crate::scrub::scrub;

/// The capability of a tap or target that plans the rights it lacks: with the setting
/// [`PLAN_GRANTS`] the steps of its plan are SQL that grants them. Each stream begins with a
/// comment that says where; there is no more where nothing is lacking.
pub const GRANTS: &str = "grants";
/// The setting that has it plan them; it has no run, then.
pub const PLAN_GRANTS: &str = "plan_grants";

/// What a tap would read of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Statements, files or requests, in their order; none where there is nothing to read.
    pub steps: Vec<String>,
    /// Which rows that are, where the tap says it itself by [`crate::Rows::cover`]; else those
    /// since the bookmark of an INCREMENTAL stream.
    pub coverage: Option<Coverage>,
}

/// What a run would do with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The stream.
    pub stream: String,
    /// Statements, files or requests, in their order; none where there is nothing to do.
    pub steps: Vec<String>,
    /// The SCHEMA that a tap would write.
    pub schema: Option<Value>,
    /// How many rows that are there already the steps would remove, where that was counted.
    pub rows: Option<u64>,
}

/// Adds what stages within a connector do with each stream of which something comes.
pub(crate) fn add_stages(planned: &mut [Planned], stages: Option<&dyn Stages>) {
    let Some(stages) = stages else { return };
    for one in planned.iter_mut().filter(|one| !one.steps.is_empty()) {
        one.steps.extend(stages.plan(&one.stream));
    }
}

/// Prints what a run would do.
pub(crate) fn print(planned: &[Planned], format: PlanFormat) -> Result<()> {
    let mut text = String::new();
    match format {
        PlanFormat::Json => {
            let stream = |one: &Planned| {
                let steps: Vec<_> = one.steps.iter().map(|step| scrub(step)).collect();
                let mut told = json!({ "stream": one.stream, "steps": steps });
                if let Some(schema) = &one.schema {
                    told["schema"] = schema.clone();
                }
                if let Some(rows) = one.rows {
                    told["rows"] = rows.into();
                }
                told
            };
            let streams: Vec<_> = planned.iter().map(stream).collect();
            let _ = writeln!(text, "{}", json!({ "streams": streams }));
        }
        PlanFormat::Text => {
            for Planned { stream, steps, .. } in planned {
                let _ = writeln!(text, "{}:", printable(stream));
                for step in steps {
                    let _ = writeln!(text, "  {}", printable(&scrub(step)));
                }
                if steps.is_empty() {
                    text.push_str("  nothing to do\n");
                }
            }
        }
    }
    output::print(&text)
}

/// Reads the input for its streams; rows and states are skipped. An input without a message is
/// refused unless `allow_empty`.
pub(crate) fn streams(incoming: &Receiver<Event>, allow_empty: bool) -> Result<Vec<Arc<Stream>>> {
    let mut streams = Vec::new();
    for event in incoming {
        match event {
            Event::Schema(at, stream) if at < streams.len() => streams[at] = stream,
            Event::Schema(_, stream) => streams.push(stream),
            Event::Rows(..) | Event::State(..) | Event::Turn(_) | Event::Activate(..) => {}
            Event::End(0) if !allow_empty => return Err(no_input()),
            Event::End(_) => return Ok(streams),
            Event::Failed(failure) => return Err(failure),
        }
    }
    Err(Error::new(ErrorKind::Internal, "the reading thread has ended"))
}
