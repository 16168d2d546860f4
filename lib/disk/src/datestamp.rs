//! The DATESTAMP: a real calendar date, written `YYYY-MM-DD` and no other way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use singer::{Error, ErrorKind, Result};

/// The day a partition belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Datestamp(jiff::civil::Date);

impl Datestamp {
    /// Returns the calendar date.
    pub fn date(self) -> jiff::civil::Date {
        self.0
    }
}

impl From<jiff::civil::Date> for Datestamp {
    fn from(date: jiff::civil::Date) -> Self {
        Self(date)
    }
}

impl FromStr for Datestamp {
    type Err = Error;

    /// Reads `YYYY-MM-DD`; anything else, and a date no calendar has, is a `Config` failure.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Config, "cannot read the datestamp")
                .with("datestamp", text)
                .hint("write a valid date as YYYY-MM-DD, for example 2024-02-29")
        })
    }
}

fn parse(text: &str) -> Option<jiff::civil::Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shaped {
        return None;
    }
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let year = year.parse::<i16>().ok().filter(|year| *year >= 1)?;
    jiff::civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

impl fmt::Display for Datestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl From<Datestamp> for String {
    fn from(datestamp: Datestamp) -> Self {
        datestamp.to_string()
    }
}

impl TryFrom<String> for Datestamp {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_real_dates_only() {
        for good in ["2024-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(good.parse::<Datestamp>().unwrap().to_string(), good);
        }
        let bad = [
            "20260230",
            "2026-02-30",
            "2023-02-29",
            "2026-1-1",
            "20260101x",
            "",
            "../",
            "0000-01-01",
            "2026-01-01 ",
            "2026-01-01T00:00:00",
            "+026-01-01",
            "2026/01/01",
            "２026-01-01",
        ];
        for text in bad {
            assert_eq!(text.parse::<Datestamp>().unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }
}
