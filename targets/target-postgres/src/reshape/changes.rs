//! A table that a stream fills: what it lacks, and what it has too much.

use std::collections::BTreeMap;
use std::rc::Rc;

use pg::quote_ident;
use singer::schema::COLUMN_ID;
use singer::{Aim, Error, ErrorKind, Result, Stream};

use super::{Action, Planning, Remember, TablePlan, found, notes};
use crate::ask;
use crate::existing::Existing;
use crate::held;
use crate::letter_case;
use crate::mapping::Mapping;
use crate::misfit::Misfit;
use crate::names::TableName;
use crate::table::quoted;

impl Planning<'_> {
    /// Plans a table that is to be as its stream needs it.
    pub(super) fn change(&mut self, stream: &Stream, name: &TableName) -> Result<TablePlan> {
        let mut plan = TablePlan::of(name, Some(stream));
        let existing = Existing::read(self.client, name)?;
        if self.asked.aim == Aim::Build && existing.is_some() {
            plan.found = found::sum(self.client, name)?;
            return Ok(plan);
        }
        let ids = self.ids(stream);
        let renames = match &existing {
            Some(existing) => self.renames(name, existing, &ids)?,
            None => Vec::new(),
        };
        let mut mapping = Mapping::new(Rc::clone(self.settings), stream, name.clone())?;
        mapping.shape.renames = Some(renames.clone());
        let adopted = mapping.adopt(self.client, stream);
        if let Err(failure) = adopted {
            let other = self.memory.taken_by_another(self.client, stream, name);
            return Err(other.unwrap_or(failure));
        }
        letter_case::check_table(self.client, &mut self.memory, &mapping)?;
        let exists = !mapping.change.creates();
        let filled = (name, exists, mapping.replaces());
        let claim = self.memory.claim(self.client, &mapping.stream, filled)?;
        let wanted = mapping.shape.columns.iter().map(|wanted| wanted.name.clone());
        if let Some(mut existing) = existing {
            existing.rename(&renames);
            let has = |name: &String| existing.columns.iter().any(|column| column.name == *name);
            (plan.intersect_fields, plan.new_fields) = wanted.partition(has);
            plan.renamed_fields = renames.iter().cloned().map(|[old, new]| (old, new)).collect();
            self.reshape(&mut plan, stream, &mapping, &existing)?;
            plan.found = found::sum(self.client, name)?;
        } else {
            plan.action = Action::Create;
            plan.new_fields = wanted.collect();
            plan.statements.clone_from(&mapping.change.statements);
        }
        self.remember.push(Remember { name: name.clone(), claim, ids });
        Ok(plan)
    }

    /// Returns the columns of a stream by the ids of their properties.
    fn ids(&self, stream: &Stream) -> BTreeMap<String, String> {
        let column = |name: &str| pg::shorten_ident(&self.settings.name_case.of(name));
        let all = stream.columns.iter().filter_map(|own| {
            Some((own.schema[COLUMN_ID].as_str()?.to_owned(), column(&own.name)))
        });
        all.collect()
    }

    /// Returns the columns whose property has kept its id and got another name.
    fn renames(
        &mut self,
        name: &TableName,
        existing: &Existing,
        ids: &BTreeMap<String, String>,
    ) -> Result<Vec<[String; 2]>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let known = notes::ids(self.client, name)?;
        let has = |name: &String| existing.columns.iter().any(|column| column.name == *name);
        let renamed = ids.iter().filter_map(|(id, new)| {
            let old = known.get(id)?;
            let is_free = !ids.values().any(|other| other == old) && has(old) && !has(new);
            (old != new && is_free).then(|| [old.clone(), new.clone()])
        });
        Ok(renamed.collect())
    }

    /// Plans how a table that is there becomes what the stream needs.
    fn reshape(
        &mut self,
        plan: &mut TablePlan,
        stream: &Stream,
        mapping: &Mapping,
        existing: &Existing,
    ) -> Result<()> {
        let (name, table) = (&mapping.shape.name, mapping.shape.name.sql()?);
        let misfits = &mapping.change.misfits;
        for (old, new) in &plan.renamed_fields {
            let [old, new] = [quote_ident(old)?, quote_ident(new)?];
            plan.statements.push(format!("ALTER TABLE {table} RENAME COLUMN {old} TO {new}"));
        }
        let as_found = |column: &String| {
            let renamed = plan.renamed_fields.iter().find(|(_, new)| *new == column);
            renamed.map_or_else(|| column.clone(), |(old, _)| old.clone())
        };
        let retyped: Vec<String> = misfits.retyped.iter().map(as_found).collect();
        plan.blocked.extend(held_by(held::check(self.client, name, &retyped))?);
        plan.changed_types = retypes(mapping, existing);
        for misfit in &misfits.types {
            plan.refill.push(format!(
                "column {} is {}, and cannot become {} without a loss",
                misfit.column, misfit.from, misfit.to
            ));
            plan.changed_types.push(misfit.clone());
        }
        let after = self.key(plan, mapping, existing)?;
        plan.statements.extend(mapping.change.statements.iter().cloned());
        self.leave_out(plan, stream, mapping)?;
        plan.statements.extend(after);
        if !plan.statements.is_empty() || !plan.refill.is_empty() {
            plan.action = Action::Change;
        }
        Ok(())
    }

    /// Drops the columns that the stream does not have. Those of a table that is not known to be
    /// filled by it stay.
    fn leave_out(
        &mut self,
        plan: &mut TablePlan,
        stream: &Stream,
        mapping: &Mapping,
    ) -> Result<()> {
        let (name, table) = (&mapping.shape.name, mapping.shape.name.sql()?);
        let emptied: Vec<&str> = mapping.emptied_columns().collect();
        let unwanted = mapping.change.misfits.unwanted.iter();
        let unwanted: Vec<String> =
            unwanted.filter(|column| !emptied.contains(&column.as_str())).cloned().collect();
        if unwanted.is_empty() || self.asked.aim == Aim::Additions {
            return Ok(());
        }
        if !self.is_filled_by(name, stream)? {
            plan.left.push(format!(
                "columns {}: the table is not known to be filled by this stream",
                unwanted.join(", ")
            ));
            return Ok(());
        }
        plan.blocked.extend(held_by(held::check(self.client, name, &unwanted))?);
        for column in &unwanted {
            plan.loses.push(format!("column {column} and its values"));
        }
        plan.loses.extend(found::goes_with(self.client, name, &unwanted)?);
        let drops: Result<Vec<String>> = unwanted
            .iter()
            .map(|column| Ok(format!("DROP COLUMN {}", quote_ident(column)?)))
            .collect();
        plan.statements.push(format!("ALTER TABLE {table} {}", drops?.join(", ")));
        plan.deleted_fields = unwanted;
        Ok(())
    }

    /// Gives the table the key of the stream, where a load needs it; returns what follows the other
    /// changes.
    fn key(
        &mut self,
        plan: &mut TablePlan,
        mapping: &Mapping,
        existing: &Existing,
    ) -> Result<Option<String>> {
        let Some(misfit) = &mapping.change.misfits.key else { return Ok(None) };
        let shape = &mapping.shape;
        let table = shape.name.sql()?;
        let is_own = |name: &String| {
            let found = existing.columns.iter().find(|column| column.name == *name);
            found.is_some_and(|column| column.generated)
        };
        if existing.kind != "r" || existing.relatives.children || shape.conflict.iter().any(is_own)
        {
            plan.blocked.push(misfit.to_string());
            return Ok(None);
        }
        let before = existing.unique.first().filter(|_| existing.has_primary_key);
        plan.key = Some([before.cloned().unwrap_or_default(), shape.conflict.clone()]);
        let is_new = |name: &&String| plan.new_fields.contains(name);
        if let Some(new) = shape.conflict.iter().find(is_new)
            && ask::is_true(self.client, &format!("SELECT EXISTS (SELECT FROM {table})"))?
        {
            plan.refill.push(format!("column {new} of the key has no values in the rows"));
            return Ok(None);
        }
        if let Some(key) = found::primary_key(self.client, &shape.name)? {
            plan.blocked.extend(found::references(self.client, &shape.name)?);
            let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {}", quote_ident(&key)?);
            plan.statements.push(drop);
        }
        Ok(Some(format!("ALTER TABLE {table} ADD PRIMARY KEY ({})", quoted(&shape.conflict)?)))
    }
}

/// Returns what a view holds, in words.
fn held_by(checked: Result<()>) -> Result<Option<String>> {
    match checked {
        Err(failure) if failure.kind() == ErrorKind::Unavailable => Ok(Some(words(&failure))),
        checked => checked.map(|()| None),
    }
}

fn words(failure: &Error) -> String {
    let views = failure.context("views").unwrap_or_default();
    let columns = failure.context("columns").unwrap_or_default();
    format!(
        "views read the columns {columns}: {views}; drop the views, apply, and create them again"
    )
}

/// Returns the columns whose types change without a loss.
fn retypes(mapping: &Mapping, existing: &Existing) -> Vec<Misfit> {
    let retyped = &mapping.change.misfits.retyped;
    let all = mapping.shape.columns.iter().zip(&mapping.change.types);
    let all = all.filter(|(wanted, _)| retyped.contains(&wanted.name));
    let change = |(wanted, sql): (&crate::table::Wanted, &crate::types::SqlType)| {
        let found = existing.columns.iter().find(|column| column.name == wanted.name)?;
        let (from, to) = (found.sql_type.sql(), sql.sql());
        Some(Misfit { column: wanted.name.clone(), from, to })
    };
    all.filter_map(change).collect()
}
