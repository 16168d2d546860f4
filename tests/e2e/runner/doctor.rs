//! What `chorus doctor` finds, and that its advice repairs it.

use std::fs;

use serde_json::json;

use support::cluster::{cluster, database};
use support::project::Project;
use support::run::file;

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_mends_it() {
    let gone = "  - {name: tap-gone, executable: tap-gone}\n";
    let project = Project::with(gone, "", "- {name: gone, tasks: [tap-gone target-csv]}\n");
    fs::remove_file(project.root.join("in/b.csv")).unwrap();
    file(&project.root, ".chorus/state/dev%3Ax.json", "{");
    let outcome = project.chorus(&["doctor"]).env("DATESTAMP", "2026-01-31").go().exits(78);
    let text = outcome.text();
    assert!(text.contains("ok    tap-csv: tap-csv "), "{text}");
    assert!(text.contains("FAULT tap-gone: there is no program"), "{text}");
    assert!(text.contains("FAULT tap-csv--two: cannot discover"), "{text}");
    assert!(text.contains("chorus state clear 'dev:x'"), "{text}");
    assert!(outcome.stderr.contains("findings: 3"), "{}", outcome.stderr);
}

/// Returns what the doctor prints, and how many findings it has.
fn doctor(project: &Project) -> (String, usize) {
    let run = project.chorus(&["doctor"]).env("DATESTAMP", "2026-01-31").env("DB_PASSWORD", "no");
    let outcome = run.go();
    let text = outcome.text();
    let mut lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic())).collect();
    lines.sort_unstable();
    assert!(lines.windows(2).all(|pair| pair[0] != pair[1]), "a line is there twice: {text}");
    let count = text.matches("FAULT ").count();
    assert_eq!(outcome.code, if count == 0 { 0 } else { 78 }, "{text}");
    (text, count)
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

#[test]
fn the_doctor_looks_at_jobs_schedules_and_what_is_selected() {
    let taps = "  - {name: tap-none, inherit_from: tap-csv, select: ['x.*']}
  - {name: tap-both, inherit_from: tap-csv, select: ['b.*'], config: {files:
      [{entity: a, path: in/a.csv}, {entity: b, path: in/b.csv}]}}
";
    let more = "
- {name: gone, tasks: [tap-nope target-csv]}
- {name: half, tasks: [tap-csv]}
- {name: today, tasks: [tap-csv target-today]}
- {name: others, tasks: [tap-none target-csv, [tap-both, target-null]]}
schedules:
- {name: of-gone, job: gone, interval: '@daily'}
- {name: of-nothing, job: nothing, interval: '@daily'}
- {name: badly, job: both, interval: every day}
";
    let loaders = "  - {name: target-today, executable: target-csv, config: {source: x}}
  - {name: target-null, executable: target-csv, config: {output_path: /dev/null/x}}
";
    let (text, count) = doctor(&Project::with(taps, loaders, more));
    says(&text, &["FAULT tap-none: cannot read anything: `select` matches no stream"]);
    says(&text, &["fix: the tap has: a\n"]);
    let both = text.lines().find(|line| line.starts_with("ok    tap-both: ")).unwrap();
    assert!(both.ends_with("; 1 of 2 streams"), "{text}");
    says(&text, &["FAULT job gone: cannot find a job or plugin of this name (name: tap-nope)\n"]);
    says(&text, &["FAULT job half: cannot run these plugins as a pipeline"]);
    says(&text, &["FAULT job today: cannot write the day of the run"]);
    says(&text, &["FAULT schedule of-nothing: cannot find a job or plugin", "name: nothing"]);
    says(&text, &["FAULT schedule badly: cannot read the interval", "fix: write a cron pattern"]);
    says(&text, &["FAULT target-null: cannot write to /dev/null/x: ", "set `output_path`"]);
    assert_eq!(count, 7, "{text}");
    assert_eq!(text.matches("MiB free").count(), 1, "{text}");
}

#[test]
fn the_doctor_tries_passwords_and_rights_and_changes_nothing() {
    let database = database("doctor");
    database.psql(
        "CREATE ROLE doctor_weak LOGIN; CREATE TABLE seen AS SELECT 1 AS id;
         GRANT SELECT ON seen TO doctor_weak;
         CREATE TABLE unseen AS SELECT 1 AS id; REVOKE CREATE ON SCHEMA public FROM public;
         CREATE VIEW broken AS SELECT 1 / (id - 1) AS x FROM seen;",
    );
    let config = |more: serde_json::Value| database.settings_with(&more);
    let weak = config(json!({ "user": "doctor_weak" }));
    let wrong = config(json!({
        "host": "127.0.0.1",
        "password": "${DB_PASSWORD}",
        "ssl_mode": "require",
        "ssl_certificate_authority": cluster().folder.join("ca.crt"),
    }));
    let plugins = |kind: &str| {
        format!(
            "  - {{name: {kind}-postgres, executable: {kind}-postgres, config: {}}}
  - {{name: {kind}-weak, executable: {kind}-postgres, config: {weak}}}
  - {{name: {kind}-wrong, executable: {kind}-postgres, config: {wrong}}}
",
            database.settings()
        )
    };
    let jobs = "- {name: good, tasks: [tap-postgres target-postgres]}
- {name: weak, tasks: [tap-weak target-weak]}
schedules:
- {name: wrong, extractor: tap-wrong, loader: target-wrong, interval: '@daily'}
";
    let project = Project::with(&plugins("tap"), &plugins("target"), jobs);
    let (text, count) = doctor(&project);
    // The view is there to be read, and cannot be.
    says(&text, &["FAULT tap-postgres: it cannot read its streams:", "division by zero"]);
    says(&text, &["note  tap-weak: W-TABLE-NOT-READABLE: tables left out because"]);
    says(&text, &["FAULT target-weak: it cannot start:", "right: CREATE on the schema public"]);
    says(&text, &["fix: grant the user the right, or use another user; chorus doctor --grants"]);
    for name in ["tap-wrong", "target-wrong"] {
        says(&text, &[&format!("FAULT {name}: ")]);
    }
    let mend = "fix: set DB_PASSWORD (and ";
    assert_eq!(text.matches(mend).count(), 2, "{text}");
    says(&text, &["; it may create tables\n"]);
    assert_eq!(count, 4, "{text}");
    assert_eq!(database.psql("SELECT to_regclass('chorus_doctor') IS NULL"), "t");
    database.psql("DROP OWNED BY doctor_weak; DROP ROLE doctor_weak");
}

#[test]
fn the_doctor_is_red_for_what_a_job_or_schedule_uses() {
    let taps = "  - {name: tap-gone, executable: tap-gone}\n";
    let (text, count) = doctor(&Project::with(taps, "", ""));
    says(&text, &["note  tap-gone, which no job or schedule names: there is no program"]);
    assert_eq!(count, 0, "{text}");
    for (jobs, faults) in [
        ("- {name: parent, tasks: [tap-csv target-csv]}\n", 0),
        ("- {name: listed, tasks: [[tap-gone, target-csv]]}\n", 1),
        ("- {name: one, tasks: tap-gone target-csv}\n", 1),
        ("schedules: [{name: s, extractor: tap-gone, loader: target-csv, interval: '@once'}]\n", 1),
    ] {
        let (text, count) = doctor(&Project::with(taps, "", jobs));
        assert_eq!(count, faults, "{jobs} {text}");
    }
    // Where nothing is named, everything may be run.
    let project = Project::with(taps, "", "");
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let (plugins, _) = text.split_once("jobs:").unwrap();
    file(&project.root, "meltano.yml", plugins);
    assert_eq!(doctor(&project).1, 1);
}

#[test]
fn the_doctor_shows_a_target_a_day_as_a_tap_would() {
    let database = database("doctor_days");
    let loader = |name: &str, more: serde_json::Value| {
        let config = database.settings_with(&more);
        format!("  - {{name: {name}, executable: target-postgres, config: {config}}}\n")
    };
    let by_day = loader("by-day", json!({ "load_method": "replace-partition" }));
    let named = json!({ "load_method": "replace-partition", "source": "s" });
    let loaders = by_day + &loader("named", named);
    let jobs = "- {name: load, tasks: [tap-csv by-day, tap-csv named]}\n";
    let (text, count) = doctor(&Project::with("", &loaders, jobs));
    says(&text, &["ok    by-day: ", "ok    named: "]);
    assert_eq!(count, 0, "{text}");
}

#[test]
fn the_doctor_tries_no_day_that_a_variable_is_to_name() {
    let loaders = "  - {name: target-of-day, executable: target-csv, config:
      {source: a, output_path: '${PLACE}', datestamp: '${DATESTAMP}'}}
  - {name: target-today, executable: target-csv, config: {source: x}}
";
    let jobs = "- {name: of-day, tasks: [tap-csv target-of-day]}\n";
    let project = Project::with("", loaders, jobs);
    let text = project.chorus(&["doctor"]).env("PLACE", "there").go().text();
    let note = "note  job of-day: its day was not tried because DATESTAMP is not set; \
                DATESTAMP=... chorus doctor tries it\n";
    says(&text, &[note]);
    assert!(!text.contains("without a datestamp"), "{text}");
    let run = project.chorus(&["doctor"]).env("PLACE", "there").env("DATESTAMP", "2026-01-31");
    assert!(!run.go().text().contains("was not tried"));
    // What names no day at all is still refused.
    let project = Project::with("", loaders, "- {name: today, tasks: [tap-csv target-today]}\n");
    let text = project.chorus(&["doctor"]).go().exits(78).text();
    says(&text, &["FAULT job today: cannot write a day without a datestamp"]);
}

#[test]
fn the_doctor_looks_at_one_job_alone() {
    let taps = "  - {name: tap-gone, executable: tap-gone}
  - {name: wrong, inherit_from: tap-csv, settings: [{name: max_rejects, kind: integer}],
     config: {max_rejects: many}}
";
    let jobs = "- {name: gone, tasks: [tap-gone target-csv]}
- {name: badly, tasks: [wrong target-csv]}
";
    let project = Project::with(taps, "", jobs);
    let doctor = |words: &[&str]| {
        let run = project.chorus(&["doctor"]).args(words).env("DATESTAMP", "2026-01-31");
        let outcome = run.go();
        (outcome.code, outcome.text())
    };
    for words in [&["both"][..], &["tap-csv", "target-csv"]] {
        let (code, text) = doctor(words);
        assert_eq!(code, 0, "{text}");
        assert!(!text.contains("gone") && !text.contains("wrong"), "{text}");
        says(&text, &["ok    tap-csv: ", "ok    target-csv: "]);
    }
    let (code, text) = doctor(&["gone"]);
    assert_eq!(code, 78);
    says(&text, &["FAULT tap-gone: there is no program"]);
    assert!(!text.contains("tap-csv--two"), "{text}");
    // What is to be corrected is the value, and not the job.
    let (code, text) = doctor(&["badly"]);
    assert_eq!(code, 78);
    says(
        &text,
        &["FAULT job badly: ", "fix: correct `max_rejects` of wrong in meltano.yml, line "],
    );
    let (code, text) = doctor(&["no-such-job"]);
    assert_eq!(code, 78);
    says(&text, &["FAULT job no-such-job: cannot find a job or plugin of this name"]);
}

#[test]
fn a_day_that_an_earlier_step_makes_is_no_fault() {
    let taps = "  - {name: tap-day, executable: tap-csv, config: {output: output, \
                source: csv, datestamp: '${DATESTAMP}'}}\n";
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let jobs = "- {name: daily, tasks: [tap-csv target-csv, tap-day target-flat]}\n";
    let project = Project::with(taps, loaders, jobs);
    let run = |words: &[&str]| project.chorus(words).env("DATESTAMP", "2026-01-31").go();
    let text = run(&["doctor", "daily"]).success().text();
    says(&text, &["note  tap-day: ", "a step before it may make what it reads"]);
    let text = run(&["doctor", "tap-day", "target-flat"]).exits(78).text();
    says(&text, &["FAULT tap-day: cannot discover"]);
}

#[test]
fn what_is_no_version_is_not_shown_as_one() {
    let message =
        "echo '{\"type\": \"SCHEMA\"}'; [ \"$3\" = --discover ] && echo '{\"streams\": []}'";
    let project = Project::new("  - {name: tap-x, executable: ./x}\n", &[("x", message)]);
    let text = project.chorus(&["doctor"]).env("DATESTAMP", "2026-01-31").go().text();
    says(&text, &["tap-x"]);
    assert!(!text.contains("SCHEMA\"}"), "{text}");
}

#[test]
fn a_key_that_is_almost_one_that_a_run_goes_by_is_a_fault() {
    let more = |key: &str| format!("  - {{name: tap-more, inherit_from: tap-csv, {key}}}\n");
    let jobs = "- {name: more, tasks: [tap-more target-csv]}\n";
    for (key, meant) in [
        ("selekt: ['b.*']", "select"),
        ("confg: {files: []}", "config"),
        ("metdata: {a: {replication-method: FULL_TABLE}}", "metadata"),
        ("metadata: {a: {replication_method: FULL_TABLE}}", "replication-method"),
        ("anything: 1", ""),
        ("x-selekt: 1", ""),
        ("descripton: text", ""),
    ] {
        let project = Project::with(&more(key), "", jobs);
        let (text, count) = doctor(&project);
        assert_eq!(count, usize::from(!meant.is_empty()), "{key} {text}");
        let of_both = project.chorus(&["doctor", "both"]).env("DATESTAMP", "2026-01-31").go();
        assert_eq!(of_both.code, 0, "{of_both:?}");
        if meant.is_empty() {
            continue;
        }
        says(&text, &["FAULT tap-more: unknown key `", &format!("did you mean `{meant}`?")]);
        let mend = format!(
            "fix: write `{meant}`; `chorus run ... --deny-warnings W-PROJECT-UNUSED` has a run fail"
        );
        says(&text, &[&mend]);
        // As for Meltano, a run goes on without it.
        project.run(&["more"]).success();
        let deny = ["run", "more", "--deny-warnings", "W-PROJECT-UNUSED"];
        project.chorus(&deny).env("DATESTAMP", "2026-01-31").go().exits(65);
    }
    let environment = "- {name: more, tasks: [tap-more target-csv]}\nenviroments: []\n";
    let project = Project::with(&more("label: x"), "", environment);
    let (text, _) = doctor(&project);
    says(&text, &["FAULT meltano.yml: unknown key `enviroments` of meltano.yml has no effect"]);
    let in_environment = "schedules: []\n";
    let project = Project::with(&more("label: x"), "", in_environment);
    let path = project.root.join("meltano.yml");
    let text = fs::read_to_string(&path).unwrap().replacen(
        "- name: dev\n",
        "- name: dev\n  config: {plugins: {extractors: [{name: tap-csv, selct: [a]}]}}\n",
        1,
    );
    fs::write(&path, text).unwrap();
    let (text, count) = doctor(&project);
    says(&text, &["FAULT tap-csv: unknown key `selct` of environments.dev.config.plugins."]);
    assert_eq!(count, 1, "{text}");
}
