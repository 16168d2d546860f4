//! The scanner against `serde_json`, and the row path against the allocator.

use proptest::prelude::*;
use serde_json::{Value, json};
use singer::Envelope;
use singer::Stream;
use singer::batch::Batch;
use singer::decode::RecordDecoder;
use singer::encode::{Envelopes, RecordEncoder};
use singer::scan::{DEPTH_MAX, Scanner};
use testing::property::holds;

#[expect(clippy::expect_used, clippy::panic, reason = "a judge speaks by panicking")]
#[path = "../fuzz/judge.rs"]
mod judge;

/// Texts that are JSON, each by a rule that is easy to get wrong.
const ACCEPTED: [&str; 20] = [
    "[]",
    "{}",
    " [ ] ",
    "[1 , 2]",
    r#"{"a" : {"b":[ ]}}"#,
    "0",
    "-0",
    "-0.0e-0",
    "1E+2",
    "\"\"",
    r#""\u0000""#,
    r#""\ud83d\ude00""#,
    "\"\u{7f}\"",
    "null",
    "true",
    r#"{"a":1,"a":2}"#,
    "[1e400]",
    "123456789012345678901234567890",
    "\"é\"",
    r#"["\/\b\f\n\r\t\\\""]"#,
];

/// Texts that are none.
const REFUSED: [&str; 42] = [
    "",
    " ",
    "[",
    "]",
    "[1,]",
    "[,1]",
    "{\"a\":}",
    "{\"a\"}",
    "{a:1}",
    "{\"a\":1,}",
    "01",
    "-",
    "+1",
    ".5",
    "5.",
    "1e",
    "1e+",
    "0x1",
    "NaN",
    "Infinity",
    "nul",
    "truee",
    "'a'",
    "\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\t\"",
    "\"a\nb\"",
    r#""\ud800""#,
    r#""\udc00""#,
    r#""\ud800\u0041""#,
    "[1 2]",
    "{\"a\" 1}",
    "[1}",
    "{]",
    "[\"a\",",
    "\u{feff}1",
    "[1]x",
    "[-]",
    "{1:1}",
    "[\u{a0}1]",
    "--1",
];

#[test]
fn decides_the_hard_texts_as_the_grammar_does() {
    let accepts = |text: &str| {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.space();
        scanner.value().is_ok() && scanner.end().is_ok()
    };
    for text in ACCEPTED {
        assert!(accepts(text), "{text}");
        judge::judge(text);
    }
    for text in REFUSED {
        assert!(!accepts(text), "{text}");
        judge::judge(text);
    }
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(accepts(&deep(DEPTH_MAX)));
    assert!(!accepts(&deep(DEPTH_MAX + 1)));
    assert!(!accepts(&"[".repeat(1_000_000)));
}

const DAMAGE: &str = "[\\[\\]{}:,\"\\\\0-9eE.+ntu -]|\u{e9}";

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[\u{0}-\u{2ff}😀\"\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"\\\\é]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn agrees_with_serde_json_on_damaged_texts() {
    let damages = prop::collection::vec((any::<prop::sample::Index>(), DAMAGE), 0..4);
    let values = (any_json(), any::<bool>(), damages);
    holds("texts of JSON", 3000, values, |(value, pretty, damages)| {
        let mut text = if pretty { format!("{value:#}") } else { value.to_string() };
        judge::judge(&text);
        for (at, with) in damages {
            let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
            if starts.is_empty() {
                break;
            }
            let start = *at.get(&starts);
            let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(start..end, &with);
            judge::judge(&text);
        }
        Ok(())
    });
}

#[test]
fn no_row_allocates_after_warm_up() {
    let schema = json!({ "properties": {
        "id": { "type": "integer" }, "price": { "type": ["number", "null"] },
        "name": { "type": ["string", "null"], "maxLength": 40 },
        "at": { "type": "string", "format": "date-time" },
        "doc": { "type": ["object", "null"] }, "flag": { "type": "boolean" },
    }});
    let stream = Stream::new("s", schema.as_object().unwrap().clone(), vec!["id".to_owned()]);
    let mut decoder = RecordDecoder::new(&stream, true).unwrap();
    let encoder =
        RecordEncoder::new(&stream, &[], Envelopes::Same("2026-01-01T00:00:00Z", Some(1)));
    let line = concat!(
        r#"{"type":"RECORD","stream":"s","record":{"id":1,"price":1.50,"name":"a \"b\" é","#,
        r#""at":"2026-01-01T00:00:00Z","doc":{"a": [1, 2]},"flag":true},"version":1,"#,
        r#""time_extracted":"2026-01-01T00:00:00Z"}"#
    );
    let mut batch = Batch::new(stream.columns.len() + Envelope::CELLS);
    let mut out = Vec::new();
    let mut pass = || {
        batch.reset(stream.columns.len() + Envelope::CELLS);
        out.clear();
        for _ in 0..2000 {
            assert!(decoder.predicts(line.as_bytes()));
            decoder.predicted(line.as_bytes(), &mut batch).unwrap();
        }
        for row in 0..batch.rows() {
            encoder.row(&batch, row, &mut out);
        }
        assert_eq!(batch.rows(), 2000);
    };
    pass();
    let allocations = allocation_counter::measure(pass);
    assert_eq!(allocations.count_total, 0);
}
