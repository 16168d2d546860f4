//! A private Postgres cluster, stopped and removed when this process ends, however it ends.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use singer::{Error, ErrorKind, Result, ResultExt};
use support::cluster::{binaries, give, owner, run, server, watchdog};

use crate::process::Step;

/// What differs from a server as it is installed; the results name it.
pub const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "256MB"), ("max_wal_size", "4GB"), ("autovacuum", "off")];

/// A running cluster.
pub struct Cluster {
    /// The folder of its socket.
    pub socket: PathBuf,
    folder: PathBuf,
    binaries: PathBuf,
    watchdog: Child,
}

impl Cluster {
    /// Starts the cluster of a folder, making it if it is not there. It listens on a socket only.
    pub fn start(folder: &Path, keep: bool) -> Result<Self> {
        let binaries = binaries();
        let folder = enterable(folder)?;
        // A socket's path is at most 107 bytes.
        let socket = PathBuf::from(format!("/tmp/chorus-bench-{}", std::process::id()));
        for path in [&folder, &socket] {
            fs::create_dir_all(path).or_kind(ErrorKind::Io, "cannot make a folder")?;
            give(path);
        }
        // The watchdog first: whatever fails below, nothing stays.
        let watchdog = if keep {
            watchdog(&binaries, &folder, "fast", &[&socket])
        } else {
            watchdog(&binaries, &folder, "immediate", &[&folder, &socket])
        };
        let cluster = Self { socket, folder, binaries, watchdog };
        cluster.serve()?;
        Ok(cluster)
    }

    fn serve(&self) -> Result<()> {
        let data = self.folder.join("data");
        if !data.join("PG_VERSION").exists() {
            let mut initdb = server(&self.binaries.join("initdb"), owner());
            initdb
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
                .args(["--no-instructions", "-D"])
                .arg(&data);
            run(&mut initdb);
            let mut config = String::from("listen_addresses = ''\nlog_line_prefix = '%a|'\n");
            for (name, value) in SETTINGS {
                let _ = writeln!(config, "{name} = '{value}'");
            }
            let file = File::options().append(true).open(data.join("postgresql.conf"));
            let written = file.and_then(|mut file| file.write_all(config.as_bytes()));
            written.or_kind(ErrorKind::Io, "cannot configure the server")?;
        }
        let mut start = server(&self.binaries.join("pg_ctl"), owner());
        start
            .args(["-w", "-s", "-t", "120", "start", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(self.log())
            .arg("-o")
            .arg(format!("-c unix_socket_directories='{}'", self.socket.display()));
        run(&mut start);
        Ok(())
    }

    /// Returns the server's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Returns a `psql` that runs these commands and stops at the first failure.
    pub fn psql<S: AsRef<str>>(&self, database: &str, commands: &[S]) -> Step {
        let mut step = Step::new("psql", &self.binaries.join("psql"));
        step.command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&self.socket)
            .args(["-d", database]);
        for command in commands {
            step.command.args(["-c", command.as_ref()]);
        }
        step
    }

    /// Runs SQL and returns what it prints, unaligned.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let message = "cannot run SQL";
        let output = self.psql(database, &[sql]).command.output();
        let output = output.or_kind(ErrorKind::Internal, message)?;
        if !output.status.success() {
            return Err(Error::new(ErrorKind::Internal, message)
                .with("sql", sql)
                .with("psql", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8(output.stdout).or_kind(ErrorKind::Internal, message)?;
        Ok(text.trim_end().to_owned())
    }

    /// Returns the user and system time of all processes the server has and had.
    pub fn cpu(&self) -> Result<Duration> {
        let postmaster = self.postmaster()?;
        let mut ticks = 0;
        for (pid, stat) in processes()? {
            if pid == postmaster {
                // Also of children that ended.
                ticks += stat.own + stat.ended_children;
            } else if stat.parent == postmaster {
                ticks += stat.own;
            }
        }
        let milliseconds = ticks * 1000 / rustix::param::clock_ticks_per_second().max(1);
        Ok(Duration::from_millis(milliseconds))
    }

    /// Waits until no client is connected: a backend may work on after its client has gone.
    pub fn settle(&self) -> Result<()> {
        let postmaster = self.postmaster()?;
        for _ in 0..500 {
            let busy = processes()?.into_iter().any(|(pid, stat)| {
                let title = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                stat.parent == postmaster && (stat.zombie || title.contains("[local]"))
            });
            if !busy {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Error::new(ErrorKind::Internal, "cannot measure: a connection stays open"))
    }

    fn postmaster(&self) -> Result<u32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid"));
        let text = text.or_kind(ErrorKind::Internal, "cannot find the server's process")?;
        let pid = text.lines().next().unwrap_or_default().parse();
        pid.or_kind(ErrorKind::Internal, "cannot read the number of the server's process")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// What `/proc/PID/stat` says, times in ticks of the clock.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// It ended, and its parent has not taken over its times yet.
    zombie: bool,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, in brackets, may hold anything.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let zombie = fields.next()? == "Z";
        let parent = fields.next()?.parse().ok()?;
        let times: Vec<u64> = fields.skip(9).take(4).filter_map(|time| time.parse().ok()).collect();
        let [user, system, ended_user, ended_system] = times[..] else { return None };
        Some(Self { parent, zombie, own: user + system, ended_children: ended_user + ended_system })
    }
}

fn processes() -> Result<Vec<(u32, Stat)>> {
    let entries = fs::read_dir("/proc").or_kind(ErrorKind::Unavailable, "cannot read /proc")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Processes may end meanwhile.
    let found = pids.filter_map(|pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, Stat::parse(&text)?))
    });
    Ok(found.collect())
}

/// Returns the folder, or one below `/tmp` where the server's user may not enter it.
fn enterable(folder: &Path) -> Result<PathBuf> {
    let parent = folder.parent().unwrap_or(folder);
    let mut test = server(Path::new("/usr/bin/test"), owner());
    let status = test.arg("-x").arg(parent).status();
    let status = status.or_kind(ErrorKind::Internal, "cannot try a folder")?;
    if status.success() {
        return Ok(folder.to_owned());
    }
    Ok(PathBuf::from(format!("/tmp/chorus-bench-data-{}", std::process::id())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says_whatever_the_name() {
        let text = "7 (a) (b c) S 3 1 1 0 -1 4194560 1 2 3 4 10 20 300 400 20 0 1 0 5";
        let expected = Stat { parent: 3, zombie: false, own: 30, ended_children: 700 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a"), None);
    }
}
