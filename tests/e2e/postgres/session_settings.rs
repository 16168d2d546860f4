//! Sessions mean the same whatever the server, the database and the role have set.

use serde_json::json;

use support::cluster::{Database, database};
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, load, to_database};
use support::root;
use support::run::feed;

/// Settings of a database that change text, how it is read, or which rows there are.
const UNUSUAL: &[(&str, &str)] = &[
    ("TimeZone", "America/New_York"),
    ("DateStyle", "German, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("extra_float_digits", "-10"),
    ("bytea_output", "escape"),
    ("client_encoding", "LATIN1"),
    ("quote_all_identifiers", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("array_nulls", "off"),
    ("xmloption", "document"),
    ("standard_conforming_strings", "off"),
    ("synchronous_commit", "off"),
    ("client_min_messages", "error"),
    ("timezone_abbreviations", "Australia"),
    ("transform_null_equals", "on"),
    ("default_transaction_isolation", "serializable"),
    ("backslash_quote", "off"),
    ("search_path", "elsewhere"),
    ("xmlbinary", "hex"),
];

fn set_all(database: &Database) {
    for (name, value) in UNUSUAL {
        database.psql(&format!("ALTER DATABASE {} SET {name} = '{value}'", database.name));
    }
}

#[test]
fn every_setting_of_the_server_goes_one_way() {
    let table = std::fs::read_to_string(root().join("lib/pg/src/parameters.rs")).unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let known: Vec<&str> = table.split(|c| !is_word(c)).collect();
    let server = database("parameters");
    let names = "SELECT name FROM pg_settings WHERE context IN ('user', 'superuser') \
                 AND name NOT LIKE '%.%' ORDER BY 1";
    let names = server.psql(names);
    let new: Vec<&str> = names.lines().filter(|name| !known.contains(name)).collect();
    if server.psql("SHOW server_version_num").starts_with("15") {
        assert!(new.is_empty(), "say in lib/pg/src/parameters.rs which way each goes: {new:?}");
        assert!(names.lines().count() > 100, "{names}");
    } else if !new.is_empty() {
        eprintln!("settings that lib/pg/src/parameters.rs does not know yet: {new:?}");
    }
}

#[test]
fn unusual_settings_change_no_value() {
    let make = "
        CREATE EXTENSION pg_trgm;
        CREATE TABLE t (id integer PRIMARY KEY, b bytea, bs bytea[], m money, n name, f float8,
            r real, p point, d date, ts timestamp, tz timestamptz, i interval, x xml, a text[],
            c regclass, bits bit(3), char \"char\", xs text);
        INSERT INTO t SELECT n, '\\x0001ff5c', ARRAY['\\x5c78'::bytea, NULL], 1234567.89::money,
            repeat('n', 63), 0.1::float8 + 0.2::float8, 16777217.1::real, point(0.1, 1e-300),
            '2026-02-03', '2026-02-03 04:05:06.789', '2026-02-03 04:05:06.789+05:45',
            '-1 year 2 months -3 days 04:05:06.7', 'a<b/>c', ARRAY[NULL, 'NULL', '\\'],
            'pg_class', B'101', 'x', 'abc \\ '' é ' || n
        FROM generate_series(1, 200) n;";
    let (source, target, scratch) = (database("unusual"), database("unusual_to"), folder());
    set_all(&source);
    set_all(&target);
    // The sessions of `psql` are unusual as well.
    let usual = "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
        SET search_path = public; SET array_nulls = on; SET DateStyle = 'ISO, YMD';
        SET xmloption = content; SET extra_float_digits = 3; SET bytea_output = hex;
        SET quote_all_identifiers = off;";
    source.psql(&format!("{usual}{make}"));
    let all = format!(
        "{usual} SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601';
        SELECT * FROM public.t ORDER BY id"
    );
    extract(&source, scratch.path(), DAY);
    load(scratch.path(), DAY, &target, &json!({})).success();
    assert_eq!(target.psql(&all), source.psql(&all));
    let unchanged = load(scratch.path(), DAY, &target, &json!({})).success();
    assert!(unchanged.stderr.contains(": unchanged"), "{}", unchanged.stderr);
    let types = format!(
        "{usual} SELECT string_agg(format_type(atttypid, atttypmod), ',' \
        ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public.t'::regclass AND attnum > 0 \
        AND attname <> 'c' -- What it names need not be there: it is text."
    );
    assert_eq!(target.psql(&types), source.psql(&types));
}

#[test]
fn a_column_that_is_there_takes_its_values_whatever_names_look_like() {
    let target = database("quoted");
    target.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, b bytea, m money, n name, v varchar(3));
         INSERT INTO t VALUES (1, '\\x00', 1, 'n', 'v')",
    );
    target.psql(&format!("ALTER DATABASE {} SET quote_all_identifiers = on", target.name));
    let hex = json!({ "type": "string", "contentEncoding": "base16" });
    let text = json!({ "type": "string" });
    let columns = json!({ "id": { "type": "integer" }, "b": hex, "m": text, "n": text, "v": text });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    let row = json!({ "id": 1, "b": "00ff", "m": "$12.34", "n": "name", "v": "abc" });
    let good = lines.clone().record("t", &row).done();
    to_database(&target, &json!({})).input(good.0).go().success();
    let all = "SET bytea_output = hex; SELECT * FROM t";
    assert_eq!(target.psql(all), "1|\\x00ff|$12.34|name|abc");
    // What such a column would cut or round is refused, as ever.
    for (name, value) in [("m", "$1.234".to_owned()), ("n", "n".repeat(64)), ("v", "abcd".into())] {
        let mut row = row.clone();
        row[name] = value.into();
        let bad = lines.clone().record("t", &row).done();
        to_database(&target, &json!({})).input(bad.0).go().exits(65);
    }
}

#[test]
fn a_commit_lasts_before_a_state_is_printed() {
    let target = database("durable");
    // What each load commits with, told by a trigger at the end of its transaction.
    target.psql(
        "CREATE TABLE seen (how text);
         CREATE TABLE t (id integer PRIMARY KEY, name text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION tell()",
    );
    let loads = [
        ("off", "on"),
        ("local", "on"),
        ("remote_write", "on"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ];
    for (number, (set, expected)) in (1..).zip(loads) {
        target.psql(&format!("ALTER DATABASE {} SET synchronous_commit = {set}", target.name));
        // Into a table without rows, and into one with some.
        for (id, empty) in [(2 * number, "TRUNCATE t;"), (2 * number + 1, "")] {
            target.psql(&format!("{empty} TRUNCATE seen"));
            let lines = Lines::whole(&[(id, "a")]);
            to_database(&target, &json!({})).input(lines.0).go().success();
            assert_eq!(target.psql("SELECT * FROM seen"), expected, "{set}");
        }
    }
}

#[test]
fn a_view_changes_no_table_behind_it() {
    let source = database("set_by_view");
    source.psql(
        "CREATE FUNCTION change(name text, value text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config(name, value, false); RETURN 1; END $$;
         CREATE VIEW a1 AS SELECT public.change('extra_float_digits', '0') AS id;
         CREATE VIEW a2 AS SELECT public.change('bytea_output', 'escape') AS id;
         CREATE VIEW a3 AS SELECT public.change('IntervalStyle', 'postgres') AS id;
         CREATE VIEW a4 AS SELECT public.change('DateStyle', 'German') AS id;
         CREATE VIEW a5 AS SELECT public.change('TimeZone', 'Asia/Tokyo') AS id,
           ARRAY[timestamptz '2026-01-01 00:00+00'] AS tz;
         CREATE VIEW a6 AS SELECT public.change('search_path', 'public') AS id;
         CREATE TABLE z (f float8, b bytea, i interval, d date, tz timestamptz, c regclass);
         INSERT INTO z VALUES (0.1::float8 + 0.2::float8, '\\x00ff', '1 day', '2026-01-02',
           '2026-01-01 00:00+00', 'z')",
    );
    let outcome = from_database(&source, &json!({})).go().success();
    assert_eq!(
        outcome.records("public-z"),
        [json!({ "f": 0.300_000_000_000_000_04, "b": "00ff", "i": "P1D", "d": "2026-01-02",
            "tz": "2026-01-01T00:00:00+00:00", "c": "public.z" })]
    );
    for (view, setting) in [("a1", "extra_float_digits"), ("a6", "search_path")] {
        let told = format!("changed the setting {setting} of the session while public.{view}");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    }
    // Where the text of its own columns depends on it, nobody can tell what is right.
    for (view, setting) in [
        ("SELECT public.change('extra_float_digits', '0') AS id, 0.1::float8 AS f", "extra_float"),
        ("SELECT public.change('lc_monetary', 'POSIX') AS id, 1::money AS m", "lc_monetary"),
        (
            "SELECT public.change('DateStyle', 'German') AS id, tsrange(now()::timestamp, NULL)",
            "DateStyle",
        ),
        ("SELECT public.change('search_path', 'public') AS id, 'z'::regclass AS c", "search_path"),
    ] {
        source.psql(&format!("CREATE VIEW b AS {view}"));
        let outcome = from_database(&source, &json!({})).go().exits(69);
        assert!(outcome.stderr.contains("function changed the session"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(setting), "{}", outcome.stderr);
        source.psql("DROP VIEW b");
    }
}

#[test]
fn what_a_trigger_sets_ends_with_its_load() {
    let target = database("set_by_trigger");
    target.psql(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config('synchronous_commit', 'off', false);
           PERFORM set_config('array_nulls', 'off', false);
           PERFORM set_config('search_path', 'nowhere', false);
           PERFORM set_config('TimeZone', 'Asia/Tokyo', false);
           RETURN NEW; END $$;
         CREATE TABLE a (id integer PRIMARY KEY, name text);
         INSERT INTO a VALUES (0, 'old');
         CREATE TRIGGER change BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION change();
         CREATE TABLE z (id integer PRIMARY KEY, a text[], tz timestamptz);
         INSERT INTO z VALUES (0)",
    );
    let list = json!({ "type": ["array", "null"], "items": { "type": ["string", "null"] } });
    let moment = json!({ "type": ["string", "null"], "format": "date-time" });
    let columns = json!({ "id": { "type": "integer" }, "a": list, "tz": moment });
    let name = json!({ "id": { "type": "integer" }, "name": { "type": "string" } });
    let lines = Lines::default()
        .syncing("a")
        .schema("a", &name, &["id"])
        .record("a", &json!({ "id": 1, "name": "n" }))
        .syncing("z")
        .schema("z", &columns, &["id"])
        .record("z", &json!({ "id": 1, "a": [null, "NULL"], "tz": "2026-01-01T00:00:00" }))
        .done();
    feed(
        "target-postgres",
        &target.settings_with(&json!({ "default_target_schema": "public" })),
        &lines.0,
    )
    .success();
    assert_eq!(target.psql("SELECT a FROM z WHERE id = 1"), "{NULL,\"NULL\"}");
    assert_eq!(
        target.psql("SET TimeZone = 'UTC'; SELECT tz FROM z WHERE id = 1"),
        "2026-01-01 00:00:00+00"
    );
}
