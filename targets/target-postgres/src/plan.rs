//! What a load of a stream would do, as SQL; nothing is changed.

use std::rc::Rc;

use pg::{Client, quote_literal};
use singer::{Error, ErrorKind, Result, Stream};

use crate::ask;
use crate::load::Load;
use crate::lost;
use crate::mapping::Mapping;
use crate::memory::Memory;
use crate::names::TableName;
use crate::order;
use crate::rights;
use crate::settings::{LoadMethod, Settings};
use crate::stage;

/// What a load calls its first staging table here; there it has a number.
const STAGE: &str = "_sdc_stage";

/// Compares a stream with its table, and returns the statements of a load: those that make or
/// change the table, the COPY, and the merge if rows are staged. What only rows tell is left open:
/// whether a key comes twice, and which records lack columns.
///
/// Fails with `Denied` when the user lacks a right for them.
pub fn statements(
    client: &mut Client,
    settings: &Rc<Settings>,
    stream: &Stream,
    name: TableName,
) -> Result<Vec<String>> {
    // The server itself refuses what is more than a plan.
    client.execute("SET default_transaction_read_only = on")?;
    let mut mapping = Mapping::new(Rc::clone(settings), stream, name)?;
    let mut memory = Memory::default();
    let fields = mapping.adopt(client, stream).map_err(|failure| {
        let other = memory.taken_by_another(client, stream, &mapping.shape.name);
        other.unwrap_or(failure)
    })?;
    // Nothing has been said yet of the run.
    mapping.stream.says_coverage = true;
    let claim = lost::check(client, &mut memory, &mapping)?;
    let (remember, claim) = match &claim {
        Some(claim) => memory.statements(claim)?,
        None => (None, Vec::new()),
    };
    let schema = mapping.shape.schema_statement(client)?;
    let exists = !mapping.change.creates();
    check_changes(client, &mapping, schema.is_none())?;
    let place = &mapping.shape.name.schema;
    let mut statements: Vec<String> = schema.into_iter().chain(remember).collect();
    statements.extend(memory.renewal(place)?);
    let ordered = mapping.method == LoadMethod::Upsert
        && (memory.orders(place) || memory.is_missing(place) || memory.renewal(place)?.is_some());
    let order = if ordered { Some(order::statement(&mapping.shape.name)?) } else { None };
    statements.extend(mapping.change.statements.iter().cloned());
    if !mapping.has_columns() {
        return Ok(statements.into_iter().chain(claim).collect());
    }
    let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let direct = mapping.may_go_direct() && is_alone(client, &mapping, now)?;
    if exists {
        check_writes(client, &mapping, direct)?;
    }
    let temporary = "has_database_privilege(current_database(), 'TEMPORARY')";
    if !direct || fields.compared().next().is_some() {
        check(client, "TEMPORARY on the database, to stage rows", temporary)?;
    }
    if direct {
        let copy = mapping.direct(&fields, now, false)?;
        statements.push(fields.format(&copy.own.types()).statement(&copy.sql()));
        return Ok(statements.into_iter().chain(claim).chain(order).collect());
    }
    let stage = format!("pg_temp.{STAGE}");
    let own = mapping.staged_own();
    let copy = stage::copy(&stage, &mapping.staged(), &fields, &own)?;
    statements.push(fields.format(&stage::behind(&fields, &own)).statement(&copy));
    let load = Load {
        merge: &mapping.merge(&stage, now)?,
        method: mapping.method,
        partition: mapping.partition.as_ref(),
        name: &mapping.shape.name,
        unique: mapping.change.unique,
        rows: 1,
        any_absent: false,
    };
    statements.extend(load.statements());
    statements.extend(claim.into_iter().chain(order));
    Ok(statements)
}

/// Tells whether the table, or the partition, has no rows to merge with.
fn is_alone(client: &mut Client, mapping: &Mapping, now: u64) -> Result<bool> {
    if mapping.method == LoadMethod::AppendOnly || mapping.change.creates() {
        return Ok(true);
    }
    ask::is_true(client, &mapping.merge("", now)?.is_empty())
}

/// Refuses a table that the user may not make or change.
fn check_changes(client: &mut Client, mapping: &Mapping, schema_is_there: bool) -> Result<()> {
    let name = &mapping.shape.name;
    if !schema_is_there {
        let create = "has_database_privilege(current_database(), 'CREATE')";
        return check(client, "CREATE on the database, to make the schema", create);
    }
    if mapping.change.creates() {
        let create = format!("has_schema_privilege({}, 'CREATE')", quote_literal(&name.schema));
        return check(client, &format!("CREATE on the schema {}", name.schema), &create);
    }
    if mapping.change.statements.is_empty() {
        return Ok(());
    }
    let owns = format!(
        "(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {}::regclass)",
        quote_literal(&name.sql()?)
    );
    check(client, &format!("ownership of the table {name}, to change it"), &owns)
}

/// Refuses a table that is there and that the user may not write to.
fn check_writes(client: &mut Client, mapping: &Mapping, direct: bool) -> Result<()> {
    let [of_columns, of_table] = rights::of_method(mapping.method, direct);
    let of_table = of_table.iter().map(|right| (right, true));
    for (right, whole) in of_table.chain(of_columns.iter().map(|right| (right, false))) {
        let what = format!("{right} on the table {}", mapping.shape.name);
        check(client, &what, &rights::has(mapping, right, whole))?;
    }
    Ok(())
}

fn check(client: &mut Client, right: &str, has: &str) -> Result<()> {
    if ask::is_true(client, &rights::asked(has))? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, "cannot load: the user lacks a right")
        .with("right", right)
        .hint("grant the user the right, or use another user"))
}
