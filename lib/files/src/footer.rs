//! Holds back the last lines of a text, which are no records.

use std::collections::VecDeque;
use std::io::{self, Read};

use memchr::memchr2;
use singer::{Error, ErrorKind};

/// A text without its last lines.
///
/// Lines are those of an editor, whatever their quotes: blank ones count, and the end of the last
/// line begins no other. Memory is a block and the lines that are held back.
pub(crate) struct WithoutFooter<R> {
    input: R,
    /// How many lines are held back.
    lines: usize,
    /// How many bytes they may have.
    bytes_max: usize,
    held: Vec<u8>,
    /// Up to where the bytes have been handed out.
    at: usize,
    /// Up to where they may be.
    free: usize,
    /// Up to where line ends were looked for.
    seen: usize,
    /// Where the last lines begin, as many as are held back at most.
    starts: VecDeque<usize>,
    /// A line has ended, and another one begins if a byte follows.
    has_ended: bool,
    ended: bool,
}

/// How much is read at once.
const BLOCK_BYTES: usize = 64 << 10;

impl<R: Read> WithoutFooter<R> {
    /// Holds back so many lines.
    pub(crate) fn new(input: R, lines: usize, bytes_max: usize) -> Self {
        Self {
            input,
            lines,
            bytes_max,
            held: Vec::new(),
            at: 0,
            free: 0,
            seen: 0,
            starts: VecDeque::new(),
            has_ended: true,
            ended: false,
        }
    }

    /// Reads a block, and finds out what of it is not among the last lines.
    fn fill(&mut self) -> io::Result<()> {
        self.forget();
        let filled = self.held.len();
        self.held.resize(filled + BLOCK_BYTES, 0);
        let read = self.input.read(&mut self.held[filled..]);
        self.held.truncate(filled + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
        self.find_lines();
        if self.starts.len() == self.lines {
            self.free = self.starts[0];
        }
        if self.held.len() - self.free > self.bytes_max.saturating_add(BLOCK_BYTES) {
            return Err(io::Error::other(
                Error::new(ErrorKind::Data, "the lines of `skip_footer` are too long")
                    .with("skip_footer", self.lines)
                    .with("bytes_max", self.bytes_max)
                    .hint(
                        "check whether the file has line ends at all; else raise \
                           `max_record_bytes`",
                    ),
            ));
        }
        Ok(())
    }

    /// Finds where lines begin in what was read last.
    fn find_lines(&mut self) {
        while self.seen < self.held.len() {
            let rest = &self.held[self.seen..];
            if self.has_ended {
                self.starts.push_back(self.seen);
                if self.starts.len() > self.lines {
                    self.starts.pop_front();
                }
                self.has_ended = false;
            }
            let Some(found) = memchr2(b'\n', b'\r', rest) else {
                self.seen = self.held.len();
                return;
            };
            let follows = rest.get(found + 1);
            // Whether a line feed belongs to this line end is not known yet.
            if rest[found] == b'\r' && follows.is_none() && !self.ended {
                self.seen += found;
                return;
            }
            let is_pair = rest[found] == b'\r' && follows == Some(&b'\n');
            self.seen += found + 1 + usize::from(is_pair);
            self.has_ended = true;
        }
    }

    /// Drops what has been handed out, where that is more than what is held back.
    fn forget(&mut self) {
        let gone = self.at;
        if gone * 2 < self.held.len() {
            return;
        }
        self.held.drain(..gone);
        (self.at, self.free, self.seen) = (0, self.free - gone, self.seen - gone);
        self.starts.iter_mut().for_each(|start| *start -= gone);
    }
}

impl<R: Read> Read for WithoutFooter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.at == self.free {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let bytes = buffer.len().min(self.free - self.at);
        buffer[..bytes].copy_from_slice(&self.held[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testing::drip::Drip;

    use super::*;

    fn without(text: &[u8], lines: usize, drip: usize) -> Vec<u8> {
        let mut out = Vec::new();
        WithoutFooter::new(Drip(text, drip), lines, 1 << 20).read_to_end(&mut out).unwrap();
        out
    }

    /// The lines of a text, each with its end.
    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = vec![Vec::new()];
        for (at, byte) in text.iter().enumerate() {
            lines.last_mut().unwrap().push(*byte);
            if *byte == b'\n' || *byte == b'\r' && text.get(at + 1) != Some(&b'\n') {
                lines.push(Vec::new());
            }
        }
        lines.retain(|line| !line.is_empty());
        lines
    }

    #[test]
    fn the_last_lines_are_left_out() {
        for (text, count, expected) in [
            ("a\nb\nc\n", 1, "a\nb\n"),
            ("a\nb\nc", 1, "a\nb\n"),
            ("a\r\nb\r\nc\r\n", 2, "a\r\n"),
            ("a\rb\rc\r", 2, "a\r"),
            ("a\nb\n\n", 1, "a\nb\n"),
            ("a\n\n\n", 2, "a\n"),
            ("a\nb\n", 2, ""),
            ("a\nb\n", 3, ""),
            ("", 1, ""),
            ("a", 1, ""),
            ("1,\"x\ny\"\nTotal\n", 2, "1,\"x\n"),
        ] {
            for drip in [1, 2, 1000] {
                let found = without(text.as_bytes(), count, drip);
                assert_eq!(String::from_utf8(found).unwrap(), expected, "{text:?} {count} {drip}");
            }
        }
    }

    #[test]
    fn a_footer_without_line_ends_meets_a_limit() {
        let text = vec![b'x'; 1 << 20];
        let mut out = Vec::new();
        let mut input = WithoutFooter::new(&text[..], 1, 1 << 18);
        let failure = input.read_to_end(&mut out).unwrap_err();
        assert!(failure.to_string().contains("footer"), "{failure}");
        // What is handed out does not count.
        let text = b"xy\n".repeat(1 << 18);
        let mut input = WithoutFooter::new(&text[..], 1000, 1 << 12);
        input.read_to_end(&mut out).unwrap();
        assert_eq!(out.len(), text.len() - 3000);
    }

    #[test]
    fn any_text_loses_its_last_lines_alone() {
        let bytes = prop::sample::select(b"\n\n\r\ra\"".to_vec());
        let values = (prop::collection::vec(bytes, 0..40), 1_usize..6, 1_usize..9);
        testing::property::holds("footers", 2000, values, |(text, count, drip)| {
            let lines = lines(&text);
            let kept = &lines[..lines.len().saturating_sub(count)];
            prop_assert_eq!(without(&text, count, drip), kept.concat());
            Ok(())
        });
    }
}
