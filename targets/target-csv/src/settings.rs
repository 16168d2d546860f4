//! The settings of target-csv.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::OtherSetting;

/// The settings of target-csv.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Folder for the files. By default `output` for partitions, and the current folder for other
    /// files.
    #[schemars(extend("x-aliases" = ["destination_path"], "x-role" = "output-folder"))]
    pub output_path: Option<String>,
    /// Path of a stream's file below `output_path`. Both may contain `{stream_name}`, `{source}`,
    /// `{datestamp}` and `{timestamp}`. A path that ends in
    /// `source=S/extracted_at={datestamp}/table={stream_name}/FILE` makes the target write
    /// partitions: each has a manifest and is published in one step. The default is
    /// `source={source}/extracted_at={datestamp}/table={stream_name}/{timestamp}.csv` if `source`
    /// is set, else `{stream_name}.csv`.
    #[schemars(extend("x-role" = "naming-scheme"))]
    pub file_naming_scheme: Option<String>,
    /// Name of the source, for `{source}`.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Day of the extract, as YYYY-MM-DD, for `{datestamp}`. By default today.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// Format of `{datestamp}`, as in strftime. Partitions need the default.
    pub datestamp_format: String,
    /// Format of `{timestamp}`, as in strftime. `{timestamp}` is the time at which the run began.
    /// If two runs give the same text, they write the same file.
    pub timestamp_format: String,
    /// Time zone of `{timestamp}` and of today, by its IANA name.
    pub timestamp_timezone: String,
    /// What happens to a file that already exists: `replace_file` replaces it. `append_records` is
    /// not supported and ends the run.
    pub overwrite_behavior: OverwriteBehavior,
    /// Adds the columns `_sdc_extracted_at`, `_sdc_received_at`, `_sdc_batched_at`,
    /// `_sdc_deleted_at`, `_sdc_sequence` and `_sdc_table_version`. Because they contain times, the
    /// files of two runs with the same rows then differ.
    pub add_record_metadata: bool,
    /// Which columns `add_record_metadata` adds, by name. By default all of them.
    pub metadata_columns: Option<Vec<String>>,
    /// Replaces the folder of a partition that has no manifest. Another program wrote such a
    /// folder, so by default the target refuses to replace it.
    pub adopt: bool,
    /// Character between two fields. Partitions always have a comma.
    pub delimiter: String,
    /// Character around fields that need quotes. Only `"` is supported.
    pub quotechar: String,
    /// Character before a quote inside a quoted field. Only `"` is supported, which doubles the
    /// quote.
    pub escape_character: Option<String>,
    /// Encoding of the files. Only UTF-8 is supported.
    pub encoding: String,
    /// Puts a `'` before text that a spreadsheet would read as a formula. Not allowed for
    /// partitions, because they keep every value as it came.
    pub spreadsheet_safe: bool,
    /// Column to sort by. Not supported: rows are written in the order in which they come.
    pub record_sort_property_name: Option<String>,
}

impl Settings {
    /// Tells whether a metadata column is added.
    pub fn adds(&self, column: &str) -> bool {
        singer::metadata::adds(self.add_record_metadata, self.metadata_columns.as_deref(), column)
    }
}

/// What happens to a file that already exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverwriteBehavior {
    /// The new file replaces it.
    #[default]
    ReplaceFile,
    /// Not supported.
    AppendRecords,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            output_path: None,
            file_naming_scheme: None,
            source: None,
            datestamp: None,
            datestamp_format: "%Y-%m-%d".to_owned(),
            timestamp_format: "%Y-%m-%d.T%H%M%S".to_owned(),
            timestamp_timezone: "UTC".to_owned(),
            overwrite_behavior: OverwriteBehavior::ReplaceFile,
            add_record_metadata: false,
            metadata_columns: None,
            adopt: false,
            delimiter: ",".to_owned(),
            quotechar: "\"".to_owned(),
            escape_character: None,
            encoding: "utf-8".to_owned(),
            spreadsheet_safe: false,
            record_sort_property_name: None,
        }
    }
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::without_effect("batch_size_rows"),
    OtherSetting::without_effect("process_activate_version_messages"),
    OtherSetting::without_effect("activate_version"),
    OtherSetting::not_yet(
        "load_method",
        "\"append-only\"",
        "remove it: a file is replaced by each run",
    ),
    OtherSetting::not_yet("hard_delete", "false", "remove it: files hold the rows of one run"),
    OtherSetting::not_yet("output_path_prefix", "null", "set `output_path`"),
];
