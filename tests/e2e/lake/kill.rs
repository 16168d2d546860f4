//! Processes that die, disks that fill, runs that meet: a reader never sees half a partition.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::cluster::database;
use support::faults::{figure, tries};
use support::invariants::{KILLED, Partition, Place, Saw, Table, Trial};
use support::messages::{Lines, csv};
use support::pipes::{DAY, to_database, to_lake};
use support::run::{Outcome, Run, feed, file, ours, ours_to_end, pipe_succeeds};
use support::{binaries_dir, folder, lake};

/// Rows enough that a kill meets the processes at work.
const MANY: &str = "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n";

fn csv_config(lake: &Path) -> Value {
    json!({ "output_path": lake, "source": "s", "datestamp": DAY })
}

fn old() -> Vec<u8> {
    Lines::whole(&[(7, "old")]).0
}

/// Rows of stream `t`: more than any buffer holds.
fn new() -> impl Iterator<Item = (i64, &'static str)> {
    (0..50_000).map(|id| (id, "a row of a run that does not end well"))
}

/// These rows, but not the end of their stream.
fn endless() -> Vec<u8> {
    new().fold(Lines::opened(), |lines, (id, name)| lines.row(id, name)).0
}

/// Returns the day of these tests.
fn day(lake: &Path) -> Partition<'_> {
    Partition { lake, source: "s", day: DAY, table: "t" }
}

/// The old rows give way to the new ones.
fn of_day<'a>(day: &'a Partition<'_>) -> Trial<'a> {
    let (old, new) = ("id,name\n7,old\n".to_owned(), format!("id,name\n{}", csv(new())));
    Trial { place: day, old: Some(old), new, gaps: false }
}

#[test]
fn a_tap_killed_in_a_plain_shell_pipe_publishes_nothing() {
    let (source, target, scratch) = (database("killed_tap"), database("killed_into"), folder());
    source.psql(&format!("CREATE TABLE t (id integer PRIMARY KEY, v text); {MANY}"));
    let config = file(scratch.path(), "tap.json", source.settings().to_string());
    let lake = scratch.path().join("lake");
    let into = target.settings_with(&json!({ "default_target_schema": "public" }));
    let into = file(scratch.path(), "target.json", into.to_string());
    let whole = || ours("tap-postgres").config(&source.settings());
    pipe_succeeds(whole(), to_lake(&lake, "postgres", DAY));
    pipe_succeeds(
        whole(),
        Run::new(&binaries_dir().join("target-postgres"))
            .args(["--config".as_ref(), into.as_os_str()]),
    );
    let before = lake::sums(&lake);
    let rows = "SELECT xmin, ctid, v FROM public.t ORDER BY id LIMIT 50000";
    let table = target.psql(rows);
    source.psql("UPDATE t SET v = 'new'");

    let binaries = binaries_dir();
    let targets = [
        format!(
            "target-csv --set output_path={} --set source=postgres --set datestamp={DAY}",
            lake.display()
        ),
        format!("target-postgres --config {}", into.display()),
    ];
    for target in targets {
        // The tap kills itself after some megabytes have gone through: nobody else can tell when.
        let script = format!(
            "set +e; PATH={}:$PATH
             (tap-postgres --config {} & tap=$!; echo $tap > pid; wait $tap) \
             | (head -c 3000000; kill -9 $(cat pid); cat) | {target}",
            binaries.display(),
            config.display()
        );
        let outcome = Run::new(Path::new("/bin/sh")).args(["-c", &script]).go();
        assert_eq!(outcome.code, 76, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("public-t"), "{}", outcome.stderr);
    }
    assert_eq!(lake::sums(&lake), before);
    assert_eq!(target.psql(rows), table);
    let left = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname LIKE '%stag%'";
    pipe_succeeds(whole(), to_lake(&lake, "postgres", DAY));
    pipe_succeeds(whole(), to_database(&target, &json!({})));
    lake::check(&lake);
    lake::check_swept(&lake);
    assert_eq!(target.psql("SELECT count(*) FROM public.t WHERE v = 'new'"), "200000");
    assert_eq!(target.psql(left), "", "staging tables left");
}

/// Feeds part of the input, waits a little, and kills the target.
fn kill_after(target: Run, input: &[u8], bytes: usize, pause: Duration) -> Outcome {
    let mut target = target.start_with(Stdio::piped(), true);
    let mut stdin = target.child().stdin.take().unwrap();
    // A target that has died early is what this is about.
    let _ = stdin.write_all(&input[..bytes.min(input.len())]);
    std::thread::sleep(pause);
    target.kill();
    drop(stdin);
    target.wait()
}

#[test]
fn target_csv_killed_at_any_point_leaves_the_old_day_or_the_new() {
    let scratch = folder();
    let config = csv_config(scratch.path());
    let target = || ours("target-csv").config(&config);
    let day = day(scratch.path());
    let trial = of_day(&day);
    feed("target-csv", &config, &old()).success();
    let input = endless();
    for step in 0..12 {
        let part = input.len() * step / 11;
        let killed = kill_after(target(), &input, part, Duration::from_millis(1));
        assert_eq!(trial.after_fault(&killed, &[KILLED]), Saw::Old, "killed at {part}");
    }
    // With a good end in the input, the kill meets the publishing itself.
    let whole = Lines(input).done().0;
    let mut seen = BTreeSet::new();
    for step in 0_u64.. {
        if step >= 30 && seen.len() == 2 {
            break;
        }
        assert!(step < 1000, "after kills only {seen:?} rows were ever seen");
        feed("target-csv", &config, &old()).success();
        day.check_swept();
        let pause = Duration::from_micros(step * 700);
        let killed = kill_after(target(), &whole, usize::MAX, pause);
        seen.insert(trial.after_fault(&killed, &[0, KILLED]));
    }
    trial.after_rerun(&feed("target-csv", &config, &whole));
}

#[test]
fn target_postgres_killed_at_any_point_leaves_the_old_rows_or_the_new() {
    let database = database("killed_target");
    let input = endless();
    let whole = Lines(input.clone()).done().0;
    for method in ["overwrite", "replace-partition"] {
        let schema = &method.replace('-', "_");
        let config = database.settings_with(&json!({
            "default_target_schema": schema, "load_method": method, "source": "s", "datestamp": DAY,
        }));
        let target = || ours("target-postgres").config(&config);
        let place = Table { database: &database, schema, name: "t", columns: "id, name" };
        let old_rows = Some("7,old\n".to_owned());
        let trial = Trial { place: &place, old: old_rows, new: csv(new()), gaps: false };
        feed("target-postgres", &config, &old()).success();
        for step in 0..8 {
            let part = input.len() * step / 7;
            let killed = kill_after(target(), &input, part, Duration::from_millis(5));
            assert_eq!(trial.after_fault(&killed, &[KILLED]), Saw::Old, "{method}: at {part}");
        }
        for step in 0..15 {
            feed("target-postgres", &config, &old()).success();
            assert_eq!(place.seen(), trial.old);
            let killed = kill_after(target(), &whole, usize::MAX, Duration::from_millis(step * 30));
            trial.after_fault(&killed, &[0, KILLED]);
        }
        trial.after_rerun(&feed("target-postgres", &config, &whole));
    }
}

#[test]
fn a_terminated_target_publishes_nothing() {
    let scratch = folder();
    let config = csv_config(scratch.path());
    let day = day(scratch.path());
    let trial = of_day(&day);
    feed("target-csv", &config, &old()).success();
    let input = endless();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let target = ours_to_end("target-csv").config(&config);
        let mut target = target.start_with(Stdio::piped(), true);
        let mut stdin = target.child().stdin.take().unwrap();
        stdin.write_all(&input).unwrap();
        target.signal(signal);
        let outcome = target.wait();
        drop(stdin);
        assert_eq!(trial.after_fault(&outcome, &[code]), Saw::Old);
    }
    trial.after_rerun(&feed("target-csv", &config, &Lines(input).done().0));
}

#[test]
fn a_tap_whose_reader_is_gone_leaves_quietly() {
    let source = database("reader_gone");
    source.psql(&format!("CREATE TABLE t (id integer PRIMARY KEY, v text); {MANY}"));
    let mut tap = ours("tap-postgres").config(&source.settings()).start(false);
    let mut pipe = tap.child().stdout.take().unwrap();
    std::io::Read::read_exact(&mut pipe, &mut [0; 10_000]).unwrap();
    drop(pipe);
    let outcome = tap.wait();
    assert_eq!(outcome.code, 141, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("error:"));
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND pid <> pg_backend_pid()";
    // The server notices at its next write.
    for _ in 0..500 {
        if source.psql(busy) == "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the server still works for a tap that has gone");
}

#[test]
fn a_full_disk_leaves_the_old_day() {
    let scratch = folder();
    let input = Lines(endless()).done().0;
    for kilobytes in [64, 512, 2048] {
        let lake = scratch.path().join(kilobytes.to_string());
        let config = csv_config(&lake);
        let day = day(&lake);
        let trial = of_day(&day);
        feed("target-csv", &config, &old()).success();
        // EFBIG stands in for ENOSPC where no file system can be mounted: the same write fails.
        let limited = Run::new(Path::new("/bin/sh"))
            .args(["-c", &format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\""), "sh"])
            .args([binaries_dir().join("target-csv")])
            .config(&config)
            .input(input.clone())
            .go();
        assert_eq!(trial.after_fault(&limited, &[74]), Saw::Old);
        assert!(limited.stderr.contains("path:"), "{}", limited.stderr);
        trial.after_rerun(&feed("target-csv", &config, &input));
    }
}

#[test]
fn the_second_run_of_a_partition_at_once_steps_back() {
    let scratch = folder();
    let config = csv_config(scratch.path());
    let mut first = ours("target-csv").config(&config).start_with(Stdio::piped(), true);
    let mut stdin = first.child().stdin.take().unwrap();
    stdin.write_all(&endless()).unwrap();
    let second = feed("target-csv", &config, &Lines::whole(&[(8, "second")]).0).exits(75);
    assert!(second.stderr.contains(DAY), "{}", second.stderr);
    // Another day is nobody's business.
    let other = json!({ "output_path": scratch.path(), "source": "s", "datestamp": "2026-11-19" });
    feed("target-csv", &other, &old()).success();
    stdin.write_all(&Lines::default().done().0).unwrap();
    drop(stdin);
    first.wait().success();
    lake::check(scratch.path());
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition).lines().count(), 50_001);
    lake::check_swept(scratch.path());
}

#[test]
fn two_runs_that_start_together_leave_one_whole_result() {
    let rounds = tries(100, 1000);
    // A replacement mostly waits for the sake of readers: days beside each other cost no more.
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..rounds / 10).for_each(two_at_once(folder().path())));
        }
    });
    figure("rounds of two runs at once", rounds);
}

/// Starts two runs of a day together, again and again.
fn two_at_once(scratch: &Path) -> impl FnMut(usize) {
    let config = csv_config(scratch);
    let scratch = scratch.to_owned();
    move |round| {
        let run = |name: &str| {
            let rows: Vec<_> = (0..500).map(|id| (id, name)).collect();
            ours("target-csv").config(&config).input(Lines::whole(&rows).0).start(true)
        };
        let (a, b) = (run("a"), run("b"));
        let (a, b) = (a.wait(), b.wait());
        assert!([a.code, b.code].iter().all(|code| [0, 75].contains(code)), "{a:?} {b:?}");
        assert!(a.code == 0 || b.code == 0, "round {round}: both stepped back");
        lake::check(&scratch);
        lake::check_swept(&scratch);
        let partition = lake::partition(&scratch, "s", DAY, "t");
        let data = lake::data(&partition);
        let of = |name: &str| data.lines().filter(|line| line.ends_with(name)).count();
        let (of_a, of_b) = (of(",a"), of(",b"));
        assert!([(500, 0), (0, 500)].contains(&(of_a, of_b)), "{data}");
        // The rows are those of a run that says it succeeded.
        assert!(if of_a > 0 { a.code == 0 } else { b.code == 0 }, "{a:?} {b:?}");
    }
}
