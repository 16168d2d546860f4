//! The servers of the tests answer the clients that they come with.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use support::cluster::{PASSWORD, cluster, database};
use support::folder;
use support::run::file;
use support::sshd::{Sshd, login};

#[test]
fn the_cluster_answers_over_the_socket_and_over_tls() {
    let database = database("cluster");
    assert_eq!(database.psql("SELECT 1 + 1"), "2");
    assert!(database.try_psql("SELECT 1/0").unwrap_err().contains("division by zero"));
    let cluster = cluster();
    let output = Command::new(cluster.binaries.join("psql"))
        .args(["-X", "-A", "-t", "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"])
        .env("PGPASSWORD", PASSWORD)
        .arg(format!(
            "host=127.0.0.1 port={} user=postgres dbname={} sslmode=verify-full sslrootcert={}",
            cluster.port,
            database.name,
            cluster.folder.join("ca.crt").display()
        ))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "t\n", "{output:?}");
}

#[test]
fn the_server_answers_the_client_it_comes_with() {
    let server = Sshd::start();
    server.put("/in/a.csv", "a\n1\n");
    let folder = folder();
    let known = file(
        folder.path(),
        "known",
        format!("[127.0.0.1]:{} {}\n", server.port, login().public("host_ed25519")),
    );
    let mut child = Command::new("sftp")
        .args(["-q", "-b", "-", "-P", &server.port.to_string(), "-i"])
        .arg(login().key("user_ed25519"))
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg(format!("{}@127.0.0.1", login().user))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"ls /in\n").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(text.contains("/in/a.csv"), "{text}");
}
