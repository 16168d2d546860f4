//! A bookmark of time never passes the start of the run: a row of the future does not end all
//! reading.

use serde_json::{Value, json};

use crate::api::streams::{bookmark, incremental};
use support::apis::tap_api;
use support::cluster::{Database, database};
use support::pipes::from_database;
use support::run::{Outcome, Run};
use support::web::{Reply, Web};

const CODE: &str = "W-KEY-IN-FUTURE";

fn last_state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages().into_iter().filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

/// A tap on table `t`, read by its column `k` from a state on.
fn by_key(source: &Database, settings: &Value, state: &Value) -> Run {
    let discovered = from_database(source, settings).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    let streams = catalog["streams"].as_array_mut().unwrap();
    streams.retain(|stream| stream["table_name"] == "t");
    streams[0]["replication_method"] = "INCREMENTAL".into();
    streams[0]["replication_key"] = "k".into();
    from_database(source, settings).json("--catalog", &catalog).json("--state", state)
}

fn ids(outcome: &Outcome) -> Vec<u64> {
    outcome.records("public-t").iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_key_of_the_future_is_no_bookmark_of_a_table() {
    let source = database("future_keys");
    for (kind, odd, as_text) in [
        ("timestamptz", "'2204-01-01Z'", false),
        ("timestamptz", "now() + interval '90 seconds'", false),
        ("timestamptz", "'12026-01-01Z'", true),
        ("timestamp", "'2204-01-01'", false),
        ("timestamp(0)", "now()::timestamp + interval '20 hours'", true),
        ("date", "current_date + 3", false),
        ("date", "'10000-01-01'", false),
        ("date", "'infinity'", true),
    ] {
        let name = format!("{kind} {odd} {as_text}");
        source.psql("DROP TABLE IF EXISTS t");
        source.psql(&format!("CREATE TABLE t (id int PRIMARY KEY, k {kind})"));
        let row = |id: u32, key: &str| source.psql(&format!("INSERT INTO t VALUES ({id}, {key})"));
        row(1, "'-infinity'");
        row(2, "'0044-03-15 BC'");
        row(3, "'2026-01-01'");
        row(4, odd);
        let settings = json!({ "dates_as_string": as_text });
        let first = by_key(&source, &settings, &json!({})).go().success();
        assert_eq!(ids(&first), [1, 2, 3, 4], "{name}");
        let state = last_state(&first);
        let mark = state["bookmarks"]["public-t"]["replication_key_value"].as_str().unwrap();
        assert!(mark.starts_with("2026-01-01"), "{name}: {state}");
        assert!(first.stderr.contains(CODE), "{name}: {}", first.stderr);
        assert!(first.stderr.contains("1 rows (the first is row 4"), "{}", first.stderr);
        assert!(!first.stderr.contains("2204"), "a value of a record: {}", first.stderr);
        row(5, "'2026-01-02'");
        let second = by_key(&source, &settings, &state).go().success();
        assert_eq!(ids(&second), [3, 5, 4], "{name}");
        // A run of few records ends nevertheless, and loses nothing.
        let few = json!({ "dates_as_string": as_text, "max_record_count": 1 });
        let mut state = json!({});
        let mut seen = Vec::new();
        for _ in 0..6 {
            let outcome = by_key(&source, &few, &state).go().success();
            seen.extend(ids(&outcome));
            state = last_state(&outcome);
        }
        assert!((1..=5).all(|id| seen.contains(&id)), "{name}: {seen:?}");
        // Who denies it ends before the last state, so that nothing is published.
        let denied = by_key(&source, &settings, &json!({})).args(["--deny-warnings", CODE]);
        let denied = denied.go().exits(65);
        assert_eq!(last_state(&denied)["currently_syncing"], "public-t", "{name}");
    }
}

#[test]
fn keys_that_mean_the_future_are_bookmarks_where_that_is_set() {
    let source = database("future_meant");
    source.psql("CREATE TABLE t (id int PRIMARY KEY, k timestamptz)");
    source.psql("INSERT INTO t VALUES (1, '2026-01-01Z'), (2, '2204-01-01Z')");
    let settings = json!({ "bookmark_cap": "off" });
    let outcome = by_key(&source, &settings, &json!({})).go().success();
    let mark = last_state(&outcome)["bookmarks"]["public-t"]["replication_key_value"].take();
    assert_eq!(mark, "2204-01-01T00:00:00+00:00");
    assert!(!outcome.stderr.contains(CODE), "{}", outcome.stderr);
    let state = last_state(&outcome);
    let next = by_key(&source, &settings, &state).go().success();
    assert!(!next.stderr.contains("W-BOOKMARK"), "{}", next.stderr);
    // Without the setting such a bookmark is told.
    let next = by_key(&source, &json!({}), &state).go().success();
    assert!(next.stderr.contains("W-BOOKMARK-IN-FUTURE"), "{}", next.stderr);
    assert!(next.stderr.contains("replication_key_value"), "{}", next.stderr);
}

#[test]
fn numbers_and_texts_are_no_times() {
    let source = database("future_numbers");
    for (kind, low, high) in [("bigint", "5", "22040101"), ("text", "'2026'", "'2204-01-01'")] {
        source.psql("DROP TABLE IF EXISTS t");
        source.psql(&format!("CREATE TABLE t (id int PRIMARY KEY, k {kind})"));
        source.psql(&format!("INSERT INTO t VALUES (1, {low}), (2, {high})"));
        let outcome = by_key(&source, &json!({}), &json!({})).go().success();
        let mark = last_state(&outcome)["bookmarks"]["public-t"]["replication_key_value"].take();
        assert_eq!(mark.to_string().trim_matches('"'), high.trim_matches('\''));
        assert!(!outcome.stderr.contains(CODE), "{}", outcome.stderr);
    }
}

#[test]
fn a_key_of_the_future_or_of_another_kind_is_no_bookmark_of_an_api() {
    let read = |keys: &[Value], more: &Value, settings: &Value, reply: fn(Reply) -> Reply| {
        let rows = keys.iter().enumerate().map(|(id, at)| json!({ "id": id, "at": at }));
        let rows: Vec<Value> = rows.collect();
        let web = Web::start(move |_| reply(Reply::json(&rows.clone().into())));
        let mut stream = incremental(&json!({}));
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let outcome = tap_api(&web.url, &stream, settings).go().success();
        (bookmark(&outcome), outcome.stderr)
    };
    let far = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(60);
    let (far_text, far_second) = (json!(far.to_string()), json!(far.as_second()));
    let day = |text: &str| json!({ "time_format": text });
    let cases = [
        ("2204", json!({}), vec![json!("2026-01-02"), json!("2204-01-01")], json!("2026-01-02"), 1),
        (
            "60 hours",
            json!({}),
            vec![far_text.clone(), json!("2026-01-02")],
            json!("2026-01-02"),
            1,
        ),
        ("never", json!({}), vec![json!("2026-01-02"), json!("never")], json!("2026-01-02"), 0),
        (
            "never first",
            json!({}),
            vec![json!("never"), json!("2026-01-02")],
            json!("2026-01-02"),
            0,
        ),
        ("numbers", json!({}), vec![json!(20_260_101), json!(22_040_101)], json!(22_040_101), 0),
        ("epoch", day("epoch"), vec![json!(1_700_000_000), far_second], json!(1_700_000_000), 1),
        (
            "a pattern counts in the comparison",
            day("%d.%m.%Y"),
            vec![json!("31.12.2024"), json!("01.02.2025"), json!("never"), json!("01.01.2204")],
            json!("01.02.2025"),
            1,
        ),
        (
            "all of the future",
            json!({}),
            vec![far_text.clone(), json!("2204-01-01")],
            json!(null),
            2,
        ),
    ];
    for (name, more, keys, expected, ahead) in cases {
        let (mark, said) = read(&keys, &more, &json!({}), |reply| reply);
        assert_eq!(mark, expected, "{name}: {said}");
        assert_eq!(said.contains(CODE), ahead > 0, "{name}: {said}");
        assert!(ahead == 0 || said.contains(&format!("{ahead} rows (the first")), "{name}: {said}");
    }
    let keys = [json!("2026-01-02T00:00:00Z"), far_text.clone()];
    let off = json!({ "bookmark_cap": false });
    assert_eq!(read(&keys, &json!({}), &off, |reply| reply).0, far_text);
    // The clock of the server is the one that wrote the keys; one far from ours is none.
    let earlier = |reply: Reply| {
        let hour = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
        reply.header("Date", &hour.strftime("%a, %d %b %Y %T GMT").to_string())
    };
    let recent = json!((jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string());
    let keys = [json!("2026-01-02T00:00:00Z"), recent.clone()];
    assert_eq!(read(&keys, &json!({}), &json!({}), earlier).0, keys[0]);
    let absurd = |reply: Reply| reply.header("Date", "Tue, 15 Nov 1994 08:12:31 GMT");
    assert_eq!(read(&keys, &json!({}), &json!({}), absurd).0, recent);
}

#[test]
fn a_date_beyond_all_moments_is_a_bookmark() {
    let source = database("dates_beyond");
    source.psql(
        "CREATE TABLE t (id int PRIMARY KEY, k date NOT NULL);
         INSERT INTO t VALUES (1, '2026-01-01'), (2, '300000-01-01'), (3, '5874897-12-31')",
    );
    let off = json!({ "bookmark_cap": false });
    let whole = by_key(&source, &off, &json!({})).go().success();
    assert_eq!(ids(&whole), [1, 2, 3]);
    assert_eq!(ids(&by_key(&source, &off, &last_state(&whole)).go().success()), [3]);
    let step = |state: &Value| by_key(&source, &off, state).set("max_record_count", 1).go();
    let first = step(&json!({})).success();
    assert_eq!(ids(&first), [1]);
    let second = step(&last_state(&first)).success();
    assert_eq!(ids(&second), [1, 2]);
    // A view computes in the zone of the role.
    source.psql("ALTER TABLE t RENAME TO s; CREATE VIEW t AS SELECT * FROM s");
    source.psql(&format!("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'", source.name));
    assert_eq!(ids(&step(&last_state(&second)).success()), [2, 3]);
}
