//! The keys of the plain shape.

/// A key of a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub name: &'static str,
    /// Another spelling of it.
    pub alias: Option<&'static str>,
    pub form: Form,
    pub needed: bool,
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Secret,
    /// A whole number, or a variable.
    Count,
    /// A number of a port, or a variable.
    Port,
    /// An address that begins with http:// or https://, or with a variable.
    Url,
    /// A text that its connector judges, or a variable.
    Of(Rule),
    /// Columns, each with its type.
    Types,
    Boolean,
    Words(&'static [&'static str]),
    /// One of these words, or a variable.
    Setting(&'static [&'static str]),
    /// A number of seconds, or a text such as `5m`.
    Seconds,
    /// Read by itself.
    Part,
}

/// The rule by which a connector reads a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Delimiter,
    /// The name of an encoding.
    Encoding,
    /// That of the key of a server.
    Fingerprint,
    /// Where the records of an answer are.
    RecordsPath,
    /// The name or the address of one, and nothing around it.
    ServerName,
}

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, alias: None, form, needed: false }
}

const fn needed(name: &'static str) -> Key {
    Key { name, alias: None, form: Form::Text, needed: true }
}

const fn alias(name: &'static str, alias: &'static str, needed: bool) -> Key {
    Key { name, alias: Some(alias), form: Form::Text, needed }
}

const FORMATS: Form = Form::Words(&["csv", "tsv", "psv", "json", "jsonl"]);

/// The words of `sslmode`, those of `target-postgres`.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Tells whether the plain shape has a key of this name, in some place.
pub(super) fn has(name: &str) -> bool {
    let all = [TOP, LOCAL, API, SFTP, TARGET, MONITOR, SCHEMA];
    all.into_iter().flatten().any(|key| key.name == name || key.alias == Some(name))
}

/// Keys of contracts, which the plain shape does not have.
const OF_CONTRACTS: [&str; 22] = [
    "protect",
    "protection",
    "protected",
    "mask",
    "hash",
    "token",
    "encrypt",
    "anonymize",
    "pii",
    "personal_data",
    "classification",
    "quality",
    "required",
    "nullable",
    "unique",
    "primaryKey",
    "primary_key",
    "logicalType",
    "logicalTypeOptions",
    "physicalType",
    "customProperties",
    "contract",
];

/// Says where a key of contracts is to be written.
pub(super) const TO_CONTRACTS: &str = "columns have only a type here: `chorus convert FILE --into \
     FOLDER` makes a project whose contract has the columns of `schema`, and \
     docs/guides/one-file.md (Protect columns) says what to write there";

/// Tells whether a key is one of contracts.
pub(super) fn is_of_contracts(key: &str) -> bool {
    OF_CONTRACTS.iter().any(|known| known.eq_ignore_ascii_case(key))
}

pub(super) const TOP: &[Key] = &[
    key("sources", Form::Part),
    key("output_csv_path", Form::Text),
    key("target", Form::Part),
    key("schema", Form::Part),
    key("strict_mode", Form::Boolean),
    key("on_violation", Form::Words(&["fail", "reject", "null"])),
    key("combine", Form::Boolean),
    key("count_duplicates", Form::Words(&["keep", "drop"])),
    key("source_column", Form::Text),
    key("start_time", Form::Text),
    key("end_time", Form::Text),
    key("timezone", Form::Text),
    key("monitor", Form::Part),
];

pub(super) const LOCAL: &[Key] = &[
    needed("path"),
    key("format", FORMATS),
    key("delimiter", Form::Of(Rule::Delimiter)),
    key("encoding", Form::Of(Rule::Encoding)),
    key("header", Form::Boolean),
    key("rename_headers", Form::Boolean),
    key("skip_rows", Form::Count),
    key("infer_types", Form::Boolean),
    key("types", Form::Types),
];

pub(super) const API: &[Key] = &[
    Key { name: "url", alias: None, form: Form::Url, needed: true },
    key("auth_token", Form::Secret),
    key("scheme", Form::Text),
    key("folder_param", Form::Text),
    key("records_path", Form::Of(Rule::RecordsPath)),
];

pub(super) const SFTP: &[Key] = &[
    Key { form: Form::Of(Rule::ServerName), ..needed("host") },
    key("port", Form::Port),
    alias("username", "user", true),
    key("password", Form::Secret),
    key("private_key_file", Form::Text),
    key("private_key_passphrase", Form::Secret),
    key("known_hosts_file", Form::Text),
    key("host_key_fingerprint", Form::Of(Rule::Fingerprint)),
    alias("remote_path", "path", true),
    key("stability_seconds", Form::Count),
    key("format", FORMATS),
    key("delimiter", Form::Of(Rule::Delimiter)),
    key("encoding", Form::Of(Rule::Encoding)),
    key("header", Form::Boolean),
    key("rename_headers", Form::Boolean),
    key("skip_rows", Form::Count),
    key("infer_types", Form::Boolean),
    key("types", Form::Types),
];

pub(super) const TARGET: &[Key] = &[
    key("type", Form::Words(&["postgres"])),
    key("host", Form::Text),
    key("port", Form::Port),
    alias("database", "dbname", true),
    alias("user", "username", false),
    key("password", Form::Secret),
    key("sslmode", Form::Setting(&SSL_MODES)),
    needed("table"),
];

pub(super) const MONITOR: &[Key] =
    &[key("interval", Form::Seconds), key("reextract", Form::Words(&["changed", "all"]))];

pub(super) const SCHEMA: &[Key] = &[key("columns", Form::Part)];
