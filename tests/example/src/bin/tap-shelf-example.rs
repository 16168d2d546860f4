//! A tap that reads a day of the lake by settings of other names: it says what they are for.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};
use singer::settings::TapCommon;
use singer::{About, Bookmark, Reading, Result, Rows, Stream, Tap};

/// What a user can set: none of the names is one of another tap's.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    /// The folder of the lake.
    #[schemars(extend("x-role" = "lake-root"))]
    shelf: String,
    /// The day to read.
    #[schemars(extend("x-role" = "datestamp"))]
    when: String,
}

/// The tap: its one row is what it was set to read.
struct Shelf(Settings);

impl Tap for Shelf {
    const ABOUT: About = About {
        name: "tap-shelf-example",
        version: env!("CARGO_PKG_VERSION"),
        description: "Tells which day it would read.",
        capabilities: &["whole-bookmarks"],
    };
    type Settings = Settings;

    fn open(settings: Settings, _common: &TapCommon) -> Result<Self> {
        Ok(Self(settings))
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), json!({ "day": { "type": "string" } }));
        Ok(vec![Stream::new("days", schema, vec!["day".to_owned()])])
    }

    fn sync(&mut self, _: &Stream, _: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        rows.cell(self.path().as_bytes())?;
        rows.end()
    }

    fn plan(&mut self, _: &Stream, _: &Bookmark) -> Result<Reading> {
        Ok(Reading { steps: vec![self.path()], coverage: None })
    }
}

impl Shelf {
    fn path(&self) -> String {
        format!("{}/{}", self.0.shelf, self.0.when)
    }
}

fn main() -> std::process::ExitCode {
    singer::run_tap::<Shelf>()
}
