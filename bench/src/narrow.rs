//! Rows of two integers, of which there are many: what each row costs that its columns do not. And
//! from one table to another without files between.

use singer::Result;

use crate::bench::{Bench, DAY, SOURCE, TARGET};
use crate::load::{Load, drop_ours};
use crate::measure::{Limit, alternate};
use crate::process::Run;
use crate::results::Results;
use crate::subject::{LINEITEM, NARROW, Subject};
use crate::{check, extract};

/// The database with the rows.
pub const DATABASE: &str = "bench_narrow";

/// Measures narrow rows into files and tables, and both subjects from table to table.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let wanted = |name| bench.wants(&NARROW, name);
    if wanted("publish") || wanted("append") || wanted("table to table") {
        fill(bench)?;
    }
    if wanted("publish") {
        let size = bench.size(&NARROW, DATABASE)?;
        let output = bench.files.join("published");
        let lines = alternate(
            bench.options.rounds,
            || Ok(vec![extract::copy_to_files(bench, &NARROW, DATABASE)?]),
            || Ok(vec![extract::publish(bench, &NARROW, DATABASE, &output)?]),
        )?;
        check::published(bench, &NARROW, &output, DATABASE)?;
        let limit = Limit::Ratio(1.1);
        results.add_lines(&[("publish", "psql COPY TO, CSV file", limit)], &NARROW, size, lines);
    }
    if wanted("append") {
        let size = bench.size(&NARROW, DATABASE)?;
        extract::copy_to_files(bench, &NARROW, DATABASE)?;
        bench.publish(&NARROW, DATABASE, DAY)?;
        let lines = alternate(
            bench.options.rounds,
            || {
                check::fresh(bench, &NARROW, "baseline", false)?;
                let copies = NARROW.tables.iter();
                let copies =
                    copies.map(|table| check::copy_in("baseline", table, &bench.copied(table)));
                let copies: Vec<String> = copies.collect();
                Ok(vec![bench.measure(vec![bench.cluster.psql(TARGET, &copies)], None)?])
            },
            || {
                drop_ours(bench)?;
                let load = Load { day: DAY, method: "append-only", metadata: false, state: None };
                Ok(vec![load.run(bench, &NARROW)?])
            },
        )?;
        check::same_rows(bench, &NARROW, DATABASE, "ours")?;
        let limit = Limit::Ratio(0.95);
        results.add_lines(&[("append, no key", "psql \\copy FROM", limit)], &NARROW, size, lines);
    }
    table_to_table(bench, &NARROW, (DATABASE, 1.1), results)?;
    table_to_table(bench, &LINEITEM, (SOURCE, 1.05), results)
}

/// Makes the rows, once.
pub fn fill(bench: &Bench) -> Result<()> {
    bench.database(DATABASE, bench.options.rows, NARROW.tables)
}

/// From one database into another: two of our processes, or two of psql.
fn table_to_table(
    bench: &Bench,
    subject: &'static Subject,
    (database, limit): (&str, f64),
    results: &mut Results,
) -> Result<()> {
    if !bench.wants(subject, "table to table") {
        return Ok(());
    }
    let size = bench.size(subject, database)?;
    let lines = alternate(
        bench.options.rounds,
        || {
            check::fresh(bench, subject, "baseline", false)?;
            let mut whole = Run::default();
            for table in subject.tables {
                let out = format!("\\copy {} TO STDOUT", table.name);
                let into = format!("\\copy baseline.{} FROM STDIN", table.name);
                let mut steps =
                    [bench.cluster.psql(database, &[out]), bench.cluster.psql(TARGET, &[into])];
                "psql in".clone_into(&mut steps[1].name);
                whole = whole.then(bench.measure(steps.into(), None)?);
            }
            Ok(vec![whole])
        },
        || {
            drop_ours(bench)?;
            let target = bench.target_postgres("append-only", false)?;
            Ok(vec![bench.measure(vec![bench.tap_postgres(subject, database)?, target], None)?])
        },
    )?;
    check::same_rows(bench, subject, database, "ours")?;
    let names = [("table to table", "psql \\copy | psql \\copy", Limit::Ratio(limit))];
    results.add_lines(&names, subject, size, lines);
    drop_ours(bench)
}
