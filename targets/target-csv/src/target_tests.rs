//! Streams through the target into files.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use singer::{Batch, Coverage, End, Rejects, Said, Sink};

use super::*;

fn stream(name: &str, properties: &Value) -> Stream {
    let schema = json!({"type": "object", "properties": properties});
    Stream::new(name, schema.as_object().unwrap().clone(), Vec::new())
}

fn text() -> Value {
    json!({"type": ["null", "string"]})
}

fn batch(rows: &[&[Option<&str>]]) -> Batch {
    let mut batch = Batch::new(rows[0].len() + 2);
    for row in rows {
        for cell in *row {
            match cell {
                Some(text) => batch.push(text.as_bytes()),
                None => batch.push_null(),
            }
        }
        batch.push(b"2024-02-29T00:00:00Z");
        batch.push(b"7");
    }
    batch
}

fn open(folder: &Path, change: impl FnOnce(&mut Settings)) -> TargetCsv {
    let mut settings = Settings {
        output_path: Some(folder.join("output").to_str().unwrap().to_owned()),
        ..Settings::default()
    };
    change(&mut settings);
    TargetCsv::open(settings).unwrap()
}

fn dated(settings: &mut Settings) {
    settings.source = Some("pg".to_owned());
    settings.datestamp = Some("2024-02-29".to_owned());
}

const END: End = End { said: Said::End, left_out: false, rejected: false, state: None };

fn extract(folder: &Path, rows: &[&[Option<&str>]]) {
    let mut target = open(folder, dated);
    let mut sink = target.sink(&stream("t", &json!({"a": text(), "b": text()}))).unwrap();
    sink.write(target.shared(), &batch(rows), &Rejects::default()).unwrap();
    sink.complete(target.shared(), END).unwrap();
    target.commit().unwrap();
    target.finish().unwrap();
}

fn read(folder: &Path) -> (lake::Partition, String) {
    let lake = Lake::open(folder.join("output")).unwrap();
    let day = "2024-02-29".parse().unwrap();
    let mut partitions = lake.read_day("pg", day, false).unwrap();
    let partition = partitions.pop().unwrap();
    assert_eq!((partition.manifest.stream.as_str(), partitions.len()), ("t", 0));
    partition.verify().unwrap();
    let text = fs::read_to_string(lake.local_path(&partition.files()[0]).unwrap()).unwrap();
    (partition, text)
}

#[test]
fn a_partition_is_published_whole_and_stays_when_nothing_changed() {
    let folder = tempfile::tempdir().unwrap();
    let rows: &[&[Option<&str>]] = &[&[Some("1"), None], &[Some(""), Some("x,\"y\"\n")]];
    extract(folder.path(), rows);
    let (first, text) = read(folder.path());
    assert_eq!(text, "a,b\n1,\n\"\",\"x,\"\"y\"\"\n\"\n");
    assert_eq!((first.manifest.rows(), first.manifest.tool.as_str()), (2, TOOL));
    extract(folder.path(), rows);
    assert_eq!(read(folder.path()).0.manifest_sha256, first.manifest_sha256);
    extract(folder.path(), &rows[..1]);
    assert_eq!(read(folder.path()).1, "a,b\n1,\n");
}

#[test]
fn an_empty_table_has_a_header_and_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), dated);
    let mut sink = target.sink(&stream("t", &json!({"a,b": text(), "c": text()}))).unwrap();
    sink.complete(target.shared(), END).unwrap();
    target.commit().unwrap();
    target.finish().unwrap();
    let (partition, text) = read(folder.path());
    assert_eq!((text.as_str(), partition.manifest.rows()), ("\"a,b\",c\n", 0));
}

#[test]
fn a_growing_schema_shifts_no_column() {
    for plain in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut target = open(folder.path(), |s| {
            if !plain {
                dated(s);
            }
        });
        let mut sink = target.sink(&stream("t", &json!({"a": text(), "b": text()}))).unwrap();
        sink.write(target.shared(), &batch(&[&[Some("1\n"), Some("2")]]), &Rejects::default())
            .unwrap();
        sink.evolve(target.shared(), &stream("t", &json!({"c": text(), "a": text()}))).unwrap();
        sink.write(target.shared(), &batch(&[&[Some("3"), Some("1")]]), &Rejects::default())
            .unwrap();
        sink.evolve(target.shared(), &stream("t", &json!({"d": text(), "b": text(), "e": text()})))
            .unwrap();
        sink.write(
            target.shared(),
            &batch(&[&[Some("4"), Some("2"), Some("5")]]),
            &Rejects::default(),
        )
        .unwrap();
        sink.complete(target.shared(), END).unwrap();
        target.commit().unwrap();
        target.finish().unwrap();
        let expected = "a,b,c,d,e\n\"1\n\",2,,,\n1,,3,,\n,2,,4,5\n";
        if plain {
            let path = folder.path().join("output/t.csv");
            assert_eq!(fs::read_to_string(path).unwrap(), expected);
        } else {
            let (partition, text) = read(folder.path());
            assert_eq!((text.as_str(), partition.manifest.rows()), (expected, 3));
            let names: Vec<_> =
                partition.manifest.stream().columns.iter().map(|c| c.name.clone()).collect();
            assert_eq!(names, ["a", "b", "c", "d", "e"]);
        }
        drop((sink, target));
        let left = fs::read_dir(folder.path().join("output")).unwrap();
        assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().contains("part")));
    }
}

#[test]
fn a_schema_that_grows_again_and_again_gives_each_row_all_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |_| ());
    let names: Vec<String> = (0..400).map(|at| format!("c{at}")).collect();
    let of_width = |width: usize| {
        let columns = names[..width].iter().map(|name| (name.clone(), text()));
        stream("t", &Value::Object(columns.collect()))
    };
    let mut sink = target.sink(&of_width(1)).unwrap();
    let mut expected = names.join(",") + "\n";
    let long = "x\n".repeat(5000);
    for width in 1..=names.len() {
        sink.evolve(target.shared(), &of_width(width)).unwrap();
        // None, one or two rows of each width, some of them longer than what is copied at once.
        for row in 0..width % 3 {
            let value = if width % 7 == 0 { long.as_str() } else { "y" };
            let mut cells = vec![None; width];
            cells[row] = Some(value);
            sink.write(target.shared(), &batch(&[&cells]), &Rejects::default()).unwrap();
            let field = if value == "y" { "y".to_owned() } else { format!("\"{long}\"") };
            expected += &(",".repeat(row) + &field + &",".repeat(names.len() - 1 - row) + "\n");
        }
    }
    sink.complete(target.shared(), END).unwrap();
    assert!(fs::read_to_string(folder.path().join("output/t.csv")).unwrap() == expected);
}

#[test]
fn what_is_not_completed_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |_| ());
    fs::create_dir(folder.path().join("output")).unwrap();
    fs::write(folder.path().join("output/t.csv"), "old\n").unwrap();
    let mut sink = target.sink(&stream("t", &json!({"a": text()}))).unwrap();
    sink.write(target.shared(), &batch(&[&[Some("1")]]), &Rejects::default()).unwrap();
    let other = open(folder.path(), |_| ()).sink(&stream("t", &json!({"a": text()})));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Temporary);
    drop(sink);
    let left: Vec<_> = fs::read_dir(folder.path().join("output")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(fs::read_to_string(left[0].path()).unwrap(), "old\n");
}

#[test]
fn metadata_columns_stand_behind_the_streams_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |settings| settings.add_record_metadata = true);
    let mut sink = target.sink(&stream("t", &json!({"a": text()}))).unwrap();
    sink.write(target.shared(), &batch(&[&[Some("1")]]), &Rejects::default()).unwrap();
    sink.complete(target.shared(), END).unwrap();
    let text = fs::read_to_string(folder.path().join("output/t.csv")).unwrap();
    let (header, row) = text.trim_end().split_once('\n').unwrap();
    assert_eq!(header.split(',').count(), 7);
    let cells: Vec<_> = row.split(',').collect();
    assert_eq!((cells[0], cells[1], cells[4], cells[6]), ("1", "2024-02-29T00:00:00Z", "", "7"));
    assert_eq!(cells[2], cells[3]);
    assert!(cells[2].ends_with("+00:00") && cells[5].parse::<u64>().is_ok());
}

#[test]
fn metadata_columns_are_those_that_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let mut target = open(folder.path(), |settings| {
        settings.add_record_metadata = true;
        settings.metadata_columns = names(&["_sdc_table_version", "_sdc_extracted_at"]);
    });
    let mut sink = target.sink(&stream("t", &json!({"a": text()}))).unwrap();
    sink.write(target.shared(), &batch(&[&[Some("1")]]), &Rejects::default()).unwrap();
    sink.complete(target.shared(), END).unwrap();
    let text = fs::read_to_string(folder.path().join("output/t.csv")).unwrap();
    assert_eq!(text, "a,_sdc_extracted_at,_sdc_table_version\n1,2024-02-29T00:00:00Z,7\n");
    let refused = |settings: Settings| TargetCsv::open(settings).err().unwrap().to_string();
    let metadata_columns = names(&["_sdc_sync_started_at"]);
    let unknown = Settings { add_record_metadata: true, metadata_columns, ..Settings::default() };
    assert!(refused(unknown.clone()).contains("unknown metadata column"));
    assert!(refused(Settings { add_record_metadata: false, ..unknown }).contains("none are added"));
}

#[test]
fn sql_null_and_json_null_stay_two_things() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |_| ());
    let json = json!({"type": ["null", "object"], singer::schema::ABSENT_IS_NULL: true});
    let mut sink = target.sink(&stream("t", &json!({"j": json, "a": text()}))).unwrap();
    let rows: [&[Option<&str>]; 3] =
        [&[Some("null"), None], &[Some("{\"k\":1}"), None], &[None, None]];
    sink.write(target.shared(), &batch(&rows), &Rejects::default()).unwrap();
    sink.complete(target.shared(), END).unwrap();
    let text = fs::read_to_string(folder.path().join("output/t.csv")).unwrap();
    assert_eq!(text, "j,a\nnull,\n\"{\"\"k\"\":1}\",\n,\n");
}

#[test]
fn many_streams_need_few_files_and_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), dated);
    let mut sinks: Vec<_> = (0..210)
        .map(|at| target.sink(&stream(&format!("s{at}"), &json!({"a": text()}))).unwrap())
        .collect();
    for round in 0..40 {
        let value = format!("{round}").repeat(100);
        for sink in &mut sinks {
            sink.write(target.shared(), &batch(&[&[Some(&value)]]), &Rejects::default()).unwrap();
        }
    }
    for sink in &mut sinks {
        sink.complete(target.shared(), END).unwrap();
    }
    target.commit().unwrap();
    target.finish().unwrap();
    let lake = Lake::open(folder.path().join("output")).unwrap();
    let day = lake.read_day("pg", "2024-02-29".parse().unwrap(), false).unwrap();
    assert_eq!(day.len(), 210);
    for partition in day {
        partition.verify().unwrap();
        assert_eq!(partition.manifest.rows(), 40);
    }
}

#[test]
fn refuses_what_it_cannot_do() {
    let check = |change: fn(&mut Settings)| {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            output_path: Some(folder.path().join("output").to_str().unwrap().to_owned()),
            ..Settings::default()
        };
        change(&mut settings);
        let refused = TargetCsv::open(settings).map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(!folder.path().join("output").exists());
    };
    check(|s| s.overwrite_behavior = OverwriteBehavior::AppendRecords);
    check(|s| s.encoding = "utf-16".to_owned());
    check(|s| s.quotechar = "'".to_owned());
    check(|s| s.escape_character = Some("\\".to_owned()));
    check(|s| s.record_sort_property_name = Some("id".to_owned()));
    check(|s| s.delimiter = "||".to_owned());
    check(|s| s.datestamp = Some("2026-02-30".to_owned()));
    check(|s| {
        dated(s);
        s.spreadsheet_safe = true;
    });
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |s| s.file_naming_scheme = Some("all.csv".to_owned()));
    let _one = target.sink(&stream("a", &json!({"a": text()}))).unwrap();
    let two = target.sink(&stream("b", &json!({"a": text()})));
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_run_whose_time_is_written_the_same_replaces_no_part_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let run = |row: &str, from: Coverage| {
        let mut target = open(folder.path(), |s| {
            s.file_naming_scheme = Some("{stream_name}-{timestamp}.csv".to_owned());
            s.timestamp_format = "%p".to_owned();
        });
        let mut stream = stream("t", &json!({"a": text()}));
        stream.coverage = from;
        let mut sink = target.sink(&stream)?;
        sink.write(target.shared(), &batch(&[&[Some(row)]]), &Rejects::default())?;
        sink.complete(target.shared(), END)
    };
    run("1", Coverage::Since(json!(1))).unwrap();
    for from in [json!(1), json!(2)] {
        let refused = run("2", Coverage::Since(from)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(refused.to_string().contains("of an earlier run"), "{refused}");
    }
    let before = singer::warning::counts().get("W-FILE-REPLACED").copied().unwrap_or_default();
    // All rows again are in place of all rows, and a note of a part would lie about for ever.
    run("3", Coverage::Whole).unwrap();
    let told = singer::warning::counts().get("W-FILE-REPLACED").copied().unwrap_or_default();
    assert_eq!(told, before + 1);
    let names = fs::read_dir(folder.path().join("output")).unwrap();
    assert_eq!(names.count(), 1);
}

#[test]
fn streams_whose_files_are_one_to_the_file_system_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path(), |_| ());
    let properties = json!({"a": text()});
    let mut first = target.sink(&stream("Orders", &properties)).unwrap();
    first.complete(target.shared(), END).unwrap();
    let mut other = target.sink(&stream("ORDERS", &properties)).unwrap();
    other.complete(target.shared(), END).unwrap();
    let output = folder.path().join("output");
    // What a file system shows that folds case.
    fs::hard_link(output.join("Orders.csv"), output.join("orders.csv")).unwrap();
    let refused = target.sink(&stream("orders", &properties)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    assert!(refused.to_string().contains("other stream: Orders"), "{refused}");
    // The first one may not have been published yet.
    let _open = target.sink(&stream("Items", &properties)).unwrap();
    fs::hard_link(output.join(".Items.csv.lock"), output.join(".items.csv.lock")).unwrap();
    let refused = target.sink(&stream("items", &properties)).unwrap_err();
    assert!(refused.to_string().contains("other stream: Items"), "{refused}");
}
