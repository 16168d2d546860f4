//! Money of a database whose currency has not two digits behind the point.
//!
//! An amount is kept as a whole number of the smallest unit, and `lc_monetary` says how many of
//! them make one: 1500 yen, but 1.500 dinars. It is read as a number, which is the same anywhere.

use pg::Client;
use pg::types::{self, Class, PgType, Types};
use singer::{Error, ErrorKind, Result};

use crate::catalog::{Attribute, Form};

/// Whether a type has money in it, at any depth. `$1` is the type.
const HOLDS_MONEY: &str = "\
WITH RECURSIVE part (oid) AS (
  SELECT $1::oid
   UNION
  SELECT inner_part.oid
    FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid
   CROSS JOIN LATERAL (
      SELECT t.typbasetype UNION ALL SELECT t.typelem
       UNION ALL
      SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
       UNION ALL
      SELECT a.atttypid FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) inner_part (oid))
SELECT FROM part WHERE oid = 'pg_catalog.money'::regtype";

/// Decides how a column that may have money in it is read.
pub fn form(client: &mut Client, types: &Types, column: &Attribute) -> Result<Form> {
    let is_money = |oid| types::builtin_name(types, oid) == Some("money");
    let (base, ..) = types::base_of(types, column.type_oid, -1);
    if is_money(base) {
        return Ok(Form::Amount);
    }
    if let Some(PgType { class: Class::Array { element, .. }, .. }) = types.get(&base)
        && is_money(*element)
    {
        return Ok(Form::Amounts);
    }
    let oid = column.type_oid.to_string();
    if client.query(HOLDS_MONEY, &[Some(&oid)])?.is_empty() {
        return Ok(column.form);
    }
    let message = "cannot read money inside another type: its text depends on `lc_monetary`";
    Err(Error::new(ErrorKind::Unavailable, message)
        .with("column", &column.name)
        .with("type", &column.formatted)
        .hint("leave the column out, and read its amounts by a view that casts them to numeric"))
}
