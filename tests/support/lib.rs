//! What the tests stand on: a private Postgres, our binaries as processes, Python, lake checks.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::new_without_default,
    reason = "only tests use it"
)]

pub mod airflow;
pub mod apis;
pub mod cluster;
pub mod example;
pub mod faults;
pub mod invariants;
pub mod lake;
pub mod messages;
pub mod pg_proxy;
pub mod pgbouncer;
pub mod pipes;
pub mod project;
pub mod proxy;
pub mod python;
pub mod run;
pub mod secrets;
pub mod sshd;
pub mod strace;
pub mod web;

use std::path::{Path, PathBuf};

/// Returns the root folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the folder cargo builds into, which holds this very test binary.
pub fn target_dir() -> PathBuf {
    binaries_dir().parent().unwrap().to_owned()
}

/// Returns the folder of the binaries built beside this test binary.
pub fn binaries_dir() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    me.parent().and_then(Path::parent).unwrap().to_owned()
}

/// Makes a temporary folder that goes with its owner.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("chorus-").tempdir().unwrap()
}
