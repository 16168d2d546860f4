//! What the numbers were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use singer::Result;

use crate::bench::Bench;
use crate::cluster::SETTINGS;
use crate::measure::real;
use crate::process::{self, Step};

/// Returns the facts that a reader needs, each with its name.
pub fn facts(bench: &Bench) -> Result<Vec<(&'static str, String)>> {
    let settings = SETTINGS.map(|(name, value)| format!("{name} = {value}")).join(", ");
    let version = bench.cluster.query("postgres", "SHOW server_version")?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    // A process begins as a copy of this one, and the system counts that as its own.
    let least = process::run(vec![Step::new("true", Path::new("/bin/true"))], None, &bench.files)?;
    let least = least.processes.first().map_or(0, |usage| usage.peak_bytes);
    Ok(vec![
        ("date", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("command", format!("target/release/bench {}", bench.options.line)),
        ("commit", output("git", &["describe", "--always", "--dirty"])),
        ("processor", format!("{}, {cores} cores", field("/proc/cpuinfo", "model name"))),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("compiler", output("rustc", &["--version"])),
        ("Postgres", format!("{version}; {settings}, else as installed (so with fsync)")),
        ("rows", format!("about {} of lineitem", bench.options.rows)),
        ("rounds", bench.options.rounds.to_string()),
        ("least peak that can be seen", format!("{:.1} MB", real(least) / f64::from(1 << 20))),
    ])
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Returns what follows a name and a colon, where it stands first.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| "unknown".to_owned())
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(crate::bench::root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
