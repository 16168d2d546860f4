//! Many rows, many streams, many days, few descriptors: memory stays flat and nothing is lost (H03,
//! H04, H06, H07).

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::files::limits::{measured, peak};
use support::cluster::database;
use support::faults::{figure, tries};
use support::invariants::{Partition, Saw, Trial};
use support::lake;
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, Run};
use support::{binaries_dir, folder};

/// What a process may take, whatever the rows: buffers, batches, the binary itself.
const MEMORY_BYTES: u64 = 100 << 20;
/// The long version takes its time.
const PATIENCE: Duration = Duration::from_mins(30);

/// Feeds so many rows, and says how many bytes the process took at most.
fn rows(target: Run, count: usize) -> (Outcome, u64) {
    let mut target = target.patience(PATIENCE).start_with(Stdio::piped(), true);
    let mut stdin = target.child().stdin.take().unwrap();
    let mut block = Lines::opened().0;
    for id in 0..count {
        writeln!(
            block,
            r#"{{"type":"RECORD","stream":"t","record":{{"id":{id},"name":"row number {id}"}}}}"#
        )
        .unwrap();
        // States in between, so that there is something to commit.
        if id % 10_000 == 9_999 {
            block.extend(Lines::default().syncing("t").0);
        }
        if block.len() > 1 << 20 {
            stdin.write_all(&block).unwrap();
            block.clear();
        }
    }
    block.extend(Lines::default().done().0);
    stdin.write_all(&block).unwrap();
    drop(stdin);
    let outcome = target.wait().success();
    let peak = peak(&outcome);
    (outcome, peak)
}

#[test]
fn a_million_rows_take_no_more_memory_than_a_few() {
    let count = tries(1_000_000, 20_000_000);
    let (scratch, database) = (folder(), database("million"));
    let lake = scratch.path().join("lake");
    let csv = || {
        let csv = json!({ "output_path": lake, "source": "s", "datestamp": DAY });
        measured("target-csv").config(&csv)
    };
    let (_, few) = rows(csv(), 20_000);
    let (_, many) = rows(csv(), count);
    assert!(many < few + (30 << 20), "{few} bytes became {many}");
    lake::check(&lake);
    let data = lake::manifest(&lake::partition(&lake, "s", DAY, "t"));
    assert_eq!(data["files"][0]["rows"], count);
    figure("rows written to a file", count);
    figure("MiB that takes", many >> 20);

    let mut tap = measured("tap-csv")
        .patience(PATIENCE)
        .config(&json!({ "output": lake, "datestamp": DAY }))
        .start(false);
    let from = tap.child().stdout.take().unwrap();
    let settings = json!({ "default_target_schema": "public", "load_method": "append-only" });
    let target = measured("target-postgres").config(&database.settings_with(&settings));
    let target = target.patience(PATIENCE);
    let target = target.start_with(Stdio::from(from), true).wait().success();
    let tap = tap.wait().success();
    assert_eq!(database.psql("SELECT count(*), max(id) FROM t"), format!("{count}|{}", count - 1));
    for outcome in [&tap, &target] {
        assert!(peak(outcome) < MEMORY_BYTES, "{} bytes", peak(outcome));
    }
    let mut tap =
        measured("tap-postgres").patience(PATIENCE).config(&database.settings()).start(false);
    let from = tap.child().stdout.take().unwrap();
    let script = Run::new(std::path::Path::new("/bin/grep")).args(["-c", "^{\"type\":\"RECORD\""]);
    let counted = script.patience(PATIENCE).start_with(Stdio::from(from), true).wait().success();
    assert_eq!(counted.text().trim(), count.to_string());
    let outcome = tap.wait().success();
    assert!(peak(&outcome) < MEMORY_BYTES, "{} bytes", peak(&outcome));
    figure("rows loaded, and read from the table", count);
}

/// Streams whose rows come in turns.
fn interleaved(streams: usize, rounds: usize) -> Vec<u8> {
    let columns = json!({ "id": { "type": "integer" }, "name": { "type": "string" } });
    let name = |stream: usize| format!("s{stream}");
    let mut lines = Lines::default();
    for stream in 0..streams {
        lines = lines.schema(&name(stream), &columns, &["id"]);
    }
    for round in 0..rounds {
        for stream in 0..streams {
            lines = lines.record(&name(stream), &json!({ "id": round, "name": "x" }));
        }
    }
    lines.done().0
}

#[test]
fn thousands_of_streams_at_once_need_few_descriptors_and_little_memory() {
    let (streams, rounds) = (tries(300, 10_000), 4);
    let scratch = folder();
    let lake = scratch.path().join("lake");
    let input = interleaved(streams, rounds);
    // One descriptor a stream, for its lock, and no right to more.
    let script = format!("ulimit -n {} && exec \"$@\"", streams + 300);
    let run = measured("/bin/sh").args(["-c", &script, "sh"]);
    let run = run.args([binaries_dir().join("target-csv")]);
    let config = json!({ "output_path": lake, "source": "s", "datestamp": DAY });
    let outcome = run.config(&config).input(input).patience(PATIENCE).go().success();
    assert!(peak(&outcome) < 400 << 20, "{} bytes", peak(&outcome));
    lake::check(&lake);
    let day = lake.join(format!("source=s/extracted_at={DAY}"));
    assert_eq!(std::fs::read_dir(day).unwrap().count(), streams);
    // Each state has the bookmarks of all streams before it: too much to keep.
    let script = "\"$@\" --set output=lake --set datestamp=$DAY | grep -c '\"type\":\"RECORD\"'";
    let read = Run::new("/bin/sh".as_ref())
        .args(["-c", &format!("cd '{}'; {script}", scratch.path().display()), "sh"])
        .args([binaries_dir().join("tap-csv")])
        .env("DAY", DAY);
    let read = read.patience(PATIENCE).go().success();
    assert_eq!(read.text().trim(), (streams * rounds).to_string());
    figure("streams whose rows come in turns", streams);
}

#[test]
fn with_few_descriptors_a_run_succeeds_or_says_so_and_publishes_nothing() {
    let scratch = folder();
    let (mut worked, mut refused) = (0, 0);
    let input = interleaved(5, 3);
    for limit in (6..40).step_by(if tries(0, 1) == 0 { 3 } else { 1 }) {
        let lake = scratch.path().join(limit.to_string());
        let config = json!({ "output_path": lake, "source": "s", "datestamp": DAY });
        let target = binaries_dir().join("target-csv");
        let run = |limit: &str| {
            let script = format!("ulimit -n {limit} && exec \"$@\"");
            let run = Run::new("/bin/sh".as_ref()).args(["-c", &script, "sh"]).args([&target]);
            run.config(&config).input(input.clone()).go()
        };
        let outcome = run(&limit.to_string());
        // The loader itself found no room for the libraries of the program.
        if outcome.code == 127 {
            continue;
        }
        let tables: Vec<_> = (0..5).map(|table| format!("s{table}")).collect();
        let places =
            tables.iter().map(|table| Partition { lake: &lake, source: "s", day: DAY, table });
        let places: Vec<_> = places.collect();
        let trials: Vec<_> = places
            .iter()
            .map(|place| Trial {
                place,
                old: None,
                new: "id,name\n0,x\n1,x\n2,x\n".to_owned(),
                gaps: false,
            })
            .collect();
        // The settings may be what there is no descriptor for.
        let saw: Vec<_> =
            trials.iter().map(|trial| trial.after_fault(&outcome, &[0, 74, 78])).collect();
        if outcome.code == 0 {
            worked += 1;
        } else {
            assert_eq!(saw, [Saw::Old; 5], "{limit}");
            assert!(outcome.stderr.contains("Too many open files"), "{limit}: {}", outcome.stderr);
            let hint = outcome.code == 78 || outcome.stderr.contains("ulimit -n");
            assert!(hint, "{limit}: {}", outcome.stderr);
            refused += 1;
        }
        let again = run("1024");
        for trial in &trials {
            trial.after_rerun(&again);
        }
    }
    assert!(worked > 0 && refused > 0, "{worked} worked, {refused} did not");
    figure("limits of descriptors", worked + refused);
}

#[test]
fn a_folder_of_many_days_costs_no_more_than_one_of_few() {
    let days = tries(400, 4000);
    let scratch = folder();
    let lake = scratch.path();
    let publish = |day: &str| to_lake(lake, "s", day).input(Lines::whole(&[(1, "a")]).0);
    publish(DAY).go().success();
    let calls = || {
        let trace = tempfile::NamedTempFile::new().unwrap();
        let strace = Run::new(std::path::Path::new("/usr/bin/strace"));
        let strace = strace.args(["-f", "-qq", "-o"]).args([trace.path()]);
        let run =
            strace.args([binaries_dir().join("target-csv")]).set("output_path", lake.display());
        let run = run.set("source", "s").set("datestamp", "2026-11-21");
        run.input(Lines::whole(&[(1, "b")]).0).go().success();
        let text = std::fs::read_to_string(trace.path()).unwrap();
        let below = lake.to_str().unwrap();
        text.lines().filter(|line| line.contains(below)).count()
    };
    publish("2026-11-21").go().success();
    let few = calls();
    let from = lake.join(format!("source=s/extracted_at={DAY}"));
    for number in 0..days {
        let (year, day) = (1000 + number / 28, 1 + number % 28);
        let to = lake.join(format!("source=s/extracted_at={year}-02-{day:02}"));
        std::fs::create_dir_all(to.join("table=t")).unwrap();
        for file in std::fs::read_dir(from.join("table=t")).unwrap().flatten() {
            std::fs::copy(file.path(), to.join("table=t").join(file.file_name())).unwrap();
        }
    }
    let many = calls();
    assert!(many <= few + 20, "{few} calls became {many}");
    let read = from_lake(lake, DAY).go().success();
    assert_eq!(read.records("t").len(), 1);
    figure("days in one folder", days);
}
