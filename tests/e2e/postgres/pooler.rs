//! A connection pooler in between (G10): what has to do with a session works or is refused, and
//! nobody else's session is changed.

use serde_json::{Value, json};

use support::cluster::{Database, cluster, database};
use support::faults::{each, figure, tries};
use support::invariants::{Table, Trial, explains};
use support::messages::Lines;
use support::pgbouncer::Bouncer;
use support::pipes::{DAY, from_database, to_database};
use support::run::Outcome;

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

/// Settings of a session that would change most values on their way.
const ODD: &str = "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'SQL, DMY'; \
    SET IntervalStyle = 'sql_standard'; SET extra_float_digits = -3; SET bytea_output = 'escape'; \
    SET search_path = 'pg_catalog'; SET standard_conforming_strings = off";

/// How a session answers whether it has those settings.
const SESSION: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) \
    FROM pg_settings WHERE source = 'session' AND name <> 'application_name'";

fn rows(name: &str, count: i64) -> Vec<u8> {
    (1..=count).fold(Lines::opened(), |lines, id| lines.row(id, name)).done().0
}

fn load(target: &Database, method: &str, more: &Value, name: &str) -> Outcome {
    let settings = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &settings).config(more).input(rows(name, 500)).go()
}

#[test]
fn a_tap_reads_the_same_through_any_pool_and_leaves_its_sessions_alone() {
    let source = database("pooled_tap");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, day date, pause interval,
           size double precision, data bytea, price money, name text);
         INSERT INTO t VALUES (1, '2026-11-20 10:00:00.5+00', '2026-02-01', '1 day 2 hours',
           0.1::float8 + 0.2, '\\x00ff', '12.50', 'a\\b')",
    );
    let direct = from_database(&source, &json!({})).go().success().records("public-t");
    for mode in ["transaction", "session", "statement"] {
        let settings = format!("pool_mode = {mode}\ndefault_pool_size = 1");
        let bouncer = Bouncer::start(cluster(), &settings);
        let through = |sql: &str| source.psql_through(bouncer.port, sql);
        through(ODD);
        let odd = through(SESSION);
        let outcome = from_database(&source, &bouncer.settings()).go();
        if mode == "statement" {
            explains(&outcome, &[75]);
            assert!(outcome.stderr.contains("statement pooling mode"), "{}", outcome.stderr);
            continue;
        }
        assert_eq!(outcome.success().records("public-t"), direct, "{mode}");
        if mode == "transaction" {
            // The pooler may have ended the session with the tap.
            let left = through(SESSION);
            assert!(left.is_empty() || left == odd, "somebody's session was changed: {left}");
        }
    }
}

#[test]
fn a_load_through_a_pool_in_transaction_mode_is_refused() {
    // One session for all, some in turns, and many that others use as well.
    let pools = ["default_pool_size = 1", "default_pool_size = 3\nserver_round_robin = 1", ""];
    each(3, &pools, |pool| {
        let target = database("pooled_load");
        let place = Table { database: &target, schema: "public", name: "t", columns: "id, name" };
        let bouncer = Bouncer::start(cluster(), &format!("pool_mode = transaction\n{pool}"));
        for method in METHODS {
            for old in [None, Some("old")] {
                target.psql("DROP TABLE IF EXISTS t");
                old.map(|old| load(&target, method, &json!({}), old).success());
                let trial = Trial {
                    place: &place,
                    old: support::invariants::Place::seen(&place),
                    new: String::new(),
                    gaps: false,
                };
                let outcome = load(&target, method, &bouncer.settings(), "new");
                trial.after_fault(&outcome, &[78]);
                let says = |text: &str| outcome.stderr.contains(text);
                assert!(says("a connection pool in transaction mode"), "{}", outcome.stderr);
                assert!(says("hint: rows are staged in a temporary table"), "{}", outcome.stderr);
                assert_eq!(target.psql_through(bouncer.port, SESSION), "");
            }
        }
    });
}

#[test]
fn loads_at_once_through_a_busy_pool_never_mix() {
    let rounds = tries(2, 20);
    let target = database("busy_pool");
    let bouncer = Bouncer::start(cluster(), "pool_mode = transaction\ndefault_pool_size = 4");
    target.psql("CREATE TABLE busy (at serial)");
    for _ in 0..rounds {
        let names: Vec<_> = (0..4).map(|at| format!("t{at}")).collect();
        each(4, &names, |name| {
            let insert = "INSERT INTO public.busy DEFAULT VALUES;\n".repeat(300);
            std::thread::scope(|scope| {
                scope.spawn(|| target.psql_through(bouncer.port, &insert));
                let schema = json!({ "default_target_schema": name });
                let more = target.settings_with(&bouncer.settings());
                let run = to_database(&target, &more).config(&schema).input(rows(name, 300));
                let outcome = run.go();
                explains(&outcome, &[78]);
            });
        });
        assert_eq!(target.psql("SELECT count(*) FROM pg_class WHERE relname = 't'"), "0");
    }
    figure("loads refused by a busy pool", rounds * 4);
}

#[test]
fn a_load_through_a_pool_in_session_mode_is_like_any_other() {
    for size in [1, 5] {
        let settings = format!("pool_mode = session\ndefault_pool_size = {size}");
        let bouncer = Bouncer::start(cluster(), &settings);
        let mut through = bouncer.settings();
        through["connect_timeout_seconds"] = 1.into();
        each(2, &METHODS[..tries(2, 4)], |method| {
            let (target, beside) = (database("pooled_session"), database("pooled_beside"));
            for name in ["a", "a", "b"] {
                load(&target, method, &through, name).success();
                load(&beside, method, &json!({}), name).success();
            }
            let held = "SELECT string_agg(t::text, ' ' ORDER BY id, name) FROM t";
            assert_eq!(target.psql(held), beside.psql(held), "{size}");
        });
    }
}
