//! Tests of finding and checking a day.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use singer::Coverage;

use super::*;
use crate::format::Format;
use crate::{Completeness, Contents, Run};

const DAY: &str = "2024-02-29";

/// Publishes tables of one row each; the folder and its path.
fn lake(tables: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let lake = Lake::create(&output).unwrap();
    for (source, table) in tables {
        let run = Run::begin(&lake, source, DAY.parse().unwrap(), "test 1").unwrap();
        let mut staged = run.stage(table, false).unwrap();
        let mut file = staged.file("part.csv").unwrap();
        file.write(b"id,name\n", 0).unwrap();
        file.write(b"1,x\n", 1).unwrap();
        let schema = json!({"type": "object", "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["string", "null"], "maxLength": 9},
        }});
        let contents = Contents {
            schema: schema.as_object().unwrap().clone(),
            key_properties: vec!["id".to_owned()],
            complete: Completeness::Verified,
            coverage: Coverage::Whole,
            rows_left_out: false,
            format: Format::Csv,
            state: None,
        };
        staged.publish(vec![file], contents).unwrap();
        run.finish().unwrap();
    }
    (folder, output.to_str().unwrap().to_owned())
}

fn open(output: &str, day: &str, options: &Value) -> Result<Day> {
    let options = DayOptions {
        datestamp: day.parse()?,
        source: options["source"].as_str().map(str::to_owned),
        require_run_record: options["require_run_record"].as_bool().unwrap_or(true),
        row_bytes_max: 1 << 20,
    };
    Ok(Day::new(Lake::open(output)?, options))
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().unwrap().kind()
}

#[test]
fn announces_each_table_with_types_keys_and_partition() {
    let (_folder, output) = lake(&[("pg", "public-orders"), ("csv", "details")]);
    let mut day = open(&output, DAY, &json!({})).unwrap();
    let streams = day.discover().unwrap();
    let names: Vec<_> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["details", "public-orders"]);
    assert_eq!(streams[1].keys, ["id"]);
    assert_eq!(streams[1].columns[1].schema["maxLength"], 9);
    let partition = json!({"source": "pg", "extracted_at": DAY});
    assert_eq!(streams[1].schema[singer::schema::PARTITION], partition);
    let mut one = open(&output, DAY, &json!({"source": "csv"})).unwrap();
    assert_eq!(one.discover().unwrap().len(), 1);
}

#[test]
fn refuses_days_that_are_not_there_or_not_clear() {
    let (_folder, output) = lake(&[("pg", "orders"), ("csv", "orders")]);
    assert_eq!(kind(open("/nonexistent", DAY, &json!({}))), ErrorKind::NoInput);
    assert_eq!(kind(open(&output, "2023-02-29", &json!({}))), ErrorKind::Config);
    let discover = |day: &str, settings: Value| open(&output, day, &settings).unwrap().discover();
    assert_eq!(kind(discover("2024-03-01", json!({}))), ErrorKind::NoInput);
    assert_eq!(kind(discover("2024-03-01", json!({"source": "pg"}))), ErrorKind::NoInput);
    for (settings, sources) in
        [(json!({}), "sources: csv, pg\n"), (json!({"source": "pg"}), "source: pg\n")]
    {
        let told = discover("2024-03-01", settings).unwrap_err().to_string();
        for part in ["day: 2024-03-01\n", sources, &format!(": {DAY}\n"), "--datestamp 2024-03-01"]
        {
            assert!(told.contains(part), "{part:?}: {told}");
        }
    }
    assert_eq!(kind(discover(DAY, json!({}))), ErrorKind::Config);
    fs::remove_dir_all(format!("{output}/.runs")).unwrap();
    assert_eq!(kind(discover(DAY, json!({"source": "pg"}))), ErrorKind::NoInput);
    let told = json!({"source": "pg", "require_run_record": false});
    assert_eq!(discover(DAY, told).unwrap().len(), 1);
}

#[test]
fn refuses_a_day_that_lacks_a_source_of_its_records() {
    let tables = [("api", "a"), ("csv", "b"), ("pg%1", "c"), ("pg%1", "d")];
    for gone in ["api", "csv", "pg%1"] {
        let (_folder, output) = lake(&tables);
        let find = |settings: &Value| open(&output, DAY, settings).unwrap().discover();
        assert_eq!(find(&json!({})).unwrap().len(), 4);
        let at = Key::source(gone);
        fs::remove_dir_all(format!("{output}/{}", at.as_str())).unwrap();
        let refused = find(&json!({})).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NoInput, "{refused}");
        assert!(refused.to_string().contains(&format!("source: {gone}\n")), "{refused}");
        let other = if gone == "csv" { "api" } else { "csv" };
        assert_eq!(find(&json!({"source": other})).unwrap().len(), 1);
        assert!(find(&json!({"require_run_record": false})).is_ok());
        // Of another day nothing is said, and without the record none knows of it.
        let record = format!("{output}/{}", Key::record(gone, DAY.parse().unwrap()).as_str());
        let text = fs::read_to_string(&record).unwrap();
        fs::write(record.replace(DAY, "2024-02-28"), text.replace(DAY, "2024-02-28")).unwrap();
        fs::remove_file(&record).unwrap();
        assert!(find(&json!({})).is_ok());
    }
}

#[test]
fn refuses_files_that_are_not_as_published() {
    let changes: [fn(&Path); 3] = [
        |path| fs::write(path, "id,name\n1,y\n").unwrap(),
        |path| fs::write(path, "id,name\n1,x\n2,y\n").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for (case, change) in changes.into_iter().enumerate() {
        let (_folder, output) = lake(&[("pg", "orders")]);
        let day = open(&output, DAY, &json!({})).unwrap();
        let path = day.tables().unwrap()[0].partition.paths().remove(0);
        day.tables().unwrap()[0].verify().unwrap();
        change(&path);
        let again = open(&output, DAY, &json!({})).unwrap();
        assert_eq!(kind(again.tables().unwrap()[0].verify()), ErrorKind::Data, "{case}");
    }
}

#[test]
fn projects_the_columns_that_are_selected() {
    let (_folder, output) = lake(&[("pg", "orders")]);
    let mut stream = open(&output, DAY, &json!({})).unwrap().discover().unwrap().remove(0);
    let columns = Projection::new(&stream, vec!["id", "name"]).unwrap();
    assert_eq!(columns.wanted, None);
    stream.columns.remove(0);
    let columns = Projection::new(&stream, vec!["id", "name"]).unwrap();
    assert_eq!(columns.wanted, Some(vec![1]));
    assert_eq!(kind(Projection::new(&stream, vec!["id"])), ErrorKind::NoInput);
}

#[test]
fn a_format_that_is_not_known_is_refused_by_its_name() {
    let (_folder, output) = lake(&[("pg", "orders"), ("pg", "items")]);
    let lake = Lake::open(&output).unwrap();
    let path = lake.table_folder("pg", DAY.parse().unwrap(), "orders").join("_manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    // As releases before formats wrote it.
    fs::write(&path, text.replace("  \"format\": \"csv\",\n", "")).unwrap();
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
    let verify = |name: &str| {
        let day = open(&output, DAY, &json!({"require_run_record": false})).unwrap();
        let table = day.tables().unwrap().iter().find(|t| t.partition.manifest.stream == name);
        table.unwrap().verify().map(drop)
    };
    verify("orders").unwrap();
    fs::write(&path, text.replace("\"csv\"", "\"strange\"")).unwrap();
    let refused = verify("orders").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    assert!(refused.to_string().contains("format: strange"), "{refused}");
    // Other tables of the day are read, and so are lists of tables.
    verify("items").unwrap();
    assert_eq!(lake.tables("pg", DAY.parse().unwrap()).unwrap(), ["items", "orders"]);
}
