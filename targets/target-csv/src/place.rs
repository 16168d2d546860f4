//! Where a stream's file is written and published: a partition or a plain file.

use lake::format::{DataFiles, Written};
use lake::{Completeness, Contents, DataFile, Format, Staged};
use singer::{Durability, End, Error, ErrorKind, Result, Said};

use crate::plain::PlainFile;
use crate::together::{Together, Told};

/// Where a stream's file goes.
#[derive(Debug)]
pub enum Place {
    /// A partition of the lake; `None` once it is published.
    Partition(Option<Staged>, String),
    /// A plain file.
    Plain(PlainFile),
}

impl DataFiles for Place {
    fn create(&mut self) -> Result<DataFile> {
        match self {
            Self::Partition(Some(staged), name) => staged.file(name),
            Self::Partition(None, _) => Err(after_end()),
            Self::Plain(plain) => plain.file(),
        }
    }
}

impl Place {
    /// Publishes what was written, or leaves it to be published together with others.
    pub fn publish(
        &mut self,
        written: Written,
        end: End,
        together: &mut Together,
        told: Told,
    ) -> Result<Durability> {
        let Written { files, layout } = written;
        match self {
            Self::Partition(staged, _) => {
                let staged = staged.take().ok_or_else(after_end)?;
                let contents = Contents {
                    schema: layout.schema(),
                    key_properties: layout.keys,
                    complete: if end.said == Said::End {
                        Completeness::Verified
                    } else {
                        Completeness::Unverified
                    },
                    coverage: layout.coverage,
                    rows_left_out: end.left_out || end.rejected,
                    format: Format::Csv,
                    state: end.state,
                };
                together.add(staged.ready(files, contents)?, told)
            }
            Self::Plain(plain) => {
                plain.publish(files, layout.coverage)?;
                told.log("written", &plain.path().display().to_string());
                Ok(Durability::Durable)
            }
        }
    }
}

pub fn after_end() -> Error {
    Error::new(ErrorKind::Internal, "a complete stream received more rows")
}
