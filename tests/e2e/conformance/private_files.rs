//! Files with secrets that others can touch, servers that nobody has checked, and those that answer
//! without end.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use support::cluster::{Database, PASSWORD, cluster, database, private};
use support::folder;
use support::messages::Lines;
use support::run::{Run, file, ours};

/// Settings that log in over TLS.
fn over_tls(source: &Database, port: u16, mode: &str) -> Value {
    json!({
        "host": "localhost", "port": port, "user": "postgres", "database": source.name,
        "password": PASSWORD, "ssl_mode": mode,
    })
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let (source, scratch) = (database("key_mode"), folder());
    source.psql("CREATE TABLE mine (id integer)");
    // Any pair does: the server asks for none.
    let key = fs::read(cluster().folder.join("server.key")).unwrap();
    let (key, link) = (file(scratch.path(), "client.key", key), scratch.path().join("mounted.key"));
    std::os::unix::fs::symlink(&key, &link).unwrap();
    let mut settings = over_tls(&source, cluster().port, "require");
    settings["ssl_client_certificate_enable"] = true.into();
    settings["ssl_client_certificate"] = json!(cluster().folder.join("server.crt"));
    for path in [&key, &link] {
        settings["ssl_client_private_key"] = json!(path);
        for (mode, code) in [(0o600, 0), (0o400, 0), (0o644, 77), (0o660, 77), (0o604, 77)] {
            chmod(&key, mode);
            for name in ["tap-postgres", "target-postgres"] {
                let outcome = ours(name).config(&settings).input(Lines::whole(&[]).0).go();
                let outcome = outcome.exits(code);
                let mends = format!("chmod 600 {}", path.display());
                assert_eq!(outcome.stderr.contains(&mends), code == 77, "{}", outcome.stderr);
            }
        }
    }
    // What is no path may be the key itself.
    settings["ssl_client_private_key"] = "CANARY-5f3a-no-begin-line".into();
    let outcome = ours("tap-postgres").config(&settings).go().exits(78);
    assert!(outcome.stderr.contains("setting: ssl_client_private_key"), "{}", outcome.stderr);
    // Nor is anything read that has no end.
    let pipe = scratch.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    for path in [&*pipe, Path::new("/dev/zero"), scratch.path()] {
        settings["ssl_client_private_key"] = json!(path);
        ours("tap-postgres").config(&settings).go().exits(78);
        let outcome = ours("tap-postgres")
            .config(&json!({ "host": "localhost", "port": cluster().port, "user": "postgres",
                "ssl_mode": "require" }))
            .env("PGPASSFILE", path)
            .go()
            .exits(77);
        assert!(outcome.stderr.contains("W-PASSWORD-FILE"), "{}", outcome.stderr);
    }
}

#[test]
fn an_authority_that_everybody_can_change_is_warned_of() {
    let (source, scratch) = (database("authority_mode"), folder());
    source.psql("CREATE TABLE t (id integer)");
    let authority = fs::read(cluster().folder.join("ca.crt")).unwrap();
    let authority = file(scratch.path(), "ca.crt", authority);
    let mut settings = over_tls(&source, cluster().port, "verify-full");
    settings["ssl_certificate_authority"] = json!(authority);
    for (mode, warned) in [(0o644, false), (0o664, false), (0o646, true)] {
        chmod(&authority, mode);
        let outcome = ours("tap-postgres").config(&settings).go().success();
        assert_eq!(outcome.stderr.contains("W-FILE-OPEN-TO-ALL"), warned, "{}", outcome.stderr);
    }
}

#[test]
fn a_password_to_a_server_that_nobody_checked_is_warned_of() {
    let scratch = folder();
    for (method, encryption, warned) in
        [("password", "scram-sha-256", true), ("md5", "md5", true), ("scram-sha-256", "", false)]
    {
        let rules = format!("local all all trust\nhostssl all all 127.0.0.1/32 {method}\n");
        let rules = file(scratch.path(), "hba.conf", rules);
        chmod(scratch.path(), 0o755);
        chmod(&rules, 0o644);
        let server = private(&format!("hba_file = '{}'", rules.display()));
        let source = Database::of(&server, "postgres");
        source.psql("CREATE TABLE t (id integer)");
        if !encryption.is_empty() {
            let password = PASSWORD.replace('\'', "''");
            source.psql(&format!(
                "SET password_encryption = '{encryption}'; SET standard_conforming_strings = on;
                 ALTER ROLE postgres PASSWORD '{password}'"
            ));
        }
        for (mode, checked) in [("require", false), ("prefer", false), ("verify-full", true)] {
            let mut settings = over_tls(&source, server.port, mode);
            settings["ssl_certificate_authority"] = json!(server.folder.join("ca.crt"));
            let outcome = ours("tap-postgres").config(&settings).go().success();
            let says = outcome.stderr.contains("W-PASSWORD-UNCHECKED-SERVER");
            assert_eq!(says, warned && !checked, "{method} {mode}: {}", outcome.stderr);
        }
    }
}

/// A server that lets everybody in, and answers the question behind the first one by this, again
/// and again.
fn endless(answer: Vec<u8>, times: usize) -> (u16, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        assert!(peer.read(&mut request).unwrap() > 8);
        peer.write_all(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I").unwrap();
        assert!(peer.read(&mut request).unwrap() > 0);
        peer.write_all(b"1\0\0\0\x042\0\0\0\x04D\0\0\0\x06\0\0Z\0\0\0\x05I").unwrap();
        assert!(peer.read(&mut request).unwrap() > 0);
        (0..times).take_while(|_| peer.write_all(&answer).is_ok()).count()
    });
    (port, thread)
}

fn message(kind: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

#[test]
fn answers_of_a_server_have_an_end() {
    let row = |bytes: u32| {
        let text = "x".repeat(bytes as usize);
        let payload = [b"\0\x01", &bytes.to_be_bytes()[..], text.as_bytes()].concat();
        message(b'D', bytes + 10, &payload)
    };
    for (answer, times, told) in [
        (row(1 << 20), 5000, "it is too large"),
        (row(0).repeat(10_000), 2000, "it is too large"),
        // One that claims to be longer than any row of a catalog.
        (message(b'D', 1 << 30, b"\0\x01"), 1, "cannot understand the server's answer"),
        (message(b'N', 1 << 30, b"M"), 1, "cannot understand the server's answer"),
    ] {
        let (port, server) = endless(answer, times);
        let settings = json!({ "host": "127.0.0.1", "port": port, "user": "u", "password": "p" });
        // Far less memory than the server would fill.
        let limited = Run::new(Path::new("/usr/bin/prlimit"));
        let limited = limited.args(["--as=1600000000"]);
        let tap = limited.args([support::binaries_dir().join("tap-postgres")]);
        let outcome = tap.config(&settings).go().exits(69);
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        let sent = server.join().unwrap();
        assert!(sent < times || times == 1, "{sent}");
    }
}

#[test]
fn what_a_server_says_is_shown_without_secrets_and_not_at_any_length() {
    let secret = "CANARY-5f3a-in-an-answer";
    let text = format!("Mno {secret} {}", "long ".repeat(20_000));
    let payload = [b"SERROR\0VERROR\0C42501\0", text.as_bytes(), b"\0\0"].concat();
    let error = message(b'E', u32::try_from(payload.len() + 4).unwrap(), &payload);
    let (port, server) = endless([error, message(b'Z', 5, b"I")].concat(), 1);
    let settings = json!({ "host": "127.0.0.1", "port": port, "user": "u", "password": secret });
    let outcome = ours("tap-postgres").config(&settings).go().exits(77);
    assert!(outcome.stderr.contains("no *** long"), "{}", outcome.stderr);
    assert!(outcome.stderr.len() < 10_000, "{}", outcome.stderr.len());
    assert_eq!(server.join().unwrap(), 1);
}
