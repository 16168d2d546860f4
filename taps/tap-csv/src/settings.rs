//! The settings of tap-csv.

use std::path::{Path, PathBuf};

use files::settings::Words;
use files::{Disk, Format, Metadata, ShortText, Table, TableSettings, TextSettings};
use schemars::JsonSchema;
use serde::Deserialize;
use singer::settings::Common;
use singer::{Context, Error, ErrorKind, OtherSetting, Result, ResultExt, private_file};

/// The settings of tap-csv.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TapCsvSettings {
    /// Files to read, one entry per stream.
    #[serde(default)]
    pub files: Vec<FileSettings>,
    /// Path of a JSON file that has the list of `files`. Set this or `files`.
    pub csv_files_definition: Option<String>,
    /// Adds the columns `_sdc_source_file`, `_sdc_source_file_mtime` and `_sdc_source_lineno`.
    #[serde(default)]
    pub add_metadata_columns: bool,
    /// Output folder of earlier extracts. Set it instead of `files` to read one day of that folder.
    #[schemars(extend("x-aliases" = ["output_path", "lake"], "x-role" = "lake-root"))]
    pub output: Option<String>,
    /// With `output`: source to read. By default all sources that have the day are read.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// With `output`: day to read, as YYYY-MM-DD.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// With `output`: refuses a day that no run has finished.
    #[serde(default = "yes")]
    pub require_run_record: bool,
    /// Reads all files of an entity again when one of them is new, changed or gone. Set it if the
    /// target replaces whole days or tables.
    #[serde(default)]
    pub whole_tables: bool,
    /// Largest number of bytes that one byte of a compressed file may give. The limit applies after
    /// the first 64 MiB.
    #[serde(default = "decompression_ratio_max")]
    pub decompression_ratio_max: u64,
}

/// One entry of `files`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// Name of the stream.
    pub entity: String,
    /// A file, a folder or a pattern of paths. In a folder the tap reads the files with known
    /// endings, at any depth. Hidden files and folders are read only if the path names them with
    /// their dot.
    pub path: String,
    /// Format of the files. By default the ending of a file decides: .csv, .tsv, .psv, .json (an
    /// array of objects, or one object) or .jsonl and .ndjson (one object per line), also
    /// compressed (.gz, .zst, .bz2, .xz) or in a .zip. For .txt the first lines decide. Other files
    /// are read as csv.
    pub format: Option<Format>,
    /// Makes each file a stream of its own, whose name is `entity`, a `/` and the path of the file
    /// below the folder. Only files that are new or changed are then read again.
    #[serde(default)]
    pub each_file: bool,
    /// Columns that identify a row.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Text between two fields: one or more characters; `\t` is a tab. By default the format
    /// decides.
    pub delimiter: Option<String>,
    #[serde(flatten)]
    pub text: TextSettings,
}

/// How failures name the settings of an entry.
pub const WORDS: Words = Words { table: "entity", keys: "keys" };

/// Where the rows come from: exactly one of three.
#[derive(Debug)]
pub enum Origin {
    /// Entries of `files`, or of the file that `csv_files_definition` names.
    Files(Vec<FileSettings>),
    /// A day of the lake.
    Day {
        /// The output folder.
        output: String,
        /// The day.
        datestamp: String,
    },
}

impl FileSettings {
    /// Returns an entry for each file, if that is wanted.
    pub fn each(self, common: &Common) -> Result<Vec<Self>> {
        if !self.each_file {
            return Ok(vec![self]);
        }
        let folder = folder_of(&self.path);
        let own = std::fs::canonicalize(&common.rejects_file).ok();
        let mut entries = Vec::new();
        for path in files::paths::find(&self.path).with("entity", &self.entity)? {
            if own.is_some() && std::fs::canonicalize(&path).ok() == own {
                continue;
            }
            let below = path.strip_prefix(&folder).unwrap_or(&path);
            let (Some(path), Some(below)) = (path.to_str(), below.to_str()) else {
                return Err(Error::new(ErrorKind::Data, "cannot name a stream after a file")
                    .with("path", path.display())
                    .hint("rename the file: its name is not UTF-8"));
            };
            let entity = format!("{}/{below}", self.entity);
            entries.push(Self { entity, path: path.to_owned(), ..self.clone() });
        }
        Ok(entries)
    }

    /// Returns the table of the files.
    pub fn table(self, given: &TapCsvSettings, common: &Common) -> Result<Table> {
        const COLUMNS: [Metadata; 3] = [Metadata::File, Metadata::Modified, Metadata::Line];
        let delimiter = self.delimiter.as_deref().map(|text| ShortText::read("delimiter", text));
        let delimiter = delimiter.transpose().with("entity", &self.entity)?;
        let any_ending = self.format.is_some();
        let settings = TableSettings {
            name: self.entity,
            keys: self.keys,
            format: self.format,
            delimiter,
            text: self.text,
            metadata: if given.add_metadata_columns { &COLUMNS } else { &[] },
            whole: given.whole_tables,
            record_bytes_max: common.max_record_bytes,
            columns_max: common.max_columns,
            decompression_ratio_max: given.decompression_ratio_max,
            words: WORDS,
        };
        let disk = Disk::new(self.path).without(&common.rejects_file);
        let disk = disk.with_members(any_ending, given.decompression_ratio_max);
        Table::new(settings, Box::new(disk))
    }
}

/// Returns the folder whose files a path or pattern names.
fn folder_of(path: &str) -> PathBuf {
    let path = Path::new(path);
    if path.is_dir() {
        return path.to_owned();
    }
    let is_plain = |part: &std::path::Component<'_>| {
        !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{'])
    };
    let plain: PathBuf = path.components().take_while(is_plain).collect();
    if plain == path { plain.parent().map_or(PathBuf::new(), Path::to_owned) } else { plain }
}

impl TapCsvSettings {
    /// Tells which of the three origins the settings name.
    pub fn origin(&self) -> Result<Origin> {
        let definition = self.csv_files_definition.as_ref().filter(|path| !path.is_empty());
        let output = self.output.as_ref().filter(|path| !path.is_empty());
        let files = !self.files.is_empty();
        self.tell_unused(output.is_some());
        match (files, definition, output) {
            (true, None, None) => Ok(Origin::Files(self.files.clone())),
            (false, Some(path), None) => definition_of(path).map(Origin::Files),
            (false, None, Some(output)) => {
                let datestamp = self.datestamp.clone().ok_or_else(|| {
                    Error::new(ErrorKind::Config, "cannot read a day of `output` without its date")
                        .hint("set `datestamp` to the day, as YYYY-MM-DD")
                })?;
                Ok(Origin::Day { output: output.clone(), datestamp })
            }
            (false, None, None) => {
                Err(Error::new(ErrorKind::Config, "the settings do not say what to read")
                    .hint("set `files`, or `csv_files_definition`, or `output` and `datestamp`"))
            }
            _ => Err(Error::new(ErrorKind::Config, "cannot read files and a day at once")
                .hint("set one of `files`, `csv_files_definition` and `output`")),
        }
    }

    /// Tells of settings that are not the default and have no effect: none is skipped silently.
    fn tell_unused(&self, is_day: bool) {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        // `whole_tables` holds for a day anyway: each of its tables is read as a whole.
        let of_files = [
            ("add_metadata_columns", self.add_metadata_columns),
            ("decompression_ratio_max", self.decompression_ratio_max != decompression_ratio_max()),
        ];
        let of_days = [
            ("source", given(&self.source)),
            ("datestamp", given(&self.datestamp)),
            ("require_run_record", !self.require_run_record),
        ];
        let (unused, beside) =
            if is_day { (&of_files[..], "with") } else { (&of_days[..], "without") };
        for (name, _) in unused.iter().filter(|(_, is_set)| *is_set) {
            singer::warn!("W-SETTING-UNUSED", "setting `{name}` has no effect {beside} `output`");
        }
    }
}

fn definition_of(path: &str) -> Result<Vec<FileSettings>> {
    let message = "cannot read the definition of the files";
    let read = private_file::read(Path::new(path));
    let (text, _) = read.or_kind(ErrorKind::Config, message).with("path", path)?;
    let files: Vec<FileSettings> = serde_json::from_slice(&text)
        .or_kind(ErrorKind::Config, message)
        .with("setting", "csv_files_definition")
        .with("path", path)
        .hint("write a JSON list of entries with `entity`, `path` and `keys`")?;
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Config, message)
            .with("path", path)
            .hint("the list is empty: add an entry"));
    }
    Ok(files)
}

fn yes() -> bool {
    true
}

fn decompression_ratio_max() -> u64 {
    files::Limits::default().ratio_max
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::not_yet("path", "null", "set `files`, with `entity`, `path` and `keys`"),
    OtherSetting::not_yet("stream_name", "null", "set `entity` of an entry of `files`"),
    OtherSetting::not_yet("read_mode", "null", "list the paths in `files`: each entry is a stream"),
    OtherSetting::not_yet("filesystem", "\"local\"", "tap-sftp reads from SFTP servers"),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn origin(settings: Value) -> Result<Origin> {
        serde_json::from_value::<TapCsvSettings>(settings).unwrap().origin()
    }

    #[test]
    fn takes_exactly_one_origin() {
        let file = json!({"entity": "a", "path": "a.csv"});
        assert!(matches!(origin(json!({"files": [file]})), Ok(Origin::Files(_))));
        let day = json!({"output": "output", "datestamp": "2024-01-01"});
        assert!(matches!(origin(day), Ok(Origin::Day { .. })));
        for settings in [
            json!({}),
            json!({"files": []}),
            json!({"output": "output"}),
            json!({"files": [file], "output": "output", "datestamp": "2024-01-01"}),
            json!({"files": [file], "csv_files_definition": "x.json"}),
            json!({"csv_files_definition": "/nonexistent.json"}),
        ] {
            assert_eq!(
                origin(settings.clone()).unwrap_err().kind(),
                ErrorKind::Config,
                "{settings}"
            );
        }
    }

    #[test]
    fn reads_a_definition_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("files.json");
        let check = |text: &str, expected: Option<usize>| {
            std::fs::write(&path, text).unwrap();
            let found = origin(json!({"csv_files_definition": path}));
            match (found, expected) {
                (Ok(Origin::Files(files)), Some(expected)) => assert_eq!(files.len(), expected),
                (Err(failure), None) => assert_eq!(failure.kind(), ErrorKind::Config, "{failure}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        check(r#"[{"entity":"a","path":"a.csv","keys":["id"]}]"#, Some(1));
        check(r#"[{"entity":"a","path":"a.csv","delimeter":";"}]"#, None);
        check("{}", None);
        check("[]", None);
    }
}
