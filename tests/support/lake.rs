//! What must hold in a folder of dated partitions, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns the folder of a partition.
pub fn partition(lake: &Path, source: &str, day: &str, table: &str) -> PathBuf {
    lake.join(format!("source={source}/extracted_at={day}/table={table}"))
}

/// Returns the manifest of a partition.
#[track_caller]
pub fn manifest(partition: &Path) -> Value {
    let path = partition.join("_manifest.json");
    let text = fs::read(&path).unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// Asserts that every partition is whole: its manifest lists exactly the files that are there, with
/// their sizes and sums, and nothing of ours that is not a partition lies in the data set.
#[track_caller]
pub fn check(lake: &Path) {
    check_where(lake, |_| true);
}

/// Asserts the same of one day of a source, and of the folders that lead to it.
#[track_caller]
pub fn check_day(lake: &Path, source: &str, day: &str) {
    let day = lake.join(format!("source={source}/extracted_at={day}"));
    check_where(lake, |folder| day.starts_with(folder) || folder.starts_with(&day));
}

#[track_caller]
fn check_where(lake: &Path, wanted: impl Fn(&Path) -> bool) {
    for source in folders(lake, "source=").into_iter().filter(|folder| wanted(folder)) {
        for day in folders(&source, "extracted_at=").into_iter().filter(|folder| wanted(folder)) {
            for table in folders(&day, "table=") {
                check_partition(&table);
            }
        }
    }
}

/// Asserts that no run has left anything in the staging folder, nor its lock.
#[track_caller]
pub fn check_swept(lake: &Path) {
    let staging = lake.join(".staging");
    let left: Vec<_> = fs::read_dir(&staging).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "left in {}: {left:?}", staging.display());
    let locks = fs::read_dir(lake.join(".locks")).into_iter().flatten().flatten();
    let is_of_one = |name: &String| name.starts_with("run-") || name.starts_with("series-");
    let left: Vec<_> =
        locks.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_of_one).collect();
    assert!(left.is_empty(), "left of dead runs and series: {left:?}");
}

#[track_caller]
fn check_partition(partition: &Path) {
    let manifest = manifest(partition);
    let mut listed = BTreeSet::from(["_manifest.json".to_owned()]);
    for file in manifest["files"].as_array().expect("files in the manifest") {
        let name = file["name"].as_str().unwrap();
        let bytes = fs::read(partition.join(name)).unwrap();
        assert_eq!(file["bytes"], bytes.len(), "{} {name}", partition.display());
        assert_eq!(file["sha256"], sum(&bytes), "{} {name}", partition.display());
        assert!(!bytes.is_empty(), "{} {name} lacks its header", partition.display());
        listed.insert(name.to_owned());
    }
    let there: BTreeSet<String> = names(partition).into_iter().collect();
    assert_eq!(there, listed, "{}", partition.display());
}

/// Returns every file of the data set (not staging, locks, run records) with its sum.
pub fn sums(lake: &Path) -> BTreeMap<PathBuf, String> {
    let mut sums = BTreeMap::new();
    for source in folders(lake, "source=") {
        for entry in walkdir::WalkDir::new(source) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(lake).unwrap().to_owned();
                sums.insert(path, sum(&fs::read(entry.path()).unwrap()));
            }
        }
    }
    sums
}

/// Returns the sums of the data files alone: a manifest names its run.
pub fn data_sums(lake: &Path) -> BTreeMap<PathBuf, String> {
    let mut sums = sums(lake);
    sums.retain(|path, _| is_data(path));
    sums
}

fn is_data(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv")
}

/// Returns the text of a partition's one data file.
#[track_caller]
pub fn data(partition: &Path) -> String {
    let files: Vec<_> =
        names(partition).into_iter().filter(|name| is_data(Path::new(name))).collect();
    assert_eq!(files.len(), 1, "{}: {files:?}", partition.display());
    fs::read_to_string(partition.join(&files[0])).unwrap()
}

/// Returns SHA-256 in lower-case hexadecimal.
pub fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[track_caller]
fn folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for name in names(parent) {
        let path = parent.join(&name);
        if name.starts_with('.') {
            let ours = [".staging", ".locks", ".runs"].contains(&name.as_str());
            assert!(prefix == "source=" && ours, "a stray {}", path.display());
            continue;
        }
        assert!(path.is_dir() && name.starts_with(prefix), "a stray {}", path.display());
        folders.push(path);
    }
    folders
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
