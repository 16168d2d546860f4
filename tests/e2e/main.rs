//! End-to-end tests: our binaries in real pipes against a real Postgres, real readers and plugins.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop loudly"
)]

mod support;

mod airflow;
mod api;
mod api_auth;
mod api_faults;
mod api_pages;
mod api_streams;
mod backfill;
mod chorus;
mod chorus_days;
mod contributing;
mod corpora;
mod crash_points;
mod csv;
mod first_loads;
mod full_disk;
mod interop;
mod kill;
mod limits;
mod loads;
mod meltano;
mod messages;
mod mistakes;
mod moving_files;
mod names;
mod planted;
mod processes;
mod readers;
mod readme;
mod reruns;
mod sales;
mod schema_changes;
mod security;
mod selection;
mod sftp;
mod sftp_faults;
mod sftp_trust;
mod source_changes;
mod states;
mod stopped;
mod three_ways;
mod tidy;
mod types;
mod values;
