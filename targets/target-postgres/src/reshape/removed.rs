//! Tables that are to be dropped: those of a pipeline that is given up, and those that no stream of
//! it fills any more.

use std::collections::BTreeSet;

use singer::{Result, Stream};

use super::{Action, Planning, TablePlan, found, notes};
use crate::existing::Existing;
use crate::names::TableName;

impl Planning<'_> {
    /// Plans to drop the table of a stream.
    pub(super) fn drop_filled(&mut self, stream: &Stream, name: &TableName) -> Result<TablePlan> {
        let mut plan = TablePlan::of(name, Some(stream));
        let Some(existing) = Existing::read(self.client, name)? else { return Ok(plan) };
        if !self.is_filled_by(name, stream)? {
            let why = "the table is not known to be filled by this stream";
            plan.left.push(format!("table {name}: {why}"));
            return Ok(plan);
        }
        self.drop_table(&mut plan, &existing)?;
        Ok(plan)
    }

    /// Plans to drop the tables that the pipeline has filled, and that none of its streams fills.
    pub(super) fn without_stream(
        &mut self,
        filled: &BTreeSet<&TableName>,
    ) -> Result<Vec<TablePlan>> {
        let Some(pipeline) = self.asked.pipeline.clone() else { return Ok(Vec::new()) };
        let mut plans = Vec::new();
        for name in notes::tables_of(self.client, &pipeline)? {
            if filled.contains(&name) {
                continue;
            }
            let Some(existing) = Existing::read(self.client, &name)? else { continue };
            let mut plan = TablePlan::of(&name, None);
            self.drop_table(&mut plan, &existing)?;
            plans.push(plan);
        }
        Ok(plans)
    }

    fn drop_table(&mut self, plan: &mut TablePlan, existing: &Existing) -> Result<()> {
        let name = plan.name();
        plan.action = Action::Drop;
        plan.deleted_fields = existing.columns.iter().map(|column| column.name.clone()).collect();
        plan.statements.push(format!("DROP TABLE {}", name.sql()?));
        plan.loses.push(format!("table {name} and its rows"));
        plan.blocked.extend(found::dependents(self.client, &name)?);
        if let Some(extension) = &existing.relatives.extension {
            plan.blocked.push(format!("the table belongs to the extension {extension}"));
        }
        plan.found = found::sum(self.client, &name)?;
        Ok(())
    }
}
