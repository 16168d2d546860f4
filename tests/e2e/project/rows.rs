//! No row passes through a `serde_json::Value`: where rows are handled, nothing names it.

use std::fs;
use std::path::Path;

use support::root;

use super::tidy::{files, none};

/// Who names one of these handles rows.
const ROW_TYPES: [&str; 3] = ["Batch", "RowWriter", "RowReader"];

/// Files and folders whose functions take and give the bytes of rows, without a type that says so.
const BYTES: [&str; 20] = [
    "lib/files/src/json/extent.rs",
    "lib/files/src/json/flatten.rs",
    "lib/files/src/json/records",
    "lib/files/src/json/records.rs",
    "lib/files/src/reader",
    "lib/files/src/reader.rs",
    "lib/files/src/table/documents.rs",
    "lib/files/src/table/records.rs",
    "lib/lake/src/format/csv",
    "lib/pg/src/array.rs",
    "lib/pg/src/convert.rs",
    "lib/pg/src/copy_text.rs",
    "lib/singer/src/canonical.rs",
    "lib/singer/src/quote.rs",
    "lib/singer/src/scan.rs",
    "taps/tap-api/src/spool.rs",
    "taps/tap-postgres/src/convert.rs",
    "taps/tap-postgres/src/read.rs",
    "targets/target-postgres/src/encode.rs",
    "targets/target-postgres/src/literal.rs",
];

/// Where rows meet control data, and what a `Value` is there.
const MEETINGS: [(&str, &str); 8] = [
    ("lib/files/src/json/records.rs", "what stands around the records of a document"),
    ("lib/singer/src/decode.rs", "the schema that records are decoded by"),
    ("lib/singer/src/encode.rs", "messages that are not records: SCHEMA, STATE"),
    ("lib/singer/src/rejects.rs", "the line of a reject, which is read by people"),
    ("lib/singer/src/rows/open.rs", "the schema and the state of the stream"),
    ("lib/singer/src/run_mapper.rs", "states"),
    ("lib/singer/src/target.rs", "the schema and the state that a sink is opened with"),
    ("lib/singer/src/validate.rs", "the JSON Schema of a column, and rows that only it can judge"),
];

/// Returns what a file has without its tests and comments.
fn product_code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn names_one(code: &str, names: &[&str]) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| names.contains(&word))
}

fn handles_rows(place: &Path, code: &str) -> bool {
    BYTES.iter().any(|bytes| place.starts_with(bytes)) || names_one(code, &ROW_TYPES)
}

fn uses_values(code: &str) -> bool {
    names_one(code, &["serde_json"])
}

#[test]
fn no_row_passes_through_a_value() {
    let mut faults = Vec::new();
    let mut count = 0;
    for path in files() {
        let place = path.strip_prefix(root()).unwrap();
        let is_product =
            ["lib", "mappers", "taps", "targets"].iter().any(|folder| place.starts_with(folder))
                && place.iter().any(|part| part == "src")
                && !place.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
                && !["lib/project", "lib/runner"].iter().any(|folder| place.starts_with(folder));
        if !is_product || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let code = product_code(&path);
        let handles = handles_rows(place, &code);
        count += usize::from(handles);
        let meets = MEETINGS.iter().any(|(meeting, _)| place == Path::new(meeting));
        match (handles && uses_values(&code), meets) {
            (true, false) => faults.push(format!(
                "{}: rows are handled here, and no row may pass through a `serde_json::Value`",
                place.display()
            )),
            (false, true) => faults
                .push(format!("{}: no meeting of rows and control data any more", place.display())),
            _ => {}
        }
    }
    let listed = BYTES.iter().chain(MEETINGS.iter().map(|(place, _)| place));
    let gone = listed.filter(|place| !root().join(place).exists());
    faults.extend(gone.map(|place| format!("{place}: is listed, and is not there")));
    none(&faults);
    assert!(count > 40, "{count} files handle rows");
}

#[test]
fn a_row_that_passes_through_a_value_is_found() {
    let check = |place: &str, code: &str, expected: bool| {
        let found = handles_rows(Path::new(place), code) && uses_values(code);
        assert_eq!(found, expected, "{place}: {code}");
    };
    check("lib/new/src/a.rs", "use serde_json::Value; fn f(batch: &Batch) {}", true);
    check("lib/new/src/a.rs", "use serde_json::Value; fn f(batches: usize) {}", false);
    check("lib/new/src/a.rs", "fn f(batch: &Batch) {}", false);
    check("lib/singer/src/scan.rs", "fn f() { serde_json::from_slice(b\"1\") }", true);
    check("lib/files/src/reader/new.rs", "use serde_json::Value;", true);
}
