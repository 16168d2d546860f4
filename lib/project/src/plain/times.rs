//! Moments of the plain shape.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use places::Spot;
use singer::Result;

use super::given::{Given, misfit};
use super::model::Times;

/// Reads `start_time`, `end_time` and `timezone`.
pub(super) fn read(given: &Given) -> Result<Times> {
    let zone = match given.get("timezone") {
        None => None,
        Some(one) => {
            let name = one.value.as_str().unwrap_or_default().to_owned();
            let zone = TimeZone::get(&name).map_err(|_| {
                misfit(one.spot, "timezone", "the time zone is not known")
                    .hint("write a name such as UTC or Europe/Berlin")
            })?;
            Some((zone, name))
        }
    };
    let own = zone.as_ref().map_or(TimeZone::UTC, |(zone, _)| zone.clone());
    let moment_of = |key: &str, is_end: bool| -> Result<Option<(Timestamp, String, Spot)>> {
        let Some(one) = given.get(key) else { return Ok(None) };
        let text = one.value.as_str().unwrap_or_default();
        let moment = moment(text.trim(), &own, is_end).ok_or_else(|| {
            misfit(one.spot, key, "it is not a time")
                .hint("write YYYY-MM-DD HH:MM, YYYY-MM-DD, or with a zone YYYY-MM-DDTHH:MM+01:00")
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

fn moment(text: &str, zone: &TimeZone, is_end: bool) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    // A date alone is the whole day.
    if !text.contains(':') {
        let date: Date = text.parse().ok()?;
        let date = if is_end { date.checked_add(1.day()).ok()? } else { date };
        return Some(date.to_zoned(zone.clone()).ok()?.timestamp());
    }
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned(zone.clone()).ok()?.timestamp())
}
