//! Tables that inherit from each other: which stream has the rows of which table.
//!
//! A query of a table has the rows of its children as well, and a key of the table is none of
//! theirs. So each row of a run is in one stream: a child that is a stream of the run is left out
//! of the streams of its parents.

use std::collections::{BTreeMap, BTreeSet};

use pg::{Client, quote_ident, quote_qualified};
use singer::catalog::ReplicationMethod;
use singer::{Context, Result, Stream};

use crate::catalog::{self, Child};
use crate::conditions;

/// The tables of a run that have children, by schema and name.
#[derive(Debug, Default)]
pub struct Families(BTreeMap<(String, String), Members>);

/// Whose rows are in the stream of a table with children.
#[derive(Debug, Default)]
struct Members {
    /// The children whose rows are in it.
    in_it: BTreeSet<u32>,
    /// Those whose rows are in other streams.
    apart: BTreeSet<u32>,
    /// Whether nobody minds that no two rows share a key: an extension that splits a table into
    /// parts of its own does.
    keyless: bool,
}

impl Members {
    /// Follows the children of one table, as far as they are no streams of their own: what is
    /// below such a stream is its business.
    fn of(children: &[Child], streams: &BTreeSet<&(String, String)>) -> Self {
        let mut members = Self::default();
        let mut reached: BTreeSet<u32> = children.iter().map(|child| child.root_oid).collect();
        loop {
            let before = reached.len();
            for child in children {
                if reached.contains(&child.parent_oid) && !streams.contains(&child.table) {
                    reached.insert(child.oid);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        for child in children {
            let is_in = reached.contains(&child.oid);
            if is_in { &mut members.in_it } else { &mut members.apart }.insert(child.oid);
            members.keyless |= is_in && !child.of_extension;
        }
        members
    }
}

impl Families {
    /// Looks which of the tables, those of all streams of the run, have children.
    pub fn of(client: &mut Client, tables: &[(String, String)]) -> Result<Self> {
        let mut by_root: BTreeMap<(String, String), Vec<Child>> = BTreeMap::new();
        for child in catalog::children(client, tables)? {
            by_root.entry(child.root.clone()).or_default().push(child);
        }
        let streams = tables.iter().collect();
        let of = |(root, children): (_, Vec<Child>)| (root, Members::of(&children, &streams));
        Ok(Self(by_root.into_iter().map(of).collect()))
    }

    /// Returns the table as an item of FROM that has these columns.
    pub fn item<'a>(
        &self,
        table: (&str, &str),
        columns: impl Iterator<Item = &'a str>,
    ) -> Result<String> {
        self.filtered(table, columns, &[])
    }

    /// Returns the rows of the table that meet conditions, as an item of FROM that has these
    /// columns.
    pub fn filtered<'a>(
        &self,
        (schema, table): (&str, &str),
        columns: impl Iterator<Item = &'a str>,
        conditions: &[String],
    ) -> Result<String> {
        let name = quote_qualified(schema, table)?;
        let members = self.0.get(&(schema.to_owned(), table.to_owned()));
        let is_alone = members.is_some_and(|members| members.in_it.is_empty());
        let from = if is_alone { format!("ONLY {name}") } else { name };
        let mut filter = Vec::new();
        if let Some(members) = members.filter(|one| !is_alone && !one.apart.is_empty()) {
            let apart: Vec<String> = members.apart.iter().map(u32::to_string).collect();
            let apart = apart.join(",");
            filter.push(format!("tableoid <> ALL ('{{{apart}}}'::pg_catalog.oid[])"));
        }
        if !conditions.is_empty() {
            filter.push(conditions::all_of(conditions));
        }
        if filter.is_empty() {
            return Ok(from);
        }
        let columns: Vec<String> = columns.map(quote_ident).collect::<Result<_>>()?;
        let (columns, filter) = (columns.join(", "), filter.join(" AND "));
        Ok(format!("(SELECT {columns} FROM {from} WHERE {filter}) own"))
    }

    /// Returns the children of a table whose rows are in other streams.
    pub fn apart(&self, table: &(String, String)) -> BTreeSet<u32> {
        self.0.get(table).map(|members| members.apart.clone()).unwrap_or_default()
    }

    /// Takes the key from a stream that has rows of children, where two rows share it: the index of
    /// a table is about its own rows.
    pub fn check_key(
        &self,
        client: &mut Client,
        (schema, table): (&str, &str),
        stream: &mut Stream,
    ) -> Result<()> {
        let members = self.0.get(&(schema.to_owned(), table.to_owned()));
        if stream.keys.is_empty() || !members.is_some_and(|members| members.keyless) {
            return Ok(());
        }
        let name = &stream.name;
        if stream.replication_method != ReplicationMethod::FullTable {
            singer::warn!(
                "W-KEY-OVER-CHILDREN",
                "stream {name}: it contains the rows of child tables too, and its key does not \
                 apply to them: if two rows have the same key, a load keeps the last. Select the \
                 child tables as streams of their own"
            );
            return Ok(());
        }
        let item = self.item((schema, table), stream.keys.iter().map(String::as_str))?;
        let shared = catalog::shares_key(client, &item, &stream.keys);
        if shared.with("table", format!("{schema}.{table}"))? {
            singer::warn!(
                "W-KEY-OVER-CHILDREN",
                "stream {name}: it has no key in this run, because it contains the rows of child \
                 tables too and some rows have the same key. Select the child tables as streams of \
                  their own"
            );
            stream.keys.clear();
        }
        Ok(())
    }
}
