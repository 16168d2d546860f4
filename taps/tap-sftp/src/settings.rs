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
use singer::{Context, Error, ErrorKind, OtherSetting, Result, Secret};

/// The settings of tap-sftp.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "settings, each of its own")]
pub struct TapSftpSettings {
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    #[serde(default = "port")]
    pub port: u16,
    /// Who logs in.
    #[schemars(extend("x-aliases" = ["user"]))]
    pub username: String,
    /// Password, if the server wants one.
    pub password: Option<Secret>,
    /// Path of a private key: ed25519, ECDSA or RSA, in the form of OpenSSH, PEM or `PuTTY`; nobody
    /// but its owner may be able to read it.
    pub private_key_file: Option<String>,
    /// The text of a private key itself, with `\n` or blanks for line ends where they are lost, or
    /// as base64.
    pub private_key: Option<Secret>,
    /// Passphrase of the private key.
    pub private_key_passphrase: Option<Secret>,
    /// Offers the keys of the SSH agent that `SSH_AUTH_SOCK` leads to.
    #[schemars(extend("x-pass-env" = ["SSH_AUTH_SOCK"]))]
    #[serde(default)]
    pub use_agent: bool,
    /// File with the keys of known servers; `~/.ssh/known_hosts` by default.
    pub known_hosts_file: Option<String>,
    /// Fingerprint of the server's key, as `SHA256:...`, instead of a file of known servers.
    pub host_key_fingerprint: Option<String>,
    /// Takes key exchanges and signatures with SHA-1 and ciphers in CBC mode where a server has no
    /// others: whoever is in between may be able to read along or to answer for it.
    #[serde(default)]
    pub legacy_algorithms: bool,
    /// Folder that relative paths start at; by default the one a login lands in.
    pub user_dir: Option<String>,
    /// The tables to read, one entry for each stream; a list, or its JSON text.
    pub tables: Tables,
    /// Adds `_sdc_source_file`, `_sdc_source_lineno`, and `_sdc_extra` for surplus fields of a row.
    #[serde(default = "yes")]
    pub add_metadata_columns: bool,
    /// Encoding of the tables that set none.
    pub encoding_format: Option<String>,
    /// How long a file must have been at rest, in seconds: up to 10 the run waits for it; what is
    /// not at rest then, or beyond 10, is left for the next run. A file whose time the clocks of
    /// server and client cannot vouch for is looked at twice, so far apart, but at most 10 seconds.
    #[serde(default = "stability_seconds")]
    pub stability_seconds: u64,
    /// Patterns of names that are passed over, of files and of folders, unless `remote_path` has
    /// such a name or pattern itself, as `/in/*.tmp` does.
    #[serde(default = "ignore_patterns")]
    pub ignore_patterns: Vec<String>,
    /// Warns when no file is found for a table, instead of ending the run.
    #[serde(default)]
    pub warning_if_no_files: bool,
    /// How many names may be looked at to find the files of a table.
    #[serde(default = "max_files")]
    pub max_files: usize,
    /// Reads all files of a table when one of them is new, changed or gone, for targets that
    /// replace whole days or tables; while one is still being written, the run ends with code 75.
    #[serde(default)]
    pub whole_tables: bool,
    /// How many bytes a compressed file may give for each of its own, beyond the first 64 MiB.
    #[serde(default = "decompression_ratio_max")]
    pub decompression_ratio_max: u64,
    /// How long connecting and logging in may take, in seconds.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: u64,
    /// How long the server may be silent when an answer is due, in seconds.
    #[serde(default = "request_timeout")]
    pub request_timeout: u64,
    /// How often in a row a lost connection is made anew without a byte read in between.
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
    /// The name of the stream.
    pub table_name: String,
    /// A file, a folder (its files with known endings, at any depth) or a pattern of paths.
    pub remote_path: Option<String>,
    /// The folder whose files are looked at, at any depth; instead of `remote_path`.
    pub search_prefix: Option<String>,
    /// A regular expression; it must be found in the path of a file: `search_prefix` as it is set,
    /// or `.` where it is not, with `/` and the path below it, and also without doubled slashes.
    pub search_pattern: Option<String>,
    /// The columns that identify a row; none by default.
    #[serde(default)]
    pub key_properties: Vec<String>,
    /// How the files are written; by default what their endings say (.csv, .tsv, .psv, .json for an
    /// array of objects or one, .jsonl or .ndjson for one a line; with .gz, .zst, .bz2 or .xz
    /// behind them, or within a .zip), and csv for others.
    pub format: Option<Format>,
    /// What stands between fields: a character, or several; `\t` is a tab; that of the format by
    /// default.
    pub delimiter: Option<String>,
    /// Columns that hold date-times: RFC 3339, also with a space for the T and without an offset.
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
            return Err(Error::new(ErrorKind::Config, "cannot tell what to read")
                .with("setting", "tables")
                .hint("give each table a `table_name` and a `remote_path`"));
        }
        files::Tables::check_names(entries.iter().map(|entry| &entry.table_name), WORDS)?;
        Ok(entries)
    }

    /// Returns how to reach the server.
    pub fn options(&self) -> Result<Options> {
        if self.host.contains(['/', '@']) {
            return Err(Error::new(ErrorKind::Config, "cannot use this text as a server's name")
                .with("setting", "host")
                .hint(
                    "`host` is a name or an address alone; `username`, `password` and `port` are \
                     settings of their own",
                ));
        }
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
            Some(fingerprint) => Trust::Fingerprint(fingerprint),
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
            (None, None, None) => {
                Err(Error::new(ErrorKind::Config, "cannot tell where the files of the table are")
                    .hint("set `remote_path`, or `search_prefix` and `search_pattern`"))
            }
            (None, prefix, pattern) => Ok(Search::Prefix(prefix.unwrap_or_default(), pattern)),
            (Some(_), ..) => {
                Err(Error::new(ErrorKind::Config, "cannot look for files in two ways at once")
                    .hint("set `remote_path` alone, or `search_prefix` and `search_pattern`"))
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
