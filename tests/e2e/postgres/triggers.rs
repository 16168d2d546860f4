//! Tables whose triggers, rules and foreign keys do other than a load asks for: what is there is
//! told by its number of rows, ahead of the COMMIT, and what is as asked for is not.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, to_database};
use support::run::Outcome;

/// Functions of triggers.
const FUNCTIONS: &str = "
    CREATE TABLE log (op text);
    CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.name = 'test' THEN RETURN NULL; END IF; RETURN NEW; END $$;
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      NEW.name = upper(NEW.name); RETURN NEW; END $$;
    CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.log VALUES (TG_OP); IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW; END $$;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      NEW.changed = now(); RETURN NEW; END $$;";

fn ways() -> [Value; 4] {
    ["append-only", "upsert", "overwrite", "replace-partition"]
        .map(|method| json!({ "load_method": method, "source": "s", "datestamp": DAY }))
}

/// Makes the table for a way to load, with a row of no run or none.
fn table(target: &Database, way: &Value, filled: bool, more: &str) {
    let (columns, key) = match way["load_method"].as_str() {
        Some("replace-partition") => (
            format!(", _sdc_source text DEFAULT 's', _sdc_datestamp date DEFAULT '{DAY}'"),
            ", PRIMARY KEY (_sdc_source, _sdc_datestamp, id)",
        ),
        Some("append-only") => (String::new(), ""),
        _ => (String::new(), ", PRIMARY KEY (id)"),
    };
    target.psql(&format!(
        "DROP TABLE IF EXISTS t CASCADE; DROP TABLE IF EXISTS _sdc_tables;
         CREATE TABLE t (id bigint, name text, changed timestamptz{columns}{key})"
    ));
    if filled {
        target.psql("INSERT INTO t (id, name) VALUES (1, 'old'), (9, 'gone')");
    }
    target.psql(more);
}

fn into(target: &Database, way: &Value, lines: &Lines) -> Outcome {
    to_database(target, way).input(lines.0.clone()).go()
}

#[track_caller]
fn tells(outcome: &Outcome, code: &str, rows: u64) {
    let said = outcome.stderr.lines().filter(|line| line.contains(&format!("{code}: ")));
    let said: Vec<&str> = said.collect();
    assert_eq!(said.len(), 1, "{code}: {}", outcome.stderr);
    assert!(said[0].contains(&format!(": {rows};")), "{rows}: {}", said[0]);
}

#[track_caller]
fn tells_nothing(outcome: &Outcome) {
    for code in ["W-ROWS-", "W-VALUES-", "W-KEYS-"] {
        assert!(!outcome.stderr.contains(code), "{code}: {}", outcome.stderr);
    }
}

#[test]
fn rows_that_a_trigger_keeps_out_are_told() {
    let target = database("kept_out");
    target.psql(FUNCTIONS);
    let trigger = "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep_out()";
    let rows = Lines::whole(&[(2, "test"), (3, "test"), (4, "real")]);
    for way in ways() {
        for filled in [false, true] {
            table(&target, &way, filled, trigger);
            let outcome = into(&target, &way, &rows).success();
            tells(&outcome, "W-ROWS-NOT-TAKEN", 2);
            assert!(outcome.stderr.contains(": 1 inserted"), "{way}: {}", outcome.stderr);
            assert_eq!(target.psql("SELECT id FROM t WHERE id IN (2, 3, 4)"), "4");
            // Who does not want that is told before anything is committed.
            table(&target, &way, filled, trigger);
            let denied = to_database(&target, &way).input(rows.0.clone());
            denied.args(["--deny-warnings", "W-ROWS-NOT-TAKEN"]).go().exits(65);
            assert_eq!(target.psql("SELECT count(*) FROM t WHERE id IN (2, 3, 4)"), "0");
        }
    }
}

#[test]
fn values_that_a_trigger_changes_are_told() {
    let target = database("changed");
    target.psql(FUNCTIONS);
    let trigger =
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION shout()";
    for way in ways() {
        for filled in [false, true] {
            table(&target, &way, filled, trigger);
            for _ in 0..2 {
                let rows = Lines::whole(&[(1, "new"), (2, "LOUD"), (3, "low")]);
                tells(&into(&target, &way, &rows).success(), "W-VALUES-CHANGED", 2);
            }
        }
        // So are those of rows without a key, and of a table of which every row is replaced.
        let keyless = Lines::default().syncing("t").schema(
            "t",
            &json!({ "id": { "type": "integer" }, "name": { "type": "string" } }),
            &[],
        );
        let keyless = keyless.row(1, "low").row(1, "low").row(1, "UP").done();
        if way["load_method"] != "upsert" {
            table(&target, &json!({ "load_method": "append-only" }), false, trigger);
            tells(&into(&target, &way, &keyless).success(), "W-VALUES-CHANGED", 2);
        }
    }
}

/// A function that takes a row of the load out again, and changes two of it.
const MEDDLES: &str = "
    CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      DELETE FROM public.t WHERE id = 5;
      UPDATE public.t SET name = 'Q' WHERE id IN (6, 7) AND name <> 'Q';
      RETURN NULL; END $$;
    CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      UPDATE public.t SET changed = now() WHERE id = 1 AND changed IS NULL; RETURN NULL; END $$;";

#[test]
fn what_triggers_do_behind_the_rows_is_told() {
    let target = database("behind");
    target.psql(FUNCTIONS);
    target.psql(MEDDLES);
    let rows = Lines::whole(&[(5, "five"), (6, "six"), (7, "seven"), (8, "eight")]);
    for trigger in [
        "CREATE TRIGGER a AFTER INSERT ON t EXECUTE FUNCTION meddle()",
        "CREATE TRIGGER a AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION meddle()",
        "CREATE CONSTRAINT TRIGGER a AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         EXECUTE FUNCTION meddle()",
    ] {
        for way in ways() {
            for filled in [false, true] {
                table(&target, &way, filled, trigger);
                let outcome = into(&target, &way, &rows).success();
                tells(&outcome, "W-ROWS-NOT-TAKEN", 1);
                tells(&outcome, "W-VALUES-CHANGED", 2);
                assert_eq!(
                    target.psql("SELECT name FROM t WHERE id > 4 AND id < 9 ORDER BY id"),
                    "Q\nQ\neight",
                    "{trigger} {way}"
                );
            }
        }
        // Without a key, and by which all rows are replaced.
        let keyless = Lines::default().syncing("t").schema(
            "t",
            &json!({ "id": { "type": "integer" }, "name": { "type": "string" } }),
            &[],
        );
        let keyless = keyless.row(5, "five").row(6, "six").row(8, "eight").done();
        for way in [&ways()[0], &ways()[2]] {
            table(&target, &ways()[0], true, trigger);
            let outcome = into(&target, way, &keyless).success();
            tells(&outcome, "W-ROWS-NOT-TAKEN", 1);
            tells(&outcome, "W-VALUES-CHANGED", 1);
        }
    }
    // What it does to other rows of the table is none of the load's.
    let trigger = "CREATE TRIGGER a AFTER INSERT ON t EXECUTE FUNCTION elsewhere()";
    for way in &ways()[..2] {
        table(&target, way, true, trigger);
        tells_nothing(&into(&target, way, &Lines::whole(&[(2, "two"), (3, "three")])).success());
        assert_eq!(target.psql("SELECT changed IS NULL FROM t WHERE id = 1"), "f");
    }
}

#[test]
fn nothing_that_triggers_do_waits_for_the_commit() {
    let target = database("deferred");
    target.psql(
        "CREATE TABLE log (query text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           SET LOCAL synchronous_commit = off;
           INSERT INTO public.log VALUES (current_query()); RETURN NULL; END $$;
         CREATE TABLE other (id bigint);
         CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.other VALUES (1); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER a AFTER INSERT ON other DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let deferred = "CREATE CONSTRAINT TRIGGER a AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED \
                    FOR EACH ROW EXECUTE FUNCTION note()";
    let far = "CREATE TRIGGER a AFTER INSERT ON t EXECUTE FUNCTION pass_on()";
    for trigger in [deferred, far] {
        for way in ways() {
            for filled in [false, true] {
                target.psql("TRUNCATE log");
                table(&target, &way, filled, trigger);
                into(&target, &way, &Lines::whole(&[(2, "two")])).success();
                let log = target.psql("SELECT DISTINCT query FROM log");
                assert_eq!(log, "SET CONSTRAINTS ALL IMMEDIATE", "{trigger} {way}");
            }
        }
    }
}

#[test]
fn a_trigger_of_a_partition_is_seen() {
    let target = database("part_trigger");
    target.psql(FUNCTIONS);
    target.psql(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);
         CREATE TRIGGER a BEFORE INSERT ON high FOR EACH ROW EXECUTE FUNCTION keep_out()",
    );
    for _ in 0..2 {
        let rows = Lines::whole(&[(1, "test"), (11, "test"), (12, "real")]);
        tells(&into(&target, &json!({}), &rows).success(), "W-ROWS-NOT-TAKEN", 1);
    }
    assert_eq!(target.psql("SELECT id FROM t ORDER BY id"), "1\n12");
}

#[test]
fn rows_that_are_to_leave_and_stay_are_told() {
    let target = database("stays");
    target.psql(FUNCTIONS);
    let rows = Lines::whole(&[(1, "new")]);
    for way in &ways()[2..] {
        for keeps in [
            "CREATE TRIGGER a BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION stay()",
            "CREATE RULE a AS ON DELETE TO t DO INSTEAD NOTHING",
        ] {
            table(&target, way, true, keeps);
            tells(&into(&target, way, &rows).success(), "W-ROWS-NOT-DELETED", 1);
            assert_eq!(target.psql("SELECT id FROM t ORDER BY id"), "1\n9");
        }
    }
    // Rows that say that they are deleted, and those of an older version.
    let columns = json!({
        "id": { "type": "integer" }, "name": { "type": ["string", "null"] },
        "_sdc_deleted_at": { "type": ["string", "null"], "format": "date-time" },
    });
    let upsert = json!({ "load_method": "upsert", "hard_delete": true });
    let trigger = "CREATE TRIGGER a BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION stay()";
    table(&target, &upsert, true, trigger);
    let marked = json!({ "id": 9, "_sdc_deleted_at": "2026-01-01T00:00:00Z" });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    let lines = lines.record("t", &marked).done();
    tells(&into(&target, &upsert, &lines).success(), "W-ROWS-NOT-DELETED", 1);
    for (hard_delete, on) in [(true, "DELETE"), (false, "UPDATE")] {
        let way = json!({ "hard_delete": hard_delete, "add_record_metadata": true });
        let version = |id: i64, version: i64| {
            let record = json!({ "type": "RECORD", "stream": "t", "version": version,
                "record": { "id": id, "name": "a" } });
            let active = json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": version });
            Lines::opened().message(&record).message(&active).done()
        };
        target.psql("DROP TABLE t; DROP TABLE _sdc_tables");
        into(&target, &way, &version(1, 1)).success();
        target.psql(&format!(
            "CREATE TRIGGER a BEFORE {on} ON t FOR EACH ROW EXECUTE FUNCTION stay()"
        ));
        tells(&into(&target, &way, &version(2, 2)).success(), "W-ROWS-NOT-DELETED", 1);
    }
}

#[test]
fn ordinary_triggers_and_rules_are_no_alarm() {
    let target = database("ordinary");
    target.psql(FUNCTIONS);
    for more in [
        "CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW \
         EXECUTE FUNCTION note()",
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW \
         EXECUTE FUNCTION note()",
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
        "CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW \
         EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep_out(); \
         ALTER TABLE t DISABLE TRIGGER a",
        "CREATE RULE a AS ON DELETE TO t DO ALSO INSERT INTO public.log VALUES ('rule')",
    ] {
        for way in ways() {
            for filled in [false, true] {
                table(&target, &way, filled, more);
                for name in ["test", "test", "other"] {
                    let rows = Lines::whole(&[(1, name), (2, "b")]);
                    tells_nothing(&into(&target, &way, &rows).success());
                }
            }
        }
    }
    // A column that a record lacks keeps its value, and is compared with nothing.
    let trigger = "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW \
                   EXECUTE FUNCTION note()";
    let upsert = json!({ "load_method": "upsert" });
    table(&target, &upsert, true, trigger);
    let lines = Lines::opened().record("t", &json!({ "id": 1 })).row(9, "x").row(9, "y").done();
    tells_nothing(&into(&target, &upsert, &lines).success());
    assert_eq!(target.psql("SELECT name FROM t ORDER BY id"), "old\ny");
}

#[test]
fn rows_of_other_tables_that_go_with_a_load_are_told() {
    let target = database("cascades");
    for (way, key) in ways().iter().skip(2).zip(["id", "_sdc_source, _sdc_datestamp, id"]) {
        for (action, removed, changed) in [("CASCADE", 2, 0), ("SET NULL", 0, 2)] {
            table(&target, way, true, "DROP TABLE IF EXISTS items");
            target.psql(&format!(
                "CREATE TABLE items AS SELECT n, t.* FROM t, generate_series(1, 2) n;
                 ALTER TABLE items ADD FOREIGN KEY ({key}) REFERENCES t ON DELETE {action}"
            ));
            let before = target.psql("SELECT count(*) FROM items WHERE id = 1");
            // Of rows that stay, nothing goes.
            let same = Lines::whole(&[(1, "new"), (9, "gone")]);
            tells_nothing(&into(&target, way, &same).success());
            let outcome = into(&target, way, &Lines::whole(&[(1, "new")])).success();
            let said = format!("table items: {removed} removed, {changed} changed");
            let said = said.replace("items", "public.items");
            assert!(outcome.stderr.contains(&said), "{said}: {}", outcome.stderr);
            assert_eq!(target.psql("SELECT count(*) FROM items WHERE id = 1"), before);
        }
    }
    // Rows of the table itself that refer to one that leaves.
    let upsert = json!({ "load_method": "upsert", "hard_delete": true });
    table(&target, &upsert, false, "ALTER TABLE t ADD boss bigint REFERENCES t ON DELETE CASCADE");
    target.psql("INSERT INTO t (id, boss) VALUES (1, NULL), (2, 1), (3, 1), (4, NULL)");
    let columns = json!({
        "id": { "type": "integer" },
        "_sdc_deleted_at": { "type": ["string", "null"], "format": "date-time" },
    });
    let leaves = |id: i64| {
        let marked = json!({ "id": id, "_sdc_deleted_at": "2026-01-01T00:00:00Z" });
        Lines::default().syncing("t").schema("t", &columns, &["id"]).record("t", &marked).done()
    };
    tells_nothing(&into(&target, &upsert, &leaves(4)).success());
    let outcome = into(&target, &upsert, &leaves(1)).success();
    assert!(outcome.stderr.contains("table public.t: 2 removed"), "{}", outcome.stderr);
    assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
}

#[test]
fn rows_that_row_security_would_hide_are_refused_with_a_way_out() {
    let target = database("hidden");
    table(&target, &ways()[1], true, "");
    target.psql(
        "CREATE ROLE loader_of_hidden LOGIN;
         GRANT ALL ON SCHEMA public TO loader_of_hidden; ALTER TABLE t OWNER TO loader_of_hidden;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;
         CREATE POLICY low ON t USING (id < 5) WITH CHECK (true)",
    );
    let rows = Lines::whole(&[(9, "new")]);
    for way in &ways()[..3] {
        let run = to_database(&target, way).set("user", "loader_of_hidden");
        let refused = run.input(rows.0.clone()).go().exits(77);
        assert!(refused.stderr.contains("NO FORCE ROW LEVEL SECURITY"), "{}", refused.stderr);
    }
    target.psql("ALTER TABLE t NO FORCE ROW LEVEL SECURITY");
    let run = to_database(&target, &ways()[1]).set("user", "loader_of_hidden");
    run.input(rows.0).go().success();
    assert_eq!(target.psql("SELECT name FROM t ORDER BY id"), "old\nnew");
}

#[test]
fn rows_of_a_full_read_that_share_a_key_are_counted() {
    let target = database("repeated");
    let rows = [(1, "a"), (2, "b"), (2, "b"), (3, "c"), (2, "d")];
    for way in &ways()[1..] {
        for filled in [false, true] {
            table(&target, way, filled, "");
            let outcome = into(&target, way, &Lines::whole(&rows)).success();
            if way["load_method"] == "upsert" {
                // A log of changes.
                tells_nothing(&outcome);
            } else {
                tells(&outcome, "W-KEYS-REPEATED", 2);
            }
            assert_eq!(target.psql("SELECT name FROM t WHERE id = 2"), "d");
            let distinct = [(1, "a"), (2, "d"), (3, "c")];
            tells_nothing(&into(&target, way, &Lines::whole(&distinct)).success());
        }
    }
    // Without an index that has the key.
    let way = json!({ "load_method": "overwrite" });
    table(&target, &json!({ "load_method": "append-only" }), true, "");
    tells(&into(&target, &way, &Lines::whole(&rows)).success(), "W-KEYS-REPEATED", 2);
    // Rows since a bookmark are changes.
    for member in ["\"resumed_from\": {\"a\": 1}", "\"bookmark_properties\": [\"name\"]"] {
        let day = &ways()[3];
        table(&target, day, true, "DELETE FROM t");
        let text = String::from_utf8(Lines::whole(&rows).0).unwrap();
        let text = text.replacen("\"key_properties\"", &format!("{member}, \"key_properties\""), 1);
        let outcome = into(&target, day, &Lines(text.into_bytes())).success();
        assert!(!outcome.stderr.contains("W-KEYS"), "{}", outcome.stderr);
    }
}
