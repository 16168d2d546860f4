//! Converts texts as people and programs write them into canonical text, or refuses them. Pure.
//!
//! The rule: a text is converted in the one form that was declared. What can be read in two ways,
//! what is cut, and what would lose something is refused; nothing is guessed, trimmed or rounded.

mod boolean;
mod number;
mod pattern;
mod time;
mod zone;

pub use boolean::BooleanWords;
pub use number::NumberFormat;
pub use time::TimeFormat;
pub use zone::{NoMoment, ZonedTimes, has_offset, moment_in};

use crate::schema::Kind;

/// Why a text is not converted, for people; never the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit(pub &'static str);

/// How the values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Integers with separators.
    Integer(NumberFormat),
    /// Numbers with separators of their own.
    Number(NumberFormat),
    /// Booleans as words.
    Boolean(BooleanWords),
    /// Dates, times, or both.
    Time(TimeFormat),
    /// Date-times in a zone.
    Zoned(ZonedTimes),
}

impl Conversion {
    /// Returns the kind of what comes out.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Integer(_) => Kind::Integer,
            Self::Number(_) => Kind::Number,
            Self::Boolean(_) => Kind::Boolean,
            Self::Time(format) => format.kind(),
            Self::Zoned(_) => Kind::DateTime,
        }
    }

    /// Appends the canonical text of a value. What was appended of a refused one is to be taken
    /// back.
    pub fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        match self {
            Self::Integer(format) => format.integer(text, out),
            Self::Number(format) => format.number(text, out),
            Self::Boolean(words) => words.convert(text, out),
            Self::Time(format) => format.convert(text, out),
            Self::Zoned(times) => times.convert(text, out),
        }
    }
}
