//! What a load of a stream would do, as SQL; nothing is changed.

use std::rc::Rc;

use pg::Client;
use singer::{Result, Stream};

use crate::load::{self, Load};
use crate::mapping::Mapping;
use crate::names::TableName;
use crate::settings::{LoadMethod, Settings};
use crate::stage;

/// What a load calls its first staging table here; there it has a number.
const STAGE: &str = "_sdc_stage";

/// Compares a stream with its table, and returns the statements of a load: those that make or
/// change the table, the COPY, and the merge if rows are staged. Values that only rows tell are
/// left open: whether a key comes twice, and which records lack columns.
pub fn statements(
    client: &mut Client,
    settings: &Rc<Settings>,
    stream: &Stream,
    name: TableName,
) -> Result<Vec<String>> {
    // The server itself refuses what is more than a plan.
    client.execute("SET default_transaction_read_only = on")?;
    let mut mapping = Mapping::new(Rc::clone(settings), stream, name)?;
    let fields = mapping.adopt(client, stream)?;
    let shape = &mapping.shape;
    let mut statements: Vec<String> = shape.schema_statement(client)?.into_iter().collect();
    statements.extend(mapping.plan.statements.iter().cloned());
    let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let alone = mapping.method == LoadMethod::AppendOnly
        || mapping.plan.creates()
        || mapping.may_go_direct() && load::is_true(client, &mapping.merge("", now)?.is_empty())?;
    if alone && mapping.may_go_direct() {
        statements.push(mapping.direct(&fields, now)?.0);
        return Ok(statements);
    }
    let stage = format!("pg_temp.{STAGE}");
    statements.push(stage::copy(&stage, &mapping.staged(), fields.places())?);
    let load = Load {
        merge: &mapping.merge(&stage, now)?,
        method: mapping.method,
        partition: mapping.partition.as_ref(),
        name: &mapping.shape.name,
        unique: mapping.plan.unique,
        rows: 1,
        any_absent: false,
    };
    statements.extend(load.statements());
    Ok(statements)
}
