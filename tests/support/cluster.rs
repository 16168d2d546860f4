//! Private Postgres clusters: one for this test binary, gone when the binary is, and those of
//! single tests.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The password of the superuser over TCP; each of its characters breaks some quoting.
pub const PASSWORD: &str = "CANARY-5f3a p@ss:w/ord %41'\"é";

/// A running cluster.
pub struct Cluster {
    /// Holds the socket, the certificates and the data.
    pub folder: PathBuf,
    /// The port, over TCP (TLS and a password) and in the socket's name.
    pub port: u16,
    /// Where the programs of the server are.
    pub binaries: PathBuf,
    made: AtomicU32,
    /// Its standard input is a pipe only this process holds: when this process ends, however it
    /// ends, the watchdog reads end of file, stops the server and removes the folder.
    _watchdog: Child,
}

/// A database of its own, for one test.
#[derive(Clone)]
pub struct Database {
    /// The name of the database.
    pub name: String,
    cluster: Arc<Cluster>,
}

/// Returns the cluster of all tests, starting it at the first call.
pub fn cluster() -> &'static Arc<Cluster> {
    static CLUSTER: OnceLock<Arc<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| start("", &Disk::Shared))
}

/// Makes an empty database; `purpose` becomes part of its name.
pub fn database(purpose: &str) -> Database {
    database_of(cluster(), purpose)
}

/// Starts a cluster that a test may break, with these lines in its configuration.
pub fn private(config: &str) -> Arc<Cluster> {
    start(config, &Disk::Shared)
}

/// Starts a cluster with a tablespace `small` on a file system of this size.
pub fn on_small_disk(size: &str) -> Arc<Cluster> {
    let cluster = start("", &Disk::Small(size));
    let small = cluster.folder.join(SMALL);
    let postgres = Database::of(&cluster, "postgres");
    postgres.psql(&format!("CREATE TABLESPACE small LOCATION '{}'", small.display()));
    cluster
}

/// Makes an empty database in a cluster; `purpose` becomes part of its name.
pub fn database_of(cluster: &Arc<Cluster>, purpose: &str) -> Database {
    let name = format!("{purpose}_{}", cluster.made.fetch_add(1, Ordering::Relaxed));
    let postgres = Database::of(cluster, "postgres");
    postgres.psql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
    Database::of(cluster, &name)
}

impl Cluster {
    /// Runs `pg_ctl` on it.
    pub fn control(&self, arguments: &[&str]) {
        let mut control = server(&self.binaries.join("pg_ctl"), owner());
        control.args(["-w", "-s", "-t", "60", "-D"]).arg(self.folder.join("data"));
        run(control.arg("-l").arg(self.folder.join("log")).args(arguments));
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Starts a cluster that follows this one and can only be read.
    pub fn standby(&self, config: &str) -> Arc<Self> {
        start(config, &Disk::CopyOf(self))
    }
}

impl Database {
    /// Returns a database that is there.
    pub fn of(cluster: &Arc<Cluster>, name: &str) -> Self {
        Self { name: name.to_owned(), cluster: Arc::clone(cluster) }
    }

    /// Runs SQL and returns what `psql` prints, unaligned and without headers.
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).unwrap_or_else(|stderr| panic!("psql failed: {stderr}\n{sql}"))
    }

    /// Tells whether the server is of this version or a later one.
    pub fn is_at_least(&self, version: u32) -> bool {
        let number: u32 = self.psql("SHOW server_version_num").parse().unwrap();
        number >= version * 10_000
    }

    /// Runs SQL; on failure returns what `psql` says.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        let mut child = self
            .psql_command()
            .args(["-v", "ON_ERROR_STOP=1", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let mut stdin = child.stdin.take().unwrap();
        let text = sql.to_owned();
        let feeder = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        // A failed statement makes psql leave early: the pipe then breaks, and its text says why.
        let _ = feeder.join().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned())
    }

    /// Waits until a query counts something, or says that it is so. A server that starts answers
    /// nothing yet.
    #[track_caller]
    pub fn wait_for(&self, query: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        while !self.try_psql(query).is_ok_and(|said| !["", "0", "f"].contains(&said.as_str())) {
            assert!(Instant::now() < end, "never: {query}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs SQL by a connection to this port of 127.0.0.1, where something is in between.
    pub fn psql_through(&self, port: u16, sql: &str) -> String {
        let mut command = self.psql_command();
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", sql]).env("PGSSLMODE", "disable");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// Returns a `psql` that has yet to be told what to do.
    pub fn psql_command(&self) -> Command {
        let mut command = Command::new(self.cluster.binaries.join("psql"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .args(["-X", "-q", "-A", "-t", "-U", "postgres", "-d", &self.name])
            .args(["-p", &self.cluster.port.to_string(), "-h"])
            .arg(&self.cluster.folder);
        command
    }

    /// Returns the connection settings of our connectors, over the socket.
    pub fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "host": self.cluster.folder,
            "port": self.cluster.port,
            "user": "postgres",
            "database": self.name,
        })
    }

    /// Returns the connection settings merged with more of them.
    pub fn settings_with(&self, more: &serde_json::Value) -> serde_json::Value {
        let mut settings = self.settings();
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        settings
    }
}

/// The folder of the small file system.
const SMALL: &str = "small";

/// What a cluster lies on.
enum Disk<'a> {
    /// The file system of all.
    Shared,
    /// The same, with room for a tablespace on one of this size.
    Small(&'a str),
    /// A copy of another cluster, which it follows.
    CopyOf(&'a Cluster),
}

fn start(config: &str, disk: &Disk<'_>) -> Arc<Cluster> {
    let binaries = binaries();
    // A socket's path is at most 107 bytes, so not below the target folder.
    let folder = tempfile::Builder::new().prefix("chorus-pg-").tempdir_in("/tmp").unwrap().keep();
    give(&folder);
    let owner = owner();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let data = folder.join("data");
    // The watchdog first: whatever fails below, nothing stays.
    let watchdog = watchdog(&binaries, &folder, "immediate", &[&folder]);

    if let Disk::CopyOf(leader) = disk {
        let mut copy = server(&binaries.join("pg_basebackup"), owner);
        copy.args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-p"]);
        run(copy.arg(leader.port.to_string()).arg("-h").arg(&leader.folder).arg("-D").arg(&data));
    } else {
        fs::write(folder.join("password"), PASSWORD).unwrap();
        run(server(&binaries.join("initdb"), owner)
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-instructions"])
            .arg("--pwfile")
            .arg(folder.join("password"))
            .arg("-D")
            .arg(&data));
    }
    certificates(&folder, owner);
    configure(&folder, &data, port, config);
    let cluster = Cluster { folder, port, binaries, made: AtomicU32::new(0), _watchdog: watchdog };
    match disk {
        Disk::Small(size) => cluster.start_beside_small_disk(size),
        _ => cluster.control(&["start"]),
    }
    Arc::new(cluster)
}

impl Cluster {
    /// Starts the server where a small file system is mounted that nobody else sees.
    fn start_beside_small_disk(&self, size: &str) {
        let small = self.folder.join(SMALL);
        fs::create_dir(&small).unwrap();
        let (namespace, mode, user) = match owner() {
            Some((user, group)) => (
                "-m",
                format!("uid={user},gid={group}"),
                format!("setpriv --reuid={user} --regid={group} --clear-groups env HOME=/"),
            ),
            None => ("-rm", "mode=0700".to_owned(), "unshare -U --map-user=1000".to_owned()),
        };
        let script = format!(
            "set -e; mount -t tmpfs -o size={size},{mode} tmpfs {small}
             exec {user} {pg_ctl} -w -s -t 60 -D {data} -l {log} start",
            small = small.display(),
            pg_ctl = self.binaries.join("pg_ctl").display(),
            data = self.folder.join("data").display(),
            log = self.folder.join("log").display(),
        );
        run(server(Path::new("unshare"), None).args([namespace, "sh", "-c", &script]));
    }
}

fn configure(folder: &Path, data: &Path, port: u16, more: &str) {
    let mut config = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
    let folder = folder.display();
    write!(
        config,
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{folder}'\n\
         wal_level = logical\nmax_replication_slots = 20\nmax_wal_senders = 20\n\
         max_connections = 200\nfsync = off\nfull_page_writes = off\nshared_buffers = 64MB\n\
         ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n\
         {more}\n"
    )
    .unwrap();
    fs::write(
        data.join("pg_hba.conf"),
        "local all all trust\nlocal replication all trust\n\
         hostssl all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
}

/// Makes an authority (`ca.crt`) and a certificate for `localhost` and `127.0.0.1`.
fn certificates(folder: &Path, owner: Option<(u32, u32)>) {
    let script = "set -e\n\
         openssl ecparam -name prime256v1 -genkey -noout -out ca.key\n\
         openssl req -x509 -new -key ca.key -days 30 -subj /CN=tests -out ca.crt \
           -addext basicConstraints=critical,CA:TRUE\n\
         openssl ecparam -name prime256v1 -genkey -noout -out server.key\n\
         openssl req -new -key server.key -subj /CN=localhost -out server.csr\n\
         printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext\n\
         openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
           -extfile ext -out server.crt\n\
         chmod 600 server.key\n";
    run(server(Path::new("sh"), owner).args(["-c", script]).current_dir(folder));
}

/// Starts a shell whose standard input is a pipe that only this process holds: at its end, which
/// comes with the end of this process, it stops the server of a folder and removes other folders.
pub fn watchdog(binaries: &Path, folder: &Path, mode: &str, remove: &[&Path]) -> Child {
    let script = "trap '' INT TERM HUP; cat >/dev/null; \
         \"$1/pg_ctl\" -D \"$2/data\" -m \"$3\" -s -w stop >/dev/null 2>&1; shift 3; \
         for folder; do rm -rf \"$folder\"/*; rmdir \"$folder\" 2>/dev/null; done; true";
    let mut command = server(Path::new("sh"), owner());
    command
        .args(["-c", script, "watchdog"])
        .args([binaries, folder])
        .arg(mode)
        .args(remove)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the watchdog starts")
}

/// Returns a command that runs as the cluster's owner.
pub fn server(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// Runs a program of the server to its end.
#[track_caller]
pub fn run(command: &mut Command) {
    // The server inherits the output of pg_ctl: a pipe would be held open as long as it runs.
    let log = tempfile::NamedTempFile::new().unwrap();
    let (out, err) = (log.reopen().unwrap(), log.reopen().unwrap());
    let status = command.stdout(out).stderr(err).status();
    let status = status.unwrap_or_else(|failure| panic!("cannot run {command:?}: {failure}"));
    let text = fs::read_to_string(log.path()).unwrap_or_default();
    assert!(status.success(), "{command:?}: {status}\n{text}");
}

/// Gives a folder to the user that the server runs as.
pub fn give(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = owner() {
        chown(folder, Some(user), Some(group)).unwrap();
    }
}

/// Postgres refuses to run as root: then it runs as `nobody`.
pub fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("nobody:")).expect("a user `nobody`");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

/// Returns the folder of `initdb`: `POSTGRES_BINARIES`, that of the newest server installed, which
/// Debian keeps out of the path, or one on the path.
pub fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTGRES_BINARIES") {
        return folder.into();
    }
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| path.file_name().unwrap().to_string_lossy().parse::<u32>().unwrap_or(0));
    if let Some(path) = newest {
        return path.join("bin");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .expect("a PostgreSQL server: `make setup` installs it")
}
