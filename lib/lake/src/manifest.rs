//! The manifest of a partition: what its files hold and what they must look like.

use disk::Datestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use singer::schema::{Column, Kind, Types};
use singer::{Coverage, Error, ErrorKind, Result, ResultExt};

use crate::format::Format;

/// No manifest, run record or other small file is larger.
pub(crate) const SMALL_BYTES_MAX: u64 = 128 << 20;
/// The file that makes a folder a partition.
pub const MANIFEST_NAME: &str = "_manifest.json";
/// The newest format this library writes and reads. A release that knows one alone takes all data
/// files for CSV: manifests of other data files get a higher one.
const FORMAT_VERSION: u64 = 1;

/// What a partition's folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format_version: u64,
    /// The source the partition belongs to.
    pub source: String,
    /// The day the partition belongs to.
    pub extracted_at: Datestamp,
    /// The stream's name as the tap wrote it.
    pub stream: String,
    /// The stream's JSON Schema; its properties are in the order of the files' columns.
    pub schema: Map<String, Value>,
    /// The stream's keys.
    pub key_properties: Vec<String>,
    /// Whether the tap said that it read the stream to its end.
    pub complete: Completeness,
    /// Which rows of the stream the files hold.
    #[serde(default, rename = "resumed_from", skip_serializing_if = "Coverage::is_whole")]
    pub coverage: Coverage,
    /// Rows of the stream were left out on the way, such as rejects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows_left_out: bool,
    /// The form of the data files; manifests of early releases do not say it.
    #[serde(default)]
    pub format: Format,
    /// The data files, in reading order.
    pub files: Vec<FileEntry>,
    /// The last state received before the stream ended, without the bookmarks of other streams.
    pub state: Option<Value>,
    /// The run that published the partition.
    pub run_id: String,
    /// The program that published the partition, with its version.
    pub tool: String,
    /// When the partition was published, in UTC.
    pub published_at: String,
}

/// One data file of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The file's name within the partition's folder.
    pub name: String,
    /// How many rows it holds, the header not counted.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// How sure it is that a stream was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The tap said so.
    Verified,
    /// Input merely ended.
    Unverified,
}

impl Serialize for Completeness {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Verified => serializer.serialize_bool(true),
            Self::Unverified => serializer.serialize_str("unverified"),
        }
    }
}

impl<'de> Deserialize<'de> for Completeness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value == Value::Bool(true) {
            Ok(Self::Verified)
        } else if value == "unverified" {
            Ok(Self::Unverified)
        } else {
            Err(serde::de::Error::custom("`complete` is neither true nor \"unverified\""))
        }
    }
}

impl Manifest {
    /// Says why the source may have rows that the partition lacks, whichever they are.
    pub fn may_lack_rows(&self) -> Option<&'static str> {
        if self.rows_left_out {
            return Some("rows were left out on their way into the day, such as rejects");
        }
        let unverified = self.complete == Completeness::Unverified;
        unverified.then_some("the tap of the day did not say that it was read to its end")
    }

    /// Returns how many rows the partition holds.
    pub fn rows(&self) -> u64 {
        self.files.iter().fold(0, |rows, file| rows.saturating_add(file.rows))
    }

    /// Returns how many bytes of data the partition holds.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |bytes, file| bytes.saturating_add(file.bytes))
    }

    /// Returns the stream as a tap announces it: with the keyword that names its partition. What
    /// became text in the files, as values of several kinds do, is text.
    pub fn stream(&self) -> singer::Stream {
        let mut schema = self.schema.clone();
        schema.insert(singer::schema::PARTITION.to_owned(), self.keyword());
        let keys = self.key_properties.clone();
        let mut stream = singer::Stream::new(self.stream.clone(), schema, keys);
        let is_made =
            |column: &Column| column.kind == Kind::String && !column.types.has(Types::STRING);
        for column in stream.columns.iter_mut().filter(|column| is_made(column)) {
            *column = Column::new(column.name.clone(), Kind::String.property());
            stream.schema["properties"][&column.name] = column.schema.clone();
        }
        stream
    }

    /// Returns the keyword of a schema that names the partition.
    pub(crate) fn keyword(&self) -> Value {
        json!({"source": self.source, "extracted_at": self.extracted_at})
    }

    /// Tells whether the other one, which would take the place of this one, describes the same rows
    /// in the same form. A whole read says more than one since a bookmark that gave the same rows.
    pub fn same_data(&self, other: &Self) -> bool {
        let same_bytes = |(a, b): (&FileEntry, &FileEntry)| {
            a.rows == b.rows && a.bytes == b.bytes && a.sha256 == b.sha256
        };
        self.stream == other.stream
            && self.schema == other.schema
            && self.key_properties == other.key_properties
            && self.complete == other.complete
            && self.rows_left_out == other.rows_left_out
            && self.format == other.format
            && (self.coverage.is_whole() || other.coverage.is_part())
            && self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(same_bytes)
    }

    /// Writes the manifest as JSON text.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .or_kind(ErrorKind::Internal, "cannot write the manifest")?;
        text.push(b'\n');
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > SMALL_BYTES_MAX {
            return Err(Error::new(ErrorKind::Data, "cannot write a manifest that is too large")
                .with("bytes", text.len())
                .with("bytes at most", SMALL_BYTES_MAX)
                .hint("the schema of the stream, or the state of its tap, is too long"));
        }
        Ok(text)
    }

    /// Reads JSON text; a newer format is a `Config` failure, anything else odd is `Data`.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self> {
        check_format_version(text, "cannot read the manifest")?;
        serde_json::from_slice(text)
            .or_kind(ErrorKind::Data, "cannot read the manifest")
            .map_err(|failure| failure.hint(DAMAGED))
            .and_then(|manifest: Self| manifest.checked())
    }

    /// Refuses file names that lead out of the partition's folder, and rows without a file.
    fn checked(self) -> Result<Self> {
        if self.files.is_empty() {
            return Err(Error::new(ErrorKind::Data, "cannot use a manifest without files")
                .hint("even an empty table has a file: extract the day again"));
        }
        let odd =
            |name: &str| name.contains(['/', '\0']) || name.is_empty() || name.starts_with('.');
        match self.files.iter().find(|file| odd(&file.name)) {
            Some(file) => {
                Err(Error::new(ErrorKind::Data, "cannot use a file name of the manifest")
                    .with("name", &file.name)
                    .hint("the manifest was changed by hand: extract the day again"))
            }
            None => Ok(self),
        }
    }
}

/// What to do about a file of ours that cannot be read.
const DAMAGED: &str = "the file is damaged, or was changed by hand: extract the day again";

pub(crate) const fn format_version() -> u64 {
    FORMAT_VERSION
}

/// Refuses text of a newer format before its fields are looked at.
pub(crate) fn check_format_version(text: &[u8], message: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Head {
        format_version: u64,
    }
    let head: Head = serde_json::from_slice(text)
        .or_kind(ErrorKind::Data, message)
        .map_err(|failure| failure.hint(DAMAGED))?;
    if head.format_version > FORMAT_VERSION {
        return Err(Error::new(ErrorKind::Config, message)
            .with("format version of the file", head.format_version)
            .with("newest known format version", FORMAT_VERSION)
            .hint("a newer release wrote the file: update this program"));
    }
    Ok(())
}
