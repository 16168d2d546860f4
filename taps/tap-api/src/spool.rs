//! Rows kept between discovery and the run, so that they are asked for once.

use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use singer::{Error, ErrorKind, Result, ResultExt};
use tempfile::SpooledTempFile;

/// Rows up to here stay in memory.
const MEMORY_BYTES: usize = 16 << 20;
const SPOOL: &str = "cannot keep rows in the folder for temporary files";

/// How many bytes all spools of a run may have: an API without an end fills no disk.
#[derive(Clone, Debug)]
pub struct Budget {
    bytes_max: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    /// Starts with nothing kept.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, used: Arc::default() }
    }

    fn take(&self, bytes: u64) -> Result<()> {
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.bytes_max {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Data, "there are more rows than `max_spool_bytes` allows")
            .with("limit in bytes", self.bytes_max)
            .hint(
                "the tap keeps rows until it knows their types: set `num_inference_records` or \
                 declare a `schema`; or check whether the pages come to an end, and raise \
                 `max_spool_bytes`",
            ))
    }
}

/// Rows in the order they came.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<SpooledTempFile>,
    budget: Budget,
    bytes: u64,
}

impl Spool {
    /// Starts without rows.
    pub fn new(budget: &Budget) -> Self {
        let file = tempfile::spooled_tempfile(MEMORY_BYTES);
        let file = BufWriter::with_capacity(64 << 10, file);
        Self { file, budget: budget.clone(), bytes: 0 }
    }

    /// Keeps a row.
    ///
    /// Fails with `Data` beyond the budget.
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        let length = row.len() as u64;
        self.bytes += 8 + length;
        self.budget.take(8 + length)?;
        let written = self.file.write_all(&length.to_le_bytes());
        written.and_then(|()| self.file.write_all(row)).or_kind(ErrorKind::Io, SPOOL)
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        let budget = self.budget.clone();
        *self = Self::new(&budget);
    }

    /// Gives every row to `take`, in order.
    pub fn each(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.file.flush().or_kind(ErrorKind::Io, SPOOL)?;
        let file = self.file.get_mut();
        file.rewind().or_kind(ErrorKind::Io, SPOOL)?;
        let mut input = BufReader::with_capacity(64 << 10, file);
        let mut row = Vec::new();
        loop {
            let mut length = [0; 8];
            match input.read_exact(&mut length) {
                Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                read => read.or_kind(ErrorKind::Io, SPOOL)?,
            }
            row.resize(usize::try_from(u64::from_le_bytes(length)).unwrap_or(0), 0);
            input.read_exact(&mut row).or_kind(ErrorKind::Io, SPOOL)?;
            take(&row)?;
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spools_share_a_budget() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (Spool::new(&budget), Spool::new(&budget));
        one.push(&[0; 40]).unwrap();
        other.push(&[0; 40]).unwrap();
        let failure = one.push(&[0; 40]).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        drop(one);
        other.push(&[0; 40]).unwrap();
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let mut spool = Spool::new(&Budget::new(1 << 20));
        let rows: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n) * 3]).collect();
        for row in &rows {
            spool.push(row).unwrap();
        }
        for _ in 0..2 {
            let mut found = Vec::new();
            spool
                .each(|row| {
                    found.push(row.to_vec());
                    Ok(())
                })
                .unwrap();
            assert_eq!(found, rows);
        }
    }
}
