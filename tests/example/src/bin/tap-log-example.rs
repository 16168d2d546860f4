//! A tap that reads changes of several tables from one file, in the order in which they happened:
//! the example of reading a log.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use singer::catalog::ReplicationMethod;
use singer::settings::TapCommon;
use singer::tap::LOG_BASED;
use singer::{
    About, Bookmark, Coverage, Error, ErrorKind, Outbox, Reading, Result, ResultExt, Stream, Tap,
};

/// What a user can set.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    /// The log: lines such as `{"table": "a", "row": {"id": 1, "text": "x"}}`, and `commit` behind
    /// those that belong together.
    path: PathBuf,
    /// The tables whose changes are read; each has an `id` and a `text`.
    tables: Vec<String>,
}

/// A line of the log: a row of which columns may be missing.
#[derive(Deserialize)]
struct Change {
    table: String,
    row: Map<String, Value>,
}

struct TapLogExample {
    settings: Settings,
}

impl Tap for TapLogExample {
    const ABOUT: About = About {
        name: "tap-log-example",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads the changes of tables from a file.",
        capabilities: &[LOG_BASED],
    };
    type Settings = Settings;

    fn open(settings: Settings, _common: &TapCommon) -> Result<Self> {
        Ok(Self { settings })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        let stream = |name: &String| {
            let properties = json!({
                "id": { "type": "integer" },
                "text": { "type": ["string", "null"] },
            });
            let mut schema = Map::new();
            schema.insert("properties".to_owned(), properties);
            let mut stream = Stream::new(name, schema, vec!["id".to_owned()]);
            stream.replication_method = ReplicationMethod::LogBased;
            stream
        };
        Ok(self.settings.tables.iter().map(stream).collect())
    }

    fn sync(&mut self, stream: &Stream, _: &Bookmark, _: &mut singer::Rows<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Config, "cannot read a table in full: the tap has only its log")
            .with("stream", &stream.name)
            .hint("set `replication-method` to LOG_BASED"))
    }

    fn sync_log(&mut self, streams: &[(Stream, Bookmark)], out: &mut Outbox) -> Result<()> {
        let text = std::fs::read_to_string(&self.settings.path)
            .or_kind(ErrorKind::NoInput, "cannot read the log")?;
        let places: BTreeMap<&str, usize> =
            streams.iter().enumerate().map(|(place, (one, _))| (one.id.as_str(), place)).collect();
        let read = |bookmark: &Bookmark| bookmark.value["line"].as_u64().unwrap_or_default();
        let read: Vec<u64> = streams.iter().map(|(_, bookmark)| read(bookmark)).collect();
        for (number, line) in (1..).zip(text.lines()) {
            if line == "commit" {
                let behind = |place: usize| (place, json!({ "line": number.max(read[place]) }));
                out.checkpoint((0..streams.len()).map(behind).collect())?;
                continue;
            }
            let change: Change = serde_json::from_str(line)
                .or_kind(ErrorKind::Data, "a line of the log is not a change")
                .map_err(|failure| failure.with("line", number))?;
            let Some(place) = places.get(change.table.as_str()).copied() else { continue };
            if number <= read[place] {
                continue;
            }
            let mut rows = out.rows(place)?;
            for column in &streams[place].0.columns {
                match change.row.get(&column.name) {
                    // The log has what has changed alone.
                    None => rows.absent(),
                    Some(Value::Null) => rows.null(),
                    Some(Value::String(text)) => rows.cell(text.as_bytes())?,
                    Some(value) => rows.cell(value.to_string().as_bytes())?,
                }
            }
            rows.end()?;
        }
        Ok(())
    }

    fn plan(&mut self, _stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let step = format!("{} behind {}", self.settings.path.display(), since.value);
        Ok(Reading { steps: vec![step], coverage: Some(Coverage::since(&since.value)) })
    }
}

fn main() -> std::process::ExitCode {
    singer::run_tap::<TapLogExample>()
}
