//! Where target-csv writes: dated paths however they are set, plain files that parts would
//! replace, and records without a key.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use support::invariants::fails;
use support::messages::Lines;
use support::pipes::{from_lake, to_lake};
use support::project::{DAY, Project};
use support::run::{Outcome, Run, feed, file, ours, pipe, pipe_succeeds};
use support::{folder, lake};

const SCHEME: &str = "table={stream_name}/{timestamp}-{stream_name}.csv";

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_dated_path_is_a_partition_however_the_settings_split_it() {
    let dated = format!("source=csv/extracted_at={DAY}/{SCHEME}");
    let placeholders = format!("source={{source}}/extracted_at={{datestamp}}/{SCHEME}");
    for (scheme, more) in
        [(dated, json!({})), (placeholders, json!({ "source": "csv", "datestamp": DAY }))]
    {
        let parts: Vec<&str> = scheme.split('/').collect();
        for at in 0..parts.len() {
            for (alias, end) in
                [("destination_path", ""), ("output_path", "/"), ("output_path", "/x/..")]
            {
                let scratch = folder();
                let lake = scratch.path().join("lake");
                let end = if at == 0 { "" } else { end };
                let mut above = lake.to_str().unwrap().to_owned();
                parts[..at].iter().for_each(|part| above = format!("{above}/{part}"));
                let mut settings = more.clone();
                settings[alias] = format!("{above}{end}").into();
                settings["file_naming_scheme"] = parts[at..].join("/").into();
                let run = |lines: Lines| feed("target-csv", &settings, &lines.0);
                run(Lines::whole(&[(1, "a"), (2, "b")])).success();
                // A run that is cut changes nothing, one that ends takes the place of the first.
                run(Lines::opened().row(7, "x")).exits(76);
                run(Lines::whole(&[(3, "c")])).success();
                lake::check(&lake);
                let partition = lake::partition(&lake, "csv", DAY, "t");
                assert_eq!(names(&partition).len(), 2, "{settings}");
                assert_eq!(lake::data(&partition), "id,name\n3,c\n", "{settings}");
                let manifest = lake::manifest(&partition);
                assert_eq!(manifest["source"], "csv", "{settings}");
                assert_eq!(names(scratch.path()), ["lake"], "{settings}");
                from_lake(&lake, DAY).go().success();
            }
        }
    }
}

#[test]
fn a_job_knows_the_day_that_a_split_path_names() {
    let config = "destination_path: ./output/source=csv, \
        file_naming_scheme: 'extracted_at=${DATESTAMP}/table={stream_name}/{timestamp}.csv'";
    let pinned = config.replace("${DATESTAMP}", "2026-01-01");
    let loaders = format!(
        "  - {{name: target-split, executable: target-csv, config: {{{config}}}}}
  - {{name: target-pinned, executable: target-csv, config: {{{pinned}}}}}
"
    );
    let project = Project::with("", &loaders, "");
    let words = ["tap-csv", "target-split"];
    let plan = project.chorus(&["plan", "--datestamp", DAY]).args(words).go().success().text();
    let writes = format!("/output/source=csv/extracted_at={DAY}/\n");
    assert!(plan.contains("writes: ") && plan.contains(&writes), "{plan}");
    let partition = project.partition("csv", "a");
    for _ in 0..2 {
        for _ in 0..2 {
            project.run(&words).success();
            assert_eq!(lake::data(&partition), "id,name\n1,a\n2,b\n");
        }
        // A day that is gone is read again, whatever the state says.
        fs::remove_dir_all(project.lake()).unwrap();
    }
    let other = project.run(&["tap-csv", "target-pinned"]).exits(78);
    assert!(other.stderr.contains("another day than that of the run"), "{}", other.stderr);
    project.chorus(&["check", "target-split"]).env("DATESTAMP", DAY).go().success();
    assert!(!project.lake().exists());
}

/// A tap of a folder of files, with a state.
fn tap(input: &Path, state: &Value) -> Run {
    let files = json!({ "files": [{ "entity": "t", "path": input, "keys": ["id"] }] });
    ours("tap-csv").config(&files).json("--state", state)
}

fn state(target: &Outcome) -> Value {
    serde_json::from_str(target.text().lines().last().unwrap()).unwrap()
}

#[test]
fn a_plain_file_is_not_replaced_by_the_rows_since_a_state() {
    let scratch = folder();
    let (input, output) = (scratch.path().join("in"), scratch.path().join("out"));
    let into = || ours("target-csv").set("output_path", output.display());
    let run = |state: &Value| pipe(tap(&input, state), into());
    let text = || fs::read_to_string(output.join("t.csv")).unwrap();
    file(&input, "1.csv", "id,n\n1,a\n");
    let first = state(&run(&json!({})).1.success());
    file(&input, "2.csv", "id,n\n2,b\n");
    for _ in 0..2 {
        let (_, refused) = run(&first);
        fails(&refused, &[78]);
        assert!(refused.stderr.contains("a part of its rows"), "{}", refused.stderr);
        assert!(refused.stderr.contains("path: "), "{}", refused.stderr);
        assert_eq!(text(), "id,n\n1,a\n");
    }
    // A plan says so, and a file of each run is another file.
    let plan: Value =
        serde_json::from_str(&tap(&input, &first).args(["--plan=json"]).go().success().text())
            .unwrap();
    let schema = Lines::default().message(&plan["streams"][0]["schema"]).0;
    fails(&into().args(["--plan"]).input(schema).go(), &[78]);
    let each = into().set("file_naming_scheme", "{stream_name}-{timestamp}.csv");
    pipe(tap(&input, &first), each).1.success();
    // What begins at the same bookmark may be there again, also behind a header alone.
    fs::write(output.join("t.csv"), "\"id\n\",n\n").unwrap();
    for _ in 0..2 {
        run(&first).1.success();
        assert_eq!(text(), "id,n\n2,b\n");
    }
    // Without a state it is the whole, and then a part is no equal any more.
    let whole = state(&run(&json!({})).1.success());
    assert_eq!(text(), "id,n\n1,a\n2,b\n");
    fails(&run(&first).1, &[78]);
    // Nothing new leaves the file alone.
    run(&whole).1.success();
    assert_eq!(text(), "id,n\n1,a\n2,b\n");
    assert_eq!(names(&output).iter().filter(|name| name.starts_with('.')).count(), 0);
}

/// The rows of a day as a tap reads them back.
fn of_day(source: &str, day: &str) -> Vec<u8> {
    let schema = json!({
        "type": "object",
        "x-partition": { "source": source, "extracted_at": day },
        "properties": { "id": { "type": "integer" } },
    });
    let schema =
        json!({ "type": "SCHEMA", "stream": "t", "schema": schema, "key_properties": ["id"] });
    let lines = Lines::default().syncing("t").message(&schema);
    lines.record("t", &json!({ "id": 1 })).done().0
}

#[test]
fn a_day_is_not_replaced_by_another_day_of_its_source() {
    let scratch = folder();
    let write = |rows: Vec<u8>| to_lake(scratch.path(), "s", DAY).input(rows);
    write(of_day("s", DAY)).go().success();
    for run in [write(of_day("s", "2026-01-30")), write(of_day("s", "")).args(["--plan"])] {
        let refused = run.go().exits(78);
        assert!(refused.stderr.contains("the rows of another day"), "{}", refused.stderr);
    }
    // A copy under another name is told.
    let copied = write(of_day("other", DAY)).go().success();
    assert!(copied.stderr.contains("W-PARTITION-RENAMED"), "{}", copied.stderr);
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::manifest(&partition)["source"], "s");
}

#[test]
fn a_plain_file_with_a_time_in_its_path_is_told() {
    let told = |settings: &Value| {
        let scratch = folder();
        let mut settings = settings.clone();
        let folder = settings["output_path"].as_str().unwrap_or_default();
        settings["output_path"] = scratch.path().join(folder).to_str().into();
        let outcome = feed("target-csv", &settings, &Lines::whole(&[(1, "a")]).0).success();
        outcome.stderr.contains("W-RERUN-ADDS")
    };
    let scheme = |text: &str| json!({ "file_naming_scheme": text });
    assert!(told(&scheme("{stream_name}-{timestamp}.csv")));
    assert!(told(&scheme("source=s/table={stream_name}/{timestamp}.csv")));
    assert!(told(&scheme("source=s/extracted_at=2026-01-31/table=t/{timestamp}.csv")));
    assert!(told(&json!({ "output_path": "{timestamp}" })));
    assert!(!told(&json!({})));
    assert!(!told(&scheme("{datestamp}/{stream_name}.csv")));
    assert!(!told(&scheme("source=s/extracted_at=2026-01-31/table={stream_name}/{timestamp}.csv")));
}

/// A stream of three columns, two of which are the key.
fn keyed(records: &[Value]) -> Vec<u8> {
    let integer = json!({ "type": ["null", "integer"] });
    let properties = json!({ "a": integer, "v": { "type": ["null", "string"] }, "b": integer });
    let lines = Lines::default().syncing("t").schema("t", &properties, &["a", "b"]);
    records.iter().fold(lines, |lines, record| lines.record("t", record)).done().0
}

#[test]
fn a_record_without_its_key_is_not_written() {
    let good = json!({ "a": 1, "v": null, "b": 1 });
    let bad = [
        json!({ "a": null, "v": "x", "b": 1 }),
        json!({ "a": 2, "v": "x", "b": null }),
        json!({ "v": "x", "b": 1 }),
        json!({ "a": 2 }),
        json!({}),
    ];
    for dated in [true, false] {
        for record in &bad {
            let scratch = folder();
            let run = || {
                if dated {
                    to_lake(scratch.path(), "s", DAY)
                } else {
                    ours("target-csv").set("output_path", scratch.path().display())
                }
            };
            let input = || keyed(&[good.clone(), record.clone(), good.clone()]);
            let refused = run().input(input()).go().exits(65);
            assert!(refused.stderr.contains("without its key"), "{}", refused.stderr);
            assert!(refused.stderr.contains("column: "), "{}", refused.stderr);
            assert!(!scratch.path().join("t.csv").exists());
            assert!(!scratch.path().join("source=s").exists());
            // Or it is set aside, and what is written can be loaded.
            let rejects = scratch.path().join("rejects.jsonl");
            let lenient = run().set("max_rejects", 1).set("rejects_file", rejects.display());
            lenient.input(input()).go().success();
            let set_aside = fs::read_to_string(rejects).unwrap();
            let set_aside: Value = serde_json::from_str(set_aside.trim()).unwrap();
            let missing = set_aside["reason"].as_str().unwrap();
            assert!(missing.starts_with("the key column is "), "{set_aside}");
            assert_eq!((&set_aside["stream"], &set_aside["line"]), (&json!("t"), &json!(4)));
            if dated {
                let day = from_lake(scratch.path(), DAY).go().success();
                assert_eq!(day.records("t"), [good.clone(), good.clone()]);
                let partition = lake::partition(scratch.path(), "s", DAY, "t");
                assert_eq!(lake::manifest(&partition)["files"][0]["rows"], 2);
            } else {
                let text = fs::read_to_string(scratch.path().join("t.csv")).unwrap();
                assert_eq!(text, "a,v,b\n1,,1\n1,,1\n");
            }
        }
    }
}

#[test]
fn a_key_is_found_where_its_column_is_after_the_schema_has_grown() {
    let scratch = folder();
    let integer = json!({ "type": ["null", "integer"] });
    let lines = Lines::default().syncing("t").schema("t", &json!({ "id": integer }), &["id"]);
    let grown = json!({ "n": integer, "id": integer });
    let lines = lines.record("t", &json!({ "id": 1 })).schema("t", &grown, &["id"]);
    let whole = lines.clone().record("t", &json!({ "n": null, "id": 2 })).done().0;
    to_lake(scratch.path(), "s", DAY).input(whole).go().success();
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition), "id,n\n1,\n2,\n");
    let keyless = lines.record("t", &json!({ "n": 2, "id": null })).done().0;
    let refused = to_lake(scratch.path(), "s", DAY).input(keyless).go().exits(65);
    assert!(refused.stderr.contains("column: id"), "{}", refused.stderr);
    // A stream without a key has no record without it.
    let lines = Lines::default().syncing("t").schema("t", &json!({ "id": integer }), &[]);
    let lines = lines.record("t", &json!({ "id": null })).done().0;
    to_lake(scratch.path(), "s", DAY).input(lines).go().success();
}

#[test]
fn a_stream_without_columns_and_rows_does_not_keep_its_day_from_being_read() {
    let scratch = folder();
    let lines = Lines::default().schema("empty", &json!({}), &[]).schema(
        "t",
        &json!({ "id": { "type": "integer" } }),
        &["id"],
    );
    let lines = lines.record("t", &json!({ "id": 1 })).done().0;
    to_lake(scratch.path(), "s", DAY).input(lines).go().success();
    let day = from_lake(scratch.path(), DAY).go().success();
    assert_eq!((day.records("empty").len(), day.records("t").len()), (0, 1));
    assert!(day.text().contains(r#"{"type":"SCHEMA","stream":"empty""#), "{}", day.text());
}

#[test]
fn rows_that_a_state_tells_of_and_the_output_lacks_are_told() {
    let dated: &[(&str, &str)] = &[("source", "s"), ("datestamp", DAY)];
    let each: &[(&str, &str)] = &[("file_naming_scheme", "x/{stream_name}-{timestamp}.csv")];
    for layout in [&[][..], dated, each] {
        let scratch = folder();
        let (input, output) = (scratch.path().join("in"), scratch.path().join("out"));
        file(&input, "1.csv", "id,n\n1,a\n");
        let run = |state: &Value, output: &Path, more: &[(&str, &str)]| {
            let into = ours("target-csv").set("output_path", output.display());
            let into = layout.iter().chain(more).fold(into, |run, (k, v)| run.set(k, v));
            pipe_succeeds(tap(&input, state), into).1
        };
        let first = state(&run(&json!({}), &output, &[]));
        let told = |outcome: &Outcome, words: &str| {
            let line = outcome.stderr.lines().find(|line| line.contains("W-TABLE-EMPTY: stream t"));
            assert_eq!(outcome.stderr.matches("W-TABLE-EMPTY: ").count(), 1, "{}", outcome.stderr);
            assert!(line.unwrap().contains(words), "{}", outcome.stderr);
        };
        let silent = |outcome: &Outcome| {
            assert!(!outcome.stderr.contains("W-TABLE-EMPTY"), "{layout:?}: {}", outcome.stderr);
        };
        silent(&run(&first, &output, &[]));
        let other = scratch.path().join("other");
        told(&run(&first, &other, &[]), "nothing was read");
        // Another day of this folder gets what is new, also when old days were removed.
        if layout == dated {
            silent(&run(&first, &output, &[("datestamp", "2026-11-21")]));
        }
        if layout != each {
            fs::remove_dir_all(output.join("source=s")).ok();
            fs::remove_file(output.join("t.csv")).ok();
            told(&run(&first, &output, &[]), "nothing was read");
        }
        if layout == dated {
            silent(&run(&first, &output, &[("datestamp", "2026-11-21")]));
        }
        // What comes since the state is no more of the whole than nothing is.
        file(&input, "2.csv", "id,n\n2,b\n");
        let part = run(&first, &other, &[]);
        told(&part, "only the rows since the state");
        let second = state(&part);
        silent(&run(&second, &other, &[]));
        silent(&run(&json!({}), &output, &[]));
        silent(&run(&second, &output, &[]));
    }
    // A file that has lost its rows, and one that had none.
    let scratch = folder();
    let input = scratch.path().join("in");
    for (rows, is_told) in [("1,a\n", true), ("", false)] {
        file(&input, "1.csv", format!("id,n\n{rows}"));
        let into = || ours("target-csv").set("output_path", scratch.path().display());
        let first = state(&pipe_succeeds(tap(&input, &json!({})), into()).1);
        fs::write(scratch.path().join("t.csv"), "id,n\n").unwrap();
        let second = pipe_succeeds(tap(&input, &first), into()).1;
        assert_eq!(second.stderr.contains("W-TABLE-EMPTY"), is_told, "{}", second.stderr);
    }
}

#[test]
fn a_property_that_some_schemas_lack_is_told() {
    let integer = || json!({ "type": ["integer", "null"] });
    let wide =
        (json!({ "id": integer(), "a": integer(), "b": integer() }), json!({ "a": 1, "b": 2 }));
    let narrow = (json!({ "a": integer(), "id": integer() }), json!({ "a": 3 }));
    let told = |keys: &[&str], parts: &[(&(Value, Value), usize)]| {
        let scratch = folder();
        let mut lines = Lines::default();
        let mut id = 0;
        for ((columns, record), rows) in parts {
            lines = lines.schema("t", columns, keys);
            for _ in 0..*rows {
                id += 1;
                let mut record = record.clone();
                record["id"] = id.into();
                lines = lines.record("t", &record);
            }
        }
        let outcome = to_lake(scratch.path(), "s", DAY).input(lines.0).go().success();
        let told = outcome.stderr.lines().find(|line| line.contains("W-PROPERTY-ABSENT: "));
        told.map(|line| line.contains("has null there: b."))
    };
    let (wide, narrow) = (&wide, &narrow);
    for rows in [1, 70_000] {
        assert_eq!(told(&["id"], &[(wide, rows), (narrow, rows)]), Some(true));
        assert_eq!(told(&["id"], &[(narrow, rows), (wide, rows)]), Some(true));
        assert_eq!(told(&["id"], &[(wide, 1), (narrow, rows), (wide, 1)]), Some(true));
    }
    // No row came by one of them, or none replaces another.
    assert_eq!(told(&["id"], &[(wide, 1), (narrow, 0), (wide, 1)]), None);
    assert_eq!(told(&["id"], &[(narrow, 0), (wide, 2)]), None);
    assert_eq!(told(&["id"], &[(narrow, 2), (wide, 0)]), None);
    assert_eq!(told(&[], &[(wide, 1), (narrow, 1)]), None);
}

/// Writes a row of a stream to plain files.
fn plain(folder: &Path, stream: &str, settings: &Value) -> Run {
    let lines = Lines::default().schema(stream, &json!({ "id": { "type": "integer" } }), &["id"]);
    let lines = lines.record(stream, &json!({ "id": 1 }));
    let mut settings = settings.clone();
    settings["output_path"] = folder.to_str().into();
    ours("target-csv").config(&settings).input(lines.0)
}

#[test]
fn a_plain_file_is_not_replaced_by_that_of_another_stream() {
    let runs_together = "{source}_{stream_name}.csv";
    let shop = |source: &str| json!({ "source": source, "file_naming_scheme": runs_together });
    let one = |scheme: &str| json!({ "file_naming_scheme": scheme });
    for (first, second) in [
        ((shop("shop"), "eu_orders"), (shop("shop_eu"), "orders")),
        ((one("all.csv"), "a"), (one("all.csv"), "b")),
        ((one("{datestamp}.csv"), "b"), (one("{datestamp}.csv"), "c")),
    ] {
        let scratch = folder();
        let out = scratch.path().join("out");
        let run = |(settings, stream): &(Value, &str)| plain(&out, stream, settings);
        run(&first).go().success();
        run(&first).go().success();
        let refused = run(&second).go().exits(78);
        assert!(
            refused.stderr.contains(&format!("other stream: {}", first.1)),
            "{}",
            refused.stderr
        );
        // The hint helps.
        let name = names(&out).into_iter().find(|name| !name.starts_with('.')).unwrap();
        fs::remove_file(out.join(name)).unwrap();
        run(&second).go().success();
    }
    // What a name tells apart needs no note.
    let scratch = folder();
    for scheme in
        ["{stream_name}.csv", "{source}/{stream_name}.csv", "{stream_name}-{datestamp}.csv"]
    {
        let settings = json!({ "source": "s", "file_naming_scheme": scheme });
        plain(scratch.path(), "t", &settings).go().success();
    }
    let hidden: Vec<_> =
        names(scratch.path()).into_iter().filter(|n| n.contains("written_for")).collect();
    assert_eq!(hidden, [""; 0]);
}

#[test]
fn a_plain_file_of_another_day_is_told_when_it_is_replaced() {
    for (format, day, same, other) in [
        ("%Y-%m", "2024-02-29", "2024-02-01", "2024-03-01"),
        ("%Y", "2024-12-31", "2024-01-01", "2025-01-01"),
        ("%A", "2024-02-29", "2024-03-07", "2024-03-01"),
        ("%d", "2024-01-31", "2024-03-31", "2024-01-30"),
        ("%j", "2024-03-01", "2025-03-02", "2024-03-02"),
        ("%m-%d", "2023-05-06", "2024-05-06", "2024-05-07"),
    ] {
        let scratch = folder();
        let run = |day: &str| {
            let scheme = "{stream_name}_{datestamp}.csv";
            let settings = json!({ "datestamp": day, "datestamp_format": format,
                "file_naming_scheme": scheme });
            plain(scratch.path(), "t", &settings).go().success().stderr
        };
        for day in [day, day, other, other] {
            assert!(!run(day).contains("W-FILE-REPLACED"), "{format} {day}");
        }
        let told = run(same);
        let expected = format!("W-FILE-REPLACED: the file of {day} is replaced by that of {same}");
        assert!(told.contains(&expected), "{format}: {told}");
        assert!(!run(same).contains("W-FILE-REPLACED"), "{format}");
    }
    // Whole dates, in whatever order, tell days apart: there is no note.
    let scratch = folder();
    for format in ["%Y-%m-%d", "%d.%m.%Y", "%Y%j", "%G-%V-%u"] {
        let settings = json!({ "datestamp": DAY, "datestamp_format": format,
            "file_naming_scheme": "{datestamp}.{stream_name}.csv" });
        plain(scratch.path(), "t", &settings).go().success();
    }
    let hidden: Vec<_> =
        names(scratch.path()).into_iter().filter(|n| n.contains("written_for")).collect();
    assert_eq!(hidden, [""; 0]);
}

#[test]
fn names_of_compressed_files_are_refused() {
    let scratch = folder();
    for scheme in ["{stream_name}.csv.gz", "x/{stream_name}.ZST", "{datestamp}.zip"] {
        let settings = json!({ "file_naming_scheme": scheme });
        let refused = plain(scratch.path(), "t", &settings).go().exits(78);
        assert!(refused.stderr.contains("end in .csv"), "{}", refused.stderr);
    }
    let settings = json!({ "file_naming_scheme": "gz/{stream_name}.gz.csv" });
    plain(scratch.path(), "t", &settings).go().success();
}
