//! The canonical form of the plain shape: one spelling of each key, and no secret.

use serde_json::{Map, Value, json};

use super::given::Given;
use super::model::{Plain, PlainSource, SourceKind};
use crate::edit::whole;

impl Plain {
    /// Returns the file in its canonical form. Secrets that stand in it are `***`.
    pub fn canonical(&self) -> String {
        let mut top = Map::new();
        let source = |source: &PlainSource| {
            let kind = match source.kind {
                SourceKind::Local => "local",
                SourceKind::Api => "api",
                SourceKind::Sftp => "sftp",
            };
            let mut entry = Map::new();
            entry.insert("type".to_owned(), kind.into());
            entry.insert("name".to_owned(), source.name.as_str().into());
            entry.extend(shown(&source.given));
            Value::Object(entry)
        };
        let sources: Vec<Value> = self.sources.iter().map(source).collect();
        top.insert("sources".to_owned(), sources.into());
        let mut put = |key: &str, value: Option<Value>| {
            top.extend(value.map(|value| (key.to_owned(), value)));
        };
        put("output_csv_path", self.output_csv_path.as_deref().map(Value::from));
        put("target", self.target.as_ref().map(|target| shown(target).into()));
        if !self.columns.is_empty() {
            let columns =
                self.columns.iter().map(|(name, of)| (name.clone(), of.word.clone().into()));
            put("schema", Some(json!({ "columns": columns.collect::<Map<_, _>>() })));
            put("strict_mode", Some(self.strict.into()));
            let violation = self.on_violation.as_deref().unwrap_or("fail");
            put("on_violation", self.strict.then(|| violation.into()));
        }
        put("combine", Some(self.combine.into()));
        put("source_column", self.combine.then(|| self.source_column.as_str().into()));
        put("count_duplicates", Some(self.duplicates().into()));
        let text =
            |found: &Option<(_, String)>| found.as_ref().map(|(_, text)| text.as_str().into());
        put("start_time", text(&self.times.start));
        put("end_time", text(&self.times.end));
        put("timezone", self.times.zone.as_ref().map(|(_, name)| name.as_str().into()));
        if let Some(monitor) = &self.monitor {
            let which = if monitor.reextract_all { "all" } else { "changed" };
            let interval = &monitor.interval_text;
            put("monitor", Some(json!({ "interval": interval, "reextract": which })));
        }
        whole(&top.into())
    }

    pub(super) fn duplicates(&self) -> &str {
        self.count_duplicates.as_deref().unwrap_or("keep")
    }
}

fn shown(given: &Given) -> Map<String, Value> {
    let value = |one: &super::given::One| {
        let hidden = one.is_literal_secret();
        (one.name.to_owned(), if hidden { "***".into() } else { one.value.clone() })
    };
    given.all().iter().map(value).collect()
}
