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
mod api_bookmarks;
mod api_faults;
mod api_more;
mod api_pages;
mod api_streams;
mod api_told;
mod backfill;
mod canaries;
mod chorus;
mod chorus_days;
mod chorus_doctor;
mod chorus_environment;
mod chorus_life;
mod chorus_loads;
mod chorus_order;
mod chorus_project;
mod chorus_states;
mod chorus_variables;
mod commits;
mod contributing;
mod corpora;
mod crash_points;
mod csv;
mod file_changes;
mod file_kinds;
mod filled;
mod first_loads;
mod full_disk;
mod future_keys;
mod hostile;
mod inherited;
mod interop;
mod kept;
mod kill;
mod layouts;
mod limits;
mod loads;
mod lost_tables;
mod meltano;
mod messages;
mod metadata;
mod mistakes;
mod moving_files;
mod names;
mod network;
mod own_source;
mod parts;
mod pipe_faults;
mod places;
mod plans;
mod planted;
mod pooler;
mod private_files;
mod processes;
mod readers;
mod readme;
mod rediscovery;
mod rejects;
mod reruns;
mod runner_faults;
mod sales;
mod schema_changes;
mod security;
mod selection;
mod server_faults;
mod session_settings;
mod sftp;
mod sftp_clocks;
mod sftp_faults;
mod sftp_trust;
mod sizes;
mod source_changes;
mod state_kills;
mod states;
mod stopped;
mod tables;
mod tap_limits;
mod three_ways;
mod tidy;
mod two_taps;
mod types;
mod unknown_settings;
mod values;
mod view_zones;
mod warnings;
