//! Meltano, Airflow and `chorus` run the same two days: the same files, the same tables.

use std::fmt::Write;

use serde_json::json;

use crate::others::meltano::check_loaded;
use support::airflow::Airflow;
use support::example::Example;
use support::lake;

const DAYS: [&str; 2] = ["2026-01-31", "2026-02-01"];

/// Everything in the warehouse but when it was put there.
fn warehouse(project: &Example) -> String {
    let mut all = String::new();
    for table in project.tables("public") {
        let columns = project.target.psql(&format!(
            "SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', '
                               ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'public.{table}'::regclass AND attnum > 0"
        ));
        let rows = project.target.psql(&format!(
            "SELECT to_jsonb(t) - (SELECT array_agg(key) FROM jsonb_object_keys(to_jsonb(t)) key
                                   WHERE key LIKE '\\_sdc\\_%')
             FROM public.{table} t ORDER BY 1"
        ));
        writeln!(all, "{table}: {columns}\n{rows}").unwrap();
    }
    all
}

/// By Meltano.
fn meltano(project: &Example) {
    for day in DAYS {
        project.meltano(&format!("DATESTAMP={day} meltano run elt")).success();
    }
}

/// By Airflow.
fn airflow(project: &Example) {
    let days = DAYS.map(|day| ["dags", "test", "elt", day]);
    let reserialize = ["dags", "reserialize"];
    let all: Vec<&[&str]> =
        [&reserialize[..]].into_iter().chain(days.iter().map(|day| &day[..])).collect();
    let all: Vec<_> = all.into_iter().map(|args| (args, json!({}))).collect();
    let (ended, outcome) = Airflow::new(project).run(&all);
    for one in ended {
        assert_eq!(one.code, 0, "{}\n{}", one.printed, outcome.stderr);
    }
}

/// By the runner.
fn chorus(project: &Example) {
    for day in DAYS {
        project.shell(&format!("chorus run elt --datestamp {day}"), &[]).go().success();
    }
}

#[test]
fn three_ways_give_the_same_files_and_tables() {
    let mut results = Vec::new();
    for (name, way) in
        [("meltano", meltano as fn(&Example)), ("airflow", airflow), ("chorus", chorus)]
    {
        let project = Example::new(&format!("ways_{name}")).with_variables();
        way(&project);
        lake::check(&project.lake());
        // Rows and values are those of both sources, not just the same three times.
        check_loaded(&project, "public");
        let files = DAYS.map(|day| project.day(day));
        assert_eq!(files[0].len(), 14, "{name}: {files:#?}");
        results.push((name, files, warehouse(&project)));
    }
    let (_, files, tables) = &results[0];
    assert!(tables.lines().count() > 300, "{tables}");
    for (name, other_files, other_tables) in &results[1..] {
        assert_eq!(files, other_files, "{name}");
        assert!(tables == other_tables, "{name} has other tables");
    }
}
