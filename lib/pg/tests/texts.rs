//! Texts of Postgres and JSON, one made of the other and back: any bytes, and damaged ones.

use pg::array::Notation;
use pg::convert::{Conversion, NanPolicy, Scratch};
use pg::{array, copy_text, quote_ident, quote_literal, shorten_ident};
use proptest::prelude::*;
use serde_json::Value;
use testing::property::holds;

const PLAIN: Notation = Notation { json_elements: false, delimiter: b',' };

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(b"\\\\\\tnrbvfN.\t\n\r\0\x08\x0b\x0c\xff\xc3\xa9 a".to_vec());
    prop_oneof![prop::collection::vec(odd, 0..30), prop::collection::vec(any::<u8>(), 0..30)]
}

#[test]
fn any_bytes_come_back_from_copy_text() {
    holds("fields of COPY text", 5000, any_bytes(), |bytes| {
        let (mut field, mut back) = (Vec::new(), Vec::new());
        copy_text::escape(&bytes, &mut field);
        // Nothing in it ends the field or the line, or is the null.
        prop_assert!(!field.iter().any(|byte| b"\t\n\r".contains(byte)), "{field:?}");
        prop_assert!(field != copy_text::NULL && field != b"\\.");
        copy_text::unescape(&field, &mut back);
        prop_assert_eq!(&back, &bytes);
        // Bytes that are no field are read without a panic, too.
        back.clear();
        copy_text::unescape(&bytes, &mut back);
        prop_assert!(back.len() <= bytes.len());
        Ok(())
    });
}

/// Appends a string in JSON's quotes, as the tap does.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    singer::quote::string_into(text, out);
}

#[test]
fn arrays_come_back_from_their_literals() {
    let text = prop_oneof![
        "[a-z{}\",\\\\ \n\tNULé🎉]{0,8}".prop_map(Value::from),
        Just(Value::Null),
        Just(Value::from("NULL")),
        Just(Value::from("")),
    ];
    let row = |width: usize| prop::collection::vec(text.clone(), width).prop_map(Value::from);
    let flat = (0_usize..5).prop_flat_map(row);
    let table = (1_usize..4, 1_usize..4).prop_flat_map(|(width, height)| {
        prop::collection::vec(row(width), height).prop_map(Value::from)
    });
    holds("arrays", 3000, prop_oneof![flat, table], |value| {
        let (mut literal, mut json, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        let text = value.to_string();
        array::from_json(text.as_bytes(), PLAIN, &mut scratch, &mut literal).unwrap();
        let mut element = |text: &[u8], _: bool, out: &mut Vec<u8>| {
            quoted(text, out);
            Ok(())
        };
        array::to_json(&literal, b',', &mut scratch, &mut json, &mut element).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), value);
        Ok(())
    });
}

#[test]
fn fields_that_no_server_sends_are_refused_or_read() {
    let odd = prop::sample::select(b"{}{}\"\"\\\\,,:NULtfx0123456789.eE+-TZ []\xff\n".to_vec());
    let values = (0_usize..12, prop::collection::vec(odd, 0..30));
    holds("fields that no server sends", 8000, values, |(conversion, field)| {
        let array = |element| Conversion::Array { element: Box::new(element), delimiter: b',' };
        let conversion = match conversion {
            0 => Conversion::Digits,
            1 => Conversion::Number,
            2 => Conversion::Boolean,
            3 => Conversion::Text,
            4 => Conversion::Timestamp,
            5 => Conversion::TimestampWithZone,
            6 => Conversion::TimeWithZone,
            7 => Conversion::Bytes,
            8 => Conversion::Json,
            9 => array(Conversion::Boolean),
            10 => array(Conversion::Text),
            _ => array(Conversion::Json),
        };
        let mut out = b"before".to_vec();
        let done = conversion.convert(&field, NanPolicy::String, &mut Scratch::default(), &mut out);
        prop_assert!(out.starts_with(b"before"));
        if let (Ok(()), Conversion::Array { element, .. }) = (&done, &conversion)
            && **element != Conversion::Json
            && field.is_ascii()
        {
            let json = &out[b"before".len()..];
            prop_assert!(serde_json::from_slice::<Value>(json).is_ok(), "{json:?}");
        }
        let mut literal = Vec::new();
        let of_json = Notation { json_elements: true, ..PLAIN };
        let _ = array::from_json(&field, of_json, &mut Vec::new(), &mut literal);
        let _ = array::from_json(&field, PLAIN, &mut Vec::new(), &mut literal);
        Ok(())
    });
}

#[test]
fn names_and_texts_stay_data_in_sql() {
    holds("names in SQL", 3000, "[a\"'\\\\;$\u{0}é🎉 \n-]{0,80}", |name| {
        match quote_ident(&name) {
            Ok(quoted) => {
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                prop_assert_eq!(inner.unwrap().replace("\"\"", "\""), name.as_str());
                prop_assert_eq!(inner.unwrap().matches('"').count() % 2, 0);
            }
            Err(_) => prop_assert!(name.is_empty() || name.contains('\0')),
        }
        let literal = quote_literal(&name);
        let inner = literal.trim_start_matches([' ', 'E']);
        let inner = inner.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap();
        let mut plain = inner.replace("''", "'");
        if literal.starts_with(" E") {
            plain = plain.replace("\\\\", "\\");
        }
        prop_assert_eq!(plain, name.as_str());
        let short = shorten_ident(&name);
        prop_assert!(short.len() <= 63 && (short == name || name.len() > 63));
        Ok(())
    });
}
