//! Names and values that try to be more than data, and secrets that must not be seen.

use serde_json::json;

use support::cluster::{PASSWORD, cluster, database};
use support::messages::Lines;
use support::pipes::{DAY, extract, load};
use support::run::{feed, file, ours};
use support::{folder, lake};

const NASTY: &[&str] = &[
    "x\"; drop table t; --",
    "$$",
    "\\",
    "%s",
    "{}",
    "a'b",
    "select",
    "Id",
    "id",
    "1st",
    "a.b",
    "..",
    "../../etc/cron.d/x",
    "/abs",
    "..%2f",
    "~root",
    "con",
    ".hidden",
    "id~!@#$%^&*()`[]{}|;':\",./<>?",
    "new\nline",
    "a name that is much longer than the sixty-three bytes of a name, number one",
    "a name that is much longer than the sixty-three bytes of a name, number two",
    "ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé 🎉🎉🎉🎉",
];

fn nasty_input() -> Lines {
    let mut lines = Lines::default();
    for name in NASTY {
        let columns = json!({ "key": { "type": "integer" }, *name: { "type": "string" } });
        lines = lines
            .syncing(name)
            .schema(name, &columns, &["key"])
            .record(name, &json!({ "key": 1, *name: "'); drop table t; -- \\. $1 \\N" }));
    }
    lines.done()
}

#[test]
fn names_are_data_in_paths() {
    let scratch = folder();
    let lake = scratch.path().join("a/b/output");
    let config = json!({ "output_path": lake, "source": "../s/\"", "datestamp": DAY });
    feed("target-csv", &config, &nasty_input().0).success();
    lake::check(&lake);
    let top: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
    assert_eq!(top.len(), 1, "{top:?}");
    let outside: Vec<_> = std::fs::read_dir(scratch.path().join("a/b")).unwrap().collect();
    assert_eq!(outside.len(), 1, "{outside:?}");
    // And back: every stream has its own name again.
    let tap = ours("tap-csv")
        .config(&json!({ "output": lake, "source": "../s/\"", "datestamp": DAY }))
        .go()
        .success();
    for name in NASTY {
        let records = tap.records(name);
        assert_eq!(records.len(), 1, "{name}");
        assert_eq!(records[0][*name], "'); drop table t; -- \\. $1 \\N", "{name}");
    }
}

#[test]
fn names_are_data_in_sql() {
    let target = database("names");
    target.psql("CREATE TABLE t (id integer); INSERT INTO t VALUES (1)");
    let mut config = target.settings_with(&json!({ "add_record_metadata": false }));
    for schema in ["public", "sch\"ema'; --"] {
        config["default_target_schema"] = schema.into();
        feed("target-postgres", &config, &nasty_input().0).success();
        feed("target-postgres", &config, &nasty_input().0).success();
        let count = format!(
            "SELECT count(*) FROM pg_tables WHERE schemaname = '{}' AND tablename <> '_sdc_tables'",
            schema.replace('\'', "''")
        );
        let wanted = NASTY.len() + usize::from(schema == "public");
        assert_eq!(target.psql(&count), wanted.to_string(), "{schema}");
    }
    assert_eq!(target.psql("SELECT id FROM public.t"), "1");
    assert_eq!(target.psql("SELECT \"Id\" FROM public.\"Id\""), "'); drop table t; -- \\. $1 \\N");
}

#[test]
fn names_survive_the_whole_way() {
    let (source, target, scratch) = (database("odd"), database("odd_target"), folder());
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<_> = NASTY.iter().filter(|name| name.len() < 60).collect();
    for name in &names {
        source.psql(&format!(
            "CREATE TABLE {0} (\"key\" integer PRIMARY KEY, {1} text);
             INSERT INTO {0} VALUES (1, 'v')",
            quote(name),
            quote(&format!("{name}_")),
        ));
    }
    extract(&source, scratch.path(), DAY);
    lake::check(scratch.path());
    load(scratch.path(), DAY, &target, &json!({}));
    let list = "SELECT string_agg(n, E'\\n' ORDER BY n) FROM (
                    SELECT attname AS n FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
                    WHERE attnum > 0 AND relkind = 'r' AND relname <> '_sdc_tables'
                    AND relnamespace = 'public'::regnamespace) x";
    assert_eq!(target.psql(list), source.psql(list));
}

#[test]
fn log_lines_cannot_be_forged() {
    let input = Lines::default()
        .syncing("t")
        .schema("t", &json!({ "id": { "type": "integer" } }), &["id"])
        .record("t", &json!({ "id": "\n{\"level\":\"info\"}\u{1b}[31m" }))
        .done();
    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let outcome = feed("target-csv", &config, &input.0).exits(65);
    assert!(!outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("\n{\"level\""), "{}", outcome.stderr);
}

#[test]
fn secrets_are_in_no_output() {
    let password = "CANARY-5f3a@:/%é '\"";
    let port = cluster().port;
    let base = json!({
        "host": "127.0.0.1", "port": port, "user": "postgres", "database": "postgres",
        "password": password, "ssl_mode": "require",
    });
    let url = "postgresql://postgres:CANARY-5f3a%40@127.0.0.1:1/x?sslmode=require";
    let broken_url = "postgresql://postgres:CANARY-5f3a@127.0.0.1:port/x";
    for name in ["tap-postgres", "target-postgres"] {
        let run = |config: &serde_json::Value| {
            ours(name)
                .env("LOGLEVEL", "TRACE")
                .config(config)
                .input(Lines::whole(&[(1, "a")]).0)
                .go()
        };
        // That the secret shows nowhere is asserted of every run.
        run(&base).exits(77);
        run(&json!({ "sqlalchemy_url": url })).exits(75);
        run(&json!({ "sqlalchemy_url": broken_url })).exits(78);
        // Characters that ought to be written as %XX.
        for (login, code) in
            [("u:12?CANARY-5f3a", 75), ("u:1@2?CANARY-5f3a=3", 78), ("u:1/2?CANARY-5f3a&x=3", 78)]
        {
            let url = format!("postgresql://{login}@127.0.0.1:1/x?sslmode=require");
            run(&json!({ "sqlalchemy_url": url })).exits(code);
        }
        run(&json!({ "password": ["CANARY-5f3a"] })).exits(78);
        run(&json!({ "passwort": "CANARY-5f3a", "port": "CANARY-5f3a" })).exits(78);
        let environment = ours(name)
            .args(["--config", "ENV", "--about"])
            .env(&format!("{}_PASSWORD", name.to_uppercase().replace('-', "_")), password)
            .go();
        environment.success();
        let scratch = folder();
        let bad = file(scratch.path(), "bad.json", r#"{"password": "CANARY-5f3a", }"#);
        let outcome = ours(name).args(["--config".as_ref(), bad.as_os_str()]).go().exits(78);
        assert!(outcome.stderr.contains("bad.json"), "{}", outcome.stderr);
        // Everybody can see arguments: a secret among them is refused.
        let outcome = ours(name).set("password", "CANARY-5f3a").go();
        assert!([64, 78].contains(&outcome.code), "{}", outcome.stderr);
    }
}

#[test]
fn a_difficult_password_works_over_verified_tls() {
    let source = database("tls");
    source.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)");
    let authority = cluster().folder.join("ca.crt");
    let config = json!({
        "host": "localhost", "port": cluster().port, "user": "postgres", "database": source.name,
        "password": PASSWORD, "ssl_mode": "verify-full", "ssl_certificate_authority": authority,
    });
    let outcome = ours("tap-postgres").config(&config).go().success();
    assert_eq!(outcome.records("public-t").len(), 1);
    // The certificate names localhost and 127.0.0.1, and an authority nobody else trusts signed it.
    let mut other = config.clone();
    other.as_object_mut().unwrap().remove("ssl_certificate_authority");
    let outcome = ours("tap-postgres").config(&other).go();
    assert_eq!(outcome.code, 77, "{}", outcome.stderr);
    let mut plain = config.clone();
    plain["ssl_mode"] = "disable".into();
    let outcome = ours("tap-postgres").config(&plain).go();
    assert_eq!(outcome.code, 77, "{}", outcome.stderr);
}

#[test]
fn libpq_variables_and_the_password_file_are_read() {
    use std::os::unix::fs::PermissionsExt;
    let source = database("pgpass");
    source.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)");
    let scratch = folder();
    let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let line = format!("127.0.0.1:{}:*:postgres:{escaped}\n", cluster().port);
    let path = file(scratch.path(), "pgpass", line);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = ours("tap-postgres")
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster().port.to_string())
        .env("PGUSER", "postgres")
        .env("PGDATABASE", &source.name)
        .env("PGPASSFILE", &path)
        .env("PGSSLMODE", "require")
        .go()
        .success();
    assert_eq!(outcome.records("public-t").len(), 1);
}
