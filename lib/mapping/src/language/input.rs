//! The text of an expression while it is read.

use winnow::error::{ContextError, ErrMode};
use winnow::token::take_while;
use winnow::{LocatingSlice, ModalResult, Parser, Stateful};

pub(super) type Input<'i> = Stateful<LocatingSlice<&'i str>, Progress>;
pub(super) type Parsed<T> = ModalResult<T>;

/// What the parser knows besides the text that is left.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub nesting: usize,
    pub operators: usize,
    /// Why and where it stopped for good.
    pub fault: Option<(usize, String)>,
}

pub(super) fn space(i: &mut Input<'_>) {
    let _: Parsed<&str> = take_while(0.., [' ', '\t', '\r', '\n']).parse_next(i);
}

/// Stops for good.
pub(super) fn stop<T>(i: &mut Input<'_>, at: usize, reason: impl Into<String>) -> Parsed<T> {
    i.state.fault.get_or_insert_with(|| (at, reason.into()));
    Err(ErrMode::Cut(ContextError::new()))
}
