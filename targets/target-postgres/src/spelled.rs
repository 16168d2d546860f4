//! The tables of a database, to be found whatever the case of their names.

use std::collections::BTreeMap;

use pg::Client;
use singer::Result;

use crate::names::TableName;

/// The tables by their names in lower case: there may be thousands, and as many are looked for.
#[derive(Debug)]
pub struct Spelled(BTreeMap<TableName, Vec<TableName>>);

impl Spelled {
    /// Reads them.
    pub fn read(client: &mut Client) -> Result<Self> {
        let rows = client.query(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = \
             c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' ORDER BY 1, 2",
            &[],
        )?;
        let text = |row: &pg::Row, at| row.get(at).unwrap_or_default().to_owned();
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for row in &rows {
            let name = TableName { schema: text(row, 0), table: text(row, 1) };
            found.entry(lower(&name)).or_default().push(name);
        }
        Ok(Self(found))
    }

    /// Returns the tables whose names, or those of their schemas, differ from this one in case
    /// alone.
    pub fn others(&self, name: &TableName) -> Vec<TableName> {
        let found = self.0.get(&lower(name)).into_iter().flatten();
        found.filter(|other| *other != name).cloned().collect()
    }
}

fn lower(name: &TableName) -> TableName {
    TableName { schema: name.schema.to_lowercase(), table: name.table.to_lowercase() }
}
