//! A tap that lists the files of a folder: the example of a new connector.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};
use singer::settings::TapCommon;
use singer::{About, Bookmark, Error, ErrorKind, Reading, Result, ResultExt, Rows, Stream, Tap};

/// What a user can set. The first sentence of each comment becomes the documentation.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    /// The folder whose files are listed, with those of its subfolders.
    path: PathBuf,
    /// Whether files whose names start with a dot are listed too.
    #[serde(default)]
    hidden: bool,
}

/// The tap, opened on a folder that is there.
struct TapExample {
    settings: Settings,
}

impl Tap for TapExample {
    const ABOUT: About = About {
        name: "tap-example",
        version: env!("CARGO_PKG_VERSION"),
        description: "Lists the files of a folder.",
        capabilities: &[],
    };
    type Settings = Settings;

    fn open(settings: Settings, _common: &TapCommon) -> Result<Self> {
        if settings.path.is_dir() {
            return Ok(Self { settings });
        }
        Err(Error::new(ErrorKind::NoInput, "cannot find the folder")
            .with("path", settings.path.display())
            .hint("check `path`; relative paths start at the folder in which the command runs"))
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert(
            "properties".to_owned(),
            json!({
                "path": { "type": "string" },
                "bytes": { "type": "integer" },
                "modified": { "type": ["string", "null"], "format": "date-time" },
            }),
        );
        Ok(vec![Stream::new("files", schema, vec!["path".to_owned()])])
    }

    fn sync(&mut self, stream: &Stream, _since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        // Sorted, so that the same folder always gives the same rows.
        for entry in walkdir::WalkDir::new(&self.settings.path).sort_by_file_name() {
            let entry = entry.or_kind(ErrorKind::Io, "cannot list the folder")?;
            if !entry.file_type().is_file() || !self.wants(entry.path()) {
                continue;
            }
            let facts = entry.metadata().or_kind(ErrorKind::Io, "cannot check the file")?;
            // Selection may have left out columns: write those that are there, in their order.
            for column in &stream.columns {
                match column.name.as_str() {
                    "path" => rows.cell(text(entry.path())?.as_bytes())?,
                    "bytes" => rows.cell(facts.len().to_string().as_bytes())?,
                    _ => match facts.modified().ok().and_then(|at| at.try_into().ok()) {
                        Some(at) => {
                            let at: jiff::Timestamp = at;
                            rows.cell(at.to_string().as_bytes())?;
                        }
                        None => rows.null(),
                    },
                }
            }
            rows.end()?;
        }
        Ok(())
    }

    fn plan(&mut self, _stream: &Stream, _since: &Bookmark) -> Result<Reading> {
        Ok(Reading { steps: vec![text(&self.settings.path)?.to_owned()], coverage: None })
    }
}

impl TapExample {
    fn wants(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(&self.settings.path).unwrap_or(path);
        let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
        self.settings.hidden || !inside.iter().any(hidden)
    }
}

/// A name that is not UTF-8 cannot be a Singer value: say so instead of changing it.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::Data, "cannot list a file whose name is not UTF-8")
            .with("path", path.display())
            .hint("rename the file, or list another folder")
    })
}

fn main() -> std::process::ExitCode {
    singer::run_tap::<TapExample>()
}
