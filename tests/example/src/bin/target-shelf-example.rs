//! A target that says what its settings are for, and keeps nothing: nobody knows it by name.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::target::{Durability, End, Sink};
use singer::{About, Batch, Planned, Rejects, Result, Stream, Target};

/// What a user can set: none of the names is one of another target's.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it keeps nothing")]
struct Settings {
    /// Folder that files are written below.
    #[schemars(extend("x-role" = "output-folder"))]
    shelf: Option<String>,
    /// Path of a stream's file below it.
    #[schemars(extend("x-role" = "naming-scheme"))]
    label: Option<String>,
    /// Name of the source.
    #[schemars(extend("x-role" = "source"))]
    origin: Option<String>,
    /// Day the extract belongs to.
    #[schemars(extend("x-role" = "datestamp"))]
    when: Option<String>,
}

/// What it keeps: nothing.
struct Nothing;

impl Target for Nothing {
    const ABOUT: About = About {
        name: "target-shelf-example",
        version: env!("CARGO_PKG_VERSION"),
        description: "Keeps nothing.",
        capabilities: &[],
    };
    type Settings = Settings;
    type Sink = Self;

    fn open(_: Settings) -> Result<Self> {
        Ok(Self)
    }

    fn sink(&mut self, _: &Stream) -> Result<Self> {
        Ok(Self)
    }

    fn shared(&mut self) -> &mut Self {
        self
    }

    fn plan(_: Settings, _: &[Arc<Stream>]) -> Result<Vec<Planned>> {
        Ok(Vec::new())
    }
}

impl Sink for Nothing {
    type Shared = Self;

    fn write(&mut self, _: &mut Self, _: &Batch, _: &Rejects) -> Result<()> {
        Ok(())
    }

    fn evolve(&mut self, _: &mut Self, _: &Stream) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self, _: &mut Self) -> Result<Durability> {
        Ok(Durability::Durable)
    }

    fn complete(&mut self, _: &mut Self, _: End) -> Result<Durability> {
        Ok(Durability::Durable)
    }

    fn activate(&mut self, _: i64, _: bool) -> Result<()> {
        Ok(())
    }

    fn heeds_versions(&self) -> bool {
        false
    }
}

fn main() -> std::process::ExitCode {
    singer::run_target::<Nothing>()
}
