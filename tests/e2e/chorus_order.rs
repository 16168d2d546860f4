//! What the runner runs at once, and what waits for what.

use crate::support::lake;
use crate::support::messages::Lines;
use crate::support::project::{DAY, Project};
use crate::support::run::file;

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
