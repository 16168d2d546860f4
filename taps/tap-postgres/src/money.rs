//! Money of a database whose currency has not two digits behind the point.
//!
//! An amount is kept as a whole number of the smallest unit, and `lc_monetary` says how many of
//! them make one: 1500 yen, but 1.500 dinars. It is read as a number, which is the same anywhere.

use pg::Client;
use pg::types::{self, Class, PgType, Types};
use singer::{Error, ErrorKind, Result};

use crate::columns::{Attribute, Form};

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
    if !client.holds_money(&oid)? {
        return Ok(column.form);
    }
    let message = "cannot read money inside another type: its text depends on `lc_monetary`";
    Err(Error::new(ErrorKind::Unavailable, message)
        .with("column", &column.name)
        .with("type", &column.formatted)
        .hint(
            "leave the column out, and read its amounts through a view that casts them to numeric",
        ))
}
