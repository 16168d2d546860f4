//! One merge: the statements of each load method, in their order.

use pg::Client;
use singer::{Context, Error, ErrorKind, Result};

use crate::ask::{changed_pair, is_true, pair};
use crate::counts::Counts;
use crate::guarded;
use crate::locks;
use crate::mapping::Mapping;
use crate::merge::Merge;
use crate::names::TableName;
use crate::rounds::FORGET_ROUNDS;
use crate::settings::LoadMethod;

/// What a merge is to do.
pub struct Load<'a> {
    /// Its SQL.
    pub merge: &'a Merge,
    /// The load method.
    pub method: LoadMethod,
    /// The source and day, for `replace-partition`.
    pub partition: Option<&'a (String, String)>,
    /// The table.
    pub name: &'a TableName,
    /// Whether ON CONFLICT can find rows by key.
    pub unique: bool,
    /// How many rows are staged.
    pub rows: u64,
    /// Whether a staged record lacks a column that it is to leave alone.
    pub any_absent: bool,
}

impl Load<'_> {
    /// Runs the statements; within a transaction.
    pub fn run(&self, client: &mut Client) -> Result<Counts> {
        let mut counts = Counts::default();
        if self.method == LoadMethod::Upsert
            && self.rows > 0
            && let Some([asked, renew]) = self.merge.renew_others()
            && is_true(client, &asked)?
        {
            client.execute_lent(&renew)?;
        }
        match self.method {
            LoadMethod::AppendOnly => {
                if self.rows > 0 {
                    counts.inserted = guarded::append(client, self.merge, self.name, self.rows)?;
                }
            }
            LoadMethod::Upsert if self.rows == 0 => {}
            LoadMethod::Upsert if self.merge.children => {
                lock(client, self.name, None)?;
                counts = merge_lacking(client, self.merge).with("table", self.name)?;
                guarded::merged(client, self.merge, self.name, false)?;
            }
            LoadMethod::Upsert if self.any_absent => {
                counts = merge_lacking(client, self.merge)?;
                guarded::merged(client, self.merge, self.name, false)?;
            }
            LoadMethod::Upsert => {
                if let Some(delete) = self.merge.delete_marked() {
                    counts.deleted = client.execute_lent(&delete)?;
                }
                (counts.inserted, counts.updated) = changed_pair(client, &self.merge.upsert())?;
                guarded::merged(client, self.merge, self.name, false)?;
            }
            LoadMethod::Overwrite | LoadMethod::ReplacePartition => {
                lock(client, self.name, self.partition)?;
                // Both sides are whole partitions, and fresh ones have no statistics: a nested loop
                // would compare each row with each.
                let prepare =
                    format!("SET LOCAL enable_nestloop = off; ANALYZE {}", self.merge.stage);
                client.execute(&prepare)?;
                if self.merge.keys.is_empty() || !self.unique {
                    if !self.merge.keys.is_empty() {
                        counts.repeated = pair(client, &self.merge.repeated())?.0;
                    }
                    (counts.deleted, counts.inserted) =
                        changed_pair(client, &self.merge.replace_multiset())?;
                    guarded::replaced(client, self.merge, self.name)?;
                } else {
                    // An upsert was not faster for knowing this.
                    counts.repeated = pair(client, &self.merge.repeated())?.0;
                    let merge = Merge { distinct: counts.repeated == 0, ..self.merge.clone() };
                    counts.deleted = client.execute_lent(&merge.delete_stale())?;
                    (counts.inserted, counts.updated) = changed_pair(client, &merge.upsert())?;
                    guarded::merged(client, &merge, self.name, true)?;
                }
            }
        }
        Ok(counts)
    }

    /// Returns the statements that change the table, in the order of [`Load::run`], for records
    /// that lack no column, and partitions whose keys do not repeat.
    pub fn statements(&self) -> Vec<String> {
        let merge = self.merge;
        match self.method {
            LoadMethod::AppendOnly => vec![guarded::append_statement(merge)],
            LoadMethod::Upsert if merge.children => {
                let merged = [merge.insert_new()].into_iter().chain(merge.update_known());
                merge.delete_marked().into_iter().chain(merged).collect()
            }
            LoadMethod::Upsert => {
                merge.delete_marked().into_iter().chain([merge.upsert()]).collect()
            }
            _ if merge.keys.is_empty() || !self.unique => vec![merge.replace_multiset()],
            _ => {
                let merge = Merge { distinct: true, ..merge.clone() };
                vec![merge.delete_stale(), merge.upsert()]
            }
        }
    }
}

/// Tells whether the table, or the partition, has rows that ours would have to be merged with.
/// No lock is held: where it has none, another run may add some.
pub fn has_rows(client: &mut Client, mapping: &Mapping) -> Result<bool> {
    if mapping.method == LoadMethod::AppendOnly || mapping.change.creates() {
        return Ok(false);
    }
    Ok(!is_true(client, &mapping.merge("", 0)?.is_empty())?)
}

/// Keeps other runs out, to the end of the transaction, where rows of theirs would have to be
/// merged with ours; tells whether there are none. Finds out whether the table, or the partition,
/// is `fresh`, unless that is known.
pub fn holds_alone(
    client: &mut Client,
    mapping: &Mapping,
    fresh: &mut Option<bool>,
) -> Result<bool> {
    let name = &mapping.shape.name;
    match mapping.method {
        LoadMethod::AppendOnly => return Ok(true),
        // What made the table has taken the lock.
        LoadMethod::Upsert if mapping.change.creates() => {}
        LoadMethod::Upsert if !locks::try_lock(client, &name.to_string())? => return Ok(false),
        LoadMethod::Upsert => {}
        LoadMethod::Overwrite | LoadMethod::ReplacePartition => {
            lock(client, name, mapping.partition.as_ref())?;
        }
    }
    if fresh.is_none() {
        *fresh = Some(is_true(client, &mapping.merge("", 0)?.is_empty())?);
    }
    Ok(*fresh == Some(true))
}

/// Does the same without waiting for anybody, and makes the table where there is none: tells
/// whether it has no rows, and is ours to the end of the transaction.
pub fn takes_at_once(
    client: &mut Client,
    mapping: &Mapping,
    fresh: &mut Option<bool>,
) -> Result<bool> {
    let (shape, name) = (&mapping.shape, &mapping.shape.name);
    if mapping.change.creates() {
        if !locks::try_lock(client, &name.to_string())? {
            return Ok(false);
        }
        shape.make(client, &mapping.change)?;
        return Ok(true);
    }
    let is_free = match (mapping.method, &mapping.partition) {
        (LoadMethod::AppendOnly, _) => return Ok(true),
        (LoadMethod::Upsert, _) => locks::try_lock(client, &name.to_string())?,
        (_, Some(partition)) => locks::try_lock(client, &partition_lock(name, partition))?,
        (_, None) => client.execute(&format!("{} NOWAIT", lock_table(name)?)).map(|_| true)?,
    };
    if is_free && fresh.is_none() {
        *fresh = Some(is_true(client, &mapping.merge("", 0)?.is_empty())?);
    }
    Ok(is_free && *fresh == Some(true))
}

fn partition_lock(name: &TableName, (source, datestamp): &(String, String)) -> String {
    format!("{name} {source} {datestamp}")
}

fn lock_table(name: &TableName) -> Result<String> {
    Ok(format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", name.sql()?))
}

/// Keeps out other runs that replace the same rows, to the end of the transaction; readers are
/// not held up.
pub fn lock(
    client: &mut Client,
    name: &TableName,
    partition: Option<&(String, String)>,
) -> Result<()> {
    if let Some(partition) = partition {
        return locks::lock(client, &partition_lock(name, partition));
    }
    client.execute(&lock_table(name)?)?;
    Ok(())
}

/// Merges records that lack columns, or whose rows may be in several tables: first those of one
/// key into one.
fn merge_lacking(client: &mut Client, merge: &Merge) -> Result<Counts> {
    client.execute("SET LOCAL enable_nestloop = off")?;
    if let Some(anew) = merge.begin_anew() {
        client.execute(&anew)?;
    }
    let [number, last] = merge.number_rounds();
    client.execute(&number)?;
    let rows = client.query(&last, &[])?;
    let last: u64 = rows.first().and_then(|row| row.get(0)?.parse().ok()).unwrap_or(0);
    // Each round would look at all rows.
    let indexed = last > 3;
    if indexed {
        client.execute(&merge.index_rounds())?;
    }
    for round in 2..=last {
        client.execute(&merge.fold(round))?;
    }
    if indexed {
        client.execute(FORGET_ROUNDS)?;
    }
    client.execute(&merge.drop_older())?;
    client.execute(&format!("SET LOCAL enable_nestloop = on; ANALYZE {}", merge.stage))?;
    if merge.children && is_true(client, &merge.is_ambiguous())? {
        let message = "cannot find a row by its key: several rows of the table and its children \
                       have this key";
        return Err(Error::new(ErrorKind::Data, message).with("key", merge.keys.join(", ")).hint(
            "make the key unique across the children, or load by `append-only`, or into another \
             table (`table_names`)",
        ));
    }
    let mut counts = Counts::default();
    if let Some(delete) = merge.delete_marked() {
        counts.deleted = client.execute_lent(&delete)?;
    }
    counts.inserted = client.execute_lent(&merge.insert_new())?;
    if let Some(update) = merge.update_known() {
        counts.updated = client.execute_lent(&update)?;
    }
    Ok(counts)
}
