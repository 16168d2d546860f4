//! Tests of the CSV reader.

use proptest::prelude::*;
use singer::{ErrorKind, Result};
use testing::drip::Drip;

use super::{Lines, Reader};
use crate::dialect::Dialect;

type Rows = Vec<(u64, Vec<Option<String>>)>;

/// Reads all records: an unquoted empty field is `None`.
fn read_in(text: &[u8], dialect: &Dialect, drip: usize, block: usize) -> Result<Rows> {
    let mut reader = Reader::with_block_bytes(Drip(text, drip), dialect, block);
    let mut rows = Vec::new();
    while let Some(record) = reader.record()? {
        let cell = |(text, quoted): (&[u8], bool)| {
            (quoted || !text.is_empty()).then(|| String::from_utf8(text.to_vec()).unwrap())
        };
        rows.push((record.line(), record.fields().map(cell).collect()));
    }
    Ok(rows)
}

fn check(text: &str, dialect: &Dialect, expected: &[(u64, &[Option<&str>])]) {
    let expected: Rows = expected
        .iter()
        .map(|(line, cells)| (*line, cells.iter().map(|cell| cell.map(str::to_owned)).collect()))
        .collect();
    for (drip, block) in [(1, 1), (1, 7), (3, 2), (1000, 1000)] {
        let rows = read_in(text.as_bytes(), dialect, drip, block).unwrap();
        assert_eq!(rows, expected, "{text:?} by {drip} in {block}");
    }
}

#[test]
fn tells_null_from_an_empty_string() {
    let dialect = Dialect::default();
    check("a,\"\",,b\n", &dialect, &[(1, &[Some("a"), Some(""), None, Some("b")])]);
    check(",\n\"\"\n", &dialect, &[(1, &[None, None]), (2, &[Some("")])]);
    check("a\n\nb\n", &dialect, &[(1, &[Some("a")]), (2, &[None]), (3, &[Some("b")])]);
    check("\\N,NULL", &dialect, &[(1, &[Some("\\N"), Some("NULL")])]);
}

#[test]
fn reads_every_line_end_and_counts_lines() {
    let dialect = Dialect::default();
    let two: &[(u64, &[Option<&str>])] = &[(1, &[Some("a")]), (2, &[Some("b")])];
    for text in ["a\nb\n", "a\nb", "a\r\nb\r\n", "a\rb\r", "a\rb", "a\r\nb", "a\nb\r\n"] {
        check(text, &dialect, two);
    }
    check(
        "\"x\ny\r\nz\rw\",1\n2\n",
        &dialect,
        &[(1, &[Some("x\ny\r\nz\rw"), Some("1")]), (5, &[Some("2")])],
    );
    check("", &dialect, &[]);
    check("\u{feff}", &dialect, &[]);
    check("\u{feff}a\n", &dialect, &[(1, &[Some("a")])]);
    // Files that were put together have marks inside; what we write has them as text alone.
    let ab: &[(u64, &[Option<&str>])] = &[(1, &[Some("a")]), (2, &[Some("b,c")])];
    for text in [
        "a\n\u{feff}\"b,c\"",
        "\u{feff}\u{feff}a\r\n\u{feff}\"b,c\"\r\n\u{feff}",
        "a\n\u{feff}\u{feff}\"b,c\"\n",
    ] {
        check(text, &dialect, ab);
    }
    let mut reader = Reader::new("\u{feff}a\nb\n\u{feff}c\n\u{feff}".as_bytes(), &dialect);
    while reader.record().unwrap().is_some() {}
    assert_eq!(reader.marks(), Lines { count: 2, first: 3 });
    let lake = Dialect::lake();
    check("a\n\u{feff}b", &lake, &[(1, &[Some("a")]), (2, &[Some("\u{feff}b")])]);
    check("a,", &dialect, &[(1, &[Some("a"), None])]);
}

#[test]
fn reads_quotes_delimiters_and_escapes_of_each_dialect() {
    let dialect = Dialect::default();
    check("\"a\"\"b\",\"c,d\"\n", &dialect, &[(1, &[Some("a\"b"), Some("c,d")])]);
    check("\"\"\"\"\n", &dialect, &[(1, &[Some("\"")])]);
    check(
        "'a;b';c",
        &Dialect { delimiter: b';'.into(), quote: Some(b'\''), ..dialect },
        &[(1, &[Some("a;b"), Some("c")])],
    );
    check(
        "\"a\"\tb",
        &Dialect { delimiter: b'\t'.into(), quote: None, ..dialect },
        &[(1, &[Some("\"a\""), Some("b")])],
    );
    check(
        "a,  b, \"c\", \n",
        &Dialect { skip_initial_space: true, ..dialect },
        &[(1, &[Some("a"), Some("b"), Some("c"), None])],
    );
    let escape = Dialect { escape: Some(b'\\'), double_quote: false, ..dialect };
    check(
        "\"a\\\"b\",c\\,d,e\\\\,\"\\\n\"\nf",
        &escape,
        &[(1, &[Some("a\"b"), Some("c,d"), Some("e\\"), Some("\n")]), (3, &[Some("f")])],
    );
    check("a\\\nb,c\nd", &escape, &[(1, &[Some("a\nb"), Some("c")]), (3, &[Some("d")])]);
    check("a\\", &escape, &[(1, &[Some("a\\")])]);
}

#[test]
fn quotes_at_odd_places_are_text_unless_strict() {
    let dialect = Dialect::default();
    for field in ["\"a\"b", "\"12\" pipe\"", "\"3,5\"\" x\" 2\"\"", "\"\"x\"\"", "\"é\"\t."] {
        let row: &[(u64, &[Option<&str>])] = &[(1, &[Some(field), Some("c")]), (2, &[Some("d")])];
        check(&format!("{field},c\nd"), &dialect, row);
    }
    let text = "x\n\"a\"\t\n\"b\"\"\" \t \n\"c\" ,\"d\"e\n\"\nf\"\n\"g\"h";
    for block in [1, 1000] {
        let mut reader = Reader::with_block_bytes(text.as_bytes(), &dialect, block);
        while reader.record().unwrap().is_some() {}
        assert_eq!(reader.odd_quotes(), Lines { count: 2, first: 4 });
    }
    let escape = Dialect { escape: Some(b'\\'), ..dialect };
    check("\"a\\\"\"b\\,c,d", &escape, &[(1, &[Some("\"a\\\"\"b\\,c"), Some("d")])]);
    for text in ["1,\"5 in\n2,\"6 in\n", "1,\"a\n2,b\n3,\"c\"\n", "1,\"\r2,\"x"] {
        let failure = read_in(text.as_bytes(), &dialect, 3, 1).unwrap_err();
        assert_eq!(failure.context("line"), Some("1"), "{failure}");
    }
    check("\"a\"\"b\"c\"d\",e", &dialect, &[(1, &[Some("\"a\"\"b\"c\"d\""), Some("e")])]);
    check("a\"b,c\"\n", &dialect, &[(1, &[Some("a\"b"), Some("c\"")])]);
    let strict = Dialect { strict: true, ..dialect };
    for text in ["x\n\"a\"b,c\n", "x\na\"b\n"] {
        let failure = read_in(text.as_bytes(), &strict, 3, 1).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("line"), Some("2"), "{failure}");
    }
    check("\"a\"\"b\",c\n", &strict, &[(1, &[Some("a\"b"), Some("c")])]);
}

#[test]
fn blanks_behind_a_closing_quote_are_no_part_of_a_field() {
    let comma = Dialect::default();
    let strict = Dialect { strict: true, ..comma };
    for blank in [" ", "\t", "   \t "] {
        for (quoted, field) in [("a", "a"), ("a\nb", "a\nb"), ("", ""), ("a\"\" ", "a\" ")] {
            let text = format!("\"{quoted}\"{blank},1\n\"x\"{blank}\r\n\"{quoted}\"{blank}");
            let more = u64::from(field.contains('\n'));
            let rows: [(u64, &[Option<&str>]); 3] = [
                (1, &[Some(field), Some("1")]),
                (2 + more, &[Some("x")]),
                (3 + more, &[Some(field)]),
            ];
            check(&text, &comma, &rows);
            assert_eq!(
                read_in(text.as_bytes(), &strict, 3, 1).unwrap_err().kind(),
                ErrorKind::Data
            );
        }
    }
    // A blank that is the delimiter is none.
    let tab = Dialect { delimiter: b'\t'.into(), ..comma };
    check("\"a\" \t\"b\"\t\t\n", &tab, &[(1, &[Some("a"), Some("b"), None, None])]);
}

#[test]
fn says_where_a_quote_was_left_open() {
    let dialect = Dialect::default();
    for (drip, block) in [(1, 1), (100, 100)] {
        let text = b"a,b\n\"x\ny\",\"open\nand on\n";
        let failure = read_in(text, &dialect, drip, block).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("line"), Some("3"));
        assert_eq!(failure.context("byte"), Some("10"));
    }
}

#[test]
fn holds_no_more_than_the_longest_record_allowed() {
    let dialect = Dialect { record_bytes_max: 1000, ..Dialect::default() };
    let open = [b"a\n\"".to_vec(), b"x\n".repeat(100_000)].concat();
    let failure = read_in(&open, &dialect, 64, 64).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Data);
    assert_eq!(failure.context("line"), Some("2"));
    let long = b"x".repeat(100_000);
    assert_eq!(read_in(&long, &dialect, 64, 64).unwrap_err().kind(), ErrorKind::Data);
    let whole = [b"\"".to_vec(), b"x".repeat(900), b"\"\n".to_vec()].concat();
    assert_eq!(read_in(&whole, &dialect, 64, 64).unwrap().len(), 1);
}

#[test]
fn refuses_bytes_that_are_no_text() {
    let dialect = Dialect::default();
    let check = |text: &[u8], line: &str, byte: &str, hint: &str| {
        let failure = read_in(text, &dialect, 2, 3).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("line"), Some(line), "{failure}");
        assert_eq!(failure.context("byte"), Some(byte), "{failure}");
        assert!(failure.to_string().contains(hint), "{failure}");
    };
    check(b"a\nb\0c\n", "2", "3", "UTF-16");
    check(b"a\n\"x\ny\0\"\n", "3", "6", "UTF-16");
    check(b"a\n\"x\ny\xe9\"\n", "3", "6", "set `encoding`");
    check(b"\xff\xfea\n", "1", "0", "utf-16");
    let nul = Dialect { nul_allowed: true, ..dialect };
    assert_eq!(read_in(b"a\0b", &nul, 1, 1).unwrap(), [(1, vec![Some("a\0b".to_owned())])]);
}

#[test]
fn skips_lines_before_the_header() {
    for (drip, block) in [(1, 1), (100, 100)] {
        let text = b"\xef\xbb\xbfit's \"here\r\n\rnow\na,b\n";
        let mut reader = Reader::with_block_bytes(Drip(text, drip), &Dialect::default(), block);
        assert_eq!(reader.skip_lines(3).unwrap(), 3);
        let record = reader.record().unwrap().unwrap();
        assert_eq!((record.raw(), record.line()), (&b"a,b"[..], 4));
        assert_eq!(reader.skip_lines(2).unwrap(), 0);
    }
}

#[test]
fn gives_offsets_and_raw_bytes() {
    let text = b"a,b\n\"c\"\"\",d\n";
    let mut reader = Reader::with_block_bytes(&text[..], &Dialect::default(), 4);
    assert_eq!(reader.record().unwrap().unwrap().offset(), 0);
    let record = reader.record().unwrap().unwrap();
    assert_eq!((record.offset(), record.raw()), (4, &b"\"c\"\"\",d"[..]));
    assert_eq!((record.len(), record.text(0), record.text(2)), (2, Some(&b"c\""[..]), None));
}

/// Writes rows as Postgres COPY CSV does, quoting what must be and whatever else it likes.
fn write(rows: &[Vec<Option<String>>], quote_all: bool, line_end: &str) -> String {
    let cell = |cell: &Option<String>| match cell {
        None => String::new(),
        Some(text) if quote_all || text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.clone(),
    };
    let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(",");
    rows.iter().map(|cells| row(cells) + line_end).collect()
}

fn cells() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    let text = prop_oneof![
        "[a,\"\n\r é\\\\]{0,12}",
        Just(String::new()),
        "[a-z0-9]{0,40}",
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ];
    (1_usize..6).prop_flat_map(move |width| {
        let row = prop::collection::vec(prop::option::of(text.clone()), width);
        prop::collection::vec(row, 0..8)
    })
}

proptest! {
    #[test]
    fn reads_back_what_copy_writes(
        rows in cells(),
        quote_all in any::<bool>(),
        strict in any::<bool>(),
        crlf in any::<bool>(),
        drip in 1_usize..40,
        block in 1_usize..64,
    ) {
        // A byte order mark at the start of a file is none of its text.
        let marked = rows.first().and_then(|row| row[0].as_ref());
        prop_assume!(quote_all || !marked.is_some_and(|text| text.starts_with('\u{feff}')));
        let text = write(&rows, quote_all, if crlf { "\r\n" } else { "\n" });
        let dialect = Dialect { strict, ..Dialect::default() };
        let read = read_in(text.as_bytes(), &dialect, drip, block).unwrap();
        let cells: Vec<_> = read.into_iter().map(|(_, cells)| cells).collect();
        prop_assert_eq!(cells, rows);
    }

    #[test]
    fn takes_any_bytes_without_a_panic_and_alike_at_any_split(
        text in prop::collection::vec(prop::sample::select(
            vec![b',', b'"', b'\n', b'\r', b'a', b'\\', b' ', b'\'']), 0..40),
        escape in any::<bool>(),
        strict in any::<bool>(),
        double_quote in any::<bool>(),
        skip_initial_space in any::<bool>(),
        block in 1_usize..20,
    ) {
        let escape = escape.then_some(b'\\');
        let dialect = Dialect {
            escape, double_quote, skip_initial_space, strict, ..Dialect::default()
        };
        let whole = read_in(&text, &dialect, 1000, 1000).map_err(|failure| failure.to_string());
        let split = read_in(&text, &dialect, 3, block).map_err(|failure| failure.to_string());
        prop_assert_eq!(whole, split);
    }
}
