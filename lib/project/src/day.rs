//! The day of a run, as variables name it.

use disk::Datestamp;
use singer::{Error, ErrorKind, Result};

/// The variables that name the day of a run.
pub const DAY_VARIABLES: [&str; 2] = ["DATESTAMP", "EXTRACTED_AT"];

/// Returns the day that variables name, if they do.
pub fn day_of(value_of: impl Fn(&str) -> Option<String>) -> Result<Option<Datestamp>> {
    let mut found: Option<(&str, Datestamp)> = None;
    for name in DAY_VARIABLES {
        let Some(text) = value_of(name).filter(|text| !text.is_empty()) else { continue };
        let day = text.parse().map_err(|failure: Error| failure.with("variable", name))?;
        match found {
            Some((first, other)) if other != day => {
                return Err(Error::new(ErrorKind::Usage, "cannot run for two days at once")
                    .with(first, other)
                    .with(name, day)
                    .hint("set one of these variables, or give --datestamp"));
            }
            _ => found = Some((name, day)),
        }
    }
    Ok(found.map(|(_, day)| day))
}
