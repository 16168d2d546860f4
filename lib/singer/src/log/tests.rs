//! Both forms of the log, of events of ours and of libraries.

use std::cell::RefCell;

use serde_json::Value;
use tracing::subscriber::with_default;

use super::*;

thread_local! {
    static WRITTEN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Returns the lines that are written while something is done.
fn written(level: &str, format: LogFormat, act: impl FnOnce(&OfLibraries)) -> Vec<String> {
    let keep: fn(&str) = |text| WRITTEN.with_borrow_mut(|written| written.push_str(text));
    let stderr = Arc::new(Stderr::new("tap-x", level_of(level), keep));
    stderr.set_format(format);
    let libraries = OfLibraries(Arc::clone(&stderr));
    with_default(stderr, || act(&libraries));
    WRITTEN.take().lines().map(str::to_owned).collect()
}

/// Returns the lines of the text form where metrics are wanted at every level.
fn with_metrics(level: &str, act: impl FnOnce()) -> Vec<String> {
    let keep: fn(&str) = |text| WRITTEN.with_borrow_mut(|written| written.push_str(text));
    let stderr = Stderr { writes_metrics: true, ..Stderr::new("tap-x", level_of(level), keep) };
    with_default(Arc::new(stderr), act);
    WRITTEN.take().lines().map(str::to_owned).collect()
}

#[test]
fn a_level_hides_no_metric_that_is_wanted() {
    for level in ["WARNING", "ERROR", "OFF"] {
        let lines = with_metrics(level, || {
            tracing::info!("reading");
            metrics::counter("record_count", 3, "a");
        });
        assert_eq!(lines.len(), 1, "{level} {lines:?}");
        assert!(lines[0].contains("| INFO     |") && lines[0].contains("METRIC: {"), "{lines:?}");
        let hidden = written(level, LogFormat::Text, |_| metrics::counter("record_count", 3, "a"));
        assert!(hidden.is_empty(), "{level} {hidden:?}");
    }
}

#[test]
fn a_terminal_shows_no_metric_that_nobody_asked_for() {
    for (format, lines) in [(LogFormat::Text, 1), (LogFormat::Json, 2)] {
        let keep: fn(&str) = |text| WRITTEN.with_borrow_mut(|written| written.push_str(text));
        let stderr = Stderr::new("tap-x", level_of("INFO"), keep);
        let stderr = Stderr { hides_metrics: true, ..stderr };
        stderr.set_format(format);
        with_default(Arc::new(stderr), || {
            tracing::info!("reading");
            metrics::counter("record_count", 3, "a");
        });
        assert_eq!(WRITTEN.take().lines().count(), lines, "{format:?}");
    }
}

#[test]
fn the_reason_of_an_end_is_found_behind_the_name_of_the_program() {
    for (line, message) in [
        ("error: tap-x: cannot read: it is odd", Some("cannot read: it is odd")),
        ("error: chorus: cannot read", Some("cannot read")),
        ("error: cannot read: it is odd", Some("cannot read: it is odd")),
        ("cannot read", None),
    ] {
        assert_eq!(reason(line), message);
    }
}

fn structured(act: impl FnOnce(&OfLibraries)) -> Vec<Value> {
    let lines = written("INFO", LogFormat::Json, act);
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns lines of the text form from the level on.
fn texts(level: &str, act: impl FnOnce(&OfLibraries)) -> Vec<String> {
    let lines = written(level, LogFormat::Text, act);
    lines.iter().map(|line| line.split_once(" | ").unwrap().1.to_owned()).collect()
}

/// Says something as a library does.
fn library(libraries: &OfLibraries, level: log::Level, text: &str) {
    let record = Record::builder();
    libraries
        .log(&{ record }.level(level).target("rustls::x").args(format_args!("{text}")).build());
}

#[test]
fn the_text_form_is_the_one_of_the_sdk() {
    let lines = written("DEBUG", LogFormat::Text, |_| {
        tracing::info!("reading {}", 1);
        crate::warning::log("W-NO-KEYS", "pg::x", format_args!("look"));
        tracing::error!("bad");
        tracing::debug!("small");
        tracing::trace!("smaller");
        tracing::info!(stream = "a", metric_info = %json!({ "value": 1 }));
    });
    let name = "tap-x                         ";
    let expected = [
        format!("INFO     | {name} | reading 1"),
        format!("WARNING  | {name} | W-NO-KEYS: look"),
        format!("ERROR    | {name} | bad"),
        format!("DEBUG    | {name} | small"),
        format!("INFO     | {name} | METRIC: {{\"value\":1}}"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        let (time, rest) = line.split_once(" | ").unwrap();
        assert_eq!(rest, expected);
        assert!(jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S,%3f", time).is_ok(), "{time}");
    }
}

#[test]
fn the_structured_form_has_the_members_of_the_sdk() {
    let lines = structured(|_| {
        tracing::info!(target: "pg::copy", "reading");
        crate::warning::log("W-NO-KEYS", "pg::x", format_args!("look"));
        tracing::info!(stream = "a", metric_info = %json!({ "value": 1 }));
        // Only a field is a code or a metric.
        tracing::warn!("W-NO-KEYS: of a server");
        tracing::info!("METRIC: {{}}");
    });
    let names = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let all = "level pid logger_name ts thread_name app_name stream_name message";
    let all: Vec<&str> = all.split(' ').collect();
    assert_eq!(names(&lines[0]), all);
    assert_eq!(names(&lines[1]), [&all[..], &["code"]].concat());
    assert_eq!(names(&lines[2]), [&all[..], &["metric_info"]].concat());
    assert_eq!(names(&lines[3]), all);
    assert_eq!(names(&lines[4]), all);
    let said = |line: &Value| {
        let parts = ["level", "logger_name", "stream_name", "message", "code", "metric_info"];
        parts.map(|part| line[part].clone()).to_vec()
    };
    assert_eq!(
        said(&lines[0]),
        [json!("info"), json!("pg::copy"), json!(null), json!("reading"), json!(null), json!(null)]
    );
    let (code, text) = (json!("W-NO-KEYS"), json!("W-NO-KEYS: look"));
    let pg = json!("pg::x");
    assert_eq!(said(&lines[1]), [json!("warning"), pg, json!(null), text, code, json!(null)]);
    let (metric, text) = (json!({ "value": 1 }), json!("METRIC: {\"value\":1}"));
    let own = json!("singer::log::tests");
    assert_eq!(said(&lines[2]), [json!("info"), own, json!("a"), text, json!(null), metric]);
    assert_eq!(lines[0]["app_name"], "tap-x");
    assert_eq!(lines[0]["pid"], std::process::id());
}

#[test]
fn a_line_names_the_stream_that_is_at_work() {
    let lines = structured(|libraries| {
        let outer = of_stream("outer");
        let kept = outer.clone();
        outer.in_scope(|| {
            tracing::info!("1");
            of_stream("inner").in_scope(|| {
                tracing::info!("2");
                library(libraries, log::Level::Warn, "3");
                tracing::info!(stream = "own", "4");
                std::thread::scope(|scope| drop(scope.spawn(|| kept.in_scope(|| {}))));
            });
            tracing::info_span!("of no stream").in_scope(|| tracing::info!("5"));
        });
        drop(outer);
        tracing::info!("6");
        kept.in_scope(|| tracing::info!("7"));
    });
    let names: Vec<&Value> = lines.iter().map(|line| &line["stream_name"]).collect();
    let expected = ["outer", "inner", "inner", "own", "outer"].map(Value::from);
    let expected = [&expected[..], &[Value::Null, "outer".into()]].concat();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    // Whatever is written at least, warnings and errors name it.
    let lines = written("ERROR", LogFormat::Json, |_| {
        of_stream("a").in_scope(|| tracing::error!("bad"));
    });
    assert!(lines[0].contains("\"stream_name\":\"a\""), "{lines:?}");
}

#[test]
fn spans_end_with_their_last_holder() {
    let spans = Spans::default();
    let id = spans.add(Some("a".to_owned()));
    spans.keep(&id);
    assert!(!spans.let_go(&id));
    spans.enter(&id);
    assert_eq!(spans::stream().as_deref(), Some("a"));
    spans::exit(&id);
    assert!(spans.let_go(&id));
    spans.enter(&id);
    assert_eq!(spans::stream(), None);
}

#[test]
fn of_libraries_only_warnings_and_errors_are_written() {
    let all = [log::Level::Error, log::Level::Warn, log::Level::Info, log::Level::Debug];
    let said = |level: &str| -> Vec<String> {
        let lines = texts(level, |libraries| {
            for level in all {
                library(libraries, level, "hello");
            }
        });
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    for level in ["TRACE", "DEBUG", "INFO", "WARNING"] {
        assert_eq!(said(level), ["ERROR", "WARNING"], "{level}");
    }
    assert_eq!(said("ERROR"), ["ERROR"]);
    assert!(said("OFF").is_empty());
    let lines = structured(|libraries| library(libraries, log::Level::Warn, "W-NO-KEYS: x"));
    assert_eq!(lines[0]["logger_name"], "rustls::x");
    assert_eq!(lines[0].get("code"), None);
}

#[test]
fn no_field_shows_a_secret_or_is_lost() {
    let secret = "the-secret-of-fields";
    scrub::learn(secret);
    let act = |libraries: &OfLibraries| {
        of_stream(secret).in_scope(|| {
            tracing::warn!(rows = 7, password = secret, place = ?secret, "with {secret}");
            library(libraries, log::Level::Warn, secret);
        });
    };
    let lines = [texts("INFO", act), written("INFO", LogFormat::Json, act)].concat();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.contains("***") && !line.contains(secret)), "{lines:?}");
    assert!(lines[0].ends_with("with *** rows=7 password=*** place=\"***\""), "{}", lines[0]);
    assert!(lines[2].contains("\"stream_name\":\"***\""), "{}", lines[2]);
}

#[test]
fn data_forges_no_line() {
    let act = |_: &OfLibraries| {
        of_stream("a\nb\u{202e}").in_scope(|| tracing::info!("c\nd\u{1b}\u{202e}"));
    };
    assert!(texts("INFO", act)[0].ends_with("c\\nd\\u{1b}\\u{202e}"));
    let line = &structured(act)[0];
    assert_eq!(line["message"], "c\\nd\\u{1b}\\u{202e}");
    assert_eq!(line["stream_name"], "a\\nb\\u{202e}");
}
