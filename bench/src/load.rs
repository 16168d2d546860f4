//! From published files into Postgres, and the whole way from Postgres to Postgres.

use std::path::{Path, PathBuf};

use singer::Result;

use crate::bench::{Bench, CHANGED, CHANGED_DAY, DAY, SOURCE, Size, TARGET, read, write};
use crate::measure::{Limit, alternate};
use crate::process::Run;
use crate::results::Results;
use crate::subject::{LINEITEM, Subject, TPCH, Table};
use crate::{check, extract};

const COPY_IN: &str = "psql \\copy FROM";
const COPY_IN_FILLED: &str = "psql \\copy FROM, defaults";
const BY_HAND: &str = "COPY to temp, ON CONFLICT";

/// Measures the loads of a subject.
pub fn measure(bench: &Bench, subject: &'static Subject, results: &mut Results) -> Result<()> {
    if bench.wants(subject, "append") || bench.wants(subject, "unchanged") {
        let size = bench.prepare(subject)?;
        append(bench, subject, size, results)?;
    }
    if bench.wants(subject, "append, no key") || bench.wants(subject, "append, metadata in both") {
        let size = bench.prepare(subject)?;
        append_without_key(bench, subject, size, results)?;
    }
    if bench.wants(subject, "upsert") {
        let size = bench.prepare(subject)?;
        upsert(bench, subject, size, results)?;
    }
    let whole = if subject.name == LINEITEM.name { &TPCH } else { subject };
    if bench.wants(whole, "end to end") {
        let size = bench.prepare(whole)?;
        end_to_end(bench, whole, size, results)?;
    }
    Ok(())
}

/// Into an empty table with its key; then the same day with the state that came of it.
fn append(
    bench: &Bench,
    subject: &'static Subject,
    size: Size,
    results: &mut Results,
) -> Result<()> {
    let state = bench.files.join("state.json");
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", true)?;
            let run = copy_in(bench, subject, DAY)?;
            Ok(vec![run.clone(), run])
        },
        || {
            check::fresh(bench, subject, "ours", true)?;
            let load = Load { state: Some(&state), ..APPEND }.run(bench, subject)?;
            keep_last_line(&state)?;
            let tap = bench.tap_csv(&lake(bench), subject, DAY).arg("--state").arg(&state);
            let target = bench.target_postgres("append-only", false)?;
            Ok(vec![load, bench.measure(vec![tap, target], None)?])
        },
    )?;
    // A second load would have doubled the rows.
    check::same_rows(bench, subject, SOURCE, "ours")?;
    check::same_rows(bench, subject, SOURCE, "baseline")?;
    let mut lines = lines.into_iter();
    let (Some((first, baseline)), Some((again, _))) = (lines.next(), lines.next()) else {
        return Ok(());
    };
    let names =
        [("append", COPY_IN, Limit::Ratio(1.4)), ("unchanged", "our append", Limit::Ratio(0.05))];
    let lines = vec![(first.clone(), baseline), (again, first)];
    results.add_lines(&names, subject, size, lines);
    Ok(())
}

/// Into the table that target-postgres makes: it has no key; then with its metadata columns, also
/// beside COPY into such a table, where defaults fill them.
fn append_without_key(
    bench: &Bench,
    subject: &'static Subject,
    size: Size,
    results: &mut Results,
) -> Result<()> {
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", false)?;
            let run = copy_in(bench, subject, DAY)?;
            check::fresh_with_metadata(bench, subject, "baseline")?;
            Ok(vec![run.clone(), run, copy_in(bench, subject, DAY)?])
        },
        || {
            drop_ours(bench)?;
            let plain = APPEND.run(bench, subject)?;
            drop_ours(bench)?;
            let filled = Load { metadata: true, ..APPEND }.run(bench, subject)?;
            Ok(vec![plain, filled.clone(), filled])
        },
    )?;
    check::same_rows(bench, subject, SOURCE, "ours")?;
    let names = [
        ("append, no key", COPY_IN, Limit::Ratio(1.4)),
        ("append, metadata", COPY_IN, Limit::Ratio(1.25)),
        ("append, metadata in both", COPY_IN_FILLED, Limit::Ratio(1.1)),
    ];
    results.add_lines(&names, subject, size, lines);
    Ok(())
}

/// By key: into an empty table, the same rows again, and rows of which some changed.
fn upsert(
    bench: &Bench,
    subject: &'static Subject,
    size: Size,
    results: &mut Results,
) -> Result<()> {
    let days = [DAY, DAY, CHANGED_DAY];
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", true)?;
            each_day(bench, subject, "baseline", &days, |day| upsert_by_hand(bench, subject, day))
        },
        || {
            drop_ours(bench)?;
            each_day(bench, subject, "ours", &days, |day| {
                Load { day, method: "upsert", ..APPEND }.run(bench, subject)
            })
        },
    )?;
    check::same_rows(bench, subject, CHANGED, "ours")?;
    check::same_rows(bench, subject, CHANGED, "baseline")?;
    let names = [
        ("upsert, first", BY_HAND, Limit::Ratio(1.1)),
        ("upsert, again", BY_HAND, Limit::Ratio(1.1)),
        ("upsert, 5 % changed", BY_HAND, Limit::None),
    ];
    results.add_lines(&names, subject, size, lines);
    Ok(())
}

/// Loads a day after the other; between them does what autovacuum would have done by then.
fn each_day(
    bench: &Bench,
    subject: &Subject,
    schema: &str,
    days: &[&str],
    mut load: impl FnMut(&str) -> Result<Run>,
) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for day in days {
        runs.push(load(day)?);
        for table in subject.tables {
            let vacuum = format!("VACUUM (ANALYZE) {schema}.{}", table.name);
            bench.cluster.query(TARGET, &vacuum)?;
        }
    }
    Ok(runs)
}

/// From table to files to table, as two pipelines one after the other.
fn end_to_end(
    bench: &Bench,
    subject: &'static Subject,
    size: Size,
    results: &mut Results,
) -> Result<()> {
    let output = bench.files.join("published");
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", false)?;
            let out = extract::copy_to_files(bench, subject, SOURCE)?;
            Ok(vec![out.then(copy_in(bench, subject, DAY)?)])
        },
        || {
            drop_ours(bench)?;
            let out = extract::publish(bench, subject, SOURCE, &output)?;
            let tap = bench.tap_csv(&output, subject, DAY);
            let target = bench.target_postgres("append-only", false)?;
            Ok(vec![out.then(bench.measure(vec![tap, target], None)?)])
        },
    )?;
    check::same_rows(bench, subject, SOURCE, "ours")?;
    let limit = Limit::Ratio(1.5);
    results.add_lines(&[("end to end", "COPY TO, \\copy FROM", limit)], subject, size, lines);
    Ok(())
}

/// A load of a published day.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// The day.
    pub day: &'a str,
    /// The load method of the target.
    pub method: &'a str,
    /// Whether the target adds its metadata columns.
    pub metadata: bool,
    /// The file that gets what the target prints; without one it goes nowhere.
    pub state: Option<&'a Path>,
}

impl Load<'_> {
    /// Runs the load.
    pub fn run(self, bench: &Bench, subject: &Subject) -> Result<Run> {
        let tap = bench.tap_csv(&lake(bench), subject, self.day);
        let target = bench.target_postgres(self.method, self.metadata)?;
        bench.measure(vec![tap, target], self.state)
    }
}

const APPEND: Load<'static> =
    Load { day: DAY, method: "append-only", metadata: false, state: None };

/// Removes the schema that target-postgres makes.
pub fn drop_ours(bench: &Bench) -> Result<()> {
    bench.cluster.query(TARGET, "DROP SCHEMA IF EXISTS ours CASCADE").map(drop)
}

fn copy_in(bench: &Bench, subject: &Subject, day: &str) -> Result<Run> {
    let loads = subject.tables.iter();
    let loads = loads.map(|table| check::copy_in("baseline", table, &bench.csv(table, day)));
    let loads: Vec<String> = loads.collect();
    bench.measure(vec![bench.cluster.psql(TARGET, &loads)], None)
}

fn upsert_by_hand(bench: &Bench, subject: &Subject, day: &str) -> Result<Run> {
    let statements = subject.tables.iter().flat_map(|table| by_hand(table, &bench.csv(table, day)));
    let mut psql = bench.cluster.psql(TARGET, &statements.collect::<Vec<_>>());
    psql.command.arg("--single-transaction");
    bench.measure(vec![psql], None)
}

/// What a careful person writes for an upsert.
fn by_hand(table: &Table, path: &Path) -> [String; 3] {
    let keys: Vec<&str> = table.key.split(", ").collect();
    let columns = table.column_names();
    let others = columns.iter().filter(|column| !keys.contains(column));
    let set: Vec<String> = others.map(|column| format!("{column} = excluded.{column}")).collect();
    let Table { name, key, .. } = table;
    [
        format!("CREATE TEMP TABLE stage_{name} (LIKE baseline.{name}) ON COMMIT DROP"),
        format!("\\copy stage_{name} FROM '{}' (FORMAT csv, HEADER)", path.display()),
        format!(
            "INSERT INTO baseline.{name} SELECT * FROM stage_{name} ON CONFLICT ({key}) \
             DO UPDATE SET {}",
            set.join(", ")
        ),
    ]
}

fn lake(bench: &Bench) -> PathBuf {
    bench.files.join("lake")
}

/// Keeps the last line of a file alone: of several states the last one counts.
fn keep_last_line(path: &Path) -> Result<()> {
    let text = read(path)?;
    write(path, text.lines().last().unwrap_or_default())
}
