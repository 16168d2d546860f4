//! Keys that are equal in the table, and columns that the server fills by itself.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database};
use support::run::{Outcome, feed, pipe, pipe_succeeds};

fn into(target: &Database, more: &Value, lines: &Lines) -> Outcome {
    let mut settings = target.settings_with(more);
    settings["default_target_schema"] = "public".into();
    settings["add_record_metadata"] = false.into();
    feed("target-postgres", &settings, &lines.0)
}

/// Rows of a key and a value.
fn rows(key: &Value, rows: &[(&str, i64)]) -> Lines {
    let columns = json!({ "id": key, "n": { "type": "integer" } });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    rows.iter().fold(lines, |lines, (id, n)| lines.record("t", &json!({ "id": id, "n": n }))).done()
}

fn keyed() -> [Value; 3] {
    ["upsert", "overwrite", "replace-partition"]
        .map(|method| json!({ "load_method": method, "source": "s", "datestamp": DAY }))
}

/// Makes a table with a key of this type for a way to load.
fn table(target: &Database, key: &str, way: &Value) {
    let (columns, key_columns) = if way["load_method"] == "replace-partition" {
        (
            format!("_sdc_source text DEFAULT 's', _sdc_datestamp date DEFAULT '{DAY}',"),
            "_sdc_source, _sdc_datestamp, id",
        )
    } else {
        (String::new(), "id")
    };
    target.psql(&format!(
        "DROP TABLE IF EXISTS t;
         CREATE TABLE t ({columns} id {key}, n integer, PRIMARY KEY ({key_columns}))"
    ));
}

const TYPES: &str = "CREATE EXTENSION citext; CREATE DOMAIN email AS citext;
    CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";

#[test]
fn of_equal_keys_the_last_spelling_stays() {
    let target = database("spelling");
    target.psql(TYPES);
    let string = json!({ "type": "string" });
    let cases = [
        ("citext", "AbC", "ABC", &string),
        ("email", "AbC", "ABC", &string),
        ("text COLLATE blind", "AbC", "ABC", &string),
        ("numeric", "1.0", "1.000", &json!({ "type": "number" })),
        ("bpchar", "a ", "a", &string),
    ];
    for (sql, old, new, key) in cases {
        for way in keyed() {
            table(&target, sql, &way);
            target.psql(&format!("INSERT INTO t (id, n) VALUES ('{old}', 1)"));
            for n in [1, 2] {
                let lines = rows(key, &[(new, n)]);
                let lines = if sql == "numeric" {
                    Lines(
                        String::from_utf8(lines.0)
                            .unwrap()
                            .replace(&format!("\"{new}\""), new)
                            .into(),
                    )
                } else {
                    lines
                };
                into(&target, &way, &lines).success();
                let held = target.psql("SELECT '[' || id::text || ']', n FROM t");
                assert_eq!(held, format!("[{new}]|{n}"), "{sql} {way}");
            }
            let before = target.psql("SELECT xmin, ctid FROM t");
            let same = rows(key, &[(new, 2)]);
            if sql != "numeric" {
                into(&target, &way, &same).success();
                assert_eq!(target.psql("SELECT xmin, ctid FROM t"), before, "{sql} {way}");
            }
        }
    }
}

#[test]
fn keys_that_are_two_in_the_source_and_one_in_the_table_are_refused_with_both() {
    let target = database("two_keys");
    target.psql(TYPES);
    let upper = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
    let lower = upper.to_lowercase();
    for (sql, one, other) in [
        ("citext", "abc", "ABC"),
        ("email", "abc", "ABC"),
        ("text COLLATE blind", "abc", "ABC"),
        ("char(5)", "a", "a "),
        ("uuid", upper, lower.as_str()),
        ("inet", "10.0.0.1", "10.0.0.1/32"),
    ] {
        let there = match sql {
            "uuid" => "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "inet" => "10.0.0.2",
            _ => "zz",
        };
        for key in
            [json!({ "type": "string" }), json!({ "type": "string", "x-sql-datatype": "text" })]
        {
            // Such a column becomes text, as its source says.
            if sql == "char(5)" && !key["x-sql-datatype"].is_null() {
                continue;
            }
            for way in keyed() {
                for filled in [false, true] {
                    table(&target, sql, &way);
                    if filled {
                        target.psql(&format!("INSERT INTO t (id, n) VALUES ('{there}', 0)"));
                    }
                    let lines = rows(&key, &[(one, 1), (other, 2)]);
                    let refused = into(&target, &way, &lines);
                    assert_eq!(refused.code, 65, "{sql} {key} {way} {filled}");
                    let both = [one, other].iter().all(|key| refused.stderr.contains(key));
                    assert!(both, "{sql} {way}: {}", refused.stderr);
                    let held = target.psql("SELECT count(*) FROM t WHERE n > 0");
                    assert_eq!(held, "0", "{sql} {way}");
                    into(&target, &way, &rows(&key, &[(one, 1), (one, 2)])).success();
                    assert_eq!(target.psql("SELECT n FROM t WHERE n > 0"), "2");
                }
            }
        }
    }
}

/// Rows of a key, as JSON, and a value.
fn json_rows(key: &Value, rows: &[(&str, i64)]) -> Lines {
    let columns = json!({ "id": key, "n": { "type": "integer" } });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    let record = |(id, n): &(&str, i64)| {
        format!(r#"{{"type":"RECORD","stream":"t","record":{{"id":{id},"n":{n}}}}}"#)
    };
    rows.iter().fold(lines, |lines, row| lines.raw(record(row))).done()
}

#[test]
fn arrays_that_are_two_keys_in_the_source_and_one_in_the_table_are_refused() {
    let target = database("two_arrays");
    target.psql(TYPES);
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    for (sql, one, other, written_otherwise) in [
        ("interval[]", r#"["P1M", "P1D"]"#, r#"["P30D", "P1D"]"#, r#"[ "P1M","P1D" ]"#),
        ("char(5)[]", r#"["a,b", "x"]"#, r#"["a,b  ", "x"]"#, r#"["a\u002cb","x"]"#),
        ("citext[]", r#"["abc", "x"]"#, r#"["aBc", "x"]"#, r#"["ab\u0063","x"]"#),
        ("email[]", r#"["x"]"#, r#"["X"]"#, r#"["\u0078"]"#),
        ("text[] COLLATE blind", r#"["abc"]"#, r#"["aBc"]"#, r#"[ "abc"]"#),
    ] {
        for way in keyed() {
            table(&target, sql, &way);
            let refused = into(&target, &way, &json_rows(&strings, &[(one, 1), (other, 2)]));
            let said = refused.exits(65);
            assert!(said.stderr.contains("two keys of the stream"), "{sql} {way}: {}", said.stderr);
            assert_eq!(target.psql("SELECT count(*) FROM t"), "0", "{sql} {way}");
            let same = json_rows(&strings, &[(one, 1), (written_otherwise, 2)]);
            let outcome = into(&target, &way, &same).success();
            assert!(!outcome.stderr.contains("W-KEY-RE"), "{sql} {way}: {}", outcome.stderr);
            assert_eq!(target.psql("SELECT n FROM t"), "2", "{sql} {way}");
        }
        // In a later run it may be the same row.
        let upsert = &keyed()[0];
        table(&target, sql, upsert);
        for (key, told) in [(one, false), (one, false), (other, true)] {
            let outcome = into(&target, upsert, &json_rows(&strings, &[(key, 1)])).success();
            let says = outcome.stderr.contains("W-KEY-RESPELLED: ");
            assert_eq!(says, told, "{sql} {key}: {}", outcome.stderr);
        }
    }
    // Elements that a column alone would take for one value are no two keys here either.
    for (sql, items, one, other) in [
        ("numeric[]", json!({ "type": "number" }), "[1.0]", "[1.00]"),
        (
            "uuid[]",
            json!({ "type": "string", "format": "uuid" }),
            r#"["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]"#,
            r#"["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]"#,
        ),
        ("jsonb[]", json!({}), r#"[{"a": 1}]"#, r#"[{"a":1.0}]"#),
    ] {
        let upsert = &keyed()[0];
        table(&target, sql, upsert);
        let list = json!({ "type": "array", "items": items });
        let both = json_rows(&list, &[(one, 1), (other, 2)]);
        into(&target, upsert, &both).success();
        assert_eq!(target.psql("SELECT n FROM t"), "2", "{sql}");
    }
}

#[test]
fn arrays_of_a_server_that_are_one_key_in_another_column_are_refused() {
    let (source, target) = (database("arrays_here"), database("arrays_there"));
    source.psql(
        "CREATE TABLE t (id text[] PRIMARY KEY, n integer);
         INSERT INTO t VALUES ('{abc,x}', 1), ('{ABC,x}', 2)",
    );
    target.psql(TYPES);
    for (sql, code, held) in
        [("citext[]", 65, "0"), ("text[] COLLATE blind", 65, "0"), ("text[]", 0, "2")]
    {
        table(&target, sql, &json!({ "load_method": "upsert" }));
        target.psql("DROP TABLE IF EXISTS _sdc_tables");
        let tap = from_database(&source, &json!({}));
        let loaded = pipe(tap, to_database(&target, &json!({ "load_method": "upsert" }))).1;
        assert_eq!(loaded.code, code, "{sql}: {}", loaded.stderr);
        assert_eq!(target.psql("SELECT count(*) FROM t"), held, "{sql}");
    }
}

#[test]
fn blanks_that_a_column_leaves_out_are_told_unless_the_source_fills_up_with_them() {
    let target = database("blanks");
    let (string, upsert) = (json!({ "type": "string" }), &keyed()[0]);
    let list = json!({ "type": "array", "items": string });
    for (sql, keys, other, told) in [
        ("char(4)", ["ab", "ab  "], "z", true),
        ("char(4)", ["ab", "ab"], "z", false),
        // So does a source print that has a column like it, and nobody can tell these apart.
        ("char(4)", ["ab", "ab  "], "zzzz", false),
        ("bpchar", ["ab", "ab "], "z", true),
        ("bpchar", ["ab ", "ab "], "z", false),
    ] {
        for is_list in [false, true] {
            let sql = if is_list { format!("{sql}[]") } else { sql.to_owned() };
            table(&target, &sql, upsert);
            for (run, key) in keys.iter().enumerate() {
                let lines = if is_list {
                    json_rows(&list, &[(&json!([key, other]).to_string(), 1)])
                } else {
                    rows(&string, &[(key, 1), (other, 2)])
                };
                let outcome = into(&target, upsert, &lines).success();
                let says = outcome.stderr.contains("as equal: 1.");
                assert_eq!(says, told && run == 1, "{sql} {key}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn two_keys_are_found_beyond_a_commit_and_not_beyond_a_run() {
    let target = database("two_keys_late");
    target.psql("CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY, n text)");
    let string = || json!({ "type": "string" });
    let columns = json!({ "id": string(), "n": string() });
    let lines = |rows: &[(&str, &str)]| {
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        // So long that each is a batch.
        let record = |(id, n): &(&str, &str)| json!({ "id": id, "n": n.repeat(2 << 20) });
        rows.iter().fold(lines, |lines, row| lines.record("t", &record(row))).done()
    };
    let more = json!({ "load_method": "upsert", "batch_size_rows": 1 });
    let all = lines(&[("abc", "1"), ("x", "2"), ("abc", "3"), ("ABC", "4")]);
    let refused = into(&target, &more, &all).exits(65);
    assert!(refused.stderr.contains("two keys of the stream"), "{}", refused.stderr);
    let held = || target.psql("SELECT id, left(n, 1) FROM t ORDER BY id");
    assert_eq!(held(), "abc|3\nx|2");
    // Nobody can say whether it is another row of the source, or the same one.
    let told = |outcome: Outcome| {
        assert!(outcome.stderr.contains("W-KEY-RESPELLED: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("as equal: 1."), "{}", outcome.stderr);
    };
    told(into(&target, &more, &lines(&[("ABC", "4")])).success());
    assert_eq!(held(), "ABC|4\nx|2");
    let same = into(&target, &more, &lines(&[("ABC", "5"), ("x", "6"), ("y", "7")])).success();
    assert!(!same.stderr.contains("W-KEY-RESPELLED"), "{}", same.stderr);
    assert_eq!(held(), "ABC|5\nx|6\ny|7");
    told(into(&target, &more, &lines(&[("Y", "8"), ("x", "6")])).success());
}

#[test]
fn a_key_that_a_collation_takes_for_another_is_told() {
    let target = database("collated_keys");
    target.psql(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE t (id text COLLATE loose PRIMARY KEY, n bigint)",
    );
    let key = json!({ "type": "string" });
    let load = |keys: &[(&str, i64)]| {
        into(&target, &json!({ "load_method": "upsert" }), &rows(&key, keys)).success()
    };
    for (keys, warnings) in [
        ([("Ab", 1), ("c", 1)], 0),
        ([("Ab", 2), ("c", 2)], 0),
        ([("aB", 3), ("C", 3)], 1),
        ([("aB", 3), ("d", 3)], 0),
    ] {
        let outcome = load(&keys);
        let told = outcome.stderr.matches("W-KEY-RESPELLED: ").count();
        assert_eq!(told, warnings, "{keys:?}: {}", outcome.stderr);
        assert!(warnings == 0 || outcome.stderr.contains("as equal: 2"), "{}", outcome.stderr);
    }
}

#[test]
fn keys_of_a_source_that_takes_them_for_one_are_one() {
    let (source, target) = (database("citext_here"), database("citext_there"));
    source.psql(
        "CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY, n integer);
        INSERT INTO t VALUES ('AbC', 1)",
    );
    target.psql("CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY, n bigint)");
    let run =
        || pipe_succeeds(from_database(&source, &json!({})), to_database(&target, &json!({})));
    run();
    source.psql("UPDATE t SET id = 'ABC'");
    run();
    assert_eq!(target.psql("SELECT id, n FROM t"), "ABC|1");
    target.psql("DROP TABLE _sdc_tables");
    let key = json!({ "type": "string", "x-sql-datatype": "public.citext" });
    into(&target, &json!({}), &rows(&key, &[("abc", 5), ("aBc", 6)])).success();
    assert_eq!(target.psql("SELECT id, n FROM t"), "aBc|6");
}

/// Rows of `id`, and what else a record has.
fn records(keys: &[&str], records: &[Value]) -> Lines {
    let integer = || json!({ "type": ["integer", "null"] });
    let columns = json!({ "id": { "type": "integer" }, "n": integer(), "seq": integer(),
        "twice": { "type": ["number", "null"] }, "note": { "type": ["string", "null"] } });
    let lines = Lines::default().syncing("t").schema("t", &columns, keys);
    records.iter().fold(lines, |lines, record| lines.record("t", record)).done()
}

#[test]
fn an_identity_keeps_its_value_only_if_that_came() {
    let target = database("identity");
    for way in keyed() {
        let days = way["load_method"] == "replace-partition";
        let (more, key) = if days {
            (", _sdc_source text, _sdc_datestamp date", "_sdc_source, _sdc_datestamp, id")
        } else {
            ("", "id")
        };
        target.psql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint, n bigint, twice numeric, note text,
             seq bigint GENERATED ALWAYS AS IDENTITY{more}, PRIMARY KEY ({key}))"
        ));
        let load = |record: Value| into(&target, &way, &records(&["id"], &[record]));
        let held = || target.psql("SELECT id, n, seq FROM t");
        load(json!({ "id": 1, "n": 1, "seq": 5 })).success();
        assert_eq!(held(), "1|1|5", "{way}");
        let refused = load(json!({ "id": 1, "n": 1, "seq": 7 })).exits(65);
        let named =
            ["seq", "GENERATED BY DEFAULT"].iter().all(|word| refused.stderr.contains(word));
        assert!(named, "{}", refused.stderr);
        load(json!({ "id": 1, "n": 2, "seq": 7 })).exits(65);
        assert_eq!(held(), "1|1|5", "{way}");
        load(json!({ "id": 1, "n": 2, "seq": 5 })).success();
        assert_eq!(held(), "1|2|5", "{way}");
        // What the hint says.
        target.psql("ALTER TABLE t ALTER seq SET GENERATED BY DEFAULT");
        load(json!({ "id": 1, "n": 3, "seq": 7 })).success();
        assert_eq!(held(), "1|3|7", "{way}");
    }
}

#[test]
fn computed_columns_have_the_value_that_came_or_the_run_fails() {
    let target = database("computed");
    let ways = keyed().into_iter().chain([json!({ "load_method": "append-only" })]);
    for (way, keys) in ways.flat_map(|way| [(way.clone(), vec!["id"]), (way, vec![])]) {
        let needless = if keys.is_empty() { "upsert" } else { "append-only" };
        if way["load_method"] == needless {
            continue;
        }
        let days = way["load_method"] == "replace-partition";
        let (more, key) = match (days, keys.is_empty()) {
            (true, true) => (", _sdc_source text, _sdc_datestamp date", ""),
            (true, false) => (
                ", _sdc_source text, _sdc_datestamp date",
                ", PRIMARY KEY (_sdc_source, _sdc_datestamp, id)",
            ),
            (false, false) => ("", ", PRIMARY KEY (id)"),
            (false, true) => ("", ""),
        };
        target.psql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint, n bigint, k integer DEFAULT 2,
             twice numeric GENERATED ALWAYS AS (n * k) STORED, seq bigint,
             note text GENERATED ALWAYS AS ('n' || n) STORED{more}{key})"
        ));
        let load = |list: &[Value]| into(&target, &way, &records(&keys, list));
        let held = || target.psql("SELECT id, n, twice, note FROM t ORDER BY id");
        let good = json!({ "id": 1, "n": 3, "twice": 6.0, "note": "n3" });
        load(std::slice::from_ref(&good)).success();
        assert_eq!(held(), "1|3|6|n3", "{way} {keys:?}");
        for bad in [
            json!({ "id": 2, "n": 4, "twice": 9 }),
            json!({ "id": 2, "n": 4, "twice": 8, "note": "other" }),
        ] {
            let refused = load(&[good.clone(), bad]).exits(65);
            let named = ["twice", "note"].iter().any(|name| refused.stderr.contains(name));
            assert!(named, "{}", refused.stderr);
            assert_eq!(held(), "1|3|6|n3", "{way} {keys:?}");
        }
        target.psql("DELETE FROM t");
        load(&[json!({ "id": 2, "n": 4 }), good]).success();
        assert_eq!(held(), "1|3|6|n3\n2|4|8|n4", "{way} {keys:?}");
    }
}

#[test]
fn a_key_that_the_table_computes_is_refused_with_a_way_out() {
    let target = database("computed_key");
    let make = "DROP TABLE IF EXISTS t; CREATE TABLE t (
        id bigint GENERATED ALWAYS AS (length(name)) STORED PRIMARY KEY, name text)";
    for method in ["upsert", "overwrite"] {
        target.psql(make);
        let load = || {
            let run = to_database(&target, &json!({ "load_method": method }));
            run.input(Lines::whole(&[(7, "a"), (1, "b")]).0).go()
        };
        let refused = load().exits(65);
        let way = "ALTER TABLE \"public\".\"t\" ALTER COLUMN \"id\" DROP EXPRESSION";
        assert!(refused.stderr.contains(way), "{}", refused.stderr);
        target.psql(way);
        load().success();
        assert_eq!(target.psql("SELECT id, name FROM t ORDER BY id"), "1|b\n7|a");
    }
}
