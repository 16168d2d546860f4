//! Rights that a user lacks, as SQL to copy.
//!
//! The rule: a statement names one user, one thing and the rights to it that this user does not
//! have, and nothing that it has. Names are data: SQL quotes them, and a comment has one line.

use singer::error::printable;
use singer::scrub::scrub;
use singer::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::ident::{array_literal, quote_ident, quote_qualified};

/// Gathers what the user of a connection lacks.
pub struct Rights<'a> {
    /// The connection.
    pub client: &'a mut Client,
    role: String,
    statements: Vec<String>,
}

impl<'a> Rights<'a> {
    /// Begins with a comment that says whose rights these are, and in which database.
    pub fn of(client: &'a mut Client) -> Result<Self> {
        let rows = client.query("SELECT current_user, current_database()", &[])?;
        let text = |at| rows.first().and_then(|row| row.get(at)).unwrap_or_default();
        let (role, database) = (quote_ident(text(0))?, quote_ident(text(1))?);
        let place = format!("for {role} in the database {database} of {}", client.config().server);
        let mut rights = Self { client, role, statements: Vec::new() };
        rights.note(&place);
        Ok(rights)
    }

    /// Returns the user, quoted.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Adds what is lacking of rights to the database.
    pub fn on_database(&mut self, rights: &[&str]) -> Result<()> {
        let sql = "SELECT w.name, current_database() \
                   FROM unnest($1::text[]) WITH ORDINALITY w (name, number) \
                   WHERE NOT has_database_privilege(current_database(), w.name) ORDER BY w.number";
        let rows = self.client.query(sql, &[Some(&array_literal(rights))])?;
        let Some(database) = rows.first().and_then(|row| row.get(1)) else { return Ok(()) };
        let database = quote_ident(database)?;
        self.grant(&names(&rows), &format!("DATABASE {database}"))
    }

    /// Adds what is lacking of rights to a schema, where it is there.
    pub fn on_schema(&mut self, schema: &str, rights: &[&str]) -> Result<()> {
        let sql = "SELECT w.name FROM pg_catalog.pg_namespace n \
                   CROSS JOIN unnest($2::text[]) WITH ORDINALITY w (name, number) \
                   WHERE n.nspname = $1 AND NOT has_schema_privilege(n.oid, w.name) \
                   ORDER BY w.number";
        let rows = self.client.query(sql, &[Some(schema), Some(&array_literal(rights))])?;
        self.grant(&names(&rows), &format!("SCHEMA {}", quote_ident(schema)?))
    }

    /// Adds what is lacking of rights to a table, where it is there.
    pub fn on_table(&mut self, schema: &str, table: &str, rights: &[&str]) -> Result<()> {
        let sql = "SELECT w.name FROM pg_catalog.pg_class c \
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   CROSS JOIN unnest($3::text[]) WITH ORDINALITY w (name, number) \
                   WHERE n.nspname = $1 AND c.relname = $2 \
                   AND NOT has_table_privilege(c.oid, w.name) ORDER BY w.number";
        let wanted = array_literal(rights);
        let rows = self.client.query(sql, &[Some(schema), Some(table), Some(&wanted)])?;
        self.grant(&names(&rows), &format!("TABLE {}", quote_qualified(schema, table)?))
    }

    /// Adds rights to a thing, which is written as SQL; none where there are none.
    pub fn grant(&mut self, rights: &[String], to: &str) -> Result<()> {
        if rights.is_empty() {
            return Ok(());
        }
        self.add(format!("GRANT {} ON {to} TO {}", rights.join(", "), self.role))
    }

    /// Adds a statement.
    ///
    /// # Errors
    /// `Config` where a name has a secret of the settings in it, which would be masked on its way.
    pub fn add(&mut self, statement: String) -> Result<()> {
        if scrub(&statement) != statement {
            let message = "cannot print a statement: a name in it has a secret of the settings";
            return Err(Error::new(ErrorKind::Config, message)
                .with("statement", statement)
                .hint("choose another password"));
        }
        self.statements.push(statement);
        Ok(())
    }

    /// Returns how many lines there are.
    pub fn count(&self) -> usize {
        self.statements.len()
    }

    /// Adds a comment.
    pub fn note(&mut self, text: &str) {
        self.statements.push(format!("-- {}", printable(text)));
    }

    /// Returns the comment that it began with, and what was added.
    pub fn into_statements(self) -> Vec<String> {
        self.statements
    }
}

/// Returns the first cells of rows.
fn names(rows: &[crate::client::Row]) -> Vec<String> {
    rows.iter().filter_map(|row| row.get(0).map(str::to_owned)).collect()
}
