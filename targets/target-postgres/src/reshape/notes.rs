//! What is remembered of a table beside its stream: the pipeline that fills it, and the columns of
//! properties that have an id.
//!
//! It stands in the table of ours that remembers streams, in columns which only `--schema-apply`
//! adds.

use std::collections::BTreeMap;

use pg::{Client, ours, quote_literal, quote_qualified};
use singer::Result;

use crate::names::TableName;

/// The columns that are added for it.
const COLUMNS: &str =
    "ADD COLUMN IF NOT EXISTS pipeline text, ADD COLUMN IF NOT EXISTS column_ids jsonb";

/// Returns the schemas with a table of ours that the user may read.
fn schemas(client: &mut Client) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = $1 AND obj_description(c.oid, 'pg_class') = $2 \
         AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') \
         ORDER BY 1",
        &[Some(ours::TABLE), Some(ours::COMMENT)],
    )?;
    Ok(rows.iter().filter_map(|row| row.get(0)).map(str::to_owned).collect())
}

/// Returns the columns of a table by the ids of their properties, as they were last.
pub(super) fn ids(client: &mut Client, name: &TableName) -> Result<BTreeMap<String, String>> {
    if !schemas(client)?.contains(&name.schema) {
        return Ok(BTreeMap::new());
    }
    let memory = quote_qualified(&name.schema, ours::TABLE)?;
    // As JSON, a column may be lacking.
    let sql = format!("SELECT to_jsonb(m) ->> 'column_ids' FROM {memory} m WHERE table_name = $1");
    let rows = client.query(&sql, &[Some(&name.table)])?;
    let text = rows.first().and_then(|row| row.get(0)).unwrap_or("{}");
    Ok(serde_json::from_str(text).unwrap_or_default())
}

/// Returns the tables that a pipeline fills, as far as is remembered; those that are there, and
/// that nobody has made anew since.
pub(super) fn tables_of(client: &mut Client, pipeline: &str) -> Result<Vec<TableName>> {
    let mut found = Vec::new();
    for schema in schemas(client)? {
        let memory = quote_qualified(&schema, ours::TABLE)?;
        let place = quote_literal(&schema);
        let sql = format!(
            "SELECT table_name FROM {memory} m WHERE to_jsonb(m) ->> 'pipeline' = $1 \
             AND to_jsonb(m) ->> 'memory_oid' = m.tableoid::text \
             AND to_jsonb(m) ->> 'table_oid' = \
             to_regclass(format('%I.%I', {place}::text, table_name))::oid::text ORDER BY 1"
        );
        let rows = client.query(&sql, &[Some(pipeline)])?;
        let tables = rows.iter().filter_map(|row| row.get(0)).map(str::to_owned);
        found.extend(tables.map(|table| TableName { schema: schema.clone(), table }));
    }
    Ok(found)
}

/// Tells whether there is a place in a schema to remember it in, and the user may change that.
fn has_place(client: &mut Client, schema: &str) -> Result<bool> {
    let rows = client.query(
        "SELECT pg_has_role(c.relowner, 'USAGE') OR 2 = (SELECT count(*) FROM pg_attribute a \
         WHERE a.attrelid = c.oid AND a.attname IN ('pipeline', 'column_ids') \
         AND NOT a.attisdropped) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 \
         AND obj_description(c.oid, 'pg_class') = $3",
        &[Some(schema), Some(ours::TABLE), Some(ours::COMMENT)],
    )?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Writes it; within a transaction.
pub(super) fn write(
    client: &mut Client,
    name: &TableName,
    (pipeline, ids): (Option<&str>, &BTreeMap<String, String>),
) -> Result<()> {
    if !has_place(client, &name.schema)? {
        return Ok(());
    }
    let memory = quote_qualified(&name.schema, ours::TABLE)?;
    let lacks = client.query(
        "SELECT count(*) < 2 FROM pg_attribute WHERE attrelid = to_regclass($1) \
         AND attname IN ('pipeline', 'column_ids') AND NOT attisdropped",
        &[Some(&memory)],
    )?;
    if lacks.first().and_then(|row| row.get(0)) == Some("t") {
        client.execute(&format!("ALTER TABLE {memory} {COLUMNS}"))?;
    }
    let ids = serde_json::to_string(ids).unwrap_or_default();
    let pipeline = pipeline.map_or_else(|| "pipeline".to_owned(), quote_literal);
    client.execute(&format!(
        "UPDATE {memory} SET pipeline = {pipeline}, column_ids = {}::jsonb WHERE table_name = {}",
        quote_literal(&ids),
        quote_literal(&name.table)
    ))?;
    Ok(())
}

/// Forgets a table that was dropped; within a transaction.
pub(super) fn forget(client: &mut Client, name: &TableName) -> Result<()> {
    if !schemas(client)?.contains(&name.schema) {
        return Ok(());
    }
    let memory = quote_qualified(&name.schema, ours::TABLE)?;
    let table = quote_literal(&name.table);
    client.execute(&format!("DELETE FROM {memory} WHERE table_name = {table}"))?;
    Ok(())
}
