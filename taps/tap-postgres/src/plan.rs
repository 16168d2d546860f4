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
    names: Vec<String>,
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
        Self {
            steps: steps.collect(),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            policy,
            scratch: Scratch::default(),
            checked: Vec::new(),
        }
    }

    /// Writes the cells of a row of COPY text, without its newline.
    pub fn write(&mut self, row: &[u8], rows: &mut Rows) -> Result<()> {
        let mut start = 0;
        let mut at = 0;
        for end in memchr::memchr_iter(b'\t', row).chain([row.len()]) {
            let field = &row[start..end];
            start = end + 1;
            if at == self.steps.len() {
                return Err(wrong_width());
            }
            if let Err(failure) = self.cell(at, field, rows) {
                return Err(match failure.context("column") {
                    Some(_) => failure,
                    None => failure.with("column", &self.names[at]),
                });
            }
            at += 1;
        }
        if at == self.steps.len() { Ok(()) } else { Err(wrong_width()) }
    }

    #[inline]
    fn cell(&mut self, at: usize, field: &[u8], rows: &mut Rows) -> Result<()> {
        let Self { steps, policy, scratch, checked, .. } = self;
        if field == NULL {
            rows.null();
            return Ok(());
        }
        match &steps[at] {
            Step::Copy => rows.verbatim(field),
            Step::Number if !is_not_finite(field) => rows.verbatim(field),
            Step::Number | Step::Check(Conversion::Number)
                if *policy == NanPolicy::Null && is_not_finite(field) =>
            {
                rows.null();
            }
            Step::Number => {
                rows.write(|out| Conversion::Number.convert(field, *policy, scratch, out))?;
            }
            Step::Convert(conversion) => {
                rows.write(|out| conversion.convert(field, *policy, scratch, out))?;
            }
            Step::Check(conversion) => {
                checked.clear();
                conversion.convert(field, *policy, scratch, checked)?;
                rows.cell(checked)?;
            }
        }
        Ok(())
    }
}

fn wrong_width() -> Error {
    Error::new(ErrorKind::Internal, "cannot read a row: it has another width than was asked for")
}
