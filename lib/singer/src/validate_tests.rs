//! What fits a schema, and why the rest does not.

use super::*;
use crate::batch::Cell;
use crate::scan::Scanner;

fn put(schema: &str, value: &str, validate: bool) -> Result<String, Reason> {
    let column = Column::new("c", serde_json::from_str(schema).unwrap());
    let root = Map::new();
    let checks = Checks::new(&column, &mut Compiler::new(&root), validate).unwrap();
    let mut batch = Batch::new(1);
    batch.begin_row();
    let token = Scanner::new(value.as_bytes()).value().unwrap();
    checks.put(token, 0, &mut batch)?;
    Ok(match batch.cell(0, 0) {
        Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Cell::Null => "<null>".to_owned(),
        Cell::Absent => "<absent>".to_owned(),
    })
}

#[test]
fn takes_what_fits_and_tells_why_the_rest_does_not() {
    let good = |schema: &str, value: &str, text: &str| {
        assert_eq!(put(schema, value, true).as_deref(), Ok(text), "{schema} {value}");
    };
    let bad = |schema: &str, value: &str, reason: &str| {
        let found = put(schema, value, true).unwrap_err();
        assert!(found.contains(reason), "{schema} {value}: {found}");
    };
    let int = r#"{"type":["integer","null"],"minimum":-32768,"maximum":32767}"#;
    good(int, "12", "12");
    good(int, "1.0", "1");
    good(int, "null", "<null>");
    bad(int, "32768", "above the maximum");
    bad(int, "-99999999999999999999999999999999999999999999", "below the minimum");
    let unsigned = r#"{"type":"integer","minimum":0,"maximum":18446744073709551615}"#;
    good(unsigned, "18446744073709551615", "18446744073709551615");
    bad(unsigned, "18446744073709551616", "above the maximum");
    bad(unsigned, "-1", "below the minimum");
    bad(int, "1e2", "fraction or an exponent");
    bad(int, "\"1\"", "it is string, but must be integer");
    bad(int, "true", "it is boolean, but must be integer");
    bad(r#"{"type":"integer"}"#, "null", "null is not allowed");
    good(
        r#"{"type":"integer"}"#,
        "123456789012345678901234567890",
        "123456789012345678901234567890",
    );
    let cents = r#"{"type":"number","multipleOf":0.01}"#;
    good(cents, "296.91", "296.91");
    good(cents, "0.100", "0.100");
    bad(cents, "0.001", "decimals");
    good(cents, "\"NaN\"", "NaN");
    bad(cents, "\"x\"", "it is a string, but must be a number");
    bad(r#"{"type":"string","maxLength":2}"#, "\"é€x\"", "maxLength");
    good(r#"{"type":"string","maxLength":2}"#, "\"é€\"", "é€");
    bad(r#"{"type":"string","enum":["a","b"]}"#, "\"c\"", "enum");
    bad(r#"{"type":"string","pattern":"^a"}"#, "\"b\"", "match");
    good(r#"{"type":"string","pattern":"^a"}"#, "\"ab\"", "ab");
    bad(r#"{"type":"string","format":"date-time"}"#, "\"2021-01-01\"", "date-time");
    bad(r#"{"type":"string","format":"date"}"#, "\"yesterday\"", "date");
    good(r#"{"type":["string","integer"]}"#, "12", "12");
    good("{}", "{\"a\": [1, 2]}", "{\"a\":[1,2]}");
    good("{}", "\"x\"", "\"x\"");
    let nested = r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#;
    good(nested, "{\"n\":1}", "{\"n\":1}");
    bad(nested, "{\"n\":\"secret\"}", "at /n");
    assert!(!put(nested, "{\"n\":\"secret\"}", true).unwrap_err().contains("secret"));
    let json_null = r#"{"type":["object","null"],"x-absent-is-null":true}"#;
    good(json_null, "null", "null");
    let draft4 = r#"{"type":"number","maximum":5,"exclusiveMaximum":true}"#;
    bad(draft4, "5", "5");
    good(draft4, "4.5", "4.5");
    let items = format!(r#"{{"type":"array","items":{draft4}}}"#);
    good(&items, "[4, 4.5]", "[4,4.5]");
    bad(&items, "[5]", "at /0");
    assert_eq!(put(int, "\"x\"", false).unwrap_err(), "the text is not an integer");
    assert_eq!(put(int, "\"7\"", false).as_deref(), Ok("7"));
}

#[test]
fn bounds_hold_for_numbers_of_every_length() {
    let bounds = [-1_000, -999, -100, -99, -10, -1, 0, 1, 9, 10, 99, 100, 999, 1_000];
    let numbers: Vec<i32> = (-101..=101).chain([-1_001, -1_000, -999, 999, 1_000, 1_001]).collect();
    for low in bounds {
        for high in bounds.into_iter().filter(|high| *high >= low) {
            let schema = format!(r#"{{"type":"integer","minimum":{low},"maximum":{high}}}"#);
            for number in &numbers {
                let fits = put(&schema, &number.to_string(), true).is_ok();
                assert_eq!(fits, (low..=high).contains(number), "{schema} {number}");
            }
        }
    }
}
