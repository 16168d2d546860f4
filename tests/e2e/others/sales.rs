//! The main job on the sales database of the demo: two sources, dated folders, one database.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use support::cluster::{Database, database};
use support::pipes::{DAY, extract, from_database, from_lake, load, to_database, to_lake};
use support::run::{file, ours, pipe_succeeds};
use support::{folder, lake, root};

const OLDER: &str = "2026-11-19";

/// Both sources, and the dated folders.
struct Sources {
    database: Database,
    details: PathBuf,
    folder: tempfile::TempDir,
}

impl Sources {
    fn new(purpose: &str) -> Self {
        let script = |name: &str| fs::read_to_string(root().join("demo").join(name)).unwrap();
        let (database, folder) = (database(purpose), folder());
        database.psql(&script("sales.sql"));
        let csv = database.psql(&script("order_details.sql")) + "\n";
        let details = file(folder.path(), "order_details.csv", csv);
        Self { database, details, folder }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    fn extract(&self, day: &str) {
        let keys = ["order_id", "product_id"];
        let files = json!([{ "entity": "order_details", "path": self.details, "keys": keys }]);
        let tap = ours("tap-csv").config(&json!({ "files": files }));
        pipe_succeeds(tap, to_lake(&self.lake(), "csv", day));
        extract(&self.database, &self.lake(), day);
    }

    /// Puts the details beside the tables of the source, for it to answer joins itself.
    fn join_at_source(&self) {
        self.database.psql(&format!(
            "CREATE TABLE order_details (order_id integer, product_id integer, unit_price numeric,
                 quantity integer, discount numeric, PRIMARY KEY (order_id, product_id));
             \\copy order_details FROM '{}' CSV HEADER",
            self.details.display()
        ));
    }
}

/// Every table with its columns, types and key.
fn shape(database: &Database) -> String {
    database.psql(
        "SELECT relname, attname, format_type(atttypid, atttypmod),
                array_position(i.indkey::smallint[], attnum) AS key
         FROM pg_class c
         JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
         LEFT JOIN pg_index i ON i.indrelid = c.oid AND indisprimary
         WHERE relkind = 'r' AND relname <> '_sdc_tables' AND relnamespace = 'public'::regnamespace
         ORDER BY relname, attnum",
    )
}

fn tables(database: &Database) -> Vec<String> {
    let list = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> '_sdc_tables'
                AND relnamespace = 'public'::regnamespace ORDER BY 1";
    database.psql(list).lines().map(str::to_owned).collect()
}

/// Every row of every table, with what changes when a row is written again.
fn fingerprint(database: &Database) -> String {
    let of = |table: &String| {
        let rows = format!("SELECT xmin, ctid, t FROM public.{table} t ORDER BY ctid");
        format!("{table}\n{}", database.psql(&rows))
    };
    tables(database).iter().map(of).collect::<Vec<_>>().join("\n")
}

fn joined(database: &Database) -> String {
    database.psql(
        "COPY (SELECT * FROM order_details JOIN orders USING (order_id)
               ORDER BY order_id, product_id) TO STDOUT CSV HEADER",
    )
}

#[test]
fn both_sources_arrive_value_for_value_and_a_second_time_changes_nothing() {
    let sources = Sources::new("sales");
    let target = database("warehouse");
    sources.extract(DAY);
    lake::check(&sources.lake());
    lake::check_swept(&sources.lake());
    load(&sources.lake(), DAY, &target, &json!({}));

    sources.join_at_source();
    assert_eq!(joined(&target), joined(&sources.database));
    assert_eq!(joined(&target).lines().count(), 241);
    let query = fs::read_to_string(root().join("demo/joined.sql")).unwrap();
    assert_eq!(target.psql(&query), sources.database.psql(&query));
    assert_eq!(tables(&target).len(), 14, "{:?}", tables(&target));
    for table in tables(&target) {
        let rows = format!("COPY (SELECT * FROM public.{table} t ORDER BY t::text) TO STDOUT");
        assert_eq!(target.psql(&rows), sources.database.psql(&rows), "{table}");
    }
    // The types of a CSV file are inferred, those of Postgres are the source's own.
    sources.database.psql("DROP TABLE order_details");
    let without = |shape: String| -> Vec<String> {
        shape.lines().filter(|l| !l.starts_with("order_details")).map(str::to_owned).collect()
    };
    assert_eq!(without(shape(&target)), without(shape(&sources.database)));
    let details = shape(&target);
    for column in ["order_id|bigint|0", "product_id|bigint|1", "unit_price|numeric|"] {
        let column = format!("order_details|{column}");
        assert!(details.contains(&column), "no {column} in\n{details}");
    }

    let (files, rows) = (lake::data_sums(&sources.lake()), fingerprint(&target));
    sources.extract(DAY);
    let outcome = load(&sources.lake(), DAY, &target, &json!({}));
    assert_eq!(lake::data_sums(&sources.lake()), files);
    assert_eq!(fingerprint(&target), rows);
    assert!(outcome.stderr.contains("unchanged"), "{}", outcome.stderr);
    lake::check(&sources.lake());
}

#[test]
fn overwrite_and_replace_partition_of_an_unchanged_day_touch_nothing() {
    let sources = Sources::new("unchanged");
    sources.extract(DAY);
    for method in ["overwrite", "replace-partition", "upsert"] {
        let target = database("unchanged_target");
        load(&sources.lake(), DAY, &target, &json!({ "load_method": method }));
        let rows = fingerprint(&target);
        let outcome = load(&sources.lake(), DAY, &target, &json!({ "load_method": method }));
        assert_eq!(fingerprint(&target), rows, "{method}");
        assert!(outcome.stderr.contains("unchanged"), "{method}: {}", outcome.stderr);
    }
}

#[test]
fn five_deleted_orders_leave_their_day_and_no_other() {
    let sources = Sources::new("deleted");
    let target = database("history");
    let method = json!({ "load_method": "replace-partition" });
    for day in [OLDER, DAY] {
        sources.extract(day);
        load(&sources.lake(), day, &target, &method);
    }
    let all = "SELECT xmin, ctid, t FROM public.orders t ORDER BY ctid";
    let before: Vec<_> = target.psql(all).lines().map(str::to_owned).collect();
    assert_eq!(before.len(), 240, "two days of 120 orders");
    sources
        .database
        .psql("DELETE FROM orders WHERE order_id IN (10250, 10260, 10270, 10280, 10290)");
    let old_day = |lake: &Path| {
        let mut sums = lake::sums(lake);
        sums.retain(|path, _| path.to_string_lossy().contains(OLDER));
        sums
    };
    let old_files = old_day(&sources.lake());
    sources.extract(DAY);
    load(&sources.lake(), DAY, &target, &method);
    assert_eq!(old_day(&sources.lake()), old_files);
    let after: Vec<_> = target.psql(all).lines().map(str::to_owned).collect();
    let gone: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
    let of_day = |row: &String| row.contains(DAY);
    assert!(gone.iter().all(|row| of_day(row)), "rows of another day went or changed: {gone:#?}");
    let orders = |day: &str| {
        let rows = target.psql("SELECT t FROM public.orders t");
        rows.lines().filter(|row| row.contains(day)).count()
    };
    assert_eq!((orders(OLDER), orders(DAY)), (120, 115));
    let kept = "SELECT DISTINCT order_id FROM public.orders WHERE order_id IN
                (10250, 10260, 10270, 10280, 10290)";
    assert_eq!(target.psql(kept).lines().count(), 5, "the older day keeps them");
}

#[test]
fn a_source_that_shrinks_to_nothing_and_back_is_followed() {
    let (source, target, folder) = (database("shrinks"), database("shrinks_target"), folder());
    source.psql("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
    let count = || target.psql("SELECT count(*) FROM public.t");
    let round = |sql: &str| {
        source.psql(sql);
        extract(&source, folder.path(), DAY);
        load(folder.path(), DAY, &target, &json!({ "load_method": "replace-partition" }));
        lake::check(folder.path());
        count()
    };
    assert_eq!(round(""), "1");
    assert_eq!(round("DELETE FROM t"), "0");
    assert_eq!(round("INSERT INTO t VALUES (2, 'b'), (3, 'c')"), "2");
    // Files emptied behind the back of the target come back.
    target.psql("DELETE FROM public.t");
    assert_eq!(round(""), "2");
}

#[test]
fn straight_from_database_to_database() {
    let sources = Sources::new("straight");
    let target = database("straight_target");
    let tap = || from_database(&sources.database, &json!({}));
    let (_, outcome) = pipe_succeeds(tap(), to_database(&target, &json!({})));
    assert_eq!(shape(&target), shape(&sources.database));
    let last: serde_json::Value =
        serde_json::from_str(outcome.text().lines().last().expect("a state")).unwrap();
    assert!(last["currently_syncing"].is_null(), "{last}");
    let before = fingerprint(&target);
    pipe_succeeds(tap(), to_database(&target, &json!({})));
    assert_eq!(fingerprint(&target), before);
}

#[test]
fn a_day_that_is_not_there_says_so() {
    let sources = Sources::new("absent_day");
    sources.extract(DAY);
    let outcome = from_lake(&sources.lake(), OLDER).go().exits(66);
    assert!(outcome.stderr.contains(OLDER), "{}", outcome.stderr);
    for day in ["2026-02-30", "20261120", "2026-11-20 ", "latest", "../2026-11-20"] {
        let outcome = to_lake(&sources.lake(), "csv", day).input("").go();
        assert_eq!(outcome.code, 78, "{day}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("YYYY-MM-DD"), "{day}: {}", outcome.stderr);
    }
}

#[test]
fn a_file_changed_after_it_was_published_is_not_loaded() {
    let sources = Sources::new("tampered");
    let target = database("tampered_target");
    sources.extract(DAY);
    let partition = lake::partition(&sources.lake(), "postgres", DAY, "public-orders");
    let name = lake::manifest(&partition)["files"][0]["name"].as_str().unwrap().to_owned();
    let path = partition.join(name);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("32.38", "32.39")).unwrap();
    let outcome = from_lake(&sources.lake(), DAY).go().exits(65);
    assert!(outcome.stderr.contains("public-orders"), "{}", outcome.stderr);
    assert_eq!(outcome.records("public-orders").len(), 0, "refused before the first row");
    fs::remove_file(&path).unwrap();
    let (_, target_outcome) =
        support::run::pipe(from_lake(&sources.lake(), DAY), to_database(&target, &json!({})));
    assert_ne!(target_outcome.code, 0, "the target must not take it for a whole day");
}

#[test]
fn the_contract_of_the_demo_lets_no_personal_value_reach_the_table() {
    let sources = Sources::new("sales_protected_source");
    let target = database("sales_protected_target");
    let tap = from_database(
        &sources.database,
        &json!({
            "tables": ["public.customers"], "contracts": [root().join("demo/customers.odcs.yaml")],
        }),
    );
    let tap = tap
        .env("TAP_POSTGRES_PROTECT_KEY", "MDk4MWtmZ2hqd2VydHl1aW9wYXNkZmdoamtsenhjdmI=")
        .args(["--config", "ENV"]);
    pipe_succeeds(tap, to_database(&target, &json!({})));
    let written = target.psql("SELECT t::text FROM customers AS t");
    assert_eq!(written.lines().count(), 5, "{written}");
    let personal = sources.database.psql(
        "SELECT v FROM customers, unnest(array[contact_name, address, postal_code, phone]) AS v
         WHERE length(v) > 3",
    );
    assert!(personal.lines().count() > 8, "{personal}");
    for value in personal.lines() {
        assert!(!written.contains(value), "{value}: {written}");
    }
    // What is not personal is there as it was.
    let names = "SELECT string_agg(company_name, '|' ORDER BY customer_id) FROM customers";
    assert_eq!(target.psql(names), sources.database.psql(names));
}
