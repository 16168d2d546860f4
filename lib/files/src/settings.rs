//! What can be set about the files of a table, in the words of the connectors' settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::Result;

use crate::column::ColumnSetting;
use crate::dialect::{Dialect, byte_or_none};
use crate::format::Format;
use crate::short_text::ShortText;

/// A table of files: one stream.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// The name of the stream.
    pub name: String,
    /// The columns that identify a row.
    pub keys: Vec<String>,
    /// How the files are written; by the endings of their names when not given.
    pub format: Option<Format>,
    /// What stands between fields; that of the format when not given.
    pub delimiter: Option<ShortText>,
    /// How the text is written.
    pub text: TextSettings,
    /// The columns that are not in the files.
    pub metadata: &'static [Metadata],
    /// Whether all files are read when one of them is new, changed or gone.
    pub whole: bool,
    /// Longest record.
    pub record_bytes_max: usize,
    /// How many columns a table may have.
    pub columns_max: usize,
    /// How many bytes a compressed file may give for each of its own.
    pub decompression_ratio_max: u64,
    /// How failures name the settings.
    pub words: Words,
}

/// How a connector calls two of its settings.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The name of a table.
    pub table: &'static str,
    /// The columns of the key.
    pub keys: &'static str,
}

/// A column that is not in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// `_sdc_source_file`: the path of the file.
    File,
    /// `_sdc_source_file_mtime`: when it last changed.
    Modified,
    /// `_sdc_source_lineno`: the line on which the record starts.
    Line,
    /// `_sdc_extra`: the fields beyond those of the header, which then are no fault.
    Extra,
}

impl Metadata {
    /// Returns the name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "_sdc_source_file",
            Self::Modified => "_sdc_source_file_mtime",
            Self::Line => "_sdc_source_lineno",
            Self::Extra => "_sdc_extra",
        }
    }
}

/// How the text of files is written: part of the settings of a table.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "settings, as the reference plugin has them")]
pub struct TextSettings {
    /// Encoding of the files, such as `latin-1`.
    pub encoding: Option<String>,
    /// Character around quoted fields. An empty text means that there are no quoted fields.
    #[serde(default = "quote")]
    pub quotechar: String,
    /// Character that makes the next character an ordinary one. By default there is none.
    pub escapechar: Option<String>,
    /// Reads two quotes inside a quoted field as one quote.
    #[serde(default = "yes")]
    pub doublequote: bool,
    /// Ignores spaces after a delimiter.
    #[serde(default)]
    pub skipinitialspace: bool,
    /// Ends the run if a quote is at a wrong place. By default the tap reads a quoted field that
    /// has text after its closing quote as it stands, with all quotes, and prints a warning. It
    /// ignores blanks after a closing quote.
    #[serde(default)]
    pub strict: bool,
    /// Texts that mean null, with or without quotes, also in strings of JSON. An unquoted empty
    /// field is always null. A text with the `escapechar`, such as `\N`, is compared with the
    /// unquoted field as it stands in the file.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// Number of lines to skip before the header.
    #[serde(default)]
    pub skip_rows: u64,
    /// Number of lines to skip at the end of each file, such as totals and notes. Blank lines
    /// count.
    #[serde(default)]
    pub skip_footer: usize,
    /// Text that a comment line begins with, such as `#`. Such lines are skipped, except inside a
    /// quoted field. `skip_rows` and `skip_footer` count them.
    pub comment: Option<String>,
    /// What happens to a row with fewer or more fields than the header: `fail` ends the run,
    /// `reject` rejects the row. `null` accepts it: missing fields are null, and extra fields at
    /// the end must be empty. By default `reject`, but extra fields go to the column `_sdc_extra`
    /// where there is one.
    pub on_ragged: Option<OnRagged>,
    /// Takes the column names from the first row.
    #[serde(default = "yes")]
    pub header: bool,
    /// Column names of files without a header. By default they are c1, c2 and so on.
    pub columns: Option<Vec<String>>,
    /// Types by column, instead of the inferred types: boolean, integer, number, string, date,
    /// time, date-time, or json for values of any kind. An object with `type` also sets how the
    /// values are written.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnSetting>,
    /// Decimal mark of numbers, such as `,`. This setting and those down to
    /// `two_digit_century_start` apply to columns that have a type in `types`. A value in another
    /// form is rejected.
    pub decimal: Option<String>,
    /// Mark between thousands, such as `.`. A number may have no such marks. If it has any, they
    /// must divide the whole number into groups of three digits.
    pub thousands: Option<String>,
    /// Format of dates: `%d.%m.%Y` as in strptime (with English names of months and days), or
    /// `DD.MM.YYYY`.
    pub date_format: Option<String>,
    /// Format of times, such as `%I:%M %p` or `HH:mm`.
    pub time_format: Option<String>,
    /// Format of date-times, such as `%d.%m.%Y %H:%M:%S%z` or `DD.MM.YYYY HH:mm:ss`. With `%z` the
    /// values have an offset.
    pub datetime_format: Option<String>,
    /// Zone of date-times that have no offset, such as `Europe/Berlin` or `UTC`, for columns that
    /// are `date-time` in `types`. Without this setting they get no offset, a target takes them
    /// as UTC, and the tap warns.
    pub datetime_zone: Option<String>,
    /// Words for true besides `true`, such as `ja` or `Y`. Upper and lower case differ.
    #[serde(default)]
    pub true_values: Vec<String>,
    /// Words for false besides `false`. Upper and lower case differ.
    #[serde(default)]
    pub false_values: Vec<String>,
    /// First of the hundred years that two digits (`%y`, `YY`) may mean: with 1970 they mean 1970
    /// to 2069. Without this setting such formats are refused.
    pub two_digit_century_start: Option<u16>,
    /// Infers the type of each column from all of its values. With `false` all columns are strings.
    #[serde(default = "yes")]
    pub infer_types: bool,
    /// Names columns without a name c1, c2 and so on by position, and adds a number to repeated
    /// names.
    #[serde(default)]
    pub rename_headers: bool,
    /// Accepts a file without a header, that is a file of zero bytes or of skipped lines only. By
    /// default such a file ends the run.
    #[serde(default)]
    pub allow_empty_files: bool,
}

impl TextSettings {
    /// The encoding of files for which none is set.
    pub const ENCODING: &str = "utf-8";

    /// Returns the encoding.
    pub fn encoding(&self) -> &str {
        self.encoding.as_deref().unwrap_or(Self::ENCODING)
    }

    /// Returns the dialect of files with this delimiter.
    ///
    /// Fails with `Config`.
    pub(crate) fn dialect(&self, delimiter: ShortText, record_bytes_max: usize) -> Result<Dialect> {
        let escape = self.escapechar.as_deref().unwrap_or_default();
        let comment = self.comment.as_deref().filter(|text| !text.is_empty());
        Dialect {
            delimiter,
            quote: byte_or_none("quotechar", &self.quotechar)?,
            escape: byte_or_none("escapechar", escape)?,
            double_quote: self.doublequote,
            skip_initial_space: self.skipinitialspace,
            strict: self.strict,
            comment: comment.map(|text| ShortText::read("comment", text)).transpose()?,
            nul_allowed: false,
            marks_allowed: false,
            record_bytes_max,
        }
        .check()
    }
}

/// What a row does that has fewer or more fields than the header.
// Without comments on the variants, so that its schema is a plain list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum OnRagged {
    Fail,
    Null,
    Reject,
}

fn yes() -> bool {
    true
}

fn quote() -> String {
    "\"".to_owned()
}
