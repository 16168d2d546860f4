//! Tests of dates and times in a declared form.

use jiff::civil::{DateTime, date};
use jiff::fmt::strtime;
use proptest::prelude::*;

use super::*;
use crate::canonical::is_canonical;

fn read(kind: Kind, pattern: &str, start: Option<u16>, text: &str) -> Option<String> {
    let format = TimeFormat::new(kind, pattern, start).unwrap();
    let mut out = Vec::new();
    format.convert(text.as_bytes(), &mut out).ok()?;
    assert!(is_canonical(kind, &out), "{text}: {}", String::from_utf8_lossy(&out));
    Some(String::from_utf8(out).unwrap())
}

#[test]
fn dates_are_read_in_their_form() {
    for (pattern, text, expected) in [
        ("%d.%m.%Y", "31.12.2026", Some("2026-12-31")),
        ("%d.%m.%Y", "1.2.2026", Some("2026-02-01")),
        ("DD.MM.YYYY", "01.02.2026", Some("2026-02-01")),
        ("DD.MM.YYYY", "1.2.2026", None),
        ("D.M.YYYY", "1.2.2026", Some("2026-02-01")),
        ("D.M.YYYY", "01.02.2026", Some("2026-02-01")),
        ("%m/%d/%Y", "02/01/2026", Some("2026-02-01")),
        ("%m/%d/%Y", "31/12/2026", None),
        ("%Y%m%d", "20260201", Some("2026-02-01")),
        ("%Y%m%d", "202621", None),
        ("%Y%m%d", "2026021", None),
        ("YYYYMMDD", "2026-02-01", None),
        ("%d-%b-%Y", "29-FEB-2024", Some("2024-02-29")),
        ("%d-%b-%Y", "29-Feb-2023", None),
        ("%d %B %Y", "3 may 2026", Some("2026-05-03")),
        ("%a, %d %b %Y", "Sun, 01 Feb 2026", Some("2026-02-01")),
        ("%a, %d %b %Y", "Mon, 01 Feb 2026", None),
        ("%d.%m.%Y 00:00:00", "01.02.2026 00:00:00", Some("2026-02-01")),
        ("%d.%m.%Y 00:00:00", "01.02.2026 12:00:00", None),
        ("%d.%m.%Y", "31.04.2026", None),
        ("%d.%m.%Y", "00.01.2026", None),
        ("%d.%m.%Y", "01.13.2026", None),
        ("%d.%m.%Y", "01.01.0000", None),
        ("%d.%m.%Y", "01.01.26", None),
        ("%d.%m.%Y", "01.01.20260", None),
        ("%d.%m.%Y", " 01.01.2026", None),
        ("%d.%m.%Y", "01.01.2026 ", None),
        ("%d.%m.%Y", "001.01.2026", None),
        ("%d.%m.%Y", "+1.01.2026", None),
        ("%d.%m.%Y", "", None),
        ("%d.%m.%Y", "٠١.01.2026", None),
    ] {
        assert_eq!(read(Kind::Date, pattern, None, text).as_deref(), expected, "{pattern} {text}");
    }
}

#[test]
fn two_digits_are_one_of_the_hundred_years_that_are_declared() {
    let year = |start: u16, text: &str| {
        read(Kind::Date, "%d.%m.%y", Some(start), text).map(|date| date[..4].to_owned())
    };
    for (start, text, expected) in [
        (1970, "01.01.70", "1970"),
        (1970, "01.01.69", "2069"),
        (1970, "01.01.00", "2000"),
        (1970, "01.01.99", "1999"),
        (2000, "01.01.99", "2099"),
        (1926, "01.01.25", "2025"),
        (1926, "01.01.26", "1926"),
        (1, "01.01.01", "0001"),
        (1, "01.01.00", "0100"),
    ] {
        assert_eq!(year(start, text).as_deref(), Some(expected), "{start} {text}");
    }
    assert_eq!(year(1970, "01.01.1970"), None);
    assert_eq!(year(1901, "29.02.00").as_deref(), Some("2000"));
    assert_eq!(year(1900, "29.02.00"), None);
    for start in [None, Some(0), Some(9901)] {
        let failure = TimeFormat::new(Kind::Date, "DD.MM.YY", start).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config);
    }
}

#[test]
fn times_are_read_in_their_form() {
    for (kind, pattern, text, expected) in [
        (Kind::Time, "HH:mm", "07:05", Some("07:05:00")),
        (Kind::Time, "%H.%M", "7.05", Some("07:05:00")),
        (Kind::Time, "%I:%M %p", "12:05 AM", Some("00:05:00")),
        (Kind::Time, "%I:%M %p", "12:05 pm", Some("12:05:00")),
        (Kind::Time, "%I:%M %p", "1:05 PM", Some("13:05:00")),
        (Kind::Time, "%I:%M %p", "13:05 PM", None),
        (Kind::Time, "%I:%M %p", "00:05 AM", None),
        (Kind::Time, "HH:mm:ss", "24:00:00", None),
        (Kind::Time, "HH:mm:ss", "23:60:00", None),
        (Kind::Time, "HH:mm:ss", "23:59:60", None),
        (Kind::Time, "HH:mm:ss,SSS", "23:59:59,120", Some("23:59:59.120")),
        (Kind::Time, "HH:mm:ss,SSS", "23:59:59,12", None),
        (Kind::Time, "%H:%M:%S.%f", "1:2:3.123456789", Some("01:02:03.123456789")),
        (Kind::DateTime, "%d.%m.%Y %H:%M", "1.2.2026 3:04", Some("2026-02-01T03:04:00")),
        (Kind::DateTime, "%FT%T%z", "2026-02-01T03:04:05Z", Some("2026-02-01T03:04:05Z")),
        (
            Kind::DateTime,
            "%F %T %z",
            "2026-02-01 03:04:05 -0530",
            Some("2026-02-01T03:04:05-05:30"),
        ),
        (Kind::DateTime, "%F %T%z", "2026-02-01 03:04:05+01", Some("2026-02-01T03:04:05+01:00")),
        (Kind::DateTime, "%F %T%z", "2026-02-01 03:04:05+01:", None),
        (Kind::DateTime, "%F %T%z", "2026-02-01 03:04:05+1600", None),
        (Kind::DateTime, "%F %T%z", "2026-02-01 03:04:05", None),
        (Kind::DateTime, "%F %T", "2026-02-01 03:04:05Z", None),
        (Kind::DateTime, "YYYY-MM-DDTHH:mm:ss", "2026-02-01T03:04:05", Some("2026-02-01T03:04:05")),
        (Kind::DateTime, "YYYYMMDDHHmmss", "20260201030405", Some("2026-02-01T03:04:05")),
    ] {
        assert_eq!(read(kind, pattern, None, text).as_deref(), expected, "{pattern} {text}");
    }
}

#[test]
fn formats_say_what_their_kind_needs() {
    for (kind, pattern) in [
        (Kind::Date, "%d.%m"),
        (Kind::Date, "%m.%Y"),
        (Kind::Date, "%d.%m.%Y %H"),
        (Kind::Date, "%d.%m.%Y %y"),
        (Kind::Date, "DD.DD.YYYY"),
        (Kind::Date, ""),
        (Kind::Time, "%d %H:%M"),
        (Kind::Time, "%H:%M%z"),
        (Kind::Time, "%I:%M"),
        (Kind::Time, "%H:%M %p"),
        (Kind::Time, "%H:%S"),
        (Kind::Time, "%H:%M.%f"),
        (Kind::DateTime, "%d.%m.%Y"),
        (Kind::DateTime, "DD.MM.YYYY HH:MM"),
        (Kind::DateTime, "DD.MM.YYYY hh:mm"),
        (Kind::Integer, "%d.%m.%Y"),
        (Kind::String, "%d.%m.%Y"),
    ] {
        let failure = TimeFormat::new(kind, pattern, Some(1970)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config, "{kind:?} {pattern}");
    }
}

/// Draws a second of the years 1 to 9999.
fn moments() -> impl Strategy<Value = DateTime> {
    (0_i64..3_652_059, 0_i64..86_400).prop_map(|(day, second)| {
        let midnight = date(1, 1, 1).at(0, 0, 0, 0);
        midnight
            .checked_add(jiff::Span::new().days(day))
            .and_then(|at| at.checked_add(jiff::Span::new().seconds(second)))
            .unwrap()
    })
}

#[test]
fn what_is_printed_in_a_form_is_read_as_the_same_moment() {
    let forms = [
        (Kind::Date, "%d.%m.%Y", "%Y-%m-%d"),
        (Kind::Date, "%m/%d/%Y", "%Y-%m-%d"),
        (Kind::Date, "%Y%m%d", "%Y-%m-%d"),
        (Kind::Date, "%A %d %B %Y", "%Y-%m-%d"),
        (Kind::Date, "%a, %-d-%b-%Y", "%Y-%m-%d"),
        (Kind::Time, "%H:%M:%S", "%H:%M:%S"),
        (Kind::Time, "%I.%M.%S %p", "%H:%M:%S"),
        (Kind::DateTime, "%d.%m.%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S"),
        (Kind::DateTime, "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S"),
        (Kind::DateTime, "%-m/%-d/%Y %-I:%M:%S %p", "%Y-%m-%dT%H:%M:%S"),
    ];
    let values = (moments(), prop::sample::select(forms.to_vec()));
    testing::property::holds("dates in a form", 2000, values, |(at, (kind, form, iso))| {
        let printed = strtime::format(form, at).unwrap();
        let expected = strtime::format(iso, at).unwrap();
        prop_assert_eq!(read(kind, form, None, &printed), Some(expected), "{}", printed);
        Ok(())
    });
}

#[test]
fn any_text_is_refused_or_read_as_another_reader_does() {
    let values = "[0-3]{0,2}[.][0-9]{0,2}[.][0-9]{0,5}";
    testing::property::holds("texts as dates", 4000, values, |text| {
        let Some(found) = read(Kind::Date, "%d.%m.%Y", None, &text) else { return Ok(()) };
        let other = strtime::parse("%d.%m.%Y", &text).and_then(|parsed| parsed.to_date());
        prop_assert_eq!(other.unwrap().to_string(), found, "{}", text);
        Ok(())
    });
}
