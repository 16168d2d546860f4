//! A line of COPY data that is being written: in the text format, or in the binary one.

use pg::copy_binary::{self, Type};
use pg::copy_text;

/// How the data of a COPY is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Binary,
}

impl Format {
    /// Returns the statement whose data has this format, by that of the text format.
    pub fn statement(self, copy: &str) -> String {
        match self {
            Self::Text => copy.to_owned(),
            Self::Binary => format!("{copy} (FORMAT binary)"),
        }
    }
}

/// One line at the end of the data.
pub struct Line<'a> {
    /// Its format.
    pub format: Format,
    /// How many lines of its batch are before it.
    pub before: usize,
    /// The data.
    pub out: &'a mut Vec<u8>,
    start: usize,
    fields: u16,
}

impl<'a> Line<'a> {
    /// Begins a line.
    #[inline]
    pub fn begin(format: Format, before: usize, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        if format == Format::Binary {
            out.extend_from_slice(&[0; 2]);
        }
        Self { format, before, out, start, fields: 0 }
    }

    /// Ends the line.
    #[inline]
    pub fn end(self) {
        match self.format {
            Format::Text => {
                // The last tab.
                if self.out.len() > self.start {
                    self.out.pop();
                }
                self.out.push(b'\n');
            }
            Format::Binary => {
                self.out[self.start..self.start + 2].copy_from_slice(&self.fields.to_be_bytes());
            }
        }
    }

    /// Takes note of a field that was appended.
    #[inline]
    pub fn count(&mut self) {
        match self.format {
            Format::Text => self.out.push(b'\t'),
            Format::Binary => self.fields += 1,
        }
    }

    /// Appends a value by its text. Tells whether the format has it: if not, the line means
    /// nothing.
    #[inline]
    pub fn push(&mut self, text: &[u8], kind: Option<Type>) -> bool {
        let pushed = match self.format {
            Format::Text => {
                copy_text::escape(text, self.out);
                true
            }
            Format::Binary => kind.is_some_and(|kind| kind.push(text, self.out)),
        };
        self.count();
        pushed
    }

    /// Appends a null.
    #[inline]
    pub fn push_null(&mut self) {
        match self.format {
            Format::Text => self.out.extend_from_slice(copy_text::NULL),
            Format::Binary => self.out.extend_from_slice(&copy_binary::NULL),
        }
        self.count();
    }

    /// Appends a number of type `bigint`.
    pub fn push_number(&mut self, number: u64) {
        match self.format {
            Format::Text => push_digits(number, self.out),
            Format::Binary => {
                self.out.extend_from_slice(&8_u32.to_be_bytes());
                self.out.extend_from_slice(&number.to_be_bytes());
            }
        }
        self.count();
    }

    /// Appends an array of type `smallint[]`, or null for no number; tells whether there was one.
    pub fn push_places(&mut self, numbers: impl Iterator<Item = usize>) -> bool {
        let start = self.out.len();
        match self.format {
            Format::Text => push_text_array(numbers, self.out),
            Format::Binary => copy_binary::smallints(numbers, self.out),
        }
        let some = self.out.len() > start;
        if some {
            self.count();
        } else {
            self.push_null();
        }
        some
    }
}

fn push_text_array(numbers: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    let start = out.len();
    for number in numbers {
        out.push(if out.len() == start { b'{' } else { b',' });
        push_digits(number as u64, out);
    }
    if out.len() > start {
        out.push(b'}');
    }
}

fn push_digits(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.extend(u8::try_from(number % 10).map(|digit| b'0' + digit));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, write: impl FnOnce(&mut Line<'_>)) -> Vec<u8> {
        let mut out = b"x".to_vec();
        let mut line = Line::begin(format, 0, &mut out);
        write(&mut line);
        line.end();
        out.split_off(1)
    }

    #[test]
    fn writes_numbers() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let written = line(Format::Text, |line| line.push_number(number));
            assert_eq!(written, format!("{number}\n").into_bytes());
        }
    }

    #[test]
    fn has_the_same_fields_in_both_formats() {
        let write = |line: &mut Line<'_>| {
            assert!(line.push(b"a\t", Some(Type::Text)));
            line.push_null();
            assert!(line.push_places([0, 300].into_iter()));
            assert!(!line.push_places(std::iter::empty()));
            line.push_number(1);
        };
        assert_eq!(line(Format::Text, write), b"a\\t\t\\N\t{0,300}\t\\N\t1\n");
        let mut expected = vec![0, 5, 0, 0, 0, 2, b'a', b'\t'];
        expected.extend_from_slice(&copy_binary::NULL);
        expected.extend_from_slice(&[0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21]);
        expected.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 1]);
        expected.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 1, 44]);
        expected.extend_from_slice(&copy_binary::NULL);
        expected.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(line(Format::Binary, write), expected);
        assert_eq!(line(Format::Text, |_| {}), b"\n");
        assert_eq!(line(Format::Binary, |_| {}), [0, 0]);
    }
}
