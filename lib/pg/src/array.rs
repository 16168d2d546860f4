//! Array literals of Postgres and JSON arrays, one to the other (pure).

use singer::Result;

/// Appends the JSON array for an array literal such as `{1,NULL,"a b"}`; `element` appends the
/// JSON text of one element that is not null.
pub fn to_json(
    _literal: &[u8],
    _delimiter: u8,
    _element: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> Result<()>,
    _out: &mut Vec<u8>,
) -> Result<()> {
    Ok(())
}

/// Appends the array literal for a JSON array. With `json_elements` the elements are JSON values
/// (`json[]`, `jsonb[]`); else nested arrays are dimensions and elements are scalars.
pub fn from_json(_json: &[u8], _json_elements: bool, _out: &mut Vec<u8>) -> Result<()> {
    Ok(())
}
