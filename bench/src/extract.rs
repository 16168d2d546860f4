//! From Postgres to the pipe and to published files, and from the files to the pipe.

use std::path::Path;

use singer::Result;

use crate::bench::{Bench, DAY, SOURCE, Size, remake};
use crate::check;
use crate::measure::{Limit, alternate};
use crate::process::{Run, Step};
use crate::results::Results;
use crate::subject::Subject;

/// Measures the subject's way out of Postgres and out of files.
pub fn measure(bench: &Bench, subject: &'static Subject, results: &mut Results) -> Result<()> {
    if bench.wants(subject, "extract") {
        let size = bench.prepare(subject)?;
        let lines = alternate(
            bench.options.rounds_of_reads(),
            || Ok(vec![copy_out(bench, subject)?]),
            || Ok(vec![bench.measure(vec![bench.tap_postgres(subject, SOURCE)?], None)?]),
        )?;
        let limit = Limit::Ratio(1.15);
        results.add_lines(&[("extract", "psql COPY TO", limit)], subject, size, lines);
    }
    if bench.wants(subject, "publish") {
        let size = bench.prepare(subject)?;
        let output = bench.files.join("published");
        let lines = alternate(
            bench.options.rounds_of_reads(),
            || Ok(vec![copy_to_files(bench, subject, SOURCE)?]),
            || Ok(vec![publish(bench, subject, SOURCE, &output)?]),
        )?;
        check::published(bench, subject, &output, SOURCE)?;
        remake(&output)?;
        let limit = Limit::Ratio(1.5);
        results.add_lines(&[("publish", "psql COPY TO, CSV file", limit)], subject, size, lines);
    }
    if bench.wants(subject, "read") {
        let size = bench.prepare(subject)?;
        read(bench, subject, size, results)?;
    }
    Ok(())
}

/// Runs `COPY TO` of every table to `/dev/null`.
fn copy_out(bench: &Bench, subject: &Subject) -> Result<Run> {
    let copies = subject.tables.iter().map(|table| format!("COPY {} TO STDOUT", table.name));
    let copies: Vec<String> = copies.collect();
    bench.measure(vec![bench.cluster.psql(SOURCE, &copies)], None)
}

/// Writes every table to a file of its own, by COPY.
pub fn copy_to_files(bench: &Bench, subject: &Subject, database: &str) -> Result<Run> {
    let mut whole = Run::default();
    for table in subject.tables {
        let output = bench.copied(table);
        let _ = std::fs::remove_file(&output);
        let copy = format!("COPY {} TO STDOUT (FORMAT csv, HEADER)", table.name);
        let psql = bench.cluster.psql(database, &[copy]);
        whole = whole.then(bench.measure(vec![psql], Some(&output))?);
    }
    Ok(whole)
}

/// Publishes the tables as a day of an empty output folder.
pub fn publish(bench: &Bench, subject: &Subject, database: &str, output: &Path) -> Result<Run> {
    remake(output)?;
    publish_there(bench, subject, database, output)
}

/// Publishes the tables as a day of this output folder.
pub fn publish_there(
    bench: &Bench,
    subject: &Subject,
    database: &str,
    output: &Path,
) -> Result<Run> {
    let tap = bench.tap_postgres(subject, database)?;
    bench.measure(vec![tap, bench.target_csv(output, subject, DAY)], None)
}

fn read(bench: &Bench, subject: &'static Subject, size: Size, results: &mut Results) -> Result<()> {
    let lake = bench.files.join("lake");
    let mut paths = Vec::new();
    for table in subject.tables {
        paths.extend(check::files(&lake, subject, table)?);
    }
    let reader = || {
        let mut step = Step::new("wc+sha256sum", Path::new("/bin/sh"));
        step.command.args(["-c", "wc -l \"$@\" && sha256sum \"$@\"", "sh"]).args(&paths);
        step
    };
    let lines = alternate(
        bench.options.rounds_of_reads(),
        || Ok(vec![bench.measure(vec![reader()], None)?]),
        || Ok(vec![bench.measure(vec![bench.tap_csv(&lake, subject, DAY)], None)?]),
    )?;
    let limit = Limit::RowsPerCore(1_500_000.0);
    results.add_lines(&[("read", "wc -l, sha256sum", limit)], subject, size, lines);
    Ok(())
}

impl Bench {
    /// Tells whether a measurement of a subject is to be made.
    pub fn wants(&self, subject: &Subject, name: &str) -> bool {
        self.options.wants(&format!("{} {name}", subject.name))
    }
}
