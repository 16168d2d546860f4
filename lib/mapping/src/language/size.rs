//! How much an expression may make for one row. Values of a row multiply where they are joined,
//! repeated or put in place of others: without a limit one row could take all memory.

use super::fault::Fault;

/// The bytes that an expression may make for one row.
pub(crate) const MADE_MAX: usize = 256 << 20;
/// How often loops may turn for one row.
pub(crate) const TURNS_MAX: usize = 1_000_000;

/// Refuses a text before it is made.
pub(crate) fn text(bytes: usize) -> Result<(), Fault> {
    if bytes <= MADE_MAX {
        return Ok(());
    }
    let megabytes = MADE_MAX >> 20;
    Err(Fault::of(format!("an expression makes {megabytes} MB at most for one row")))
}
