//! Lines of a tap that went wrong somewhere: taken as `serde_json` takes them, or refused, and by
//! the short way of the usual line as by the long one.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test speaks by panicking")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use singer::Envelope;
use singer::Stream;
use singer::batch::Batch;
use singer::decode::{Line, RecordDecoder};
use singer::encode::{Envelopes, RecordEncoder};
use singer::refusal::Refusal;
use testing::property::holds;

fn stream() -> Stream {
    let schema = json!({ "required": ["i"], "properties": {
        "i": { "type": "integer" },
        "n": { "type": ["number", "null"] },
        "s": { "type": ["string", "null"] },
        "b": { "type": ["boolean", "null"] },
        "\"é": { "type": ["string", "null"] },
        "j": { "type": ["object", "array", "null"] },
        "k": { "type": ["integer", "string", "null"], "minLength": 0 },
    }});
    Stream::new("s", schema.as_object().unwrap().clone(), vec!["i".to_owned()])
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        "[a-c \u{e9}🎉\\\\\"/\n\u{1}]{0,8}".prop_map(|text| Value::from(text).to_string()),
        Just(r#""\ud83c\udf89\u00e9\/""#.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|members| {
                let member = |(key, value): &(String, String)| format!("\"{key}\":{value}");
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// A key as it may be written, and a value.
fn member() -> impl Strategy<Value = (&'static str, String)> {
    let key = prop::sample::select(vec![
        r#""i""#,
        r#""n""#,
        r#""s""#,
        r#""b""#,
        r#""\"é""#,
        r#""\u0022\u00e9""#,
        r#""j""#,
        r#""k""#,
        r#""\u0069""#,
        r#""x""#,
    ]);
    (key, value())
}

/// The text of a RECORD: members in any order, some twice, after those of a usual record.
fn line() -> impl Strategy<Value = String> {
    let usual = (any::<bool>(), any::<i64>(), value(), value(), value());
    let more = prop::collection::vec(member(), 0..4);
    let rest = prop::sample::select(vec![
        "",
        r#","time_extracted":"2026-11-20T00:00:00Z""#,
        r#","version":7"#,
        r#","version":7,"time_extracted":"2026-11-20T00:00:00Z""#,
        r#","version":"7""#,
        r#","version":null,"x":[1]"#,
        r#","record":{"i":2}"#,
        r#","type":"STATE""#,
        r#","stream":"other""#,
    ]);
    (usual, more, rest).prop_map(|((usual, i, s, j, n), more, rest)| {
        let mut members = Vec::new();
        if usual {
            members.extend([("\"i\"", i.to_string()), ("\"n\"", n), ("\"s\"", s), ("\"j\"", j)]);
        }
        members.extend(more);
        let members = members.iter().map(|(key, value)| format!("{key}:{value}"));
        let members = members.collect::<Vec<_>>().join(",");
        format!(r#"{{"type":"RECORD","stream":"s","record":{{{members}}}{rest}}}"#)
    })
}

#[derive(Clone, Debug)]
enum Damage {
    Space(&'static str),
    Replace(String),
    Insert(String),
    Remove(usize),
    Cut,
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Damage)>> {
    let odd = "[\\[\\]{}:,\"\\\\0-9eE.+ntu -]|\u{e9}|\u{0}";
    let space = prop::sample::select(vec![" ", "\t", "  ", "\r", " \n"]);
    let damage = prop_oneof![
        4 => space.prop_map(Damage::Space),
        1 => odd.prop_map(Damage::Replace),
        1 => odd.prop_map(Damage::Insert),
        1 => (1_usize..8).prop_map(Damage::Remove),
        1 => Just(Damage::Cut),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), damage), 0..4)
}

fn damaged(mut text: String, damages: &[(prop::sample::Index, Damage)]) -> String {
    for (at, damage) in damages {
        let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
        if starts.is_empty() {
            break;
        }
        let at = *at.get(&starts);
        let end = |length: usize| {
            starts.iter().copied().filter(|start| *start >= at).nth(length).unwrap_or(text.len())
        };
        match damage {
            Damage::Space(space) => {
                // Behind the next mark: most often a place where white space means nothing.
                let mark = text[at..].find(['{', '}', '[', ']', ':', ',']);
                let at = mark.map_or(at, |mark| at + mark + 1);
                text.insert_str(at, space);
            }
            Damage::Replace(with) => text.replace_range(at..end(1), with),
            Damage::Insert(with) => text.insert_str(at, with),
            Damage::Remove(length) => text.replace_range(at..end(*length), ""),
            Damage::Cut => text.truncate(at),
        }
    }
    text
}

/// What became of a line: the record as JSON text, or `false` for what is no JSON.
fn taken(
    stream: &Stream,
    read: impl FnOnce(&mut RecordDecoder, &mut Batch) -> Result<(), Refusal>,
) -> Result<String, bool> {
    let mut decoder = RecordDecoder::new(stream, true).unwrap();
    let mut batch = Batch::new(stream.columns.len() + Envelope::CELLS);
    let done = read(&mut decoder, &mut batch);
    assert_eq!(batch.rows(), usize::from(done.is_ok()), "a refused row stays in the batch");
    done.map_err(|refusal| matches!(refusal, Refusal::Unfit(..)))?;
    let mut text = Vec::new();
    RecordEncoder::new(stream, &[], Envelopes::Same("t", None)).record(&batch, 0, &mut text);
    Ok(String::from_utf8(text).expect("UTF-8"))
}

/// Two values are the same, but for numbers that are whole: `1.0` is taken as `1`; and for numbers
/// in a column of texts.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(two)) => one == two || one.as_f64() == two.as_f64(),
        (Value::String(text), Value::Number(number)) => text.parse().ok() == number.as_f64(),
        _ => ours == theirs,
    }
}

/// What a record is in the columns of the stream.
fn projected(stream: &Stream, record: &Map<String, Value>) -> Map<String, Value> {
    let cell = |name: &String| Some((name.clone(), record.get(name)?.clone()));
    stream.columns.iter().filter_map(|column| cell(&column.name)).collect()
}

#[test]
fn damaged_records_are_taken_as_they_stand_or_refused() {
    let stream = stream();
    let values = (line(), damages());
    holds("lines of a tap", 5000, values, |(line, damages)| {
        let text = damaged(line, &damages);
        let parts = Line::read(text.as_bytes());
        let whole: Option<Value> = serde_json::from_str(&text).ok();
        let object = whole.filter(Value::is_object);
        let Ok(parts) = parts else {
            // What the scanner refuses as a line is no object, or has a part of it twice.
            let twice = ["type", "stream", "record"]
                .iter()
                .any(|part| text.matches(&format!("\"{part}\"")).count() > 1);
            prop_assert!(object.is_none() || twice, "refused: {text}");
            return Ok(());
        };
        prop_assert!(object.is_some(), "taken: {text}");
        let object = object.unwrap();
        let long = taken(&stream, |decoder, batch| decoder.record(&parts, batch));
        if let Ok(taken) = &long {
            let taken: Map<String, Value> = serde_json::from_str(taken).unwrap();
            let record = object["record"].as_object().expect("an object");
            let expected = projected(&stream, record);
            prop_assert_eq!(taken.len(), expected.len(), "{}", &text);
            for (name, value) in &expected {
                prop_assert!(same(&taken[name], value), "{name} of {text} became {taken:?}");
            }
        }
        if RecordDecoder::new(&stream, true).unwrap().predicts(text.as_bytes()) {
            let short = taken(&stream, |decoder, batch| decoder.predicted(text.as_bytes(), batch));
            prop_assert_eq!(short, long, "the short way of {}", text);
        }
        Ok(())
    });
}
