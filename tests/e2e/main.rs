//! End-to-end tests: our binaries in real pipes against a real Postgres, real readers and plugins.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop loudly"
)]

/// `tap-api`.
mod api {
    mod auth;
    mod bookmarks;
    mod elements;
    mod ends;
    mod error_answers;
    mod faults;
    mod more_pages;
    mod own_bookmarks;
    mod pages;
    mod parents;
    mod servers;
    mod shapes;
    mod starts;
    pub mod streams;
    mod tokens;
    mod trees;
    mod windows;
}

/// Rules that hold for every connector.
mod conformance {
    mod canaries;
    mod hostile;
    mod mappers;
    mod mistakes;
    mod private_files;
    mod schema_bombs;
    mod security;
    pub mod subjects;
    mod taps;
    mod targets;
    mod unknown_settings;
    mod warnings;
}

/// `map-streams`.
mod mapping {
    mod both_ways;
    mod fakes;
    mod faults;
    mod forget;
    mod inline;
    mod maps;
    mod projects;
    mod python;
    mod streams;
    mod transformations;
}

/// `tap-csv` and `tap-sftp`.
mod files {
    mod changes;
    mod compressed;
    mod corpora;
    mod csv;
    mod headers;
    mod kinds;
    pub mod limits;
    mod lines;
    mod moving;
    mod names;
    mod own_source;
    mod parts;
    mod sftp;
    mod sftp_clocks;
    mod sftp_faults;
    mod sftp_trust;
    mod sftp_warnings;
    mod values;
}

/// Dated folders.
mod lake {
    mod crash_points;
    mod full_disk;
    mod kill;
    mod layouts;
    mod places;
    mod planted_links;
    mod readers;
    mod taps;
}

/// The programs of others around ours.
mod others {
    mod airflow;
    mod dbt;
    mod edits;
    mod interop;
    mod layers;
    pub mod meltano;
    mod run_flags;
    mod runners_agree;
    mod sales;
    mod second_reader;
    mod states_there_and_back;
    mod taps_and_mappings;
    mod what_plugins_get;
}

/// The Singer pipe.
mod pipe {
    mod contracts;
    mod faults;
    mod logs;
    mod mappers;
    mod messages;
    mod plans;
    mod processes;
    mod protection;
    mod rejects;
    mod sizes;
    mod small_streams;
    mod state_kills;
    mod state_sizes;
    mod stopped;
    mod two_taps;
}

/// One file for a small team: `chorus run config.yaml`.
mod plain {
    mod bad_input;
    mod combined;
    mod files;
    mod keys;
    mod nothing;
    mod sources;
    mod stopped;
    mod times;
}

/// `tap-postgres` and `target-postgres`.
mod postgres {
    mod attached;
    mod bare_names;
    mod bookmarks;
    mod chosen_tables;
    mod commits;
    mod computed_columns;
    mod conditions;
    mod exact_columns;
    mod first_loads;
    mod formats;
    mod future_keys;
    mod grants;
    mod hidden_rows;
    mod hints;
    mod inherited;
    mod letter_case;
    mod loads;
    mod lost_tables;
    mod metadata;
    mod money;
    mod names;
    mod network;
    mod notices;
    mod odd_schemas;
    pub mod open_writers;
    mod overlaps;
    mod own_columns;
    mod partial_reads;
    mod pooler;
    mod rediscovery;
    mod reruns;
    mod run_sql;
    mod schema_changes;
    mod selection;
    mod server_faults;
    mod session_settings;
    mod several_servers;
    mod small_tables;
    mod source_changes;
    mod states;
    mod table_families;
    mod tables;
    mod tap_limits;
    mod triggers;
    mod type_changes;
    mod types;
    mod unreadable;
    mod values;
    mod view_zones;
}

/// The project itself.
mod project {
    mod circles;
    mod command_lines;
    mod contributing;
    pub mod generated;
    mod helps;
    mod rows;
    mod servers;
    pub mod tidy;
    mod upgrades;
}

/// README.md and the book.
mod book {
    mod checks;
    mod fixtures;
    mod pages;
    mod runs;
    mod servers;
}

/// `chorus`.
mod runner {
    mod added_again;
    mod backfill;
    mod checks;
    mod commands;
    mod contract_commands;
    mod days;
    mod doctor;
    mod environment;
    mod failed_attempts;
    mod failure_reasons;
    mod failures;
    mod faults;
    mod forget;
    mod installs;
    mod liveness;
    pub mod loads;
    mod locks;
    mod lost_days;
    mod order;
    mod partial_runs;
    mod project;
    mod removed_days;
    mod replaced_rows;
    mod runs;
    mod schema_plans;
    mod setting_roles;
    mod states;
    mod variables;
    mod warnings;
    mod windows;
}
