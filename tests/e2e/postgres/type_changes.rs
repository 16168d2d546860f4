//! Columns whose type does not fit the class of the new values: `on_type_change`.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database};
use support::run::Outcome;

const METHODS: [&str; 4] = ["upsert", "append-only", "overwrite", "replace-partition"];

/// Rows of stream `t`, whose `id` is the key and whose `v` is of this type; without a value a
/// record lacks it.
fn rows(lines: Lines, property: &Value, rows: &[(i64, Value)]) -> Lines {
    let columns = json!({ "id": { "type": "integer" }, "v": property, "n": { "type": "integer" } });
    rows.iter().fold(lines.schema("t", &columns, &["id"]), |lines, (id, value)| {
        lines.record(
            "t",
            &match value {
                Value::Null => json!({ "id": id }),
                value => json!({ "id": id, "v": value, "n": 1 }),
            },
        )
    })
}

fn run(property: &Value, some: &[(i64, Value)]) -> Lines {
    rows(Lines::default().syncing("t"), property, some).done()
}

fn load(target: &Database, method: &str, how: &str, lines: &Lines) -> Outcome {
    let settings = json!({
        "load_method": method, "on_type_change": how, "source": "s", "datestamp": DAY,
    });
    to_database(target, &settings).input(lines.0.clone()).go()
}

fn of(kind: &str) -> Value {
    json!({ "type": ["null", kind] })
}

fn columns(target: &Database) -> String {
    target.psql(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
         FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped
         AND attname LIKE 'v%'",
    )
}

#[test]
fn a_column_becomes_what_keeps_old_and_new_rows() {
    let target = database("type_widen");
    let text = run(&of("string"), &[(1, json!("five")), (3, json!("6"))]);
    for method in METHODS {
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        load(&target, method, "widen", &run(&of("integer"), &[(1, json!(5)), (2, json!(7))]))
            .success();
        assert_eq!(columns(&target), "v bigint");
        let changed = load(&target, method, "widen", &text).success();
        assert!(changed.stderr.contains("TYPE text USING"), "{method}: {}", changed.stderr);
        assert_eq!(columns(&target), "v text", "{method}");
        let kept = match method {
            "upsert" => "1 five|2 7|3 6",
            "append-only" => "1 5|1 five|2 7|3 6",
            _ => "1 five|3 6",
        };
        let all = "SELECT string_agg(id || ' ' || v, '|' ORDER BY id, v) FROM t";
        assert_eq!(target.psql(all), kept, "{method}");
        // What came before comes again: the column stays text.
        load(&target, method, "widen", &run(&of("integer"), &[(9, json!(10))])).success();
        assert_eq!(columns(&target), "v text", "{method}");
        assert_eq!(target.psql("SELECT v FROM t WHERE id = 9"), "10", "{method}");
    }
}

/// The text that a column gets is the one that comes of the same rows by our tap.
#[test]
fn old_rows_have_the_text_that_our_tap_prints() {
    let target = database("type_texts");
    let values = [
        ("smallint", "-32768 0 7"),
        ("numeric(12,4)", "1.5 -0.0001 NaN"),
        ("real", "0.1 1e20 -0 NaN Infinity"),
        ("double precision", "0.30000000000000004 1e-300 1e22"),
        ("boolean", "t f"),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("date", "2026-01-31 0044-03-15_BC infinity 12024-02-29"),
        ("time(3)", "23:59:59.125 24:00:00"),
        ("timetz", "06:04:19+05 06:04:19.5-05:45 00:00:00+00"),
        (
            "timestamp",
            "2026-01-31_10:00:00.5 0044-03-15_01:02:03_BC -infinity 12024-02-29_00:00:00",
        ),
        ("timestamptz", "2026-01-31_10:00:00.5+05:45 0044-03-15_01:02:03+00_BC infinity"),
    ];
    for (sql, texts) in values {
        let rows: Vec<String> = texts
            .split(' ')
            .enumerate()
            .map(|(id, text)| format!("({id}, '{}')", text.replace('_', " ")))
            .collect();
        target.psql(&format!(
            "DROP TABLE IF EXISTS t, _sdc_tables; CREATE TABLE t (id bigint PRIMARY KEY, v {sql});
             INSERT INTO t VALUES {}",
            rows.join(", ")
        ));
        let tap = from_database(&target, &json!({})).go().success();
        let printed = tap.records("public-t").into_iter().map(|record| match &record["v"] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        let printed: Vec<String> = printed.collect();
        // Numbers with the digits that they came with, not those that a reader makes of them.
        let raw = tap.text();
        let comes = if sql == "boolean" { of("integer") } else { of("boolean") };
        load(&target, "upsert", "widen", &run(&comes, &[])).success();
        assert_eq!(columns(&target), "v text", "{sql}");
        let kept = target.psql("SELECT v FROM t ORDER BY id");
        for (kept, printed) in kept.lines().zip(&printed) {
            let number =
                raw.contains(&format!("\"v\":{kept}}}")) || raw.contains(&format!("\"v\":{kept},"));
            assert!(kept == printed || number, "{sql}: {kept} is not {printed}");
        }
        assert_eq!(kept.lines().count(), printed.len(), "{sql}");
    }
}

#[test]
fn a_type_changes_in_mid_stream() {
    let target = database("type_mid");
    let change = |stamps: bool| {
        let (first, old) = if stamps {
            (json!({ "type": "string", "format": "date-time" }), json!("2026-01-31T10:00:00Z"))
        } else {
            (of("integer"), json!(5))
        };
        let lines = rows(Lines::default().syncing("t"), &first, &[(1, old.clone()), (2, old)]);
        rows(lines, &of("string"), &[(2, json!("x")), (3, json!("y"))]).done()
    };
    for method in METHODS {
        for (stamps, old) in [(false, "5"), (true, "2026-01-31T10:00:00+00:00")] {
            target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
            load(&target, method, "widen", &change(stamps)).success();
            assert_eq!(columns(&target), "v text", "{method}");
            let twice = if method == "append-only" { format!("|2 {old}") } else { String::new() };
            let all = target.psql("SELECT string_agg(id || ' ' || v, '|' ORDER BY id, v) FROM t");
            assert_eq!(all, format!("1 {old}{twice}|2 x|3 y"), "{method}");

            target.psql("DROP TABLE t, _sdc_tables");
            load(&target, method, "add_column", &change(stamps)).success();
            let made = if stamps { "v timestamp with time zone" } else { "v bigint" };
            assert_eq!(columns(&target), format!("{made}, v__text text"), "{method}");
            let all =
                "SELECT string_agg(id || coalesce(' ' || v__text, ''), '|' ORDER BY id, v__text)
                       FROM t";
            let twice = if method == "append-only" { "|2 x|2" } else { "|2 x" };
            assert_eq!(target.psql(all), format!("1{twice}|3 y"), "{method}");
        }
    }
}

#[test]
fn what_a_column_does_not_take_has_one_of_its_own() {
    let target = database("type_split");
    let text = |some: &[(i64, Value)]| run(&of("string"), some);
    let number = |some: &[(i64, Value)]| run(&of("integer"), some);
    let all =
        "SELECT string_agg(concat_ws(' ', id, coalesce(v::text, '-'), coalesce(v__text, '-')),
                 '|' ORDER BY id, v, v__text) FROM t";
    for method in METHODS {
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let load = |lines: Lines| load(&target, method, "add_column", &lines).success();
        load(number(&[(1, json!(5)), (2, json!(7))]));
        load(text(&[(1, json!("five")), (3, json!("6"))]));
        assert_eq!(columns(&target), "v bigint, v__text text", "{method}");
        let expected = match method {
            "upsert" => "1 - five|2 7 -|3 - 6",
            "append-only" => "1 5 -|1 - five|2 7 -|3 - 6",
            _ => "1 - five|3 - 6",
        };
        assert_eq!(target.psql(all), expected, "{method}");
        // In later runs as well; a record without the column leaves both alone in an upsert.
        load(text(&[(1, Value::Null), (2, json!("seven"))]));
        load(number(&[(3, json!(8))]));
        assert_eq!(columns(&target), "v bigint, v__text text", "{method}");
        let expected = match method {
            "upsert" => "1 - five|2 - seven|3 8 -",
            "append-only" => "1 5 -|1 - five|1 - -|2 7 -|2 - seven|3 8 -|3 - 6",
            _ => "3 8 -",
        };
        assert_eq!(target.psql(all), expected, "{method}");
    }
    // Another class has another column.
    load(&target, "replace-partition", "add_column", &run(&of("boolean"), &[(4, json!(true))]))
        .success();
    assert_eq!(columns(&target), "v bigint, v__text text, v__boolean boolean");
    assert_eq!(target.psql("SELECT v__boolean, v, v__text FROM t WHERE id = 4"), "t||");
    // A column of that name that was not made for it is no place for its values.
    target.psql("COMMENT ON COLUMN t.v__text IS 'mine'");
    let refused =
        load(&target, "replace-partition", "add_column", &text(&[(5, json!("x"))])).exits(65);
    assert!(refused.stderr.contains("name taken: v__text"), "{}", refused.stderr);
}

#[test]
fn defaults_of_the_server_do_not_fill_the_other_column() {
    let target = database("type_default");
    for method in ["append-only", "upsert"] {
        target.psql(
            "DROP TABLE IF EXISTS t, _sdc_tables;
             CREATE TABLE t (id bigint PRIMARY KEY, v bigint DEFAULT 7, n bigint)",
        );
        let lines = run(&of("string"), &[(1, json!("x"))]);
        load(&target, method, "add_column", &lines).success();
        assert_eq!(target.psql("SELECT id, v, v__text FROM t"), "1||x", "{method}");
    }
}

#[test]
fn keys_and_what_has_no_exact_text_are_refused_with_a_reason() {
    let target = database("type_refused");
    let keyed = |kind: &str, key: Value| {
        let columns = json!({ "id": { "type": kind } });
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        lines.record("t", &json!({ "id": key })).done()
    };
    for method in ["upsert", "overwrite", "append-only"] {
        for how in ["refuse", "widen", "add_column"] {
            target.psql(
                "DROP TABLE IF EXISTS t, _sdc_tables; CREATE TABLE t (id bigint PRIMARY KEY);
                 INSERT INTO t VALUES (1)",
            );
            let refused = load(&target, method, how, &keyed("string", json!("a"))).exits(65);
            assert!(refused.stderr.contains("part of a key"), "{method} {how}: {}", refused.stderr);
            assert_eq!(target.psql("SELECT id FROM t"), "1");
        }
    }
    target.psql("DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, v money, n bigint)");
    let lines = run(&of("boolean"), &[(1, json!(true))]);
    for how in ["refuse", "widen"] {
        let refused = load(&target, "upsert", how, &lines).exits(65);
        assert!(refused.stderr.contains("hint: set `on_type_change: add_column`"), "{refused:?}");
    }
    load(&target, "upsert", "add_column", &lines).success();
    assert_eq!(columns(&target), "v money, v__boolean boolean");
    // The refusal of the default names the setting.
    target.psql(
        "DROP TABLE t, _sdc_tables; CREATE TABLE t (id bigint PRIMARY KEY, v date, n bigint)",
    );
    let refused = load(&target, "upsert", "refuse", &lines).exits(65);
    assert!(refused.stderr.contains("set `on_type_change` to `widen` (the column becomes text)"));
}

#[test]
fn a_view_that_reads_the_column_is_named_with_what_to_do() {
    let target = database("type_view");
    let views = "CREATE VIEW \"My view\" AS SELECT id, v FROM t;
         CREATE MATERIALIZED VIEW later AS SELECT v FROM \"My view\";";
    target.psql(&format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, v bigint, n bigint); INSERT INTO t VALUES (1, 5);
         {views}"
    ));
    let lines = run(&of("string"), &[(2, json!("x"))]);
    let refused = load(&target, "upsert", "widen", &lines).exits(69);
    let named = "views: public.later, public.\"My view\"";
    assert!(refused.stderr.contains(named), "{}", refused.stderr);
    assert_eq!(columns(&target), "v bigint");
    // The hint, followed to the letter.
    let hint = refused.stderr.split("run: ").nth(1).unwrap().split("; load").next().unwrap();
    target.psql(hint);
    load(&target, "upsert", "widen", &lines).success();
    target.psql(views);
    assert_eq!(target.psql("SELECT string_agg(v, '|' ORDER BY v) FROM later"), "5|x");
    // A column of its own is no matter to a view.
    let other = run(&of("boolean"), &[(3, json!(true))]);
    target.psql(
        "DROP VIEW \"My view\" CASCADE; DROP TABLE t, _sdc_tables;
         CREATE TABLE t (id bigint PRIMARY KEY, v bigint, n bigint);
         CREATE VIEW seen AS SELECT * FROM t",
    );
    load(&target, "upsert", "add_column", &other).success();
    assert_eq!(target.psql("SELECT count(*) FROM seen"), "1");
}
