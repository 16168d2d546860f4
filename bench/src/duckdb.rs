//! The same work by `DuckDB` with its extension for Postgres: what another program takes for it.

use std::path::{Path, PathBuf};

use singer::Result;

use crate::bench::{Bench, DAY, SOURCE, TARGET};
use crate::load::{Load, drop_ours};
use crate::measure::{DUCKDB, Limit, alternate};
use crate::process::{Run, Step};
use crate::results::Results;
use crate::subject::{LINEITEM, NARROW, Subject};
use crate::{check, extract, narrow, say};

/// Runs the last argument, with the database of the first one attached.
const SCRIPT: &str = "
import duckdb, os, sys
place, database, statement = sys.argv[1:]
folder = os.path.join(os.path.dirname(duckdb.__file__), '../duckdb_ext/extensions/v1.4.4')
one = os.path.join(folder, os.listdir(folder)[0], 'postgres_scanner.duckdb_extension')
connection = duckdb.connect(config={'allow_unsigned_extensions': 'true'})
connection.execute(f\"LOAD '{one}'\")
connection.execute(f\"ATTACH 'host={place} user=postgres dbname={database}' AS p (TYPE postgres)\")
connection.execute(statement)
";

/// Measures the way out of Postgres into files and back, where `DuckDB` is installed.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let wanted = |subject: &Subject| bench.wants(subject, "DuckDB");
    let Some(python) = python(bench).filter(|python| python.exists()) else {
        if wanted(&LINEITEM) || wanted(&NARROW) {
            say("DuckDB is not measured: scripts/setup.sh bench installs it");
        }
        return Ok(());
    };
    if wanted(&NARROW) {
        narrow::fill(bench)?;
        one(bench, &python, (&NARROW, narrow::DATABASE), results)?;
    }
    if wanted(&LINEITEM) {
        one(bench, &python, (&LINEITEM, SOURCE), results)?;
    }
    Ok(())
}

fn one(
    bench: &Bench,
    python: &Path,
    (subject, database): (&'static Subject, &'static str),
    results: &mut Results,
) -> Result<()> {
    let size = bench.size(subject, database)?;
    let output = bench.files.join("published");
    let lines = alternate(
        bench.options.rounds,
        || {
            by_each_table(bench, subject, |table, path| {
                step(
                    bench,
                    python,
                    database,
                    &format!("COPY p.public.{table} TO '{path}' (HEADER)"),
                )
            })
        },
        || Ok(vec![extract::publish(bench, subject, database, &output)?]),
    )?;
    results.add_lines(&[("publish, DuckDB", DUCKDB, Limit::None)], subject, size, lines);
    extract::copy_to_files(bench, subject, database)?;
    bench.publish(subject, database, DAY)?;
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", false)?;
            by_each_table(bench, subject, |table, path| {
                step(
                    bench,
                    python,
                    TARGET,
                    &format!("COPY p.baseline.{table} FROM '{path}' (HEADER)"),
                )
            })
        },
        || {
            drop_ours(bench)?;
            let load = Load { day: DAY, method: "append-only", metadata: false, state: None };
            Ok(vec![load.run(bench, subject)?])
        },
    )?;
    check::same_rows(bench, subject, database, "baseline")?;
    check::same_rows(bench, subject, database, "ours")?;
    results.add_lines(&[("append, DuckDB", DUCKDB, Limit::None)], subject, size, lines);
    drop_ours(bench)
}

fn by_each_table(
    bench: &Bench,
    subject: &Subject,
    step: impl Fn(&str, &str) -> Step,
) -> Result<Vec<Run>> {
    let mut whole = Run::default();
    for table in subject.tables {
        let path = bench.copied(table).display().to_string();
        whole = whole.then(bench.measure(vec![step(table.name, &path)], None)?);
    }
    Ok(vec![whole])
}

fn step(bench: &Bench, python: &Path, database: &str, statement: &str) -> Step {
    let step = Step::new(DUCKDB, python).arg("-c").arg(SCRIPT);
    step.arg(&bench.cluster.socket).arg(database).arg(statement)
}

/// Returns the Python that `scripts/setup.sh bench` makes, beside the folder of this program.
fn python(bench: &Bench) -> Option<PathBuf> {
    Some(bench.binaries.parent()?.join("duckdb/bin/python"))
}
