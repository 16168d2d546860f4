//! Whether the rows that arrived are the rows that were sent.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::bench::{Bench, TARGET};
use crate::subject::{Subject, Table};

/// The metadata columns of target-postgres, filled by defaults.
const METADATA: &str = "_sdc_extracted_at timestamptz DEFAULT '2026-01-01', \
    _sdc_received_at timestamptz DEFAULT '2026-01-01', \
    _sdc_batched_at timestamptz DEFAULT '2026-01-01', _sdc_deleted_at timestamptz, \
    _sdc_sequence bigint DEFAULT 1767225600000, _sdc_table_version bigint, \
    _sdc_sync_started_at bigint DEFAULT 1767225600000";

/// Compares the tables of a subject in a database with those of a schema of the target: the count
/// of rows, and a sum over them that no order changes.
pub fn same_rows(bench: &Bench, subject: &Subject, source: &str, schema: &str) -> Result<()> {
    for table in subject.tables {
        let sent = fingerprint(bench, source, "public", table)?;
        let arrived = fingerprint(bench, TARGET, schema, table)?;
        if sent != arrived {
            return Err(differ(table.name)
                .with(&format!("{source}.public"), sent)
                .with(&format!("{TARGET}.{schema}"), arrived));
        }
    }
    Ok(())
}

fn fingerprint(bench: &Bench, database: &str, schema: &str, table: &Table) -> Result<String> {
    let columns = table.column_names().join(", ");
    let sql = format!(
        "SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)::numeric) \
         FROM {schema}.{}",
        table.name
    );
    bench.cluster.query(database, &sql)
}

/// Compares a published day with its source: header and rows; where `psql` can load the files, it
/// loads them, and the rows are compared.
pub fn published(bench: &Bench, subject: &Subject, output: &Path, source: &str) -> Result<()> {
    if subject.plain {
        fresh(bench, subject, "checked", false)?;
    }
    for table in subject.tables {
        let found = files(output, subject, table)?;
        let [path] = &found[..] else {
            return Err(differ(table.name).with("files", found.len()));
        };
        let file = File::open(path).or_kind(ErrorKind::Io, "cannot open the file")?;
        let mut header = String::new();
        let read = BufReader::new(file).read_line(&mut header);
        read.or_kind(ErrorKind::Io, "cannot read the file")?;
        if header.trim_end() != table.column_names().join(",") {
            return Err(differ(table.name).with("header", header));
        }
        if subject.plain {
            let load = copy_in("checked", table, path);
            crate::process::run(vec![bench.cluster.psql(TARGET, &[load])], None, &bench.files)?;
        }
        let rows = manifest_rows(path)?;
        let count = format!("SELECT count(*) FROM {}", table.name);
        let count = bench.cluster.query(source, &count)?;
        if rows.to_string() != count {
            return Err(differ(table.name).with("rows", count).with("published", rows));
        }
    }
    if subject.plain {
        same_rows(bench, subject, source, "checked")?;
        bench.cluster.query(TARGET, "DROP SCHEMA checked CASCADE")?;
    }
    Ok(())
}

/// Makes an empty schema of the target, with the empty tables of a subject.
pub fn fresh(bench: &Bench, subject: &Subject, schema: &str, keys: bool) -> Result<()> {
    let mut sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
    for Table { name, columns, key, .. } in subject.tables {
        let key = if keys { format!(", PRIMARY KEY ({key})") } else { String::new() };
        let _ = write!(sql, "; CREATE TABLE {schema}.{name} ({columns}{key})");
    }
    bench.cluster.query(TARGET, &sql).map(drop)
}

/// Makes an empty schema of the target, with the tables of a subject as target-postgres makes them
/// without a key; defaults fill their metadata columns.
pub fn fresh_with_metadata(bench: &Bench, subject: &Subject, schema: &str) -> Result<()> {
    let mut sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
    for Table { name, columns, .. } in subject.tables {
        let _ = write!(sql, "; CREATE TABLE {schema}.{name} ({columns}, {METADATA})");
    }
    bench.cluster.query(TARGET, &sql).map(drop)
}

/// Returns the command with which `psql` loads a file.
pub fn copy_in(schema: &str, table: &Table, path: &Path) -> String {
    let (name, columns) = (table.name, table.column_names().join(", "));
    format!("\\copy {schema}.{name} ({columns}) FROM '{}' (FORMAT csv, HEADER)", path.display())
}

/// Returns the data files of a table, of the one day in the output folder or the first of several.
pub fn files(output: &Path, subject: &Subject, table: &Table) -> Result<Vec<PathBuf>> {
    let day = output.join(format!("source={}/extracted_at={}", subject.name, crate::bench::DAY));
    let folder = day.join(format!("table=public-{}", table.name));
    let entries = fs::read_dir(&folder);
    let entries = entries
        .or_kind(ErrorKind::Internal, "cannot find what was published")
        .with("path", folder.display())?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "csv")).collect())
}

fn manifest_rows(data: &Path) -> Result<u64> {
    let text = crate::bench::read(&data.with_file_name("_manifest.json"))?;
    let manifest = serde_json::from_str::<serde_json::Value>(&text);
    let manifest = manifest.or_kind(ErrorKind::Data, "cannot read the manifest")?;
    let files = manifest["files"].as_array().into_iter().flatten();
    Ok(files.filter_map(|file| file["rows"].as_u64()).sum())
}

fn differ(table: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot go on: the rows that arrived are not those that were sent")
        .with("table", table)
}
