//! Rows that row security hides.
//!
//! The rule: a table whose policies may hide rows from the run is reported, once for each stream:
//! the server leaves them out without a word, and a target takes them for gone.
//!
//! Policies count of the relation that a statement names, not of its partitions and children, and
//! of the tables behind a view, as they apply to the owner of the view, or to the user where it is
//! a `security_invoker` view. What a foreign server hides is not known here.

use std::collections::BTreeMap;

use pg::Client;
use singer::{Bookmark, Error, Result, Rows, Stream};

/// The member of a bookmark that says that rows were hidden.
const MEMBER: &str = "rows_hidden";

/// The tables behind the relations `$1` (schemas) and `$2` (names) whose policies may hide rows,
/// each with the role that they apply to, and whether that is the user. They hide none where one
/// lets every row through and no restrictive one takes any back.
const HIDING: &str = "\
WITH RECURSIVE behind (root, relation, role) AS (
  SELECT w.number, c.oid, u.oid
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY w (nspname, relname, number)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
    JOIN pg_catalog.pg_roles u ON u.rolname = current_user
   UNION
  SELECT b.root, d.refobjid, CASE WHEN EXISTS (
           SELECT FROM pg_options_to_table(v.reloptions) o
            WHERE o.option_name = 'security_invoker' AND o.option_value::bool)
         THEN u.oid ELSE v.relowner END
    FROM behind b
    JOIN pg_catalog.pg_roles u ON u.rolname = current_user
    JOIN pg_catalog.pg_class v ON v.oid = b.relation AND v.relkind = 'v'
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass)
SELECT DISTINCT b.root, n.nspname, c.relname, u.rolname, u.rolname = current_user
  FROM behind b
  JOIN pg_catalog.pg_class c ON c.oid = b.relation AND c.relrowsecurity
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_roles u ON u.oid = b.role AND NOT u.rolsuper AND NOT u.rolbypassrls
 CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(q.shows) FILTER (WHERE q.permissive), false)
           AND coalesce(bool_and(q.shows) FILTER (WHERE NOT q.permissive), true)
      FROM (
        SELECT p.polpermissive, pg_get_expr(p.polqual, p.polrelid) = 'true'
          FROM pg_catalog.pg_policy p
         WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND p.polqual IS NOT NULL
           AND EXISTS (
             SELECT FROM unnest(p.polroles) role (oid)
              WHERE CASE WHEN role.oid = 0 THEN true
                         ELSE pg_has_role(u.oid, role.oid, 'USAGE') END)) q (permissive, shows)
  ) policies (show_all)
 WHERE NOT policies.show_all
   AND (c.relforcerowsecurity OR NOT pg_has_role(u.oid, c.relowner, 'USAGE'))
 ORDER BY 1, 2, 3, 4";

/// Whether somebody has set `row_security` for this user or database, and to what: `on` says that
/// the rows which the policies show are those that are wanted.
const SET: &str = "\
SELECT setting = 'off' OR source NOT IN ('default', 'configuration file')
  FROM pg_catalog.pg_settings WHERE name = 'row_security'";

/// The streams of a run that policies may hide rows of, by their tables.
#[derive(Debug, Default)]
pub struct Hidden(BTreeMap<(String, String), Vec<Hiding>>);

/// A table whose policies apply to a role.
#[derive(Debug)]
struct Hiding {
    table: String,
    role: String,
    is_user: bool,
}

impl Hidden {
    /// Looks at all streams of the run, each with its table, and warns of those.
    pub fn of(client: &mut Client, streams: &[(&Stream, (String, String))]) -> Result<Self> {
        let schemas = pg::array_literal(streams.iter().map(|(_, (schema, _))| schema));
        let names = pg::array_literal(streams.iter().map(|(_, (_, name))| name));
        let mut hidden = Self::default();
        for row in client.query(HIDING, &[Some(&schemas), Some(&names)])? {
            let word = |column| row.get(column).unwrap_or_default();
            let stream =
                word(0).parse::<usize>().ok().and_then(|at| streams.get(at.wrapping_sub(1)));
            let Some((_, table)) = stream else { continue };
            hidden.0.entry(table.clone()).or_default().push(Hiding {
                table: format!("{}.{}", word(1), word(2)),
                role: pg::quote_ident(word(3))?,
                is_user: word(4) == "t",
            });
        }
        if !hidden.0.is_empty() && !is_set(client)? {
            hidden.warn(client, streams)?;
        }
        Ok(hidden)
    }

    fn warn(&self, client: &mut Client, streams: &[(&Stream, (String, String))]) -> Result<()> {
        let user = client.query("SELECT current_user", &[])?;
        let user = user.first().and_then(|row| row.get(0)).unwrap_or_default();
        let user = pg::quote_ident(user)?;
        for (stream, table) in streams {
            let Some(first) = self.0.get(table).and_then(|all| all.first()) else { continue };
            let role = &first.role;
            let whom = if first.is_user { "the user" } else { "the owner of a view" };
            singer::warn!(
                "W-ROWS-HIDDEN",
                "stream {}: row security of {} applies to {role}, {whom}. Rows that its policies \
                 hide are not read, and a load that replaces the table or deletes missing rows \
                 removes them. To read all rows, run ALTER ROLE {role} BYPASSRLS; if only the \
                 visible rows are wanted, run ALTER ROLE {user} SET row_security = on",
                stream.name,
                first.table
            );
        }
        Ok(())
    }

    /// Has the bookmark say that rows may be hidden, and warns of one that says so where they are
    /// no more: those before it are not read.
    pub fn check(
        &self,
        stream: &Stream,
        table: &(String, String),
        since: &Bookmark,
        rows: &mut Rows<'_>,
    ) {
        if self.0.contains_key(table) {
            rows.add_to_bookmark(MEMBER, true.into());
        } else if since.is_of_state() && since.value[MEMBER] == true {
            singer::warn!(
                "W-ROWS-HIDDEN",
                "stream {}: row security hid rows from earlier runs but not from this run. Of \
                 these rows, those before the bookmark are not read; to read them, run once \
                 without the bookmark",
                stream.name
            );
        }
    }
}

/// Tells whether the setting says what to do about hidden rows.
fn is_set(client: &mut Client) -> Result<bool> {
    let rows = client.query(SET, &[])?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Says what to do where `row_security` is off, and the server refuses to leave rows out.
pub fn explained(failure: Error) -> Error {
    let says = |message: &str| message.contains("row-level security");
    if failure.context("server_message").is_none_or(|message| !says(message)) {
        return failure;
    }
    failure.hint(
        "its policies hide rows from the user, and `row_security` is off: give the user BYPASSRLS, \
          or run ALTER ROLE ... SET row_security = on to read only the visible rows",
    )
}
