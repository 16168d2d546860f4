//! Keys of streams that no index of their table holds its rows to: those of a catalog that is older
//! than the table, and those that somebody declared.
//!
//! The rule: rows that share the key of their stream are reported, for a load keeps one of them.

use std::collections::BTreeSet;

use pg::Client;
use singer::{Result, Stream};

/// The tables among `$1` (schemas) and `$2` (names), whose keys are `$3` (array literals), without
/// a unique index over columns of the key. `$4` says which of them are known as views, where a key
/// is somebody's word.
const UNHELD: &str = "\
SELECT n.nspname, c.relname
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[]) w (nspname, relname, names, viewed)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
 WHERE (c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'm') AND NOT w.viewed)
   AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_index i
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indislive
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
             AND a.attname <> ALL (w.names::text[])))";

/// The tables of a run whose streams have such keys.
#[derive(Debug, Default)]
pub struct Unheld(BTreeSet<(String, String)>);

impl Unheld {
    /// Looks at the keys of all streams, each with its table.
    pub fn of(client: &mut Client, streams: &[(&Stream, (String, String))]) -> Result<Self> {
        let keyed = || streams.iter().filter(|(stream, _)| !stream.keys.is_empty());
        if keyed().next().is_none() {
            return Ok(Self::default());
        }
        let schemas = pg::array_literal(keyed().map(|(_, (schema, _))| schema));
        let tables = pg::array_literal(keyed().map(|(_, (_, table))| table));
        let keys = pg::array_literal(keyed().map(|(stream, _)| pg::array_literal(&stream.keys)));
        let views = pg::array_literal(keyed().map(|(stream, _)| is_view(stream).to_string()));
        let rows =
            client.query(UNHELD, &[Some(&schemas), Some(&tables), Some(&keys), Some(&views)])?;
        let names = rows.iter().filter_map(|row| Some((row.get(0)?.into(), row.get(1)?.into())));
        Ok(Self(names.collect()))
    }

    /// Warns if rows of the stream share a key; `rows` is an item of FROM and its condition.
    pub fn check(
        &self,
        client: &mut Client,
        stream: &Stream,
        table: &(String, String),
        rows: &str,
    ) -> Result<()> {
        if !self.0.contains(table) || !crate::catalog::shares_key(client, rows, &stream.keys)? {
            return Ok(());
        }
        singer::warn!(
            "W-KEY-SHARED",
            "stream {}: several rows have the same key {}, because {}.{} has no unique index on \
             it: a load by key keeps only one of them. Run discovery again, or correct the key in \
             the catalog",
            stream.name,
            stream.keys.join(", "),
            table.0,
            table.1
        );
        Ok(())
    }
}

/// Tells whether the catalog knows the stream as a view.
fn is_view(stream: &Stream) -> bool {
    let known = stream.meta("is-view").or_else(|| stream.fields.get("is_view"));
    known.and_then(serde_json::Value::as_bool).unwrap_or_default()
}
