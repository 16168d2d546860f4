//! The settings of tap-lake.

use schemars::JsonSchema;
use serde::Deserialize;

/// The settings of tap-lake.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TapLakeSettings {
    /// Output folder of earlier extracts.
    #[schemars(extend("x-aliases" = ["output_path", "lake"], "x-role" = "lake-root"))]
    pub output: String,
    /// Day to read, as YYYY-MM-DD.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: String,
    /// Source to read. By default all sources that have the day are read.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Refuses a day without a finished run record. In this record the run that wrote the day lists
    /// its tables, so that the tap knows that none is missing.
    #[serde(default = "yes")]
    pub require_run_record: bool,
    /// Writes the schemas of all tables before the first row, and reads every table whatever the
    /// state says. Set it if a mapper makes one stream of all tables (`combine`).
    #[serde(default)]
    pub united: bool,
}

fn yes() -> bool {
    true
}
