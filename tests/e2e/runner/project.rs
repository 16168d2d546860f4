//! How the runner reports mistakes in `meltano.yml`.

use std::fs;

use serde_json::{Value, json};

use support::cluster::database;
use support::lake;
use support::project::{DAY, Project};
use support::run::{Outcome, file};

/// The number of the line that has a text.
fn line_of(project: &Project, name: &str, text: &str) -> String {
    let whole = fs::read_to_string(project.root.join(name)).unwrap();
    let at = whole.lines().position(|line| line.contains(text)).expect(text);
    format!("line: {}", at + 1)
}

#[track_caller]
fn says(outcome: &Outcome, words: &[&str]) {
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word} in {}", outcome.stderr);
    }
}

#[test]
fn values_of_a_wrong_kind_are_refused_with_their_place() {
    let check = |more: &str, jobs: &str, at: &str, line: &str| {
        let project = Project::with(more, "", jobs);
        let outcome = project.run(&["both"]).exits(78);
        let line = line_of(&project, "meltano.yml", line);
        says(&outcome, &[&format!("at: {at}\n"), &line, "wanted: ", "meltano.yml\n"]);
        project.published_nothing();
    };
    let at = "plugins.extractors.tap-x.config";
    check("  - name: tap-x\n    config: 5 # here\n", "", at, "# here");
    check("", "env: [a] # here\n", "env", "# here");
    let own = "schedules:\n- name: s\n  job: both\n  annotations: {chorus: {day_offset: x}}\n";
    check("", own, "schedules.s.annotations.chorus.day_offset", "day_offset");
    let own = own.replace("day_offset: x", "watch: 5");
    check("", &own, "schedules.s.annotations.chorus.watch", "watch");
    check("", "- {tasks: [a b]} # here\n", "jobs[1]", "# here");

    let twice = Project::with("  - {name: tap-csv}\n", "", "").run(&["both"]).exits(78);
    says(&twice, &["at: plugins.extractors\n", "name: tap-csv\n", "meltano.yml\n"]);
    let key = Project::with("", "", "- {name: a, name: b}\n").run(&["both"]).exits(78);
    says(&key, &["the key `name` is there twice", "line: ", "column: "]);
    assert!(!key.stderr.contains("Policy"), "{}", key.stderr);
    let empty = Project::with("", "", "- {name: none, tasks: []}\n").run(&["none"]).exits(78);
    says(&empty, &["job without tasks", "job: none"]);
}

#[test]
fn what_has_no_effect_is_told_with_its_line_once() {
    let schedule = "
- {name: tap-csv, tasks: tap-csv--two target-csv--two}
schedules:
- {name: s, job: both, annotations: {chorus: {day_ofset: 1}, other: {x: 1}}}
";
    let project = Project::with("  - {name: tap-x, confg: {a: 1}}\n", "", schedule);
    // The job is what runs: it has a task of its own.
    let words = ["backfill", "tap-csv", "--from", "2026-01-30", "--to", "2026-01-31"];
    let outcome = project.chorus(&words).go().success();
    let told = [
        "unknown key `confg` of plugins.extractors.tap-x",
        "did you mean `config`?",
        "unknown key `day_ofset` of schedules.s.annotations.chorus",
        "did you mean `day_offset`?",
        "tap-csv is the name of a job and of a plugin: the job runs",
    ];
    for words in told {
        assert_eq!(outcome.stderr.matches(words).count(), 1, "{words}: {}", outcome.stderr);
    }
    let line = line_of(&project, "meltano.yml", "day_ofset").replace("line:", "(meltano.yml, line");
    says(&outcome, &[&line]);
    assert!(!outcome.stderr.contains("`x`"), "{}", outcome.stderr);
    assert!(project.partition("two", "b").exists() && !project.partition("csv", "a").exists());
}

#[test]
fn variables_reach_settings_that_the_project_does_not_declare() {
    let database = database("undeclared");
    database.psql("CREATE TABLE t AS SELECT generate_series(1, 3) AS id");
    let more = "  - {name: tap-postgres, executable: tap-postgres}
  - {name: tap-sick, executable: ./sick}
";
    let project = Project::new(more, &[("sick", "echo asked >> asked; echo '{\"streams\": []}'")]);
    let chorus = |words: &[&str]| {
        let mut run = project.chorus(words).env("DATESTAMP", DAY);
        for (name, value) in database.settings().as_object().unwrap() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            run = run.env(&format!("TAP_POSTGRES_{}", name.to_uppercase()), text);
        }
        run
    };
    // It has `settings` for none of these: it is asked.
    let outcome = chorus(&["run", "tap-postgres", "target-csv"])
        .env("TAP_POSTGRES_PASWORD", "s3cret")
        .env("TAP_POSTGRES_LOGLEVEL", "WARNING")
        .go()
        .success();
    assert_eq!(lake::data(&project.partition("csv", "public-t")), "id\n1\n2\n3\n");
    says(&outcome, &["TAP_POSTGRES_PASWORD is set, but tap-postgres has no such setting"]);
    says(&outcome, &["did you mean TAP_POSTGRES_PASSWORD?"]);
    assert!(!outcome.stderr.contains("s3cret"), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("is set, but").count(), 1, "{}", outcome.stderr);

    // Rows are counted whatever the level of the log is.
    let quiet = chorus(&["run", "tap-postgres", "target-csv", "--full-refresh", "--json"])
        .env("LOGLEVEL", "ERROR")
        .go()
        .success();
    let record: Value = serde_json::from_str(&quiet.text()).unwrap();
    assert_eq!(record["steps"][0]["streams"][0]["rows"], 3, "{record}");

    // A plan lists what the settings leave in, also where the catalog selects more.
    database.psql("CREATE TABLE other (id integer)");
    let path = project.root.join("meltano.yml");
    let whole = fs::read_to_string(&path).unwrap();
    for select in ["", ", select: ['*.*']"] {
        let entry = "{name: tap-postgres, executable: tap-postgres";
        fs::write(&path, whole.replace(entry, &format!("{entry}{select}"))).unwrap();
        let words = ["plan", "tap-postgres", "target-csv", "--json"];
        let plan = chorus(&words).env("TAP_POSTGRES_TABLES", "public.t").go().success().text();
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let streams = plan["steps"][0]["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 1, "{plan}");
        assert_eq!(streams[0]["stream"], "public-t", "{plan}");
    }
    fs::write(&path, whole).unwrap();
    database.psql("DROP TABLE other");

    // What the source thinks of its rows is told, once it thinks something.
    for (analyse, rows) in [("SELECT", json!(null)), ("ANALYZE t", json!(3))] {
        database.psql(analyse);
        let plan = chorus(&["plan", "tap-postgres", "target-csv", "--json"]).go().success().text();
        let plan: Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(plan["steps"][0]["streams"][0]["rows"], rows, "{plan}");
    }

    // Others are not asked.
    let plan = chorus(&["plan", "tap-sick", "target-csv"]).env("TAP_SICK_PASSWORD", "x").go();
    says(&plan.success(), &["TAP_SICK_PASSWORD is set", "add {name: password} to its `settings`"]);
    let asked = fs::read_to_string(project.root.join("asked")).unwrap();
    assert_eq!(asked, "asked\n");
}

#[test]
fn a_tap_starts_from_the_state_that_the_project_names() {
    let project = Project::new("  - {name: tap-x, inherit_from: tap-csv, state: none.json}\n", &[]);
    let words = ["run", "--datestamp", DAY, "tap-x", "target-csv", "--json"];
    let rows = || {
        let record = project.chorus(&words).go().success().text();
        let record: Value = serde_json::from_str(&record).unwrap();
        record["steps"][0]["streams"][0]["rows"].clone()
    };
    let missing = project.chorus(&words).go().exits(66);
    says(&missing, &["none.json\n", "hint: correct `state` of the tap"]);
    file(&project.root, "none.json", "");
    // The file is there unchanged, but no state of it is taken.
    assert_eq!((rows(), rows()), (json!(2), json!(2)));
    let state = fs::read_dir(project.root.join(".chorus/state")).unwrap().next().unwrap().unwrap();
    let state: Value = serde_json::from_slice(&fs::read(state.path()).unwrap()).unwrap();
    file(&project.root, "none.json", state["singer_state"].to_string());
    assert_eq!(rows(), json!(0));
    file(&project.root, "none.json", "[]");
    project.chorus(&words).go().exits(78);
}

#[test]
fn settings_reach_a_plugin_as_the_project_means_them() {
    let tap = "  - name: tap-x
    executable: ./tap
    settings:
    - {name: flag, kind: boolean}
    - {name: port, kind: integer}
    - {name: share, kind: decimal}
    - {name: list, kind: array}
    - {name: deep.map, kind: object}
    - {name: headers, kind: object, value: {}}
    - {name: level, kind: boolean}
    - {name: text}
    config:
      flag: '${FLAG}'
      port: $PORT
      share: '${SHARE}'
      list: '${LIST}'
      deep: {map: '${MAP}'}
      level: '${EMPTY}'
      text: '${PORT}'
      one: '${NOT_SET}'
      two: ['${NOT_SET}']
      three: '${NOT_SET}'
      headers: {X.Y: z, 'V\\.W': v}
      params: {filter.status: open, page.size: 5}
      flat.name: 1
";
    let project = Project::with(tap, "", "");
    project.script("tap", "cp $2 given.json; echo '{\"streams\":[]}'");
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let over = "- name: dev\n  config: {plugins: {extractors: [{name: tap-x, config: \
                {params: {filter.status: closed}}}]}}\n";
    file(&project.root, "meltano.yml", text.replace("- name: dev\n", over));
    let given = |list: &str, flag: &str| {
        let variables = "PORT=5432\nSHARE=0.5\nMAP='{\"a.b\": 1}'\nEMPTY=\nSOURCE=csv\n";
        file(&project.root, ".env", format!("{variables}LIST='{list}'\nFLAG={flag}\n"));
        let outcome = project.run(&["tap-x", "target-csv"]);
        let config = fs::read(project.root.join("given.json")).unwrap();
        (outcome, serde_json::from_slice::<Value>(&config).unwrap())
    };
    let (outcome, config) = given("[\"a\"]", "false");
    let expected = json!({
        "flag": false, "port": 5432, "share": 0.5, "list": ["a"], "deep": {"map": {"a.b": 1}},
        "text": "5432", "two": [""], "headers": {"X": {"Y": "z"}, "V.W": "v"},
        "params": {"filter": {"status": "closed"}, "page": {"size": 5}}, "flat": {"name": 1},
    });
    assert_eq!(config, expected, "{}", outcome.stderr);
    // As for Meltano, a text that is no list.
    let refused = given("a,b", "false").0.exits(78);
    says(&refused, &["cannot read a value as the type of its setting", "setting: list", "array"]);
    let refused = given("[]", "s3cret").0.exits(78);
    says(&refused, &["cannot read a value as the type of its setting", "setting: flag", "boolean"]);
    assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
}

#[test]
fn a_setting_of_a_wrong_kind_is_refused_with_its_line() {
    let tap = |config: &str, of_parent: &str| {
        format!(
            "  - name: tap-parent
    executable: ./tap
    settings: [{{name: port, kind: integer}}, {{name: deep.flag, kind: boolean}}]
    config:
      x: y
{of_parent}
  - name: tap-x
    inherit_from: tap-parent
    config:
      y: z
{config}
"
        )
    };
    let over = |config: &str| {
        let plugin = format!("extractors:\n      - name: tap-x\n        config:\n{config}");
        format!("- name: dev\n  config:\n    plugins:\n      {plugin}\n")
    };
    let check = |taps: String, of_environment: &str, wrong: &str| {
        let project = Project::with(&taps, "", "");
        project.script("tap", "echo '{\"streams\":[]}'");
        let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
        let text = text.replace("- name: dev\n", of_environment);
        let line = text.lines().position(|line| line.contains(wrong)).unwrap() + 1;
        file(&project.root, "meltano.yml", text);
        let refused = project.run(&["tap-x", "target-csv"]).exits(78);
        says(&refused, &["setting: ", "plugin: tap-x", "meltano.yml\n"]);
        says(&refused, &[&format!("line: {line}\n")]);
    };
    let dev = "- name: dev\n";
    let long = "spelled: 0.12345678901234567890";
    for wrong in ["port: many", "deep: {flag: perhaps}", "deep.flag: perhaps", long] {
        let of_own = format!("      {wrong}");
        check(tap(&of_own, ""), dev, wrong);
        check(tap("", &of_own), dev, wrong);
        // What the environment says is nearer.
        check(tap("", "      port: 5432"), &over(&format!("          {wrong}")), wrong);
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_told_and_an_exclusion_ends_the_run() {
    let tap = |rules: &str| {
        Project::with(
            &format!("  - {{name: tap-x, inherit_from: tap-csv--two, {rules}}}\n"),
            "",
            "",
        )
    };
    let run = |rules: &str| {
        let project = tap(rules);
        let outcome = project.run(&["tap-x", "target-csv"]);
        (project, outcome)
    };
    for (rules, hint) in [
        ("select: ['*.*', '!b.secrt']", "hint: did you mean `!b.secret`?"),
        ("select: ['!b.secrt']", "hint: did you mean `!b.secret`?"),
        ("select: ['*.*', '!orders']", "hint: the tap has: b"),
        ("metadata: {b.secrt: {selected: false}}", "hint: did you mean `b.secret`?"),
    ] {
        let (project, outcome) = run(rules);
        let outcome = outcome.exits(78);
        says(
            &outcome,
            &["cannot leave out a stream or column that does not exist", "plugin: tap-x", hint],
        );
        project.published_nothing();
        let plan = project.chorus(&["plan", "--datestamp", DAY, "tap-x", "target-csv"]).go();
        assert!(
            plan.text().contains("cannot leave out a stream or column that does not exist"),
            "{}",
            plan.text()
        );
    }
    let (project, outcome) = run("select_filter: '!orders'");
    says(&outcome.exits(78), &["cannot leave out", "rule: select_filter", "the tap has: b"]);
    project.published_nothing();
    for rules in ["select: ['*.*'], select_filter: [b]", "select_filter: []"] {
        run(rules).1.success();
    }
    // A run that reads nothing would look like one of a source without new rows.
    for (rules, hint) in [("select: [bb.*]", "did you mean `b.*`?"), ("select: ['!b']", "\"*.*\"")]
    {
        let (project, outcome) = run(rules);
        says(&outcome.exits(78), &["`select` matches no stream", hint, "plugin: tap-x"]);
        project.published_nothing();
        let doctor = project.chorus(&["doctor", "tap-x", "target-csv"]).go().exits(78);
        assert!(doctor.text().contains(hint), "{}", doctor.text());
    }
    let (project, _) = run("select: [b.*, orders.*]");
    let doctor = project.chorus(&["doctor", "tap-x", "target-csv"]).go().success().text();
    assert!(doctor.contains("note  tap-x: `orders.*` of `select` matches nothing"), "{doctor}");
    for (rules, told) in [
        ("select: [b.*, orders.*]", "`orders.*` of `select` matches nothing: the tap has: b"),
        ("metadata: {c: {replication-method: FULL_TABLE}}", "`c` of `metadata` matches nothing"),
        ("schema: {b: {secrt: {format: date}}}", "did you mean `b.secret`?"),
    ] {
        let (project, outcome) = run(rules);
        let outcome = outcome.success();
        let line = outcome.stderr.lines().find(|line| line.contains(told)).expect(told);
        assert!(line.contains("W-SELECT-NOTHING: tap-x: "), "{line}");
        assert!(project.partition("csv", "b").exists());
    }
}

#[test]
fn days_are_not_filled_with_a_step_that_is_the_same_each_day() {
    let loaders = "  - {name: target-plain, executable: target-csv, config: {output_path: plain}}
  - name: target-by-env
    inherit_from: target-plain
    env: {DAY_OF_RUN: '${EXTRACTED_AT}'}
";
    let jobs = "- {name: mixed, tasks: [tap-csv target-csv, tap-csv--two target-plain]}\n";
    let project = Project::with("", loaders, jobs);
    let fill = |words: &[&str], from: &str| {
        let days = ["--from", from, "--to", "2026-01-31"];
        project.chorus(&["backfill"]).args(words).args(days).go()
    };
    for (words, from) in [
        (&["tap-csv", "target-plain"][..], "2026-01-30"),
        (&["tap-csv--two", "target-plain"], "2026-01-31"),
        (&["mixed"], "2026-01-30"),
    ] {
        let outcome = fill(words, from).exits(78);
        says(&outcome, &["a step that has no day", "plugin: tap-csv", "plugin: target-plain"]);
        says(&outcome, &["put \"${DATESTAMP}\" into the settings"]);
        assert!(
            !project.root.join("plain").exists() && !project.lake().join("source=csv").exists()
        );
    }
    fill(&["tap-csv", "target-by-env"], "2026-01-31").success();
    fill(&["both"], "2026-01-30").success();
}

#[test]
fn numbers_are_what_their_settings_want() {
    let more = "  - name: tap-num
    executable: ./num
    env: {ZIP: 04109}
    settings: [{name: zip, kind: string}, {name: pin, kind: password}, {name: port, kind: integer}]
    config: {zip: 04109, pin: 123456789012345678901234567890, port: 5432, flag: True, rate: 1.50}
";
    let project = Project::new(more, &[("num", "cat \"$2\" > given; echo \"$ZIP\" >> given")]);
    let run = || project.run(&["tap-num", "target-csv"]);
    run();
    let given = fs::read_to_string(project.root.join("given")).unwrap();
    let (config, zip) = given.trim_end().rsplit_once('}').unwrap();
    let config: Value = serde_json::from_str(&format!("{config}}}")).unwrap();
    let pin = "123456789012345678901234567890";
    let expected = json!({"zip": "04109", "pin": pin, "port": 5432, "flag": true, "rate": 1.5});
    assert_eq!((config, zip.trim()), (expected, "04109"));
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let long = "0.12345678901234567890";
    for (other, setting) in
        [(format!("port: {long}"), "port"), (format!("port: {{a: [{long}]}}"), "port.a")]
    {
        file(&project.root, "meltano.yml", text.replace("port: 5432", &other));
        let refused = run().exits(78);
        says(&refused, &[&format!("setting: {setting}"), "plugin: tap-num", "quotes"]);
    }
    // Ours say themselves what a setting is.
    let more = "  - {name: tap-own, executable: tap-csv, config: {csv_files_definition: 007}}\n";
    let refused = Project::with(more, "", "").run(&["tap-own", "target-csv"]).exits(78);
    says(&refused, &["path: 007\n"]);
}

#[test]
fn a_job_may_have_spaces_in_its_name() {
    let jobs = "- {name: a, tasks: [tap-csv--two target-csv--two]}
- {name: a é, tasks: [tap-csv target-csv]}
- {name: é, tasks: [tap-csv--two target-csv--two]}
";
    let project = Project::with("", "", jobs);
    project.run(&["a é"]).success();
    let words = ["rerun", "last", "--full-refresh", "--deny-warnings", "all"];
    project.chorus(&words).go().success();
    assert!(project.partition("csv", "a").exists() && !project.partition("two", "b").exists());
}
