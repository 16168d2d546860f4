//! The mapper: holds streams to contracts, protects personal data, adds row hashes.

use mapping::Pipeline;
use mapping::contract::{ContractSettings, Guard};
use schemars::JsonSchema;
use serde::Deserialize;
use singer::{About, Example, Mapper, Result, Route, Stream};

/// What a user can set.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    #[serde(flatten)]
    contract: ContractSettings,
}

struct MapStreams {
    pipeline: Pipeline,
}

impl Mapper for MapStreams {
    const ABOUT: About = About {
        name: "map-streams",
        version: env!("CARGO_PKG_VERSION"),
        description: "Holds streams to contracts, protects personal data, adds row hashes.",
        capabilities: &[],
    };
    const EXAMPLES: &'static [Example] = &[];
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Self> {
        let mut pipeline = Pipeline::default();
        if let Some(guard) = Guard::new(settings.contract)? {
            pipeline.push(guard);
        }
        Ok(Self { pipeline })
    }

    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>> {
        let made = self.pipeline.routes(stream)?;
        Ok(made.unwrap_or_else(|| vec![Route::copy(stream)]))
    }

    fn complete(&mut self, stream_of_tap: &str) -> Result<()> {
        self.pipeline.complete(stream_of_tap)
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
