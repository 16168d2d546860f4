//! The rights to read tables that a load makes.

use pg::{Client, array_literal, quote_ident};
use singer::{Error, ErrorKind, Result};

use crate::names::TableName;

/// The name that stands for all roles.
const PUBLIC: &str = "public";

/// Returns the statements that let roles read a new table: its schema as well, where they may not
/// use that yet.
pub fn statements(client: &mut Client, name: &TableName, roles: &[String]) -> Result<Vec<String>> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query(
        "SELECT w.name, w.name <> $3 AND r.oid IS NULL,
           r.oid IS NOT NULL AND coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), false)
         FROM unnest($1::text[]) WITH ORDINALITY w (name, number)
         LEFT JOIN pg_roles r ON r.rolname = w.name
         LEFT JOIN pg_namespace n ON n.nspname = $2 ORDER BY w.number",
        &[Some(&array_literal(roles)), Some(&name.schema), Some(PUBLIC)],
    )?;
    let mut statements = Vec::new();
    for row in &rows {
        let role = row.get(0).unwrap_or_default();
        let quoted = if role == PUBLIC { "PUBLIC".to_owned() } else { quote_ident(role)? };
        if row.get(1) == Some("t") {
            let message = "cannot let a role read the table: the role does not exist";
            return Err(Error::new(ErrorKind::Config, message)
                .with("table", name)
                .with("role", role)
                .hint(format!(
                    "run: CREATE ROLE {quoted}; or remove it from \
                     `default_target_schema_select_permissions` (or from `schema_mapping`)"
                )));
        }
        if row.get(2) != Some("t") {
            let schema = quote_ident(&name.schema)?;
            statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {quoted}"));
        }
        statements.push(format!("GRANT SELECT ON TABLE {} TO {quoted}", name.sql()?));
    }
    Ok(statements)
}
