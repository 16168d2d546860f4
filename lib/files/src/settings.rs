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
    /// The encoding: utf-8 by default; or utf-16, latin-1, cp1252 or the like.
    pub encoding: Option<String>,
    /// The character around fields; empty for none.
    #[serde(default = "quote")]
    pub quotechar: String,
    /// The character that makes the next one ordinary; none by default.
    pub escapechar: Option<String>,
    /// A quote inside a quoted field is written twice.
    #[serde(default = "yes")]
    pub doublequote: bool,
    /// Spaces after a delimiter are not part of the field.
    #[serde(default)]
    pub skipinitialspace: bool,
    /// Quotes at odd places end the run. Else they are text: a quoted field with text behind its
    /// closing quote is taken as it stands, with all of its quotes, and a warning tells of it;
    /// blanks behind a closing quote are no part of the field.
    #[serde(default)]
    pub strict: bool,
    /// Texts that mean null, quoted or not, and strings of JSON as well; an unquoted empty field
    /// is always null. One with the `escapechar` in it, such as `\N`, is what stands in the file
    /// where there are no quotes.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// How many lines to pass over before the header.
    #[serde(default)]
    pub skip_rows: u64,
    /// How many lines at the end of a file are no rows, such as totals and notes; blank ones count.
    #[serde(default)]
    pub skip_footer: usize,
    /// The beginning of lines that are comments, such as `#`: they are passed over wherever they
    /// stand, but for those inside of a quoted field; `skip_rows` and `skip_footer` count them.
    pub comment: Option<String>,
    /// What a row does that has fewer or more fields than the header: `fail` ends the run, `reject`
    /// sets the row aside as `max_rejects` allows, `null` takes it, with null for the fields that
    /// it lacks and without empty fields behind the last column; a value there rejects it.
    #[serde(default)]
    pub on_ragged: OnRagged,
    /// The first row holds the column names.
    #[serde(default = "yes")]
    pub header: bool,
    /// The column names of files without a header; c1, c2, ... by default.
    pub columns: Option<Vec<String>>,
    /// Types by column, instead of the inferred ones: boolean, integer, number, string, date, time,
    /// date-time, or json, which takes values of any kind, as JSON. An object with `type` says
    /// more: how the values of the column are written.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnSetting>,
    /// The mark before the fraction of numbers, such as `,`; for columns with a type of `types`, as
    /// the settings down to `two_digit_century_start` are. A value in another form does not fit.
    pub decimal: Option<String>,
    /// The mark between thousands, such as `.`; it may be left out of a number, but where it stands
    /// it divides all of the number into groups of three digits.
    pub thousands: Option<String>,
    /// How dates are written: `%d.%m.%Y` as strptime has it (English names of months and days), or
    /// `DD.MM.YYYY`.
    pub date_format: Option<String>,
    /// How times are written, such as `%I:%M %p` or `HH:mm`.
    pub time_format: Option<String>,
    /// How date-times are written, such as `%d.%m.%Y %H:%M:%S%z` or `DD.MM.YYYY HH:mm:ss`; they
    /// have an offset where `%z` says it.
    pub datetime_format: Option<String>,
    /// Words for true besides `true`, such as `ja` or `Y`, as they are written.
    #[serde(default)]
    pub true_values: Vec<String>,
    /// Words for false besides `false`.
    #[serde(default)]
    pub false_values: Vec<String>,
    /// The first of the hundred years that two digits (`%y`, `YY`) may mean: with 1970 they are
    /// 1970 to 2069. Without it such formats are refused.
    pub two_digit_century_start: Option<u16>,
    /// Infers types from all values of a column; else columns are strings.
    #[serde(default = "yes")]
    pub infer_types: bool,
    /// Gives empty column names the name c1, c2, ... by position, and repeated ones a number.
    #[serde(default)]
    pub rename_headers: bool,
    /// Takes a file of zero bytes, or of lines that are all passed over, for one without rows,
    /// instead of ending the run.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum OnRagged {
    Fail,
    Null,
    #[default]
    Reject,
}

fn yes() -> bool {
    true
}

fn quote() -> String {
    "\"".to_owned()
}
