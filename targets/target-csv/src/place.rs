//! Where a stream's file is written and published: a partition or a plain file.

use lake::format::{DataFiles, Written};
use lake::{Completeness, Contents, DataFile, Format, Outcome, Staged};
use singer::{End, Error, ErrorKind, Result};

use crate::plain::PlainFile;

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
    /// Publishes what was written; says where it is and what was done.
    pub fn publish(&mut self, written: Written, end: End) -> Result<(String, &'static str)> {
        let Written { files, layout } = written;
        match self {
            Self::Partition(staged, _) => {
                let staged = staged.take().ok_or_else(after_end)?;
                let path = staged.show();
                let contents = Contents {
                    schema: layout.schema(),
                    key_properties: layout.keys,
                    complete: if end.verified {
                        Completeness::Verified
                    } else {
                        Completeness::Unverified
                    },
                    coverage: layout.coverage,
                    format: Format::Csv,
                    state: end.state,
                };
                let done = match staged.publish(files, contents)? {
                    Outcome::New => "new",
                    Outcome::Replaced => "replaced",
                    Outcome::Unchanged => "unchanged",
                };
                Ok((path, done))
            }
            Self::Plain(plain) => {
                plain.publish(files)?;
                Ok((plain.path().display().to_string(), "written"))
            }
        }
    }
}

pub fn after_end() -> Error {
    Error::new(ErrorKind::Internal, "a completed stream got more rows")
}
