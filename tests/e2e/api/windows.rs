//! Windows of time that meet: a record comes once, whichever of their ends the API includes.

use serde_json::{Value, json};

use crate::api::streams::{bookmark, incremental};
use support::apis::tap_api;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

fn windows(more: &Value) -> Value {
    let mut stream = incremental(&json!({ "since": "{start}", "until": "{end}" }));
    stream["window_days"] = 5.into();
    stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stream
}

fn read(web: &Web, more: &Value) -> Outcome {
    let settings = json!({ "start_date": "2026-11-03" });
    tap_api(&web.url, &windows(more), &settings).go().success()
}

fn asked_for(asked: &Asked, name: &str) -> String {
    asked.param(name).unwrap().replace("%3A", ":")
}

/// A row at midnight and noon of each day, and a second one like it that is another.
fn rows() -> Vec<(u64, String)> {
    let times = (3..=28).flat_map(|day| [(day, "00"), (day, "12"), (day, "12")]);
    let times = times.map(|(day, hour)| format!("2026-11-{day:02}T{hour}:00:00Z"));
    times.enumerate().map(|(id, time)| (id as u64, time)).collect()
}

/// Asserts that each row comes once, from a server that counts rows in like this.
#[track_caller]
fn gives_each_once(name: &str, more: &Value, inside: fn(&str, &str, &str) -> bool) {
    for with_keys in [true, false] {
        let web = Web::start(move |asked| {
            let (since, until) = (asked_for(asked, "since"), asked_for(asked, "until"));
            let rows = rows().into_iter().filter(|(_, time)| inside(time, &since, &until));
            let row = |(id, time)| {
                if with_keys {
                    json!({ "id": id, "at": time })
                } else {
                    json!({ "at": time, "x": 1 })
                }
            };
            Reply::json(&rows.map(row).collect())
        });
        let mut more = more.clone();
        more["primary_keys"] = if with_keys { json!(["id"]) } else { json!([]) };
        let outcome = read(&web, &more);
        let count = rows().len() * more["inputs"].as_array().map_or(1, Vec::len);
        assert_eq!(outcome.records("t").len(), count, "{name} {more}");
        let said = outcome.stderr.contains("W-WINDOWS-OVERLAP");
        assert!(!said, "{name} {more}: {}", outcome.stderr);
    }
}

#[test]
fn a_row_of_two_windows_comes_once() {
    let inputs = json!({ "inputs": [{ "n": 1 }, { "n": 2 }, { "n": 3 }] });
    let mut at_once = inputs.clone();
    at_once["concurrency"] = 2.into();
    for more in [json!({}), inputs, at_once] {
        gives_each_once("half open", &more, |at, since, until| since <= at && at < until);
        gives_each_once("closed", &more, |at, since, until| since <= at && at <= until);
        // From the day of the start on.
        gives_each_once("rounded", &more, |at, since, until| &since[..10] <= at && at <= until);
        gives_each_once("no end", &more, |at, since, _| since <= at);
        let mut dates = more.clone();
        dates["time_format"] = "date".into();
        gives_each_once("half open days", &dates, |at, since, until| since <= at && at < until);
        gives_each_once("closed days", &dates, |at, since, until| {
            since <= at && &at[..10] <= until
        });
    }
}

#[test]
fn rows_of_windows_without_a_key_are_told() {
    let web = Web::start(|asked| {
        let since = asked_for(asked, "since");
        Reply::json(&json!([{ "id": 1, "at": since }, { "id": 2, "at": null }]))
    });
    let outcome = read(&web, &json!({}));
    assert!(outcome.stderr.contains("W-WINDOWS-OVERLAP"), "{}", outcome.stderr);
    assert!(outcome.records("t").iter().filter(|row| row["id"] == 2).count() > 1);
    // They may as well be rows of one window.
    let once = Web::start(|asked| {
        let since = asked_for(asked, "since");
        let none = json!({ "id": since, "at": null });
        Reply::json(&json!([{ "id": since, "at": since }, none]))
    });
    let outcome = read(&once, &json!({}));
    assert!(!outcome.stderr.contains("W-WINDOWS-OVERLAP"), "{}", outcome.stderr);
}

#[test]
fn windows_of_an_api_that_ignores_their_start_are_told() {
    let web = Web::start(|asked| {
        let until = asked_for(asked, "until");
        let rows = rows().into_iter().filter(|(_, time)| *time < until);
        Reply::json(&rows.map(|(id, time)| json!({ "id": id, "at": time })).collect())
    });
    let outcome = read(&web, &json!({}));
    assert!(outcome.stderr.contains("W-START-IGNORED"), "{}", outcome.stderr);
    assert!(bookmark(&outcome).as_str().unwrap() >= "2026-11-28");
}
