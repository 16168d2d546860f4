//! A setting that a connector does not support ends the run, unless leaving it out changes nothing.

use serde_json::{Value, json};

use crate::project::tidy::CONNECTORS;
use support::run::{Outcome, ours};

/// Settings that are enough for each connector to begin, where nothing is to be reached.
fn enough(connector: &str) -> Value {
    match connector {
        "tap-api" => json!({ "api_url": "http://127.0.0.1:9", "max_attempts": 1, "streams": [] }),
        "tap-csv" => json!({ "files": [] }),
        "map-streams" => json!({}),
        "tap-lake" => json!({ "output": "/nowhere", "datestamp": "2026-11-20" }),
        "tap-sftp" => json!({ "host": "127.0.0.1", "port": 9, "username": "u", "tables": [] }),
        _ => json!({ "host": "/nowhere", "user": "u", "database": "d" }),
    }
}

fn run(connector: &str, more: &Value) -> Outcome {
    let mut settings = enough(connector);
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ours(connector).config(&settings).input("").go()
}

#[track_caller]
fn says(outcome: &Outcome, words: &[&str]) {
    for word in words {
        assert!(outcome.complaint().contains(word), "no {word:?} in {}", outcome.complaint());
    }
}

#[test]
fn an_unknown_setting_ends_the_run_of_every_connector() {
    for connector in CONNECTORS {
        let failed = run(connector, &json!({ "max_rejekts": 5, "zzz": "hunter2" })).exits(78);
        says(
            &failed,
            &["cannot use an unknown setting", "setting: `zzz`", "`unknown_settings: warn`"],
        );
        says(&failed, &["setting: `max_rejekts`", "did you mean `max_rejects`?"]);
        assert!(!failed.complaint().contains("hunter2"), "a value was shown");

        let relaxed = run(connector, &json!({ "zzz": 1, "unknown_settings": "warn" }));
        says(&relaxed, &["W-SETTING-UNKNOWN: unknown setting `zzz`"]);
        assert!(!relaxed.complaint().contains("cannot use an unknown setting"));

        let upper = connector.to_uppercase().replace('-', "_");
        let failed = ours(connector)
            .args(["--config", "ENV"])
            .env(&format!("{upper}_MAX_REJEKTS"), "5")
            .env(&format!("{upper}_LOGLEVEL"), "INFO")
            .input("")
            .go()
            .exits(78);
        let meant = format!("did you mean `{upper}_MAX_REJECTS`?");
        says(&failed, &[&format!("variable `{upper}_MAX_REJEKTS`"), &meant]);
        assert!(!failed.complaint().contains("LOGLEVEL"), "{}", failed.complaint());
    }
}

#[test]
fn settings_of_other_programs_are_taken_where_they_change_nothing() {
    let cases = [
        ("tap-api", "aws_credentials", json!({}), json!({ "aws_access_key_id": "k" })),
        ("tap-csv", "batch_config", json!({}), json!({ "encoding": { "format": "jsonl" } })),
        ("tap-csv", "filesystem", json!("local"), json!("ftp")),
        ("tap-sftp", "decryption_configs", json!(null), json!({ "gnupghome": "x" })),
        ("tap-postgres", "use_secondary", json!("false"), json!(true)),
        ("tap-postgres", "batch_config", json!({}), json!({ "encoding": { "format": "jsonl" } })),
        ("target-csv", "load_method", json!("append-only"), json!("upsert")),
        ("target-postgres", "data_flattening_max_level", json!(0), json!(3)),
        ("target-postgres", "before_run_sql_file", json!(null), json!("before.sql")),
        ("target-postgres", "postgres_host", json!(""), json!("db.example.org")),
    ];
    for (connector, name, taken, refused) in cases {
        let outcome = run(connector, &json!({ name: taken }));
        let silent = !outcome.complaint().contains(name);
        assert!(silent, "{connector} {name}: {}", outcome.complaint());
        let failed = run(connector, &json!({ name: refused })).exits(78);
        says(&failed, &[&format!("does not support `{name}` yet"), "hint: "]);
    }
    // No effect here, whatever the value.
    for (connector, name) in [("tap-postgres", "itersize"), ("target-postgres", "parallelism")] {
        let outcome = run(connector, &json!({ name: 7 }));
        assert!(!outcome.complaint().contains(name), "{}", outcome.complaint());
    }
}

#[test]
fn unknown_names_within_entries_end_the_run() {
    let cases = [
        (
            "tap-csv",
            json!({ "files": [{ "entity": "a", "path": "a", "keys": [], "delimeter": ";" }] }),
        ),
        (
            "tap-sftp",
            json!({ "tables": [{ "table_name": "a", "remote_path": "a", "delimeter": ";" }] }),
        ),
        ("tap-api", json!({ "streams": [{ "name": "a", "path": "/", "delimeter": ";" }] })),
    ];
    for (connector, settings) in cases {
        says(&run(connector, &settings).exits(78), &["delimeter"]);
    }
}

#[test]
fn settings_of_tap_csv_without_effect_are_told() {
    let scratch = support::folder();
    let path = support::run::file(scratch.path(), "a.csv", "id\n1\n");
    let files = json!({ "files": [{ "entity": "t", "path": path }] });
    let told = |base: &Value, more: Value, name: &str| {
        let mut settings = base.clone();
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let outcome = ours("tap-csv").config(&settings).go();
        says(&outcome, &["W-SETTING-UNUSED", &format!("setting `{name}` has no effect")]);
        outcome
    };
    // It reads all the same: no row is left out by it.
    let outcome = told(&files, json!({ "start_date": "2099-01-01" }), "start_date").success();
    assert_eq!(outcome.records("t").len(), 1);
    told(&files, json!({ "require_run_record": false }), "require_run_record").success();
    told(&files, json!({ "datestamp": "2026-01-01" }), "datestamp").success();
    let day = json!({ "output": scratch.path(), "datestamp": "2026-01-01" });
    told(&day, json!({ "add_metadata_columns": true }), "add_metadata_columns");
    // Each table of a day is read as a whole, so that this is no wish that fails.
    let mut whole = day.clone();
    whole["whole_tables"] = true.into();
    let outcome = ours("tap-csv").config(&whole).go();
    assert!(!outcome.stderr.contains("W-SETTING-UNUSED"), "{}", outcome.stderr);
}

/// Each setting of the three programs that target-postgres replaces is carried out, has no effect
/// on rows, or is refused with what to do: none is passed over with a warning.
#[test]
fn settings_of_every_variant_of_the_target_are_known() {
    let grants = json!({ "users": ["a"], "groups": ["b"] });
    let mapping = json!({ "a": {
        "target_schema": "b", "target_schema_select_permissions": "c", "indices": { "t": ["x,y"] },
    } });
    let settings = json!({
        "dbname": "d", "sqlalchemy_url": "postgresql://u@127.0.0.1:9/d", "use_copy": true,
        "dialect+driver": "postgresql+psycopg", "default_target_schema": "s",
        "add_record_metadata": true, "interpret_content_encoding": true, "hard_delete": true,
        "sanitize_null_text_characters": true, "load_method": "upsert", "batch_size_rows": 5,
        "validate_records": false, "activate_version": true, "ssl_enable": false,
        "process_activate_version_messages": true, "stream_maps": { "a": {} },
        "flattening_enabled": false, "flattening_max_depth": 2, "batch_config": { "a": 1 },
        "ssl": true, "flush_all_streams": true, "parallelism": 4, "max_parallelism": 8,
        "default_target_schema_select_permission": "r", "schema_mapping": mapping,
        "default_target_schema_select_permissions": grants, "add_metadata_columns": true,
        "data_flattening_max_level": 3, "primary_key_required": false, "temp_dir": "/tmp",
    });
    let of_datamill = json!({
        "postgres_host": "h", "postgres_port": 5, "postgres_database": "d",
        "postgres_username": "u", "postgres_password": "p", "postgres_schema": "s",
        "postgres_sslmode": "require", "postgres_sslcert": "c", "postgres_sslkey": "k",
        "postgres_sslrootcert": "r", "postgres_sslcrl": "l", "before_run_sql": "SELECT 1",
        "after_run_sql": "SELECT 1", "before_run_sql_file": "f", "after_run_sql_file": "f",
        "invalid_records_detect": false, "invalid_records_threshold": 3, "state_support": true,
        "disable_collection": true, "logging_level": "DEBUG", "persist_empty_tables": true,
        "max_batch_rows": 5, "max_buffer_size": 5, "batch_detection_threshold": 5,
        "add_upsert_indexes": true,
    });
    let settings = [settings, of_datamill];
    for (name, value) in settings.iter().flat_map(|some| some.as_object().unwrap()) {
        let outcome = run("target-postgres", &json!({ (name): value, "unknown_settings": "warn" }));
        let told = outcome.complaint();
        assert!(!told.contains("unknown setting"), "{name}: {told}");
        let refused = told.contains("does not support");
        assert_eq!(refused && told.contains("hint: "), refused, "{name}: {told}");
        let reached = told.contains("cannot connect") || told.contains("/nowhere");
        assert!(refused || reached || outcome.code == 0, "{name}: {told}");
    }
}
