//! The fields of an event or a span, as texts.

use std::fmt::{self, Write as _};

use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::span::Attributes;

/// The fields that have a place of their own in a line, and the message with all others.
#[derive(Default)]
pub(super) struct Fields {
    pub message: String,
    /// The module that warns, where the event is made elsewhere.
    pub logger: Option<String>,
    pub stream: Option<String>,
    /// The code of a warning.
    pub code: Option<String>,
    /// A metric, as JSON.
    pub metric: Option<String>,
    others: String,
}

/// What has fields.
pub(super) trait Recorded {
    fn record(&self, fields: &mut Fields);
}

impl Recorded for Event<'_> {
    fn record(&self, fields: &mut Fields) {
        Event::record(self, fields);
    }
}

impl Recorded for Attributes<'_> {
    fn record(&self, fields: &mut Fields) {
        Attributes::record(self, fields);
    }
}

impl Fields {
    pub(super) fn of(recorded: &impl Recorded) -> Self {
        let mut fields = Self::default();
        recorded.record(&mut fields);
        // No field is lost: what has no place is read behind the message.
        fields.message += &std::mem::take(&mut fields.others);
        fields
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let place = match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
                return;
            }
            "logger_name" => &mut self.logger,
            "stream" => &mut self.stream,
            "code" => &mut self.code,
            "metric_info" => &mut self.metric,
            name => {
                let _ = write!(self.others, " {name}={value:?}");
                return;
            }
        };
        *place = Some(format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
