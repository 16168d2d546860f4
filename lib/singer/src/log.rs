//! The log on stderr: the Singer SDK's text form, or its structured form as JSON lines.
//!
//! Crates of this workspace log by `tracing`, libraries by `log`: so it is known whose an event
//! is. Libraries log for their developers, and their warnings and errors alone are written. A test
//! keeps libraries out that log by `tracing`.

mod fields;
mod spans;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};

use log::{Log, Record};
use serde_json::json;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Span, Subscriber, span};

use self::fields::Fields;
use self::spans::Spans;
use crate::about::About;
use crate::error::{Error, ErrorKind, printable};
use crate::metrics;
use crate::scrub;
use crate::settings::LogFormat;

/// How the text of metrics begins; what follows is JSON of ours.
const METRIC: &str = "METRIC: ";
/// So many characters of a message are written.
const SHOWN_MAX: usize = 16_000;
/// So many characters of the name of a stream are written.
const NAME_MAX: usize = 1000;

static STDERR: OnceLock<Arc<Stderr>> = OnceLock::new();

/// Starts the log: level from `<PLUGIN>_LOGLEVEL` or `LOGLEVEL`, form from `SINGER_SDK_LOG_CONFIG`.
/// Metrics are written at every level where the environment asks for that, and in the text form not
/// at all to a terminal unless the environment names them.
pub fn start(about: &About) {
    start_at(about, None);
}

/// Starts the log as [`start`] does; a level that the command line names wins.
pub fn start_at(about: &About, level: Option<String>) {
    let own = format!("{}_LOGLEVEL", about.name.to_uppercase().replace('-', "_"));
    let of_variables = || std::env::var(own).or_else(|_| std::env::var("LOGLEVEL")).ok();
    let level = level.or_else(of_variables).unwrap_or_default();
    let stderr = Arc::new(Stderr {
        writes_metrics: metrics::are_wanted(),
        hides_metrics: std::io::stderr().is_terminal() && !metrics::are_named(),
        ..Stderr::new(about.name, level_of(&level), write)
    });
    if wants_structure() {
        stderr.set_format(LogFormat::Json);
    }
    if STDERR.set(Arc::clone(&stderr)).is_err() {
        return;
    }
    let libraries = OfLibraries(Arc::clone(&stderr));
    let level = libraries.level();
    if log::set_boxed_logger(Box::new(libraries)).is_ok() {
        log::set_max_level(level);
    }
    // Fails where a program that calls this has a subscriber of its own.
    let _ = tracing::subscriber::set_global_default(stderr);
}

/// Sets the form the settings ask for.
pub fn set_format(format: LogFormat) {
    if let Some(stderr) = STDERR.get() {
        stderr.set_format(format);
    }
}

/// Writes why the process ends. The text names the program: those of a pipe share a terminal.
pub fn failure(name: &'static str, failure: &Error) {
    if failure.kind() == ErrorKind::ReaderGone {
        return;
    }
    match STDERR.get().filter(|stderr| stderr.format() == LogFormat::Json) {
        Some(_) => {
            let text = format!("error: {failure}\n");
            write(&structured(name, &Line::new(Level::ERROR, name, text)));
        }
        None => write(&format!("error: {name}: {failure}\n")),
    }
}

/// Returns the message of a line in which a program says why it ends, without the name of one of
/// ours; `None` for any other line.
pub fn reason(line: &str) -> Option<&str> {
    let message = line.strip_prefix("error: ")?;
    let is_name = |word: &str| word.contains('-') && !word.contains(' ') || word == "chorus";
    let named = message.split_once(": ").filter(|(word, _)| is_name(word));
    Some(named.map_or(message, |(_, message)| message))
}

/// Returns the span of what is done for a stream: events within it are of the stream.
///
/// It is entered for a stream or a batch, and never for a row.
pub fn of_stream(name: &str) -> Span {
    // Of this level, so that it is there for each event that is written.
    tracing::error_span!("stream", stream = name)
}

/// Meltano names a Python logging configuration; its structured formatter is all that matters.
fn wants_structure() -> bool {
    let Ok(path) = std::env::var("SINGER_SDK_LOG_CONFIG") else { return false };
    fs::read_to_string(path).is_ok_and(|text| text.contains("StructuredFormatter"))
}

fn level_of(name: &str) -> LevelFilter {
    match name.to_uppercase().as_str() {
        "DEBUG" | "NOTSET" => LevelFilter::DEBUG,
        "TRACE" => LevelFilter::TRACE,
        "WARNING" | "WARN" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        "OFF" | "DISABLED" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    }
}

/// Writes events of ours.
struct Stderr {
    name: &'static str,
    level: LevelFilter,
    /// Metrics are written whatever the level is: a program counts by them.
    writes_metrics: bool,
    /// A person reads the log, and metrics are for programs.
    hides_metrics: bool,
    format: OnceLock<LogFormat>,
    spans: Spans,
    write: fn(&str),
}

/// What is written of an event.
struct Line {
    level: Level,
    logger: String,
    stream: Option<String>,
    code: Option<String>,
    /// JSON, of which the message is made.
    metric: Option<String>,
    message: String,
}

impl Line {
    fn new(level: Level, logger: &str, message: String) -> Self {
        let logger = logger.to_owned();
        Self { level, logger, stream: None, code: None, metric: None, message }
    }
}

impl Stderr {
    fn new(name: &'static str, level: LevelFilter, write: fn(&str)) -> Self {
        let (format, spans) = (OnceLock::new(), Spans::default());
        let (writes_metrics, hides_metrics) = (false, false);
        Self { name, level, writes_metrics, hides_metrics, format, spans, write }
    }

    /// Once it is JSON it stays so.
    fn set_format(&self, format: LogFormat) {
        if format == LogFormat::Json {
            let _ = self.format.set(format);
        }
    }

    fn format(&self) -> LogFormat {
        self.format.get().copied().unwrap_or_default()
    }

    fn line(&self, mut line: Line) {
        // Programs read metrics, by the names of streams as they are.
        let message = match &line.metric {
            Some(metric) => format!("{METRIC}{metric}").into(),
            None => scrub::excerpt(&line.message, SHOWN_MAX),
        };
        line.message = printable(&message).into_owned();
        let text = match self.format() {
            LogFormat::Json => structured(self.name, &line),
            LogFormat::Text => {
                let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
                let level = level_word(line.level);
                format!("{now:23} | {level:8} | {:30} | {}\n", self.name, line.message)
            }
        };
        (self.write)(&text);
    }
}

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
            || self.writes_metrics && metadata.target() == metrics::TARGET
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.writes_metrics { self.level.max(LevelFilter::INFO) } else { self.level })
    }

    fn event(&self, event: &Event<'_>) {
        let fields = Fields::of(event);
        if self.hides_metrics && fields.metric.is_some() && self.format() == LogFormat::Text {
            return;
        }
        let message = match &fields.code {
            Some(code) => format!("{code}: {}", fields.message),
            None => fields.message,
        };
        self.line(Line {
            level: *event.metadata().level(),
            logger: fields.logger.unwrap_or_else(|| event.metadata().target().to_owned()),
            stream: fields.stream.or_else(spans::stream),
            code: fields.code,
            metric: fields.metric,
            message,
        });
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.spans.add(Fields::of(span).stream)
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.spans.keep(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.spans.let_go(&id)
    }

    fn enter(&self, id: &Id) {
        self.spans.enter(id);
    }

    fn exit(&self, id: &Id) {
        spans::exit(id);
    }

    /// What a span is of is known when it begins.
    fn record(&self, _: &Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}
}

/// Writes what libraries say by `log`.
struct OfLibraries(Arc<Stderr>);

impl OfLibraries {
    fn level(&self) -> log::LevelFilter {
        match self.0.level {
            LevelFilter::OFF => log::LevelFilter::Off,
            LevelFilter::ERROR => log::LevelFilter::Error,
            _ => log::LevelFilter::Warn,
        }
    }
}

impl Log for OfLibraries {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= self.level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let is_error = record.level() == log::Level::Error;
            let level = if is_error { Level::ERROR } else { Level::WARN };
            let line = Line::new(level, record.target(), record.args().to_string());
            self.0.line(Line { stream: spans::stream(), ..line });
        }
    }

    fn flush(&self) {}
}

fn structured(name: &str, line: &Line) -> String {
    let now = jiff::Timestamp::now();
    let stream = line.stream.as_deref().map(|stream| scrub::excerpt(stream, NAME_MAX));
    let mut members = json!({
        "level": level_word(line.level).to_lowercase(),
        "pid": std::process::id(),
        "logger_name": line.logger,
        "ts": now.as_duration().as_secs_f64(),
        "thread_name": std::thread::current().name().unwrap_or("main"),
        "app_name": name,
        "stream_name": stream.as_deref().map(printable),
        "message": line.message,
    });
    if let Some(code) = &line.code {
        members["code"] = code.as_str().into();
    }
    let metric = line.metric.as_ref().and_then(|_| line.message.strip_prefix(METRIC));
    if let Some(Ok(metric)) = metric.map(serde_json::from_str) {
        members["metric_info"] = metric;
    }
    members.to_string() + "\n"
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// A log that cannot be written must not end the run.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
