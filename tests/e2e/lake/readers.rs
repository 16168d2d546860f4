//! `DuckDB` and other readers on the dated folders, also while a day is published again.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use support::invariants::{Partition, Trial};
use support::messages::{Lines, csv};
use support::pipes::to_lake;
use support::python::READERS;
use support::run::feed;
use support::{folder, lake};

/// Rows of a generation: each row names it.
const ROWS: i64 = 2000;

/// Reads table `t` by three engines for as long as the file `stop` is not there, then prints how
/// often. Fails as soon as a read of the day shows anything but one whole generation.
const READ: &str = r#"
import collections, glob, os, sys
import duckdb, polars
import pyarrow.dataset

lake, stop, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
pattern = f"{lake}/source=*/extracted_at=*/table=t/*.csv"

def by_duckdb():
    query = f"""SELECT CAST(extracted_at AS VARCHAR), "table", name
                FROM read_csv('{pattern}', hive_partitioning = true)"""
    return duckdb.connect().execute(query).fetchall()

def by_polars():
    # Polars takes the partition of a CSV file from its path, not by itself.
    frame = polars.scan_csv(pattern, include_file_paths="path").collect()
    def part(path, key):
        return path.split(f"/{key}=")[1].split("/")[0]
    rows = frame.select("path", "name").rows()
    return [(part(path, "extracted_at"), part(path, "table"), name) for path, name in rows]

def by_pyarrow():
    files = sorted(glob.glob(pattern))
    data = pyarrow.dataset.dataset(
        files, format="csv", partition_base_dir=lake, partitioning="hive")
    table = data.to_table(columns=["extracted_at", "table", "name"]).to_pylist()
    return [(str(r["extracted_at"]), r["table"], r["name"]) for r in table]

seen = collections.Counter()
vanished = 0
readers = (by_duckdb, by_polars, by_pyarrow)
while not os.path.exists(stop) or min(seen[r.__name__] for r in readers) < 5:
    for reader in readers:
        try:
            found = reader()
        except Exception as failure:
            # A file listed before the exchange and opened after it: the reader must try again,
            # and then it sees the new generation. Anything else is a fault.
            gone = isinstance(failure, FileNotFoundError)
            if gone or "No such file" in str(failure) or "No files found" in str(failure):
                vanished += 1
                continue
            raise
        days = collections.defaultdict(collections.Counter)
        for day, table, name in found:
            assert table == "t", table
            days[day][name] += 1
        assert set(days) == {"2026-11-19", "2026-11-20"}, (reader.__name__, dict(days))
        for day, names in days.items():
            assert list(names.values()) == [rows], (reader.__name__, day, names)
        seen[reader.__name__] += 1
print(dict(seen), "vanished:", vanished)
"#;

fn generation(number: u64) -> Vec<u8> {
    let mut lines = Lines::opened();
    for id in 0..ROWS {
        lines = lines.row(id, &format!("generation {number}"));
    }
    lines.done().0
}

#[test]
fn readers_see_one_whole_generation_while_a_day_is_published_again() {
    let scratch = folder();
    let lake = scratch.path().join("output");
    let stop = scratch.path().join("stop");
    let publish = |day: &str, number: u64| {
        to_lake(&lake, "s", day).input(generation(number)).go().success();
    };
    publish("2026-11-19", 0);
    publish("2026-11-20", 0);
    let reader = READERS
        .script(READ)
        .args([lake.as_os_str(), stop.as_os_str(), ROWS.to_string().as_ref()])
        .start(true);
    let reading = AtomicBool::new(true);
    let outcome = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            // Enough rounds that every reader meets many exchanges, whatever their speed.
            let mut number = 1;
            while reading.load(Ordering::Relaxed) && number < 60 {
                publish("2026-11-20", number);
                number += 1;
            }
            std::fs::write(&stop, "").unwrap();
            number
        });
        let outcome = reader.wait();
        reading.store(false, Ordering::Relaxed);
        eprintln!("published {} times", publisher.join().unwrap());
        outcome
    });
    let outcome = outcome.success();
    eprintln!("{}", outcome.text());
    lake::check(&lake);
    let place = Partition { lake: &lake, source: "s", day: "2026-11-20", table: "t" };
    let new = "id,name\n".to_owned() + &csv((0..ROWS).map(|id| (id, "generation 0")));
    let trial = Trial { place: &place, old: None, new, gaps: false };
    trial.after_rerun(&to_lake(&lake, "s", "2026-11-20").input(generation(0)).go());
}

/// Prints one value a line, as each engine reads it.
const VALUES: &str = r#"
import sys
import duckdb, polars
import pyarrow.csv
path = sys.argv[1]
query = f"""SELECT name FROM read_csv('{path}', all_varchar = true, allow_quoted_nulls = false)
            ORDER BY id::int"""
print([row[0] for row in duckdb.connect().execute(query).fetchall()])
frame = polars.read_csv(path, schema_overrides={"name": polars.String})
print(frame.get_column("name").to_list())
parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
convert = pyarrow.csv.ConvertOptions(
    column_types={"name": "string"}, strings_can_be_null=True, null_values=[""],
    quoted_strings_can_be_null=False)
print(pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)["name"].to_pylist())
"#;

#[test]
fn readers_agree_on_the_values_of_a_file() {
    let scratch = folder();
    let values = [
        "",
        "a,b",
        "say \"no\"",
        "line\nbreak",
        "cr\r\nlf",
        " spaced ",
        "ünï🎉",
        "\\N",
        "NULL",
        "'",
    ];
    let mut lines = Lines::opened();
    for (id, value) in values.iter().enumerate() {
        lines = lines.row(i64::try_from(id).unwrap(), value);
    }
    let lines = lines.record("t", &json!({ "id": values.len(), "name": null })).done();
    let config = json!({
        "output_path": scratch.path(), "source": "s", "datestamp": "2026-11-20",
    });
    feed("target-csv", &config, &lines.0).success();
    let partition = lake::partition(scratch.path(), "s", "2026-11-20", "t");
    let name = lake::manifest(&partition)["files"][0]["name"].as_str().unwrap().to_owned();
    let outcome = READERS.script(VALUES).args([partition.join(name)]).go().success();
    let text = outcome.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in lines {
        let start =
            r#"['', 'a,b', 'say "no"', 'line\nbreak', 'cr\r\nlf', ' spaced ', 'ünï🎉', '\\N',"#;
        assert!(line.starts_with(start) && line.ends_with("'NULL', \"'\", None]"), "{line}");
    }
}
