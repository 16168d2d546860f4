//! The values of the columns that a load fills itself are the same, however rows travel.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::faults::{Random, figure, tries};
use support::messages::{Lines, columns};
use support::pipes::{DAY, to_database};

/// Moments as taps write them; the server prints each in UTC.
const TIMES: [(Option<&str>, &str); 5] = [
    (Some("2026-01-01T00:00:00Z"), "2026-01-01 00:00:00+00"),
    (Some("2026-01-01T00:00:00.123456+00:00"), "2026-01-01 00:00:00.123456+00"),
    (Some("2025-12-31T23:30:00.5-05:45"), "2026-01-01 05:15:00.5+00"),
    (Some("2026-01-01T00:00:00.0000004Z"), "2026-01-01 00:00:00+00"),
    (None, ""),
];
const METADATA: [&str; 7] = [
    "_sdc_extracted_at",
    "_sdc_received_at",
    "_sdc_batched_at",
    "_sdc_deleted_at",
    "_sdc_sequence",
    "_sdc_table_version",
    "_sdc_sync_started_at",
];
/// What is there when the load begins, as SQL behind a load of one row.
const TABLES: [(&str, Option<&str>); 4] = [
    ("no table", None),
    ("a table with a row", Some("")),
    ("an empty table", Some("DELETE FROM t")),
    (
        "an empty table with defaults",
        Some(
            "DELETE FROM t; ALTER TABLE t ALTER _sdc_deleted_at SET DEFAULT '2000-01-01',
               ALTER _sdc_table_version SET DEFAULT 5, ALTER _sdc_extracted_at SET DEFAULT now()",
        ),
    ),
];

/// A record and what the table has of it: its name, and what comes beside it.
struct Record {
    id: usize,
    name: String,
    time: usize,
    version: Option<usize>,
}

impl Record {
    fn message(&self) -> Value {
        let record = json!({ "id": self.id, "name": self.name });
        let mut message = json!({ "type": "RECORD", "stream": "t", "record": record });
        if let Some(time) = TIMES[self.time].0 {
            message["time_extracted"] = time.into();
        }
        if let Some(version) = self.version {
            message["version"] = version.into();
        }
        message
    }

    fn row(&self) -> String {
        let version = self.version.map(|version| version.to_string()).unwrap_or_default();
        let (name, time) = (&self.name[..8], TIMES[self.time].1);
        format!("{}|{name}|{time}||{version}", self.id)
    }
}

/// Draws batches of records, whose moments and versions change rarely, often or never.
fn draw(random: &mut Random) -> Vec<Vec<Record>> {
    let (mut time, mut version) = (0, 0);
    let mut below = |end: usize| usize::try_from(random.below(end as u64)).unwrap();
    let [times, versions] = [0, 1].map(|_| [0, 1, 20, 100][below(4)]);
    let repeats = below(2) == 0;
    let mut number = 0;
    let count = 1 + below(4);
    let batches = (0..count).map(|_| {
        let rows = 1 + below(30);
        // Some rows share a transaction with other tables, for they are few.
        let size = [10, 80_000, 80_000][below(3)];
        // What differs between batches, and not within one, is a default of each.
        if below(2) == 0 {
            time = below(TIMES.len());
        }
        if below(2) == 0 {
            version = below(3);
        }
        let records = (0..rows).map(|_| {
            number += 1;
            if below(100) < times {
                time = below(TIMES.len());
            }
            if below(100) < versions {
                version = below(3);
            }
            Record {
                id: if repeats && below(20) == 0 { 1 } else { number },
                name: format!("{number:08}{}", "x".repeat(size / rows)),
                time,
                version: Some(version).filter(|version| *version > 0),
            }
        });
        records.collect()
    });
    batches.collect()
}

/// Writes batches: rows are handed on when a stream begins.
fn lines(batches: &[Vec<Record>], keys: &[&str]) -> Lines {
    let mut lines = Lines::default().syncing("t").schema("t", &columns(), keys);
    for (at, batch) in batches.iter().enumerate() {
        for record in batch {
            lines = lines.message(&record.message());
        }
        lines = lines.schema(&format!("other{at}"), &columns(), &["id"]);
    }
    lines.done()
}

fn clock(target: &Database) -> String {
    target.psql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
}

/// Asserts what a load filled in, that began and ended at these times of the clock.
fn check_filled(target: &Database, (began, ended): (&str, &str), told: &str) {
    let odd = format!(
        "SELECT count(*) FROM t WHERE id > 0 AND (_sdc_batched_at <> _sdc_received_at
           OR _sdc_sequence <> floor(extract(epoch FROM _sdc_received_at) * 1000)
           OR _sdc_sync_started_at NOT BETWEEN {began} AND _sdc_sequence
           OR _sdc_sequence > {ended} OR num_nulls(_sdc_received_at, _sdc_batched_at,
             _sdc_sequence, _sdc_sync_started_at) > 0)
           OR (SELECT count(DISTINCT _sdc_sync_started_at) FROM t WHERE id > 0) <> 1"
    );
    assert_eq!(target.psql(&odd), "0", "{told}");
}

fn defaults(target: &Database) -> String {
    target.psql(
        "SELECT string_agg(attname || ' ' || pg_get_expr(adbin, adrelid), ' ' ORDER BY attnum)
           FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
           WHERE adrelid = 't'::regclass",
    )
}

fn begin_anew(target: &Database) {
    target.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
}

#[test]
fn each_row_has_what_came_with_it_whichever_way_it_travels() {
    let target = database("own_columns");
    let mut random = Random::new();
    let mut loads = 0;
    for _ in 0..tries(3, 100) {
        let batches = draw(&mut random);
        for method in ["append-only", "upsert", "overwrite", "replace-partition"] {
            let keys: &[&str] = if method == "append-only" { &[] } else { &["id"] };
            let mut expected: Vec<String> = batches.iter().flatten().map(Record::row).collect();
            if !keys.is_empty() {
                let last = batches.iter().flatten().map(|record| (record.id, record.row()));
                expected = last.collect::<BTreeMap<_, _>>().into_values().collect();
            }
            expected.sort();
            for (table, sql) in TABLES {
                let told = format!("{method} into {table}");
                let load = |day: &str, lines: Lines| {
                    let more = json!({
                        "load_method": method, "source": "s", "datestamp": day,
                        "add_record_metadata": true,
                    });
                    to_database(&target, &more).input(lines.0).go().success();
                };
                begin_anew(&target);
                let mut kept = String::new();
                if let Some(sql) = sql {
                    let first = Lines::default().syncing("t").schema("t", &columns(), keys);
                    load("2026-11-01", first.row(0, "before").done());
                    target.psql(sql);
                    kept = defaults(&target);
                }
                let began = clock(&target);
                load(DAY, lines(&batches, keys));
                check_filled(&target, (&began, &clock(&target)), &told);
                let rows = target.psql(
                    "SET timezone = 'UTC'; SELECT id, left(name, 8), _sdc_extracted_at,
                       _sdc_deleted_at, _sdc_table_version FROM t WHERE id > 0",
                );
                let mut rows: Vec<&str> = rows.lines().collect();
                rows.sort_unstable();
                assert_eq!(rows, expected, "{told}");
                assert_eq!(defaults(&target), kept, "{told}");
                loads += 1;
            }
        }
    }
    figure("loads whose rows have what came with them", loads);
}

#[test]
fn metadata_columns_are_added_by_name() {
    let target = database("chosen_metadata");
    let batches = draw(&mut Random::new());
    let added = "SELECT coalesce(string_agg(attname, ' ' ORDER BY attnum), '') FROM pg_attribute
        WHERE attrelid = 't'::regclass AND attname LIKE '\\_sdc\\_%' AND NOT attisdropped";
    for method in ["append-only", "upsert"] {
        for chosen in METADATA.iter().map(|name| vec![*name]).chain([vec![], METADATA.to_vec()]) {
            begin_anew(&target);
            let more = json!({
                "load_method": method, "add_record_metadata": true, "activate_version": false,
                "metadata_columns": chosen,
            });
            // The second load finds rows.
            for _ in 0..2 {
                to_database(&target, &more).input(lines(&batches, &["id"]).0).go().success();
            }
            assert_eq!(target.psql(added), chosen.join(" "), "{method}");
            // What no record says comes from the load.
            let filled = ["received_at", "batched_at", "sequence", "sync_started_at"];
            if let [name] = chosen[..]
                && filled.iter().any(|end| name.ends_with(end))
            {
                let empty = format!("SELECT count(*) FROM t WHERE {name} IS NULL");
                assert_eq!(target.psql(&empty), "0", "{method} {name}");
            }
        }
    }
    let refused = |more: Value, words: &[&str]| {
        let run = to_database(&target, &json!({ "add_record_metadata": true })).config(&more);
        let outcome = run.input(Lines::whole(&[(1, "a")]).0).go().exits(78);
        let all = words.iter().all(|word| outcome.stderr.contains(word));
        assert!(all, "{more}: {}", outcome.stderr);
    };
    let one = |name: &str| json!({ "metadata_columns": [name] });
    refused(one("_sdc_extracted"), &["_sdc_extracted", "did you mean `_sdc_extracted_at`?"]);
    refused(one("_sdc_deleted_at"), &["`metadata_columns`", "`activate_version`"]);
    let hard = json!({ "metadata_columns": ["_sdc_sequence"], "hard_delete": true });
    refused(hard, &["`metadata_columns`", "`hard_delete`"]);
    let off = json!({ "metadata_columns": ["_sdc_sequence"], "add_record_metadata": false });
    refused(off, &["`add_record_metadata`", "`metadata_columns`"]);
}
