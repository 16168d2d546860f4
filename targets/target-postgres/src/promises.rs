//! What a table is like that a load cannot change, and that its user should know of.

use pg::Client;
use singer::Result;

use crate::names::TableName;

/// Whether the table is lost in a crash, and whether something computes by the time zone of the
/// session while rows are added: triggers, or defaults of columns that the stream lacks (`$3` are
/// those it has).
const TABLE: &str = "\
SELECT c.relpersistence = 'u' OR EXISTS (
         SELECT FROM pg_catalog.pg_partition_tree(c.oid) p
           JOIN pg_catalog.pg_class part ON part.oid = p.relid
          WHERE part.relpersistence = 'u'
       ), EXISTS (
         SELECT FROM pg_catalog.pg_trigger t
          WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
       ) OR EXISTS (
         SELECT FROM pg_catalog.pg_attrdef d
           JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
          WHERE d.adrelid = c.oid AND a.attgenerated = '' AND a.attname <> ALL ($3::text[])
            AND a.atttypid IN ('date'::regtype, 'time'::regtype, 'timestamp'::regtype)
            AND pg_get_expr(d.adbin, d.adrelid) ~* 'now|current_|local|_timestamp')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

/// Warns of a table that does not last, and of what computes in our time zone and not in the
/// user's: what a load sends is read in UTC.
pub fn warn<'a>(
    client: &mut Client,
    name: &TableName,
    columns: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let columns = pg::array_literal(columns);
    let params = [Some(&*name.schema), Some(&*name.table), Some(&*columns)];
    let rows = client.query(TABLE, &params)?;
    let is = |column| rows.first().and_then(|row| row.get(column)) == Some("t");
    if is(0) {
        singer::warn!(
            "W-NOT-DURABLE",
            "table {name} or one of its partitions is unlogged: a crash of the server empties it, \
             although the state says that its rows are loaded; run ALTER TABLE ... SET LOGGED"
        );
    }
    if is(1) && client.has_other_zone()? {
        singer::warn!(
            "W-SESSION-ZONE",
            "triggers or defaults of table {name} may compute in UTC instead of the time zone of \
             the role: set the zone by ALTER FUNCTION ... SET TimeZone, or use AT TIME ZONE"
        );
    }
    Ok(())
}
