//! The place where everything is measured: a filled cluster, folders, and how to call what runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::cluster::Cluster;
use crate::options::Options;
use crate::process::{self, Run, Step};
use crate::say;
use crate::subject::{Subject, TABLES, Table};

/// The day that is extracted.
pub const DAY: &str = "2026-01-01";
/// A day on which about every twentieth row is another.
pub const CHANGED_DAY: &str = "2026-01-02";

/// The database with the source tables.
pub const SOURCE: &str = "bench";
/// The same, a day later.
pub const CHANGED: &str = "bench_changed";
/// The database that is loaded.
pub const TARGET: &str = "bench_target";

/// The benchmark's surroundings. Its files go with it.
pub struct Bench {
    /// What is to be run.
    pub options: Options,
    /// The server.
    pub cluster: Cluster,
    /// Where files are written.
    pub files: PathBuf,
    /// Where the connectors are.
    pub binaries: PathBuf,
}

/// How much a subject is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of all its tables.
    pub rows: u64,
    /// Bytes of the CSV that COPY makes of them.
    pub bytes: u64,
}

impl Bench {
    /// Starts the cluster; the connectors are those beside this program.
    pub fn open(options: Options) -> Result<Self> {
        let this = std::env::current_exe().or_kind(ErrorKind::Internal, "cannot find oneself")?;
        let binaries = this.parent().unwrap_or(Path::new(".")).to_owned();
        for name in ["tap-csv", "tap-postgres", "target-csv", "target-postgres"] {
            if !binaries.join(name).exists() {
                return Err(Error::new(ErrorKind::NoInput, "cannot find a connector to measure")
                    .with("path", binaries.join(name).display())
                    .hint("run `make bench`, or cargo build --release --workspace"));
            }
        }
        let folder = root().join("work/bench");
        let files = folder.join("files");
        remake(&files)?;
        let cluster = Cluster::start(&folder.join("cluster"), options.keep)?;
        Ok(Self { options, cluster, files, binaries })
    }

    /// Makes the source tables, once; and an empty database to load into.
    pub fn fill(&self) -> Result<()> {
        self.database(SOURCE, self.options.rows, &TABLES)?;
        let filled = format!("a changed copy of {} rows", self.options.rows);
        if self.begin_database(CHANGED, SOURCE, &filled)? {
            for table in TABLES {
                self.cluster.query(CHANGED, &format!("UPDATE {} {}", table.name, table.change))?;
                self.cluster.query(CHANGED, &format!("VACUUM (FREEZE, ANALYZE) {}", table.name))?;
            }
            self.end_database(CHANGED, &filled)?;
        }
        self.begin_database(TARGET, "template0", "always new").map(drop)
    }

    /// Makes a database with these tables; `rows` are those of `lineitem`.
    pub fn database(&self, name: &str, rows: u64, tables: &[&Table]) -> Result<()> {
        let filled = format!("{rows} rows");
        if !self.begin_database(name, "template0", &filled)? {
            return Ok(());
        }
        for table in tables {
            say(&format!("filling {} in {name}", table.name));
            self.cluster
                .query(name, &format!("CREATE TABLE {} ({})", table.name, table.columns))?;
            let this =
                std::env::current_exe().or_kind(ErrorKind::Internal, "cannot find itself")?;
            let generator = Step::new("generate", &this)
                .arg(format!("--generate={}", table.name))
                .arg(format!("--rows={rows}"));
            let copy = format!("\\copy {} FROM STDIN (FORMAT csv)", table.name);
            let loader = self.cluster.psql(name, &[copy]);
            process::run(vec![generator, loader], None, &self.files)?;
            let key = format!("ALTER TABLE {} ADD PRIMARY KEY ({})", table.name, table.key);
            self.cluster.query(name, &key)?;
            self.cluster.query(name, &format!("VACUUM (FREEZE, ANALYZE) {}", table.name))?;
        }
        self.end_database(name, &filled)
    }

    /// Makes a database unless it is there with this comment; tells whether it was made.
    pub fn begin_database(&self, name: &str, template: &str, filled: &str) -> Result<bool> {
        let comment = format!(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'"
        );
        if self.cluster.query("postgres", &comment)? == filled {
            return Ok(false);
        }
        self.cluster.query("postgres", &format!("DROP DATABASE IF EXISTS {name}"))?;
        self.cluster
            .query("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .map(|_| true)
    }

    /// Comments a database that is now complete.
    pub fn end_database(&self, name: &str, filled: &str) -> Result<()> {
        let comment = format!("COMMENT ON DATABASE {name} IS '{filled}'");
        self.cluster.query("postgres", &comment).map(drop)
    }

    /// Returns how much the tables of a subject are in a database.
    pub fn size(&self, subject: &Subject, database: &str) -> Result<Size> {
        let mut size = Size { rows: 0, bytes: 0 };
        for table in subject.tables {
            let sql =
                format!("SELECT count(*), sum(octet_length(t::text) - 1) FROM {} t", table.name);
            let found = self.cluster.query(database, &sql)?;
            let mut numbers = found.split('|').filter_map(|number| number.parse::<u64>().ok());
            size.rows += numbers.next().unwrap_or_default();
            size.bytes += numbers.next().unwrap_or_default();
        }
        Ok(size)
    }

    /// Makes what the runs of a subject read: catalog, files of COPY, published days; once.
    pub fn prepare(&self, subject: &Subject) -> Result<Size> {
        let mut size = Size { rows: 0, bytes: 0 };
        for table in subject.tables {
            for (database, day) in [(SOURCE, DAY), (CHANGED, CHANGED_DAY)] {
                let path = self.csv(table, day);
                if !path.exists() {
                    let copy = format!("COPY {} TO STDOUT (FORMAT csv, HEADER)", table.name);
                    let copy = self.cluster.psql(database, &[copy]);
                    process::run(vec![copy], Some(&path), &self.files)?;
                }
            }
            let count = self.cluster.query(SOURCE, &format!("SELECT count(*) FROM {}", table.name));
            size.rows += count?.parse::<u64>().or_kind(ErrorKind::Internal, "cannot count")?;
            size.bytes += fs::metadata(self.csv(table, DAY)).map_or(0, |metadata| metadata.len());
        }
        for (database, day) in [(SOURCE, DAY), (CHANGED, CHANGED_DAY)] {
            self.publish(subject, database, day)?;
        }
        Ok(size)
    }

    /// Publishes a day of a subject, once.
    pub fn publish(&self, subject: &Subject, database: &str, day: &str) -> Result<()> {
        let output = self.files.join("lake");
        if output.join(format!("source={}/extracted_at={day}", subject.name)).exists() {
            return Ok(());
        }
        let steps =
            vec![self.tap_postgres(subject, database)?, self.target_csv(&output, subject, day)];
        process::run(steps, None, &self.files).map(drop)
    }

    /// Returns the path of the file that COPY made.
    pub fn csv(&self, table: &Table, day: &str) -> PathBuf {
        self.files.join(format!("{}.{day}.csv", table.name))
    }

    /// Returns the path of the file that a measured COPY makes.
    pub fn copied(&self, table: &Table) -> PathBuf {
        self.files.join(format!("{}.copy.csv", table.name))
    }

    /// Returns one of our binaries.
    pub fn ours(&self, name: &str) -> Step {
        Step::new(name, &self.binaries.join(name))
    }

    /// Returns tap-postgres with nothing of a database but its connection set.
    pub fn connected(&self, name: &str, database: &str) -> Result<Step> {
        let settings =
            json!({"host": self.cluster.socket, "user": "postgres", "database": database});
        let path = self.files.join(format!("{database}.json"));
        write(&path, &settings.to_string())?;
        Ok(self.ours(name).arg("--config").arg(path))
    }

    /// Returns tap-postgres, reading a subject.
    pub fn tap_postgres(&self, subject: &Subject, database: &str) -> Result<Step> {
        let catalog = self.files.join(format!("{}.{database}.catalog.json", subject.name));
        if !catalog.exists() {
            let discover = self.connected("tap-postgres", database)?.arg("--discover");
            process::run(vec![discover], Some(&catalog), &self.files)?;
            select(&catalog, subject)?;
        }
        Ok(self.connected("tap-postgres", database)?.arg("--catalog").arg(catalog))
    }

    /// Returns target-csv, publishing a day of a subject.
    pub fn target_csv(&self, output: &Path, subject: &Subject, day: &str) -> Step {
        self.ours("target-csv")
            .set("output_path", output.display())
            .set("source", subject.name)
            .set("datestamp", day)
    }

    /// Returns tap-csv, reading a day of a subject.
    pub fn tap_csv(&self, output: &Path, subject: &Subject, day: &str) -> Step {
        self.ours("tap-csv")
            .set("output", output.display())
            .set("source", subject.name)
            .set("datestamp", day)
    }

    /// Returns target-postgres, loading into the schema `ours`.
    pub fn target_postgres(&self, method: &str, metadata: bool) -> Result<Step> {
        let step = self.connected("target-postgres", TARGET)?;
        let step = step.set("default_target_schema", "ours").set("load_method", method);
        Ok(step.set("add_record_metadata", metadata))
    }

    /// Runs a pipeline with nothing else going on, and counts what the server used.
    pub fn measure(&self, steps: Vec<Step>, output: Option<&Path>) -> Result<Run> {
        // What was written before must not be paid for here.
        self.cluster.query("postgres", "CHECKPOINT")?;
        rustix::fs::sync();
        self.cluster.settle()?;
        let before = self.cluster.cpu()?;
        let mut run = process::run(steps, output, &self.files)?;
        self.cluster.settle()?;
        run.server = self.cluster.cpu()?.saturating_sub(before);
        Ok(run)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.files);
    }
}

/// Returns the folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Makes an empty folder, whatever was there.
pub fn remake(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    let made = fs::create_dir_all(folder);
    made.or_kind(ErrorKind::Io, "cannot make the folder").with("path", folder.display())
}

/// Makes an empty folder; what was there is put aside and stays to the end. A file system without a
/// journal looks at each file that was removed in the last minutes whenever it makes another one,
/// so the next run would pay for the removal of thousands.
pub fn renew(folder: &Path) -> Result<()> {
    let aside = (0..).map(|number: u32| folder.with_extension(format!("{number}.aside")));
    if let Some(aside) = aside.into_iter().find(|path| !path.exists()) {
        let _ = fs::rename(folder, aside);
    }
    remake(folder)
}

/// Writes a file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let written = fs::write(path, text);
    written.or_kind(ErrorKind::Io, "cannot write the file").with("path", path.display())
}

/// Reads a file.
pub fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path);
    text.or_kind(ErrorKind::Io, "cannot read the file").with("path", path.display())
}

/// Selects the tables of a subject in a catalog, and no other.
fn select(path: &Path, subject: &Subject) -> Result<()> {
    let catalog = serde_json::from_str(&read(path)?);
    let mut catalog: Value = catalog.or_kind(ErrorKind::Data, "cannot read the catalog")?;
    for stream in catalog["streams"].as_array_mut().into_iter().flatten() {
        let selected = subject.tables.is_empty()
            || subject.tables.iter().any(|table| stream["table_name"] == table.name);
        for metadata in stream["metadata"].as_array_mut().into_iter().flatten() {
            if metadata["breadcrumb"].as_array().is_some_and(Vec::is_empty) {
                metadata["metadata"]["selected"] = selected.into();
            }
        }
    }
    write(path, &catalog.to_string())
}
