//! A connection pooler, `PgBouncer`, in front of a cluster.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, owner, server};

/// A running pooler, gone when this is dropped or the test binary ends.
pub struct Bouncer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    _scratch: tempfile::TempDir,
    /// Its standard input is a pipe that only this process holds; with that it ends.
    process: Child,
}

impl Bouncer {
    /// Starts a pooler with these lines in its settings.
    pub fn start(cluster: &Cluster, settings: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let scratch = crate::folder();
        let config = scratch.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
             unix_socket_dir =\n{settings}\n",
            cluster.folder.display(),
            cluster.port
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((user, group)) = owner() {
            chown(&config, Some(user), Some(group)).unwrap();
        }
        let script = "PATH=$PATH:/usr/sbin; pgbouncer -q \"$1\" & cat >/dev/null; kill $!";
        let mut command = server(Path::new("sh"), owner());
        let process = command
            .args(["-c", script, "sh"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bouncer = Self { port, _scratch: scratch, process };
        for _ in 0..5000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return bouncer;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("pgbouncer does not answer: `make setup` installs it");
    }

    /// Returns settings of a connection that goes through it.
    pub fn settings(&self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.port, "ssl_mode": "disable" })
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
