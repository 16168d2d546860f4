//! Spans of time of the plain shape.

use std::time::Duration;

use serde_json::Value;

/// Reads a span: a number of seconds, or a number with `ms`, `s`, `m` or `h`; at least 0.1 s.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    let (number, unit) = match value {
        Value::Number(number) => (number.to_string(), "s".to_owned()),
        Value::String(text) => {
            let text = text.trim();
            let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
            (text[..at].trim().to_owned(), text[at..].to_owned())
        }
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()?
        * match unit.as_str() {
            "ms" => 0.001,
            "" | "s" | "sec" | "seconds" => 1.0,
            "m" | "min" | "minutes" => 60.0,
            "h" | "hours" => 3600.0,
            _ => return None,
        };
    Duration::try_from_secs_f64(seconds).ok().filter(|span| span.as_millis() >= 100)
}
