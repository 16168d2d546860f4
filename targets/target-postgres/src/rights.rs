//! The rights that a load of a stream needs: a plan refuses without them, or says how to give them.
//!
//! The rule: what a load of the table as it is needs, and the loads after it, which merge with its
//! rows. A table that it has to change is to be its user's own.

use std::rc::Rc;

use pg::{Client, Rights, array_literal, ours, quote_ident, quote_literal, quote_qualified};
use singer::{Error, ErrorKind, Result, Stream};

use crate::ask;
use crate::mapping::Mapping;
use crate::names::{DELETED_AT, TableName};
use crate::settings::{LoadMethod, Settings};

/// A table and what is below it, each with its owner, that the user does not own. `$1` and `$2` are
/// its schema and its name.
const NOT_OWNED: &str = "\
WITH RECURSIVE family (oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2
   UNION
  SELECT i.inhrelid FROM family JOIN pg_inherits i ON i.inhparent = family.oid)
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner)
  FROM family JOIN pg_class c ON c.oid = family.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT pg_has_role(c.relowner, 'USAGE') ORDER BY c.oid";

/// The sequences that give numbers to columns of a table which the load leaves out (`$3` are those
/// that it fills) and that the user may not use.
const SEQUENCES: &str = "\
SELECT DISTINCT sn.nspname, s.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity = ''
   AND a.attname <> ALL ($3::text[])
  JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
   AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
  JOIN pg_namespace sn ON sn.oid = s.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2
   AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
 ORDER BY 1, 2";

/// The comment of the table to remember in, if there is one.
const MEMORY: &str = "\
SELECT obj_description(c.oid, 'pg_class') FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

/// Returns what the user lacks for the loads of a stream; ahead of it, where that is.
pub fn statements(
    client: &mut Client,
    settings: &Rc<Settings>,
    stream: &Stream,
    name: TableName,
) -> Result<Vec<String>> {
    client.execute("SET default_transaction_read_only = on")?;
    let mut mapping = Mapping::new(Rc::clone(settings), stream, name)?;
    let schema = mapping.shape.name.schema.clone();
    let is_missing = mapping.shape.schema_statement(client)?.is_some();
    let mut rights = Rights::of(client)?;
    rights.on_schema(&schema, &["USAGE"])?;
    let compared = match mapping.adopt(rights.client, stream) {
        Ok(fields) => fields.compared().next().is_some(),
        Err(failure) if failure.kind() == ErrorKind::Denied => {
            rights.note("what the table needs is only seen with these rights: ask again then");
            return Ok(rights.into_statements());
        }
        Err(failure) => return Err(failure),
    };
    let appends = mapping.method == LoadMethod::AppendOnly && mapping.may_go_direct();
    if !appends || compared {
        rights.on_database(&["TEMPORARY"])?;
    }
    if is_missing {
        let before = rights.count();
        rights.on_database(&["CREATE"])?;
        if rights.count() > before {
            let (of, role) = (quote_ident(&schema)?, rights.role().to_owned());
            rights.note(&format!(
                "in place of CREATE ON DATABASE, which is for any schema, the schema alone: \
                 CREATE SCHEMA {of} AUTHORIZATION {role}"
            ));
        }
        return Ok(rights.into_statements());
    }
    if mapping.change.creates() {
        rights.on_schema(&schema, &["CREATE"])?;
    } else if mapping.change.statements.is_empty() {
        to_write(&mut rights, &mapping)?;
    } else {
        to_change(&mut rights, &mapping)?;
    }
    to_remember(&mut rights, &mapping)?;
    Ok(rights.into_statements())
}

/// Adds what is lacking of the table to remember in; a load goes on without it, and warns.
fn to_remember(rights: &mut Rights<'_>, mapping: &Mapping) -> Result<()> {
    let schema = &mapping.shape.name.schema;
    let known = rights.client.query(MEMORY, &[Some(schema), Some(ours::TABLE)])?;
    let Some(row) = known.first() else {
        let may = asked(&format!("has_schema_privilege({}, 'CREATE')", quote_literal(schema)));
        if !mapping.change.creates() && !ask::is_true(rights.client, &may)? {
            let (of, role) = (quote_ident(schema)?, rights.role().to_owned());
            rights.note(&format!(
                "not needed for a load: GRANT CREATE ON SCHEMA {of} TO {role}; it lets \
                 target-postgres write down which stream fills which table \
                 (W-TABLES-NOT-REMEMBERED)"
            ));
        }
        return Ok(());
    };
    if row.get(0) == Some(ours::COMMENT) {
        rights.on_table(schema, ours::TABLE, &[SELECT, INSERT, UPDATE])?;
    }
    Ok(())
}

/// Makes the table that a load changes, and those below it, the user's own.
fn to_change(rights: &mut Rights<'_>, mapping: &Mapping) -> Result<()> {
    let name = &mapping.shape.name;
    let found = rights.client.query(NOT_OWNED, &[Some(&name.schema), Some(&name.table)])?;
    if found.is_empty() {
        return Ok(());
    }
    rights.note("the load changes a table, which only its owner may:");
    for statement in &mapping.change.statements {
        rights.note(&format!("  {statement}"));
    }
    for row in &found {
        let [schema, table, owner] = [0, 1, 2].map(|at| row.get(at).unwrap_or_default());
        let table = quote_qualified(schema, table)?;
        rights.note(&format!("its owner so far, {}, needs rights of its own", quote_ident(owner)?));
        let role = rights.role().to_owned();
        rights.add(format!("ALTER TABLE {table} OWNER TO {role}"))?;
    }
    Ok(())
}

/// Adds what a load, and one that merges with its rows, lacks for a table that it does not change.
fn to_write(rights: &mut Rights<'_>, mapping: &Mapping) -> Result<()> {
    let (name, settings) = (&mapping.shape.name, &mapping.settings);
    let [of_columns, of_table] = of_method(mapping.method, false);
    let of_version = if settings.hard_delete { DELETE } else { UPDATE };
    let marks = mapping.shape.columns.iter().any(|column| column.name == DELETED_AT);
    let mut lacking = Vec::new();
    for right in [SELECT, INSERT, UPDATE, DELETE] {
        let of_version = mapping.heeds_versions() && right == of_version;
        let of_marked = settings.hard_delete && marks && right == DELETE;
        let whole = of_table.contains(&right) || of_version || of_marked;
        // Whether a table has the rows that a state speaks of is looked at before any load.
        let wanted = whole || of_columns.contains(&right) || right == SELECT;
        if wanted && !ask::is_true(rights.client, &asked(&has(mapping, right, whole)))? {
            lacking.push(right.to_owned());
        }
    }
    rights.grant(&lacking, &format!("TABLE {}", name.sql()?))?;
    to_see(rights, name)?;
    let filled = array_literal(mapping.shape.columns.iter().map(|column| &column.name));
    let params = [Some(name.schema.as_str()), Some(name.table.as_str()), Some(filled.as_str())];
    for row in rights.client.query(SEQUENCES, &params)? {
        let [schema, sequence] = [0, 1].map(|at| row.get(at).unwrap_or_default());
        let sequence = quote_qualified(schema, sequence)?;
        rights.grant(&["USAGE".to_owned()], &format!("SEQUENCE {sequence}"))?;
    }
    Ok(())
}

/// Says what a load needs where row security would hide rows of the table from it. That is no right
/// to one table, and whoever has set the policies is to decide.
fn to_see(rights: &mut Rights<'_>, name: &TableName) -> Result<()> {
    let sql = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = $2 AND row_security_active(c.oid)";
    if !rights.client.query(sql, &[Some(&name.schema), Some(&name.table)])?.is_empty() {
        let (table, role) = (name.sql()?, rights.role().to_owned());
        rights.note(&format!(
            "row security of {table} stops a load, unless a superuser runs: ALTER ROLE {role} \
             BYPASSRLS"
        ));
    }
    Ok(())
}

const SELECT: &str = "SELECT";
const INSERT: &str = "INSERT";
const UPDATE: &str = "UPDATE";
const DELETE: &str = "DELETE";

/// Returns the rights that a load needs to the columns which it writes, and those to the table: a
/// merge looks at whole rows, and a lock takes more than a right to columns.
pub fn of_method(method: LoadMethod, direct: bool) -> [&'static [&'static str]; 2] {
    match (method, direct) {
        (LoadMethod::AppendOnly, _) | (LoadMethod::Upsert | LoadMethod::ReplacePartition, true) => {
            [&[INSERT], &[]]
        }
        (LoadMethod::Upsert, false) => [&[INSERT, UPDATE], &[SELECT]],
        (LoadMethod::Overwrite, true) => [&[INSERT], &[UPDATE]],
        (LoadMethod::ReplacePartition, false) => [&[INSERT, UPDATE], &[SELECT, DELETE]],
        (LoadMethod::Overwrite, false) => [&[INSERT], &[SELECT, UPDATE, DELETE]],
    }
}

/// Returns SQL that tells whether the user has a right to a table or, unless to the `whole` of it,
/// to all columns that a load writes. The table is found by the catalog: its name alone can only be
/// used with a right to the schema.
pub fn has(mapping: &Mapping, right: &str, whole: bool) -> String {
    let TableName { schema, table } = &mapping.shape.name;
    let oid = format!(
        "(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {})",
        quote_literal(schema),
        quote_literal(table)
    );
    let of_table = format!("has_table_privilege({oid}, '{right}')");
    if whole {
        return of_table;
    }
    let names = mapping.shape.columns.iter().map(|wanted| &wanted.name);
    // An update sets no key.
    let names = names.filter(|name| right != UPDATE || !mapping.shape.conflict.contains(name));
    let names = names.map(|name| quote_literal(name)).collect::<Vec<_>>().join(", ");
    format!(
        "{of_table} OR (SELECT coalesce(bool_and(has_column_privilege({oid}, name, '{right}')), \
         true) FROM unnest(ARRAY[{names}]::text[]) name)"
    )
}

/// Asks for a right; one to what is not there is none.
pub fn asked(has: &str) -> String {
    format!("SELECT coalesce({has}, false)")
}

/// Refuses to load while rights are asked for.
pub fn check(settings: &Settings) -> Result<()> {
    if !settings.plan_grants {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot load with the setting `plan_grants`")
        .hint("`--plan` prints the rights that are lacking; remove the setting to load"))
}
