//! The settings of tap-lake.

use schemars::JsonSchema;
use serde::Deserialize;

/// The settings of tap-lake.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TapLakeSettings {
    /// The output folder of earlier extracts.
    #[schemars(extend("x-aliases" = ["output_path", "lake"], "x-role" = "lake-root"))]
    pub output: String,
    /// The day to read, as YYYY-MM-DD.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: String,
    /// The source to read; without it every source that has the day.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Refuses a day that no run has finished.
    #[serde(default = "yes")]
    pub require_run_record: bool,
    /// One of the common settings, which the reader of the files keeps to as well.
    #[serde(default = "max_record_bytes")]
    #[schemars(skip)]
    pub max_record_bytes: usize,
    /// One of the common settings, which has no effect here: that is told.
    #[schemars(skip)]
    pub start_date: Option<String>,
}

fn yes() -> bool {
    true
}

fn max_record_bytes() -> usize {
    singer::settings::Common::default().max_record_bytes
}
