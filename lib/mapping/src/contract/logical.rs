//! `logicalType`: the types of a contract.

/// `logicalType`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// `string`
    String,
    /// `date`
    Date,
    /// `timestamp`
    Timestamp,
    /// `time`
    Time,
    /// `number`
    Number,
    /// `integer`
    Integer,
    /// `boolean`
    Boolean,
    /// `object`
    Object,
    /// `array`
    Array,
}

impl Logical {
    /// Each type and its word.
    pub(crate) const WORDS: [(&'static str, Self); 9] = [
        ("string", Self::String),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
        ("time", Self::Time),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];

    /// Returns the word of the standard.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, logical)| *logical == self).map_or("", |(word, _)| word)
    }
}
