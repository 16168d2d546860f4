//! The example project under Meltano.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::project::tidy::CONNECTORS;
use support::example::Example;
use support::run::{file, ours};
use support::{lake, root};

/// Both extracts of a day and its load by the generic plugins, then all of it for another day.
const TWO_DAYS: &str = "
MELTANO_ENVIRONMENT=extract SOURCE=csv DATESTAMP=2026-01-31 meltano run tap-csv target-csv
MELTANO_ENVIRONMENT=extract SOURCE=postgres DATESTAMP=2026-01-31 meltano run tap-postgres target-csv
MELTANO_ENVIRONMENT=load SCHEMA=public EXTRACTED_AT=2026-01-31 meltano run tap-csv target-postgres
DATESTAMP=2026-02-01 meltano run elt";

/// Asserts that a schema of the target has the 13 tables of the source, row for row, and the file.
#[track_caller]
pub fn check_loaded(project: &Example, schema: &str) {
    assert_eq!(project.tables(schema).len(), 14, "{:?}", project.tables(schema));
    for table in project.tables(schema).iter().filter(|table| *table != "order_details") {
        let columns = project.source.psql(&format!(
            "SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        ));
        let rows = |schema: &str| {
            format!("COPY (SELECT {columns} FROM {schema}.{table} t ORDER BY 1, 2) TO STDOUT")
        };
        assert_eq!(
            project.target.psql(&rows(schema)),
            project.source.psql(&rows("public")),
            "{table}"
        );
    }
    let details = format!(
        "COPY (SELECT order_id, product_id, unit_price, quantity, discount
               FROM {schema}.order_details ORDER BY 1, 2) TO STDOUT CSV HEADER"
    );
    let file = fs::read_to_string(project.path().join("demo/order_details.csv")).unwrap();
    assert_eq!(project.target.psql(&details), file.trim_end());
}

#[test]
fn four_lines_fill_two_days_and_the_warehouse() {
    let project = Example::new("meltano_lines").with_variables();
    let script = fs::read_to_string(root().join("demo/order_details.sql")).unwrap();
    let file = fs::read_to_string(root().join("demo/order_details.csv")).unwrap();
    assert_eq!(project.source.psql(&script), file.trim_end(), "demo/order_details.csv is stale");
    project.meltano(TWO_DAYS).success();
    lake::check(&project.lake());
    lake::check_swept(&project.lake());
    let first = project.day("2026-01-31");
    assert_eq!(first.len(), 14, "{first:#?}");
    // The state of the first day says that nothing has changed: that must not empty the second.
    assert_eq!(project.day("2026-02-01"), first);
    check_loaded(&project, "public");
    let details = lake::partition(&project.lake(), "csv", "2026-02-01", "order_details");
    assert_eq!(lake::manifest(&details)["complete"], true);
}

#[test]
fn jobs_run_alone_and_the_next_run_starts_from_the_state_of_its_day() {
    let project = Example::new("meltano_jobs").with_variables();
    let extract = |more: &str| {
        let line = format!("MELTANO_ENVIRONMENT=extract DATESTAMP=2026-01-31 {more}");
        project.meltano(&line).success()
    };
    extract("SOURCE=csv meltano run extract_csv");
    extract("SOURCE=postgres meltano run extract_postgres");
    let load = "MELTANO_ENVIRONMENT=load SCHEMA=other EXTRACTED_AT=2026-01-31 \
                meltano run load_to_postgres";
    project.meltano(load).success();
    check_loaded(&project, "other");

    let outcome = extract("SOURCE=csv meltano run extract_csv");
    let log = &outcome.stderr;
    assert!(log.contains("skipping demo/order_details.csv: unchanged"), "{log}");
    let id = "extract:tap-csv-to-target-csv--csv:csv@2026-01-31";
    let state = project.meltano(&format!("meltano state get {id}")).success();
    let state: Value = serde_json::from_str(&state.text()).unwrap();
    assert!(state["singer_state"]["bookmarks"]["order_details"].is_object(), "{state}");
    assert!(state["singer_state"]["currently_syncing"].is_null(), "{state}");
    // The same day into another schema is another state.
    let load = load.replace("other", "third");
    project.meltano(&load).success();
    check_loaded(&project, "third");
}

#[test]
fn a_day_read_again_by_key_stays_whole() {
    let project = Example::new("meltano_by_key").with_variables();
    let plugin = "plugins/tap-postgres.meltano.yml";
    let text = fs::read_to_string(project.path().join(plugin)).unwrap();
    let state = "    state: /dev/null\n";
    assert!(text.contains(state), "the example has lost its line");
    let rule = "public-orders: {replication-method: INCREMENTAL, replication-key: order_id}";
    let rules = format!("{state}    select: [public-orders.*]\n    metadata: {{{rule}}}\n");
    file(project.path(), plugin, text.replace(state, &rules));
    let count = project.source.psql("SELECT count(*) FROM orders").parse::<usize>().unwrap();
    let line = "DATESTAMP=2026-01-31 meltano run extract_postgres";
    for line in [line, line, "chorus run extract_postgres --datestamp 2026-01-31"] {
        project.meltano(line).success();
        let orders = lake::partition(&project.lake(), "postgres", "2026-01-31", "public-orders");
        assert_eq!(lake::manifest(&orders)["files"][0]["rows"], count, "{line}");
    }
}

#[test]
fn a_variable_that_is_not_set_ends_a_run_before_it_begins() {
    let project = Example::new("meltano_unset").with_variables();
    let line = "MELTANO_ENVIRONMENT=extract SOURCE=csv meltano run tap-csv target-csv";
    let outcome = project.meltano(line);
    assert_ne!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("'DATESTAMP' referenced but not set"), "{}", outcome.stderr);
    assert!(!project.lake().exists(), "a run without a day has written something");
    let line = "MELTANO_ENVIRONMENT=extract SOURCE=csv DATESTAMP=2026-02-30 \
                meltano run tap-csv target-csv";
    let outcome = project.meltano(line);
    assert_ne!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cannot read the datestamp"), "{}", outcome.stderr);
}

#[test]
fn every_plugin_passes_the_test_of_its_settings() {
    let project = Example::new("meltano_config").with_variables();
    let valid = |line: &str| {
        let outcome = project.meltano(line).success();
        let all = outcome.text() + &outcome.stderr;
        assert!(all.contains("Plugin configuration is valid"), "{line}: {all}");
    };
    valid("meltano config test tap-csv");
    valid("meltano config test tap-postgres");
    project.meltano("DATESTAMP=2026-01-31 meltano run tap-csv target-csv--csv").success();
    valid("MELTANO_ENVIRONMENT=load EXTRACTED_AT=2026-01-31 meltano config test tap-csv");
    // Meltano 4.4.1 writes its test rows, finds the target well, and then signals the process,
    // which mostly has ended by then. What the target had to do, it has done.
    for target in ["target-csv--csv", "target-postgres"] {
        let line = format!("DATESTAMP=2026-01-30 meltano config test {target}");
        let outcome = project.meltano(&line);
        let log = &outcome.stderr;
        assert!(log.contains("Test data was written to your target system"), "{log}");
        assert!(outcome.code == 0 || log.contains("ProcessLookupError"), "{log}");
    }
    let rows = "SELECT id, name FROM public.meltano_test_stream";
    assert_eq!(project.target.psql(rows), "1|Meltano Test Record");
    let partition = lake::partition(&project.lake(), "csv", "2026-01-30", "meltano_test_stream");
    assert!(lake::data(&partition).contains("Meltano Test Record"));
}

#[test]
fn streams_are_listed_and_chosen_and_a_plugin_is_invoked() {
    let project = Example::new("meltano_select").with_variables();
    let lines = "export DATESTAMP=2026-01-31\n\
                 meltano select tap-postgres public-orders '*'\n\
                 meltano select tap-postgres --exclude public-orders freight\n\
                 meltano select tap-postgres --list --all\n\
                 meltano run extract_postgres";
    let outcome = project.meltano(lines).success();
    let listed = outcome.text();
    assert!(listed.contains("[selected   ] public-orders.ship_name"), "{listed}");
    assert!(listed.contains("[excluded   ] public-orders.freight"), "{listed}");
    assert!(listed.contains("[automatic  ] public-orders.order_id"), "{listed}");
    assert!(listed.contains("[excluded   ] public-region.region_description"), "{listed}");
    let tables = project.day("2026-01-31");
    assert_eq!(tables.len(), 1, "{tables:?}");
    let orders = lake::partition(&project.lake(), "postgres", "2026-01-31", "public-orders");
    assert!(!lake::data(&orders).contains("freight"));

    let lines = "meltano --no-environment invoke tap-csv --discover";
    let catalog = project.meltano(lines).success().text();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!(catalog["streams"][0]["tap_stream_id"], "order_details");
}

#[test]
fn meltano_adds_every_plugin_from_what_it_says_about_itself() {
    let project = Example::new("meltano_add");
    let empty = "default_environment: dev\nproject_id: empty\nenvironments:\n- name: dev\n";
    file(project.path(), "meltano.yml", empty);
    let mut lines = String::new();
    for connector in CONNECTORS {
        let definition = ours(connector).args(["--about", "--format", "meltano"]).go().success();
        file(project.path(), &format!("{connector}.yml"), definition.text());
        let kind = match connector.split('-').next() {
            Some("tap") => "extractor",
            Some("map") => "mapper",
            _ => "loader",
        };
        let add = format!("meltano add --plugin-type {kind} {connector}");
        writeln!(lines, "{add} --from-ref {connector}.yml").unwrap();
    }
    lines += "TAP_CSV_FILES='[{\"entity\": \"details\", \"path\": \"demo/order_details.csv\"}]' \
              TARGET_CSV_OUTPUT_PATH=plain meltano run tap-csv target-csv";
    project.meltano(&lines).success();
    let written = fs::read_to_string(project.path().join("plain/details.csv")).unwrap();
    let file = fs::read_to_string(project.path().join("demo/order_details.csv")).unwrap();
    assert_eq!(written, file);
}

#[test]
fn what_jobs_say_to_chorus_is_left_alone() {
    let project = Example::new("meltano_annotated");
    let text = fs::read_to_string(project.path().join("meltano.yml")).unwrap();
    let job = "- name: extract_csv\n";
    let own = "  annotations: {chorus: {on_failure: [./alert], expect_by: '07:00'}}\n";
    assert_eq!(text.matches(job).count(), 1);
    file(project.path(), "meltano.yml", text.replace(job, &format!("{job}{own}")));
    let listed = project.meltano("meltano job list extract_csv").success();
    assert!(listed.text().contains("tap-csv target-csv--csv"), "{}", listed.text());
}
