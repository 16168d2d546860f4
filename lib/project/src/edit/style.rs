//! How values are written.

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// By its indentation.
    Block,
    /// In brackets.
    Flow,
    /// A text without quotes.
    Plain,
    /// A text in `'`.
    Single,
    /// A text in `"`.
    Double,
    /// A text behind `|` or `>`.
    Text,
}
