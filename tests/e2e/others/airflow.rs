//! The DAGs in a real Airflow: a day end to end, retries, refusals, and what a failure stops.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use support::airflow::{Airflow, Ended};
use support::example::{Example, search_path};
use support::lake;
use support::project::Project;
use support::root;
use support::run::{Run, file};

/// Puts a tap before ours on the path that fails at the first call, with the code of a variable.
fn plant(project: &Example) -> String {
    let folder = project.path().join("planted");
    let script = "#!/bin/sh\n\
                  [ \"$1\" = --about ] && PATH=${PATH#*:} exec tap-postgres \"$@\"\n\
                  echo try >>\"$TAP_POSTGRES__TRIES\"\n\
                  test $(wc -l <\"$TAP_POSTGRES__TRIES\") -gt 1 || exit $TAP_POSTGRES__CODE\n\
                  PATH=${PATH#*:} exec tap-postgres \"$@\"\n";
    let path = file(&folder, "tap-postgres", script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    search_path(&[&folder]).into_string().unwrap()
}

fn days(project: &Example, source: &str) -> Vec<String> {
    let entries = fs::read_dir(project.lake().join(format!("source={source}"))).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut days: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    days.sort();
    days.iter().map(|day| day.trim_start_matches("extracted_at=").to_owned()).collect()
}

fn tries(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

/// A day, end to end, twice; and spread over four tasks.
fn days_are_loaded(project: &Example, [day, march, april]: [&Ended; 3], log: &str) {
    for run in [day, march] {
        assert_eq!(run.code, 0, "{log}");
        for task in ["extract_csv", "extract_postgres", "load", "verify"] {
            assert_eq!(run.task(task).0, "success", "{task}: {log}");
        }
    }
    assert_eq!(april.code, 0, "{log}");
    assert_eq!(april.task("verify").0, "success", "{log}");
    assert_eq!(april.task("extract_3").0, "success", "{log}");
    lake::check(&project.lake());
    assert_eq!(project.day("2026-04-01"), project.day("2026-01-31"));
    for schema in ["public", "march", "april"] {
        let joined = format!(
            "SELECT count(*), sum(freight) FROM {schema}.order_details JOIN {schema}.orders
             USING (order_id)"
        );
        assert!(project.target.psql(&joined).starts_with("240|"), "{schema}");
        let tables = "SELECT count(*) FROM information_schema.tables
            WHERE table_name <> '_sdc_tables' AND table_schema =";
        assert_eq!(project.target.psql(&format!("{tables} '{schema}'")), "14");
    }
}

/// A date that is none: no step begins.
fn unreal_dates_begin_nothing(unreal: &Ended, word: &Ended, log: &str) {
    assert_ne!(unreal.code, 0);
    assert_eq!(unreal.task("extract_csv"), ("failed".to_owned(), 1), "{log}");
    assert_eq!(unreal.task("load").0, "upstream_failed", "{log}");
    assert!(log.contains("'2026-02-30' is not a valid date"), "{log}");
    assert!(word.code.as_str().is_some_and(|code| code.contains("ParamValidationError")), "{log}");
}

#[test]
fn a_day_goes_through_airflow_and_its_failures_do_what_their_exit_codes_say() {
    let project = Example::new("airflow").with_variables();
    let airflow = Airflow::new(&project);
    let planted = plant(&project);
    let [again, never] = ["again", "never"].map(|name| project.path().join(name));
    let test = |day| ["dags", "test", "elt", day];
    let with = |datestamp| ["dags", "test", "elt", "2026-02-12", "--conf", datestamp];
    let (ended, outcome) = airflow.run(&[
        (&["dags", "reserialize"], json!({})),
        (&["dags", "list-import-errors"], json!({})),
        (&test("2026-01-31"), json!({})),
        (&with(r#"{"datestamp": "2026-03-05"}"#), json!({ "SCHEMA": "march" })),
        (&["dags", "test", "elt_scaled", "2026-04-01"], json!({ "SCHEMA": "april" })),
        (&with(r#"{"datestamp": "2026-02-30"}"#), json!({})),
        (&with(r#"{"datestamp": "yesterday"}"#), json!({})),
        (
            &test("2026-02-10"),
            json!({ "PATH": planted, "TAP_POSTGRES__CODE": "75", "TAP_POSTGRES__TRIES": again }),
        ),
        (
            &test("2026-02-11"),
            json!({
                "TAP_POSTGRES__CODE": "78",
                "TAP_POSTGRES__TRIES": never,
                "SCHEMA": "untouched",
            }),
        ),
    ]);
    let printed: Vec<_> = ended.iter().map(|one| one.printed.as_str()).collect();
    let log = printed.join("\n") + &outcome.stderr;
    let [_, imports, day, march, april, unreal, word, retried, failed] = &ended[..] else {
        panic!("{ended:#?}")
    };
    assert_eq!(imports.code, 0, "{}", imports.printed);
    assert!(imports.printed.contains("No data found"), "{}", imports.printed);

    days_are_loaded(&project, [day, march, april], &log);
    unreal_dates_begin_nothing(unreal, word, &log);

    // 75 is tried again; a failed extract ends the day.
    assert_eq!(retried.code, 0, "{log}");
    assert_eq!(retried.task("extract_postgres"), ("success".to_owned(), 2), "{log}");
    // A script is a tap of another author: it is asked for its streams before it reads them.
    assert_eq!(tries(&again), 3);
    assert_ne!(failed.code, 0);
    assert_eq!(failed.task("extract_postgres"), ("failed".to_owned(), 1), "{log}");
    assert_eq!(failed.task("load").0, "upstream_failed", "{log}");
    assert_eq!(tries(&never), 1);
    let schema = "SELECT to_regnamespace('untouched') IS NULL";
    assert_eq!(project.target.psql(schema), "t", "a failed extract has led to a load");
    assert!(log.contains("chorus run extract_postgres --datestamp 2026-02-11"), "{log}");
    let clear = "airflow tasks clear elt --task-regex extract_postgres --downstream";
    assert!(log.contains(clear), "{log}");
    let mut there = vec!["2026-01-31", "2026-02-10", "2026-03-05", "2026-04-01"];
    assert_eq!(days(&project, "postgres"), there);
    there.insert(2, "2026-02-11");
    assert_eq!(days(&project, "csv"), there);
}

/// Stands in for Airflow where a file of ours is imported alone.
const STANDS_IN: [(&str, &str); 3] = [
    ("airflow/__init__.py", ""),
    ("airflow/sdk/__init__.py", "def task(**options):\n    return lambda function: function\n"),
    ("airflow/sdk/exceptions.py", "class AirflowFailException(Exception):\n    pass\n"),
];

#[test]
fn the_check_of_a_day_agrees_with_its_load() {
    let of_other = |source: &str| {
        format!(
            "  - {{name: to-{source}, inherit_from: target-csv, config: {{source: {source}}}}}\n"
        )
    };
    let project = Project::with("", &(of_other("postgres") + &of_other("third")), "");
    for (name, text) in STANDS_IN {
        file(&project.root, name, text);
    }
    let check = || {
        let program = "from chorus_airflow.days import tables; print(tables('2026-01-31'))";
        let dags = root().join("orchestrate/dags");
        let path = format!("{}:{}", project.root.display(), dags.display());
        let python = Run::new("/usr/bin/python3".as_ref()).args(["-B", "-c", program]);
        python.env("PYTHONPATH", path).env("CHORUS_PROJECT", &project.root).go()
    };
    let fails = |words: &str| {
        let outcome = check();
        assert!(outcome.code != 0 && outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    project.run(&["tap-csv", "target-csv", "tap-csv--two", "to-postgres"]).success();
    assert_eq!(check().success().text(), "{'a': 2, 'b': 1}\n");
    // A source that is not one of the example, but of the day.
    let input = project.root.join("in/b.csv");
    let text = fs::read(&input).unwrap();
    fs::remove_file(&input).unwrap();
    project.run(&["tap-csv--two", "to-third"]).exits(66);
    fails("third 2026-01-31 is not complete: tap-csv--two to-third did not succeed");
    fs::write(&input, text).unwrap();
    project.run(&["tap-csv--two", "to-third"]).success();
    check().success();
    // A table that no finished run has made.
    let day = project.lake().join("source=csv/extracted_at=2026-01-31");
    let manifest = fs::read_to_string(day.join("table=a/_manifest.json")).unwrap();
    let stray = manifest.replace("\"a\"", "\"x\"");
    assert_ne!(stray, manifest);
    file(&day, "table=x/_manifest.json", stray);
    fails("no finished run has x");
}
