//! A config.yaml whose run is killed, or which two runs carry out at once; and what it leaves.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use support::cluster::database;
use support::folder;
use support::run::file;

use super::files::{config, run};

const LOCAL: &str = "- {type: local, path: data}\n";
const ROWS: usize = 60_000;

fn rows() -> String {
    let mut text = "id,name\n".to_owned();
    for id in 0..ROWS {
        let _ = writeln!(text, "{id},name of {id}");
    }
    text
}

#[test]
fn a_run_that_was_killed_is_done_again_without_a_row_twice() {
    let (folder, database) = (folder(), database("killed"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", rows());
    config(root, LOCAL, &database, "");
    for millis in [300, 900, 1800, 2700] {
        let mut running = run(root).start(true);
        std::thread::sleep(Duration::from_millis(millis));
        running.kill();
        running.wait();
        let there = database.psql("SELECT count(*) FROM pg_tables WHERE tablename = 'sales'");
        if there != "0" {
            let count = database.psql("SELECT count(*) FROM sales");
            assert!(["0", &ROWS.to_string()].contains(&count.as_str()), "{count}");
        }
    }
    run(root).go().success();
    let counts = "SELECT count(*), count(DISTINCT id), count(DISTINCT _row_hash) FROM sales";
    assert_eq!(database.psql(counts), format!("{ROWS}|{ROWS}|{ROWS}"));
    let again = run(root).go().success();
    assert!(again.text().contains("nothing to do"), "{}", again.text());
}

#[test]
fn two_runs_at_once_add_each_row_once() {
    let (folder, database) = (folder(), database("at_once"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", rows());
    config(root, LOCAL, &database, "");
    let (one, other) = (run(root).start(true), run(root).start(true));
    let ends = [one.wait(), other.wait()];
    let codes = ends.each_ref().map(|end| end.code);
    let is_right = codes.contains(&0) && codes.iter().all(|code| [0, 75].contains(code));
    assert!(is_right, "{codes:?}: {} {}", ends[0].stderr, ends[1].stderr);
    run(root).go().success();
    let counts = "SELECT count(*), count(DISTINCT id) FROM sales";
    assert_eq!(database.psql(counts), format!("{ROWS}|{ROWS}"));
}

#[test]
fn the_seven_newest_days_of_what_was_read_stay() {
    let (folder, database) = (folder(), database("pruned"));
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id\n1\n");
    config(root, LOCAL, &database, "");
    let on = |day: u32| {
        run(root).args(["--datestamp", &format!("2026-01-{day:02}")]).go().success();
        let days = fs::read_dir(root.join(".chorus/lake/sales/source=local")).unwrap();
        let mut days: Vec<String> =
            days.map(|day| day.unwrap().file_name().into_string().unwrap()).collect();
        days.sort();
        days
    };
    for day in 1..=7 {
        on(day);
    }
    let days = on(8);
    assert_eq!(days.len(), 7, "{days:?}");
    assert_eq!(days[0], "extracted_at=2026-01-02");
    // An old day that is asked for stays while it is the one that was run last.
    assert_eq!(on(1)[0], "extracted_at=2026-01-01");
    assert_eq!(on(8)[0], "extracted_at=2026-01-02");
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "1");
}
