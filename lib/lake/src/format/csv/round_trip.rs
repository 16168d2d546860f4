//! What is written as CSV is read back.

use files::Reader;
use proptest::prelude::*;

use super::{Dialect, Padding};
use testing::property::holds;

#[test]
fn what_is_written_is_read_back_cell_for_cell() {
    let cell = prop::option::of(prop_oneof!["[a,\"\n\r\\\\.N é\u{0}\u{feff}]{0,6}", "\\PC{0,12}",]);
    let rows = (1_usize..5, any::<bool>()).prop_flat_map(move |(width, padded)| {
        let row = prop::collection::vec(cell.clone(), width);
        (prop::collection::vec(row, 1..8), Just(padded), 1_usize..30)
    });
    holds("tables of CSV", 3000, rows, |(rows, padded, block)| {
        // A header, which no field of starts with a byte order mark.
        let mut text = vec![b'h'];
        text.resize(2 * rows[0].len() - 1, b',');
        text.push(b'\n');
        for row in &rows {
            for (at, cell) in row.iter().enumerate() {
                if at > 0 {
                    text.push(b',');
                }
                if let Some(cell) = cell {
                    Dialect::LOSSLESS.text(cell.as_bytes(), &mut text);
                }
            }
            text.push(b'\n');
        }
        let mut expected = rows;
        if padded {
            let mut padding = Padding::new(b",,");
            let mut out = Vec::new();
            let ended: u64 = text.chunks(block).map(|b| padding.copy(b, &mut out)).sum();
            prop_assert_eq!(ended, expected.len() as u64);
            for row in &mut expected {
                row.extend([None, None]);
            }
            text = [b"h\n", &out[..]].concat();
        }
        let mut reader = Reader::with_block_bytes(&text[..], &files::Dialect::lake(), block);
        reader.record().unwrap();
        for row in &expected {
            let record = reader.record().unwrap().unwrap();
            let cells = record.fields().map(|(text, quoted)| {
                let text = String::from_utf8(text.to_vec()).unwrap();
                (quoted || !text.is_empty()).then_some(text)
            });
            prop_assert_eq!(&cells.collect::<Vec<_>>(), row);
        }
        prop_assert!(reader.record().unwrap().is_none());
        Ok(())
    });
}
