//! What each column of a stream needs on its way from COPY text to a cell.

use pg::convert::{Conversion, NanPolicy, Scratch, is_not_finite};
use pg::copy_text::NULL;
use pg::types::Mapping;
use singer::{Column, Error, ErrorKind, Result, Rows};

/// How the fields of one column become cells.
enum Step {
    /// The field is the cell.
    Copy,
    /// The field is the cell, unless it is not finite.
    Number,
    /// The field is converted.
    Convert(Conversion),
    /// The field is converted and checked: the catalog says something else than the server.
    Check(Conversion),
}

/// How the rows of a stream become cells; reused for every row.
pub struct Plan {
    steps: Vec<Step>,
    policy: NanPolicy,
    scratch: Scratch,
    checked: Vec<u8>,
}

impl Plan {
    /// Compares what the catalog says of each column with what the server has.
    pub fn new(columns: &[Column], mappings: Vec<Mapping>, policy: NanPolicy) -> Self {
        let steps = columns.iter().zip(mappings).map(|(column, mapping)| {
            let own = Column::new(column.name.clone(), mapping.schema.into());
            match mapping.conversion {
                other if own.kind != column.kind => Step::Check(other),
                Conversion::Number => Step::Number,
                other if other.is_copy() => Step::Copy,
                other => Step::Convert(other),
            }
        });
        Self { steps: steps.collect(), policy, scratch: Scratch::default(), checked: Vec::new() }
    }

    /// Writes the cells of a row of COPY text, without its newline.
    pub fn write(&mut self, row: &[u8], rows: &mut Rows) -> Result<()> {
        let Self { steps, policy, scratch, checked } = self;
        let mut start = 0;
        let mut steps = steps.iter();
        for end in memchr::memchr_iter(b'\t', row).chain([row.len()]) {
            let Some(step) = steps.next() else { return Err(wrong_width()) };
            let field = &row[start..end];
            start = end + 1;
            if field == NULL {
                rows.null();
                continue;
            }
            match step {
                Step::Copy => rows.verbatim(field),
                Step::Number if !is_not_finite(field) => rows.verbatim(field),
                Step::Number if *policy == NanPolicy::Null => rows.null(),
                Step::Number => {
                    rows.write(|out| Conversion::Number.convert(field, *policy, scratch, out))?
                }
                Step::Convert(conversion) => {
                    rows.write(|out| conversion.convert(field, *policy, scratch, out))?;
                }
                Step::Check(conversion) => {
                    if *policy == NanPolicy::Null
                        && *conversion == Conversion::Number
                        && is_not_finite(field)
                    {
                        rows.null();
                        continue;
                    }
                    checked.clear();
                    conversion.convert(field, *policy, scratch, checked)?;
                    rows.cell(checked)?;
                }
            }
        }
        if steps.next().is_some() { Err(wrong_width()) } else { Ok(()) }
    }
}

fn wrong_width() -> Error {
    Error::new(ErrorKind::Internal, "the server sent a row of another width than was asked for")
}
