//! Files on an SFTP server, as rows: which are found, how they are read, what is remembered.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use support::cluster::database;
use support::pipes::{DAY, load, to_lake};
use support::run::{Outcome, Run, ours, pipe, pipe_succeeds};
use support::sshd::{Rclone, Sshd, age, login, set_time};
use support::{folder, invariants, lake};

/// A tap on one table `t`, without the columns that tell where a row comes from.
fn tap(server: &Sshd, entry: &Value) -> Run {
    let mut entry = entry.clone();
    entry["table_name"] = "t".into();
    let mut settings = server.settings(&json!([entry]));
    settings["add_metadata_columns"] = json!(false);
    ours("tap-sftp").config(&settings)
}

fn at(path: &str) -> Value {
    json!({ "remote_path": path })
}

/// The values of a column, in order.
fn column(outcome: &Outcome, name: &str) -> Vec<Value> {
    outcome.records("t").iter().map(|record| record[name].clone()).collect()
}

fn state(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"].take()
}

/// Runs a program in the folder of the files.
fn shell(server: &Sshd, script: &str) {
    let run = Run::new(Path::new("/bin/sh")).args(["-ec", &format!("cd \"$1\"; {script}"), "sh"]);
    run.args([server.root.join("in")]).go().success();
}

#[test]
fn files_of_one_table_are_joined_by_name() {
    let server = Sshd::start();
    server.put("/in/1.csv", "id,name\n1,a\n");
    server.put("/in/sub/2.csv", "name,id\nb,2\n");
    server.put("/in/sub/deep/3.csv", "id,more\n3,true\n");
    server.put("/in/notes.txt", "not a table");
    let outcome = tap(&server, &at("/in")).go().success();
    let wanted = json!([
        { "id": 1, "name": "a", "more": null },
        { "id": 2, "name": "b", "more": null },
        { "id": 3, "name": null, "more": true },
    ]);
    assert_eq!(Value::from(outcome.records("t")), wanted);
    let finds = |entry: &Value| column(&tap(&server, entry).go().success(), "id");
    assert_eq!(finds(&at("/in/1.csv")), [1]);
    assert_eq!(finds(&at("in/1.csv")), [1]);
    assert_eq!(finds(&at("/in/*.csv")), [1]);
    assert_eq!(finds(&at("/in/**/*.csv")), [1, 2, 3]);
    assert_eq!(finds(&at("/in/{1,sub/2}.csv")), [1, 2]);
    assert_eq!(finds(&at("in/s?b/[0-9].csv")), [2]);
    assert_eq!(finds(&json!({ "search_prefix": "/in", "search_pattern": "/[12]\\.csv$" })), [1, 2]);
    assert_eq!(finds(&json!({ "search_prefix": "in/sub", "search_pattern": "csv" })), [2, 3]);
    assert_eq!(finds(&json!({ "search_pattern": "^in/sub/2" })), [2]);
    // Paths as other programs write them.
    assert_eq!(finds(&at("//in//sub///2.csv")), [2]);
    assert_eq!(finds(&json!({ "search_pattern": "^\\./in/sub/2" })), [2]);
    assert_eq!(finds(&json!({ "search_prefix": "/in/", "search_pattern": "^/in//sub/2" })), [2]);
    assert_eq!(finds(&json!({ "search_prefix": "/in//", "search_pattern": "^/in/[12]" })), [1]);
    let mut settings = server.settings(&json!([{ "table_name": "t", "remote_path": "sub" }]));
    settings["user_dir"] = json!("/in");
    let outcome = ours("tap-sftp").config(&settings).go().success();
    assert_eq!(column(&outcome, "_sdc_source_file"), ["/in/sub/2.csv", "/in/sub/deep/3.csv"]);
}

#[test]
fn settings_of_the_plugins_before_it_are_taken() {
    let server = Sshd::start();
    server.put("/in/a.csv", "id;at;n\n1;2026-01-02 03:04:05;x;more;\"and \"\"more\"\"\"\n2;;\n");
    let tables = json!([{
        "table_name": "t", "search_prefix": "/in", "search_pattern": "a\\.csv$", "delimiter": ";",
        "key_properties": ["id"], "date_overrides": ["at"],
    }]);
    let mut settings = server.settings(&json!(tables.to_string()));
    settings["start_date"] = json!("2020-01-01");
    let outcome = ours("tap-sftp").config(&settings).go().success();
    let wanted = json!([
        { "id": 1, "at": "2026-01-02 03:04:05", "n": "x", "_sdc_source_file": "/in/a.csv",
          "_sdc_source_lineno": 2, "_sdc_extra": ["more", "and \"more\""] },
        { "id": 2, "at": null, "n": null, "_sdc_source_file": "/in/a.csv",
          "_sdc_source_lineno": 3, "_sdc_extra": null },
    ]);
    assert_eq!(Value::from(outcome.records("t")), wanted);
    let messages = outcome.messages();
    let schema = messages.iter().find(|message| message["type"] == "SCHEMA").unwrap();
    assert_eq!(schema["key_properties"], json!(["id"]));
    assert_eq!(schema["schema"]["properties"]["at"]["format"], "date-time");
    settings["start_date"] = json!("2999-01-01");
    settings["warning_if_no_files"] = json!(true);
    let outcome = ours("tap-sftp").config(&settings).go().success();
    assert_eq!(outcome.records("t").len(), 0);
    // That nothing is new is no news.
    assert!(!outcome.stderr.contains("W-"), "{}", outcome.stderr);
}

#[test]
fn formats_and_compressions_are_told_by_their_endings() {
    let server = Sshd::start();
    server.put("/in/a.csv", "id,v\n1,x\n");
    server.put("/in/b.tsv", "id\tv\n2\tx\n");
    server.put("/in/c.psv", "id|v\n3|x\n");
    server.put("/in/z/more.csv", "id,v\n6,x\n");
    server.put("/in/z/more.tsv", "id\tv\n7\tx\n");
    server.put("/in/z/README", "of no use here");
    shell(
        &server,
        "sed s/1/4/ a.csv | gzip > d.csv.gz; sed s/2/5/ b.tsv | zstd -q > e.tsv.zst
         cd z; zip -q -r ../f.zip .; cd ..; rm -r z; touch -d '3 days ago' *",
    );
    let outcome = tap(&server, &at("/in")).go().success();
    assert_eq!(column(&outcome, "id"), [1, 2, 3, 4, 5, 6, 7]);
    let seen = state(&outcome)["bookmarks"]["t"]["files"].clone();
    assert!(seen["/in/f.zip/more.tsv"].is_object(), "{seen}");
    // One rule for all beats the endings.
    let entry = json!({ "remote_path": "/in/a.csv", "format": "tsv" });
    assert_eq!(column(&tap(&server, &entry).go().success(), "id,v"), ["1,x"]);
    server.put("/in/g.dat", "id\tv\n8\tx\n");
    let entry = json!({ "remote_path": "/in/g.dat", "delimiter": "\\t" });
    assert_eq!(column(&tap(&server, &entry).go().success(), "id"), [8]);
}

#[test]
fn json_is_read_in_each_of_its_forms() {
    let server = Sshd::start();
    let array = r#"[{"id": 1, "price": 1.50, "tags": ["a", {"b": null}]},
                    {"id": 12345678901234567890, "at": "2026-01-02T03:04:05Z", "price": null}]"#;
    server.put("/in/a.json", array);
    server.put("/in/b.json", "{\n  \"id\": 2,\n  \"more\": {\"x\": 1}\n}\n");
    server.put("/in/c.json", "{\"id\":3}\n\n{\"id\":4,\"tags\":[]}\n");
    server.put("/in/d.jsonl", "{\"id\":5}\r\n{\"id\":6}");
    shell(&server, "gzip -c d.jsonl > e.ndjson.gz; zip -q f.zip a.json; touch -d '3 days ago' *");
    let outcome = tap(&server, &at("/in")).go().success();
    let text = outcome.text();
    let line = r#""record":{"id":1,"price":1.50,"tags":["a",{"b":null}]"#;
    assert!(text.contains(line) && text.contains("\"id\":12345678901234567890,"), "{text}");
    let big = json!(12_345_678_901_234_567_890_u64);
    let ids = [json!(1), big.clone(), json!(2), json!(3), json!(4), json!(5), json!(6)];
    let more = [json!(5), json!(6), json!(1), big];
    assert_eq!(column(&outcome, "id"), [&ids[..], &more].concat());
    let messages = outcome.messages();
    let schema = messages.iter().find(|message| message["type"] == "SCHEMA").unwrap();
    let properties = &schema["schema"]["properties"];
    assert_eq!(properties["at"]["format"], "date-time", "{properties}");
    assert_eq!(properties["id"]["type"], json!(["number", "null"]));
    assert_eq!(properties["more"]["type"], json!(["object", "null"]));

    let tables = json!([{ "table_name": "t", "remote_path": "/in/c.json" }]);
    let outcome = ours("tap-sftp").config(&server.settings(&tables)).go().success();
    let wanted = json!([
        { "id": 3, "_sdc_source_file": "/in/c.json", "_sdc_source_lineno": 1 },
        { "id": 4, "tags": [], "_sdc_source_file": "/in/c.json", "_sdc_source_lineno": 3 },
    ]);
    assert_eq!(Value::from(outcome.records("t")), wanted);
    let entry = |kind: &str| json!({ "remote_path": "/in/d.jsonl", "types": { "id": kind } });
    let text = tap(&server, &entry("string")).go().success();
    assert_eq!(column(&text, "id"), ["5", "6"]);
    let refused = tap(&server, &entry("date")).go().exits(65);
    assert!(refused.stderr.contains("column: id"), "{}", refused.stderr);
}

#[test]
fn json_that_is_broken_is_refused_with_its_line() {
    let server = Sshd::start();
    for (name, text, code, words) in [
        ("cut.json", "[{\"id\":1},\n{\"id\":", 65, "line: 2"),
        ("behind.json", "[{\"id\":1}]\n[]", 65, "line: 2"),
        ("line.jsonl", "{\"id\":1}\n{\"id\":\n{\"id\":3}\n", 65, "line: 2"),
        ("scalar.json", "[{\"id\":1},\n 7]", 65, "line: 2"),
        ("empty.json", "", 65, "allow_empty_files"),
        ("own.json", "[{\"_sdc_source_file\":1}]", 65, "_sdc_source_file"),
    ] {
        server.put(&format!("/in/{name}"), text);
        let path = format!("/in/{name}");
        let tables = json!([{ "table_name": "t", "remote_path": path }]);
        let outcome = ours("tap-sftp").config(&server.settings(&tables)).go();
        assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
        // A column that is one of the tap's own is a matter of all files.
        let place = if name == "own.json" { "add_metadata_columns" } else { "/in/" };
        for word in [words, place] {
            let told = outcome.stderr.contains(word);
            assert!(told, "{name}: no {word:?} in {}", outcome.stderr);
        }
    }
    let entry = json!({ "remote_path": "/in/line.jsonl" });
    let outcome = tap(&server, &entry).set("max_rejects", 1).go().success();
    assert_eq!(column(&outcome, "id"), [1, 3]);
    server.put("/in/more.csv", "id\n1\n");
    let mixed = tap(&server, &at("/in/{line.jsonl,more.csv}")).set("max_rejects", 1);
    assert_eq!(column(&mixed.go().success(), "id"), [1, 3, 1]);
}

#[test]
fn another_server_gives_the_same_rows() {
    let server = Sshd::start();
    server.put("/in/1.csv", format!("id,text\n{}", "1,some text\n".repeat(100_000)));
    server.put("/in/sub/2.tsv", "text\tid\nx\t2\n");
    shell(&server, "zip -q -r 3.zip sub; touch -d '3 days ago' 3.zip");
    let whole = tap(&server, &at("/in")).go().success();
    let other = Rclone::start(&server.root);
    let mut settings = server.settings(&json!([{ "table_name": "t", "remote_path": "/in" }]));
    settings["add_metadata_columns"] = json!(false);
    settings["port"] = json!(other.port);
    settings["host_key_fingerprint"] = json!(login().fingerprint("host_ed25519"));
    let outcome = ours("tap-sftp").config(&settings).go().success();
    assert_eq!(outcome.records("t").len(), 100_002);
    assert!(outcome.records("t") == whole.records("t"));
    let files = |outcome: &Outcome| -> Vec<String> {
        let files = state(outcome)["bookmarks"]["t"]["files"].clone();
        files.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(files(&outcome), files(&whole));
}

#[test]
fn archives_that_are_broken_or_bent_are_refused() {
    let server = Sshd::start();
    server.put("/in/a.csv", format!("id,v\n{}", "1,some text\n".repeat(5000)));
    shell(
        &server,
        "zip -q ok.zip a.csv; head -c 100 ok.zip > cut.zip; cp a.csv not.zip; cp a.csv not.csv.gz
         gzip -c a.csv | head -c 99 > cut.csv.gz; gzip -c /dev/null > empty.csv.gz
         zip -q -P secret locked.zip a.csv
         python3 -c 'b = bytearray(open(\"ok.zip\", \"rb\").read()); b[80] ^= 9
open(\"bent.zip\", \"wb\").write(b)'
         head -c 200000000 /dev/zero | tr '\\0' 'x' > x.csv; zip -q bomb.zip x.csv; rm x.csv",
    );
    assert_eq!(tap(&server, &at("/in/ok.zip")).go().success().records("t").len(), 5000);
    for name in
        ["cut.zip", "not.zip", "not.csv.gz", "cut.csv.gz", "locked.zip", "bent.zip", "bomb.zip"]
    {
        let outcome = tap(&server, &at(&format!("/in/{name}"))).set("stability_seconds", 0).go();
        invariants::fails(&outcome, &[65]);
        assert!(outcome.stderr.contains(name), "{name}: {}", outcome.stderr);
    }
    server.put("/in/zero.csv", "");
    for name in ["empty.csv.gz", "zero.csv"] {
        let empty = |allowed| {
            let path = format!("/in/{{{name},a.csv}}");
            let entry = json!({ "remote_path": path, "allow_empty_files": allowed });
            tap(&server, &entry).set("stability_seconds", 0).go()
        };
        assert!(empty(false).exits(65).stderr.contains("allow_empty_files"), "{name}");
        let outcome = empty(true).success();
        assert!(outcome.stderr.contains(&format!("/in/{name} is empty")), "{}", outcome.stderr);
        assert_eq!(outcome.records("t").len(), 5000);
        assert!(state(&outcome)["bookmarks"]["t"]["files"][format!("/in/{name}")].is_object());
    }
}

#[test]
fn members_of_archives_lead_nowhere_else() {
    let server = Sshd::start();
    shell(
        &server,
        "python3 -c '
import zipfile
z = zipfile.ZipFile(\"odd.zip\", \"w\")
for name in [\"../up.csv\", \"/abs.csv\", \"sub/../x.csv\", \"new\\nline.csv\", \".hid.csv\",
             \"ok/a.csv\"]:
    z.writestr(name, \"id\\n1\\n\")
z.close()'; touch -d '3 days ago' *",
    );
    let outcome = tap(&server, &at("/in/odd.zip")).go().success();
    let seen = state(&outcome)["bookmarks"]["t"]["files"].clone();
    assert_eq!(seen.as_object().unwrap().keys().collect::<Vec<_>>(), ["/in/odd.zip/ok/a.csv"]);
    assert!(outcome.stderr.contains("../up.csv"), "{}", outcome.stderr);
}

#[test]
fn only_what_is_new_is_read_whatever_the_clocks_say() {
    let server = Sshd::start();
    let one = server.put("/in/1.csv", "id\n1\n");
    let run = |state: &Value| tap(&server, &at("/in")).json("--state", state).go().success();
    let first = tap(&server, &at("/in")).go().success();
    assert_eq!(column(&first, "id"), [1]);
    let known = state(&first);
    assert_eq!(run(&known).records("t").len(), 0);
    // In the same second as the last one, and long before it.
    let two = server.put("/in/2.csv", "id\n2\n");
    set_time(&two, std::fs::metadata(&one).unwrap().modified().unwrap());
    age(&server.put("/in/3.csv", "id\n3\n"), Duration::from_hours(250));
    let second = run(&known);
    assert_eq!(column(&second, "id"), [2, 3]);
    let known = state(&second);
    assert_eq!(run(&known).records("t").len(), 0);
    // A file that is replaced by an older one of the same size.
    age(&server.put("/in/1.csv", "id\n9\n"), Duration::from_hours(250));
    assert_eq!(column(&run(&known), "id"), [9]);
    std::fs::remove_file(&two).unwrap();
    let last = run(&known);
    assert!(state(&last)["bookmarks"]["t"]["files"]["/in/2.csv"].is_null());
}

#[test]
fn a_table_that_is_to_be_whole_is_not_read_without_a_file_that_is_being_written() {
    let (server, scratch) = (Sshd::start(), folder());
    server.put("/in/a.csv", "id\n1\n");
    let changing = server.put("/in/b.csv", "id\n2\n");
    let tap = |path: &str| {
        tap(&server, &at(path)).set("whole_tables", true).set("stability_seconds", 1800)
    };
    let extract = |tap: Run| pipe(tap, to_lake(scratch.path(), "files", DAY));
    let data = || lake::data(&lake::partition(scratch.path(), "files", DAY, "t"));
    let (_, first) = extract(tap("/in"));
    let known: Value =
        serde_json::from_str(first.success().text().lines().last().unwrap()).unwrap();
    let catalog = tap("/in").args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
    catalog["streams"][0]["metadata"][0]["metadata"]["selected"] = true.into();

    server.fresh("/in/b.csv", "id\n2\n3\n");
    server.fresh("/in/c/new.csv", "id\n4\n");
    for (run, path) in [
        (tap("/in"), "/in/b.csv"),
        (tap("/in").json("--state", &known), "/in/b.csv"),
        (tap("/in").json("--state", &known).json("--catalog", &catalog), "/in/b.csv"),
        (tap("/in/{a,c/new}.csv"), "/in/c/new.csv"),
        (tap("/in/c"), "/in/c/new.csv"),
    ] {
        let (tap, _) = extract(run);
        let tap = tap.exits(75);
        let told =
            format!("while one of its files is being written\n  table_name: t\n  path: {path}\n");
        assert!(tap.stderr.contains(&told), "{}", tap.stderr);
        assert_eq!(data(), "id\n1\n2\n");
    }
    age(&changing, Duration::from_hours(1));
    age(&server.root.join("in/c/new.csv"), Duration::from_hours(1));
    let (_, last) = extract(tap("/in").json("--state", &known));
    last.success();
    assert_eq!(data(), "id\n1\n2\n3\n4\n");
}

#[test]
fn a_file_of_this_very_second_is_known_by_its_sum() {
    let server = Sshd::start();
    let run = |state: &Value| {
        let run = tap(&server, &at("/in")).set("stability_seconds", 0);
        run.json("--state", state).go().success()
    };
    let path = server.fresh("/in/a.csv", "id\n1\n");
    // The server's clock is ahead: however slow this machine is, the file is of now.
    let time = SystemTime::now() + Duration::from_hours(1);
    set_time(&path, time);
    let first = run(&json!({}));
    let known = state(&first);
    let entry = &known["bookmarks"]["t"]["files"]["/in/a.csv"];
    assert_eq!(entry["recent"], true, "{entry}");
    assert!(entry["sha256"].is_string(), "{entry}");
    assert_eq!(run(&known).records("t").len(), 0);
    server.fresh("/in/a.csv", "id\n2\n");
    set_time(&path, time);
    assert_eq!(column(&run(&known), "id"), [2]);
}

#[test]
fn the_state_of_the_plugins_before_it_is_read() {
    let server = Sshd::start();
    age(&server.put("/in/old.csv", "id\n1\n"), Duration::from_hours(2));
    let at_mark = server.put("/in/mark.csv", "id\n2\n");
    let mark = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    set_time(&at_mark, mark);
    set_time(&server.root.join("in/old.csv"), mark - Duration::from_secs(5));
    server.put("/in/new.csv", "id\n3\n");
    let known = json!({ "bookmarks": { "t": { "modified_since": "2023-11-14T22:13:20+00:00" } } });
    let outcome = tap(&server, &at("/in")).json("--state", &known).go().success();
    assert_eq!(column(&outcome, "id"), [3]);
    let known = state(&outcome);
    let again = tap(&server, &at("/in")).json("--state", &known).go().success();
    assert_eq!(again.records("t").len(), 0);
    let bad = json!({ "bookmarks": { "t": { "modified_since": "yesterday" } } });
    let outcome = tap(&server, &at("/in")).json("--state", &bad).go().exits(78);
    assert!(outcome.stderr.contains("modified_since"), "{}", outcome.stderr);
}

#[test]
fn names_that_could_be_more_than_names_are_passed_over_and_told() {
    let server = Sshd::start();
    server.put("/in/ok.csv", "id\n1\n");
    for name in ["new\nline.csv", "\u{1b}[31mred.csv"] {
        server.put(&format!("/in/{name}"), "id\n2\n");
    }
    let latin = std::ffi::OsStr::from_bytes(b"caf\xe9.csv");
    std::fs::write(server.root.join("in").join(latin), "id\n3\n").unwrap();
    server.put("/in/sub\\..\\odd.csv", "id\n4\n");
    server.put("/in/${HOME} $(id) 'quoted\".csv", "id\n5\n");
    let outcome = tap(&server, &at("/in")).set("stability_seconds", 0).go().success();
    assert_eq!(column(&outcome, "id"), [5, 1, 4]);
    for told in ["caf\\xe9.csv", "new\\nline.csv"] {
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains('\u{1b}'));
}

#[test]
fn links_lead_to_files_below_the_folder_alone() {
    let server = Sshd::start();
    server.put("/in/real.csv", "id\n1\n");
    server.put("/out/other.csv", "id\n2\n");
    let link =
        |target: &str, name: &str| symlink(target, server.root.join("in").join(name)).unwrap();
    link("real.csv", "to_real.csv");
    link("../out/other.csv", "out_of_it.csv");
    link("/out/other.csv", "absolute.csv");
    link("gone.csv", "dangling.csv");
    link("round.csv", "round.csv");
    link(".", "loop");
    link("..", "up.csv");
    std::fs::create_dir(server.root.join("in/empty.csv")).unwrap();
    let outcome = tap(&server, &at("/in")).go().success();
    assert_eq!(column(&outcome, "id"), [1]);
    for name in ["out_of_it.csv", "absolute.csv", "dangling.csv", "round.csv", "up.csv"] {
        assert!(outcome.stderr.contains(&format!("skipping /in/{name}")), "{}", outcome.stderr);
    }
    // A path that is meant is followed.
    assert_eq!(column(&tap(&server, &at("/in/absolute.csv")).go().success(), "id"), [2]);
    assert_eq!(column(&tap(&server, &at("/in/loop/loop/real.csv")).go().success(), "id"), [1]);
    let folder = tap(&server, &at("/in/loop")).go().success();
    assert_eq!(column(&folder, "id"), [1]);
}

#[test]
fn paths_that_lead_to_no_file_say_so() {
    let server = Sshd::start();
    server.put("/in/a.csv", "id\n1\n");
    for (entry, code, word) in [
        (at("/in/none.csv"), 66, "/in/none.csv"),
        (at("/none/*.csv"), 66, "/none/*.csv"),
        (at("/in/*.parquet"), 66, "warning_if_no_files"),
        (json!({ "search_prefix": "/none" }), 66, "/none"),
        (json!({ "search_prefix": "/in", "search_pattern": "(" }), 78, "search_pattern"),
        (json!({ "search_prefix": "/in", "remote_path": "/in" }), 78, "in two ways"),
        (json!({}), 78, "set `remote_path`"),
        (json!({ "remote_path": "/in", "key_properties": ["no"] }), 78, "`key_properties` names"),
        (json!({ "remote_path": "/in", "delimiter": "|\n" }), 78, "delimiter"),
        (json!({ "remote_path": "/in", "delimeter": ";" }), 78, "delimeter"),
    ] {
        let outcome = tap(&server, &entry).go();
        assert_eq!(outcome.code, code, "{entry}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(word), "{entry}: {}", outcome.stderr);
    }
    shell(&server, "mkfifo pipe.csv; ln -s /dev/null null.csv");
    let pipe = tap(&server, &at("/in/pipe.csv")).go().exits(78);
    assert!(pipe.stderr.contains("not a regular file"), "{}", pipe.stderr);
    let outcome = tap(&server, &at("/in")).go().success();
    assert!(outcome.stderr.contains("skipping /in/pipe.csv"), "{}", outcome.stderr);
    let none = |path: &str| tap(&server, &at(path)).set("warning_if_no_files", true).go().success();
    assert!(none("/in/*.parquet").stderr.contains("no file was found"));
    assert!(none("/in/none.csv").stderr.contains("no file was found"));
    // A pattern that takes other engines for ever.
    let entry = json!({ "search_prefix": "/in", "search_pattern": "^(.*)*(a+)+(a|aa)+$" });
    server.put(&format!("/in/{}b.csv", "a".repeat(200)), "id\n1\n");
    assert_eq!(tap(&server, &entry).go().exits(66).text(), "");
}

#[test]
fn a_day_of_files_goes_on_into_postgres() {
    let server = Sshd::start();
    server.put("/in/1.csv", "id,price,at\n1,1.50,2026-01-01\n2,,2026-01-02\n");
    server.put("/in/2.csv", "at,id,price\n2026-01-03,3,\"2.25\"\n");
    let (scratch, target) = (folder(), database("sftp_target"));
    let entry = json!({ "remote_path": "/in/*.csv", "key_properties": ["id"] });
    pipe_succeeds(tap(&server, &entry), to_lake(scratch.path(), "files", DAY));
    lake::check(scratch.path());
    load(scratch.path(), DAY, &target, &json!({}));
    load(scratch.path(), DAY, &target, &json!({}));
    let rows = target.psql("SELECT * FROM public.t ORDER BY id");
    assert_eq!(rows, "1|1.50|2026-01-01\n2||2026-01-02\n3|2.25|2026-01-03");
}
