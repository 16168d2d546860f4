//! Tables that come to an INCREMENTAL stream behind its bookmark, with rows before it.

use serde_json::json;

use crate::postgres::open_writers::{Reader, ids};
use support::cluster::database;
use support::run::Outcome;

const CODES: [&str; 2] = ["W-TABLE-ATTACHED", "W-SOURCE-CHANGED"];

fn told(outcome: &Outcome) -> Vec<&'static str> {
    CODES.into_iter().filter(|code| outcome.stderr.contains(code)).collect()
}

#[test]
fn rows_of_tables_that_were_attached_later_are_read_once() {
    let source = database("attached");
    let (month, none) = ("PARTITION OF t FOR VALUES FROM (200) TO (300)", Vec::<&str>::new());
    source.psql(
        "CREATE ROLE parents LOGIN;
         CREATE TABLE t (id int NOT NULL, k timestamp NOT NULL, n numeric) PARTITION BY RANGE (id);
         CREATE TABLE a PARTITION OF t FOR VALUES FROM (100) TO (200);
         CREATE INDEX ON t (k); GRANT SELECT ON t TO parents;
         CREATE FUNCTION at(n int) RETURNS timestamp LANGUAGE sql IMMUTABLE
         RETURN timestamp '2026-01-01' + n * interval '1 h';
         INSERT INTO t SELECT n, at(n), n FROM generate_series(100, 104) n",
    );
    let keys = [("t", "k")];
    for user in [json!({}), json!({ "user": "parents" })] {
        let mut reader = Reader::of(&source, &keys, &user);
        assert_eq!(ids(&reader.run(), "t"), (100..105).collect(), "{user}");
        // A partition that is made for the rows to come is as any month.
        source.psql(&format!("CREATE TABLE b {month}; INSERT INTO t VALUES (200, at(200), 1)"));
        let next = reader.run();
        assert_eq!((ids(&next, "t"), told(&next)), ([104, 200].into(), none.clone()), "{user}");
        source.psql(
            "CREATE TABLE old (LIKE t);
             INSERT INTO old SELECT n, at(n), n FROM generate_series(1, 3) n;
             CREATE TABLE deep (LIKE t) PARTITION BY RANGE (id);
             ALTER TABLE deep ATTACH PARTITION old FOR VALUES FROM (0) TO (10);
             ALTER TABLE t ATTACH PARTITION deep FOR VALUES FROM (0) TO (100)",
        );
        let mark = reader.mark("t");
        let next = reader.run();
        assert_eq!(ids(&next, "t"), [1, 2, 3, 200].into(), "{user}: {}", next.stderr);
        let expected = if user == json!({}) { vec!["W-TABLE-ATTACHED"] } else { Vec::new() };
        assert_eq!(told(&next), expected, "{user}: {}", next.stderr);
        assert_eq!(reader.mark("t"), mark);
        let again = reader.run();
        assert_eq!((ids(&again, "t"), told(&again)), ([200].into(), none.clone()), "{user}");
        source.psql("DROP TABLE b, deep");
    }
}

#[test]
fn rows_of_an_attached_table_come_once_where_nothing_moves_the_bookmark() {
    let source = database("attached_still");
    source.psql(
        "CREATE TABLE t (id int NOT NULL, k int NOT NULL) PARTITION BY RANGE (id);
         CREATE TABLE a PARTITION OF t FOR VALUES FROM (100) TO (200);
         INSERT INTO t SELECT n, n FROM generate_series(100, 104) n",
    );
    let mut reader = Reader::of(&source, &[("t", "k")], &json!({}));
    assert_eq!(ids(&reader.run(), "t"), (100..105).collect());
    let mark = reader.mark("t");
    source.psql(
        "DELETE FROM t WHERE k = 104;
         CREATE TABLE old (LIKE t);
         INSERT INTO old VALUES (1, 1), (2, 2);
         ALTER TABLE t ATTACH PARTITION old FOR VALUES FROM (0) TO (10)",
    );
    let next = reader.run();
    assert_eq!(ids(&next, "t"), [1, 2].into(), "{}", next.stderr);
    assert_eq!(reader.mark("t"), mark);
    assert_eq!(ids(&reader.run(), "t"), [].into());
    source.psql("INSERT INTO t VALUES (105, 105)");
    assert_eq!(ids(&reader.run(), "t"), [105].into());
}

#[test]
fn rows_of_children_and_of_conditions_are_read_once() {
    let source = database("attached_children");
    source.psql(
        "CREATE TABLE t (id int, k int, v text); INSERT INTO t VALUES (1, 100, 'a'), (2, 200, 'a');
         CREATE TABLE c (id int, k int, v text, more text);
         INSERT INTO c VALUES (3, 150, 'a'), (4, 160, 'b'), (5, 300, 'a')",
    );
    let only = json!({ "stream_options": { "public-t": { "custom_where_clauses": ["v = 'a'"] } } });
    for (settings, expected) in [(json!({}), vec![2, 3, 4, 5]), (only, vec![2, 3, 5])] {
        let mut reader = Reader::of(&source, &[("t", "k")], &settings);
        reader.run();
        let bare = reader.state.clone();
        source.psql("ALTER TABLE c INHERIT t");
        let next = reader.run();
        assert_eq!(ids(&next, "t"), expected.into_iter().collect(), "{}", next.stderr);
        assert_eq!(told(&next), ["W-TABLE-ATTACHED"], "{}", next.stderr);
        let next = reader.run();
        assert_eq!((ids(&next, "t"), told(&next).len()), ([5].into(), 0), "{}", next.stderr);
        // A state of an earlier release does not say which tables there were.
        reader.state = bare;
        reader.state["bookmarks"]["public-t"].as_object_mut().unwrap().remove("tables").unwrap();
        let next = reader.run();
        assert_eq!((ids(&next, "t"), told(&next).len()), ([2, 5].into(), 0), "{}", next.stderr);
        source.psql("ALTER TABLE c NO INHERIT t");
    }
}

#[test]
fn a_view_that_has_more_rows_before_its_bookmark_is_told() {
    let source = database("attached_views");
    source.psql(
        "CREATE TABLE t (id int, k int, v text) PARTITION BY RANGE (id);
         CREATE TABLE a PARTITION OF t FOR VALUES FROM (100) TO (200);
         INSERT INTO t SELECT n, n, 'a' FROM generate_series(100, 105) n;
         CREATE VIEW w AS SELECT * FROM t WHERE v = 'a'; CREATE VIEW x AS SELECT id, k FROM w",
    );
    let mut reader = Reader::of(&source, &[("x", "k")], &json!({}));
    let mut run = |sql: &str| {
        source.psql(sql);
        told(&reader.run())
    };
    assert!(run("SELECT").is_empty() && run("ANALYZE").is_empty());
    assert_eq!(run("CREATE OR REPLACE VIEW w AS SELECT * FROM t"), ["W-SOURCE-CHANGED"]);
    assert!(run("SELECT").is_empty());
    let month = "CREATE TABLE b PARTITION OF t FOR VALUES FROM (200) TO (300)";
    assert!(run(&format!("{month}; INSERT INTO t VALUES (200, 200, 'a')")).is_empty());
    let old = "CREATE TABLE c (LIKE t); INSERT INTO c VALUES (1, 1, 'a');
        ALTER TABLE t ATTACH PARTITION c FOR VALUES FROM (0) TO (100)";
    assert_eq!(run(old), ["W-SOURCE-CHANGED"]);
    assert!(run("SELECT").is_empty());
}
