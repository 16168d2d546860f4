//! Moments of the plain shape.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use places::Spot;
use singer::{Result, time_zone};

use super::given::{Given, misfit};
use super::model::Times;
use crate::moment;

/// Reads `start_time`, `end_time` and `timezone`.
pub(super) fn read(given: &Given) -> Result<Times> {
    let zone = match given.get("timezone") {
        None => None,
        Some(one) => {
            let name = one.value.as_str().unwrap_or_default().to_owned();
            let Spot { line, column } = one.spot;
            let zone = time_zone::named(&name).map_err(|failure| {
                failure.with("key", "timezone").with("line", line).with("column", column)
            })?;
            Some((zone, name))
        }
    };
    let own = zone.as_ref().map_or(TimeZone::UTC, |(zone, _)| zone.clone());
    let moment_of = |key: &str, is_end: bool| -> Result<Option<(Timestamp, String, Spot)>> {
        let Some(one) = given.get(key) else { return Ok(None) };
        let text = one.value.as_str().unwrap_or_default();
        let moment = moment::read(text.trim(), &own, is_end).map_err(|none| {
            let hint = none.hint.unwrap_or_else(|| format!("write {}", moment::FORMS));
            misfit(one.spot, key, none.why.0).hint(hint)
        })?;
        Ok(Some((moment, text.to_owned(), one.spot)))
    };
    let start = moment_of("start_time", false)?;
    let end = moment_of("end_time", true)?;
    if let (Some((from, shown, _)), Some((to, other, spot))) = (&start, &end)
        && to <= from
    {
        let fault = spot.fault("cannot end before the start");
        return Err(fault
            .with("start_time", shown)
            .with("end_time", other)
            .hint("correct start_time or end_time"));
    }
    let plain = |found: Option<(Timestamp, String, Spot)>| found.map(|(at, text, _)| (at, text));
    Ok(Times { start: plain(start), end: plain(end), zone })
}
