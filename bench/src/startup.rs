//! How long the connectors take to start, and to discover many tables.

use std::fmt::Write;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use singer::{ErrorKind, Result, ResultExt};

use crate::bench::{Bench, write};
use crate::figures::{Limits, Startup};
use crate::process::{self, Run};
use crate::results::Results;

/// How often a start is measured: it is short.
const STARTS: usize = 21;
/// How often a discovery is measured.
const DISCOVERIES: usize = 5;

/// Measures `--version` of every connector, and `--discover` of few and of many tables.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    for name in ["tap-csv", "tap-postgres", "target-csv", "target-postgres"] {
        let title = format!("{name} --version");
        if !bench.options.wants(&title) {
            continue;
        }
        let start = || process::run(vec![bench.ours(name).arg("--version")], None, &bench.files);
        let runs = (0..STARTS).map(|_| start()).collect::<Result<Vec<_>>>()?;
        let limits = Limits { wall: Some(Duration::from_millis(5)), ..Limits::default() };
        results.add_startup(Startup { name: title, runs, statements: None, limits });
    }
    let few = Limits { cpu: Some(Duration::from_millis(60)), ..Limits::default() };
    discover(bench, 200, few, results)?;
    let wall = Some(Duration::from_secs(1));
    let many = Limits { wall, queries: Some(3), ..Limits::default() };
    discover(bench, 3000, many, results)
}

fn discover(bench: &Bench, tables: usize, limits: Limits, results: &mut Results) -> Result<()> {
    let name = format!("tap-postgres --discover of {tables} tables");
    if !bench.options.wants(&name) {
        return Ok(());
    }
    let database = format!("bench_tables_{tables}");
    fill(bench, &database, tables)?;
    let output = bench.files.join("discovered.json");
    let discover = || -> Result<Run> {
        let tap = bench.connected("tap-postgres", &database)?.arg("--discover");
        bench.measure(vec![tap], Some(&output))
    };
    let runs = (0..DISCOVERIES).map(|_| discover()).collect::<Result<Vec<_>>>()?;
    let log = |what: &str| {
        let sql = format!("ALTER DATABASE {database} {what}");
        bench.cluster.query("postgres", &sql)
    };
    let mut file = File::open(bench.cluster.log()).or_kind(ErrorKind::Io, "cannot read the log")?;
    log("SET log_statement = 'all'")?;
    file.seek(SeekFrom::End(0)).or_kind(ErrorKind::Io, "cannot read the log")?;
    discover()?;
    let mut text = String::new();
    file.read_to_string(&mut text).or_kind(ErrorKind::Io, "cannot read the log")?;
    log("RESET log_statement")?;
    results.add_startup(Startup { name, runs, statements: Some(statements(&text)), limits });
    Ok(())
}

/// Counts the queries and the other statements of tap-postgres in a log; what sets the session up
/// is none of the queries.
fn statements(log: &str) -> (usize, usize) {
    let ours = log.lines().filter_map(|line| line.strip_prefix("tap-postgres|LOG:  "));
    let texts = ours.filter_map(|line| {
        let (kind, text) = line.split_once(": ")?;
        (kind == "statement" || kind.starts_with("execute")).then_some(text.trim_start())
    });
    let is_query = |text: &&str| {
        (text.starts_with("SELECT") || text.starts_with("WITH")) && !text.contains("set_config")
    };
    let (queries, others): (Vec<&str>, Vec<&str>) = texts.partition(is_query);
    (queries.len(), others.len())
}

/// Makes a database of many tables.
fn fill(bench: &Bench, database: &str, tables: usize) -> Result<()> {
    let filled = format!("{tables} tables");
    if !bench.begin_database(database, "template0", &filled)? {
        return Ok(());
    }
    let mut sql = String::from("SET synchronous_commit = off;\n");
    for at in 0..tables {
        let _ = writeln!(
            sql,
            "CREATE TABLE table_{at:04} (id bigint PRIMARY KEY, name text NOT NULL, amount \
             numeric(12,2), made_at timestamptz, day date, active boolean, document jsonb, \
             code varchar(20));"
        );
    }
    let path = bench.files.join("tables.sql");
    write(&path, &sql)?;
    let none: [&str; 0] = [];
    let psql = bench.cluster.psql(database, &none).arg("-f").arg(&path);
    process::run(vec![psql], None, &bench.files)?;
    bench.cluster.query(database, "VACUUM (ANALYZE)")?;
    bench.end_database(database, &filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_the_tap_are_counted_in_the_log() {
        let log = "psql|LOG:  statement: SELECT 1\n\
                   tap-postgres|LOG:  statement: BEGIN ISOLATION LEVEL REPEATABLE READ\n\
                   tap-postgres|LOG:  execute <unnamed>: SELECT a\n\tFROM b\n\
                   tap-postgres|LOG:  duration: 1 ms\n\
                   tap-postgres|LOG:  statement: WITH x AS (SELECT)\n";
        assert_eq!(statements(log), (2, 1));
    }
}
