//! Python environments with pinned packages, made once below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::run::Run;

/// Readers of the dated folders.
pub const READERS: Environment = Environment {
    name: "readers",
    packages: &["duckdb==2.0.0", "polars==2.1.0", "pyarrow==26.0.1", "pytz"],
};

/// Their tap for Postgres, built on the Singer SDK, as the next two.
pub const TAP_POSTGRES: Environment =
    Environment { name: "tap-postgres", packages: &["meltanolabs-tap-postgres==0.10.0"] };

/// Their target for Postgres.
pub const TARGET_POSTGRES: Environment =
    Environment { name: "target-postgres", packages: &["meltanolabs-target-postgres==0.8.1"] };

/// Their target for CSV files.
pub const TARGET_CSV: Environment =
    Environment { name: "target-csv", packages: &["meltanolabs-target-csv==0.5.0"] };

/// The oldest target still in wide use, on singer-python.
pub const JSONL: Environment =
    Environment { name: "jsonl", packages: &["target-jsonl==0.1.4", "setuptools<81"] };

/// The runner many pipelines are written for.
pub const MELTANO: Environment = Environment { name: "meltano", packages: &["meltano==4.4.1"] };

/// A virtual environment.
pub struct Environment {
    name: &'static str,
    packages: &'static [&'static str],
}

impl Environment {
    /// Describes a run of a program of the environment, making the environment at the first call.
    pub fn program(&self, name: &str) -> Run {
        Run::new(&self.folder().join("bin").join(name))
    }

    /// Describes a run of a Python script.
    pub fn script(&self, text: &str) -> Run {
        self.program("python").args(["-c", text])
    }

    fn folder(&self) -> PathBuf {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock();
        let parent = super::target_dir().join("python");
        fs::create_dir_all(&parent).unwrap();
        // Two test binaries may run at once.
        let lock = File::create(parent.join(format!("{}.lock", self.name))).unwrap();
        lock.lock().unwrap();
        let folder = parent.join(self.name);
        let stamp = folder.join("packages");
        let wanted = self.packages.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
            return folder;
        }
        let _ = fs::remove_dir_all(&folder);
        let uv = parent.join("uv/bin/uv");
        if !uv.exists() {
            python(&["-m", "venv"], &[&parent.join("uv")]);
            call(Command::new(parent.join("uv/bin/pip")).args(["install", "-q", "uv==0.13.8"]));
        }
        python(&["-m", "venv", "--without-pip"], &[&folder]);
        call(
            Command::new(uv)
                .args(["pip", "install", "-q", "--compile-bytecode", "--python"])
                .arg(folder.join("bin/python"))
                .args(self.packages),
        );
        fs::write(stamp, wanted).unwrap();
        folder
    }
}

fn python(args: &[&str], paths: &[&Path]) {
    call(Command::new("python3").args(args).args(paths));
}

fn call(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}\n`make setup` installs what is missing");
}
