//! What the runner runs at once, what waits for what, and what is made up for.

use std::fs;

use serde_json::{Value, json};

use support::lake;
use support::messages::Lines;
use support::project::{DAY, Project};
use support::run::{Run, file};

/// A foreign tap of stream `t` that does something before it writes a file of messages.
fn tap(before: &str) -> String {
    let discover = r#"[ "$3" = --discover ] && { echo '{"streams":[]}'; exit 0; }"#;
    format!("{discover}\n{before}\ncat messages")
}

#[test]
fn a_step_that_reads_what_another_writes_waits_however_its_setting_is_called() {
    let of_day = "source: csv, datestamp: '${DATESTAMP}'";
    let readers = [
        format!("{{files: null, output: output, {of_day}}}"),
        format!("{{files: null, output_path: output, {of_day}}}"),
        format!("{{files: null, lake: $MELTANO_PROJECT_ROOT/output, {of_day}}}"),
        "{files: [{entity: t, path: 'output/source=csv/*/table=t/*.csv', keys: [id]}]}".to_owned(),
    ];
    for reader in readers {
        let more = format!(
            "  - {{name: tap-slow, executable: ./slow}}
  - {{name: tap-day, inherit_from: tap-csv, config: {reader}}}
"
        );
        let loaders =
            "  - {name: target-copy, inherit_from: target-csv, config: {output_path: copy}}\n";
        let jobs = "- {name: chain, tasks: [tap-slow target-csv, tap-day target-copy]}\n";
        let project = Project::with(&more, loaders, jobs);
        project.script("slow", &tap("sleep 0.5"));
        for rows in [&[(1, "a")][..], &[(1, "a"), (2, "b")]] {
            file(&project.root, "messages", Lines::whole(rows).0);
            project.run(&["chain", "--full-refresh"]).success();
            let copy = lake::partition(&project.root.join("copy"), "csv", DAY, "t");
            assert_eq!(lake::data(&copy).lines().count(), rows.len() + 1, "{reader}");
        }
    }
}

#[test]
fn a_step_that_writes_what_another_reads_waits() {
    let more = "  - {name: tap-slow, executable: ./slow, config: {in: ['output/*.json']}}\n";
    let jobs = "- {name: chain, tasks: [tap-slow target-csv, tap-csv--two target-csv--two]}\n";
    let project = Project::with(more, "", jobs);
    project.script("slow", &tap("sleep 0.5; [ ! -e output/source=two ] || exit 1"));
    file(&project.root, "messages", Lines::whole(&[(1, "a")]).0);
    project.run(&["chain"]).success();
    assert!(project.partition("two", "b").exists());
}

#[test]
fn days_of_one_state_wait_for_each_other() {
    let project = Project::new("  - {name: tap-slow, executable: ./slow}\n", &[]);
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let shared = text.replace("- name: dev\n", "- name: dev\n  state_id_suffix: all\n");
    file(&project.root, "meltano.yml", shared);
    // Each is slow once the other day has begun.
    let wait = "i=0
while [ $(ls .chorus/runs | wc -l) -lt 2 ] && [ $i -lt 1000 ]; do sleep 0.01; i=$((i+1)); done
sleep 0.5";
    project.script("slow", &tap(wait));
    file(&project.root, "messages", Lines::whole(&[(1, "a")]).0);
    let days = ["--from", "2026-01-30", "--to", DAY, "--parallel", "2", "--retries", "0"];
    let words = ["backfill", "tap-slow", "target-csv"];
    let outcome = project.chorus(&words).args(days).go().success();
    let grid = outcome.stdout_lines_after("day ");
    assert!(grid.len() == 2 && grid.iter().all(|line| line.ends_with(" ok")), "{grid:?}");
    let ids = project.chorus(&["state", "list"]).go().success().text();
    assert_eq!(ids, "dev:tap-slow-to-target-csv:all\n");
}

/// Returns a moment in seconds.
fn seconds(moment: &str) -> u64 {
    let date = Run::new("/bin/date".as_ref()).args(["-d", moment, "+%s"]).go().success();
    date.text().trim().parse().unwrap()
}

#[test]
fn moments_that_pass_while_a_run_is_on_are_made_up_for() {
    let schedules = "schedules:
- {name: often, interval: '* * * * * *', job: slow, annotations: {chorus: {missed: all}}}
";
    let jobs = format!("- {{name: slow, tasks: [tap-slow target-csv]}}\n{schedules}");
    let project = Project::with("  - {name: tap-slow, executable: ./slow}\n", "", &jobs);
    project.script("slow", &tap("[ -e runs ] || sleep 2.5; echo run >> runs"));
    file(&project.root, "messages", Lines::whole(&[(1, "a")]).0);
    // It is known from where on moments count.
    let path = ".chorus/schedules/often.json";
    let first = Run::new("/bin/date".as_ref()).args(["-u", "+%FT%TZ"]).go().success().text();
    file(&project.root, path, json!({ "last": first.trim() }).to_string());
    let mut running = project.chorus_to_end(&["schedule"]).piped().start(true);
    let runs = || fs::read_to_string(project.root.join("runs")).unwrap_or_default().lines().count();
    project.wait_for(&|| runs() >= 5);
    std::io::Write::write_all(running.child().stdin.as_mut().unwrap(), b"g\n").unwrap();
    running.wait().success();
    let known: Value = serde_json::from_slice(&fs::read(project.root.join(path)).unwrap()).unwrap();
    let passed = seconds(known["last"].as_str().unwrap()) - seconds(first.trim());
    assert_eq!(runs() as u64, passed, "runs and moments");
}

#[test]
fn a_rerun_leaves_alone_what_the_run_left_alone() {
    let project = Project::with("", "", "");
    project.run(&["tap-csv", "target-csv"]).success();
    let days = ["backfill", "both", "--from", DAY, "--to", DAY];
    let filled = project.chorus(&days).go().success().text();
    assert!(filled.starts_with(&format!("{DAY} tap-csv--two target-csv--two\n")), "{filled}");
    file(&project.root, "in/a.csv", "id,name\n1,of today\n");
    file(&project.root, "in/b.csv", "id,secret\n2,y\n");
    project.chorus(&["rerun", "last", "--full-refresh"]).go().success();
    assert_eq!(lake::data(&project.partition("csv", "a")), "id,name\n1,a\n2,b\n");
    assert_eq!(lake::data(&project.partition("two", "b")), "id,secret\n2,y\n");
    // The job has another step now.
    let path = project.root.join("meltano.yml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(", [tap-csv--two, target-csv--two]", "")).unwrap();
    let refused = project.chorus(&["rerun", "last"]).go().exits(78);
    assert!(refused.stderr.contains("cannot find a step of the run"), "{}", refused.stderr);
    let (_, hint) = refused.stderr.split_once("the job has changed since then: chorus ").unwrap();
    assert_eq!(hint.lines().next(), Some(&*format!("run both --datestamp {DAY}")));
    project.chorus(&hint.split_whitespace().collect::<Vec<_>>()).go().success();
}
