//! The columns that a load fills itself, and how a COPY gets their values.
//!
//! To read a moment takes the server as long as several other columns, and most rows of a load have
//! the same ones. Where nobody else sees the table yet, they are defaults of the columns while rows
//! are copied; the COPY leaves such columns out. A default that is dropped before the COMMIT leaves
//! nothing behind.

use pg::copy_binary::Type;
use pg::{Client, quote_literal};
use singer::Envelope;
use singer::{Batch, Cell, Result};

use crate::connection::Received;
use crate::fields::push_envelope;
use crate::line::{Format, Line};

/// How old a default may be that says when rows were received: rows that come within that time
/// were received when the first of them was.
const RECEIVED_AGE_MAX_MICROS: u64 = 1_000_000;

/// The value of a column that we fill.
#[derive(Clone, Debug)]
pub enum FilledColumn {
    /// The same for all rows.
    Constant(String),
    /// None.
    Null,
    /// When the tap says that it read the row.
    Extracted,
    /// The version of its record.
    Version,
    /// When we received it, as a moment.
    Received,
    /// When we received it, in milliseconds.
    Sequence,
}

/// The columns of a table that we fill.
#[derive(Clone, Debug, Default)]
pub struct OwnColumns {
    columns: Vec<OwnColumn>,
    /// When the rows were received that the defaults are of.
    received: Option<Received>,
    /// Whether a default was set.
    any_set: bool,
}

#[derive(Clone, Debug)]
struct OwnColumn {
    /// Quoted.
    name: String,
    /// Its type in the binary format, where it has one.
    kind: Option<Type>,
    value: FilledColumn,
    given: Given,
}

/// How a column gets its value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// Each row has it, so far.
    Undecided,
    /// Each row has it, for they differ.
    ByRow,
    /// It is the default of the column; without a text the column has none and is null.
    ByDefault(Option<String>),
}

impl OwnColumns {
    /// Takes the columns, quoted, with their types in the binary format; each row has their values.
    pub fn new(columns: impl IntoIterator<Item = (String, Option<Type>, FilledColumn)>) -> Self {
        let undecided =
            |(name, kind, value)| OwnColumn { name, kind, value, given: Given::Undecided };
        let columns = columns.into_iter().map(undecided);
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Returns the columns that each row has a value for, quoted, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_row().map(|own| own.name.as_str())
    }

    fn by_row(&self) -> impl Iterator<Item = &OwnColumn> {
        self.columns.iter().filter(|own| !matches!(own.given, Given::ByDefault(_)))
    }

    /// Returns the types of these columns in the binary format, where they have some.
    pub fn types(&self) -> Vec<Option<Type>> {
        self.by_row().map(|own| own.kind).collect()
    }

    /// Appends the fields of a row for [`OwnColumns::names`]; tells whether the format has them: if
    /// not, the line means nothing.
    pub fn push(&self, row: (&Batch, usize), received: &Received, line: &mut Line<'_>) -> bool {
        self.by_row().all(|own| own.value.push(row, received, own.kind, line))
    }

    /// Makes defaults of the values that the rows of a batch have in common with those before it.
    /// Returns what is to be done to the columns of the table ahead of a new COPY, which has other
    /// columns now; `None` where all is as it was. Nobody else may see the table.
    ///
    /// A column whose records differ once has its value in each row from there on.
    pub fn renew(&mut self, batch: &Batch, now: &Received) -> Option<Vec<String>> {
        if batch.rows() == 0 {
            return None;
        }
        let old = self.received.take().filter(|old| now.micros_from(old) < RECEIVED_AGE_MAX_MICROS);
        let received = self.received.insert(old.unwrap_or_else(|| now.clone()));
        let (mut changed, mut actions) = (false, Vec::new());
        for own in &mut self.columns {
            let given = own.value.given(batch, received);
            if own.given == Given::ByRow || own.given == given {
                continue;
            }
            let differs = own.value.is_of_record() && own.given != Given::Undecided;
            own.given = if differs { Given::ByRow } else { given };
            if let Given::ByDefault(Some(text)) = &own.given {
                actions.push(format!("ALTER {} SET DEFAULT {}", own.name, quote_literal(text)));
            }
            changed = true;
        }
        self.any_set |= !actions.is_empty();
        changed.then_some(actions)
    }

    /// Drops the defaults of the columns of a table, quoted.
    pub fn forget(&mut self, client: &mut Client, table: &str) -> Result<()> {
        if !std::mem::take(&mut self.any_set) {
            return Ok(());
        }
        let drop = |own: &OwnColumn| format!("ALTER {} DROP DEFAULT", own.name);
        alter(client, table, &self.columns.iter().map(drop).collect::<Vec<_>>())
    }
}

/// Alters the columns of a table, quoted.
pub fn alter(client: &mut Client, table: &str, actions: &[String]) -> Result<()> {
    if actions.is_empty() {
        return Ok(());
    }
    client.execute(&format!("ALTER TABLE {table} {}", actions.join(", "))).map(|_| ())
}

impl FilledColumn {
    fn push(
        &self,
        (batch, row): (&Batch, usize),
        received: &Received,
        kind: Option<Type>,
        line: &mut Line<'_>,
    ) -> bool {
        match self {
            Self::Extracted => {
                let start = line.out.len();
                let pushed = push_envelope(batch, (row, Envelope::TIME_EXTRACTED), kind, line);
                if line.format == Format::Text {
                    ease(start, line.out);
                }
                pushed
            }
            Self::Version => push_envelope(batch, (row, Envelope::VERSION), kind, line),
            Self::Constant(text) => line.push(text.as_bytes(), kind),
            Self::Null => {
                line.push_null();
                true
            }
            Self::Received => line.push(received.moment.as_bytes(), kind),
            Self::Sequence => line.push(received.millis.as_bytes(), kind),
        }
    }

    /// Tells whether the value comes with each record.
    fn is_of_record(&self) -> bool {
        matches!(self, Self::Extracted | Self::Version)
    }

    /// Returns how the rows of a batch can have the value.
    fn given(&self, batch: &Batch, received: &Received) -> Given {
        let text = match self {
            Self::Null => return Given::ByDefault(None),
            Self::Constant(text) => text,
            Self::Received => &received.moment,
            Self::Sequence => &received.millis,
            Self::Extracted => return of_records(batch, Envelope::TIME_EXTRACTED, is_moment),
            Self::Version => {
                return of_records(batch, Envelope::VERSION, |text| text.parse::<i64>().is_ok());
            }
        };
        Given::ByDefault(Some(text.clone()))
    }
}

/// Returns how rows can have a cell of their envelope: by a default where it is the same in all,
/// and `readable` for sure. What the server cannot read is a failure of its row.
fn of_records(batch: &Batch, cell: usize, readable: impl Fn(&str) -> bool) -> Given {
    let at = batch.width() - Envelope::CELLS + cell;
    let text = |row| match batch.cell(row, at) {
        Cell::Text(text) => Some(text),
        Cell::Null | Cell::Absent => None,
    };
    let first = text(0);
    if (1..batch.rows()).any(|row| text(row) != first) {
        return Given::ByRow;
    }
    match first.map(str::from_utf8) {
        None => Given::ByDefault(None),
        Some(Ok(text)) if readable(text) => Given::ByDefault(Some(text.to_owned())),
        Some(_) => Given::ByRow,
    }
}

/// Writes the moment behind `start`, and a tab, as the server reads it faster: a third of its time
/// goes into the letters.
fn ease(start: usize, out: &mut Vec<u8>) {
    if out.get(start + 10) == Some(&b'T') {
        out[start + 10] = b' ';
        if out.ends_with(b"Z\t") {
            out.truncate(out.len() - 2);
            out.extend_from_slice(b"+00\t");
        }
    }
}

/// Tells whether a `time_extracted` is of years that Postgres has, and in UTC: it does not take
/// every offset.
fn is_moment(text: &str) -> bool {
    let year = text.get(..5).is_some_and(|year| year.ends_with('-') && year != "0000-");
    year && (text.ends_with('Z') || text.ends_with("+00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:00:01.5+00:00";

    fn own() -> OwnColumns {
        let columns = [
            ("source", Type::Text, FilledColumn::Constant("it's".to_owned())),
            ("extracted", Type::Timestamptz, FilledColumn::Extracted),
            ("received", Type::Timestamptz, FilledColumn::Received),
            ("deleted", Type::Timestamptz, FilledColumn::Null),
            ("sequence", Type::Bigint, FilledColumn::Sequence),
            ("version", Type::Bigint, FilledColumn::Version),
        ];
        OwnColumns::new(columns.map(|(name, kind, value)| (name.to_owned(), Some(kind), value)))
    }

    fn batch(rows: &[(Option<&str>, Option<&str>)]) -> Batch {
        let mut batch = Batch::new(Envelope::CELLS);
        for (time, version) in rows {
            for cell in [time, version] {
                match cell {
                    Some(text) => batch.push(text.as_bytes()),
                    None => batch.push_absent(),
                }
            }
        }
        batch
    }

    fn names(own: &OwnColumns) -> String {
        own.names().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_all_rows_have_in_common_is_a_default_until_they_differ() {
        let (mut own, at) = (own(), Received::at(1_700_000_000_123_456));
        let same = batch(&[(Some(EARLY), None), (Some(EARLY), None)]);
        assert_eq!(names(&own), "source extracted received deleted sequence version");
        let actions = own.renew(&same, &at).unwrap().join(", ");
        assert_eq!(
            actions,
            format!(
                "ALTER source SET DEFAULT 'it''s', ALTER extracted SET DEFAULT '{EARLY}', \
                 ALTER received SET DEFAULT '2023-11-14 22:13:20.123456+00', \
                 ALTER sequence SET DEFAULT '1700000000123'"
            )
        );
        assert_eq!(names(&own), "");
        assert_eq!(own.renew(&same, &at), None);
        // A version, and then another moment: from there on each row has its own, for good.
        let versioned = batch(&[(Some(EARLY), Some("7"))]);
        assert_eq!(own.renew(&versioned, &at), Some(Vec::new()));
        assert_eq!(names(&own), "version");
        let mixed = batch(&[(Some(EARLY), Some("7")), (Some(LATE), Some("7"))]);
        assert_eq!(own.renew(&mixed, &at), Some(Vec::new()));
        assert_eq!(names(&own), "extracted version");
        assert_eq!(own.renew(&same, &at), None);
        assert_eq!(names(&own), "extracted version");
        let mut fields = Vec::new();
        for row in 0..2 {
            assert!(own.push((&mixed, row), &at, &mut Line::begin(Format::Text, row, &mut fields)));
        }
        let expected = "2026-01-01 00:00:00+00\t7\t2026-01-01 00:00:01.5+00:00\t7\t";
        assert_eq!(String::from_utf8(fields).unwrap(), expected);
    }

    #[test]
    fn rows_are_received_within_a_second_of_the_default() {
        let mut own = own();
        let rows = batch(&[(None, None)]);
        let renewed = |own: &mut OwnColumns, micros| own.renew(&rows, &Received::at(micros));
        assert_eq!(renewed(&mut own, 5_000_000).map(|actions| actions.len()), Some(3));
        assert_eq!(renewed(&mut own, 5_999_999), None);
        let again = renewed(&mut own, 6_000_000).unwrap().join(", ");
        assert_eq!(
            again,
            "ALTER received SET DEFAULT '1970-01-01 00:00:06.000000+00', \
             ALTER sequence SET DEFAULT '6000'"
        );
        // A clock that is set back.
        assert_eq!(renewed(&mut own, 1_000_000).map(|actions| actions.len()), Some(2));
        assert_eq!(own.renew(&batch(&[]), &Received::at(9_000_000)), None);
    }

    #[test]
    fn what_the_server_may_refuse_is_left_to_its_row() {
        let check = |time: &str, version: &str, expected: &str| {
            let mut own = own();
            own.renew(&batch(&[(Some(time), Some(version))]), &Received::at(0));
            assert_eq!(names(&own), expected, "{time} {version}");
        };
        check(EARLY, "-9223372036854775808", "");
        check(LATE, "9223372036854775808", "version");
        check("0000-01-01T00:00:00Z", "1", "extracted");
        check("12026-01-01T00:00:00Z", "1", "extracted");
        check("2026-01-01T00:00:00+23:00", "1", "extracted");
        check("infinity", "1", "extracted");
    }
}
