//! Networks that fail on the way to Postgres (N01 to N05): nobody there, cuts after any number of
//! bytes, silence, trickles, garbled TLS. Both connectors end by themselves, with 75 where a run
//! again helps, and leave nothing half done.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use support::cluster::{Database, PASSWORD, cluster, database};
use support::faults::{each, figure, tries};
use support::invariants::{Reading, Saw, Table, Trial, explains};
use support::messages::Lines;
use support::pg_proxy::{Fault, PgProxy};
use support::pipes::{DAY, from_database, to_database};
use support::proxy::{self, Proxy};
use support::run::Run;

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

fn rows(name: &str, count: i64) -> Vec<u8> {
    (1..=count).fold(Lines::opened(), |lines, id| lines.row(id, name)).done().0
}

fn load(target: &Database, method: &str, more: &Value) -> Run {
    let settings = json!({
        "load_method": method, "source": "s", "datestamp": DAY, "connect_timeout_seconds": 5,
    });
    to_database(target, &settings).config(more).input(rows("new", 20))
}

/// Without TLS: the proxy goes on to the socket of the server.
fn plain(port: u16) -> Value {
    json!({ "host": "127.0.0.1", "port": port, "ssl_mode": "disable" })
}

/// With TLS and a password.
fn private(port: u16) -> Value {
    let authority = cluster().folder.join("ca.crt");
    json!({
        "host": "localhost", "port": port, "password": PASSWORD, "ssl_mode": "verify-full",
        "ssl_certificate_authority": authority,
    })
}

/// A database with a table to read, and one to load into.
fn prepared(purpose: &str) -> Database {
    let database = database(purpose);
    database.psql(
        "CREATE SCHEMA s; CREATE TABLE s.r (id integer PRIMARY KEY, v text);
         INSERT INTO s.r SELECT n, repeat('x', 200) FROM generate_series(1, 500) n",
    );
    database
}

fn read(source: &Database, more: &Value) -> Run {
    from_database(source, &json!({ "filter_schemas": ["s"] })).config(more)
}

/// What reads of that table have.
fn whole(source: &Database) -> Reading {
    Reading::of("s-r", [&read(source, &json!({})).go()])
}

/// Loads behind a table that has one row, under a fault; then again, if that is what is asked for.
#[track_caller]
fn check_load(target: &Database, method: &str, faulty: &Value, codes: &[i32]) -> i32 {
    target.psql("DROP TABLE IF EXISTS t");
    let first = Lines::whole(&[(1, "old")]).0;
    load(target, method, &json!({})).input(first).go().success();
    let place = Table { database: target, schema: "public", name: "t", columns: "id, name" };
    let mut new: Vec<_> = (1..=20).map(|id| (id, "new")).collect();
    if method == "append-only" {
        new.insert(1, (1, "old"));
    }
    let new = new.iter().fold(String::new(), |text, (id, name)| text + &format!("{id},{name}\n"));
    let trial = Trial { place: &place, old: Some("1,old\n".to_owned()), new, gaps: false };
    let outcome = load(target, method, faulty).go();
    let saw = trial.after_fault(&outcome, codes);
    if outcome.code != 0 {
        assert!(method != "append-only" || saw == Saw::Old, "to be doubled: {outcome:?}");
        trial.after_rerun(&load(target, method, &json!({})).go());
    }
    outcome.code
}

/// Positions from the first byte to the last, so many at most.
fn positions(bytes: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..bytes).step_by((bytes / most).max(1))
}

#[test]
fn a_connection_cut_after_any_byte_leaves_all_or_nothing() {
    let cut = AtomicUsize::new(0);
    each(METHODS.len(), &METHODS, |method| {
        let target = prepared("cut_load");
        let socket = cluster().socket();
        let recorded = PgProxy::start(&socket, Fault::None);
        check_load(&target, method, &plain(recorded.port), &[0]);
        for (at, [sent, received]) in recorded.bytes().into_iter().enumerate() {
            let sent = positions(sent, tries(6, 60)).map(|bytes| Fault::Client(at + 1, bytes));
            let received = positions(received, tries(6, 60)).enumerate().map(|(nth, bytes)| {
                let reset = nth % 2 == 0;
                if reset { Fault::Reset(at + 1, bytes) } else { Fault::Server(at + 1, bytes) }
            });
            for fault in sent.chain(received) {
                let proxy = PgProxy::start(&socket, fault);
                check_load(&target, method, &plain(proxy.port), &[0, 75]);
                cut.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    figure("loads cut after some bytes", cut.into_inner());
}

#[test]
fn a_read_cut_after_any_byte_is_not_taken_for_whole() {
    let source = prepared("cut_read");
    let whole = whole(&source);
    let socket = cluster().socket();
    let recorded = PgProxy::start(&socket, Fault::None);
    whole.after_fault(&read(&source, &plain(recorded.port)).go(), &[0]);
    let [sent, received] = recorded.bytes()[0];
    let most = tries(15, 1000);
    let mut faults: Vec<_> = positions(sent, most).map(|bytes| Fault::Client(1, bytes)).collect();
    for bytes in positions(received, most) {
        faults.extend([Fault::Server(1, bytes), Fault::Reset(1, bytes)]);
    }
    each(2, &faults, |fault| {
        let proxy = PgProxy::start(&socket, *fault);
        whole.after_fault(&read(&source, &plain(proxy.port)).go(), &[0, 75]);
    });
    figure("reads cut after some bytes", faults.len());
}

/// Returns how many bytes come from the server.
fn received(run: impl FnOnce(u16)) -> usize {
    let proxy = Proxy::start(cluster().port, vec![proxy::Fault::None]);
    run(proxy.port);
    proxy.bytes()
}

#[test]
fn tls_that_is_cut_or_garbled_is_never_taken_for_whole() {
    use proxy::Fault::{CutAt, FlipAt};
    let source = prepared("garbled");
    let whole = whole(&source);
    let bytes = received(|port| {
        whole.after_fault(&read(&source, &private(port)).go(), &[0]);
    });
    let mut faults = Vec::new();
    for at in positions(bytes, tries(12, 600)) {
        faults.extend([CutAt(at), FlipAt(at)]);
    }
    let refused = AtomicUsize::new(0);
    each(2, &faults, |fault| {
        let proxy = Proxy::start(cluster().port, vec![*fault]);
        let outcome = read(&source, &private(proxy.port)).go();
        let (CutAt(at) | FlipAt(at)) = *fault else { unreachable!() };
        // What is garbled before there is a key may look like another certificate, or no Postgres;
        // at the very end all rows are there.
        let codes: &[i32] = match fault {
            FlipAt(0..3000) => &[0, 69, 75, 77],
            _ if at + 200 > bytes => &[0, 75],
            _ => &[75],
        };
        whole.after_fault(&outcome, codes);
        refused.fetch_add(usize::from(outcome.code != 0), Ordering::Relaxed);
    });
    figure("TLS connections cut or garbled", faults.len());
    figure("of them refused, the others beyond the last row", refused.into_inner());

    let bytes = received(|port| {
        check_load(&source, "upsert", &private(port), &[0]);
    });
    let late: Vec<_> = positions(bytes, tries(6, 100)).filter(|at| *at > 3000).collect();
    for at in &late {
        let proxy = Proxy::start(cluster().port, vec![FlipAt(*at), proxy::Fault::None]);
        check_load(&source, "upsert", &private(proxy.port), &[0, 75]);
    }
}

#[test]
fn a_server_that_says_nothing_or_a_byte_now_and_then_is_given_up() {
    use proxy::Fault::{DripFrom, StallAt};
    let database = prepared("silent_server");
    let whole = whole(&database);
    let sent = received(|port| {
        whole.after_fault(&read(&database, &private(port)).go(), &[0]);
    });
    let short = json!({ "connect_timeout_seconds": 1, "read_timeout_seconds": 1 });
    // In the handshake, before it, and in the rows.
    let mut faults = vec![DripFrom(0), DripFrom(100), StallAt(0), StallAt(1), StallAt(2000)];
    faults.extend([StallAt(sent / 2), StallAt(sent - 200)]);
    let runs = |settings: &Value| {
        let load = load(&database, "upsert", settings);
        [read(&database, settings), load].map(|run| run.config(&short))
    };
    each(4, &faults, |fault| {
        let proxy = Proxy::start(cluster().port, vec![*fault]);
        let [tap, target] = runs(&private(proxy.port));
        let read = tap.go();
        whole.after_fault(&read, &[75]);
        let mut outcomes = vec![read];
        if !matches!(fault, StallAt(bytes) if *bytes > 2000) {
            outcomes.push(target.go());
        }
        for outcome in outcomes {
            explains(&outcome, &[75]);
            assert!(outcome.stderr.contains("_timeout_seconds"), "{}", outcome.stderr);
        }
    });
    // Nobody accepts: one connection waits in the queue, and there is no room for more.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let port = deaf.local_addr().unwrap().port();
    let queued: Vec<_> = (0..2)
        .map_while(|_| {
            let address = format!("127.0.0.1:{port}").parse().unwrap();
            let wait = std::time::Duration::from_millis(200);
            std::net::TcpStream::connect_timeout(&address, wait).ok()
        })
        .collect();
    assert!(!queued.is_empty());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = json!({ "host": "no-such-host.invalid" });
    for settings in [plain(port), plain(closed), nowhere] {
        for run in runs(&settings) {
            let outcome = run.go();
            explains(&outcome, &[75]);
            let says = outcome.stderr.contains("cannot connect to the Postgres server");
            assert!(says, "{}", outcome.stderr);
        }
    }
}

#[test]
fn rows_that_trickle_in_all_arrive() {
    let source = prepared("trickle");
    source.psql("DELETE FROM s.r WHERE id > 3");
    let bytes = received(|port| {
        read(&source, &private(port)).go().success();
    });
    let proxy = Proxy::start(cluster().port, vec![proxy::Fault::DripFrom(bytes - 400)]);
    let short = json!({ "read_timeout_seconds": 1 });
    let outcome = read(&source, &private(proxy.port)).config(&short).go().success();
    assert_eq!(outcome.records("s-r").len(), 3);
}
