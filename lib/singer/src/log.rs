//! The log on stderr: the Singer SDK's text form, or its structured form as JSON lines.

use std::fs;
use std::io::Write as _;

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::json;

use crate::about::About;
use crate::error::{Error, ErrorKind, printable};
use crate::scrub;
use crate::settings::LogFormat;
use crate::warning;

/// How a line of metrics begins; what follows is JSON of ours.
pub(crate) const METRIC: &str = "METRIC: ";
/// So many characters of a message are written.
const SHOWN_MAX: usize = 16_000;

struct Stderr {
    name: &'static str,
    format: std::sync::OnceLock<LogFormat>,
}

static STDERR: std::sync::OnceLock<Stderr> = std::sync::OnceLock::new();

/// Starts the log: level from `<PLUGIN>_LOGLEVEL` or `LOGLEVEL`, form from `SINGER_SDK_LOG_CONFIG`.
pub fn start(about: &About) {
    let stderr =
        STDERR.get_or_init(|| Stderr { name: about.name, format: std::sync::OnceLock::new() });
    if wants_structure() {
        let _ = stderr.format.set(LogFormat::Json);
    }
    let own = format!("{}_LOGLEVEL", about.name.to_uppercase().replace('-', "_"));
    let level = std::env::var(own).or_else(|_| std::env::var("LOGLEVEL")).unwrap_or_default();
    let level = match level.to_uppercase().as_str() {
        "DEBUG" | "NOTSET" => LevelFilter::Debug,
        "TRACE" => LevelFilter::Trace,
        "WARNING" | "WARN" => LevelFilter::Warn,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::Error,
        "OFF" => LevelFilter::Off,
        _ => LevelFilter::Info,
    };
    if log::set_logger(stderr).is_ok() {
        log::set_max_level(level);
    }
}

/// Sets the form the settings ask for.
pub fn set_format(format: LogFormat) {
    if let Some(stderr) = STDERR.get()
        && format == LogFormat::Json
    {
        let _ = stderr.format.set(format);
    }
}

/// Writes why the process ends.
pub fn failure(name: &'static str, failure: &Error) {
    if failure.kind() == ErrorKind::ReaderGone {
        return;
    }
    let structured = STDERR.get().is_some_and(|stderr| stderr.format() == LogFormat::Json);
    let text = format!("error: {failure}\n");
    if structured {
        write(&structured_line(name, Level::Error, name, &text));
    } else {
        write(&text);
    }
}

/// Meltano names a Python logging configuration; its structured formatter is all that matters.
fn wants_structure() -> bool {
    let Ok(path) = std::env::var("SINGER_SDK_LOG_CONFIG") else { return false };
    fs::read_to_string(path).is_ok_and(|text| text.contains("StructuredFormatter"))
}

impl Stderr {
    fn format(&self) -> LogFormat {
        self.format.get().copied().unwrap_or_default()
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Libraries log for their developers.
        let ours =
            ["singer", "lake", "pg", "files", "sftp", "http_client", "tap_", "target_", "chorus"];
        let foreign = !ours.iter().any(|crate_name| record.target().starts_with(crate_name));
        if !self.enabled(record.metadata()) || foreign && record.level() > Level::Warn {
            return;
        }
        let message = record.args().to_string();
        let is_metric = message.starts_with(METRIC);
        let message = if is_metric { message.into() } else { scrub::excerpt(&message, SHOWN_MAX) };
        let message = printable(&message);
        if self.format() == LogFormat::Json {
            write(&structured_line(self.name, record.level(), record.target(), &message));
            return;
        }
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
        let level = level_word(record.level());
        write(&format!("{now:23} | {level:8} | {:30} | {message}\n", self.name));
    }

    fn flush(&self) {}
}

fn structured_line(name: &str, level: Level, logger: &str, message: &str) -> String {
    let now = jiff::Timestamp::now();
    let mut line = json!({
        "level": level_word(level).to_lowercase(),
        "pid": std::process::id(),
        "logger_name": logger,
        "ts": now.as_duration().as_secs_f64(),
        "thread_name": std::thread::current().name().unwrap_or("main"),
        "app_name": name,
        "stream_name": null,
        "message": message,
    });
    if level == Level::Warn
        && let Some(code) = warning::code_of(message)
    {
        line["code"] = code.into();
    }
    if let Some(metric) = message.strip_prefix(METRIC)
        && let Ok(metric) = serde_json::from_str(metric)
    {
        line["metric_info"] = metric;
    }
    line.to_string() + "\n"
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

/// A log that cannot be written must not end the run.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
