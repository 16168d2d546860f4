//! One row through its contract: converted, judged, counted, protected.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use singer::convert::Unfit;
use singer::quote::{hex_into, string_into};
use singer::{Batch, Cell, Error, ErrorKind, Kind, Result, Row};

use super::checks::Check;
use super::convert::Converter;
use super::parts::Part;
use super::rules::{Counter, Known};
use super::settings::OnViolation;
use crate::protect::{Node, Protector};
use crate::row_hash::{Counts, RowHash};

/// What is known of all rows of a stream.
#[derive(Default)]
pub(crate) struct Watch {
    /// Rows that passed.
    pub rows: u64,
    pub counters: Vec<Counter>,
    /// The values of columns in which none may come twice.
    pub known: BTreeMap<String, Known>,
    /// How often rows came, for row hashes.
    pub counts: Counts,
    /// Values that became null, by column.
    pub nulled: BTreeMap<String, u64>,
}

/// A column on its way out.
pub(crate) struct Out {
    pub name: String,
    /// Its place in the stream; `None`: the stream lacks it.
    pub from: Option<usize>,
    /// The kind that it had.
    pub kind_before: Kind,
    pub work: Work,
}

impl Out {
    /// Tells whether no value may come twice.
    pub(crate) fn is_unique(&self) -> bool {
        matches!(&self.work, Work::Judge(judge) if judge.unique)
    }

    /// Returns the kind of its values before they are protected.
    pub(crate) fn kind(&self) -> Kind {
        match &self.work {
            Work::Judge(judge) => judge.kind,
            Work::Copy | Work::Null => self.kind_before,
        }
    }

    /// Tells whether it is judged, and then left out.
    pub(crate) fn is_left_out(&self) -> bool {
        matches!(&self.work, Work::Judge(judge) if matches!(judge.protect, Protect::LeftOut))
    }
}

/// What happens to the values of a column.
pub(crate) enum Work {
    /// They are copied.
    Copy,
    /// They become null.
    Null,
    /// They are converted, judged or protected.
    Judge(Box<Judge>),
}

/// Converts, judges and protects values.
pub(crate) struct Judge {
    pub converter: Converter,
    /// The kind of what the converter writes.
    pub kind: Kind,
    pub checks: Vec<Check>,
    /// What parts of the values must be.
    pub parts: Option<Part>,
    pub required: bool,
    pub unique: bool,
    /// Null may stand in the place of a value.
    pub nullable: bool,
    pub protect: Protect,
}

/// How values are protected.
pub(crate) enum Protect {
    /// They are not.
    Not,
    /// As one value.
    Value(Protector),
    /// Some parts of them.
    Parts(Node),
    /// They are left out, once they are judged.
    LeftOut,
}

/// Makes the rows of a stream.
pub(crate) struct Rows {
    pub columns: Vec<Out>,
    pub on_violation: OnViolation,
    pub row_hash: Option<RowHash>,
    pub watch: Rc<RefCell<Watch>>,
    /// Names of the key, for rows that are named in a message.
    pub keys: Vec<String>,
    /// The column that says that a row was deleted.
    pub deleted: Option<usize>,
    pub values: Values,
    /// The file that the contract was made from.
    pub made_from: Option<String>,
}

/// The converted values of one row.
#[derive(Default)]
pub(crate) struct Values {
    places: Vec<Place>,
    text: Vec<u8>,
    /// The part that breached the contract, of the value that did.
    part: Option<String>,
    /// Values of columns in which none may come twice: the column and the sum. They are remembered
    /// when the row passes.
    unique: Vec<(usize, u128)>,
}

#[derive(Clone, Copy)]
enum Place {
    /// The cell of the row itself.
    Row,
    /// A part of the text.
    Text(usize, usize),
    /// A value that breached the contract.
    Null,
}

impl Values {
    fn cell<'a>(&'a self, at: usize, from: Option<usize>, row: Row<'a>) -> Cell<'a> {
        match (self.places.get(at), from) {
            (Some(Place::Row), Some(from)) => row.cell(from),
            (Some(Place::Text(start, end)), _) => Cell::Text(&self.text[*start..*end]),
            _ => Cell::Null,
        }
    }
}

impl Rows {
    /// Appends what becomes of a row.
    pub(crate) fn row(&mut self, row: Row<'_>, out: &mut Batch) -> Result<()> {
        self.values.places.clear();
        self.values.unique.clear();
        self.values.text.clear();
        self.values.text.shrink_to(1 << 20);
        for at in 0..self.columns.len() {
            if let Err(unfit) = self.judge(at, row) {
                self.violation(at, unfit, row)?;
            }
        }
        let start = out.mark();
        self.write(row, out)?;
        let is_deletion = self.deleted.is_some_and(|at| is_text(row.cell(at)));
        if is_deletion && self.row_hash.is_some() {
            return Err(Error::new(ErrorKind::Config, "cannot make the row hash of a deletion")
                .with("reason", "it has no values, and so not the hash of the row that it deletes")
                .with("line", row.line())
                .hint("remove `row_hash`: the stream needs its own key"));
        }
        if let Some(row_hash) = &mut self.row_hash {
            let mut watch = self.watch.borrow_mut();
            let sum = row_hash.hash(|at| out.cell_since(start, at), &mut watch.counts)?;
            let Some(sum) = sum else {
                // A row that came before is left out, and no rule counts it.
                out.rollback(start);
                return Ok(());
            };
            out.push_with(|out| {
                hex_into(&sum, out);
                Ok(())
            })?;
        }
        // Rules count rows, and a deletion is none.
        if is_deletion { Ok(()) } else { self.count(row) }
    }

    /// Converts a value and judges it.
    fn judge(&mut self, at: usize, row: Row<'_>) -> Result<(), Unfit> {
        let Out { from, work, name, .. } = &mut self.columns[at];
        let values = &mut self.values;
        let Work::Judge(judge) = work else {
            values.places.push(Place::Row);
            return Ok(());
        };
        let cell = from.map(|from| row.cell(from));
        let Some(Cell::Text(text)) = cell else {
            values.places.push(Place::Row);
            let refused = Unfit("it is required, and there is no value");
            // A deletion has the key, and needs no other value.
            let may_lack =
                self.deleted.is_some_and(|at| is_text(row.cell(at))) && !self.keys.contains(name);
            return if judge.required && !may_lack { Err(refused) } else { Ok(()) };
        };
        let start = values.text.len();
        if judge.converter.copies() {
            values.places.push(Place::Row);
        } else {
            // Until it is known to fit, it is null.
            values.places.push(Place::Null);
            judge.converter.convert(text, &mut values.text)?;
            values.places[at] = Place::Text(start, values.text.len());
        }
        let Cell::Text(value) = values.cell(at, *from, row) else { return Ok(()) };
        judge.checks.iter().try_for_each(|check| check.judge(judge.kind, value))?;
        if let Some(parts) = &judge.parts
            && let Err(misfit) = parts.judge(value)
        {
            values.part = Some(misfit.path());
            return Err(misfit.reason);
        }
        if judge.unique
            && let Some(known) = self.watch.borrow().known.get(name)
        {
            let sum = known.sum([(judge.kind, value)]);
            if known.has(sum) {
                return Err(Unfit("the value came before, and is unique"));
            }
            self.values.unique.push((at, sum));
        }
        Ok(())
    }

    /// Says what becomes of a value that breaches the contract, or of its row.
    #[cold]
    fn violation(&mut self, at: usize, unfit: Unfit, row: Row<'_>) -> Result<()> {
        let Out { name, work, .. } = &self.columns[at];
        let may_be_null = match work {
            Work::Judge(judge) => judge.nullable && !judge.required,
            _ => false,
        };
        if self.on_violation == OnViolation::Null && may_be_null {
            self.values.part = None;
            self.values.places[at] = Place::Null;
            let mut watch = self.watch.borrow_mut();
            *watch.nulled.entry(name.clone()).or_default() += 1;
            return Ok(());
        }
        let failure = Error::new(ErrorKind::Data, "a value breaches the contract of its stream")
            .with("column", name);
        let failure = match self.values.part.take().filter(|part| !part.is_empty()) {
            Some(part) => failure.with("part", part),
            None => failure,
        };
        let failure = failure.with("reason", unfit.0);
        // The values of the columns behind it may not be known yet.
        self.values.places[at] = Place::Null;
        for behind in self.values.places.len()..self.columns.len() {
            let _ = self.judge(behind, row);
        }
        let failure = failure.showing(self.record(row));
        Err(match self.on_violation {
            OnViolation::Fail => {
                let types = self.made_from.as_ref().map_or_else(
                    || "the contract".to_owned(),
                    |file| format!("`schema` of {file}"),
                );
                failure
                    .ending_run()
                    .hint(format!("correct the source or {types}, or set `on_violation: reject`"))
            }
            _ => failure,
        })
    }

    /// Counts a row that passes, for the rules of the stream.
    fn count(&mut self, row: Row<'_>) -> Result<()> {
        let Self { columns, values, watch, keys, .. } = self;
        let mut watch = watch.borrow_mut();
        let Watch { rows, counters, known, .. } = &mut *watch;
        *rows += 1;
        for (at, sum) in &values.unique {
            let name = &columns[*at].name;
            if let Some(known) = known.get_mut(name) {
                known.is_new(*sum, name)?;
            }
        }
        for counter in counters {
            let cell = |at: usize| values.cell(at, columns[at].from, row);
            let place = || {
                let key = keys.iter().filter_map(|key| {
                    let at = columns.iter().position(|column| column.name == *key)?;
                    let is_protected = matches!(&columns[at].work, Work::Judge(judge)
                        if !matches!(judge.protect, Protect::Not));
                    match values.cell(at, columns[at].from, row) {
                        Cell::Text(text) if !is_protected => {
                            Some(format!("{key} {}", String::from_utf8_lossy(text)))
                        }
                        _ => None,
                    }
                });
                let key: Vec<String> = key.collect();
                if key.is_empty() {
                    format!("line {}", row.line())
                } else {
                    format!("line {} ({})", row.line(), key.join(", "))
                }
            };
            counter.take(cell, place)?;
        }
        Ok(())
    }

    /// Writes the cells, protected.
    fn write(&mut self, row: Row<'_>, out: &mut Batch) -> Result<()> {
        for at in 0..self.columns.len() {
            let Out { from, work, .. } = &mut self.columns[at];
            let judge = match work {
                Work::Copy => {
                    out.push_cell(from.map_or(Cell::Null, |from| row.cell(from)));
                    continue;
                }
                Work::Null => {
                    out.push_null();
                    continue;
                }
                Work::Judge(judge) if matches!(judge.protect, Protect::LeftOut) => continue,
                Work::Judge(judge) => judge,
            };
            let cell = self.values.cell(at, *from, row);
            let Cell::Text(text) = cell else {
                out.push_cell(cell);
                continue;
            };
            let pushed = match &mut judge.protect {
                Protect::Not | Protect::LeftOut => {
                    out.push(text);
                    Ok(())
                }
                Protect::Value(protector) if protector.is_null() => {
                    out.push_null();
                    Ok(())
                }
                Protect::Value(protector) => {
                    out.push_with(|out| protector.apply(judge.kind, text, out))
                }
                Protect::Parts(node) => out.push_with(|out| node.apply(text, out)),
            };
            if let Err(unfit) = pushed {
                self.violation(at, unfit, row)?;
                out.push_null();
            }
        }
        Ok(())
    }

    /// Returns what rejects may hold of a row: protected where the contract says so, else as it
    /// came. What cannot be protected is null.
    #[cold]
    fn record(&mut self, row: Row<'_>) -> Vec<u8> {
        let mut record = vec![b'{'];
        for (at, column) in self.columns.iter_mut().enumerate() {
            let Some(from) = column.from else { continue };
            let raw = row.cell(from);
            if raw == Cell::Absent || column.is_left_out() {
                continue;
            }
            if record.len() > 1 {
                record.push(b',');
            }
            string_into(column.name.as_bytes(), &mut record);
            record.push(b':');
            let Cell::Text(raw) = raw else {
                record.extend_from_slice(b"null");
                continue;
            };
            let judge = match &mut column.work {
                Work::Copy => None,
                Work::Null => {
                    record.extend_from_slice(b"null");
                    continue;
                }
                Work::Judge(judge) => Some(judge),
            };
            match judge.map(|judge| (judge.kind, &mut judge.protect)) {
                None | Some((_, Protect::Not)) => json_into(column.kind_before, raw, &mut record),
                Some((kind, protect)) => {
                    let known = self.values.places.get(at);
                    let is_known = known.is_some_and(|place| !matches!(place, Place::Null));
                    let value = self.values.cell(at, column.from, row);
                    match (is_known, value) {
                        (true, Cell::Text(text)) => {
                            protected_into(protect, kind, text, &mut record);
                        }
                        _ => record.extend_from_slice(b"null"),
                    }
                }
            }
        }
        record.push(b'}');
        record
    }
}

fn is_text(cell: Cell<'_>) -> bool {
    matches!(cell, Cell::Text(_))
}

fn protected_into(protect: &mut Protect, kind: Kind, text: &[u8], out: &mut Vec<u8>) {
    let mut shown = Vec::new();
    let (done, is_text) = match protect {
        Protect::Not | Protect::LeftOut => return,
        Protect::Value(protector) if protector.is_null() => (Err(Unfit("")), false),
        Protect::Value(protector) => {
            (protector.apply(kind, text, &mut shown), protector.writes_text(kind))
        }
        Protect::Parts(node) => (node.apply(text, &mut shown), false),
    };
    match (done, is_text) {
        (Err(_), _) => out.extend_from_slice(b"null"),
        (Ok(()), true) => string_into(&shown, out),
        (Ok(()), false) => out.extend_from_slice(&shown),
    }
}

/// Appends a value in canonical text as JSON.
fn json_into(kind: Kind, text: &[u8], out: &mut Vec<u8>) {
    let is_bare = match kind {
        Kind::Boolean | Kind::Integer | Kind::Json => true,
        Kind::Number => !matches!(text, b"NaN" | b"Infinity" | b"-Infinity"),
        _ => false,
    };
    if is_bare { out.extend_from_slice(text) } else { string_into(text, out) }
}
