//! Amounts of money arrive whatever the currency of a database is counted in.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use support::cluster::{Cluster, Database, database_of, owner, private, server};
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, load, to_database};

/// Currencies that are no locales of most machines: their sign, point and digits behind it.
const CURRENCIES: [(&str, &str, &str, u32); 3] =
    [("yen", "Y", ".", 0), ("dinar", "KD ", ",", 3), ("euro", "E", ",", 2)];

/// Makes a locale of a currency below a folder.
fn make_locale(folder: &Path, (name, sign, point, digits): (&str, &str, &str, u32)) {
    let group = if point == "." { "," } else { "." };
    let mut text = format!(
        "comment_char %\nescape_char /\nLC_MONETARY\nint_curr_symbol \"XXX \"\n\
         currency_symbol \"{sign}\"\nmon_decimal_point \"{point}\"\nmon_thousands_sep \"{group}\"\n\
         mon_grouping 3\npositive_sign \"\"\nnegative_sign \"-\"\nint_frac_digits {digits}\n\
         frac_digits {digits}\np_cs_precedes 1\np_sep_by_space 0\nn_cs_precedes 1\n\
         n_sep_by_space 0\np_sign_posn 4\nn_sign_posn 4\nEND LC_MONETARY\n"
    );
    for category in ["LC_CTYPE", "LC_COLLATE", "LC_NUMERIC", "LC_TIME", "LC_MESSAGES"] {
        writeln!(text, "{category}\ncopy \"POSIX\"\nEND {category}").unwrap();
    }
    let definition = folder.join(format!("{name}.def"));
    fs::write(&definition, text).unwrap();
    // It warns of categories that a test does not need, and says so by its exit code.
    let mut make = Command::new("localedef");
    make.arg("-c").arg("-i").arg(&definition).args(["-f", "UTF-8"]).arg(folder.join(name));
    make.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(folder.join(name).join("LC_MONETARY").exists(), "localedef makes no locale {name}");
}

/// Starts a server that knows the currencies.
fn with_currencies() -> Arc<Cluster> {
    let cluster = private("");
    cluster.control(&["-m", "fast", "stop"]);
    let locales = cluster.folder.join("locales");
    fs::create_dir(&locales).unwrap();
    for currency in CURRENCIES {
        make_locale(&locales, currency);
    }
    let copied = Command::new("cp").args(["-r", "/usr/lib/locale/C.utf8"]).arg(&locales).status();
    assert!(copied.unwrap().success());
    let mut start = server(&cluster.binaries.join("pg_ctl"), owner());
    start.env("LOCPATH", &locales).args(["-w", "-s", "-t", "60", "-D"]);
    start.arg(cluster.folder.join("data")).arg("-l").arg(cluster.folder.join("log")).arg("start");
    let started = start.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(started.success());
    cluster
}

fn database_in(cluster: &Arc<Cluster>, purpose: &str, currency: &str) -> Database {
    let database = database_of(cluster, purpose);
    database.psql(&format!("ALTER DATABASE {} SET lc_monetary = '{currency}'", database.name));
    database
}

#[test]
fn amounts_arrive_between_currencies() {
    let cluster = with_currencies();
    let all = "SELECT id, m::numeric, ma::numeric[], d::numeric FROM t ORDER BY id";
    for (from, ..) in CURRENCIES {
        let source = database_in(&cluster, from, from);
        source.psql(
            "CREATE DOMAIN fee AS money;
             CREATE TABLE t (id integer PRIMARY KEY, m money, ma money[], d fee);
             INSERT INTO t VALUES
               (1, 1500::money, ARRAY[2::money, NULL, (-1234567)::money], 7::money),
               (2, (-1234567)::money, '{}', NULL), (3, 0::money, NULL, 1::money)",
        );
        for (to, ..) in CURRENCIES {
            let (target, scratch) = (database_in(&cluster, "to", to), folder());
            extract(&source, scratch.path(), DAY);
            for _ in 0..2 {
                load(scratch.path(), DAY, &target, &json!({})).success();
                let numbers = |database: &Database| {
                    // The same amount has other zeros where money has other digits.
                    let text = database.psql(all).replace(".000", "").replace(".00", "");
                    assert!(text.starts_with("1|1500|{2,NULL,-1234567}|7"), "{from} {to}: {text}");
                    text
                };
                assert_eq!(numbers(&target), numbers(&source), "{from} to {to}");
            }
        }
    }
    // The smallest units, and what another currency has no unit for.
    let dinars = database_in(&cluster, "units", "dinar");
    dinars.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, m money); CREATE TYPE pair AS (m money);
         INSERT INTO t VALUES (1, 0.005::numeric::money), (2, 1234567.891::numeric::money)",
    );
    let tap = from_database(&dinars, &json!({})).go().success();
    let amounts: Vec<_> = tap.records("public-t").into_iter().map(|r| r["m"].clone()).collect();
    assert_eq!(amounts, [json!("0.005"), json!("1234567.891")]);
    let same = database_in(&cluster, "same", "dinar");
    to_database(&same, &json!({})).input(tap.stdout.clone()).go().success();
    assert_eq!(same.psql("SELECT id, m::numeric FROM t ORDER BY id"), "1|0.005\n2|1234567.891");
    for other in ["yen", "euro"] {
        let target = database_in(&cluster, "coarse", other);
        to_database(&target, &json!({})).input(tap.stdout.clone()).go().exits(65);
    }
    // Inside other types nobody can tell what the text of an amount is in another database.
    dinars.psql("CREATE TABLE u (p pair)");
    let refused = from_database(&dinars, &json!({})).go().exits(69);
    assert!(refused.stderr.contains("money inside another type"), "{}", refused.stderr);
}

#[test]
fn money_inside_another_type_goes_where_it_means_the_same() {
    let cluster = with_currencies();
    for (currency, code) in [("yen", 69), ("dinar", 69), ("euro", 0)] {
        let target = database_in(&cluster, "inside", currency);
        target.psql(
            "CREATE TYPE wage AS (name text, pay money); CREATE DOMAIN wages AS wage[];
             CREATE TYPE span AS RANGE (subtype = money); CREATE TYPE place AS (name text, n int)",
        );
        for (sql, value) in [
            ("wage", "(bob,$15.00)"),
            ("wage[]", "{\"(bob,$15.00)\"}"),
            ("wages", "{\"(bob,$15.00)\"}"),
            ("span", "[$15.00,$16.00)"),
            ("place", "(bob,15)"),
        ] {
            for there in [false, true] {
                target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
                if there {
                    target.psql(&format!("CREATE TABLE t (id integer PRIMARY KEY, v {sql})"));
                }
                let v = json!({ "type": "string", "x-sql-datatype": format!("public.{sql}") });
                let columns = json!({ "id": { "type": "integer" }, "v": v });
                let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
                let lines = lines.record("t", &json!({ "id": 1, "v": value })).done();
                let outcome = to_database(&target, &json!({})).input(lines.0).go();
                let expected = if sql == "place" { 0 } else { code };
                assert_eq!(outcome.code, expected, "{currency} {sql}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn an_amount_of_any_tap_goes_into_money() {
    let cluster = with_currencies();
    for (currency, value, kept) in [
        ("yen", "$1,500.00", Some("1500")),
        ("yen", "1500", Some("1500")),
        ("yen", "1500.50", None),
        ("dinar", "-1500.5", Some("-1500.500")),
        ("euro", "1500.5", Some("1500.50")),
        ("yen", "a lot", None),
    ] {
        let target = database_in(&cluster, "any", currency);
        target.psql("CREATE TABLE t (id integer PRIMARY KEY, m money)");
        let columns = json!({ "id": { "type": "integer" }, "m": { "type": "string" } });
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        let lines = lines.record("t", &json!({ "id": 1, "m": value })).done();
        let outcome = to_database(&target, &json!({})).input(lines.0).go();
        assert_eq!(outcome.code, if kept.is_some() { 0 } else { 65 }, "{}", outcome.stderr);
        assert_eq!(target.psql("SELECT m::numeric FROM t"), kept.unwrap_or_default(), "{value}");
    }
}
