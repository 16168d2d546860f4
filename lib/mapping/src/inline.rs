//! The same settings in three places: the mapper, every tap and every target.

use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Result, Route, Stages, Stream, Tap, Target};

use crate::combine::{Combine, CombineSettings};
use crate::contract::{ContractSettings, Guard};
use crate::maps::{MapSettings, Maps, Transformation, Transformations};
use crate::pipeline::Pipeline;

/// What a user can set of what happens to streams.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Settings {
    #[serde(flatten)]
    maps: MapSettings,
    /// Fields that are masked, hashed or removed, after the maps.
    #[serde(default)]
    transformations: Vec<Transformation>,
    #[serde(flatten)]
    contract: ContractSettings,
}

impl Settings {
    /// Makes the stages that the settings ask for.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn pipeline(self) -> Result<Pipeline> {
        self.uniting(None)
    }

    /// Makes the stages that the settings ask for, with one that unites the streams before they
    /// meet their contracts.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn uniting(self, combine: Option<CombineSettings>) -> Result<Pipeline> {
        let mut pipeline = Pipeline::default();
        if !self.maps.is_empty() {
            pipeline.push(Maps::new(&self.maps)?);
        }
        if !self.transformations.is_empty() {
            pipeline.push(Transformations::new(&self.transformations)?);
        }
        let source_column = combine.as_ref().map(|combine| combine.source_column.clone());
        if let Some(combine) = combine {
            pipeline.push(Combine::new(combine));
        }
        if let Some(guard) = Guard::new(self.contract)? {
            pipeline.push(guard.behind_combine(source_column));
        }
        Ok(pipeline)
    }

    /// Returns the names of all settings of this kind.
    #[must_use]
    pub fn names() -> Vec<String> {
        let schema = schemars::schema_for!(Self).to_value();
        let settings = schema["properties"].as_object().into_iter().flatten();
        let names = settings.flat_map(|(name, setting)| {
            let aliases = setting["x-aliases"].as_array().into_iter().flatten();
            let aliases: Vec<String> =
                aliases.filter_map(|one| one.as_str()).map(str::to_owned).collect();
            std::iter::once(name.clone()).chain(aliases)
        });
        names.collect()
    }
}

/// The stages within a tap or a target.
pub struct Inline;

impl singer::Inline for Inline {
    const CAPABILITIES: &'static [&'static str] = &["stream-maps", "schema-flattening"];
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Option<Box<dyn Stages>>> {
        let pipeline = settings.pipeline()?;
        Ok(if pipeline.is_empty() { None } else { Some(Box::new(pipeline)) })
    }
}

impl Stages for Pipeline {
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        Self::routes(self, stream)
    }

    fn complete(&mut self, stream_of_tap: &str) -> Result<()> {
        Self::complete(self, stream_of_tap)
    }

    fn judges(&self, stream_of_tap: &str) -> bool {
        Self::judges(self, stream_of_tap)
    }

    fn unchanged(&mut self, stream_of_tap: &str) {
        Self::unchanged(self, stream_of_tap);
    }

    fn finish(&mut self) -> Result<()> {
        Self::finish(self)
    }

    fn hides_rows(&self) -> bool {
        Self::hides_rows(self)
    }

    fn plan(&self, stream: &str) -> Vec<String> {
        Self::plan(self, stream)
    }
}

/// The whole `main` of a tap with these settings.
#[must_use]
pub fn run_tap<T: Tap>() -> ExitCode {
    singer::run_tap_with::<T, Inline>()
}

/// The whole `main` of a target with these settings.
#[must_use]
pub fn run_target<T: Target>() -> ExitCode {
    singer::run_target_with::<T, Inline>()
}
