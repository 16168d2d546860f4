//! Tests of discovery over files.

use std::fs;

use serde_json::{Value, json};

use super::columns::{Origin, origins};
use super::*;
use crate::disk::Disk;
use crate::format::Format;
use crate::settings::Words;

/// Writes the files, and discovers them with these settings.
fn discover(files: &[(&str, &[u8])], mut settings: Value) -> Result<Option<Stream>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let metadata = settings["metadata"].take();
    let delimiter =
        settings["delimiter"].as_str().map(|text| ShortText::read("delimiter", text).unwrap());
    let keys = serde_json::from_value(settings["keys"].take()).unwrap_or_default();
    let settings = TableSettings {
        name: "a".to_owned(),
        keys,
        format: Some(Format::Csv),
        delimiter,
        text: serde_json::from_value(settings).unwrap(),
        metadata: match metadata.as_str() {
            Some("all") => &[Metadata::File, Metadata::Modified, Metadata::Line],
            Some("extra") => &[Metadata::Extra],
            _ => &[],
        },
        whole: false,
        record_bytes_max: 1 << 20,
        columns_max: 100,
        decompression_ratio_max: 200,
        words: Words { table: "entity", keys: "keys" },
    };
    let disk = Disk::new(folder.path().to_str().unwrap());
    Table::new(settings, Box::new(disk))?.discover()
}

fn check(files: &[(&str, &[u8])], settings: Value, expected: &[(&str, Kind)]) {
    let stream = discover(files, settings).unwrap().unwrap();
    let found: Vec<_> =
        stream.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    assert_eq!(found, expected);
    assert!(stream.columns.iter().all(singer::Column::nullable));
}

fn fails(files: &[(&str, &[u8])], settings: Value, kind: ErrorKind) -> Error {
    let failure = discover(files, settings).unwrap_err();
    assert_eq!(failure.kind(), kind, "{failure}");
    failure
}

#[test]
fn infers_from_the_whole_of_every_file() {
    let mut long = b"id,code\n".to_vec();
    (0..5000).for_each(|id| long.extend_from_slice(format!("{id},{id}\n").as_bytes()));
    check(&[("a.csv", &long)], json!({}), &[("id", Kind::Integer), ("code", Kind::Integer)]);
    long.extend_from_slice(b"5000,00123\n");
    check(&[("a.csv", &long)], json!({}), &[("id", Kind::Integer), ("code", Kind::String)]);
    check(&[("a.csv", b"n\n1\n"), ("b.csv", b"n\n1.5\n")], json!({}), &[("n", Kind::Number)]);
    let unseen: &[(&str, &[u8])] = &[("a.csv", b"n,m,s\n,,\n"), ("b.csv", b"n\n1\n")];
    let guessed = |settings| -> Vec<_> {
        let stream = discover(unseen, settings).unwrap().unwrap();
        stream.columns.iter().map(|column| column.schema["x-no-values"] == true).collect()
    };
    assert_eq!(guessed(json!({"types": {"s": "date"}})), [false, true, false]);
    assert_eq!(guessed(json!({"infer_types": false})), [false, false, false]);
    check(
        &[("a.csv", b"n,m\n1,NA\n,NA\n")],
        json!({"null_values": ["NA"]}),
        &[("n", Kind::Integer), ("m", Kind::String)],
    );
    check(&[("a.csv", b"n,m\n1,\"\"\n")], json!({}), &[("n", Kind::Integer), ("m", Kind::String)]);
    check(&[("a.csv", b"n\n1\n")], json!({"infer_types": false}), &[("n", Kind::String)]);
    check(
        &[("a.csv", b"n,m\n1,2\n")],
        json!({"types": {"n": "string", "m": "date-time"}}),
        &[("n", Kind::String), ("m", Kind::DateTime)],
    );
}

#[test]
fn joins_the_columns_of_files_by_name() {
    check(
        &[
            ("a.csv", b"a,b\n1,x\n"),
            ("b.csv", b"b,a\ny,2\n"),
            ("c.csv", b"\xef\xbb\xbfa,c\n3,true\n"),
        ],
        json!({}),
        &[("a", Kind::Integer), ("b", Kind::String), ("c", Kind::Boolean)],
    );
    check(
        &[("a.csv", b"1,x\n2,y\n")],
        json!({"header": false}),
        &[("c1", Kind::Integer), ("c2", Kind::String)],
    );
    check(
        &[("a.csv", b"1,x\n")],
        json!({"header": false, "columns": ["id", "name"]}),
        &[("id", Kind::Integer), ("name", Kind::String)],
    );
    check(
        &[("a.csv", b"a\n1\n")],
        json!({"metadata": "all", "keys": ["a"]}),
        &[
            ("a", Kind::Integer),
            ("_sdc_source_file", Kind::String),
            ("_sdc_source_file_mtime", Kind::DateTime),
            ("_sdc_source_lineno", Kind::Integer),
        ],
    );
}

#[test]
fn refuses_headers_and_settings_that_cannot_be_right() {
    let data = ErrorKind::Data;
    let failure = fails(&[("a.csv", b"a,a, \n")], json!({}), data);
    assert_eq!(failure.context("more than once"), Some("a"));
    assert!(failure.context("path").is_some());
    check(
        &[("a.csv", b"a,a\n")],
        json!({"rename_headers": true}),
        &[("a", Kind::String), ("a_2", Kind::String)],
    );
    let failure = fails(&[("a.csv", b"sep=;\na;b\n")], json!({}), data);
    assert!(failure.to_string().contains("set `delimiter` to `;` and `skip_rows` to 1"));
    fails(&[("a.csv", b"")], json!({}), data);
    fails(&[("a.csv", b"\xef\xbb\xbf")], json!({}), data);
    fails(&[("a.csv", b"")], json!({"header": false}), data);
    assert!(discover(&[("a.csv", b"")], json!({"allow_empty_files": true})).unwrap().is_none());
    fails(&[("a.csv", b"a\n"), ("b.csv.gz", b"a\n")], json!({}), data);
    fails(&[], json!({}), ErrorKind::NoInput);
    fails(&[("a.csv", b"a\n1\n")], json!({"keys": ["b"]}), ErrorKind::Config);
    let one_without: &[(&str, &[u8])] = &[("a.csv", b"a,b\n1,2\n"), ("b.csv", b"a\n2\n")];
    let failure = fails(one_without, json!({"keys": ["b"]}), data);
    assert!(failure.context("path").unwrap().ends_with("b.csv"), "{failure}");
    let added = json!({"metadata": "all", "keys": ["_sdc_source_file", "a"]});
    assert!(discover(one_without, added).is_ok());
    let config = ErrorKind::Config;
    for settings in [
        json!({"encoding": "klingon"}),
        json!({"delimiter": "\""}),
        json!({"columns": ["a"]}),
        json!({"header": false, "columns": ["a", "a"]}),
    ] {
        fails(&[("a.csv", b"a\n1\n")], settings, config);
    }
    fails(&[("a.csv", b"_sdc_source_file\n")], json!({"metadata": "all"}), data);
}

#[test]
fn finds_each_column_in_each_file_by_name() {
    let stream = discover(&[("a.csv", b"a,b,c\n")], json!({})).unwrap().unwrap();
    let names: Vec<_> = ["c", "x", "a"].map(str::to_owned).into();
    let expected = [Origin::Field(2), Origin::Nowhere, Origin::Field(0)];
    assert_eq!(origins(&stream, &names, &[]), expected);
}

#[test]
fn wider_rows_count_where_their_surplus_has_a_column() {
    let rows: &[(&str, &[u8])] = &[("a.csv", b"a\n1,x\n2\n")];
    check(rows, json!({}), &[("a", Kind::Integer)]);
    let wider: &[(&str, &[u8])] = &[("a.csv", b"a\nx,1\n2\n")];
    check(wider, json!({}), &[("a", Kind::Integer)]);
    let extra = json!({"metadata": "extra"});
    check(wider, extra, &[("a", Kind::String), ("_sdc_extra", Kind::Json)]);
}
