//! The settings of tap-sftp.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use files::ColumnType;
use files::settings::Words;
use files::{Format, Metadata, ShortText, TableSettings, TextSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sftp::{Options, Trust, keys};
use singer::settings::Common;
use singer::{Context, Error, ErrorKind, Fingerprint, OtherSetting, Result, Secret, server_name};

/// The settings of tap-sftp.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "settings, each of its own")]
pub struct TapSftpSettings {
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    #[serde(default = "port")]
    pub port: u16,
    /// Name of the user.
    #[schemars(extend("x-aliases" = ["user"]))]
    pub username: String,
    /// Password of the user, if the server asks for one.
    pub password: Option<Secret>,
    /// Path of a private key: ed25519, ECDSA or RSA, in the format of OpenSSH, PEM or `PuTTY`. Only
    /// its owner may have the right to read the file.
    pub private_key_file: Option<String>,
    /// Text of a private key. The line ends may be `\n` or blanks, and the text may be base64.
    pub private_key: Option<Secret>,
    /// Passphrase of the private key.
    pub private_key_passphrase: Option<Secret>,
    /// Uses the keys of the SSH agent at `SSH_AUTH_SOCK`.
    #[schemars(extend("x-pass-env" = ["SSH_AUTH_SOCK"]))]
    #[serde(default)]
    pub use_agent: bool,
    /// File with the keys of known servers. By default `~/.ssh/known_hosts`.
    pub known_hosts_file: Option<String>,
    /// Fingerprint of the server's key, as `SHA256:...` with 43 characters. It replaces the file of
    /// known servers.
    pub host_key_fingerprint: Option<String>,
    /// Accepts SHA-1 and ciphers in CBC mode if the server offers nothing better. They are weak: an
    /// attacker on the network may be able to read the data or pose as the server.
    #[serde(default)]
    pub legacy_algorithms: bool,
    /// Folder at which relative paths start. By default the folder of the login.
    pub user_dir: Option<String>,
    /// Tables to read, one entry per stream, as a list or as its JSON text.
    pub tables: Tables,
    /// Adds `_sdc_source_file`, `_sdc_source_lineno`, and `_sdc_extra` for extra fields of a row.
    #[serde(default = "yes")]
    pub add_metadata_columns: bool,
    /// Encoding of tables without an `encoding` of their own.
    pub encoding_format: Option<String>,
    /// Seconds for which a file must have been unchanged before it is read. With 10 or less, the
    /// run waits this long and then reads a newer file if it has not changed. With more than 10,
    /// newer files are left for the next run. A file whose time cannot be right is checked twice,
    /// at most 10 seconds apart.
    #[serde(default = "stability_seconds")]
    pub stability_seconds: u64,
    /// Patterns of names of files and folders to ignore. They do not apply to a name or pattern
    /// that is part of `remote_path`, as in `/in/*.tmp`.
    #[serde(default = "ignore_patterns")]
    pub ignore_patterns: Vec<String>,
    /// Prints a warning if no file is found for a table. By default this ends the run.
    #[serde(default)]
    pub warning_if_no_files: bool,
    /// Largest number of names that the tap looks at to find the files of a table.
    #[serde(default = "max_files")]
    pub max_files: usize,
    /// Reads all files of a table again when one of them is new, changed or gone. Set it if the
    /// target replaces whole days or tables. If a file is still being written, the run ends with
    /// exit code 75.
    #[serde(default)]
    pub whole_tables: bool,
    /// Largest number of bytes that one byte of a compressed file may give. The limit applies after
    /// the first 64 MiB.
    #[serde(default = "decompression_ratio_max")]
    pub decompression_ratio_max: u64,
    /// Seconds that connecting and logging in may take.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: u64,
    /// Seconds to wait for an answer of the server.
    #[serde(default = "request_timeout")]
    pub request_timeout: u64,
    /// Number of times in a row that the tap connects again after a lost connection. The count
    /// starts again when data has arrived.
    #[serde(default = "max_reconnects")]
    pub max_reconnects: usize,
}

/// The value of `tables`.
#[derive(Debug)]
pub struct Tables(Vec<TableEntry>);

/// One entry of `tables`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// Name of the stream.
    pub table_name: String,
    /// A file, a folder or a pattern of paths. In a folder the tap reads the files with known
    /// endings, at any depth.
    pub remote_path: Option<String>,
    /// Folder whose files are searched, at any depth. Set this or `remote_path`.
    pub search_prefix: Option<String>,
    /// Regular expression that must be found in the path of a file. This path begins with
    /// `search_prefix` (or `.` if there is none), with or without doubled slashes.
    pub search_pattern: Option<String>,
    /// Columns that identify a row. By default there are none.
    #[serde(default)]
    pub key_properties: Vec<String>,
    /// Format of the files. By default the ending of a file decides: .csv, .tsv, .psv, .json (an
    /// array of objects, or one object) or .jsonl and .ndjson (one object per line), also
    /// compressed (.gz, .zst, .bz2, .xz) or in a .zip. Other files are read as csv.
    pub format: Option<Format>,
    /// Text between two fields: one or more characters; `\t` is a tab. By default the format
    /// decides.
    pub delimiter: Option<String>,
    /// Columns that hold date-times in the form of RFC 3339. A space may stand for the T, and the
    /// offset may be missing.
    #[serde(default)]
    pub date_overrides: Vec<String>,
    #[serde(flatten)]
    pub text: TextSettings,
}

/// How failures name the settings of an entry.
const WORDS: Words = Words { table: "table_name", keys: "key_properties" };

/// Where the files of a table are to be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// A file, a folder or a pattern.
    Path(String),
    /// A folder, and what must be found in the paths.
    Prefix(String, Option<String>),
}

impl<'de> Deserialize<'de> for Tables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = match Value::deserialize(deserializer)? {
            // The older of the two plugins takes the list as text.
            Value::String(text) => serde_json::from_str(&text).map_err(D::Error::custom)?,
            value => value,
        };
        Vec::deserialize(value).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Tables {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Tables".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<TableEntry>::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["array", "string"]));
        schema
    }
}

impl TapSftpSettings {
    /// Returns the entries, each with a name of its own.
    pub fn tables(&self) -> Result<&[TableEntry]> {
        let entries = &self.tables.0;
        if entries.is_empty() {
            return Err(Error::new(ErrorKind::Config, "the settings do not say what to read")
                .with("setting", "tables")
                .hint("give each table a `table_name` and a `remote_path`"));
        }
        files::Tables::check_names(entries.iter().map(|entry| &entry.table_name), WORDS)?;
        Ok(entries)
    }

    /// Returns how to reach the server.
    pub fn options(&self) -> Result<Options> {
        server_name::check(&self.host).with("setting", "host")?;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let secret =
            |text: &Option<Secret>| text.clone().filter(|secret| !secret.reveal().is_empty());
        let passphrase = secret(&self.private_key_passphrase);
        let mut keys = Vec::new();
        if let Some(text) = secret(&self.private_key) {
            let key = keys::from_text(text.reveal(), passphrase.as_ref());
            keys.push(key.with("setting", "private_key")?);
        }
        if let Some(path) = given(&self.private_key_file) {
            let key = keys::from_file(&at_home(&path), passphrase.as_ref());
            keys.push(key.with("setting", "private_key_file")?);
        }
        let password = secret(&self.password);
        if keys.is_empty() && password.is_none() && !self.use_agent {
            return Err(Error::new(ErrorKind::Config, "cannot log in without credentials")
                .hint("set `password`, `private_key_file` or `use_agent`"));
        }
        let known_hosts = || given(&self.known_hosts_file).unwrap_or("~/.ssh/known_hosts".into());
        let trust = match given(&self.host_key_fingerprint) {
            Some(text) => {
                let read = Fingerprint::read(&text);
                Trust::Fingerprint(read.with("setting", "host_key_fingerprint")?)
            }
            None => Trust::KnownHosts(at_home(&known_hosts())),
        };
        Ok(Options {
            host: self.host.clone(),
            port: self.port,
            user: self.username.clone(),
            password,
            keys,
            agent: self.use_agent,
            trust,
            legacy: self.legacy_algorithms,
            connect_timeout: Duration::from_secs(self.connect_timeout.max(1)),
            request_timeout: Duration::from_secs(self.request_timeout.max(1)),
            reconnects_max: self.max_reconnects,
        })
    }
}

impl TableEntry {
    /// Returns where to look; one of the two forms.
    pub fn search(&self) -> Result<Search> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (path, prefix) = (given(&self.remote_path), given(&self.search_prefix));
        let pattern = given(&self.search_pattern);
        let search = match (path, prefix, pattern) {
            (Some(path), None, None) => Ok(Search::Path(path)),
            (None, None, None) => Err(Error::new(
                ErrorKind::Config,
                "an entry does not say where the files of the table are",
            )
            .hint("set `remote_path`, or `search_prefix` and `search_pattern`")),
            (None, prefix, pattern) => Ok(Search::Prefix(prefix.unwrap_or_default(), pattern)),
            (Some(_), ..) => {
                Err(Error::new(ErrorKind::Config, "cannot search for files in two ways at once")
                    .hint("set only `remote_path`, or `search_prefix` and `search_pattern`"))
            }
        };
        search.with("table_name", &self.table_name)
    }

    /// Returns the table of the files.
    pub fn table(&self, given: &TapSftpSettings, common: &Common) -> Result<TableSettings> {
        const COLUMNS: [Metadata; 3] = [Metadata::File, Metadata::Line, Metadata::Extra];
        let delimiter = self.delimiter.as_deref().filter(|text| !text.is_empty());
        let delimiter = delimiter.map(|text| ShortText::read("delimiter", text)).transpose();
        let mut text = self.text.clone();
        text.encoding =
            text.encoding.or_else(|| given.encoding_format.clone().filter(|name| !name.is_empty()));
        for column in &self.date_overrides {
            text.types.entry(column.clone()).or_insert(ColumnType::DateTime.into());
        }
        Ok(TableSettings {
            name: self.table_name.clone(),
            keys: self.key_properties.clone(),
            format: self.format,
            delimiter: delimiter.with("table_name", &self.table_name)?,
            text,
            metadata: if given.add_metadata_columns { &COLUMNS } else { &[] },
            whole: given.whole_tables,
            record_bytes_max: common.max_record_bytes,
            columns_max: common.max_columns,
            decompression_ratio_max: given.decompression_ratio_max,
            words: WORDS,
        })
    }
}

/// Resolves a `~/` at the start of a path.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

fn yes() -> bool {
    true
}

fn port() -> u16 {
    22
}

fn stability_seconds() -> u64 {
    5
}

fn ignore_patterns() -> Vec<String> {
    ["*.part", "*.filepart", "*.tmp", ".*"].map(str::to_owned).into()
}

fn max_files() -> usize {
    100_000
}

fn decompression_ratio_max() -> u64 {
    files::Limits::default().ratio_max
}

fn connect_timeout() -> u64 {
    30
}

fn request_timeout() -> u64 {
    300
}

fn max_reconnects() -> usize {
    5
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[OtherSetting::not_yet(
    "decryption_configs",
    "null",
    "decrypt the files before they are read",
)];
