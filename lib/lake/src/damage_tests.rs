//! Damage to what is published: a day is read as it was, or refused, and a rerun mends it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use singer::{ErrorKind, Result};

use crate::sample::{contents, day};
use crate::{Contents, Lake, Manifest, Outcome, Run};
use testing::changes::{Change, changed, changes};
use testing::property::holds;

const ROWS: &str = "id,name\n1,a\n2,b\n";

fn publish(lake: &Lake, table: &str) -> Result<Outcome> {
    let run = Run::begin(lake, "pg", day(), "test 1")?;
    let mut staged = run.stage(table, false)?;
    let mut file = staged.file("part.csv")?;
    file.write(ROWS.as_bytes(), 2)?;
    let state = Some(json!({"bookmarks": {"t": {"id": 2}}}));
    let contents = contents(&json!({"name": {"type": ["string", "null"]}}));
    let outcome = staged.publish(vec![file], Contents { state, ..contents })?;
    run.finish()?;
    Ok(outcome)
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Digit(Index, u8),
    Remove(Index, usize),
    Insert(Index, &'static str),
    Cut(Index),
    Document(Vec<(Index, Change)>),
    Gone,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (any::<Index>(), b'0'..=b'9').prop_map(|(at, digit)| Damage::Digit(at, digit)),
        1 => (any::<Index>(), 1_usize..40).prop_map(|(at, bytes)| Damage::Remove(at, bytes)),
        1 => (any::<Index>(), prop::sample::select(vec![" ", "\n", "0", "\"", ",", "{}"]))
            .prop_map(|(at, text)| Damage::Insert(at, text)),
        1 => any::<Index>().prop_map(Damage::Cut),
        4 => changes().prop_map(Damage::Document),
        1 => Just(Damage::Gone),
    ]
}

impl Damage {
    fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = text.to_vec();
        match self {
            Self::Flip(at, bit) => out[at.index(text.len())] ^= 1 << bit,
            Self::Digit(at, digit) => {
                let digits = text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit());
                let places: Vec<usize> = digits.map(|(place, _)| place).collect();
                if !places.is_empty() {
                    out[*at.get(&places)] = *digit;
                }
            }
            Self::Remove(at, bytes) => {
                let at = at.index(text.len());
                out.drain(at..(at + bytes).min(text.len()));
            }
            Self::Insert(at, what) => {
                let at = at.index(text.len());
                out.splice(at..at, what.bytes());
            }
            Self::Cut(at) => out.truncate(at.index(text.len())),
            Self::Document(changes) => {
                let Ok(document) = serde_json::from_slice(text) else { return Some(out) };
                out = changed(document, changes).to_string().into_bytes();
            }
            Self::Gone => return None,
        }
        Some(out)
    }
}

/// A day as its readers have it: the manifests, and the rows.
fn read(lake: &Lake, unfinished_too: bool) -> Result<Vec<(Manifest, String)>> {
    let partitions = lake.read_day("pg", day(), unfinished_too)?;
    let mut tables = Vec::new();
    for partition in partitions {
        partition.verify()?;
        let files = partition.paths();
        let rows = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        tables.push((partition.manifest, rows));
    }
    Ok(tables)
}

fn refuses(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Data | ErrorKind::NoInput | ErrorKind::Config)
}

#[test]
fn a_damaged_day_is_refused_or_as_it_was_and_a_rerun_mends_it() {
    let values = (0_usize..3, prop::collection::vec(damage(), 1..3));
    holds("damaged files of a day", 200, values, |(victim, damages)| {
        // In memory where that is possible: what a disk does is not asked here.
        let memory = Path::new("/dev/shm");
        let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(memory).unwrap();
        let lake = Lake::create(folder.path()).unwrap();
        publish(&lake, "orders").unwrap();
        let before = read(&lake, false).unwrap();
        let place = lake.table_folder("pg", day(), "orders");
        let files: [PathBuf; 3] = [
            place.join("_manifest.json"),
            place.join("part.csv"),
            folder.path().join(".runs/source=pg/extracted_at=2024-02-29.json"),
        ];
        let file = &files[victim];
        let mut text = fs::read(file).unwrap();
        for damage in &damages {
            let damaged = (!text.is_empty()).then(|| damage.apply(&text));
            match damaged {
                Some(Some(damaged)) => text = damaged,
                Some(None) => {
                    let _ = fs::remove_file(file);
                    break;
                }
                None => break,
            }
            fs::write(file, &text).unwrap();
        }
        match read(&lake, false) {
            Ok(after) => prop_assert_eq!(&after, &before),
            Err(failure) => prop_assert!(refuses(failure.kind()), "{failure}"),
        }
        // Who does not ask for the record of the run gets these rows of this table, or none.
        match read(&lake, true) {
            Ok(after) => {
                prop_assert_eq!(after.len(), 1);
                let ((now, rows), (old, old_rows)) = (&after[0], &before[0]);
                prop_assert_eq!(rows, old_rows);
                prop_assert_eq!(&now.stream, &old.stream);
                prop_assert_eq!(&now.source, &old.source);
                prop_assert_eq!(&now.extracted_at, &old.extracted_at);
                let _ = (now.rows(), now.bytes());
            }
            Err(failure) => prop_assert!(refuses(failure.kind()), "{failure}"),
        }
        match publish(&lake, "orders") {
            Ok(_) => {
                let mended = match read(&lake, false) {
                    // A record may name tables that never were.
                    Err(failure) if victim == 2 && refuses(failure.kind()) => return Ok(()),
                    mended => mended.unwrap(),
                };
                prop_assert_eq!(&mended[0].1, &before[0].1);
                let (now, old) = (&mended[0].0, &before[0].0);
                prop_assert!(now.same_data(old), "{now:?}");
                prop_assert_eq!(&now.state, &old.state);
                prop_assert_eq!(&now.source, &old.source);
                prop_assert_eq!(&now.extracted_at, &old.extracted_at);
            }
            // A newer version's, or another table's, is for a person to look at.
            Err(failure) => {
                let person = matches!(failure.kind(), ErrorKind::Config | ErrorKind::Data);
                prop_assert!(person && victim != 1, "{failure} {damages:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_table_that_was_moved_to_another_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path()).unwrap();
    publish(&lake, "orders").unwrap();
    let from = folder.path().join("source=pg/extracted_at=2024-02-29");
    for (source, day, table) in [
        ("pg", "2024-03-01", "orders"),
        ("other", "2024-02-29", "orders"),
        ("pg", "2024-02-29", "customers"),
    ] {
        let to = format!("source={source}/extracted_at={day}/table={table}");
        let to = folder.path().join(to);
        fs::create_dir_all(&to).unwrap();
        for name in ["_manifest.json", "part.csv"] {
            fs::copy(from.join("table=orders").join(name), to.join(name)).unwrap();
        }
        let day = day.parse().unwrap();
        let failure = lake.read_day(source, day, true).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data, "{failure}");
        assert_eq!(lake.read(source, day, table).unwrap_err().kind(), ErrorKind::Data);
        fs::remove_dir_all(to).unwrap();
    }
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 1);
}
