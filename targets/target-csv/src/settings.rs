//! The settings of target-csv.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::OtherSetting;

/// What target-csv needs to know.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Folder that files are written below; `output` when partitions are written, else the
    /// current folder.
    #[schemars(extend("x-aliases" = ["destination_path"], "x-role" = "output-folder"))]
    pub output_path: Option<String>,
    /// Path of a stream's file below `output_path`, with `{stream_name}`, `{source}`,
    /// `{datestamp}` and `{timestamp}`, which `output_path` may have, too. Where the whole of both
    /// ends in `source=S/extracted_at={datestamp}/table={stream_name}/FILE`, partitions are
    /// written: whole, with a manifest (a file that lists their files, columns, types and keys),
    /// published in one step. The default is
    /// `source={source}/extracted_at={datestamp}/table={stream_name}/{timestamp}.csv` when `source`
    /// is set, else `{stream_name}.csv`.
    #[schemars(extend("x-role" = "naming-scheme"))]
    pub file_naming_scheme: Option<String>,
    /// Name of the source, for `{source}`.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Day the extract belongs to, as YYYY-MM-DD, for `{datestamp}`; the default is today.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// How `{datestamp}` is written, as for strftime; partitions need the default.
    pub datestamp_format: String,
    /// How `{timestamp}`, the time the run began, is written, as for strftime; runs whose times are
    /// written the same have one file.
    pub timestamp_format: String,
    /// Time zone of `{timestamp}` and of today, by its IANA name.
    pub timestamp_timezone: String,
    /// What to do with a file that is there: `replace_file`; `append_records` is refused.
    pub overwrite_behavior: OverwriteBehavior,
    /// Add the columns `_sdc_extracted_at`, `_sdc_received_at`, `_sdc_batched_at`,
    /// `_sdc_deleted_at`, `_sdc_sequence` and `_sdc_table_version`; their times make the files of
    /// two runs differ.
    pub add_record_metadata: bool,
    /// Which of the columns of `add_record_metadata` to add, by their names; without it all of
    /// them.
    pub metadata_columns: Option<Vec<String>>,
    /// Replace a partition's folder that has no manifest, so was made by another program.
    pub adopt: bool,
    /// Character between fields; partitions are always written with a comma.
    pub delimiter: String,
    /// Character around fields that need it; only `"` can be had.
    pub quotechar: String,
    /// Character before a quote inside a quoted field; only `"`, which doubles it, can be had.
    pub escape_character: Option<String>,
    /// Encoding of the files; only UTF-8 can be had.
    pub encoding: String,
    /// Put a `'` before text that a spreadsheet would take for a formula; not for partitions, which
    /// hold exactly what came.
    pub spreadsheet_safe: bool,
    /// Column to sort by; refused, rows are written as they come.
    pub record_sort_property_name: Option<String>,
}

impl Settings {
    /// Tells whether a metadata column is added.
    pub fn adds(&self, column: &str) -> bool {
        singer::metadata::adds(self.add_record_metadata, self.metadata_columns.as_deref(), column)
    }
}

/// What to do with a file that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverwriteBehavior {
    /// The new file takes its place.
    #[default]
    ReplaceFile,
    /// Refused.
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
