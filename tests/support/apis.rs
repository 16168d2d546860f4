//! Other people's web servers, from ordinary packages, and taps on them.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::python::{Environment, call, made_once};
use crate::run::{Run, ours};

/// A server of `SQLite` tables, with pages by address and bearer tokens.
pub const DATASETTE: Environment = Environment {
    name: "datasette",
    packages: &["datasette==0.65.5", "datasette-auth-tokens==0.3"],
};

/// A server of records that change, with pages by a header.
pub const KINTO: Environment = Environment { name: "kinto", packages: &["kinto==26.5.0"] };

/// A server that goes with its owner.
pub struct Server {
    /// Its address.
    pub url: String,
    /// Ends the server when its input ends, also if this process is killed.
    watchdog: Child,
}

impl Server {
    /// Starts a program, which gets its port from `arguments`, and waits until it listens.
    pub fn start(folder: &Path, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = "\"$@\" >log 2>&1 </dev/null & pid=$!; trap '' INT TERM HUP; \
                      cat >/dev/null; kill $pid; wait $pid 2>/dev/null";
        let mut watchdog = Command::new("sh")
            .args(["-c", script, "watchdog"])
            .args(arguments(port))
            .env("PYTHONWARNINGS", "ignore")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "the server does not start: {log}");
            assert!(watchdog.try_wait().unwrap().is_none(), "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { url: format!("http://127.0.0.1:{port}"), watchdog }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Starts json-server on these tables.
pub fn json_server(folder: &Path, tables: &Value) -> Server {
    let package = "json-server@0.17.4";
    let modules = made_once("json-server", package, |folder| {
        std::fs::create_dir(folder).unwrap();
        call(
            Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(folder)
                .arg(package),
        );
    });
    let program = modules.join("node_modules/json-server/lib/cli/bin.js");
    std::fs::write(folder.join("db.json"), tables.to_string()).unwrap();
    Server::start(folder, |port| {
        let program = program.display().to_string();
        let port = port.to_string();
        ["node", &program, "-q", "-H", "127.0.0.1", "-p", &port, "db.json"]
            .map(str::to_owned)
            .into()
    })
}

/// Starts datasette on a table `orders` of so many rows, which needs this token.
pub fn datasette(folder: &Path, rows: u32, token: &str) -> Server {
    let script = format!(
        "import sqlite3; c = sqlite3.connect(r'{}'); \
         c.execute('create table orders (id integer primary key, price text, updated_at text)'); \
         c.executemany('insert into orders values (?, ?, ?)', \
         [(i, '%d.%02d' % (i, i % 100), '2025-%02d-%02dT%02d:00:00Z' % (1 + i % 12, 1 + i % 28, \
         i % 24)) for i in range(1, {rows} + 1)]); c.commit()",
        folder.join("shop.db").display()
    );
    DATASETTE.script(&script).go().success();
    let metadata = json!({
        "allow": { "bot_id": "tap" },
        "plugins": { "datasette-auth-tokens":
            { "tokens": [{ "token": token, "actor": { "bot_id": "tap" } }] } },
    });
    std::fs::write(folder.join("metadata.json"), metadata.to_string()).unwrap();
    let program = DATASETTE.path("datasette").display().to_string();
    Server::start(folder, |port| {
        let port = port.to_string();
        [&program, "serve", "shop.db", "-h", "127.0.0.1", "-p", &port, "-m", "metadata.json"]
            .map(str::to_owned)
            .into()
    })
}

/// Starts kinto with pages of five records.
pub fn kinto(folder: &Path) -> Server {
    let program = KINTO.path("kinto");
    let ini: PathBuf = folder.join("kinto.ini");
    KINTO
        .program("kinto")
        .args(["init", "--backend", "memory", "--cache-backend", "memory"])
        .args(["--host", "127.0.0.1", "--ini"])
        .args([&ini])
        .go()
        .success();
    let text = std::fs::read_to_string(&ini).unwrap();
    let more = "[app:main]\nkinto.paginate_by = 5\n\
                kinto.account_create_principals = system.Everyone\n\
                kinto.bucket_create_principals = system.Authenticated\n";
    // Settings may be there only once.
    let kept = text.lines().filter(|line| {
        !["kinto.account_create", "kinto.bucket_create"].iter().any(|name| line.starts_with(name))
    });
    let text = kept.collect::<Vec<_>>().join("\n").replacen("[app:main]", more, 1);
    std::fs::write(&ini, text).unwrap();
    Server::start(folder, |port| {
        let (program, ini) = (program.display().to_string(), ini.display().to_string());
        [&program, "start", "--ini", &ini, "--port", &port.to_string()].map(str::to_owned).into()
    })
}

/// A tap on one stream `t`; waits between attempts are short.
pub fn tap_api(url: &str, stream: &Value, more: &Value) -> Run {
    let mut stream = stream.clone();
    stream["name"] = "t".into();
    tap_apis(url, &[stream], more)
}

/// A tap on streams; waits between attempts are short.
pub fn tap_apis(url: &str, streams: &[Value], more: &Value) -> Run {
    let mut settings = json!({
        "api_url": url,
        "streams": streams,
        "retry_wait_seconds": 0.01,
        "retry_wait_max_seconds": 0.05,
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ours("tap-api").config(&settings)
}
