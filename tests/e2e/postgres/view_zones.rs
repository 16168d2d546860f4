//! Views and the like compute in the time zone of the role, and moments are printed in UTC.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, load, to_database};

const MOMENTS: &str = "
    CREATE TABLE t (id integer PRIMARY KEY, ts timestamptz);
    INSERT INTO t VALUES (1, '2026-01-01 18:00+00'), (2, '2026-01-01 20:00+00'),
      (3, '1800-06-01 20:00+00'), (4, 'infinity'), (5, '0044-03-15 09:00+00 BC');
    CREATE FUNCTION day_of(ts timestamptz) RETURNS date STABLE LANGUAGE sql
      AS 'SELECT ts::date';
    CREATE VIEW v AS SELECT id, ts, ts::date AS day, ts::timestamp AS wall, public.day_of(ts) AS f,
      extract(hour FROM ts) AS hour, to_char(ts, 'YYYY-MM-DD HH24:MI') AS text,
      '01/02/2026'::text::date AS written, tstzrange(ts, NULL) AS r FROM t";

fn in_zone(purpose: &str, zone: &str, style: &str) -> Database {
    let source = database(purpose);
    source.psql(MOMENTS);
    source.psql(&format!(
        "ALTER DATABASE {0} SET TimeZone = '{zone}'; ALTER DATABASE {0} SET DateStyle = '{style}'",
        source.name
    ));
    source
}

#[test]
fn a_view_shows_what_everybody_sees() {
    for (zone, style) in [("Asia/Kathmandu", "SQL, DMY"), ("America/New_York", "Postgres, MDY")] {
        let source = in_zone("view_zone", zone, style);
        let (target, scratch) = (database("view_zone_to"), folder());
        extract(&source, scratch.path(), DAY);
        load(scratch.path(), DAY, &target, &json!({})).success();
        // Computed in the session of a user, printed in UTC by another.
        let all = |from: &str| {
            format!(
                "SET DateStyle = 'ISO'; SELECT id, extract(epoch FROM ts), day, wall, f, hour, \
                 text, written, extract(epoch FROM lower(r)) FROM {from} ORDER BY id"
            )
        };
        source.psql("CREATE TABLE judged AS SELECT * FROM v");
        assert_eq!(target.psql(&all("v")), source.psql(&all("judged")), "{zone}");
        let tap = from_database(&source, &json!({})).go().success();
        let moments = |stream: &str| {
            let records = tap.records(stream).into_iter();
            let mut moments: Vec<Value> = records.map(|record| record["ts"].clone()).collect();
            moments.sort_by_key(ToString::to_string);
            moments
        };
        assert_eq!(moments("public-v"), moments("public-t"), "{zone}");
        assert!(moments("public-v").contains(&"2026-01-01T20:00:00+00:00".into()));
    }
}

#[test]
fn bookmarks_of_a_view_mean_the_same_moments() {
    let source = in_zone("view_bookmark", "Asia/Kathmandu", "ISO, DMY");
    source.psql("DELETE FROM t WHERE id > 3");
    let discovered = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    catalog["streams"].as_array_mut().unwrap().retain(|s| s["tap_stream_id"] == "public-v");
    for (key, bookmark) in [
        ("ts", "2026-01-01T20:00:00+00:00"),
        ("day", "2026-01-02"),
        ("wall", "2026-01-02T01:45:00+00:00"),
    ] {
        catalog["streams"][0]["replication_key"] = key.into();
        let run = |settings: Value| {
            let outcome = from_database(&source, &settings).json("--catalog", &catalog).go();
            let outcome = outcome.success();
            let records = outcome.records("public-v").into_iter();
            let ids: Vec<Value> = records.map(|record| record["id"].clone()).collect();
            (ids, outcome)
        };
        let (ids, outcome) = run(json!({}));
        assert_eq!(ids, [3, 1, 2], "{key}");
        let state = outcome.messages().pop().unwrap();
        let kept = &state["value"]["bookmarks"]["public-v"]["replication_key_value"];
        assert_eq!(kept, bookmark, "{state}");
        // From the bookmark on, and from the same moment without an offset, which is UTC.
        let naive = bookmark.trim_end_matches("+00:00");
        for start in [bookmark, naive] {
            assert_eq!(run(json!({ "start_date": start })).0, [2], "{key} {start}");
        }
        assert_eq!(run(json!({ "max_record_count": 1 })).0, [3], "{key}");
        assert_eq!(run(json!({ "max_record_count": 2 })).0, [3, 1], "{key}");
    }
}

#[test]
fn policies_and_foreign_files_compute_in_the_zone_of_the_role() {
    let source = in_zone("policy_zone", "Asia/Kathmandu", "ISO, DMY");
    let scratch = folder();
    let path = support::run::file(scratch.path(), "far.csv", "1,2026-01-01 20:00\n");
    for path in [scratch.path(), &path] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, open).unwrap();
    }
    source.psql(&format!(
        "CREATE ROLE clerk_{0} LOGIN IN ROLE pg_read_server_files; ALTER TABLE t ENABLE ROW LEVEL
           SECURITY;
         GRANT SELECT ON t TO clerk_{0};
         CREATE POLICY second ON t USING (ts::date = '2026-01-02');
         CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE far (id integer, ts timestamptz) SERVER files
           OPTIONS (filename '{1}', format 'csv'); GRANT SELECT ON far TO clerk_{0}",
        source.name,
        path.display()
    ));
    let clerk = json!({ "user": format!("clerk_{}", source.name) });
    let outcome = from_database(&source, &clerk).go().success();
    let expected = json!({ "id": 2, "ts": "2026-01-01T20:00:00+00:00" });
    assert_eq!(outcome.records("public-t"), [expected]);
    let far = json!({ "id": 1, "ts": "2026-01-01T14:15:00+00:00" });
    assert_eq!(outcome.records("public-far"), [far]);
}

#[test]
fn a_load_says_where_triggers_compute_in_another_zone() {
    let target = database("trigger_zone");
    target.psql(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TABLE t (id integer PRIMARY KEY, name text);
         CREATE TABLE d (id integer PRIMARY KEY, name text, made date DEFAULT current_date);
         CREATE TABLE plain (id integer PRIMARY KEY, name text, made timestamptz DEFAULT now());
         CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
    );
    let check = |zone: &str, stream: &str, warned: bool| {
        target.psql(&format!("ALTER DATABASE {} SET TimeZone = '{zone}'", target.name));
        let columns = json!({ "id": { "type": "integer" }, "name": { "type": "string" } });
        let lines = Lines::default().syncing(stream).schema(stream, &columns, &["id"]);
        let lines = lines.record(stream, &json!({ "id": 1, "name": "a" })).done();
        let outcome = to_database(&target, &json!({})).input(lines.0).go().success();
        assert_eq!(outcome.stderr.contains("W-SESSION-ZONE"), warned, "{zone} {}", outcome.stderr);
    };
    check("Etc/UTC", "t", false);
    check("Europe/London", "t", true);
    check("Asia/Tokyo", "d", true);
    check("Asia/Tokyo", "plain", false);
}
