//! What the server says beside its answers: told once, counted, and without values.

use serde_json::json;

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{from_database, to_database};

#[test]
fn a_target_tells_what_the_server_says() {
    let target = database("notices");
    target.psql(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text);
         CREATE FUNCTION doubt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE WARNING 'price is negative in row %', NEW.id;
           RAISE NOTICE 'name \"%\" was looked at', NEW.name;
           RAISE LOG 'not for us'; RAISE INFO 'nor this'; RETURN NEW; END $$;
         CREATE TRIGGER doubt BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION doubt()",
    );
    // Whatever a role asks for.
    target.psql(&format!("ALTER DATABASE {} SET client_min_messages = error", target.name));
    let lines = |from: i64| {
        let rows =
            (from..from + 1000).fold(Lines::opened(), |lines, id| lines.row(id, "CANARY-7q"));
        rows.done().0
    };
    for (from, method) in
        [(1, "upsert"), (500, "upsert"), (501, "overwrite"), (9000, "append-only")]
    {
        let run = || to_database(&target, &json!({ "load_method": method })).input(lines(from));
        let outcome = run().go().success();
        for word in ["warning 01000", "notice 00000", "price is negative in row #", "\"...\" was"] {
            assert_eq!(outcome.stderr.matches(word).count(), 1, "{word}: {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("PL/pgSQL function"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("W-SERVER-NOTICE 2"), "{}", outcome.stderr);
        for value in ["CANARY", "not for us", "nor this"] {
            assert!(!outcome.stderr.contains(value), "{value}: {}", outcome.stderr);
        }
    }
    target.psql("TRUNCATE t");
    let denied = to_database(&target, &json!({})).args(["--deny-warnings", "W-SERVER-NOTICE"]);
    denied.input(lines(1)).go().exits(65);
    assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
}

#[test]
fn a_tap_tells_what_the_server_says() {
    let source = database("notices_read");
    source.psql(
        "CREATE FUNCTION looked(n integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
           RAISE WARNING 'row % is old', n; RETURN n; END $$;
         CREATE VIEW v AS SELECT public.looked(n) AS n FROM generate_series(1, 100) n",
    );
    let outcome = from_database(&source, &json!({})).go().success();
    assert_eq!(outcome.records("public-v").len(), 100);
    assert_eq!(outcome.stderr.matches("row # is old").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("W-SERVER-NOTICE 1"), "{}", outcome.stderr);
}

#[test]
fn a_run_that_nothing_is_said_of_has_no_warning() {
    let target = database("no_notices");
    for method in ["append-only", "upsert", "overwrite"] {
        target.psql("DROP TABLE IF EXISTS t");
        for name in ["a", "b"] {
            let more = json!({ "load_method": method, "add_record_metadata": true });
            let run = to_database(&target, &more).input(Lines::whole(&[(1, name)]).0);
            let outcome = run.go().success();
            assert!(!outcome.stderr.contains("W-SERVER-NOTICE"), "{}", outcome.stderr);
        }
    }
}
