//! The mapper: maps streams, holds them to contracts, protects personal data, adds row hashes.

#![warn(unreachable_pub)]

use std::sync::Arc;

use mapping::Pipeline;
use mapping::combine::CombineSettings;
use schemars::JsonSchema;
use serde::Deserialize;
use singer::{About, Example, Mapper, Result, Route, Stream};

/// What a user can set.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    /// Makes one stream of all streams: united by the names of their columns, with a column that
    /// names the stream of a row. Columns that a stream lacks are NULL, and types become as wide as
    /// they must.
    combine: Option<CombineSettings>,
    #[serde(flatten)]
    others: mapping::Settings,
}

struct MapStreams {
    pipeline: Pipeline,
}

impl Mapper for MapStreams {
    const ABOUT: About = About {
        name: "map-streams",
        version: env!("CARGO_PKG_VERSION"),
        description: "Maps streams and properties, holds streams to contracts, protects personal \
                      data.",
        capabilities: &["stream-maps", "schema-flattening"],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Map what a tap prints",
        line: "tap-csv --config t.json | {} --config m.json > mapped.jsonl",
    }];
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Self> {
        Ok(Self { pipeline: settings.others.uniting(settings.combine)? })
    }

    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>> {
        let made = self.pipeline.routes(stream)?;
        Ok(made.unwrap_or_else(|| vec![Route::copy(stream)]))
    }

    fn announce(&mut self, streams: &[Arc<Stream>]) -> Result<()> {
        let streams: Vec<Stream> = streams.iter().map(|stream| Stream::clone(stream)).collect();
        self.pipeline.announce(&streams)
    }

    fn renewed(&mut self) -> Vec<String> {
        self.pipeline.renewed()
    }

    fn complete(&mut self, stream_of_tap: &str) -> Result<()> {
        self.pipeline.complete(stream_of_tap)
    }

    fn judges(&self, stream_of_tap: &str) -> bool {
        self.pipeline.judges(stream_of_tap)
    }

    fn unchanged(&mut self, stream_of_tap: &str) {
        self.pipeline.unchanged(stream_of_tap);
    }

    fn finish(&mut self) -> Result<()> {
        self.pipeline.finish()
    }

    fn hides_rows(&self) -> bool {
        self.pipeline.hides_rows()
    }

    fn plan(&self, stream: &str) -> Vec<String> {
        self.pipeline.plan(stream)
    }
}

fn main() -> std::process::ExitCode {
    singer::run_mapper::<MapStreams>()
}
