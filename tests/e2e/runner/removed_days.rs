//! `chorus days`: lists and removes what a job has written.

use std::fs;

use support::lake;
use support::project::{DAY, Project};

const OTHER: &str = "2026-01-30";

#[test]
fn days_are_listed_and_removed_with_what_says_that_they_are_there() {
    let project = Project::new("", &[]);
    let run = |day: &str| project.chorus(&["run", "both", "--datestamp", day]).go().success();
    run(DAY);
    run(OTHER);
    let days = |more: &[&str]| project.chorus(&["days", "both"]).args(more).go();
    let listed = days(&[]).success().text();
    let lines: Vec<Vec<&str>> =
        listed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let [csv, two] = [("csv", "2"), ("two", "1")]
        .map(|(source, rows)| [OTHER, DAY].map(|day| vec![source, day, "1", rows]));
    assert_eq!(lines, [csv, two].concat(), "{listed}");

    let before = lake::sums(&project.lake());
    let preview = days(&["--delete", DAY, "--preview"]).success().text();
    assert_eq!(preview.lines().count(), 2, "{preview}");
    assert!(preview.starts_with("would remove ") && preview.contains("1 tables, 2 rows"));
    assert_eq!(lake::sums(&project.lake()), before);
    // All of them are there, or none goes.
    days(&["--delete", DAY, "--delete", "2026-01-01"]).exits(66);
    assert_eq!(lake::sums(&project.lake()), before);

    let removed = days(&["--delete", DAY]).success().text();
    assert!(removed.starts_with("removed "), "{removed}");
    for source in ["csv", "two"] {
        let day = project.partition(source, "a").parent().unwrap().to_owned();
        assert!(!day.exists(), "{}", day.display());
        let record = project.lake().join(format!(".runs/source={source}/extracted_at={DAY}.json"));
        assert!(!record.exists());
        assert!(record.with_file_name(format!("extracted_at={OTHER}.json")).exists());
    }
    let staged = fs::read_dir(project.lake().join(".staging")).unwrap().count();
    assert_eq!(staged, 0);
    let status = project.chorus(&["status", "both"]).go().success().text();
    assert!(status.contains("gone"), "{status}");
    // It is written anew as a whole, whatever its state says.
    let data = lake::data_sums(&project.lake());
    run(DAY);
    lake::check(&project.lake());
    assert!(lake::data_sums(&project.lake()).len() > data.len());
    assert!(project.partition("csv", "a").exists() && project.partition("two", "b").exists());
}

#[test]
fn a_day_that_a_run_holds_is_not_removed() {
    let slow = "[ \"$3\" = --discover ] && { echo '{\"streams\": []}'; exit; }
touch begun
while [ ! -e go ]; do sleep 0.01; done
";
    let more = "  - {name: tap-x, executable: ./x, capabilities: [catalog]}\n";
    let project = Project::new(more, &[("x", slow)]);
    project.chorus(&["run", "tap-csv", "target-csv", "--datestamp", DAY]).go().success();
    let before = lake::data_sums(&project.lake());
    let running = project.chorus(&["run", "tap-x", "target-csv", "--datestamp", DAY]).start(true);
    project.wait_for(&|| project.root.join("begun").exists());
    let delete = |tap: &str| project.chorus(&["days", tap, "target-csv", "--delete", DAY]).go();
    for tap in ["tap-x", "tap-csv"] {
        let refused = delete(tap).exits(75);
        assert!(refused.stderr.contains("a day that a run is writing"), "{}", refused.stderr);
    }
    assert_eq!(lake::data_sums(&project.lake()), before);
    fs::write(project.root.join("go"), "").unwrap();
    running.wait();
    delete("tap-x").success();
    assert!(!project.partition("csv", "a").exists());
    let none = delete("tap-csv").exits(66);
    assert!(none.stderr.contains("chorus days tap-csv target-csv lists"), "{}", none.stderr);
}
