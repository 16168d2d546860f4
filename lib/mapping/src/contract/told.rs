//! What a contract does with a stream, in lines for `--plan`.

use super::compile::Compiled;
use super::model::Table;
use super::row::Out;
use crate::protect::Protection;

/// What a row hash does.
pub(super) const ROW_HASH_LINE: &str = "adds _row_hash, the key";

/// Says what happens to the columns of a stream.
pub(super) fn lines(table: &Table, compiled: &Compiled, has_row_hash: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |what: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("contract: {what} {}", names.join(", ")));
        }
    };
    let mut protected = Vec::new();
    for property in &table.properties {
        match property.protection {
            Some(Protection::Keep) => {}
            Some(way) => protected.push(format!("{} ({})", property.name, way.word())),
            None if property.is_protected() => {
                protected.push(format!("parts of {}", property.name));
            }
            None => {}
        }
    }
    add("protects", &protected);
    let is_converted = |out: &&Out| out.from.is_some() && out.kind() != out.kind_before;
    let converted = compiled.columns.iter().filter(is_converted);
    let to = |out: &Out| format!("{} to {}", out.name, format!("{:?}", out.kind()).to_lowercase());
    add("converts", &converted.map(to).collect::<Vec<_>>());
    let lacking = compiled.columns.iter().filter(|out| out.from.is_none());
    add("adds without values", &lacking.map(|out| out.name.clone()).collect::<Vec<_>>());
    add("leaves out", &compiled.left_out);
    add("does not list, and passes on,", &compiled.unlisted);
    let rules =
        table.rules.len() + table.properties.iter().map(|one| one.rules.len()).sum::<usize>();
    if rules > 0 {
        lines.push(format!("contract: judges all rows together by {rules} rules"));
    }
    if lines.is_empty() {
        lines.push("contract: holds the stream to it".to_owned());
    }
    if has_row_hash {
        lines.push(ROW_HASH_LINE.to_owned());
    }
    lines
}
