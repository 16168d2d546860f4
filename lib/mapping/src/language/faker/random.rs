//! What values are drawn from.

use fake::RngExt as _;
use fake::rand::rngs::ChaCha8Rng;

use super::super::fault::Fault;
use super::super::given::Given;

/// What values are drawn from: the same numbers on every machine.
pub(crate) type Random = ChaCha8Rng;

/// How many words or letters one call may ask for.
const COUNT_MAX: i64 = 10_000;

/// Returns a number below another one.
pub(super) fn below(end: usize, random: &mut Random) -> usize {
    if end < 2 { 0 } else { random.random_range(0..end) }
}

/// Takes an argument that counts.
pub(super) fn count(given: &mut Given<'_>, name: &str, usual: usize) -> Result<usize, Fault> {
    let Some(count) = given.maybe_index(name)? else { return Ok(usual) };
    if !(0..=COUNT_MAX).contains(&count) {
        return Err(Fault::of(format!("`{name}` is not between 0 and {COUNT_MAX}")));
    }
    Ok(usize::try_from(count).unwrap_or_default())
}
