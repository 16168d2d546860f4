//! Many days at once, some runs killed, some published again while they are read (R08, R09).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use support::faults::{Random, each, figure, tries};
use support::invariants::{KILLED, Partition, Reading, Saw, Trial, explains, is_done};
use support::messages::{Lines, columns};
use support::pipes::{from_lake, to_lake};
use support::project::Project;
use support::run::{Outcome, Run, file, ours};
use support::strace::{points, traced};
use support::{folder, lake};

const DAYS: usize = 400;

/// Runs, or pairs of them, at once.
const AT_ONCE: usize = 8;

/// Returns the name of a day, counted from the first of 2024.
fn day(number: usize) -> String {
    let (mut month, mut left) = (0, number % 366);
    let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    format!("{}-{:02}-{:02}", 2024 + number / 366, month + 1, left + 1)
}

fn rows_of(number: usize) -> String {
    (0..20).fold("id,name\n".to_owned(), |text, id| text + &format!("{id},{}\n", day(number)))
}

/// How a day's pair of runs ends when one of them is killed after a while, or not.
fn extract(scratch: &Path, number: usize, kill: Option<(bool, Duration)>) -> [Outcome; 2] {
    let path = scratch.join(format!("in/{number}.csv"));
    let files = json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] });
    let mut tap = ours("tap-csv").config(&files).start(false);
    let source = tap.child().stdout.take().unwrap();
    let target = to_lake(&scratch.join("lake"), "s", &day(number));
    let mut target = target.start_with(Stdio::from(source), true);
    if let Some((the_tap, pause)) = kill {
        std::thread::sleep(pause);
        if the_tap { tap.kill() } else { target.kill() }
    }
    [tap.wait(), target.wait()]
}

/// Has what must hold of a day checked.
fn tried<T>(lake: &Path, number: usize, check: impl FnOnce(&Trial<'_>) -> T) -> T {
    let place = Partition { lake, source: "s", day: &day(number), table: "t" };
    check(&Trial { place: &place, old: None, new: rows_of(number), gaps: false })
}

#[test]
fn a_backfill_with_kills_is_whole_after_a_second_pass() {
    let scratch = folder();
    let mut random = Random::new();
    let kills: Vec<_> = (0..DAYS)
        .map(|number| {
            file(scratch.path(), &format!("in/{number}.csv"), rows_of(number));
            // Most of them early: nobody knows how long a run takes here.
            let pause = Duration::from_micros(random.below(200) * random.below(200));
            (random.below(3) == 0).then_some((random.below(4) == 0, pause))
        })
        .collect();
    let lake = scratch.path().join("lake");
    let failed = Mutex::new(Vec::new());
    let all: Vec<_> = (0..DAYS).collect();
    each(AT_ONCE, &all, |&number| {
        let [tap, target] = extract(scratch.path(), number, kills[number]);
        // The other one misses the end of the input, or has nobody to write to.
        let codes: &[i32] = if kills[number].is_some() { &[0, 76, 141, KILLED] } else { &[0] };
        explains(&tap, codes);
        let saw = tried(&lake, number, |trial| trial.after_fault(&target, codes));
        // A tap may die after it has said all: then the day is whole.
        if target.code != 0 || tap.code != 0 {
            failed.lock().unwrap().push((number, saw));
        }
    });
    lake::check(&lake);
    let failed = failed.into_inner().unwrap();
    let absent = failed.iter().filter(|(_, saw)| *saw == Saw::Old).count();
    assert!(absent > 0, "none was killed in time");

    // The failed ones again, and some that went well.
    let mut again: BTreeSet<_> = failed.iter().map(|(number, _)| *number).collect();
    again.extend((0..DAYS).step_by(10));
    let again: Vec<_> = again.into_iter().collect();
    let ends = Mutex::new(Vec::new());
    each(AT_ONCE, &again, |&number| {
        let [tap, target] = extract(scratch.path(), number, None);
        tap.success();
        ends.lock().unwrap().push((number, target));
    });
    for (number, outcome) in ends.into_inner().unwrap() {
        tried(&lake, number, |trial| trial.after_rerun(&outcome));
    }
    lake::check(&lake);
    figure("days extracted, some runs killed", DAYS);
    figure("runs killed before their day was there", absent);
    for number in all {
        let partition = lake::partition(&lake, "s", &day(number), "t");
        assert_eq!(lake::data(&partition), rows_of(number));
        assert_eq!(lake::manifest(&partition)["extracted_at"], day(number).as_str());
    }
}

const TABLES: usize = 10;
const ROWS: usize = 200;

/// A run of all tables, each row of which names the generation.
fn generation(number: usize) -> Vec<u8> {
    let mut lines = Lines::default();
    for table in 0..TABLES {
        let table = format!("t{table}");
        lines = lines.syncing(&table).schema(&table, &columns(), &["id"]);
        for id in 0..ROWS {
            lines = lines.record(&table, &json!({ "id": id, "name": format!("g{number}") }));
        }
    }
    lines.done().0
}

/// Ends what waits for it, also when the test fails.
struct Unset<'a>(&'a AtomicBool);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What a read of a partition showed.
enum Read {
    /// A whole generation.
    Whole(String),
    /// Parts of two, and the manifest has changed meanwhile.
    Changed,
}

/// Reads a partition by its manifest, through a folder that may be exchanged meanwhile.
fn read(partition: &Path) -> Read {
    let manifest = lake::manifest(partition);
    let changed = || {
        assert_ne!(
            lake::manifest(partition)["run_id"],
            manifest["run_id"],
            "{}",
            partition.display()
        );
        Read::Changed
    };
    let entry = &manifest["files"][0];
    let Ok(bytes) = fs::read(partition.join(entry["name"].as_str().unwrap())) else {
        return changed();
    };
    if entry["sha256"] != lake::sum(&bytes) {
        return changed();
    }
    Read::Whole(whole(entry, bytes))
}

/// Reads a partition through a handle on its folder: what it holds never changes, only goes.
fn read_held(partition: &Path) -> Read {
    use std::os::fd::AsRawFd;
    let folder = fs::File::open(partition).unwrap();
    let held = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    let Ok(text) = fs::read(held.join("_manifest.json")) else { return Read::Changed };
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let entry = &manifest["files"][0];
    let Ok(bytes) = fs::read(held.join(entry["name"].as_str().unwrap())) else {
        return Read::Changed;
    };
    assert_eq!(entry["sha256"], lake::sum(&bytes), "{}", partition.display());
    Read::Whole(whole(entry, bytes))
}

/// Returns the generation that all rows of a file name.
fn whole(entry: &Value, bytes: Vec<u8>) -> String {
    assert_eq!(entry["rows"], ROWS);
    let text = String::from_utf8(bytes).unwrap();
    let names: BTreeSet<_> =
        text.lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_owned()).collect();
    assert_eq!((names.len(), text.lines().count()), (1, ROWS + 1), "{names:?}");
    names.into_iter().next().unwrap()
}

#[test]
fn readers_of_a_thousand_replacements_see_whole_generations() {
    let scratch = folder();
    let lake = scratch.path();
    let partition = |number: usize, table: usize| {
        lake::partition(lake, "s", &day(number), &format!("t{table}"))
    };
    let publish = |number: usize, generation_of: usize| -> Run {
        to_lake(lake, "s", &day(number)).input(generation(generation_of))
    };
    for number in 0..AT_ONCE {
        publish(number, 0).go().success();
    }
    let rounds = tries(1000, 10_000) / TABLES / AT_ONCE + 1;
    let (writing, reads, changed) =
        (AtomicBool::new(true), AtomicUsize::new(0), AtomicUsize::new(0));
    let seen = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for reader in [read, read_held] {
            let (writing, reads, changed, seen) = (&writing, &reads, &changed, &seen);
            scope.spawn(move || {
                let mut at = 0;
                while writing.load(Ordering::Relaxed) {
                    at += 1;
                    match reader(&partition(at % AT_ONCE, at / AT_ONCE % TABLES)) {
                        Read::Whole(generation) => seen.lock().unwrap().insert(generation),
                        Read::Changed => changed.fetch_add(1, Ordering::Relaxed) > 0,
                    };
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let taps = scope.spawn(|| {
            let mut codes = BTreeSet::new();
            let mut at = 0;
            while writing.load(Ordering::Relaxed) {
                at += 1;
                let tap = from_lake(lake, &day(at % AT_ONCE)).go();
                codes.insert(tap.code);
                // Not finished yet, or replaced on the way: to be run again.
                explains(&tap, &[0, 66, 75]);
                assert_eq!(is_done(&tap), tap.code == 0, "{}", tap.stderr);
                if tap.code == 0 {
                    let names = tap.messages().into_iter().filter(|m| m["type"] == "RECORD");
                    let names: Vec<_> = names.map(|m| m["record"]["name"].clone()).collect();
                    assert_eq!(names.len(), TABLES * ROWS);
                    assert!(names.iter().all(|name| *name == names[0]), "generations mixed");
                }
            }
            codes
        });
        let days: Vec<_> = (0..AT_ONCE).collect();
        let end = Unset(&writing);
        each(AT_ONCE, &days, |&number| {
            for round in 1..=rounds {
                publish(number, round).go().success();
            }
        });
        drop(end);
        eprintln!("exit codes of the taps: {:?}", taps.join().unwrap());
    });
    let (reads, changed) = (reads.into_inner(), changed.into_inner());
    figure("replacements under readers", rounds * TABLES * AT_ONCE);
    figure("reads meanwhile", reads);
    figure("of these, met a replacement", changed);
    assert!(seen.lock().unwrap().len() > 1, "only one generation was seen");
    assert!(changed < reads, "all of {reads} reads were for nothing");
    lake::check(lake);
    lake::check_swept(lake);
}

#[test]
fn a_day_replaced_while_a_tap_is_about_to_read_it_is_to_be_read_again() {
    let scratch = folder();
    let lake = scratch.path().join("lake");
    let publish = |name: &str| {
        let rows: Vec<_> = (0..50).map(|id| (id, name)).collect();
        to_lake(&lake, "s", &day(0)).input(Lines::whole(&rows).0).go().success();
    };
    let settings = |run: Run| run.set("output", lake.display()).set("datestamp", day(0));
    let read = || from_lake(&lake, &day(0)).go();
    let [old, new] = ["old", "new"].map(|name| {
        publish(name);
        read()
    });
    // Either generation, but one, or to be run again.
    let one = Reading::of("t", [&old, &new]);
    publish("old");
    let calls = points("tap-csv", &[], &lake, settings);
    let after = |name: &str| {
        let at = calls.iter().position(|point| point.line.contains(name));
        at.unwrap_or_else(|| panic!("no {name} in {calls:?}"))
    };
    let mut codes = BTreeSet::new();
    // When it knows the manifest, when it trusts the day, when it has the file open.
    for at in [after("_manifest.json"), after(".runs/"), after(".csv\"")] {
        publish("old");
        let fault = calls[at].inject("signal=SIGSTOP");
        let mut tap = settings(traced("tap-csv", &[fault])).start(true);
        tap.wait_until_stopped();
        publish("new");
        tap.signal(rustix::process::Signal::CONT);
        let outcome = tap.wait();
        one.after_fault(&outcome, &[0, 75]);
        codes.insert(outcome.code);
        assert!(Reading::of("t", [&new]).after_fault(&read(), &[0]));
    }
    assert_eq!(codes, BTreeSet::from([0, 75]));
}

#[test]
fn a_backfill_over_days_that_are_there_leaves_nothing_in_staging() {
    let project = Project::new("", &[]);
    let words = ["backfill", "both", "--from", "2026-01-30", "--to", "2026-02-01", "--only", "all"];
    project.chorus(&words).go().success();
    let tables = |id: &str| {
        let partitions = ["2026-01-30", "2026-01-31", "2026-02-01"]
            .map(|day| lake::partition(&project.lake(), "csv", day, "a"));
        partitions.iter().all(|partition| lake::data(partition).contains(id))
    };
    assert!(!tables("7,"));
    let input = project.root.join("in/a.csv");
    fs::write(&input, "id,name\n7,z\n").unwrap();
    project.chorus(&[&words[..], &["--parallel", "2"]].concat()).go().success();
    assert!(tables("7,"));
    lake::check(&project.lake());
    lake::check_swept(&project.lake());
}
