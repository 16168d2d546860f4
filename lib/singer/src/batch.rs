//! The row form: the text of all cells in one buffer, and where each cell lies in it.

/// Rows of one stream. Cleared and reused, so that no row allocates after warm-up.
#[derive(Debug, Default)]
pub struct Batch {
    width: usize,
    text: Vec<u8>,
    cells: Vec<Span>,
    /// The line of the input that each row came from; empty where rows come from no lines.
    lines: Vec<u64>,
}

impl Clone for Batch {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.clone_from(self);
        copy
    }

    /// Reuses the memory there is.
    fn clone_from(&mut self, source: &Self) {
        self.width = source.width;
        self.text.clone_from(&source.text);
        self.cells.clone_from(&source.cells);
        self.lines.clone_from(&source.lines);
    }
}

/// Where a cell lies in the text of its batch; 8 bytes, two sentinels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    length: u32,
}

impl Span {
    const NULL: Self = Self { start: 0, length: u32::MAX };
    const ABSENT: Self = Self { start: 0, length: u32::MAX - 1 };
}

/// An end of a batch, to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    text: usize,
    cells: usize,
}

impl Mark {
    /// Returns how much text lies before the mark.
    #[inline]
    pub fn text_bytes(self) -> usize {
        self.text
    }
}

/// One cell: the canonical text of a value, a null, or nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Canonical text, as [`Kind`](crate::Kind) says.
    Text(&'a [u8]),
    /// An explicit null.
    Null,
    /// The record did not have the property.
    Absent,
}

/// What a record says besides its values: the last cells of a row that was read from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `time_extracted`, its text.
    pub time_extracted: Cell<'a>,
    /// `version`, an integer.
    pub version: Cell<'a>,
}

impl Envelope<'_> {
    /// How many cells it has.
    pub const CELLS: usize = 2;
    /// The place of `time_extracted` among them.
    pub const TIME_EXTRACTED: usize = 0;
    /// The place of `version` among them.
    pub const VERSION: usize = 1;
}

impl Batch {
    /// The text size at which a batch is handed on.
    pub const TEXT_BYTES: usize = 1 << 20;

    /// Makes an empty batch of `width` cells a row.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Empties the batch, keeps its memory and sets the width of the rows to come.
    pub fn reset(&mut self, width: usize) {
        self.width = width;
        self.text.clear();
        // One giant row must not keep its memory for the rest of the run.
        self.text.shrink_to(4 * Self::TEXT_BYTES);
        self.cells.clear();
        self.lines.clear();
    }

    /// Notes which line of the input the last row came from.
    #[inline]
    pub fn note_line(&mut self, line: u64) {
        self.lines.push(line);
    }

    /// Returns the line of the input that a row came from; 0 where that is not known.
    pub fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default()
    }

    /// Returns how many cells a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns how many whole rows there are.
    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Tells whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Returns the bytes of text held.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Tells whether it is time to hand the batch on: enough text or, for rows of nulls, cells.
    pub fn is_full(&self) -> bool {
        self.text.len() >= Self::TEXT_BYTES || self.cells.len() >= Self::TEXT_BYTES / 8
    }

    /// Appends a cell with this text.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.cells.push(Span { start: narrow(start), length: narrow(text.len()) });
    }

    /// Appends text for cells that [`Batch::push_within`] appends; returns where it starts.
    #[inline]
    pub fn push_text(&mut self, text: &[u8]) -> usize {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        start
    }

    /// Appends a cell whose text is there already.
    #[inline]
    pub fn push_within(&mut self, start: usize, length: usize) {
        debug_assert!(start + length <= self.text.len());
        self.cells.push(Span { start: narrow(start), length: narrow(length) });
    }

    /// Appends a null cell.
    #[inline]
    pub fn push_null(&mut self) {
        self.cells.push(Span::NULL);
    }

    /// Appends an absent cell.
    #[inline]
    pub fn push_absent(&mut self) {
        self.cells.push(Span::ABSENT);
    }

    /// Appends a cell whose text `fill` appends to the buffer; on failure nothing is kept.
    #[inline]
    pub fn push_with<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        match fill(&mut self.text) {
            Ok(()) => {
                let length = self.text.len() - start;
                self.cells.push(Span { start: narrow(start), length: narrow(length) });
                Ok(())
            }
            Err(failure) => {
                self.text.truncate(start);
                Err(failure)
            }
        }
    }

    /// Starts a row of absent cells, to be set in any order by [`Batch::set_with`].
    #[inline]
    pub fn begin_row(&mut self) {
        self.cells.resize(self.cells.len() + self.width, Span::ABSENT);
    }

    /// Sets a cell of the last row to the text that `fill` appends.
    #[inline]
    pub fn set_with<E>(
        &mut self,
        column: usize,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        fill(&mut self.text)?;
        let length = self.text.len() - start;
        let at = self.cells.len() - self.width + column;
        self.cells[at] = Span { start: narrow(start), length: narrow(length) };
        Ok(())
    }

    /// Sets a cell of the last row to null.
    #[inline]
    pub fn set_null(&mut self, column: usize) {
        let at = self.cells.len() - self.width + column;
        self.cells[at] = Span::NULL;
    }

    /// Sets a cell of the last row; a text that equals the one in the row before is not copied.
    /// Tells whether it is another one.
    #[inline]
    pub fn set_or_repeat(&mut self, column: usize, text: &[u8]) -> bool {
        let at = self.cells.len() - self.width + column;
        if at >= self.width && self.read(self.cells[at - self.width]) == Cell::Text(text) {
            self.cells[at] = self.cells[at - self.width];
            return false;
        }
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.cells[at] = Span { start: narrow(start), length: narrow(text.len()) };
        true
    }

    /// Tells whether a cell of the last row is absent.
    #[inline]
    pub fn is_last_absent(&self, column: usize) -> bool {
        self.cells[self.cells.len() - self.width + column] == Span::ABSENT
    }

    /// Makes an absent cell of the last row null.
    #[inline]
    pub fn absent_to_null(&mut self, column: usize) {
        if self.is_last_absent(column) {
            self.set_null(column);
        }
    }

    /// Returns where the batch ends now, for [`Batch::rollback`].
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { text: self.text.len(), cells: self.cells.len() }
    }

    /// Returns how many cells came after the mark.
    pub fn cells_since(&self, mark: Mark) -> usize {
        self.cells.len() - mark.cells
    }

    /// Returns a cell that came after the mark, by how many came before it.
    #[inline]
    pub fn cell_since(&self, mark: Mark, at: usize) -> Cell<'_> {
        self.read(self.cells[mark.cells + at])
    }

    /// Takes back all that came after the mark.
    pub fn rollback(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.cells.truncate(mark.cells);
    }

    /// Returns a cell.
    #[inline]
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        self.read(self.cells[row * self.width + column])
    }

    /// Returns the envelope of a row that has one.
    #[inline]
    pub fn envelope(&self, row: usize) -> Envelope<'_> {
        let from = self.width - Envelope::CELLS;
        Envelope {
            time_extracted: self.cell(row, from + Envelope::TIME_EXTRACTED),
            version: self.cell(row, from + Envelope::VERSION),
        }
    }

    /// Appends a copy of a cell.
    #[inline]
    pub fn push_cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Text(text) => self.push(text),
            Cell::Null => self.push_null(),
            Cell::Absent => self.push_absent(),
        }
    }

    /// Returns the cells of a row in column order.
    #[inline]
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = Cell<'_>> {
        self.cells[row * self.width..(row + 1) * self.width].iter().map(|span| self.read(*span))
    }

    #[inline]
    fn read(&self, span: Span) -> Cell<'_> {
        if span.length < Span::ABSENT.length {
            Cell::Text(&self.text[span.start as usize..][..span.length as usize])
        } else if span == Span::NULL {
            Cell::Null
        } else {
            Cell::Absent
        }
    }
}

/// Records are limited in size long before this, so a batch never nears 4 GiB.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "records are limited far below 4 GiB")]
fn narrow(bytes: usize) -> u32 {
    debug_assert!(u32::try_from(bytes).is_ok_and(|bytes| bytes < Span::ABSENT.length));
    bytes as u32
}
