//! Tests of the records of JSON documents.

use proptest::prelude::*;

use super::*;

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.1.min(self.0.len()).min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.0[..bytes]);
        self.0 = &self.0[bytes..];
        Ok(bytes)
    }
}

fn read(path: &str, text: &str, step: usize) -> Result<(Vec<String>, Value, bool)> {
    let path = RecordsPath::parse(path).unwrap();
    let mut records = Records::new(Trickle(text.as_bytes(), step), &path, 1000);
    let mut found = Vec::new();
    while let Some(record) = records.next()? {
        found.push(String::from_utf8(record.text.to_vec()).unwrap());
    }
    let was_found = records.found();
    Ok((found, records.envelope()?, was_found))
}

#[test]
fn an_object_with_numbers_for_keys_is_a_list() {
    let check = |path: &str, text: &str, expected: &[(&str, bool)]| {
        for step in [1, 3, 1000] {
            let path = RecordsPath::parse(path).unwrap();
            let mut records = Records::new(Trickle(text.as_bytes(), step), &path, 1000);
            let mut found = Vec::new();
            while let Some(record) = records.next().unwrap() {
                found.push((String::from_utf8(record.text.to_vec()).unwrap(), record.alone));
            }
            let expected: Vec<_> = expected.iter().map(|(a, b)| (a.to_string(), *b)).collect();
            assert_eq!(found, expected, "{path} of {text}");
            assert!(records.found(), "{path} of {text}");
        }
    };
    let gaps = "{\"data\": {\"0\": {\"a\":1} , \n\"2\":{\"a\":2} }, \"n\": 1}";
    check("$.data[*]", gaps, &[("{\"a\":1}", false), ("{\"a\":2}", false)]);
    check("$.data", gaps, &[("{\"0\": {\"a\":1} , \n\"2\":{\"a\":2} }", true)]);
    check("$[*]", "{\"7\":{\"a\":1}}", &[("{\"a\":1}", false)]);
    check("$.data[*]", "{\"data\":{}}", &[]);
    // A record stays one, and what is no list of objects.
    for one in ["{\"a\":{\"b\":1}}", "{\"0\":{},\"a\":{}}", "{\"0\":1}", "{\"\":{}}"] {
        check("$[*]", one, &[(one, true)]);
    }
    check("$[*]", "[{\"0\":{\"a\":1}}]", &[("{\"0\":{\"a\":1}}", false)]);
}

#[test]
fn every_end_of_a_path_has_a_record_of_its_own() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        for step in [1, 3, 1000] {
            let path = RecordsPath::parse(path).unwrap();
            let mut records = Records::new(Trickle(text.as_bytes(), step), &path, 1000);
            let mut found = Vec::new();
            while let Some(record) = records.next().unwrap() {
                assert!(!record.alone, "{path} of {text}");
                found.push(String::from_utf8(record.text.to_vec()).unwrap());
            }
            assert_eq!(found, expected, "{path} of {text}");
            assert!(records.found(), "{path} of {text}");
            records.envelope().unwrap();
        }
    };
    let nodes = r#"{"u":{"edges":[{"node":{"a":1},"c":"x"},{"c":"y"},{"node":{"a":2}}],"n":1}}"#;
    check("$.u.edges[*].node", nodes, &[r#"{"a":1}"#, r#"{"a":2}"#]);
    check("$[*].d.e", r#"[{"d":{"e":{"a":1}}},{"d":null},{"d":{"e":null}}]"#, &[r#"{"a":1}"#]);
    check("$.l[*][1]", r#"{"l":[[0,{"a":1}],[1],[2,{"a":3}]]}"#, &[r#"{"a":1}"#, r#"{"a":3}"#]);
    check("$.*.x", r#"{"p":{"x":{"a":1}},"q":{"x":{"a":2}}}"#, &[r#"{"a":1}"#, r#"{"a":2}"#]);
    check("$.l[*].m[*].n", r#"{"l":[{"m":[{"n":{}},{"n":{}}]},{"m":[]}]}"#, &["{}", "{}"]);
    check("$.entry[*].resource", r#"{"entry":[]}"#, &[]);
}

#[test]
fn follows_the_path_and_keeps_the_rest() {
    let check = |path: &str, text: &str, expected: &[&str], envelope: &str| {
        for step in [1, 3, 1000] {
            let (records, rest, found) = read(path, text, step).unwrap();
            assert_eq!(records, expected, "{path} of {text}");
            assert_eq!(rest.to_string(), envelope, "{path} of {text}");
            assert!(found, "{path} of {text}");
        }
    };
    check("$[*]", r#" [{"a":1} , {"a":2}] "#, &[r#"{"a":1}"#, r#"{"a":2}"#], r#"[{"a":2}]"#);
    check("$", r#"[{"a":1},{"a":2}]"#, &[r#"{"a":1}"#, r#"{"a":2}"#], r#"[{"a":2}]"#);
    check("$[*]", r#"{"a":[1]}"#, &[r#"{"a":[1]}"#], r#"{"a":[1]}"#);
    check("$[*]", "[]", &[], "[]");
    let page = r#"{"next":"x","data":{"items":[{"a":1},{"a":2}],"n":2},"t":[1,"]"]}"#;
    let rest = r#"{"next":"x","data":{"items":[{"a":2}],"n":2},"t":[1,"]"]}"#;
    check("$.data.items[*]", page, &[r#"{"a":1}"#, r#"{"a":2}"#], rest);
    check("$.data.items", page, &[r#"{"a":1}"#, r#"{"a":2}"#], rest);
    check("$.data.items[1]", page, &[r#"{"a":2}"#], page);
    check(
        "$['d\u{e4}']",
        r#"{"d\u00e4":{"a":1},"z":0}"#,
        &[r#"{"a":1}"#],
        r#"{"z":0,"dä":{"a":1}}"#,
    );
    check("$.data", r#"{"data":null,"n":0}"#, &[], r#"{"n":0,"data":null}"#);
    check("$.data", r#"{"data":[]}"#, &[], r#"{"data":[]}"#);
    check("$.*", r#"{"a":{"i":1},"b":{"i":2}}"#, &[r#"{"i":1}"#, r#"{"i":2}"#], r#"{"b":{"i":2}}"#);
    check(
        "$.pages[*].rows[*]",
        r#"{"pages":[{"rows":[{"a":1},{"a":2}]},{"rows":[]},{"rows":[{"a":3}]}]}"#,
        &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#],
        r#"{"pages":[{"rows":[{"a":2}]},{"rows":[]},{"rows":[{"a":3}]}]}"#,
    );
    check("$[*]", "[[1],2,null]", &["[1]", "2", "null"], "[null]");
}

#[test]
fn tells_when_the_place_is_not_there() {
    for text in [r#"{"error":"no"}"#, r#"{"data":[1]}"#, r#"{"data":{"row":[]}}"#, "\"no\"", "7"] {
        let (records, _, found) = read("$.data.rows[*]", text, 4).unwrap();
        assert!(records.is_empty() && !found, "{text}");
    }
}

#[test]
fn refuses_what_is_no_document() {
    let texts = [
        "",
        "  ",
        "<html>",
        "[{\"a\":1}",
        "[{\"a\":1},",
        "[{\"a\":1},]",
        "[{\"a\":1} {\"a\":2}]",
        "[{\"a\":1}]x",
        "[{\"a\":1}}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"data\":tru}",
        "[\"\u{1}\"]",
        "[1,{\"a\":[1}]}]",
        "{\"data\":",
        "[{\"a\":\"",
    ];
    for text in texts {
        for step in [1, 1000] {
            let failure = read("$[*]", text, step).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Data, "{text}");
            assert!(failure.context("line").is_some(), "{text}: {failure}");
        }
    }
    let long = format!("[\"{}\"]", "x".repeat(1001));
    assert!(read("$[*]", &long, 1000).unwrap_err().message().contains("larger"));
    assert!(read("$.a", &format!("{{\"b\":{long}}}"), 7).unwrap_err().message().contains("larger"));
}

#[test]
fn counts_lines_and_bytes() {
    let text = "\u{feff}[\n {\"a\":\n1},\n\n{\"a\":2}]";
    for step in [1, 1000] {
        let path = RecordsPath::default();
        let mut records = Records::new(Trickle(text.as_bytes(), step), &path, 1000);
        let mut places = Vec::new();
        while let Some(record) = records.next().unwrap() {
            places.push((record.line, record.byte));
        }
        assert_eq!(places, [(2, 6), (5, 17)], "{step}");
    }
}

#[test]
fn takes_lines_apart() {
    let text = "\u{feff}{\"a\":1}\r\n\n  \n {\"a\":2}\n{broken\n{\"a\":3}";
    for step in [1, 2, 1000] {
        let mut records = Records::lines(Trickle(text.as_bytes(), step), 1000);
        let mut found = Vec::new();
        while let Some(record) = records.next().unwrap() {
            found.push((record.line, String::from_utf8(record.text.to_vec()).unwrap()));
        }
        let line = |line, text: &str| (line, text.to_owned());
        let expected =
            [line(1, "{\"a\":1}"), line(4, "{\"a\":2}"), line(5, "{broken"), line(6, "{\"a\":3}")];
        assert_eq!(found, expected, "{step}");
        assert!(records.next().unwrap().is_none());
    }
    assert!(Records::lines(&b""[..], 10).next().unwrap().is_none());
    assert!(Records::lines(&b"12345678901\n"[..], 10).next().is_err());
    assert!(Records::lines(&b"\"\xff\"\n"[..], 10).next().is_err());
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{},:\"a1 ]{0,24}", step in 1_usize..8) {
        let expected: Option<Value> = serde_json::from_str(&text).ok();
        let read = read("$[*]", &text, step);
        match expected {
            Some(Value::Array(elements)) => {
                let (records, ..) = read.unwrap();
                let records: Vec<Value> =
                    records.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
                prop_assert_eq!(records, elements);
            }
            Some(_) => prop_assert!(read.is_ok()),
            None => prop_assert!(read.is_err()),
        }
    }
}
