//! What somebody has put into the output folder: it is not followed, not waited for, and fills no
//! memory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use singer::{ErrorKind, Result};

use crate::backend::disk::steps;
use crate::manifest::SMALL_BYTES_MAX;
use crate::sample::{contents, day};
use crate::{Lake, Outcome, Run};

fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("output")).unwrap();
    publish(&lake, "1\n").unwrap();
    (folder, lake)
}

fn publish(lake: &Lake, rows: &str) -> Result<Outcome> {
    let run = Run::begin(lake, "s", day(), "test 1")?;
    let mut staged = run.stage("t", false)?;
    let mut file = staged.file("part.csv")?;
    file.write(b"id\n", 0)?;
    file.write(rows.as_bytes(), 1)?;
    let outcome = staged.publish(vec![file], contents(&json!({})))?;
    run.finish()?;
    Ok(outcome)
}

fn text(lake: &Lake) -> String {
    let partitions = lake.read_day("s", day(), false).unwrap();
    partitions[0].verify().unwrap();
    fs::read_to_string(&partitions[0].paths()[0]).unwrap()
}

/// What may stand in the place of a file.
const PLANTS: [fn(&Path); 5] = [
    |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
    |path| symlink("/dev/zero", path).unwrap(),
    |path| symlink("/etc/hostname", path).unwrap(),
    |path| fs::create_dir(path).unwrap(),
    |path| fs::File::create(path).unwrap().set_len(SMALL_BYTES_MAX + 1).unwrap(),
];

fn plant(path: &Path, plant: fn(&Path)) {
    let _ = fs::remove_file(path);
    plant(path);
}

#[test]
fn what_is_not_a_file_is_refused_and_a_rerun_mends_it() {
    for name in ["_manifest.json", "part.csv"] {
        for (number, what) in PLANTS.into_iter().enumerate() {
            let (_folder, lake) = lake();
            plant(&lake.table_folder("s", day(), "t").join(name), what);
            let read = lake.read_day("s", day(), false);
            let failure = read.and_then(|all| all[0].verify()).unwrap_err();
            let fine = [ErrorKind::Data, ErrorKind::Config].contains(&failure.kind());
            assert!(fine && failure.context("path").is_some(), "{name} {number}: {failure}");
            match publish(&lake, "1\n") {
                Ok(outcome) => assert_eq!(outcome, Outcome::Replaced, "{name} {number}"),
                // A link is for a person to look at.
                Err(failure) => assert_eq!(failure.kind(), ErrorKind::Config, "{name} {number}"),
            }
        }
    }
}

#[test]
fn a_run_record_that_is_not_a_file_is_named() {
    for (number, what) in PLANTS.into_iter().enumerate() {
        let (_folder, lake) = lake();
        let record = lake.root().join(".runs/source=s/extracted_at=2024-02-29.json");
        plant(&record, what);
        for ended in [lake.read_day("s", day(), false).map(drop), publish(&lake, "2\n").map(drop)] {
            let failure = ended.unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Data, "{number}: {failure}");
            assert_eq!(failure.context("path"), record.to_str(), "{number}: {failure}");
        }
        if record.is_dir() { fs::remove_dir(&record) } else { fs::remove_file(&record) }.unwrap();
        publish(&lake, "2\n").unwrap();
        assert_eq!(text(&lake), "id\n2\n");
    }
}

/// Plants an intent into the staging folder of a dead run; returns that folder.
fn intent(lake: &Lake, name: &str, staged: &str) -> PathBuf {
    let folder = lake.root().join(".staging/dead");
    fs::create_dir_all(&folder).unwrap();
    let intent =
        json!({"source": "s", "extracted_at": "2024-02-29", "table": "gone", "staged": staged});
    fs::write(folder.join(name), Value::to_string(&intent)).unwrap();
    folder
}

#[test]
fn an_intent_moves_nothing_but_what_its_run_has_staged() {
    let name = "0.intent.json";
    let outside = |lake: &Lake| lake.root().with_file_name("outside");
    for (name, staged) in [
        (name, "OUTSIDE"),
        (name, "../../../outside"),
        (name, "x/../0"),
        (name, "1"),
        (".intent.json", ""),
        ("..intent.json", "."),
        ("...intent.json", ".."),
    ] {
        let (_folder, lake) = lake();
        fs::create_dir(outside(&lake)).unwrap();
        fs::write(outside(&lake).join("_manifest.json"), "{}").unwrap();
        let staged = staged.replace("OUTSIDE", outside(&lake).to_str().unwrap());
        let folder = intent(&lake, name, &staged);
        fs::write(folder.join("_manifest.json"), "{}").unwrap();
        publish(&lake, "2\n").unwrap();
        assert_eq!(text(&lake), "id\n2\n");
        assert!(outside(&lake).join("_manifest.json").exists(), "{staged}");
        assert!(!lake.table_folder("s", day(), "gone").exists(), "{staged}");
        // Nothing is thrown away, and the next run does not meet it again.
        assert!(lake.root().join(".aside/dead").join(name).exists(), "{staged}");
        assert_eq!(steps::names(&lake.root().join(".staging")).unwrap(), [""; 0]);
    }
}

#[test]
fn a_link_in_staging_is_not_published() {
    let (_folder, lake) = lake();
    let outside = lake.root().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("_manifest.json"), "{}").unwrap();
    for name in ["0", "0.old"] {
        let folder = intent(&lake, "0.intent.json", "0");
        symlink(&outside, folder.join(name)).unwrap();
        publish(&lake, "2\n").unwrap();
        assert!(steps::look(&lake.table_folder("s", day(), "gone")).is_err(), "{name}");
        assert!(outside.join("_manifest.json").exists());
        assert!(!folder.exists());
    }
}

#[test]
fn an_intent_that_is_not_a_file_or_whose_day_is_gone_blocks_no_run() {
    for what in PLANTS {
        let (_folder, lake) = lake();
        let folder = intent(&lake, "0.intent.json", "0");
        plant(&folder.join("0.intent.json"), what);
        publish(&lake, "2\n").unwrap();
        assert_eq!(text(&lake), "id\n2\n");
        assert!(!folder.exists());
    }
    let (_folder, lake) = lake();
    let folder = intent(&lake, "0.intent.json", "0");
    fs::create_dir(folder.join("0")).unwrap();
    fs::write(folder.join("0/_manifest.json"), "{}").unwrap();
    fs::remove_dir_all(lake.root().join("source=s")).unwrap();
    for _ in 0..2 {
        let other = Run::begin(&lake, "other", day(), "test 1").unwrap();
        drop(other);
    }
    assert!(!lake.root().join("source=s").exists());
    assert!(lake.root().join(".aside/dead/0/_manifest.json").exists());
}
