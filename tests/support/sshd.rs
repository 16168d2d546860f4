//! Private OpenSSH servers on loopback, each with a folder of its own; all gone with this binary.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::run::Run;

/// The password of the user; each of its characters breaks some quoting, and it must show nowhere.
pub const PASSWORD: &str = "CANARY-5f3a p@ss:w/ord %41'\"é";
/// The passphrase of the key `user_secret`.
pub const PASSPHRASE: &str = "CANARY-5f3a phrase";
const PATIENCE: Duration = Duration::from_mins(1);

/// What all servers of this binary share: a user who may log in, and keys.
pub struct Login {
    /// The user's name.
    pub user: String,
    /// Holds the keys: `host_*` of the servers, `user_*` of the user.
    pub folder: PathBuf,
    ids: (u32, u32),
    made: AtomicU32,
    /// Its standard input is a pipe that only this process holds: when this process ends, however
    /// it ends, the watchdog removes servers, user and folder.
    _watchdog: Child,
}

/// A running server.
pub struct Sshd {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// What a login sees as `/`.
    pub root: PathBuf,
    folder: PathBuf,
    child: Child,
}

/// Returns the user and the keys, making them at the first call.
pub fn login() -> &'static Login {
    static LOGIN: OnceLock<Login> = OnceLock::new();
    LOGIN.get_or_init(|| {
        let user = format!("chorus{}", std::process::id());
        // A folder that a login is locked into belongs to root, and so do all above it.
        let folder =
            tempfile::Builder::new().prefix("chorus-sshd-").tempdir_in("/srv").unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let watchdog = watchdog(&folder, &user);
        shell(
            "mkdir -p /run/sshd && useradd -M -d / -s /usr/sbin/nologin \"$1\" &&
             printf '%s:%s' \"$1\" \"$2\" | chpasswd",
            &[&user, PASSWORD],
        );
        let keys = "cd \"$1\" && for name in host_ed25519 host_other host_rsa user_ed25519 \
             user_ecdsa user_rsa user_secret user_stranger; do
               case $name in *rsa) kind='rsa -b 2048';; *ecdsa) kind=ecdsa;; *) kind=ed25519;; esac
               phrase=; [ $name = user_secret ] && phrase=$2
               ssh-keygen -q -t $kind -N \"$phrase\" -C $name -f $name || exit 1
             done
             ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f user_pem_rsa &&
             cat user_ed25519.pub user_ecdsa.pub user_rsa.pub user_pem_rsa.pub user_secret.pub \
               > authorized";
        shell(keys, &[folder.to_str().unwrap(), PASSPHRASE]);
        let ids = shell("id -u \"$1\"; id -g \"$1\"", &[&user]);
        let mut ids = ids.split_whitespace().map(|id| id.parse().unwrap());
        let ids = (ids.next().unwrap(), ids.next().unwrap());
        Login { user, folder, ids, made: AtomicU32::new(0), _watchdog: watchdog }
    })
}

impl Login {
    /// Returns the path of a key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the fingerprint of a key.
    pub fn fingerprint(&self, name: &str) -> String {
        let path = self.folder.join(format!("{name}.pub"));
        let text = shell("ssh-keygen -l -f \"$1\"", &[path.to_str().unwrap()]);
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Returns the public half of a key, as files of known hosts have it.
    pub fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.join(format!("{name}.pub"))).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

impl Sshd {
    /// Starts a server that locks its user into a folder with a writable `/in`.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with more lines in its configuration, which come first and so win.
    pub fn start_with(more: &str) -> Self {
        let login = login();
        let number = login.made.fetch_add(1, Ordering::Relaxed);
        let folder = login.folder.join(number.to_string());
        let root = folder.join("root");
        fs::create_dir_all(root.join("in")).unwrap();
        let (user, group) = login.ids;
        chown(root.join("in"), Some(user), Some(group)).unwrap();
        let port = free_port();
        let mut server =
            Self { port, root, child: Self::spawn(login, &folder, port, more), folder };
        server.wait_until_it_listens();
        server
    }

    fn spawn(login: &Login, folder: &Path, port: u16, more: &str) -> Child {
        let keys = login.folder.display();
        let own = format!("HostKey {keys}/host_ed25519");
        let host_key = if more.contains("HostKey ") { "" } else { &own };
        let config = format!(
            "{more}\nPort {port}\nListenAddress 127.0.0.1\n{host_key}\nPidFile {folder}/pid\n\
             UsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n\
             StrictModes no\n\
             AuthorizedKeysFile {keys}/authorized\nPermitRootLogin no\nAllowUsers {user}\n\
             Subsystem sftp internal-sftp\nForceCommand internal-sftp\nUseDNS no\n\
             ChrootDirectory {folder}/root\nMaxStartups 100\nLogLevel VERBOSE\n",
            user = login.user,
            folder = folder.display(),
        );
        fs::write(folder.join("config"), config.replace("KEYS", &keys.to_string())).unwrap();
        let log = File::options().append(true).create(true).open(folder.join("log")).unwrap();
        // It starts itself anew for each connection, for which it must know its whole path.
        let sshd = |args: &[&str]| {
            let mut command = Command::new("/usr/sbin/sshd");
            command.args(args).arg("-f").arg(folder.join("config"));
            command
        };
        // Newer ones lock out who fails often; older ones do not know the word.
        let patient = ["-o", "PerSourcePenalties=no"];
        let known = sshd(&["-t"]).args(patient).output().is_ok_and(|o| o.status.success());
        sshd(&["-D", "-e"])
            .args(patient.iter().filter(|_| known))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("an OpenSSH server: `make setup` installs it")
    }

    fn wait_until_it_listens(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "sshd: {}", self.log());
            assert!(Instant::now() < end, "sshd does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes a file at a path of the login, three days old and the user's own.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.fresh(path, bytes);
        age(&path, Duration::from_hours(72));
        path
    }

    /// Writes a file at a path of the login, just now.
    pub fn fresh(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let (user, group) = login().ids;
        chown(&path, Some(user), Some(group)).unwrap();
        path
    }

    /// Returns settings that log in with the password and trust the server.
    pub fn settings(&self, tables: &Value) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.port, "username": login().user,
            "password": PASSWORD, "host_key_fingerprint": login().fingerprint("host_ed25519"),
            "tables": tables,
        })
    }

    /// Returns what the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the log holds these words: a process logs a moment after it acts.
    #[track_caller]
    pub fn wait_for_log(&self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "no {words:?} in {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to the processes of all connections, and to the server itself if `all`.
    pub fn signal(&self, signal: Signal, all: bool) {
        let server = i32::try_from(self.child.id()).unwrap();
        let mut processes = vec![server];
        let mut at = 0;
        while at < processes.len() {
            processes.extend(children(processes[at]));
            at += 1;
        }
        for process in processes.into_iter().skip(usize::from(!all)) {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_raw(process).unwrap(), signal);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal(Signal::KILL, true);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sets the time of a file's last change to so long ago.
pub fn age(path: &Path, age: Duration) {
    set_time(path, SystemTime::now() - age);
}

/// Sets the time of a file's last change.
pub fn set_time(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

fn children(of: i32) -> Vec<i32> {
    let parent = |process: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|process| parent(*process) == Some(of)).collect()
}

fn watchdog(folder: &Path, user: &str) -> Child {
    let script = "trap '' INT TERM HUP; cat >/dev/null
         for pid in \"$1\"/*/pid; do [ -e \"$pid\" ] && kill -KILL \"$(cat \"$pid\")\"; done
         userdel -f \"$2\"; rm -rf \"$1\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "watchdog"])
        .arg(folder)
        .arg(user)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the watchdog starts")
}

fn shell(script: &str, args: &[&str]) -> String {
    let output = Command::new("sh").args(["-c", script, "sh"]).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\n`make setup` installs what is missing");
    String::from_utf8(output.stdout).unwrap()
}

/// An SSH agent with one key.
pub struct Agent {
    /// Where it listens.
    pub socket: PathBuf,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Agent {
    /// Starts an agent and gives it a key.
    pub fn with(key: &str) -> Self {
        let folder = crate::folder();
        let socket = folder.path().join("agent");
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let child = command.spawn().expect("ssh-agent");
        let agent = Self { socket, child, _folder: folder };
        let end = Instant::now() + PATIENCE;
        while !agent.socket.exists() {
            assert!(Instant::now() < end, "ssh-agent does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        let add = Run::new(Path::new("/usr/bin/ssh-add")).env("SSH_AUTH_SOCK", &agent.socket);
        add.args([login().key(key)]).go().success();
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another server for the same protocol, which locks nobody in.
pub struct Rclone {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    child: Child,
    _home: tempfile::TempDir,
}

impl Rclone {
    /// Starts a server on a folder, with the key, the user and the password of the others.
    pub fn start(folder: &Path) -> Self {
        let home = crate::folder();
        let port = free_port();
        let child = Command::new("rclone")
            .args(["serve", "sftp", "--read-only", "--user", &login().user, "--pass", PASSWORD])
            .args(["--addr", &format!("127.0.0.1:{port}"), "--key"])
            .arg(login().key("host_ed25519"))
            .arg(folder)
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rclone: `make setup` installs it");
        let server = Self { port, child, _home: home };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "rclone does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
