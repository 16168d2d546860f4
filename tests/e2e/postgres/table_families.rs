//! Tables with relations: parents and children, and tables and types of extensions.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database};
use support::run::{Outcome, pipe_succeeds};

const OTHER: &str = "2026-01-01";

/// A run of stream `pt` with rows of these ids and texts, keyed by the id or not.
fn rows(keyed: bool, rows: &[(i64, &str)]) -> Lines {
    let columns = json!({ "id": { "type": "integer" }, "v": { "type": ["null", "string"] } });
    let keys: &[&str] = if keyed { &["id"] } else { &[] };
    let lines = Lines::default().syncing("pt").schema("pt", &columns, keys);
    let add = |lines: Lines, (id, v): &(i64, &str)| match *v {
        "" => lines.record("pt", &json!({ "id": id })),
        v => lines.record("pt", &json!({ "id": id, "v": v })),
    };
    rows.iter().fold(lines, add)
}

fn load(target: &Database, method: &str, more: &Value, lines: Lines) -> Outcome {
    let settings = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &settings).config(more).input(lines.done().0).go()
}

/// All rows that a query of the parent finds, with where they lie.
fn held(target: &Database) -> String {
    target.psql(
        "SELECT string_agg(concat_ws(':', tableoid::regclass, id, v), ' '
           ORDER BY tableoid::regclass::text COLLATE \"C\", id, v) FROM pt",
    )
}

/// A parent with a child, each with a row of each of two days whose addresses are the same.
fn family(target: &Database, key: &str) {
    target.psql(&format!(
        "DROP TABLE IF EXISTS pt CASCADE; DROP TABLE IF EXISTS _sdc_tables;
         CREATE TABLE pt (id bigint {key}, v text, _sdc_source text, _sdc_datestamp date);
         CREATE TABLE pt_old () INHERITS (pt);
         INSERT INTO pt VALUES (1, 'a', 's', '{DAY}'), (2, 'b', 's', '{OTHER}');
         INSERT INTO pt_old VALUES (3, 'c', 's', '{OTHER}'), (4, 'd', 's', '{DAY}')"
    ));
}

#[test]
fn a_partition_is_replaced_in_a_parent_and_its_children_and_nothing_else() {
    let target = database("family");
    for (keyed, key) in [(false, ""), (true, ""), (true, "PRIMARY KEY")] {
        family(&target, key);
        let new = || rows(keyed, &[(4, "d"), (5, "e"), (5, "f")]);
        let refused = key == "PRIMARY KEY";
        let outcome = load(&target, "replace-partition", &json!({}), new());
        if refused {
            // The key of the parent alone is not that of a day.
            assert!(outcome.exits(65).stderr.contains("differs from the key of the table"));
            assert_eq!(held(&target), "pt:1:a pt:2:b pt_old:3:c pt_old:4:d");
            continue;
        }
        outcome.success();
        let fives = if keyed { "pt:5:f" } else { "pt:5:e pt:5:f" };
        let expected = format!("pt:2:b {fives} pt_old:3:c pt_old:4:d");
        assert_eq!(held(&target), expected, "{keyed}");
        let again = load(&target, "replace-partition", &json!({}), new()).success();
        assert!(again.stderr.contains("table public.pt: unchanged"), "{}", again.stderr);
        // A day that is empty.
        load(&target, "replace-partition", &json!({}), rows(keyed, &[])).success();
        assert_eq!(held(&target), "pt:2:b pt_old:3:c", "{keyed}");
    }
}

#[test]
fn rows_are_found_by_key_in_children_too() {
    let target = database("family_keys");
    for key in ["", "PRIMARY KEY"] {
        family(&target, key);
        // Whole records and such that lack a column, each key twice.
        let new = rows(true, &[(1, "x"), (3, "y"), (4, "z"), (4, ""), (6, "n"), (6, "m")]);
        load(&target, "upsert", &json!({}), new).success();
        assert_eq!(held(&target), "pt:1:x pt:2:b pt:6:m pt_old:3:y pt_old:4:z", "{key}");
        // A key that is in both is nobody's.
        target.psql("INSERT INTO pt_old (id, v) VALUES (1, 'twin')");
        let refused = load(&target, "upsert", &json!({}), rows(true, &[(1, "q")])).exits(65);
        assert!(refused.stderr.contains("several rows"), "{}", refused.stderr);
        load(&target, "upsert", &json!({}), rows(true, &[(2, "q")])).success();
        let expected = "pt:1:x pt:2:q pt:6:m pt_old:1:twin pt_old:3:y pt_old:4:z";
        assert_eq!(held(&target), expected, "{key}");
    }
}

#[test]
fn a_parent_is_overwritten_and_appended_to_as_it_is_seen() {
    let target = database("family_whole");
    for keyed in [true, false] {
        family(&target, "");
        load(&target, "overwrite", &json!({}), rows(keyed, &[(3, "c"), (9, "n")])).success();
        assert_eq!(held(&target), "pt:9:n pt_old:3:c", "{keyed}");
        family(&target, "");
        load(&target, "append-only", &json!({}), rows(keyed, &[(3, "c"), (9, "n")])).success();
        assert_eq!(held(&target), "pt:1:a pt:2:b pt:3:c pt:9:n pt_old:3:c pt_old:4:d", "{keyed}");
    }
}

#[test]
fn rows_of_children_are_deleted_by_their_key_alone() {
    let target = database("family_deletes");
    family(&target, "");
    let record = |id: i64| json!({ "id": id, "_sdc_deleted_at": "2026-11-20T00:00:00Z" });
    let lines = rows(true, &[(5, "n")]).record("pt", &record(1)).record("pt", &record(3));
    load(&target, "upsert", &json!({ "hard_delete": true }), lines).success();
    assert_eq!(held(&target), "pt:2:b pt:5:n pt_old:4:d");
}

/// As extensions for time series do it: a trigger sends each row to a child for its month, and the
/// parent stays empty.
fn routed(target: &Database) {
    target.psql(
        "CREATE TABLE pt (id bigint PRIMARY KEY, v text, _sdc_source text, _sdc_datestamp date);
         CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$
           DECLARE child text := 'chunk_' || NEW.id / 100;
           BEGIN
             IF to_regclass('public.' || child) IS NULL THEN
               EXECUTE format('CREATE TABLE public.%I () INHERITS (public.pt)', child);
             END IF;
             EXECUTE format('INSERT INTO public.%I SELECT ($1).*', child) USING NEW;
             RETURN NULL;
           END $$;
         CREATE TRIGGER route BEFORE INSERT ON pt FOR EACH ROW EXECUTE FUNCTION route()",
    );
}

#[test]
fn rows_that_a_trigger_sends_to_children_are_no_other_rows() {
    for method in ["upsert", "overwrite"] {
        let target = database("routed");
        routed(&target);
        for (new, expected) in [
            (&[(1, "a"), (101, "b"), (1, "c")][..], "chunk_0:1:c chunk_1:101:b"),
            (&[(1, "d"), (101, "b"), (201, "e")], "chunk_0:1:d chunk_1:101:b chunk_2:201:e"),
        ] {
            load(&target, method, &json!({}), rows(true, new)).success();
            assert_eq!(held(&target), expected, "{method}");
        }
    }
}

#[test]
fn a_child_with_columns_of_its_own_is_left_alone() {
    let target = database("wider_child");
    let versioned = json!({ "add_record_metadata": true });
    for keyed in [true, false] {
        for (method, more, code) in [
            ("replace-partition", json!({}), 78),
            ("overwrite", json!({}), 78),
            ("upsert", json!({}), if keyed { 78 } else { 0 }),
            ("append-only", json!({ "hard_delete": true }), 78),
            ("append-only", json!({}), 0),
            ("append-only", versioned.clone(), 0),
        ] {
            family(&target, "");
            target.psql("ALTER TABLE pt_old ADD COLUMN own text");
            let end = json!({ "type": "ACTIVATE_VERSION", "stream": "pt", "version": 5 });
            // A version is not acted on where rows came without one.
            let lines = if more == versioned {
                rows(keyed, &[]).message(&end)
            } else {
                rows(keyed, &[(9, "n")])
            };
            let outcome = load(&target, method, &more, lines).exits(code);
            let old = target.psql("SELECT count(*) FROM pt_old");
            assert_eq!(old, "2", "{method}");
            if code != 0 {
                assert!(outcome.stderr.contains("child: public.pt_old"), "{}", outcome.stderr);
                assert_eq!(held(&target), "pt:1:a pt:2:b pt_old:3:c pt_old:4:d", "{method}");
            } else if more == versioned {
                let marked = "SELECT count(*) FROM pt_old WHERE _sdc_deleted_at IS NOT NULL";
                assert_eq!(target.psql(marked), "0");
            }
        }
    }
}

#[test]
fn a_table_of_an_extension_is_neither_replaced_nor_changed() {
    let target = database("of_extension");
    for keyed in [true, false] {
        for (method, more, code) in [
            ("overwrite", json!({}), 78),
            ("replace-partition", json!({}), 78),
            ("upsert", json!({ "hard_delete": true }), 78),
            ("upsert", json!({ "add_record_metadata": true }), 78),
            ("upsert", json!({}), 0),
            ("append-only", json!({}), 0),
        ] {
            target.psql(
                "DO $$ BEGIN IF to_regclass('public.pt') IS NOT NULL THEN
                   ALTER EXTENSION plpgsql DROP TABLE pt; DROP TABLE pt; END IF; END $$;
                 CREATE TABLE pt (id bigint PRIMARY KEY, v text, _sdc_source text,
                   _sdc_datestamp date);
                 INSERT INTO pt VALUES (1, 'theirs'); ALTER EXTENSION plpgsql ADD TABLE pt",
            );
            // Neither a first load nor a later one.
            for id in [7, 8] {
                let outcome = load(&target, method, &more, rows(keyed, &[(id, "n")])).exits(code);
                if code != 0 {
                    assert!(outcome.stderr.contains("extension: plpgsql"), "{}", outcome.stderr);
                }
            }
            let expected = if code == 0 { "pt:1:theirs pt:7:n pt:8:n" } else { "pt:1:theirs" };
            assert_eq!(held(&target), expected, "{method} {more}");
        }
    }
}

#[test]
fn a_type_of_an_extension_is_found_in_whatever_schema_it_is() {
    let source = database("types_source");
    source.psql(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE DOMAIN mail AS citext;
         CREATE TABLE t (k citext PRIMARY KEY, h hstore, a citext[], m mail);
         INSERT INTO t VALUES ('AbC', 'a=>1, b=>NULL', '{x,Y}', 'A@b.c')",
    );
    let types = |target: &Database| {
        target.psql(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
               ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = 't'::regclass AND attnum > 0",
        )
    };
    let run = |target: &Database| {
        pipe_succeeds(from_database(&source, &json!({})), to_database(target, &json!({}))).1
    };
    let target = database("types_elsewhere");
    target.psql(
        "CREATE SCHEMA \"Ext 1\"; CREATE EXTENSION citext SCHEMA \"Ext 1\";
         CREATE SCHEMA x2; CREATE EXTENSION hstore SCHEMA x2;
         CREATE DOMAIN hstore AS integer; CREATE TYPE citext AS (n integer)",
    );
    let outcome = run(&target);
    assert!(!outcome.stderr.contains("W-TYPE-AS-TEXT"), "{}", outcome.stderr);
    let expected = "k \"Ext 1\".citext, h x2.hstore, a \"Ext 1\".citext[], m \"Ext 1\".citext";
    assert_eq!(types(&target), expected);
    // Two spellings are one row, as they are in the source.
    source.psql("UPDATE t SET k = 'aBc'");
    run(&target);
    assert_eq!(target.psql("SELECT count(*) FROM t"), "1");

    // Where the type is not to be had, each column of it is told, in every run.
    let without = database("types_nowhere");
    for _ in 0..2 {
        let outcome = run(&without);
        for word in
            ["column k of table public.t is text", "column h", "CREATE EXTENSION \"citext\""]
        {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("W-TYPE-AS-TEXT 4"), "{}", outcome.stderr);
    }
    let closed = database("types_closed");
    let role = format!("outside_{}", closed.name);
    closed.psql(&format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;
         CREATE EXTENSION hstore SCHEMA public; GRANT CREATE, USAGE ON SCHEMA public TO {role}"
    ));
    let into = to_database(&closed, &json!({})).set("user", &role);
    let outcome = pipe_succeeds(from_database(&source, &json!({})), into).1;
    assert!(outcome.stderr.contains("GRANT USAGE ON SCHEMA \"ext\""), "{}", outcome.stderr);
    assert_eq!(types(&closed), "k text, h hstore, a jsonb, m text");
}
