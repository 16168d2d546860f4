//! Files that are known whatever their name: rotated, copied away, gone for some time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use support::folder;
use support::run::{Outcome, Run, file, ours};

/// A folder of files that is read again and again.
struct Job {
    scratch: tempfile::TempDir,
    settings: Value,
    state: Value,
}

impl Job {
    fn new(more: &Value) -> Self {
        let scratch = folder();
        let mut entry = json!({ "entity": "t", "path": scratch.path().join("in") });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::create_dir(scratch.path().join("in")).unwrap();
        Self { scratch, settings: json!({ "files": [entry] }), state: json!({}) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join("in").join(name)
    }

    fn put(&self, name: &str, ids: &[u32]) {
        let rows: Vec<_> = ids.iter().map(|id| format!("{id}\n")).collect();
        file(self.scratch.path(), &format!("in/{name}"), format!("id\n{}", rows.concat()));
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn read(&mut self) -> Outcome {
        let tap = ours("tap-csv").config(&self.settings).json("--state", &self.state);
        let outcome = tap.go().success();
        let last = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
        if let Some(mut message) = last {
            self.state = message["value"].take();
        }
        outcome
    }

    /// Reads; checks the ids that come, and how many files are skipped as moved.
    fn comes(&mut self, ids: &[u32], moved: usize) -> Outcome {
        let outcome = self.read();
        let found: Vec<_> = outcome.records("t").into_iter().map(|row| row["id"].clone()).collect();
        let expected: Vec<Value> = ids.iter().map(|id| json!(id)).collect();
        assert_eq!(found, expected, "{}", outcome.stderr);
        let told = outcome.stderr.matches("W-FILE-MOVED: skipping ").count();
        assert_eq!(told, moved, "{}", outcome.stderr);
        outcome
    }
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_is_known_whatever_took_its_name() {
    // Without keys, as logs are.
    let mut job = Job::new(&json!({}));
    job.put("log.csv", &[1]);
    job.comes(&[1], 0);
    job.rename("log.csv", "log.1.csv");
    job.put("log.csv", &[2]);
    // The file of this name is a new one, not one that changed.
    let rotated = job.comes(&[2], 1);
    assert!(!rotated.stderr.contains("W-NO-KEYS"), "{}", rotated.stderr);
    // A chain, all of one size.
    job.rename("log.1.csv", "log.2.csv");
    job.rename("log.csv", "log.1.csv");
    job.put("log.csv", &[3]);
    job.comes(&[3], 2);
    // Copied and emptied, and written to.
    fs::copy(job.at("log.csv"), job.at("copy.csv")).unwrap();
    job.put("log.csv", &[4, 5]);
    job.comes(&[4, 5], 1);
    // Two that changed names.
    job.rename("log.csv", "x");
    job.rename("copy.csv", "log.csv");
    job.rename("x", "copy.csv");
    job.comes(&[], 2);
    // Other bytes of one size are another file.
    job.rename("log.csv", "x.csv");
    job.put("x.csv", &[6]);
    job.put("log.csv", &[7]);
    job.comes(&[7, 6], 0);
    // What changes while nothing has its bytes is told.
    job.put("x.csv", &[6, 8]);
    let changed = job.comes(&[6, 8], 0);
    assert!(changed.stderr.contains("W-NO-KEYS"), "{}", changed.stderr);
    job.comes(&[], 0);
}

#[test]
fn a_file_that_was_copied_elsewhere_and_removed_is_known_by_time_and_sum() {
    let mut job = Job::new(&json!({}));
    for (seconds, moved) in [(1_600_000_000, 1), (0, 0)] {
        job.put("a.csv", &[1]);
        set_time(&job.at("a.csv"), seconds);
        job.state = json!({});
        job.comes(&[1], 0);
        // As from one disk to another.
        fs::copy(job.at("a.csv"), job.at("b.csv")).unwrap();
        set_time(&job.at("b.csv"), seconds);
        fs::remove_file(job.at("a.csv")).unwrap();
        // A time that programs set says nothing.
        let rows: &[u32] = if moved > 0 { &[] } else { &[1] };
        let outcome = job.comes(rows, moved);
        assert!(outcome.stderr.contains("W-FILE-MOVED: "), "{}", outcome.stderr);
        fs::remove_file(job.at("b.csv")).unwrap();
    }
}

#[test]
fn a_file_that_was_gone_for_a_time_is_skipped_unless_it_changed() {
    let mut job = Job::new(&json!({}));
    job.put("a.csv", &[1]);
    job.put("b.csv", &[2]);
    job.comes(&[1, 2], 0);
    job.rename("a.csv", ".a.csv");
    job.comes(&[], 0);
    job.put("c.csv", &[3]);
    job.comes(&[3], 0);
    job.rename(".a.csv", "a.csv");
    let back = job.comes(&[], 0);
    assert!(back.stderr.contains("a.csv: it was gone for some time and is unchanged"));
    assert!(!job.comes(&[], 0).stderr.contains("gone for some time"));
    // Back by another name.
    job.rename("a.csv", ".a.csv");
    job.comes(&[], 0);
    job.rename(".a.csv", "d.csv");
    job.comes(&[], 1);
    // Another by its name is new.
    job.rename("d.csv", ".d.csv");
    job.comes(&[], 0);
    job.put("d.csv", &[4]);
    let other = job.comes(&[4], 0);
    assert!(!other.stderr.contains("W-NO-KEYS"), "{}", other.stderr);
    // And the one before is the one before no more, for it would follow on the other.
    fs::copy(job.at(".d.csv"), job.at("d.csv")).unwrap();
    job.comes(&[1], 0);
}

#[test]
fn a_file_that_was_unpacked_is_told_whatever_its_name_and_time() {
    for codec in ["gzip", "zstd"] {
        let mut job = Job::new(&json!({}));
        job.put("b.csv", &[1, 2]);
        let pack = |name: &str| {
            let mut command = std::process::Command::new(codec);
            let rest = if codec == "zstd" { ["-q", "--rm"] } else { ["-q", "-n"] };
            assert!(command.args(rest).arg(job.at(name)).status().unwrap().success());
        };
        pack("b.csv");
        job.comes(&[1, 2], 0);
        let packed = if codec == "zstd" { "b.csv.zst" } else { "b.csv.gz" };
        job.rename(packed, ".b");
        // Other rows of one length.
        job.put("c.csv", &[3, 4]);
        set_time(&job.at("c.csv"), 1_600_000_000);
        let other = job.comes(&[3, 4], 0).stderr;
        assert!(!other.contains("W-FILE-MOVED"), "{other}");
        job.put("d.csv", &[1, 2]);
        set_time(&job.at("d.csv"), 1_600_000_009);
        let told = job.comes(&[1, 2], 0).stderr;
        assert!(told.contains("W-FILE-MOVED: reading ") && told.contains(packed), "{told}");
        job.comes(&[], 0);
    }
}

#[test]
fn a_file_that_went_into_an_archive_or_came_out_of_one_is_told() {
    let pack = "zip -q -m b.zip b.csv; touch -d 2021-01-01 b.zip";
    let unpack = "unzip -q b.zip; rm b.zip; touch -d 2021-01-02 b.csv";
    for (first, then, before) in [("true", pack, "b.csv"), (pack, unpack, "b.zip/b.csv")] {
        let mut job = Job::new(&json!({}));
        let folder = job.at("");
        let shell = |script: &str| {
            let sh = Run::new(Path::new("/bin/sh"));
            let script = format!("cd \"$1\"; {script}");
            sh.args(["-ec", &script, "sh"]).args([&folder]).go().success();
        };
        job.put("b.csv", &[1, 2]);
        shell(first);
        job.comes(&[1, 2], 0);
        shell(then);
        let told = job.comes(&[1, 2], 0).stderr;
        let which = format!("which may be {} under", job.at(before).display());
        assert!(told.contains("W-FILE-MOVED: reading ") && told.contains(&which), "{told}");
        job.comes(&[], 0);
    }
}

#[test]
fn files_that_are_gone_count_by_the_settings_they_were_read_by() {
    let mut job = Job::new(&json!({ "keys": ["id"] }));
    job.put("a.csv", &[1]);
    job.put("b.csv", &[2]);
    job.comes(&[1, 2], 0);
    job.rename("a.csv", ".a.csv");
    job.comes(&[], 0);
    job.settings["files"][0]["types"] = json!({ "id": "number" });
    job.comes(&[2], 0);
    job.rename(".a.csv", "a.csv");
    job.comes(&[1], 0);
    // A whole table has lost the rows of what is gone.
    job.settings["whole_tables"] = json!(true);
    job.rename("a.csv", ".a.csv");
    job.comes(&[2], 0);
    job.rename(".a.csv", "a.csv");
    job.comes(&[1, 2], 0);
}
