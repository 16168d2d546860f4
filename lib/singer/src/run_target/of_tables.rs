//! The tables of a target as a whole: `--schema-plan` and `--schema-apply`.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::args::{Action, Args};
use crate::catalog::Stream;
use crate::error::{Error, ErrorKind, Result};
use crate::output;
use crate::tables::{TablesAsked, TablesOrder, unable};
use crate::target::Target;

/// Plans what is done to the tables of streams, or does it; prints the answer.
pub(super) fn answer<T: Target>(
    settings: T::Settings,
    streams: &[Arc<Stream>],
    args: &Args,
) -> Result<()> {
    let answer = match (&args.action, &args.schema_apply) {
        (Action::PlanTables(aim), _) => {
            let asked = TablesAsked { aim: *aim, pipeline: args.pipeline.clone() };
            T::plan_tables(settings, streams, &asked)?
        }
        (_, Some(path)) => {
            let order = TablesOrder { plan: read(path)?, allow_drop: args.allow_drop };
            T::apply_tables(settings, streams, &order)?
        }
        _ => return Err(unable()),
    };
    output::print(&format!("{answer}\n"))
}

/// Reads a plan that is to be applied.
fn read(path: &Path) -> Result<Value> {
    let failed = |cause: String| {
        Error::new(ErrorKind::Data, "cannot read the plan")
            .with("path", path.display())
            .with("reason", cause)
            .hint("name a file with the output of `--schema-plan`")
    };
    let text = std::fs::read(path).map_err(|cause| failed(cause.to_string()))?;
    serde_json::from_slice(&text).map_err(|cause| failed(cause.to_string()))
}
