//! Who trusts whom: keys of servers, credentials of users (F01, F02, L01, L02 of the catalogue).

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use support::folder;
use support::run::{Outcome, Run, file, ours};
use support::sshd::{Agent, PASSPHRASE, Sshd, login};

fn tables() -> Value {
    json!([{ "table_name": "t", "remote_path": "/in/a.csv" }])
}

fn server() -> Sshd {
    let server = Sshd::start();
    server.put("/in/a.csv", "a\n1\n");
    server
}

/// A tap with other credentials than the password.
fn with(server: &Sshd, credentials: &Value) -> Run {
    let mut settings = server.settings(&tables());
    settings["password"] = Value::Null;
    for (name, value) in credentials.as_object().unwrap() {
        settings[name] = value.clone();
    }
    ours("tap-sftp").config(&settings).env("LOGLEVEL", "TRACE")
}

#[track_caller]
fn reads(run: Run) {
    let outcome = run.go().success();
    assert_eq!(outcome.records("t").len(), 1);
}

#[track_caller]
fn refused(run: Run, code: i32, words: &[&str]) -> Outcome {
    let outcome = run.go();
    assert_eq!(outcome.code, code, "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
    }
    assert_eq!(outcome.text(), "");
    outcome
}

#[test]
fn passwords_keys_and_agents_log_in() {
    let server = server();
    reads(ours("tap-sftp").config(&server.settings(&tables())).env("LOGLEVEL", "TRACE"));
    for name in ["user_ed25519", "user_ecdsa", "user_rsa", "user_pem_rsa"] {
        reads(with(&server, &json!({ "private_key_file": login().key(name) })));
    }
    let secret = login().key("user_secret");
    let passphrase = json!({ "private_key_file": secret, "private_key_passphrase": PASSPHRASE });
    reads(with(&server, &passphrase));
    let text = std::fs::read_to_string(login().key("user_ecdsa")).unwrap();
    reads(with(&server, &json!({ "private_key": text })));
    let agent = Agent::with("user_rsa");
    let run = with(&server, &json!({ "use_agent": true }));
    reads(run.env("SSH_AUTH_SOCK", &agent.socket));
    // A key that is not welcome does not keep the password from being so.
    let mut both = server.settings(&tables());
    both["private_key_file"] = json!(login().key("user_stranger"));
    reads(ours("tap-sftp").config(&both));
}

#[test]
fn questions_on_the_keyboard_are_answered_with_the_password() {
    let server = Sshd::start_with(
        "AuthenticationMethods keyboard-interactive\nUsePAM yes\nKbdInteractiveAuthentication yes",
    );
    server.put("/in/a.csv", "a\n1\n");
    reads(ours("tap-sftp").config(&server.settings(&tables())));
    let wrong = with(&server, &json!({ "password": "CANARY-5f3a wrong" }));
    refused(wrong, 77, &["refused: the password"]);
    server.wait_for_log("Connection closed by authenticating user");
    let log = server.log();
    assert_eq!(log.matches("Failed keyboard-interactive").count(), 1, "{log}");
}

#[test]
fn wrong_credentials_are_tried_once() {
    let server = server();
    let wrong = json!({ "password": "CANARY-5f3a-wrong" });
    refused(with(&server, &wrong), 77, &["cannot log in", "refused: the password", "publickey"]);
    server.wait_for_log("Connection closed by authenticating user");
    let log = server.log();
    assert_eq!(log.matches("Failed password").count(), 1, "{log}");
    let stranger = json!({ "private_key_file": login().key("user_stranger") });
    let name = login().fingerprint("user_stranger");
    refused(with(&server, &stranger), 77, &["cannot log in", &name]);
    let agent = Agent::with("user_stranger");
    let run = with(&server, &json!({ "use_agent": true }));
    refused(run.env("SSH_AUTH_SOCK", &agent.socket), 77, &["the agent's key", &name]);
    let nobody = json!({ "password": "CANARY-5f3a", "username": "nobody-known" });
    refused(with(&server, &nobody), 77, &["username: nobody-known"]);
}

#[test]
fn keys_that_cannot_be_used_are_refused_before_any_call() {
    let server = server();
    let scratch = folder();
    let secret = login().key("user_secret");
    let open = file(scratch.path(), "open", std::fs::read(login().key("user_ed25519")).unwrap());
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let public = file(scratch.path(), "public", login().public("user_ed25519"));
    std::fs::set_permissions(&public, std::fs::Permissions::from_mode(0o600)).unwrap();
    let pasted = std::fs::read_to_string(login().key("user_ed25519")).unwrap();
    let body = pasted.lines().find(|line| !line.starts_with("-----")).unwrap().to_owned();
    let cases: [(Value, i32, &str); 12] = [
        (json!({ "private_key_file": secret }), 78, "set `private_key_passphrase`"),
        (
            json!({ "private_key_file": secret, "private_key_passphrase": "CANARY-5f3a" }),
            77,
            "check `private_key_passphrase`",
        ),
        (json!({ "private_key_file": open }), 77, "chmod 600"),
        (json!({ "private_key_file": public }), 78, "not the public one"),
        (json!({ "private_key_file": "/nonexistent" }), 78, "/nonexistent"),
        // What is taken for a path may be the secret itself.
        (json!({ "private_key_file": "CANARY-5f3a" }), 78, "setting: private_key_file"),
        (json!({ "private_key_file": pasted }), 78, "setting: private_key_file"),
        (json!({ "private_key_file": body }), 78, "setting: private_key_file"),
        (json!({ "private_key_file": "/dev/zero" }), 78, "not a regular file"),
        (json!({ "host": "sftp://u:CANARY-5f3a@h" }), 78, "setting: host"),
        (json!({ "private_key": "CANARY-5f3a" }), 78, "setting: private_key"),
        (json!({}), 78, "set `password`"),
    ];
    for (credentials, code, words) in cases {
        let outcome = refused(with(&server, &credentials), code, &[words]);
        assert!(!outcome.stderr.contains(&body), "{}", outcome.stderr);
    }
    let run = with(&server, &json!({ "use_agent": true }));
    refused(run.env("SSH_AUTH_SOCK", "/nonexistent"), 78, &["use_agent"]);
    let log = server.log();
    assert!(!log.contains("Accepted"), "{log}");
}

#[test]
fn a_server_proves_who_it_is_before_it_is_told_anything() {
    let server = server();
    let scratch = folder();
    let own = login().public("host_ed25519");
    let other = login().public("host_other");
    let address = format!("[127.0.0.1]:{}", server.port);
    let known = |name: &str, text: String| {
        let path = file(scratch.path(), name, text);
        let mut settings = server.settings(&tables());
        settings["host_key_fingerprint"] = Value::Null;
        settings["known_hosts_file"] = json!(path);
        ours("tap-sftp").config(&settings).env("LOGLEVEL", "TRACE")
    };
    let fingerprint = login().fingerprint("host_ed25519");
    let shown = fingerprint.as_str();
    let cases = [
        ("empty", String::new(), "is not known"),
        ("another host", format!("example.com {own}\n"), "is not known"),
        ("another port", format!("127.0.0.1 {own}\n"), "is not known"),
        ("another key", format!("{address} {other}\n"), "has changed"),
        ("revoked", format!("{address} {own}\n@revoked * {own}\n"), "is revoked"),
    ];
    for (name, text, words) in cases {
        let outcome = known(name, text).go();
        assert_eq!(outcome.code, 77, "{name}: {}", outcome.stderr);
        for word in [words, shown, "hint: "] {
            assert!(outcome.stderr.contains(word), "{name}: no {word:?} in {}", outcome.stderr);
        }
    }
    refused(known("gone", String::new()).set("known_hosts_file", "/none"), 77, &["ssh-keyscan -p"]);
    let pinned = ours("tap-sftp").config(&server.settings(&tables()));
    let wrong = login().fingerprint("host_other");
    refused(pinned.set("host_key_fingerprint", &wrong), 77, &[shown, &wrong, "differs from"]);
    // Nobody has asked to log in, be it with nothing.
    let log = server.log();
    for word in ["Accepted", "Failed", "authenticating user", "invalid user"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
    reads(known("good", format!("# ours\n{address} {other}\n{address} {own} comment\n")));
    reads(known("wide", format!("[127.0.0.*]:{} {own}\n", server.port)));
}

#[test]
fn what_is_no_fingerprint_is_refused_and_the_hint_shows_one() {
    let server = server();
    let with = |text: &str| {
        let pinned = ours("tap-sftp").config(&server.settings(&tables()));
        pinned.set("host_key_fingerprint", text)
    };
    let right = login().fingerprint("host_ed25519");
    let bare = right.strip_prefix("SHA256:").unwrap();
    let key = login().public("host_ed25519");
    for text in ["SHA256:x", "no", &right[..right.len() - 1], &format!("256 {right}"), &key] {
        let outcome = with(text).go().exits(78);
        for says in ["setting: host_key_fingerprint", "ssh-keyscan", "43 characters"] {
            assert!(outcome.stderr.contains(says), "{says}: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("attacker"), "{}", outcome.stderr);
    }
    let told = with("SHA256:x").go().stderr;
    let command = told.split('`').find(|part| part.starts_with("ssh-keyscan")).unwrap();
    let command = command.replace("PORT", &server.port.to_string()).replace("HOST", "127.0.0.1");
    let shown = Run::new("/bin/sh".as_ref()).args(["-c", &command]).go().success().text();
    let found = shown.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap();
    for text in [found, bare, &format!(" {found}= ")] {
        reads(with(text));
    }
}

#[test]
fn hashed_names_and_the_file_of_the_home_folder_are_known() {
    let server = server();
    let home = folder();
    let address = format!("[127.0.0.1]:{}", server.port);
    let text = format!("{address} {}\n", login().public("host_ed25519"));
    let path = file(home.path(), ".ssh/known_hosts", text);
    let hash = Run::new("/usr/bin/ssh-keygen".as_ref()).args(["-H", "-f"]).args([&path]);
    hash.go().success();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("|1|"));
    let mut settings = server.settings(&tables());
    settings["host_key_fingerprint"] = Value::Null;
    reads(ours("tap-sftp").config(&settings).env("HOME", home.path()));
}

#[test]
fn a_server_with_several_keys_is_asked_for_the_known_one() {
    let server = Sshd::start_with("HostKey KEYS/host_ed25519\nHostKey KEYS/host_rsa");
    server.put("/in/a.csv", "a\n1\n");
    let scratch = folder();
    let text = format!("[127.0.0.1]:{} {}\n", server.port, login().public("host_rsa"));
    let path = file(scratch.path(), "known", text);
    let mut settings = server.settings(&tables());
    settings["host_key_fingerprint"] = Value::Null;
    settings["known_hosts_file"] = json!(path);
    reads(ours("tap-sftp").config(&settings));
}

#[test]
fn a_server_with_nothing_but_weak_algorithms_is_refused() {
    let server = Sshd::start_with("KexAlgorithms diffie-hellman-group1-sha1");
    let run = ours("tap-sftp").config(&server.settings(&tables()));
    refused(run, 69, &["cannot agree", "diffie-hellman-group1-sha1"]);
    let server = Sshd::start_with("Ciphers aes128-cbc");
    let run = ours("tap-sftp").config(&server.settings(&tables()));
    refused(run, 69, &["cannot agree", "aes128-cbc"]);
    let server = Sshd::start_with("HostKey KEYS/host_rsa\nHostKeyAlgorithms ssh-rsa");
    let run = ours("tap-sftp").config(&server.settings(&tables()));
    refused(run, 69, &["cannot agree", "kind: key", "ssh-rsa", "legacy_algorithms"]);
}

#[test]
fn old_algorithms_are_taken_where_that_is_set_and_nothing_else_is_there() {
    for (lines, key) in [
        ("KexAlgorithms diffie-hellman-group14-sha1", "host_ed25519"),
        ("KexAlgorithms diffie-hellman-group1-sha1", "host_ed25519"),
        ("KexAlgorithms diffie-hellman-group-exchange-sha1", "host_ed25519"),
        ("Ciphers aes128-cbc\nMACs hmac-sha1", "host_ed25519"),
        ("HostKey KEYS/host_rsa\nHostKeyAlgorithms ssh-rsa", "host_rsa"),
    ] {
        let server = Sshd::start_with(lines);
        server.put("/in/a.csv", "a\n1\n");
        let mut settings = server.settings(&tables());
        settings["host_key_fingerprint"] = json!(login().fingerprint(key));
        settings["legacy_algorithms"] = json!(true);
        reads(ours("tap-sftp").config(&settings));
    }
}

#[test]
fn a_private_key_is_read_with_what_settings_make_of_its_lines() {
    let server = server();
    let text = std::fs::read_to_string(login().key("user_ed25519")).unwrap();
    let pem = std::fs::read_to_string(login().key("user_pem_rsa")).unwrap();
    let base64 = |text: &str| {
        let mut run = Run::new(Path::new("/usr/bin/base64")).args(["-w", "64"]);
        run = run.input(text.as_bytes());
        run.go().success().text()
    };
    for key in [
        text.replace('\n', "\\n"),
        text.replace('\n', " "),
        pem.replace('\n', "\\n"),
        pem.replace('\n', " "),
        base64(&text),
        base64(&pem).replace('\n', ""),
    ] {
        let mut settings = server.settings(&tables());
        settings["password"] = Value::Null;
        settings["private_key"] = json!(key);
        reads(ours("tap-sftp").config(&settings));
    }
}

#[test]
fn what_is_no_sftp_server_is_told_apart() {
    let mut settings = server().settings(&tables());
    // The server is gone.
    refused(ours("tap-sftp").config(&settings), 75, &["cannot connect", "check `host`"]);
    settings["host"] = json!("host.invalid");
    refused(ours("tap-sftp").config(&settings), 75, &["host.invalid"]);
    let without = Sshd::start_with("Subsystem other /bin/true\nForceCommand /bin/false");
    let settings = without.settings(&tables());
    refused(
        ours("tap-sftp").config(&settings).set("max_reconnects", 1),
        75,
        &["SFTP server broke"],
    );
}
