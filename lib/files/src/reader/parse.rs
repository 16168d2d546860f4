//! Splits one record into fields.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::count_line_ends;
use crate::dialect::Dialect;
use crate::scan::Needles;

/// A field: where its text lies, in the record's bytes or in the scratch buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    start: u32,
    end: u32,
    flags: u8,
}

const QUOTED: u8 = 1;
const SCRATCH: u8 = 2;

impl Field {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the dialect limits records to 1 GiB")]
    fn new(start: usize, end: usize, flags: u8) -> Self {
        Self { start: start as u32, end: end as u32, flags }
    }

    #[inline]
    pub(super) fn quoted(self) -> bool {
        self.flags & QUOTED != 0
    }

    /// Returns where its text lies.
    #[inline]
    pub(super) fn place(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    #[inline]
    pub(super) fn text<'a>(self, raw: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let text = if self.flags & SCRATCH == 0 { raw } else { scratch };
        &text[self.place()]
    }
}

/// Why a record was not split.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// It does not end in these bytes; `quote` is where a quote is still open.
    More { quote: Option<usize> },
    /// It is wrong at this position.
    Fault(Fault, usize),
}

/// What stands behind a closing quote.
#[derive(Clone, Copy)]
enum Behind {
    /// The field ends here.
    End(usize),
    /// What follows the bytes that there are says it.
    More,
    Text,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    OpenQuote,
    AfterQuote,
    OverLines,
    InsideText,
    TooLong,
}

impl Fault {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::OpenQuote => "cannot find the end of a quoted field",
            Self::AfterQuote => "cannot read text after a closing quote",
            Self::OverLines => "cannot find the end of a quoted field of several lines",
            Self::InsideText => "cannot read a quote inside an unquoted field",
            Self::TooLong => "cannot hold a record of this size",
        }
    }
}

/// Splits records; keeps the memory of the last.
#[derive(Debug)]
pub(super) struct Parser {
    pub(super) dialect: Dialect,
    pub(super) fields: Vec<Field>,
    /// Texts that are not in the file as such: with quotes undoubled or escapes removed.
    pub(super) scratch: Vec<u8>,
    /// The unquoted fields that escapes were removed from, and where they lie in the file.
    pub(super) escaped: Vec<(usize, Range<usize>)>,
    /// A quoted field of the last record has text behind its closing quote.
    pub(super) odd_quotes: bool,
    /// The first byte of the delimiter.
    delimiter: u8,
    plain: Needles<3>,
    special: Option<Needles<5>>,
}

/// Whether a field ends at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Yes,
    No,
    /// What follows the bytes that there are says it.
    Unknown,
}

impl Parser {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let delimiter = dialect.delimiter.first();
        let strict_quote = dialect.quote.filter(|_| dialect.strict);
        let special = (strict_quote.is_some() || dialect.escape.is_some()).then(|| {
            let quote = strict_quote.unwrap_or(delimiter);
            let escape = dialect.escape.unwrap_or(delimiter);
            Needles::new([delimiter, b'\n', b'\r', quote, escape])
        });
        Self {
            dialect: *dialect,
            fields: Vec::new(),
            scratch: Vec::new(),
            escaped: Vec::new(),
            odd_quotes: false,
            delimiter,
            plain: Needles::new([delimiter, b'\n', b'\r']),
            special,
        }
    }

    /// Splits the record at the start of `text`; `ended` says that nothing follows it.
    /// Returns its length without and with its line end, and the line ends inside of it.
    #[inline]
    pub(super) fn parse(&mut self, text: &[u8], ended: bool) -> Result<(usize, usize, u64), Stop> {
        if self.dialect.delimiter.is_long() {
            return self.parse_long(text, ended);
        }
        self.split::<false>(text, ended)
    }

    /// Splits a record with a delimiter of several bytes.
    #[inline(never)]
    fn parse_long(&mut self, text: &[u8], ended: bool) -> Result<(usize, usize, u64), Stop> {
        self.split::<true>(text, ended)
    }

    /// Splits a record. With a `LONG` delimiter its first byte alone ends no field, so wherever a
    /// field ends at that byte, the whole of it is there.
    #[inline]
    fn split<const LONG: bool>(
        &mut self,
        text: &[u8],
        ended: bool,
    ) -> Result<(usize, usize, u64), Stop> {
        self.fields.clear();
        self.scratch.clear();
        self.escaped.clear();
        self.odd_quotes = false;
        let delimiter = self.delimiter;
        let width = if LONG { self.dialect.delimiter.as_bytes().len() } else { 1 };
        let mut line_ends = 0;
        let mut at = 0;
        loop {
            if self.dialect.skip_initial_space {
                at += text[at..].iter().take_while(|byte| **byte == b' ').count();
            }
            let begin = at;
            at = match text.get(at) {
                Some(byte) if Some(*byte) == self.dialect.quote => {
                    let end = self.quoted::<LONG>(text, ended, at)?;
                    line_ends += inner_line_ends(&text[begin..end]);
                    end
                }
                _ if self.special.is_none() => {
                    let end = self.plain_end::<LONG>(text, ended, at)?;
                    self.fields.push(Field::new(at, end, 0));
                    end
                }
                _ => {
                    let (end, inner) = self.special::<LONG>(text, ended, at)?;
                    line_ends += inner;
                    end
                }
            };
            match text.get(at) {
                Some(byte) if *byte == delimiter => at += width,
                Some(b'\n') => return Ok((at, at + 1, line_ends)),
                Some(_) if text.get(at + 1) == Some(&b'\n') => return Ok((at, at + 2, line_ends)),
                Some(_) if at + 1 < text.len() || ended => return Ok((at, at + 1, line_ends)),
                None if ended => return Ok((at, at, line_ends)),
                _ => return Err(Stop::More { quote: None }),
            }
        }
    }

    /// Returns where a text without quotes and escapes ends.
    #[inline]
    fn plain_end<const LONG: bool>(
        &self,
        text: &[u8],
        ended: bool,
        from: usize,
    ) -> Result<usize, Stop> {
        let mut at = self.plain.find(text, from);
        while LONG && at < text.len() {
            match self.ends::<LONG>(text, ended, at) {
                Ends::Yes => break,
                Ends::No => at = self.plain.find(text, at + 1),
                Ends::Unknown => return Err(Stop::More { quote: None }),
            }
        }
        Ok(at)
    }

    /// Tells whether a field ends at a byte that is there.
    #[inline]
    fn ends<const LONG: bool>(&self, text: &[u8], ended: bool, at: usize) -> Ends {
        let byte = text[at];
        if matches!(byte, b'\n' | b'\r') {
            return Ends::Yes;
        }
        if byte != self.delimiter {
            return Ends::No;
        }
        let delimiter = self.dialect.delimiter.as_bytes();
        if !LONG || text[at..].starts_with(delimiter) {
            return Ends::Yes;
        }
        let is_cut = !ended && delimiter.starts_with(&text[at..]);
        if is_cut { Ends::Unknown } else { Ends::No }
    }

    /// Reads a quoted field from its opening quote; returns where it ends.
    fn quoted<const LONG: bool>(
        &mut self,
        text: &[u8],
        ended: bool,
        open: usize,
    ) -> Result<usize, Stop> {
        let quote = text[open];
        let unfinished = if ended {
            Stop::Fault(Fault::OpenQuote, open)
        } else {
            Stop::More { quote: Some(open) }
        };
        let scratch = self.scratch.len();
        let mut from = open + 1;
        let mut copied = false;
        loop {
            let rest = text.get(from..).unwrap_or_default();
            let found = match self.dialect.escape {
                None => memchr(quote, rest),
                Some(escape) => memchr2(quote, escape, rest),
            };
            let Some(found) = found else { return Err(unfinished) };
            let hit = from + found;
            let next = text.get(hit + 1).copied();
            if text[hit] != quote {
                let Some(next) = next else { return Err(unfinished) };
                self.scratch.extend_from_slice(&text[from..hit]);
                self.scratch.push(next);
                (copied, from) = (true, hit + 2);
                continue;
            }
            match next {
                None if !ended => return Err(unfinished),
                Some(byte) if byte == quote && self.dialect.double_quote => {
                    self.scratch.extend_from_slice(&text[from..=hit]);
                    (copied, from) = (true, hit + 2);
                    continue;
                }
                _ => {}
            }
            let end = match self.behind_quote::<LONG>(text, ended, hit + 1) {
                Behind::End(end) => end,
                Behind::More => return Err(unfinished),
                Behind::Text if self.dialect.strict => {
                    return Err(Stop::Fault(Fault::AfterQuote, hit + 1));
                }
                Behind::Text => return self.odd::<LONG>(text, ended, open, hit),
            };
            if copied {
                self.scratch.extend_from_slice(&text[from..hit]);
                self.push_scratch(scratch, QUOTED);
            } else {
                self.fields.push(Field::new(from, hit, QUOTED));
            }
            return Ok(end);
        }
    }

    /// Looks at what stands behind a closing quote: the end of the field, but for blanks.
    #[inline]
    fn behind_quote<const LONG: bool>(&self, text: &[u8], ended: bool, from: usize) -> Behind {
        let mut at = from;
        loop {
            let Some(byte) = text.get(at) else {
                return if ended { Behind::End(at) } else { Behind::More };
            };
            match self.ends::<LONG>(text, ended, at) {
                Ends::Yes => return Behind::End(at),
                Ends::Unknown => return Behind::More,
                // Blanks that pad a column stand outside of its quotes.
                Ends::No if matches!(byte, b' ' | b'\t') && !self.dialect.strict => at += 1,
                Ends::No => return Behind::Text,
            }
        }
    }

    /// Reads a quoted field with text behind its closing quote; returns where it ends.
    #[cold]
    fn odd<const LONG: bool>(
        &mut self,
        text: &[u8],
        ended: bool,
        open: usize,
        close: usize,
    ) -> Result<usize, Stop> {
        // A quote that is missing, or one too many, makes one field of several lines, and rows
        // would be lost in it.
        if memchr2(b'\n', b'\r', &text[open..close]).is_some() {
            return Err(Stop::Fault(Fault::OverLines, open));
        }
        // Nobody can tell which of its quotes are text: it stays as it stands, so that none is
        // lost.
        let scratch = self.scratch.len();
        let end = self.literal::<LONG>(text, ended, close + 1)?;
        self.scratch.truncate(scratch);
        self.odd_quotes = true;
        self.fields.push(Field::new(open, end, QUOTED));
        Ok(end)
    }

    /// Reads an unquoted field where more than its end is special; returns where it ends, and the
    /// line ends inside of it, which only an escape can put there.
    #[inline]
    fn special<const LONG: bool>(
        &mut self,
        text: &[u8],
        ended: bool,
        from: usize,
    ) -> Result<(usize, u64), Stop> {
        let mut stop = from;
        loop {
            stop = self.special.as_ref().map_or(text.len(), |special| special.find(text, stop));
            match text.get(stop).copied() {
                Some(byte) if Some(byte) == self.dialect.escape => {
                    let scratch = self.scratch.len();
                    let end = self.literal::<LONG>(text, ended, from)?;
                    self.escaped.push((self.fields.len(), from..end));
                    self.push_scratch(scratch, 0);
                    return Ok((end, inner_line_ends(&text[from..end])));
                }
                Some(byte) if Some(byte) == self.dialect.quote => {
                    return Err(Stop::Fault(Fault::InsideText, stop));
                }
                Some(_) if LONG => match self.ends::<LONG>(text, ended, stop) {
                    Ends::Yes => {}
                    Ends::No => {
                        stop += 1;
                        continue;
                    }
                    Ends::Unknown => return Err(Stop::More { quote: None }),
                },
                _ => {}
            }
            self.fields.push(Field::new(from, stop, 0));
            return Ok((stop, 0));
        }
    }

    /// Copies text up to the end of the field, where quotes mean nothing and escapes do.
    fn literal<const LONG: bool>(
        &mut self,
        text: &[u8],
        ended: bool,
        mut from: usize,
    ) -> Result<usize, Stop> {
        loop {
            let end = self.plain_end::<LONG>(text, ended, from)?;
            let escape = self.dialect.escape.and_then(|escape| memchr(escape, &text[from..end]));
            let Some(found) = escape else {
                self.scratch.extend_from_slice(&text[from..end]);
                return Ok(end);
            };
            let hit = from + found;
            self.scratch.extend_from_slice(&text[from..hit]);
            match text.get(hit + 1) {
                Some(next) => self.scratch.push(*next),
                // Nothing follows for it to escape, so it stands for itself.
                None if ended => {
                    self.scratch.push(text[hit]);
                    return Ok(text.len());
                }
                None => return Err(Stop::More { quote: None }),
            }
            from = hit + 2;
        }
    }

    #[inline]
    fn push_scratch(&mut self, start: usize, flags: u8) {
        self.fields.push(Field::new(start, self.scratch.len(), flags | SCRATCH));
    }
}

#[inline]
fn inner_line_ends(text: &[u8]) -> u64 {
    if memchr2(b'\n', b'\r', text).is_none() { 0 } else { count_line_ends(text) }
}
