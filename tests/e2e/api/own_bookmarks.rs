//! Each parent and input has a bookmark of its own: none passes over records of another.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::apis::tap_apis;
use support::cluster::database;
use support::pipes::to_database;
use support::run::{Outcome, Run, pipe, pipe_succeeds};
use support::web::{Reply, Web};

const UNUSED: &str = "W-BOOKMARK-UNUSED";

/// The keys of the rows of each repository, in the order of the answers, two on a page.
type Repos = Vec<(&'static str, Vec<Value>)>;

/// A server of repositories and their issues, whose rows can be changed.
struct Server {
    web: Web,
    repos: Arc<Mutex<Repos>>,
}

impl Server {
    fn start(repos: Repos) -> Self {
        let repos = Arc::new(Mutex::new(repos));
        let rows = Arc::clone(&repos);
        let web = Web::start(move |asked| {
            let rows = rows.lock().unwrap();
            let parts: Vec<&str> = asked.path().split('/').collect();
            let ["", "issues", repo] = parts[..] else {
                return Reply::json(
                    &rows.iter().map(|(name, _)| json!({ "name": name })).collect(),
                );
            };
            let Some((_, keys)) = rows.iter().find(|(name, _)| *name == repo) else {
                return Reply::status(500);
            };
            let since = asked.param("since").unwrap_or_default();
            let is_new = |key: &&Value| match key.as_u64() {
                Some(number) => number >= since.parse().unwrap_or(0),
                None => key.as_str().unwrap() >= since,
            };
            Reply::json(&keys.iter().filter(is_new).map(|key| json!({ "k": key })).collect())
        });
        Self { web, repos }
    }

    fn set(&self, repo: &'static str, keys: &[Value]) {
        let mut repos = self.repos.lock().unwrap();
        repos.retain(|(name, _)| *name != repo);
        repos.insert(0, (repo, keys.to_vec()));
    }

    fn tap(&self, more: &Value, state: &Value) -> Run {
        let mut stream = json!({ "name": "issues", "path": "issues/{repo}", "parent": "repos",
            "parent_keys": { "repo": "name" }, "primary_keys": ["repo", "k"],
            "replication_key": "k", "params": { "since": "{start}" } });
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if stream["inputs"].is_array() {
            stream["parent"] = Value::Null;
            stream["parent_keys"] = json!({});
        }
        let streams =
            [json!({ "name": "repos", "path": "repos", "primary_keys": ["name"] }), stream];
        tap_apis(&self.web.url, &streams, &json!({})).json("--state", state)
    }

    /// Returns from where on each repository was asked for behind so many requests.
    fn since(&self, before: usize, repo: &str) -> Option<String> {
        let asked = self.web.asked();
        let of_it = asked[before..].iter().rfind(|asked| asked.path().ends_with(repo));
        of_it.unwrap().param("since").map(str::to_owned)
    }
}

fn numbers(numbers: &[u64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::from).collect()
}

fn state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages().into_iter().filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

fn part(repo: &str, key: &Value) -> Value {
    json!({ "context": { "repo": repo }, "replication_key": "k", "replication_key_value": key })
}

fn of_parts(parts: &[Value]) -> Value {
    json!({ "bookmarks": { "issues": { "partitions": parts } } })
}

fn of_all(key: &Value) -> Value {
    json!({ "bookmarks": { "issues": { "replication_key": "k", "replication_key_value": key } } })
}

#[test]
fn no_record_is_passed_over_for_the_larger_key_of_another_parent() {
    let inputs = json!({ "inputs": [{ "repo": "big" }, { "repo": "small" }] });
    let texts = |keys: &[&str]| keys.iter().map(|key| json!(key)).collect::<Vec<_>>();
    let early = ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"];
    let kinds = [
        (numbers(&[1, 2, 5000]), numbers(&[2, 1]), numbers(&[1, 2, 3])),
        (texts(&["x", "zz"]), texts(&["b"]), texts(&["b", "c"])),
        (texts(&["2025-05-05T00:00:00Z"]), texts(&early[..2]), texts(&early)),
    ];
    for (big, small, later) in kinds {
        for more in [json!({}), json!({ "concurrency": 3 }), inputs.clone()] {
            let server = Server::start(vec![("big", big.clone()), ("small", small.clone())]);
            let first = server.tap(&more, &json!({})).go().success();
            assert_eq!(first.records("issues").len(), big.len() + small.len());
            let known = state(&first);
            let last = big.last().unwrap();
            let second = &later[later.len() - 2];
            assert_eq!(
                known["bookmarks"]["issues"]["partitions"],
                json!([part("big", last), part("small", second)])
            );
            // The parents come in another order, and with a new one before them.
            server.set("small", &later);
            server.set("new", &[small[0].clone()]);
            let rows = if more["inputs"].is_array() { 3 } else { 4 };
            let second = server.tap(&more, &known).go().success();
            assert_eq!(second.records("issues").len(), rows, "{more} {known}");
            assert!(!second.stderr.contains(UNUSED), "{}", second.stderr);
            assert!(second.text().contains("\"resumed_from\""));
        }
    }
}

#[test]
fn a_parent_of_a_parent_is_part_of_the_bookmark() {
    let web = Web::start(|asked| {
        let parts: Vec<&str> = asked.path().split('/').collect();
        Reply::json(&match parts[..] {
            ["", "orgs"] => json!([{ "id": 1 }, { "id": 2 }]),
            ["", "orgs", _] => json!([{ "id": "a" }, { "id": "b" }]),
            ["", "orgs", org, repo] => {
                let key = org.parse::<u64>().unwrap() * 10 + u64::from(repo == "b");
                json!([{ "k": key }])
            }
            _ => return Reply::status(404),
        })
    });
    let streams = [
        json!({ "name": "orgs", "path": "orgs" }),
        json!({ "name": "repos", "path": "orgs/{org}", "parent": "orgs",
            "parent_keys": { "org": "id" } }),
        json!({ "name": "issues", "path": "orgs/{org}/{repo}", "parent": "repos",
            "parent_keys": { "org": "org", "repo": "id" }, "replication_key": "k",
            "params": { "since": "{start}" } }),
    ];
    let first = tap_apis(&web.url, &streams, &json!({})).go().success();
    let known = state(&first);
    let parts = known["bookmarks"]["issues"]["partitions"].as_array().unwrap().clone();
    assert_eq!(parts.len(), 4, "{known}");
    assert_eq!(parts[3]["context"], json!({ "org": 2, "repo": "b" }));
    let before = web.asked().len();
    tap_apis(&web.url, &streams, &json!({})).json("--state", &known).go().success();
    for (path, since) in [("/orgs/1/b", "11"), ("/orgs/2/a", "20"), ("/orgs/2/b", "21")] {
        let asked = web.asked();
        let asked = asked[before..].iter().rfind(|asked| asked.path() == path).unwrap();
        assert_eq!(asked.param("since"), Some(since), "{path}");
    }
}

#[test]
fn a_read_that_breaks_off_moves_no_bookmark() {
    let server = Server::start(vec![("a", numbers(&[1])), ("b", numbers(&[1]))]);
    let inputs = |names: &[&str]| -> Value {
        let inputs: Vec<Value> = names.iter().map(|name| json!({ "repo": name })).collect();
        let k =
            json!({ "properties": { "repo": { "type": "string" }, "k": { "type": "integer" } } });
        json!({ "inputs": inputs, "schema": k })
    };
    let known = state(&server.tap(&inputs(&["a", "b"]), &json!({})).go().success());
    server.set("a", &numbers(&[1, 7]));
    server.repos.lock().unwrap().retain(|(name, _)| *name != "b");
    let broken = server.tap(&inputs(&["a", "b"]), &known).go();
    assert_ne!(broken.code, 0);
    assert!(broken.records("issues").contains(&json!({ "repo": "a", "k": 7 })));
    assert_eq!(state(&broken)["bookmarks"], known["bookmarks"]);
    server.set("b", &numbers(&[1, 2]));
    let next = server.tap(&inputs(&["b", "a"]), &state(&broken)).go().success();
    assert_eq!(next.records("issues").len(), 4);
}

#[test]
fn a_state_of_the_sdk_goes_on_or_is_told() {
    let server = Server::start(vec![("a", numbers(&[1, 4])), ("b", numbers(&[1, 9]))]);
    let mut unfinished = part("b", &Value::Null);
    unfinished["starting_replication_value"] = 3.into();
    let mut other = part("b", &json!(9));
    other["replication_key"] = "id".into();
    let cases = [
        (of_parts(&[part("a", &json!(4)), part("b", &json!(9))]), ["4", "9"], false),
        // Two with one name: the smaller one loses nothing.
        (
            of_parts(&[part("b", &json!(9)), part("a", &json!(4)), part("b", &json!(2))]),
            ["4", "2"],
            false,
        ),
        (of_parts(&[part("a", &json!(4))]), ["4", ""], false),
        (of_parts(&[part("a", &json!(4)), unfinished]), ["4", ""], true),
        (of_parts(&[part("a", &json!(4)), other]), ["4", ""], true),
        (of_parts(&[part("c", &json!(4))]), ["", ""], true),
        (of_all(&Value::Null), ["", ""], false),
        (json!({ "bookmarks": { "issues": Value::Null } }), ["", ""], false),
        (json!({ "bookmarks": { "issues": { "starting_replication_value": 3 } } }), ["", ""], true),
        (
            json!({ "bookmarks": { "issues": { "progress_markers": { "replication_key": "k",
            "replication_key_value": 3 } } } }),
            ["", ""],
            true,
        ),
    ];
    for (known, [a, b], told) in cases {
        let before = server.web.asked().len();
        let outcome = server.tap(&json!({}), &known).go().success();
        assert_eq!(server.since(before, "/a").unwrap_or_default(), a, "{known}");
        assert_eq!(server.since(before, "/b").unwrap_or_default(), b, "{known}");
        assert_eq!(outcome.stderr.contains(UNUSED), told, "{known}: {}", outcome.stderr);
    }
    // What is read as one has no use for bookmarks of parts.
    let whole = json!({ "inputs": [{ "repo": "a" }], "params": {} });
    let outcome = server.tap(&whole, &of_parts(&[part("a", &json!(4))])).go().success();
    assert!(outcome.stderr.contains(UNUSED), "{}", outcome.stderr);
}

#[test]
fn a_bookmark_for_all_parents_is_a_start_where_it_is_a_time() {
    let early = "2024-01-01";
    let times = || vec![("a", vec![json!("2025-01-01")]), ("b", vec![json!(early)])];
    let inputs = json!({ "inputs": [{ "repo": "a" }, { "repo": "b" }] });
    for more in [json!({}), inputs] {
        let server = Server::start(times());
        let before = server.web.asked().len();
        let outcome = server.tap(&more, &of_all(&json!("2025-01-01"))).go().success();
        for repo in ["/a", "/b"] {
            assert_eq!(server.since(before, repo).unwrap(), "2025-01-01");
        }
        assert!(!outcome.stderr.contains(UNUSED), "{}", outcome.stderr);
        // It goes on with those of each, also where nothing was new.
        let expected = ["a", "b"].map(|repo| part(repo, &json!("2025-01-01")));
        let known = state(&outcome);
        assert_eq!(known["bookmarks"]["issues"]["partitions"], json!(expected));
        assert!(known["bookmarks"]["issues"]["replication_key_value"].is_null());
        for key in [json!(5000), json!("zzz")] {
            let server = Server::start(vec![("a", vec![json!(5000)]), ("b", vec![json!(3)])]);
            let outcome = server.tap(&more, &of_all(&key)).go().success();
            assert_eq!(outcome.records("issues").len(), 2, "{key}");
            assert!(outcome.stderr.contains(UNUSED), "{key}: {}", outcome.stderr);
            assert!(!outcome.text().contains("resumed_from"), "{key}");
            let next = server.tap(&more, &state(&outcome)).go().success();
            assert!(!next.stderr.contains(UNUSED), "{}", next.stderr);
            assert!(next.text().contains("resumed_from"));
        }
    }
    // Of one input it is that input's own.
    let server = Server::start(vec![("a", numbers(&[1, 5]))]);
    let one = json!({ "inputs": [{ "repo": "a" }] });
    let outcome = server.tap(&one, &of_all(&json!(5))).go().success();
    assert_eq!(outcome.records("issues").len(), 1);
    assert!(!outcome.stderr.contains(UNUSED), "{}", outcome.stderr);
}

#[test]
fn values_that_are_secret_or_about_persons_do_not_stand_in_the_state() {
    let web = Web::start(|asked| {
        let key = u64::try_from(asked.target.len()).unwrap();
        let since = asked.param("since").map_or(0, |since| since.parse().unwrap());
        let keys = (1..=key).filter(|number| *number >= since);
        Reply::json(&keys.map(|number| json!({ "k": number })).collect())
    });
    let read = |inputs: &Value, more: &Value, known: &Value| {
        let mut stream = json!({ "name": "issues", "path": "x", "replication_key": "k",
            "params": { "since": "{start}", "of": "{who}", "n": "{n}" }, "inputs": inputs,
            "headers": { "X-Pat": "{pat}" } });
        let mut settings = more.as_object().unwrap().clone();
        if let Some(path) = settings.remove("path") {
            stream["path"] = path;
        }
        let run = tap_apis(&web.url, &[stream], &settings.into()).json("--state", known);
        run.go().success()
    };
    let one = |who: &str| json!([{ "who": who, "n": 1, "pat": "hunter2" }]);
    let maps = json!({ "stream_maps": { "issues": { "who": "md5(who)" } } });
    let long = "x".repeat(300);
    for (who, more, is_shown) in [
        ("team-1", json!({}), true),
        ("ann@example.com", json!({}), false),
        ("Ann Doe", json!({}), false),
        (long.as_str(), json!({}), false),
        ("team-1", maps.clone(), false),
    ] {
        let first = read(&one(who), &more, &json!({}));
        let known = state(&first);
        let text = known["bookmarks"].to_string();
        assert_eq!(text.contains(who), is_shown, "{who}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.len() < 600, "{text}");
        for more in [&more, &json!({})] {
            let next = read(&one(who), more, &known);
            assert!(next.records("issues").len() < first.records("issues").len(), "{who} {more}");
        }
    }
    // Those that only a secret tells from each other go on from the smaller key.
    let server = Server::start(vec![("a", numbers(&[9])), ("b", numbers(&[1, 2]))]);
    let two = json!({ "inputs": [{ "token": "a" }, { "token": "b" }], "path": "issues/{token}",
        "primary_keys": ["k"] });
    let known = state(&server.tap(&two, &json!({})).go().success());
    let parts = &known["bookmarks"]["issues"]["partitions"];
    assert_eq!(parts.as_array().unwrap().len(), 1, "{known}");
    assert_eq!(parts[0]["context"], json!({}));
    let before = server.web.asked().len();
    server.tap(&two, &known).go().success();
    for token in ["/a", "/b"] {
        assert_eq!(server.since(before, token).unwrap(), "2");
    }
}

#[test]
fn a_number_that_is_added_during_the_read_is_not_passed_over() {
    let held = "W-BOOKMARK-HELD";
    // Pages of two records; a record that is added stands where its place is.
    let read = |pages: Vec<Vec<u64>>, parent: bool| {
        let web = Web::start(move |asked| {
            if asked.path() == "/p" {
                return Reply::json(&json!([{ "id": 1 }]));
            }
            let at: usize = asked.param("page").map_or(0, |text| text.parse().unwrap());
            let rows: Vec<Value> = pages[at].iter().map(|key| json!({ "k": key })).collect();
            let next = (at + 1 < pages.len()).then_some(at + 1);
            Reply::json(&json!({ "data": rows, "next_page": next }))
        });
        let mut stream = json!({ "name": "issues", "path": "x", "replication_key": "k",
            "records_path": "$.data[*]", "params": { "since": "{start}" } });
        if parent {
            stream["parent"] = "p".into();
            stream["parent_keys"] = json!({ "p": "id" });
        }
        let streams = [json!({ "name": "p", "path": "p" }), stream];
        let outcome = tap_apis(&web.url, &streams, &json!({})).go().success();
        let bookmark = state(&outcome)["bookmarks"]["issues"].clone();
        let of_part = bookmark["partitions"][0]["replication_key_value"].clone();
        let mark = if parent { of_part } else { bookmark["replication_key_value"].clone() };
        assert_eq!(outcome.stderr.contains(held), mark != largest(&outcome), "{}", outcome.stderr);
        mark
    };
    for parent in [false, true] {
        for (pages, mark) in [
            (vec![vec![2, 1], vec![3, 4]], 4),
            (vec![vec![4, 3], vec![2], vec![1]], 4),
            (vec![vec![1, 3], vec![2, 5]], 3),
            (vec![vec![4, 2], vec![9, 1], vec![12]], 4),
        ] {
            assert_eq!(read(pages.clone(), parent), mark, "{pages:?}");
        }
    }
}

fn largest(outcome: &Outcome) -> u64 {
    outcome.records("issues").iter().map(|row| row["k"].as_u64().unwrap()).max().unwrap()
}

#[test]
fn windows_go_through_time_with_all_parents_and_a_new_one_is_read_from_the_start() {
    let server = Server::start(vec![("a", vec![json!("2026-11-20")])]);
    let more = json!({ "window_days": 10, "time_format": "date", "start_date": "2026-11-01" });
    let known = state(&server.tap(&more, &json!({})).go().success());
    assert!(known["bookmarks"]["issues"]["partitions"].is_null(), "{known}");
    server.set("b", &[json!("2026-11-02")]);
    let next = server.tap(&more, &known).go().success();
    assert!(next.records("issues").contains(&json!({ "repo": "b", "k": "2026-11-02" })));
}

#[test]
fn a_target_knows_its_table_by_a_state_of_parts() {
    let server = Server::start(vec![("big", numbers(&[5000])), ("small", numbers(&[1]))]);
    let (target, other) = (database("own_bookmarks"), database("own_other"));
    let none = json!({});
    let first = pipe_succeeds(server.tap(&none, &none), to_database(&target, &none)).1;
    let known: Value = serde_json::from_str(first.text().lines().last().unwrap()).unwrap();
    assert!(known["bookmarks"]["issues"]["filled_since"].is_string(), "{known}");
    server.set("small", &numbers(&[1, 2]));
    pipe_succeeds(server.tap(&none, &known), to_database(&target, &none));
    assert_eq!(target.psql("SELECT count(*) FROM issues").trim(), "3");
    let refused = pipe(server.tap(&none, &known), to_database(&other, &none)).1;
    refused.exits(78);
}
