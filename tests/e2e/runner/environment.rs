//! What the runner gives the processes of a run: of the secrets around, each gets its own alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::cluster::{PASSWORD, cluster, database};
use support::lake;
use support::project::{DAY, Project};

type Variables = BTreeMap<String, String>;

fn variables(text: &str) -> Variables {
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn has(given: &Variables, names: &[&str]) {
    let lacking: Vec<_> = names.iter().filter(|name| !given.contains_key(**name)).collect();
    assert!(lacking.is_empty(), "{lacking:?} of {given:?}");
}

#[track_caller]
fn lacks(given: &Variables, names: &[&str]) {
    let there: Vec<_> = names.iter().filter(|name| given.contains_key(**name)).collect();
    assert!(there.is_empty(), "{there:?}");
}

/// Plugins of others, and what is around them.
const PLUGINS: &str = "  - name: tap-sick
    executable: ./tap
    settings: [{name: password, kind: password}, {name: url}]
    config: {password: '${TAP_SECRET}'}
";
const TARGETS: &str = "  - name: target-sick
    executable: ./target
    settings:
      - {name: login, kind: password}
      - {name: address, sensitive: true, value: 'pg://u:${BY_DEFAULT}@h'}
    config:
      {login: '${DB_LOGIN}', api_token: '${MADE}', schema: $SCHEMA, deep: {client_secret: $DEEP}}
    env: {MADE: 'x-${PART}'}
  - name: target-other
    executable: ./target
";
const MORE: &str = "env: {URL: 'https://u:${DB_LOGIN}@h', PLAIN: '${SCHEMA}'}\n";

/// Runs the plugins and returns what the tap and the target were given.
fn run(project: &Project) -> (Variables, Variables) {
    let tell = |name: &str| format!("cat /proc/$$/environ > {name}.given");
    let tap = format!("{}; echo '{{\"streams\":[]}}'", tell("tap"));
    project.script("tap", &tap);
    project.script("target", &format!("{}; cat > /dev/null", tell("target")));
    let mut run = project.chorus(&["run", "--datestamp", DAY, "tap-sick", "target-sick"]);
    for name in [
        "TAP_SECRET",
        "TAP_SICK_URL",
        "DB_LOGIN",
        "PART",
        "DEEP",
        "BY_DEFAULT",
        "SCHEMA",
        "TARGET_SICK_LOGIN",
        "TARGET_SICK_SCHEMA",
        "TARGET_OTHER_PASSWORD",
        "PGPASSWORD",
        "ANYTHING",
        "ANY_OTHER",
    ] {
        run = run.env(name, format!("value of {name}"));
    }
    run.go();
    let given = |name: &str| fs::read_to_string(project.root.join(format!("{name}.given")));
    (variables(&given("tap").unwrap()), variables(&given("target").unwrap()))
}

#[test]
fn a_plugin_of_others_gets_no_secret_of_the_other_plugins() {
    let project = Project::with(PLUGINS, TARGETS, MORE);
    let (tap, target) = run(&project);
    has(&tap, &["TAP_SECRET", "TAP_SICK_PASSWORD", "TAP_SICK_URL", "MELTANO_EXTRACT_PASSWORD"]);
    // As Meltano has it.
    has(&tap, &["PGPASSWORD", "ANYTHING", "SCHEMA", "PLAIN", "TARGET_SICK_SCHEMA", "DATESTAMP"]);
    // Settings that are declared, named like a secret, or nested; what they are made of, and what
    // is made of them.
    lacks(&tap, &["TARGET_SICK_LOGIN", "DB_LOGIN", "MADE", "PART", "DEEP", "URL"]);
    lacks(&tap, &["TARGET_OTHER_PASSWORD", "BY_DEFAULT"]);
    has(
        &target,
        &["BY_DEFAULT", "TARGET_SICK_LOGIN", "DB_LOGIN", "MADE", "PART", "DEEP", "URL", "ANYTHING"],
    );
    lacks(&target, &["TAP_SECRET", "TAP_SICK_PASSWORD", "MELTANO_EXTRACT_PASSWORD"]);
    has(&target, &["TAP_SICK_URL"]);
}

#[test]
fn a_secret_that_two_plugins_share_reaches_both() {
    let plugins = PLUGINS.replace("${TAP_SECRET}", "${DB_LOGIN}");
    let (tap, target) = run(&Project::with(&plugins, TARGETS, MORE));
    has(&tap, &["DB_LOGIN"]);
    has(&target, &["DB_LOGIN"]);
    lacks(&tap, &["PART", "MADE"]);
}

#[test]
fn pass_env_narrows_what_a_plugin_gets() {
    let narrow = "    annotations: {chorus: {pass_env: [ANY*, TARGET_SICK_LOGIN, 'DB_*']}}\n";
    let project = Project::with(&format!("{PLUGINS}{narrow}"), TARGETS, MORE);
    let (tap, target) = run(&project);
    has(&tap, &["PATH", "HOME", "LC_ALL", "ANYTHING", "ANY_OTHER", "TAP_SECRET", "TAP_SICK_URL"]);
    lacks(&tap, &["PGPASSWORD", "SCHEMA", "PLAIN", "TARGET_SICK_SCHEMA", "URL"]);
    // Who names it by its whole name means it; a pattern does not reach the secrets of others.
    has(&tap, &["TARGET_SICK_LOGIN"]);
    lacks(&tap, &["DB_LOGIN"]);
    has(&target, &["PGPASSWORD"]);
    let none = PLUGINS.to_owned() + "    annotations: {chorus: {pass_env: []}}\n";
    let (tap, _) = run(&Project::with(&none, TARGETS, MORE));
    lacks(&tap, &["ANYTHING", "PGPASSWORD"]);
    let wrong = PLUGINS.to_owned() + "    annotations: {chorus: {pass_env: 5, pas_env: x}}\n";
    let refused = Project::with(&wrong, "", "").run(&["both"]).exits(78);
    assert!(refused.stderr.contains("at: plugins.extractors.tap-sick.annotations.chorus.pass_env"));
}

#[test]
fn ours_get_what_they_need_and_no_more() {
    let tap = "cat > /dev/null & wait_for() { while [ ! -e go ]; do sleep 0.01; done; }
[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
wait_for";
    let env = "    env: {OWN: 'x-${ANYTHING}'}\n";
    let loaders = format!("  - name: target-csv--own\n    inherit_from: target-csv\n{env}");
    let project = Project::with("  - {name: tap-sick, executable: ./sick}\n", &loaders, "");
    project.script("sick", tap);
    let needed = [
        "PATH",
        "HOME",
        "LC_ALL",
        "TZ",
        "https_proxy",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "LOGLEVEL",
        "TARGET_CSV_MAX_REJECTS",
    ];
    let others = ["PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "TOKEN", "ANYTHING", "TAP_SICK_PASSWORD"];
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv--own"];
    let mut run = project.chorus(&words).env("TOKEN", "t").env("TARGET_CSV_MAX_REJECTS", "1");
    for (name, value) in [("TZ", "UTC"), ("https_proxy", "http://p"), ("NO_PROXY", "x")] {
        run = run.env(name, value);
    }
    run = run.env("SSL_CERT_FILE", "/x").env("LOGLEVEL", "INFO");
    for name in others {
        run = run.env(name, "t0ken");
    }
    let running = run.start(true);
    let target = |name: &str| {
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        numbers.filter_map(|entry| fs::read_to_string(entry.path().join("environ")).ok()).find(
            |text| {
                text.contains("MELTANO_LOADER_NAME=target-csv--own")
                    && text.contains(&format!("MELTANO_PROJECT_ROOT={name}"))
            },
        )
    };
    let root = project.root.display().to_string();
    project.wait_for(&|| target(&root).is_some());
    let given = variables(&target(&root).unwrap());
    fs::write(project.root.join("go"), "").unwrap();
    running.wait();
    has(&given, &needed);
    has(&given, &["OWN", "MELTANO_LOAD_SOURCE", "DATESTAMP"]);
    lacks(&given, &others);
}

#[test]
fn ours_for_postgres_get_the_variables_that_they_read() {
    let source = database("pg_variables");
    source.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)");
    let project = Project::new("  - {name: tap-postgres, executable: tap-postgres}\n", &[]);
    let run = project.chorus(&["run", "--datestamp", DAY, "tap-postgres", "target-csv"]);
    run.env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster().port.to_string())
        .env("PGUSER", "postgres")
        .env("PGPASSWORD", PASSWORD)
        .env("PGDATABASE", &source.name)
        .env("PGSSLMODE", "require")
        .go()
        .success();
    assert_eq!(lake::data(&project.partition("csv", "public-t")), "id\n1\n");
}

#[test]
fn the_settings_of_each_plugin_lie_in_a_folder_of_its_own() {
    let tap = "ls -a \"$(dirname \"$2\")\" > seen; stat -c %a \"$2\" \"$(dirname \"$2\")\" >> seen
dirname \"$2\" > tap.folder; echo '{\"streams\":[]}'";
    let loaders = "  - {name: target-sick, executable: ./target}\n";
    let project = Project::with("  - {name: tap-sick, executable: ./sick}\n", loaders, "");
    project.script("sick", tap);
    project.script("target", "dirname \"$2\" > target.folder; cat > /dev/null");
    project.run(&["tap-sick", "target-sick"]);
    let read = |name: &str| fs::read_to_string(project.root.join(name)).unwrap();
    let seen = read("seen");
    assert!(seen.lines().all(|line| line != "target.json"), "{seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("config.json")).count(), 1, "{seen}");
    assert!(seen.ends_with("600\n700\n"), "{seen}");
    assert_ne!(read("tap.folder"), read("target.folder"));
    project.left_nothing();
    let work = fs::metadata(project.root.join(".chorus/work")).unwrap().permissions().mode();
    assert_eq!(work & 0o777, 0o700);
}
