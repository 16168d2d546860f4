//! Rows kept between discovery and the run, so that they are asked for once.

use std::io::{BufReader, BufWriter, Read, Seek, Write};

use singer::{ErrorKind, Result, ResultExt};
use tempfile::SpooledTempFile;

/// Rows up to here stay in memory.
const MEMORY_BYTES: usize = 16 << 20;
const SPOOL: &str = "cannot keep rows in the folder for temporary files";

/// Rows in the order they came.
#[derive(Debug)]
pub struct Spool(BufWriter<SpooledTempFile>);

impl Spool {
    /// Starts without rows.
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, tempfile::spooled_tempfile(MEMORY_BYTES)))
    }

    /// Keeps a row.
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        let length = (row.len() as u64).to_le_bytes();
        let written = self.0.write_all(&length).and_then(|()| self.0.write_all(row));
        written.or_kind(ErrorKind::Io, SPOOL)
    }

    /// Gives every row to `take`, in order.
    pub fn each(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.0.flush().or_kind(ErrorKind::Io, SPOOL)?;
        let file = self.0.get_mut();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_it_was_given() {
        let mut spool = Spool::new();
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
