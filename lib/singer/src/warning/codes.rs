//! The codes of all warnings: what each means, and what to do about it.

mod a_to_m;
mod n_to_z;

const FIRST: &[(&str, &str)] = a_to_m::CODES;
const REST: &[(&str, &str)] = n_to_z::CODES;

/// Code and meaning, sorted by code; `docs/reference/warnings.md` is made of it.
pub const CODES: &[(&str, &str)] = &{
    let mut codes = [("", ""); FIRST.len() + REST.len()];
    let (first, rest) = codes.split_at_mut(FIRST.len());
    first.copy_from_slice(FIRST);
    rest.copy_from_slice(REST);
    codes
};
