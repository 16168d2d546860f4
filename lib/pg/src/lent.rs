//! What users have written, and what it computes by: views, policies and triggers find names and
//! read moments by the settings of the role, and our own statements do not.
//!
//! The rule: no name in a statement of ours is looked up in a schema that others may write to, for
//! a function there may be a better match than the one that is meant. So the search path of the
//! role counts only while something of the user's computes, and behind `pg_catalog`.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::client::{Client, Outcome, Row};
use crate::ident::quote_literal;
use crate::parameters::{SEARCH_PATH, Way};
use crate::protocol::STATEMENT;
use crate::session::pinned;

/// The portal of a statement that is planned, and not run yet.
const PORTAL: &str = "lent";

impl Client {
    /// Gives the settings back, until [`Client::take_back`], that views and functions of the user
    /// compute by: their zone is the one that everybody sees, and so is their order of day and
    /// month. What is printed stays exact: dates in ISO form, and moments with an offset.
    ///
    /// With `names`, [`Client::query_by_role`] lends the search path, too: then the names of
    /// objects are printed without the schemas in it.
    pub fn lend(&mut self, names: bool) -> Result<()> {
        let lent = pinned().filter(|parameter| {
            matches!(parameter.way, Way::Lend(_)) && parameter.names != SEARCH_PATH
        });
        let defaults = lent.map(|lent| format!("SET LOCAL {} TO DEFAULT;", lent.names));
        let defaults: String = defaults.collect();
        self.execute(&format!("{defaults} SET LOCAL DateStyle = ISO"))?;
        (self.lent, self.path_lent) = (true, names);
        Ok(())
    }

    /// Runs one statement that reads a relation of the user's, whose operators and functions have
    /// the names of their schemas: names in views and functions behind it are found by the search
    /// path of the role, where that is lent.
    pub fn query_by_role(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        self.begin_by_role()?;
        let rows = self.query(sql, params)?;
        self.end_by_role()?;
        Ok(rows)
    }

    /// Lends the search path for such a statement, where names are lent.
    pub fn begin_by_role(&mut self) -> Result<()> {
        if !self.path_lent {
            return Ok(());
        }
        let lend = self.lend_path()?;
        self.execute(&lend).map(drop)
    }

    /// Takes it back behind the statement. Where that has failed, the transaction is over.
    pub fn end_by_role(&mut self) -> Result<()> {
        if self.path_lent { self.take_path_back() } else { Ok(()) }
    }

    /// Sets all settings of the open transaction again.
    pub fn take_back(&mut self) -> Result<()> {
        let settings = self.pins(true);
        self.execute(&format!("SELECT {settings}"))?;
        (self.lent, self.path_lent) = (false, false);
        Ok(())
    }

    /// Runs one statement that changes rows, in a transaction; returns the rows affected. What it
    /// starts of the user's, such as triggers, finds names by the search path of the role; the
    /// statement itself by ours.
    pub fn execute_lent(&mut self, sql: &str) -> Result<u64> {
        // The first and the last change the path.
        Ok(self.run_lent(sql)?.affected.get(1).copied().unwrap_or_default())
    }

    /// Does the same with a statement that returns rows.
    pub fn query_lent(&mut self, sql: &str) -> Result<Vec<Row>> {
        let mut rows = self.run_lent(sql)?.rows;
        rows.pop();
        Ok(rows.into_iter().skip(1).collect())
    }

    /// Starts `COPY ... FROM STDIN`, as [`Client::begin_copy_in`], into a table of the user's,
    /// behind other statements. [`Client::take_path_back`] is to follow its end.
    pub fn begin_copy_in_lent(&mut self, before: &str, sql: &str) -> Result<()> {
        let lend = self.lend_path()?;
        self.begin_copy_in(&format!("{before}{lend}; {sql}"))
    }

    /// Has names be found by our path again, unless a function has changed it meanwhile: that is
    /// for [`Client::changed`] to tell.
    pub fn take_path_back(&mut self) -> Result<()> {
        let back = self.path_back()?;
        self.execute(&back).map(drop)
    }

    /// Returns the search path while it is lent: that of the role, behind `pg_catalog`.
    fn lent_path(&mut self) -> Result<String> {
        if self.own_path.is_none() {
            let sql = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'";
            let rows = self.query(sql, &[])?;
            let path = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
            self.own_path = Some(path.to_owned());
        }
        Ok(behind_catalog(self.own_path.as_deref().unwrap_or_default()))
    }

    fn lend_path(&mut self) -> Result<String> {
        let path = quote_literal(&self.lent_path()?);
        Ok(format!("SELECT pg_catalog.set_config('{SEARCH_PATH}', {path}, true)"))
    }

    fn path_back(&mut self) -> Result<String> {
        let path = quote_literal(&self.lent_path()?);
        let now = format!("pg_catalog.current_setting('{SEARCH_PATH}')");
        Ok(format!(
            "SELECT pg_catalog.set_config('{SEARCH_PATH}', \
             CASE {now} WHEN {path} THEN '' ELSE {now} END, true)"
        ))
    }

    fn run_lent(&mut self, sql: &str) -> Result<Outcome> {
        let (lend, back) = (self.lend_path()?, self.path_back()?);
        self.check_idle()?;
        let out = &mut self.protocol.wire.output;
        // A portal keeps the plan that it was made with, whatever the path is when it runs.
        bind(sql, PORTAL, out)?;
        bind(&lend, "", out)?;
        frontend::execute("", 0, out).or_kind(ErrorKind::Internal, STATEMENT)?;
        frontend::execute(PORTAL, 0, out).or_kind(ErrorKind::Internal, STATEMENT)?;
        frontend::close(b'P', PORTAL, out).or_kind(ErrorKind::Internal, STATEMENT)?;
        bind(&back, "", out)?;
        frontend::execute("", 0, out).or_kind(ErrorKind::Internal, STATEMENT)?;
        frontend::sync(out);
        self.protocol.send()?;
        self.finish_statement()
    }
}

/// Has the server plan a statement without parameters, for a portal of this name.
fn bind(sql: &str, portal: &str, out: &mut BytesMut) -> Result<()> {
    frontend::parse("", sql, [], out).or_kind(ErrorKind::Data, STATEMENT)?;
    let none: [&str; 0] = [];
    let bound = frontend::bind(portal, "", [], none, |_, _| Ok(IsNull::Yes), [0_i16], out);
    bound.map_err(|_| Error::new(ErrorKind::Internal, STATEMENT))
}

/// Puts `pg_catalog` before a search path.
fn behind_catalog(path: &str) -> String {
    if path.trim().is_empty() { "pg_catalog".to_owned() } else { format!("pg_catalog, {path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_comes_first() {
        assert_eq!(behind_catalog("\"$user\", public"), "pg_catalog, \"$user\", public");
        assert_eq!(behind_catalog(" "), "pg_catalog");
        assert_eq!(behind_catalog("\"\""), "pg_catalog, \"\"");
    }
}
