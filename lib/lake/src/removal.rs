//! Takes a day out of a lake.

use disk::Datestamp;
use singer::{Error, ErrorKind, Result};

use crate::Lake;
use crate::backend::Change;

impl Lake {
    /// Removes a day of a source: what says that it is whole first, so that no load takes what is
    /// left for the day, then its tables, each as one step. Returns the tables.
    ///
    /// # Errors
    /// `Temporary` while a run is at it, `NoInput` where the day is not there.
    pub fn remove_day(&self, source: &str, day: Datestamp) -> Result<Vec<String>> {
        self.backend().settle()?;
        let record = self.run_record(source, day)?;
        for run in record.iter().flat_map(|record| record.open.keys()) {
            if self.backend().dead(run)?.is_none() {
                return Err(busy(source, day).with("run", run));
            }
        }
        let staging = self.backend().begin()?;
        let tables = match self.tables(source, day) {
            Err(failure) if record.is_none() || failure.kind() != ErrorKind::NoInput => {
                return Err(failure);
            }
            tables => tables.unwrap_or_default(),
        };
        let mut claims = Vec::new();
        for table in &tables {
            let claim = staging.claim(source, day, table)?;
            claims.push(claim.ok_or_else(|| busy(source, day).with("table", table))?);
        }
        self.backend().change_record(source, day, &mut |_| Ok(Change::Remove))?;
        claims.iter().try_for_each(|claim| staging.withdraw(claim))?;
        Ok(tables)
    }
}

fn busy(source: &str, day: Datestamp) -> Error {
    Error::new(ErrorKind::Temporary, "cannot remove a day that a run is writing")
        .with("source", source)
        .with("day", day)
        .hint("wait for the end of the run, then remove it")
}
