//! Rows of the table `mixed`: what real tables have and `lineitem` lacks. The same every time.

use std::fmt::Write;

/// An endless iterator over CSV lines.
pub struct Mixed {
    id: u64,
    random: Random,
}

/// `SplitMix64`.
struct Random(u64);

const WORDS: [&str; 12] = [
    "alpha",
    "größer",
    "naïve",
    "данные",
    "東京",
    "🚀 launch",
    "tab\there",
    "line\nbreak",
    "say \"hi\"",
    "back\\slash",
    "comma, too",
    "plain text of some length",
];

impl Mixed {
    /// Starts with row 1.
    pub fn new() -> Self {
        Self { id: 0, random: Random(2026) }
    }
}

impl Iterator for Mixed {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.id += 1;
        let random = &mut self.random;
        let mut line = self.id.to_string();
        let _ = write!(line, ",{}", random.time());
        field(&mut line, &random.document(self.id));
        let _ = write!(line, ",{}", random.uuid());
        field(&mut line, &random.array());
        let _ = write!(line, ",\\x{}", random.hex());
        line.push_str(if random.below(2) == 0 { ",true" } else { ",false" });
        let _ = write!(line, ",{}", random.double());
        match random.below(10) {
            0..3 => line.push(','),
            3 => line.push_str(",\"\""),
            _ => field(&mut line, &random.words(3)),
        }
        let count = 2 + random.below(5);
        field(&mut line, &random.words(count));
        Some(line)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn word(&mut self) -> &'static str {
        let at = usize::try_from(self.below(12)).unwrap_or_default();
        WORDS[at]
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// A time of 2024, with microseconds.
    fn time(&mut self) -> String {
        let (month, day) = (1 + self.below(12), 1 + self.below(28));
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        let micros = self.below(1_000_000);
        format!("2024-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00")
    }

    fn document(&mut self, id: u64) -> String {
        let text = json(&self.words(2));
        let tag = json(self.word());
        let (price, stock) = (self.below(100_000), self.below(1_000));
        format!(
            "{{\"id\": {id}, \"text\": {text}, \"tags\": [{tag}, \"new\", null], \"price\": \
             {}.{:02}, \"stock\": {{\"count\": {stock}, \"open\": true}}}}",
            price / 100,
            price % 100
        )
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let text = format!("{high:016x}{low:016x}");
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }

    /// An array literal, with nulls and elements that need quotes.
    fn array(&mut self) -> String {
        let count = self.below(4);
        let mut text = "{".to_owned();
        for at in 0..count {
            text.push_str(if at > 0 { "," } else { "" });
            match self.below(8) {
                0 => text.push_str("NULL"),
                _ => text.push_str(&quoted(self.word())),
            }
        }
        text + "}"
    }

    fn hex(&mut self) -> String {
        let count = 1 + self.below(4);
        let mut text = String::new();
        for _ in 0..count {
            let _ = write!(text, "{:016x}", self.next());
        }
        text
    }

    fn double(&mut self) -> String {
        let digits = self.below(1_000_000_000);
        let sign = if self.below(4) == 0 { "-" } else { "" };
        match self.below(3) {
            0 => format!("{sign}{digits}"),
            1 => format!("{sign}{}.{:03}", digits / 1000, digits % 1000),
            _ => format!("{sign}{digits}e-{}", 1 + self.below(30)),
        }
    }
}

/// Appends a CSV field in quotes.
fn field(line: &mut String, text: &str) {
    let _ = write!(line, ",\"{}\"", text.replace('"', "\"\""));
}

/// Returns the text in quotes, with a backslash before quotes and backslashes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn json(text: &str) -> String {
    quoted(text).replace('\t', "\\t").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_every_time_and_have_ten_fields() {
        let rows: Vec<String> = Mixed::new().take(50).collect();
        assert_eq!(rows, Mixed::new().take(50).collect::<Vec<_>>());
        for row in &rows {
            let mut in_quotes = false;
            let commas = row.chars().filter(|c| {
                in_quotes ^= *c == '"';
                *c == ',' && !in_quotes
            });
            assert_eq!(commas.count(), 9, "{row}");
        }
        assert!(rows.iter().any(|row| row.contains(",\"\",")), "an empty string");
    }

    #[test]
    fn documents_are_json() {
        let mut random = Random(7);
        for id in 0..100 {
            let document = random.document(id);
            let parsed: serde_json::Value = serde_json::from_str(&document).unwrap();
            assert_eq!(parsed["id"], id, "{document}");
        }
    }
}
