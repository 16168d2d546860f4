//! Time zones by their names.
//!
//! The rule: a name that no zone has is refused with the one that was probably meant.

use jiff::tz::{TimeZone, db};

use crate::error::{Error, ErrorKind, Result};
use crate::near::{ALIKE, nearest};

/// Returns the zone of a name: `UTC`, `Europe/Berlin`.
///
/// # Errors
/// `Config` where the system knows none.
pub fn named(name: &str) -> Result<TimeZone> {
    // Known also where no time zones are installed.
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let meant = meant(name).map_or(String::new(), |zone| format!("did you mean `{zone}`? "));
        Error::new(ErrorKind::Config, "cannot find the time zone").with("time zone", name).hint(
            format!(
                "{meant}write a name such as `UTC` or `Europe/Berlin`; the tzdata of this system \
                 must contain it"
            ),
        )
    })
}

/// Returns the zone of a place, where that alone was written, or else the one that is most alike.
fn meant(name: &str) -> Option<String> {
    let known: Vec<String> = db().available().map(|zone| zone.as_str().to_owned()).collect();
    let place = name.trim().replace(' ', "_");
    let of_place = |zone: &&String| {
        zone.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&place))
    };
    let found = known.iter().find(of_place).map(String::as_str);
    found.or_else(|| nearest(&place, known.iter().map(String::as_str), ALIKE)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_zone_has_is_told_beside_one_that_was_meant() {
        assert!(named("UTC").is_ok() && named("Africa/Cairo").is_ok());
        for (name, zone) in [
            ("Berlin", "did you mean `Europe/Berlin`? "),
            ("new york", "did you mean `America/New_York`? "),
            ("Europe/Pariss", "did you mean `Europe/Paris`? "),
            ("Middle/Earth of all", ""),
        ] {
            let refused = named(name).unwrap_err().to_string();
            assert!(refused.contains(&format!("hint: {zone}write a name")), "{refused}");
        }
    }
}
