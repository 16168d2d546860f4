//! Several servers to choose from, ports behind hosts, and settings of the server for the session:
//! what libpq reads in settings, addresses and the environment.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};

use support::cluster::{Cluster, Database, PASSWORD, database, database_of, private};
use support::messages::Lines;
use support::pipes::{from_database, to_database};
use support::run::{Outcome, Run, ours};

/// A primary, a standby that follows it, and a port at which nobody listens.
struct Servers {
    primary: Arc<Cluster>,
    standby: Arc<Cluster>,
    nobody: u16,
    database: Database,
}

impl Servers {
    fn start(purpose: &str) -> Self {
        let primary = private("");
        let database = database_of(&primary, purpose);
        database.psql("CREATE VIEW v AS SELECT pg_is_in_recovery() AS standby");
        let standby = primary.standby("hot_standby = on");
        let copy = Database::of(&standby, &database.name);
        copy.wait_for("SELECT count(*) FROM pg_class WHERE relname = 'v'");
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { primary, standby, nobody, database }
    }

    /// Writes a list of hosts: `p`rimary, `s`tandby, `n`obody.
    fn hosts(&self, list: &str) -> String {
        let hosts = list.chars().map(|one| format!("127.0.0.1:{}", self.port(one)));
        hosts.collect::<Vec<_>>().join(",")
    }

    fn port(&self, server: char) -> u16 {
        match server {
            'p' => self.primary.port,
            's' => self.standby.port,
            _ => self.nobody,
        }
    }

    fn settings(&self, more: &Value) -> Value {
        let mut settings = json!({
            "user": "postgres", "password": PASSWORD, "database": self.database.name,
            "ssl_mode": "require",
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }

    fn read(&self, more: &Value) -> Run {
        ours("tap-postgres").config(&self.settings(more))
    }
}

/// Tells whether it was the standby that answered.
#[track_caller]
fn was_standby(outcome: Outcome) -> bool {
    outcome.success().records("public-v")[0]["standby"] == true
}

#[test]
fn the_first_server_that_will_do_is_taken() {
    let servers = Servers::start("servers");
    let check = |hosts: &str, attributes: &str, standby: bool| {
        let settings = json!({ "host": servers.hosts(hosts), "target_session_attrs": attributes });
        assert_eq!(was_standby(servers.read(&settings).go()), standby, "{hosts} {attributes}");
    };
    check("p", "any", false);
    check("nsp", "any", true);
    check("snp", "read-write", false);
    check("sp", "primary", false);
    check("pns", "standby", true);
    check("ps", "read-only", true);
    check("ps", "prefer-standby", true);
    check("np", "prefer-standby", false);
    // One that cannot be reached may be the one: another try helps, and else none.
    let refused = |hosts: &str, attributes: &str, code: i32, told: &[&str]| {
        let settings = json!({ "host": servers.hosts(hosts), "target_session_attrs": attributes });
        let outcome = servers.read(&settings).go().exits(code);
        for part in told {
            assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
        }
    };
    refused("np", "standby", 75, &["it is not a standby", "Connection refused", "to any of"]);
    refused("nn", "any", 75, &["Connection refused"]);
    refused("s", "read-write", 69, &["it is a standby", "hint: check `target_session_attrs`"]);
    refused("ss", "primary", 69, &["it is a standby"]);
    // Sessions of a primary that are read-only by their options.
    let settings = json!({
        "host": servers.hosts("p"), "options": "-c default_transaction_read_only=on",
        "target_session_attrs": "read-write",
    });
    let outcome = servers.read(&settings).go().exits(69);
    assert!(outcome.stderr.contains("its sessions are read-only"), "{}", outcome.stderr);
    let outcome = servers.read(&settings).set("target_session_attrs", "read-only").go();
    assert!(!was_standby(outcome));
    // A password that is wrong is wrong for all.
    let settings = json!({ "host": servers.hosts("sp"), "password": "wrong" });
    let outcome = servers.read(&settings).go().exits(77);
    assert!(outcome.stderr.contains(&servers.hosts("s")), "{}", outcome.stderr);
}

#[test]
fn servers_are_named_by_settings_addresses_and_the_environment() {
    let servers = Servers::start("named");
    let name = &servers.database.name;
    let url = |rest: &str| json!({ "sqlalchemy_url": format!("postgresql://postgres@{rest}") });
    let (primary, standby, nobody) = (servers.port('p'), servers.port('s'), servers.port('n'));
    let list = servers.hosts("nsp");
    for rest in [
        format!("{list}/{name}?target_session_attrs=primary"),
        format!("/{name}?host={list}&target_session_attrs=primary"),
        format!(
            "/{name}?host=127.0.0.1,127.0.0.1&port={nobody},{primary}&target_session_attrs=primary"
        ),
        format!(
            "/{name}?host=127.0.0.1:{standby}&host=127.0.0.1:{primary}&connect_timeout=5\
                 &target_session_attrs=read-write"
        ),
    ] {
        let outcome = servers.read(&url(&rest)).go();
        assert!(!outcome.stderr.contains("W-URL-PARAMETER"), "{}", outcome.stderr);
        assert!(!was_standby(outcome), "{rest}");
    }
    let by_variables = |variables: &[(&str, String)]| {
        let tap = servers.read(&json!({}));
        variables.iter().fold(tap, |tap, (name, value)| tap.env(name, value)).go()
    };
    let hosts = ("PGHOST", "127.0.0.1,127.0.0.1".to_owned());
    let ports = ("PGPORT", format!("{standby},{primary}"));
    let attributes = |word: &str| ("PGTARGETSESSIONATTRS", word.to_owned());
    assert!(was_standby(by_variables(&[hosts.clone(), ports.clone()])));
    assert!(!was_standby(by_variables(&[hosts.clone(), ports.clone(), attributes("primary")])));
    let outcome = by_variables(&[hosts.clone(), ports.clone(), attributes("master")]).exits(78);
    assert!(outcome.stderr.contains("one of any, read-write"), "{}", outcome.stderr);
    let outcome = by_variables(&[hosts, ("PGPORT", format!("{primary},1,2"))]).exits(78);
    assert!(outcome.stderr.contains("setting: PGPORT"), "{}", outcome.stderr);
    let outcome = servers.read(&json!({ "host": "127.0.0.1:many" })).go().exits(78);
    assert!(outcome.stderr.contains("cannot read a port"), "{}", outcome.stderr);
}

#[test]
fn a_load_finds_the_server_that_can_be_written() {
    let servers = Servers::start("written");
    let settings = servers.settings(&json!({ "host": servers.hosts("nsp") }));
    let load = |rows: &[(i64, &str)]| {
        let settings = settings.clone();
        to_database(&servers.database, &json!({})).config(&settings).input(Lines::whole(rows).0)
    };
    let outcome = load(&[(1, "a")]).go().exits(75);
    assert!(outcome.stderr.contains("target_session_attrs: read-write"), "{}", outcome.stderr);
    // The second connection, by which rows go straight into the table, is to the same server.
    load(&[(1, "a"), (2, "b")]).set("target_session_attrs", "read-write").go().success();
    assert_eq!(servers.database.psql("SELECT string_agg(name, '' ORDER BY id) FROM t"), "ab");
}

#[test]
fn options_set_what_is_not_ours() {
    let source = database("options");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, i interval); INSERT INTO t VALUES (1, '1 day');
         CREATE VIEW v AS SELECT current_setting('work_mem') AS memory,
                                 current_setting('TimeZone') AS zone",
    );
    let options = "-c work_mem=5MB -c IntervalStyle=postgres --timezone=Asia/Tokyo";
    let url = format!(
        "postgresql:///{}?host={}&options={}",
        source.name,
        source.settings()["host"].as_str().unwrap(),
        options.replace(' ', "%20")
    );
    let runs = [
        from_database(&source, &json!({ "options": options })),
        from_database(&source, &json!({})).env("PGOPTIONS", options),
        from_database(&source, &json!({ "sqlalchemy_url": url })),
    ];
    for run in runs {
        let outcome = run.go().success();
        // Views compute by them; how values are printed is ours.
        assert_eq!(outcome.records("public-v"), [json!({ "memory": "5MB", "zone": "Asia/Tokyo" })]);
        assert_eq!(outcome.records("public-t"), [json!({ "id": 1, "i": "P1D" })]);
        let told =
            "the option IntervalStyle=postgres has no effect: the connector sets it to iso_8601";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.matches("W-SETTING-UNUSED: ").count(), 1, "{}", outcome.stderr);
    }
    for options in ["-c no_such_setting=1", "-c work_mem=lots", "-c work_mem"] {
        let outcome = from_database(&source, &json!({ "options": options })).go().exits(78);
        assert!(outcome.stderr.contains("hint: check `options`"), "{}", outcome.stderr);
    }
    let outcome = from_database(&source, &json!({ "connect_timeout": 5 })).go().success();
    assert!(!outcome.stderr.contains("WARN"), "{}", outcome.stderr);
}
