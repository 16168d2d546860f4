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
    /// Refuses a day that no run has finished: one without a run record, in which the run that has
    /// written a day lists its tables.
    #[serde(default = "yes")]
    pub require_run_record: bool,
}

fn yes() -> bool {
    true
}
