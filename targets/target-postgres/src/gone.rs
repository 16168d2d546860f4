//! Rows that did not come: when a load that replaces rows takes them for gone.

use singer::{End, Error, ErrorKind, Result, Said};

use crate::mapping::Mapping;

/// Holds a load that replaces rows, and would remove so many, to one rule: a row that did not come
/// is gone only where nothing is known to have been left out. Where the input did not say that
/// its rows were all, the removal is told. What was published as a day is all there is of it.
pub fn check(mapping: &Mapping, end: Option<&End>, removed: u64) -> Result<()> {
    if !mapping.replaces() || removed == 0 {
        return Ok(());
    }
    if mapping.replaces_by_part() {
        return Err(part_of_partition(removed));
    }
    let Some(end) = end else { return Ok(()) };
    let of_day = mapping.stream.schema.contains_key(singer::schema::PARTITION);
    if end.rejected || end.left_out && !of_day {
        return Err(left_out(removed));
    }
    if end.said == Said::Nothing && !of_day {
        singer::warn!(
            "W-END-UNSURE",
            "table {}: {removed} rows that did not come are removed, although the input ended \
             without a state after the records of stream {}: it may have been cut; to refuse \
             such an input, set `require_complete`",
            mapping.shape.name,
            mapping.stream.name
        );
    }
    Ok(())
}

#[cold]
fn left_out(removed: u64) -> Error {
    let message = "cannot replace rows: records were rejected or left out on the way, so rows \
                   that did not come may still be in the source";
    Error::new(ErrorKind::Data, message).with("rows that would be removed", removed).hint(
        "correct what was left out (the warnings of the tap, the mapper and this target name it) \
         and run again, or load with `upsert`, which removes no rows",
    )
}

#[cold]
fn part_of_partition(missing: u64) -> Error {
    Error::new(ErrorKind::Config, "cannot replace a partition by a part of its rows")
        .with("rows that would be lost", missing)
        .hint(
            "the tap left rows out, because of a state or `max_record_count`: run with the same \
             state and settings as in the first load of this day, or without them, or load with \
             `upsert`",
        )
}
