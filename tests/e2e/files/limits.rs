//! A limit stops fields and lines that no memory could hold (C14).

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use support::cluster::database;
use support::invariants::{Partition, Place, Table, Trial, fails};
use support::messages::Lines;
use support::pipes::DAY;
use support::run::{Outcome, Run, file, ours};
use support::{binaries_dir, folder, lake};

/// Above any field that the default limit lets pass, with all its copies.
const MEMORY_BYTES: u64 = 200 << 20;
const LONG: usize = 100 << 20;

/// One of our binaries below a program that says how much memory it took at most.
pub fn measured(name: &str) -> Run {
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.run(sys.argv[1:]).returncode\n\
                  peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
                  print(f'peak {peak}', file=sys.stderr)\n\
                  sys.exit(code if code >= 0 else 128 - code)";
    Run::new(Path::new("/usr/bin/env"))
        .args(["python3", "-c", script])
        .args([binaries_dir().join(name)])
}

/// Returns the most memory a measured run took, in bytes.
#[track_caller]
pub fn peak(outcome: &Outcome) -> u64 {
    let line = outcome.stderr.lines().last().unwrap();
    let kilobytes = line.strip_prefix("peak ").unwrap_or_else(|| panic!("{}", outcome.stderr));
    kilobytes.parse::<u64>().unwrap() << 10
}

/// Asserts that the limit was met, and named, in little memory.
#[track_caller]
fn is_refused(name: &str, outcome: &Outcome) {
    fails(outcome, &[65]);
    assert!(outcome.stderr.contains("max_record_bytes"), "{name}: {}", outcome.stderr);
    assert!(peak(outcome) < MEMORY_BYTES, "{name}: {} bytes", peak(outcome));
}

/// Writes a gibibyte without a line feed into a pipe; returns how much of it was taken.
fn endless_line(target: Run, start: &str) -> (Outcome, usize) {
    let mut target = target.start_with(Stdio::piped(), true);
    let mut stdin = target.child().stdin.take().unwrap();
    stdin.write_all(start.as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    let taken = (0..1024).take_while(|_| stdin.write_all(&block).is_ok()).count();
    drop(stdin);
    (target.wait(), taken << 20)
}

#[test]
fn a_line_of_a_gibibyte_is_refused_by_targets_in_bounded_memory() {
    let (scratch, database) = (folder(), database("long_line"));
    let day = Partition { lake: scratch.path(), source: "s", day: DAY, table: "t" };
    let table = Table { database: &database, schema: "public", name: "t", columns: "id, name" };
    let csv = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let postgres = database.settings_with(&json!({
        "default_target_schema": "public", "add_record_metadata": false,
    }));
    let starts =
        ["", "{\"type\":\"SCHEMA\",\"stream\":\"", "{\"type\":\"STATE\",\"value\":{\"x\":\""];
    let places: [(&str, _, &dyn Place, _); 2] = [
        ("target-csv", csv, &day, "id,name\n1,a\n"),
        ("target-postgres", postgres, &table, "1,a\n"),
    ];
    for (name, config, place, new) in places {
        let mut trial = Trial { place, old: None, new: new.to_owned(), gaps: false };
        for _ in 0..2 {
            for start in starts {
                let (outcome, taken) = endless_line(measured(name).config(&config), start);
                is_refused(name, &outcome);
                trial.after_fault(&outcome, &[65]);
                assert!(taken < 200 << 20, "{name} took {taken} bytes");
            }
            // Then the same behind rows that are there.
            let good = Lines::whole(&[(1, "a")]).0;
            trial.after_rerun(&ours(name).config(&config).input(good).go());
            trial.old = Some(new.to_owned());
        }
    }
}

#[test]
fn a_field_of_a_gibibyte_is_refused_by_the_tap_in_bounded_memory() {
    let scratch = folder();
    // Members of a compressed file follow each other: so little disk holds so much.
    let script = "cd \"$1\"; head -c 67108864 /dev/zero | tr '\\0' x | gzip -1 > x.gz\n\
                  printf \"$2\" | gzip > long.csv.gz\n\
                  for i in $(seq 16); do cat x.gz; done >> long.csv.gz";
    for start in ["a,b\\n1,", "a,b\\n1,\\042", "", "\\042"] {
        let run = Run::new(Path::new("/bin/sh")).args(["-ec", script, "sh"]);
        run.args([scratch.path().as_os_str(), start.as_ref()]).go().success();
        for infer_types in [true, false] {
            let entry = json!({
                "entity": "t", "path": scratch.path().join("long.csv.gz"),
                "infer_types": infer_types,
            });
            let config = json!({ "files": [entry], "decompression_ratio_max": 100_000 });
            let outcome = measured("tap-csv").config(&config).go();
            is_refused(start, &outcome);
        }
    }
}

#[test]
fn a_field_of_a_hundred_mebibytes_needs_the_limit_raised_in_every_process() {
    let scratch = folder();
    let text = [b"a,b\n1,".to_vec(), vec![b'x'; LONG], b"\n".to_vec()].concat();
    let entry = json!({
        "entity": "t", "path": file(scratch.path(), "long.csv", text), "infer_types": false,
    });
    let tap = |more: usize| {
        let config = json!({ "files": [entry], "max_record_bytes": LONG + more });
        measured("tap-csv").config(&config)
    };
    let lake = scratch.path().join("lake");
    let target = || {
        let config = json!({ "output_path": lake, "source": "s", "datestamp": DAY });
        measured("target-csv").config(&config)
    };
    is_refused("tap", &measured("tap-csv").config(&json!({ "files": [entry] })).go());
    let messages = tap(1000).go().success().stdout;
    is_refused("target", &target().input(messages.clone()).go());
    let outcome = target().set("max_record_bytes", LONG + 1000).input(messages).go().success();
    // Input, batch and output each hold the field, with room to grow.
    assert!(peak(&outcome) < 8 * LONG as u64, "{} bytes", peak(&outcome));
    let data = lake::data(&lake::partition(&lake, "s", DAY, "t"));
    assert_eq!(data.len(), "a,b\n1,\n".len() + LONG);
}

#[test]
fn a_field_of_a_hundred_mebibytes_goes_into_postgres_and_back() {
    let database = database("long_field");
    let lines = Lines::whole(&[(1, &"x".repeat(LONG))]);
    let raised = json!({ "max_record_bytes": LONG + 1000 });
    let raised = database.settings_with(&raised);
    let target = measured("target-postgres").set("default_target_schema", "public");
    let outcome = target.config(&raised).input(lines.0).go().success();
    assert!(peak(&outcome) < 8 * LONG as u64, "{} bytes", peak(&outcome));
    assert_eq!(database.psql("SELECT length(name) FROM t"), LONG.to_string());
    let outcome = measured("tap-postgres").config(&raised).go().success();
    assert!(peak(&outcome) < 8 * LONG as u64, "{} bytes", peak(&outcome));
    assert_eq!(outcome.records("public-t")[0]["name"].as_str().unwrap().len(), LONG);
    let outcome = measured("tap-postgres").config(&database.settings()).go();
    assert_eq!(outcome.code, 65, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("max_record_bytes"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("public-t"), "{}", outcome.stderr);
}

#[test]
fn a_row_of_two_hundred_mebibytes_is_refused_before_it_is_read() {
    let source = database("long_row");
    source.psql("CREATE TABLE t AS SELECT 1 AS id, repeat('x', 200 << 20) AS text");
    let outcome = measured("tap-postgres").config(&source.settings()).go();
    is_refused("tap-postgres", &outcome);
    assert!(outcome.stderr.contains("table: public.t"), "{}", outcome.stderr);
}
