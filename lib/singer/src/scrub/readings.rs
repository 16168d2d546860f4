//! What each place of a text may stand for: itself, or the character that an escape there means.
//!
//! An escape may itself be escaped (`%252F`, `\\u002f`, `\u0026amp;`), so places are read in
//! layers: each layer reads the escapes that the layer before it spells. Pure.

use std::collections::BTreeMap;

/// So often may a character be escaped.
const LAYERS: usize = 3;
/// So many ways are followed from one place; more are not found in what programs write.
const WAYS_MAX: usize = 16;

/// A text and its readings.
#[derive(Debug)]
pub(super) struct Readings<'a> {
    text: &'a str,
    /// The characters that escapes mean, by where they begin, and where each ends.
    escapes: BTreeMap<usize, Vec<(char, usize)>>,
}

impl<'a> Readings<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut this = Self { text, escapes: BTreeMap::new() };
        let leads: Vec<usize> = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| matches!(byte, b'%' | b'&' | b'\\' | b'+' | b'=' | b'"' | b'\''))
            .map(|(at, _)| at)
            .collect();
        for _ in 0..LAYERS {
            let mut next = this.escapes.clone();
            for &at in &leads {
                let found = next.entry(at).or_default();
                for (lead, behind) in this.at(at) {
                    for read in this.escaped(lead, behind) {
                        if !found.contains(&read) && found.len() < WAYS_MAX {
                            found.push(read);
                        }
                    }
                }
            }
            if next == this.escapes {
                break;
            }
            this.escapes = next;
        }
        this
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns what the place may stand for, and where each reading ends.
    pub(super) fn at(&self, at: usize) -> impl Iterator<Item = (char, usize)> {
        let plain = self.text[at..].chars().next().map(|c| (c, at + c.len_utf8()));
        plain.into_iter().chain(self.escapes.get(&at).into_iter().flatten().copied())
    }

    /// Reads the rest of an escape that begins with this character.
    fn escaped(&self, lead: char, at: usize) -> Vec<(char, usize)> {
        let mut found = Vec::new();
        match lead {
            '+' => found.push((' ', at)),
            '"' => self.doubled(lead, at, &mut found),
            '\'' => {
                self.doubled(lead, at, &mut found);
                found.extend(self.word(at, "\\''").map(|end| ('\'', end)));
            }
            '%' => {
                self.doubled('%', at, &mut found);
                self.bytes(at, "%", 16, &mut found);
                self.units(at, "%u", &mut found);
            }
            '=' => self.bytes(at, "=", 16, &mut found),
            '\\' => {
                for (short, meant) in SHORT {
                    found.extend(self.word(at, short).map(|end| (*meant, end)));
                }
                self.units(at, "\\u", &mut found);
                self.bytes(at, "\\x", 16, &mut found);
                self.bytes(at, "\\", 8, &mut found);
                let braced = self.word(at, "u{").flat_map(|at| self.digits(at, 16, 1..=6));
                let braced =
                    braced.flat_map(|(code, at)| self.word(at, "}").map(move |end| (code, end)));
                let long = self.word(at, "U").flat_map(|at| self.digits(at, 16, 8..=8));
                found.extend(braced.chain(long).filter_map(of_code));
            }
            '&' => self.entity(at, &mut found),
            _ => {}
        }
        found
    }

    fn doubled(&self, c: char, at: usize, found: &mut Vec<(char, usize)>) {
        found.extend(self.at(at).filter(|(next, _)| *next == c));
    }

    /// Reads a character of UTF-8 or Latin-1 whose bytes are written as digits behind `lead`; the
    /// first character of the first one is read.
    fn bytes(&self, at: usize, lead: &str, radix: u32, found: &mut Vec<(char, usize)>) {
        let count = if radix == 16 { 2 } else { 3 };
        let next = |at: usize, lead: &str| {
            let digits = self.word(at, lead).flat_map(|at| self.digits(at, radix, count..=count));
            let byte = |(code, end): (u32, usize)| Some((u8::try_from(code).ok()?, end));
            digits.filter_map(byte).collect::<Vec<_>>()
        };
        for (first, end) in next(at, &lead[1..]) {
            found.push((char::from(first), end));
            let mut read = vec![(vec![first], end)];
            for _ in 1..first.leading_ones() {
                let longer = |(bytes, end): &(Vec<u8>, usize)| {
                    let longer = next(*end, lead).into_iter();
                    longer
                        .map(|(byte, end)| ([bytes, &[byte][..]].concat(), end))
                        .collect::<Vec<_>>()
                };
                read = read.iter().flat_map(longer).take(WAYS_MAX).collect();
            }
            found.extend(read.iter().filter_map(|(bytes, end)| {
                Some((std::str::from_utf8(bytes).ok()?.chars().next()?, *end))
            }));
        }
    }

    /// Reads a character whose UTF-16 units are written with four digits each.
    fn units(&self, at: usize, lead: &str, found: &mut Vec<(char, usize)>) {
        let next = |at: usize, lead: &str| {
            let digits = self.word(at, lead).flat_map(|at| self.digits(at, 16, 4..=4));
            let unit = |(code, end): (u32, usize)| Some((u16::try_from(code).ok()?, end));
            digits.filter_map(unit).collect::<Vec<_>>()
        };
        for (first, end) in next(at, &lead[1..]) {
            found.extend(of_code((first.into(), end)));
            // Half of a pair.
            if (0xd800..0xdc00).contains(&first) {
                let pair =
                    |(second, end)| Some((char::decode_utf16([first, second]).next()?.ok()?, end));
                found.extend(next(end, lead).into_iter().filter_map(pair));
            }
        }
    }

    /// Reads an entity of HTML or XML behind its `&`.
    fn entity(&self, at: usize, found: &mut Vec<(char, usize)>) {
        let ended = |(c, at)| (c, self.word(at, ";").next().unwrap_or(at));
        let hex = ["#x", "#X"].into_iter().flat_map(|lead| self.word(at, lead));
        let hex = hex.flat_map(|at| self.digits(at, 16, 1..=8));
        let decimal = self.word(at, "#").flat_map(|at| self.digits(at, 10, 1..=8));
        found.extend(hex.chain(decimal).filter_map(of_code).map(ended));
        for (name, meant) in NAMED {
            found.extend(self.word(at, name).map(|end| ended((*meant, end))));
        }
    }

    /// Reads a word; returns where it may end.
    fn word(&self, at: usize, word: &str) -> impl Iterator<Item = usize> {
        let mut ends = vec![at];
        for c in word.chars() {
            let read = ends.iter().flat_map(|at| self.at(*at));
            ends = read.filter(|(read, _)| *read == c).map(|(_, end)| end).take(WAYS_MAX).collect();
        }
        ends.into_iter()
    }

    /// Reads digits, as many as there are; returns their number and where they may end.
    fn digits(
        &self,
        at: usize,
        radix: u32,
        count: std::ops::RangeInclusive<usize>,
    ) -> impl Iterator<Item = (u32, usize)> + use<> {
        let mut ways = vec![(0_u32, at)];
        for read in 0..*count.end() {
            let longer = |(code, at): &(u32, usize)| {
                let code = *code;
                let digit = move |(c, end): (char, usize)| {
                    let code = code.checked_mul(radix)?.checked_add(char::to_digit(c, radix)?)?;
                    Some((code, end))
                };
                self.at(*at).filter_map(digit).collect::<Vec<_>>()
            };
            let next: Vec<_> = ways.iter().flat_map(longer).take(WAYS_MAX).collect();
            if next.is_empty() {
                if !count.contains(&read) {
                    ways.clear();
                }
                break;
            }
            ways = next;
        }
        ways.into_iter()
    }
}

fn of_code((code, end): (u32, usize)) -> Option<(char, usize)> {
    Some((char::from_u32(code)?, end))
}

/// Escapes with a letter or mark behind the backslash.
const SHORT: &[(&str, char)] = &[
    ("\\", '\\'),
    ("\"", '"'),
    ("'", '\''),
    ("/", '/'),
    ("b", '\u{8}'),
    ("f", '\u{c}'),
    ("n", '\n'),
    ("r", '\r'),
    ("t", '\t'),
    ("v", '\u{b}'),
    ("a", '\u{7}'),
    ("e", '\u{1b}'),
    ("0", '\0'),
    ("$", '$'),
    ("`", '`'),
    (" ", ' '),
];

/// Entities that have a name.
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
];
