//! Secrets in every encoding, alone and one upon the other.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

type Encode = fn(&str) -> String;

/// Ways to write a text, by name.
const ENCODINGS: [(&str, Encode); 22] = [
    ("plain", str::to_owned),
    ("percent, upper case", |text| percent(text, |byte| format!("%{byte:02X}"))),
    ("percent, lower case", |text| percent(text, |byte| format!("%{byte:02x}"))),
    ("percent, all of it", |text| {
        text.bytes().fold(String::new(), |out, byte| out + &format!("%{byte:02x}"))
    }),
    ("form", |text| percent(text, |byte| format!("%{byte:02X}")).replace("%20", "+")),
    ("JSON", |text| json(text)),
    ("JSON with solidus", |text| json(text).replace('/', "\\/")),
    ("JSON, all of it", |text| units(text, |unit| format!("\\u{unit:04x}"))),
    ("JSON, upper case", |text| units(text, |unit| format!("\\u{unit:04X}"))),
    ("HTML", |text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', "&quot;").replace('\'', "&#39;").replace('/', "&#x2F;")
    }),
    ("HTML, decimal", |text| {
        text.chars().fold(String::new(), |out, c| out + &format!("&#{};", u32::from(c)))
    }),
    ("HTML, hexadecimal", |text| {
        text.chars().fold(String::new(), |out, c| out + &format!("&#x{:x};", u32::from(c)))
    }),
    ("hex", |text| text.bytes().fold(String::new(), |out, byte| out + &format!("{byte:02x}"))),
    ("hex, upper case", |text| {
        text.bytes().fold(String::new(), |out, byte| out + &format!("{byte:02X}"))
    }),
    ("escaped bytes", |text| {
        text.bytes().fold(String::new(), |out, byte| out + &format!("\\x{byte:02x}"))
    }),
    ("octal", |text| text.bytes().fold(String::new(), |out, byte| out + &format!("\\{byte:03o}"))),
    ("SQL", |text| text.replace('\'', "''")),
    ("CSV", |text| text.replace('"', "\"\"")),
    ("debug", |text| format!("{text:?}")),
    ("printable", |text| crate::error::printable(text).into_owned()),
    ("base64", |text| in_base64(text.as_bytes(), false, true)),
    ("base64, of URLs", |text| in_base64(text.as_bytes(), true, false)),
];

fn percent(text: &str, escape: impl Fn(u8) -> String) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &escape(byte);
        }
    }
    out
}

fn json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn units(text: &str, escape: impl Fn(u16) -> String) -> String {
    text.encode_utf16().map(escape).collect()
}

/// Encodes by the letter of RFC 4648, bit by bit.
fn in_base64(bytes: &[u8], of_urls: bool, padded: bool) -> String {
    let digits: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/").collect();
    let bits: String = bytes.iter().fold(String::new(), |mut bits, byte| {
        let _ = write!(bits, "{byte:08b}");
        bits
    });
    let mut out = String::new();
    for six in bits.as_bytes().chunks(6) {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        out.push(char::from(digits[usize::from_str_radix(&six, 2).unwrap()]));
    }
    while padded && !out.len().is_multiple_of(4) {
        out.push('=');
    }
    if of_urls { out.replace('+', "-").replace('/', "_") } else { out }
}

fn knows(secret: &str) -> Scrubber {
    let mut scrubber = Scrubber::new();
    scrubber.add(secret);
    scrubber
}

#[test]
fn no_encoding_shows_a_secret() {
    let secret = "[ -~]{2}[a-zA-Z0-9/+&\"'\\\\<>% é€😀=\n\t]{6,24}[!-~]{2}";
    let pick = 0..ENCODINGS.len();
    let values = (secret, pick.clone(), pick, "[a-z]{0,4}", "[a-z]{0,4}", any::<bool>());
    testing::property::holds(
        "secrets in texts",
        400,
        values,
        |(secret, one, other, a, b, layers)| {
            let secret = secret.trim();
            let scrubber = knows(secret);
            let (name, encode) = ENCODINGS[one];
            let mut encoded = encode(&format!("{a}{secret}{b}"));
            let mut beside = encode(a.as_str()) + &encode(b.as_str());
            let mut names = name.to_owned();
            if layers {
                names = format!("{names} in {}", ENCODINGS[other].0);
                // What is base64 or hex of an encoded text is no encoding that programs use.
                if other < 12 || (14..20).contains(&other) {
                    encoded = ENCODINGS[other].1(&encoded);
                    beside = ENCODINGS[other].1(&beside);
                }
            }
            let around = scrubber.scrub(&encoded).into_owned();
            prop_assert!(
                around.contains(MASK),
                "{names}: {encoded:?} of {secret:?} gives {around:?}"
            );
            let text = format!("said: {encoded} .");
            let found = scrubber.scrub(&text).into_owned();
            prop_assert!(
                found.starts_with("said: ") && found.ends_with(" ."),
                "{names}: {found:?}"
            );
            let left = found.len() - "said: *** .".len();
            prop_assert!(left <= beside.len() + 12, "{names}: {found:?}");
            Ok(())
        },
    );
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let values = ("[g-p]{8,20}", "[ -~é\n]{0,60}");
    testing::property::holds("texts without secrets", 200, values, |(secret, text)| {
        prop_assume!(!text.contains(&secret[..PART_MIN.min(secret.len())]));
        let scrubber = knows(&secret);
        let found = scrubber.scrub(&text).into_owned();
        prop_assert_eq!(found, text);
        Ok(())
    });
    assert_eq!(knows("abc").scrub("abc"), "abc");
}

#[test]
fn takes_secrets_out_in_all_forms() {
    let scrubber = knows("s3cr\"t/x");
    for (text, expected) in [
        ("a s3cr\"t/x b", "a *** b"),
        ("a s3cr%22t%2Fx b s3cr%22t%2fx", "a *** b ***"),
        ("s3cr\\\"t\\/x s3cr\\u0022t/x", "*** ***"),
        ("s3cr&quot;t/x s3cr&#34;t&#x2f;x s3cr\"\"t/x", "*** *** ***"),
        ("s3cr\\\\\\\"t\\\\/x s3cr%2522t%252Fx s3cr\\u0026quot;t/x", "*** *** ***"),
        ("dTpzM2NyInQveA== dTpzM2NyInQveA czNjciJ0L3g=", "dT*** dT*** ***"),
        ("czNjciJ0L3g%3D 7333637222742f78 73:33:63:72:22:74:2F:78", "*** *** ***"),
        ("73336372 7333", "73336372 7333"),
    ] {
        assert_eq!(scrubber.scrub(text), expected, "{text}");
    }
}

#[test]
fn base64_is_found_at_every_offset() {
    let secret = "n0t-for-y0u?>~";
    for (before, behind) in [("", ""), ("u:", ""), ("us:", "\n"), ("use:", "xy"), ("user:", "z")] {
        for (of_urls, padded) in [(false, true), (false, false), (true, true), (true, false)] {
            let whole = format!("{before}{secret}{behind}");
            let encoded = in_base64(whole.as_bytes(), of_urls, padded);
            let found = knows(secret).scrub(&encoded).into_owned();
            assert!(found.contains(MASK), "{encoded} {found}");
            let left = found.replace(MASK, "").len();
            assert!(left <= (before.len() + behind.len()) * 4 / 3 + 2, "{encoded} {found}");
        }
    }
}

#[test]
fn a_text_is_scrubbed_before_it_is_cut() {
    let secret = "0123456789abcdefghij";
    let scrubber = knows(secret);
    for at in 0..40 {
        let text = format!("{}{secret}{}", "x".repeat(at), "y".repeat(100_000));
        let cut = scrubber.excerpt(&text, 30);
        assert!(!cut.contains("0123"), "{at}: {cut}");
        assert!(cut.chars().count() <= 33, "{at}: {cut}");
    }
    // What is looked at ends in the middle of a secret, of which nothing before it is left.
    let long = secret.repeat(5_000);
    assert_eq!(scrubber.excerpt(&long, 30), "***...");
    for kept in 4..secret.len() {
        let text = format!("so {}", &secret[..kept]);
        assert_eq!(scrubber.scrub_start(&text), "so ***", "{kept}");
        let text = format!("so {}%4", &secret[..kept]);
        assert_eq!(scrubber.scrub_start(&text), "so ***", "{kept}");
    }
    // A server may cut as well.
    assert_eq!(scrubber.scrub("near '0123456789abcde' at"), "near '***' at");
    assert_eq!(scrubber.scrub("near '01234' at"), "near '01234' at");
    assert_eq!(scrubber.excerpt("short", 30), "short");
}

#[test]
fn keys_and_addresses_are_known_by_their_parts() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\nabcd\n-----END PRIVATE KEY-----\n");
    let scrubber = knows(&key);
    assert_eq!(scrubber.scrub(&format!("no file {line}")), "no file ***");
    assert_eq!(scrubber.scrub("no -----BEGIN PRIVATE KEY-----"), "no -----BEGIN PRIVATE KEY-----");
    let mut scrubber = Scrubber::new();
    scrubber.add_address("postgresql://me:p%40ss-w0rd@host:5432/db?sslmode=require&password=0ther");
    scrubber.add_address("https://user/path?sig=s1gnature");
    scrubber.add_address("postgres://postgres:postgres@localhost/postgres");
    let text = "p@ss-w0rd p%40ss-w0rd 0ther s1gnature require host postgres";
    assert_eq!(scrubber.scrub(text), "*** *** *** *** require host postgres");
}

#[test]
fn settings_say_what_is_secret() {
    let schema = serde_json::json!({ "properties": {
        "name": { "type": "string" },
        "password": { "type": "string", "secret": true },
        "entries": { "type": "array", "items": { "anyOf": [
            { "type": "object", "properties": {
                "keys": { "type": "object", "additionalProperties":
                    { "type": "string", "secret": true } },
                "path": { "type": "string" } } },
            { "type": "null" }] } },
    } });
    let settings = serde_json::json!({ "name": "shown", "password": "shown",
        "entries": [{ "keys": { "a": "first" }, "path": "p" }, { "keys": { "b": "second" } }] });
    let (mut secrets, mut shown) = (Vec::new(), Vec::new());
    part(&settings, &schema, &mut secrets, &mut shown);
    secrets.sort_unstable();
    shown.sort_unstable();
    assert_eq!(secrets, ["first", "second", "shown"]);
    assert_eq!(shown, ["p", "shown"]);
}

#[test]
fn hostile_texts_take_no_time_that_grows_with_their_escapes() {
    let scrubber = knows("%&\\\"%&\\\"%&\\\"");
    for c in ["%", "\\", "&", "\"", "%25", "&amp;", "\\\\u005c"] {
        let text = c.repeat(4000 / c.len());
        // That it ends is what is asked.
        let _ = scrubber.scrub(&text);
    }
}
