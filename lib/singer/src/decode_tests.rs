//! Records that are odd, and what is reported of them.

use super::*;

#[test]
fn a_property_that_comes_twice_is_told_and_others_are_not() {
    let schema = r#"{"properties":{"a":{},"b":{},"c":{"x-absent-is-null":true},"d":{}}}"#;
    let stream = Stream::new("s", serde_json::from_str(schema).unwrap(), Vec::new());
    let repeats = |record: &str| {
        let mut decoder = RecordDecoder::new(&stream, true).unwrap();
        let mut batch = Batch::new(4 + Envelope::CELLS);
        // A row before it has them all.
        for record in [r#"{"a":1,"b":2,"c":3,"d":4}"#, record] {
            let line = format!(r#"{{"type":"RECORD","stream":"s","record":{record}}}"#);
            decoder.predicted(line.as_bytes(), &mut batch).unwrap();
        }
        decoder.repeats
    };
    for once in [
        r#"{"a":1,"b":2,"c":3,"d":4}"#,
        r#"{"d":1,"c":2,"b":3,"a":4}"#,
        r#"{"b":1,"d":2,"a":3,"c":4}"#,
        r#"{"c":null,"a":1,"x":1,"x":2}"#,
        "{}",
    ] {
        assert!(!repeats(once), "{once}");
    }
    for twice in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":null,"b":2,"a":3}"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"c":null,"c":1}"#,
        r#"{"a":1,"b":2,"c":3,"d":4,"\u0061":5}"#,
        r#"{"d":1,"a":2,"b":3,"c":4,"d":5}"#,
    ] {
        assert!(repeats(twice), "{twice}");
    }
}

#[test]
fn records_that_end_alike_or_not_get_the_envelope_of_their_own_line() {
    let stream = Stream::new("s", Map::new(), Vec::new());
    let mut decoder = RecordDecoder::new(&stream, true).unwrap();
    let mut batch = Batch::new(Envelope::CELLS);
    let (one, two) = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z");
    let mut expected = Vec::new();
    let mut check = |rest: &str, envelope: Option<[Option<&'static str>; 2]>| {
        let line = format!(r#"{{"type":"RECORD","stream":"s","record":{{}}{rest}"#);
        let read = decoder.predicted(line.as_bytes(), &mut batch);
        assert_eq!(read.is_ok(), envelope.is_some(), "{rest}");
        expected.extend(envelope);
        for (row, [time, version]) in expected.iter().enumerate() {
            let text = |cell| if let Cell::Text(text) = cell { Some(text) } else { None };
            let found = batch.envelope(row);
            assert_eq!(text(found.time_extracted), time.map(str::as_bytes), "{rest}, {row}");
            assert_eq!(text(found.version), version.map(str::as_bytes), "{rest}, {row}");
        }
        assert_eq!(batch.rows(), expected.len(), "{rest}");
    };
    let at = |time: &str| format!(r#","time_extracted":"{time}"}}"#);
    check("", None);
    check("}", Some([None, None]));
    check(&at(one), Some([Some(one), None]));
    check(&at(one), Some([Some(one), None]));
    check("", None);
    check(&format!(r#","version":7{}"#, at(one)), Some([Some(one), Some("7")]));
    check(&format!(r#","version":7{}"#, at(two)), Some([Some(two), Some("7")]));
    check(r#","version":"7"}"#, None);
    check(&format!(r#","version":7{}"#, at(two)), Some([Some(two), Some("7")]));
    check(&at(two), Some([Some(two), None]));
    check(&at("yesterday"), Some([None, None]));
    check(&at("yesterday"), Some([None, None]));
    check("}", Some([None, None]));
    check(&format!("{} x", at(two)), None);
    check("}", Some([None, None]));
}

#[test]
fn a_time_of_extraction_that_is_none_is_told() {
    let stream = Stream::new("s", Map::new(), Vec::new());
    let is_told = |time: &str| {
        let mut decoder = RecordDecoder::new(&stream, true).unwrap();
        let mut batch = Batch::new(Envelope::CELLS);
        let line = format!(r#"{{"type":"RECORD","stream":"s","record":{{}}{time}}}"#);
        decoder.predicted(line.as_bytes(), &mut batch).unwrap();
        decoder.odd_times
    };
    for time in ["", r#","time_extracted":null"#, r#","time_extracted":"2026-01-02T03:04:05Z""#] {
        assert!(!is_told(time), "{time}");
    }
    for time in ["17", "true", r#""yesterday""#, r#"["2026-01-02T03:04:05Z"]"#] {
        assert!(is_told(&format!(r#","time_extracted":{time}"#)), "{time}");
    }
}
