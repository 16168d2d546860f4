//! The inner loops alone, over rows of `lineitem`: `cargo bench -p bench`.
#![expect(clippy::expect_used, reason = "what is measured here is known to be well-formed")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::BytesCount;
use files::{Dialect, Reader};
use lake::format::csv;
use pg::copy_text;
use serde_json::{Value, json};
use singer::Envelope;
use singer::decode::{Line, RecordDecoder};
use singer::encode::{Envelopes, RecordEncoder};
use singer::quote::string_into;
use singer::scan::Scanner;
use singer::{Batch, Cell, Stream};
use tpchgen::generators::LineItemGenerator;

const ROWS: usize = 5_000;

static NAMES: [(&str, &str); 16] = [
    ("l_orderkey", "integer"),
    ("l_partkey", "integer"),
    ("l_suppkey", "integer"),
    ("l_linenumber", "integer"),
    ("l_quantity", "number"),
    ("l_extendedprice", "number"),
    ("l_discount", "number"),
    ("l_tax", "number"),
    ("l_returnflag", "string"),
    ("l_linestatus", "string"),
    ("l_shipdate", "date"),
    ("l_commitdate", "date"),
    ("l_receiptdate", "date"),
    ("l_shipinstruct", "string"),
    ("l_shipmode", "string"),
    ("l_comment", "string"),
];

/// The rows, as the cells of one batch.
static CELLS: LazyLock<Batch> = LazyLock::new(|| {
    let mut batch = Batch::new(NAMES.len());
    for row in LineItemGenerator::new(0.01, 1, 1).iter().take(ROWS) {
        // Its own notation: fields that end in a bar.
        for field in row.to_string().split_terminator('|') {
            batch.push(field.as_bytes());
        }
    }
    batch
});

/// The rows as RECORD lines.
static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| encode(&encoder(), &CELLS));

/// The rows as a CSV file of the lake, with its header.
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = NAMES.map(|(name, _)| name).join(",").into_bytes();
    text.push(b'\n');
    write_csv(&CELLS, &mut text);
    text
});

/// Text with something to escape in every fourth word.
static PROSE: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    for at in 0..20_000 {
        let _ = write!(text, "word number {at} \"said\\written\"\n\tand so on, at length ");
    }
    text
});

fn main() {
    divan::main();
}

fn stream() -> Stream {
    let properties = NAMES.map(|(name, kind)| {
        let schema = match kind {
            "date" => json!({"type": ["string", "null"], "format": "date"}),
            "integer" => json!({
                "type": ["integer", "null"], "minimum": i64::MIN, "maximum": i64::MAX,
            }),
            kind => json!({"type": [kind, "null"]}),
        };
        (name.to_owned(), schema)
    });
    let schema = json!({"type": "object", "properties": Value::from_iter(properties)});
    let schema = schema.as_object().cloned().unwrap_or_default();
    Stream::new("public-lineitem", schema, vec!["l_orderkey".into(), "l_linenumber".into()])
}

fn encoder() -> RecordEncoder {
    RecordEncoder::new(&stream(), &[], Envelopes::Same("2026-01-01T00:00:00.000000Z", None))
}

fn encode(encoder: &RecordEncoder, batch: &Batch) -> Vec<u8> {
    let mut lines = Vec::new();
    for row in 0..batch.rows() {
        encoder.row(batch, row, &mut lines);
    }
    lines
}

fn write_csv(batch: &Batch, out: &mut Vec<u8>) {
    for row in 0..batch.rows() {
        for (at, cell) in batch.row(row).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if let Cell::Text(text) = cell {
                csv::Dialect::LOSSLESS.field(text, out);
            }
        }
        out.push(b'\n');
    }
}

fn bytes(text: &[u8]) -> BytesCount {
    BytesCount::of_slice(text)
}

#[divan::bench]
fn scan_values(bencher: Bencher<'_, '_>) {
    let lines = &*LINES;
    bencher.counter(bytes(lines)).bench(|| {
        let mut seen = 0;
        for line in lines.split(|byte| *byte == b'\n') {
            seen += usize::from(Scanner::new(black_box(line)).value().is_ok());
        }
        seen
    });
}

#[divan::bench]
fn split_lines_into_parts(bencher: Bencher<'_, '_>) {
    let lines = &*LINES;
    bencher.counter(bytes(lines)).bench(|| {
        let mut seen = 0;
        for line in lines.split(|byte| *byte == b'\n') {
            seen += usize::from(Line::read(black_box(line)).is_ok());
        }
        seen
    });
}

#[divan::bench(args = [true, false])]
fn decode_records(bencher: Bencher<'_, '_>, validate: bool) {
    let lines = &*LINES;
    let mut decoder = RecordDecoder::new(&stream(), validate).expect("a stream");
    let mut batch = Batch::new(NAMES.len() + Envelope::CELLS);
    bencher.counter(bytes(lines)).bench_local(|| {
        batch.reset(NAMES.len() + Envelope::CELLS);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(decoder.predicts(line));
            decoder.predicted(black_box(line), &mut batch).expect("a record");
        }
        assert_eq!(batch.rows(), CELLS.rows());
    });
}

#[divan::bench]
fn encode_records(bencher: Bencher<'_, '_>) {
    let encoder = encoder();
    let mut out = Vec::with_capacity(LINES.len());
    bencher.counter(bytes(&LINES)).bench_local(|| {
        out.clear();
        for row in 0..CELLS.rows() {
            encoder.row(black_box(&CELLS), row, &mut out);
        }
    });
}

#[divan::bench]
fn quote_json(bencher: Bencher<'_, '_>) {
    let text = PROSE.as_bytes();
    let mut out = Vec::with_capacity(text.len() * 2);
    bencher.counter(bytes(text)).bench_local(|| {
        out.clear();
        string_into(black_box(text), &mut out);
    });
}

#[divan::bench]
fn escape_copy_text(bencher: Bencher<'_, '_>) {
    let text = PROSE.as_bytes();
    let mut out = Vec::with_capacity(text.len() * 2);
    bencher.counter(bytes(text)).bench_local(|| {
        out.clear();
        copy_text::escape(black_box(text), &mut out);
    });
}

#[divan::bench]
fn unescape_copy_text(bencher: Bencher<'_, '_>) {
    let mut text = Vec::new();
    copy_text::escape(PROSE.as_bytes(), &mut text);
    let mut out = Vec::with_capacity(text.len());
    bencher.counter(bytes(&text)).bench_local(|| {
        out.clear();
        copy_text::unescape(black_box(&text), &mut out);
    });
}

#[divan::bench]
fn escape_cells_for_copy(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(FILE.len());
    bencher.counter(bytes(&FILE)).bench_local(|| {
        out.clear();
        for row in 0..CELLS.rows() {
            for cell in CELLS.row(row) {
                if let Cell::Text(text) = cell {
                    copy_text::escape(black_box(text), &mut out);
                }
                out.push(b'\t');
            }
        }
    });
}

#[divan::bench]
fn read_csv(bencher: Bencher<'_, '_>) {
    let text = &**FILE;
    bencher.counter(bytes(text)).bench(|| {
        let mut reader = Reader::new(black_box(text), &Dialect::lake());
        let mut fields = 0;
        while let Some(record) = reader.record().expect("a record") {
            fields += record.fields().map(|(text, _)| text.len()).sum::<usize>();
        }
        fields
    });
}

#[divan::bench]
fn write_csv_cells(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(FILE.len());
    bencher.counter(bytes(&FILE)).bench_local(|| {
        out.clear();
        write_csv(black_box(&CELLS), &mut out);
    });
}
