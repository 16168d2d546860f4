//! The mapper: maps streams, holds them to contracts, protects personal data, adds row hashes.

#![warn(unreachable_pub)]

use mapping::{Pipeline, Settings};
use singer::{About, Example, Mapper, Result, Route, Stream};

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
        Ok(Self { pipeline: settings.pipeline()? })
    }

    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>> {
        let made = self.pipeline.routes(stream)?;
        Ok(made.unwrap_or_else(|| vec![Route::copy(stream)]))
    }

    fn complete(&mut self, stream_of_tap: &str) -> Result<()> {
        self.pipeline.complete(stream_of_tap)
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
}

fn main() -> std::process::ExitCode {
    singer::run_mapper::<MapStreams>()
}
