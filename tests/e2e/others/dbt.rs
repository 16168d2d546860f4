//! dbt as steps of jobs: it changes the tables that a pipeline has loaded.

use std::fs;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::project::Project;
use support::python::DBT;
use support::run::{Run, file};

/// The files of the dbt project, by their names.
const FILES: [(&str, &str); 6] = [
    (
        "dbt_project.yml",
        "name: shop\nversion: '1.0'\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n\
         models: {shop: {+materialized: table}}\n",
    ),
    ("packages.yml", "packages: [{local: own}]\n"),
    ("own/dbt_project.yml", "name: own\nversion: '1.0'\n"),
    ("own/macros/twice.sql", "{% macro twice(column) %}({{ column }} * 2){% endmacro %}\n"),
    (
        "models/doubled.sql",
        "select id, {{ own.twice('id') }} as twice, name from {{ source('raw', 'a') }}\n",
    ),
    (
        "models/schema.yml",
        "version: 2\nsources: [{name: raw, schema: public, tables: [{name: a}]}]\n\
         models:\n- {name: doubled, columns: [{name: name, data_tests: [unique, not_null]}]}\n",
    ),
];

const PROFILE: &str = r#"
shop:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('TARGET_POSTGRES_HOST') }}"
      port: "{{ env_var('TARGET_POSTGRES_PORT') | int }}"
      user: "{{ env_var('TARGET_POSTGRES_USER') }}"
      password: "{{ env_var('TARGET_POSTGRES_PASSWORD', 'none') }}"
      dbname: "{{ env_var('TARGET_POSTGRES_DATABASE') }}"
      schema: marts
      threads: 2
"#;

const UTILITIES: &str = "
  utilities:
  - name: dbt-postgres
    executable: dbt
    settings:
    - {name: project_dir, env: DBT_PROJECT_DIR, value: $MELTANO_PROJECT_ROOT/transform}
    - {name: profiles_dir, env: DBT_PROFILES_DIR, value: $MELTANO_PROJECT_ROOT/transform/profiles}
    env: {DBT_SEND_ANONYMOUS_USAGE_STATS: 'false'}
    commands: {deps: deps, run: run, test: test, build: build}
";

const JOBS: &str = "
- {name: whole, tasks: ['tap-csv target-postgres dbt-postgres:deps dbt-postgres:build']}
";

const LOADER: &str = "
  - name: target-postgres
    executable: target-postgres
    settings: [{name: host}, {name: port, kind: integer}, {name: user}, {name: database}]
    config: {default_target_schema: public, load_method: overwrite}
";

/// A project that loads a file and has dbt work on it.
struct Shop {
    project: Project,
    database: Database,
}

impl Shop {
    fn new() -> Self {
        let project = Project::with("", LOADER, JOBS);
        let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
        file(&project.root, "meltano.yml", text.replace("\njobs:", &format!("{UTILITIES}jobs:")));
        let transform = project.root.join("transform");
        for (name, text) in FILES {
            file(&transform, name, text);
        }
        file(&transform, "profiles/profiles.yml", PROFILE);
        Self { project, database: database("dbt") }
    }

    fn chorus(&self, args: &[&str]) -> Run {
        let mut run = self.project.chorus(args);
        let path = format!(
            "{}:{}:/usr/bin:/bin",
            support::binaries_dir().display(),
            DBT.programs().display()
        );
        for (name, value) in self.database.settings().as_object().unwrap() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            run = run.env(&format!("TARGET_POSTGRES_{}", name.to_uppercase()), text);
        }
        run.env("PATH", path)
    }

    fn record(&self, args: &[&str]) -> (i32, Value, String) {
        let outcome = self.chorus(&[&["run", "--json"], args].concat()).go();
        let record = serde_json::from_str(&outcome.text()).unwrap_or_else(|_| {
            panic!("{}", outcome.stderr);
        });
        (outcome.code, record, outcome.stderr)
    }
}

/// What a record says of the nodes of its step at a position.
fn results(record: &Value, at: usize) -> Vec<Value> {
    let results = record["steps"][at]["results"].as_array().cloned().unwrap_or_default();
    let mut told: Vec<Value> = results
        .iter()
        .map(|node| {
            assert!(node["seconds"].is_number(), "{node}");
            json!([node["kind"], node["node"], node["status"], node["rows"], node["failures"]])
        })
        .collect();
    told.sort_by_key(Value::to_string);
    told
}

#[test]
fn dbt_works_on_what_a_pipeline_has_loaded() {
    let shop = Shop::new();
    let (code, record, log) = shop.record(&["whole"]);
    assert_eq!(code, 0, "{log}");
    let names: Vec<&Value> =
        record["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(names, ["tap-csv target-postgres", "dbt-postgres:deps", "dbt-postgres:build"]);
    assert_eq!(shop.database.psql("SELECT * FROM marts.doubled ORDER BY id"), "1|2|a\n2|4|b");
    // `deps` runs no node.
    assert!(results(&record, 1).is_empty(), "{record}");
    assert_eq!(
        results(&record, 2),
        [
            json!(["model", "doubled", "success", 2, null]),
            json!(["test", "not_null_doubled_name", "pass", null, 0]),
            json!(["test", "unique_doubled_name", "pass", null, 0]),
        ]
    );
    let logs = shop.chorus(&["logs", "last"]).go().success().text();
    assert!(logs.contains("dbt-postgres: ") && logs.contains("Completed successfully"), "{logs}");
    assert!(!logs.contains("[0m"), "{logs}");

    // A test of dbt that fails is a failure of the run, and says which one.
    file(&shop.project.root, "in/a.csv", "id,name\n1,a\n2,a\n");
    let failed = shop.chorus(&["run", "whole", "--retries", "0"]).go().exits(69);
    for words in [
        "plugin: dbt-postgres",
        "exit: 1",
        "error: 1 of 3 failed: unique_doubled_name: Got 1 result, configured to fail if != 0",
    ] {
        assert!(failed.stderr.contains(words), "{}", failed.stderr);
    }
    let table = failed.text();
    assert!(table.contains("test unique_doubled_name") && table.contains("fail"), "{table}");
    let runs = shop.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("exit 69, dbt-postgres: 1 of 3 failed: unique_doubled_name"), "{runs}");

    // Results of another command are not those of one that has none.
    let (code, record, log) = shop.record(&["dbt-postgres:deps"]);
    assert!(code == 0 && results(&record, 0).is_empty(), "{record} {log}");
    let version = shop.chorus(&["invoke", "dbt-postgres", "debug"]).go().success();
    assert!(version.text().contains("All checks passed!"), "{}", version.text());
}
