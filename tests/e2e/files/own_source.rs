//! A target does not replace the files that its rows come from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{feed, file, ours, pipe, pipe_succeeds};

const ORDERS: &str = "id,n\n1,x\n2,y\n";

fn to(folder: &Path) -> Value {
    json!({ "output_path": folder })
}

#[test]
fn a_file_is_not_replaced_by_its_own_rows() {
    let scratch = folder();
    let at = |name: &str| scratch.path().join(name);
    file(scratch.path(), "in/orders.csv", ORDERS);
    file(scratch.path(), "in/sub/others.csv", ORDERS);
    symlink("in", at("link")).unwrap();
    fs::create_dir(at("hard")).unwrap();
    fs::hard_link(at("in/orders.csv"), at("hard/orders.csv")).unwrap();
    let config = |path: &Path| {
        let entry = json!({ "entity": "orders", "path": path, "infer_types": false });
        json!({ "files": [entry] })
    };
    let catalog = ours("tap-csv").config(&config(&at("in"))).args(["--discover"]).go().success();
    let catalog: Value = serde_json::from_str(&catalog.text()).unwrap();
    for (read, written) in [
        ("in/orders.csv", "in"),
        ("in", "in"),
        ("in/*.csv", "in"),
        ("in/orders.csv", "link"),
        ("link/orders.csv", "in"),
        ("in/orders.csv", "hard"),
    ] {
        let tap = || ours("tap-csv").config(&config(&at(read)));
        for tap in [tap(), tap().json("--catalog", &catalog)] {
            let (_, outcome) = pipe(tap, ours("target-csv").config(&to(&at(written))));
            assert_eq!(outcome.code, 78, "{read} {written}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("orders.csv"), "{}", outcome.stderr);
            assert_eq!(fs::read_to_string(at("in/orders.csv")).unwrap(), ORDERS);
        }
    }
    // What was recorded is told as well.
    let recorded = ours("tap-csv").config(&config(&at("in/orders.csv"))).go().success();
    feed("target-csv", &to(&at("in")), &recorded.stdout).exits(78);
    // A folder may hold what is read and what is written.
    let other = json!({ "files": [{ "entity": "copy", "path": at("in/orders.csv") }] });
    for _ in 0..2 {
        let tap = ours("tap-csv").config(&other);
        pipe_succeeds(tap, ours("target-csv").config(&to(&at("in"))));
    }
    assert_eq!(fs::read_to_string(at("in/copy.csv")).unwrap(), ORDERS);
}

#[test]
fn a_file_of_another_stream_of_the_run_is_not_replaced_either() {
    let scratch = folder();
    let first = file(scratch.path(), "x.csv", ORDERS);
    let second = file(scratch.path(), "a.csv", ORDERS);
    let files = json!([{ "entity": "a", "path": first }, { "entity": "b", "path": second }]);
    let tap = ours("tap-csv").config(&json!({ "files": files }));
    let (_, outcome) = pipe(tap, ours("target-csv").config(&to(scratch.path())));
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(second).unwrap(), ORDERS);
}

#[test]
fn a_day_is_not_replaced_by_its_own_rows() {
    let scratch = folder();
    to_lake(scratch.path(), "s", DAY).input(Lines::whole(&[(1, "a")]).0).go().success();
    let (_, outcome) = pipe(from_lake(scratch.path(), DAY), to_lake(scratch.path(), "s", DAY));
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    pipe_succeeds(from_lake(scratch.path(), DAY), to_lake(scratch.path(), "other", DAY));
}
