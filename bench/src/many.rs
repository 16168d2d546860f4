//! Many small tables: what each costs that its rows do not.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use singer::{Context, Error, ErrorKind, Result};

use crate::bench::{Bench, DAY, Size, TARGET, renew, write};
use crate::extract;
use crate::load::drop_ours;
use crate::measure::{Limit, alternate};
use crate::process::{self, Run, Step};
use crate::results::Results;
use crate::subject::MANY;

const DATABASE: &str = "bench_many";
const TABLES: u64 = 1000;
const ROWS: u64 = 10;
const COLUMNS: &str = "id integer PRIMARY KEY, name text, made_at timestamptz";

/// Measures a day of 1,000 tables of ten rows: published, loaded, and loaded by key again.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let wanted = |name| bench.wants(&MANY, name);
    if !(wanted("publish") || wanted("append") || wanted("upsert")) {
        return Ok(());
    }
    fill(bench)?;
    let size = prepare(bench)?;
    let lake = bench.files.join("many");
    if wanted("publish") {
        let lines = alternate(
            bench.options.rounds,
            || Ok(vec![copy_out(bench)?]),
            || Ok(vec![publish(bench, &lake)?]),
        )?;
        let names = [("publish", "psql \\copy each, sync -d", Limit::Ratio(2.0))];
        results.add_lines(&names, &MANY, size, lines);
    } else {
        copy_out(bench)?;
        publish(bench, &lake)?;
    }
    if !(wanted("append") || wanted("upsert")) {
        return Ok(());
    }
    let lines = alternate(
        bench.options.rounds,
        || {
            drop_schemas(bench, "baseline")?;
            Ok(vec![run_script(bench, "first.sql")?, run_script(bench, "again.sql")?])
        },
        || {
            drop_ours(bench)?;
            Ok(vec![load(bench, &lake)?, load(bench, &lake)?])
        },
    )?;
    check(bench, "ours")?;
    check(bench, "baseline")?;
    let names = [
        ("upsert, first", "psql CREATE TABLE, \\copy each", Limit::Ratio(1.2)),
        ("upsert, again", "COPY to temp, ON CONFLICT each", Limit::None),
    ];
    results.add_lines(&names, &MANY, size, lines);
    drop_ours(bench)?;
    drop_schemas(bench, "baseline")
}

fn tables() -> impl Iterator<Item = String> {
    (0..TABLES).map(|number| format!("t{number:04}"))
}

/// Makes the database, once.
fn fill(bench: &Bench) -> Result<()> {
    let filled = format!("{TABLES} tables of {ROWS} rows");
    if !bench.begin_database(DATABASE, "template0", &filled)? {
        return Ok(());
    }
    let mut sql = String::from("SET synchronous_commit = off;\n");
    for table in tables() {
        let _ = writeln!(
            sql,
            "CREATE TABLE {table} ({COLUMNS}); INSERT INTO {table} \
             SELECT n, 'name ' || n, timestamptz '2026-01-01 00:00Z' + n * interval '1 minute' \
             FROM generate_series(1, {ROWS}) n;"
        );
    }
    write(&bench.files.join("fill.sql"), &sql)?;
    let none: [&str; 0] = [];
    let psql = bench.cluster.psql(DATABASE, &none).arg("-f").arg(bench.files.join("fill.sql"));
    process::run(vec![psql], None, &bench.files)?;
    bench.cluster.query(DATABASE, "VACUUM (ANALYZE)")?;
    bench.end_database(DATABASE, &filled)
}

/// Writes what a careful person would run: a script for each line of the table.
fn prepare(bench: &Bench) -> Result<Size> {
    let (mut out, mut again) = (String::new(), String::new());
    let mut first = String::from("CREATE SCHEMA baseline;\n");
    for table in tables() {
        let path = folder(bench).join(format!("{table}.csv"));
        let file = format!("'{}' (FORMAT csv, HEADER)", path.display());
        let _ = writeln!(out, "\\copy {table} TO {file}");
        let _ = writeln!(first, "CREATE TABLE baseline.{table} ({COLUMNS});");
        let _ = writeln!(first, "\\copy baseline.{table} FROM {file}");
        let _ = writeln!(again, "BEGIN;");
        let _ =
            writeln!(again, "CREATE TEMP TABLE s_{table} (LIKE baseline.{table}) ON COMMIT DROP;");
        let _ = writeln!(again, "\\copy s_{table} FROM {file}");
        let _ = writeln!(
            again,
            "INSERT INTO baseline.{table} SELECT * FROM s_{table} ON CONFLICT (id) DO UPDATE \
             SET name = excluded.name, made_at = excluded.made_at; COMMIT;"
        );
    }
    for (name, text) in [("out.sql", out), ("first.sql", first), ("again.sql", again)] {
        write(&bench.files.join(name), &text)?;
    }
    copy_out(bench)?;
    let files = tables().map(|table| folder(bench).join(format!("{table}.csv")));
    let bytes = files.filter_map(|path| path.metadata().ok()).map(|found| found.len()).sum();
    Ok(Size { rows: TABLES * ROWS, bytes })
}

fn folder(bench: &Bench) -> PathBuf {
    bench.files.join("many.copy")
}

/// Writes each table to a file, in one session, and makes the files durable.
fn copy_out(bench: &Bench) -> Result<Run> {
    renew(&folder(bench))?;
    let none: [&str; 0] = [];
    let psql = bench.cluster.psql(DATABASE, &none).arg("-f").arg(bench.files.join("out.sql"));
    let run = bench.measure(vec![psql], None)?;
    let mut sync = Step::new("sync", Path::new("/bin/sync"));
    sync.command.arg("-d").args(tables().map(|table| folder(bench).join(format!("{table}.csv"))));
    Ok(run.then(process::run(vec![sync], None, &bench.files)?))
}

/// Publishes the tables as a day of an empty output folder.
fn publish(bench: &Bench, lake: &Path) -> Result<Run> {
    renew(lake)?;
    extract::publish_there(bench, &MANY, DATABASE, lake)
}

fn run_script(bench: &Bench, name: &str) -> Result<Run> {
    let none: [&str; 0] = [];
    let psql = bench.cluster.psql(TARGET, &none).arg("-f").arg(bench.files.join(name));
    bench.measure(vec![psql], None)
}

fn load(bench: &Bench, lake: &Path) -> Result<Run> {
    let target = bench.target_postgres("upsert", false)?;
    bench.measure(vec![bench.tap_csv(lake, &MANY, DAY), target], None)
}

fn drop_schemas(bench: &Bench, schema: &str) -> Result<()> {
    bench.cluster.query(TARGET, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).map(drop)
}

/// Compares the number of tables, and the rows of one of them, with those of the source.
fn check(bench: &Bench, schema: &str) -> Result<()> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}' AND tablename ~ \
         '^t[0-9]+$'), (SELECT count(*) FROM {schema}.t0999)"
    );
    let found = bench.cluster.query(TARGET, &sql)?;
    if found == format!("{TABLES}|{ROWS}") {
        return Ok(());
    }
    let message = "cannot go on: the tables that arrived are not those that were sent";
    Err(Error::new(ErrorKind::Data, message)).with("schema", schema).with("found", found)
}
