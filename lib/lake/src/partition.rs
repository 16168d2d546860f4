//! Reading a lake: its sources, days, tables, and the files of one partition.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use singer::{Context, Error, ErrorKind, Result, quote};

use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::{Datestamp, data, disk, name};

/// The output folder, where the partitions of all sources and days are.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
}

/// One published generation of (source, day, table).
#[derive(Clone, Debug)]
pub struct Partition {
    /// The folder that holds the files.
    pub folder: PathBuf,
    /// What the files hold.
    pub manifest: Manifest,
    /// The SHA-256 of the manifest's own text.
    pub manifest_sha256: String,
}

impl Lake {
    /// Names an output folder that need not be there; touches nothing.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Opens an output folder to read; `NoInput` when it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if root.is_dir() {
            return Ok(Self { root });
        }
        Err(Error::new(ErrorKind::NoInput, "cannot find the output folder")
            .with("path", root.display())
            .hint("check `output`; relative paths start at the folder the command runs in"))
    }

    /// Opens an output folder to write, and makes it when it is not there.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        disk::make_folders(&root)?;
        Ok(Self { root })
    }

    /// Returns the output folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lists the sources, sorted by folder name.
    pub fn sources(&self) -> Result<Vec<String>> {
        let mut sources = Vec::new();
        for folder in disk::names(&self.root)? {
            let Some(part) = folder.strip_prefix("source=") else { continue };
            match name::decode(part) {
                Some(source) => sources.push(source),
                None if part.contains(name::CUT) => {
                    sources.extend(real_source(&self.root.join(&folder))?);
                }
                // No name of ours.
                None => {}
            }
        }
        Ok(sources)
    }

    /// Lists the days of a source, oldest first.
    pub fn days(&self, source: &str) -> Result<Vec<Datestamp>> {
        let parts = disk::names(&self.source_folder(source))?;
        let parts = parts.iter().filter_map(|part| part.strip_prefix("extracted_at="));
        Ok(parts.filter_map(|part| part.parse().ok()).collect())
    }

    /// Lists the tables of a day by their stream names, sorted by folder name; `NoInput` when the
    /// day is not there, or a folder has no manifest.
    pub fn tables(&self, source: &str, day: Datestamp) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for folder in self.table_folders(source, day)? {
            let part = folder.file_name().and_then(|part| part.to_str()).unwrap_or_default();
            let part = part.strip_prefix("table=").unwrap_or_default();
            match name::decode(part) {
                Some(table) => tables.push(table),
                // A shortened name: the real one is in the manifest.
                None => tables.push(read_folder(&folder)?.manifest.stream),
            }
        }
        Ok(tables)
    }

    /// Returns the folders of a day's tables, sorted; `NoInput` when there are none.
    pub(crate) fn table_folders(&self, source: &str, day: Datestamp) -> Result<Vec<PathBuf>> {
        let folder = self.day_folder(source, day);
        let parts = disk::names(&folder)?;
        let tables = parts.iter().filter(|part| part.starts_with("table="));
        let tables: Vec<_> = tables.map(|part| folder.join(part)).collect();
        if tables.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot find the day")
                .with("source", source)
                .with("extracted_at", day)
                .with("path", folder.display())
                .hint("extract this day first, or check `source` and `datestamp`"));
        }
        Ok(tables)
    }

    /// Reads the manifest of a table; `NoInput` when table or manifest are not there.
    pub fn read(&self, source: &str, day: Datestamp, table: &str) -> Result<Partition> {
        let folder = self.table_folder(source, day, table);
        if !disk::exists(&folder)? {
            return Err(Error::new(ErrorKind::NoInput, "cannot find the table")
                .with("source", source)
                .with("extracted_at", day)
                .with("table", table)
                .with("path", folder.display())
                .hint("extract this table for this day first"));
        }
        read_folder(&folder)?.at_its_place()
    }

    /// Reads all tables of a day, sorted by folder name. Unless `unfinished_too`, a day whose run
    /// record is missing, open or does not match is refused: `NoInput`.
    pub fn read_day(
        &self,
        source: &str,
        day: Datestamp,
        unfinished_too: bool,
    ) -> Result<Vec<Partition>> {
        loop {
            let folders = self.table_folders(source, day)?;
            let read = |folder: &PathBuf| read_folder(folder)?.at_its_place();
            let partitions: Vec<_> = folders.iter().map(read).collect::<Result<_>>()?;
            if unfinished_too {
                return Ok(partitions);
            }
            let checked = self.check_finished(source, day, &partitions);
            match checked.and_then(|()| self.check_has_all(source, day, &partitions)) {
                Ok(()) => return Ok(partitions),
                // The record is of newer manifests than those read: look again.
                Err(_) if partitions.iter().any(Partition::was_replaced) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    pub(crate) fn source_folder(&self, source: &str) -> PathBuf {
        self.root.join(format!("source={}", name::encode(source)))
    }

    pub(crate) fn day_folder(&self, source: &str, day: Datestamp) -> PathBuf {
        self.source_folder(source).join(format!("extracted_at={day}"))
    }

    /// Returns the folder of a partition, whether or not it is there.
    pub fn table_folder(&self, source: &str, day: Datestamp, table: &str) -> PathBuf {
        self.day_folder(source, day).join(format!("table={}", name::encode(table)))
    }
}

/// Returns the name of a source whose folder has a shortened one, as a manifest in it says; none
/// where nothing was published.
fn real_source(folder: &Path) -> Result<Option<String>> {
    let part = folder.file_name().and_then(|part| part.to_str());
    let part = part.and_then(|part| part.strip_prefix("source=")).unwrap_or_default();
    let (mut unread, mut is_other) = (None, false);
    for day in disk::names(folder)?.iter().filter(|part| part.starts_with("extracted_at=")) {
        let day = folder.join(day);
        for table in disk::names(&day)?.iter().filter(|part| part.starts_with("table=")) {
            match read_folder(&day.join(table)) {
                Ok(Partition { manifest, .. }) if name::encode(&manifest.source) == part => {
                    return Ok(Some(manifest.source));
                }
                Ok(_) => is_other = true,
                Err(failure) => unread = Some(failure),
            }
        }
    }
    if is_other {
        singer::warn!(
            "W-SOURCE-DIFFERS",
            "passing over {}: what is in it is of another source",
            folder.display()
        );
        return Ok(None);
    }
    unread.map_or(Ok(None), Err)
}

/// Reads the manifest of a partition's folder.
pub(crate) fn read_folder(folder: &Path) -> Result<Partition> {
    let path = folder.join(MANIFEST_NAME);
    let text = disk::read_small(&path)?.ok_or_else(|| {
        Error::new(ErrorKind::NoInput, "cannot find the manifest of the partition")
            .with("path", path.display())
            .hint("the folder was not published by this tool; extract the day again")
    })?;
    let manifest = Manifest::from_json(&text).with("path", path.display())?;
    let manifest_sha256 = quote::hex(&Sha256::digest(&text));
    Ok(Partition { folder: folder.to_path_buf(), manifest, manifest_sha256 })
}

impl Partition {
    /// Returns the data files, in reading order.
    pub fn files(&self) -> Vec<PathBuf> {
        self.manifest.files.iter().map(|file| self.folder.join(&file.name)).collect()
    }

    /// Refuses a folder that was moved, or whose manifest was changed: its rows would be loaded as
    /// those of another source, day or table. A folder of names that differ in case alone belongs
    /// to these (`Config`): the file system takes both for one.
    pub(crate) fn at_its_place(self) -> Result<Self> {
        let Manifest { source, extracted_at, stream, .. } = &self.manifest;
        let parts = [
            format!("source={}", name::encode(source)),
            format!("extracted_at={extracted_at}"),
            format!("table={}", name::encode(stream)),
        ];
        if self.folder.ends_with(parts.iter().collect::<PathBuf>()) {
            return Ok(self);
        }
        let here = self.folder.components().rev().zip(parts.iter().rev());
        if here.filter(|(here, part)| here.as_os_str().eq_ignore_ascii_case(part)).count() == 3 {
            return Err(Error::new(ErrorKind::Config, "cannot use the folder of other names")
                .with("path", self.folder.display())
                .with("its names", parts.join("/"))
                .hint(
                    "the file system takes names for one that differ in upper and lower case \
                     alone: rename the source or the stream",
                ));
        }
        Err(Error::new(ErrorKind::Data, "cannot trust a manifest of another place")
            .with("path", self.folder.display())
            .with("its place", parts.join("/"))
            .hint("a published folder cannot be moved or renamed; extract the table again"))
    }

    /// Tells whether another generation has taken the place of this one.
    pub(crate) fn was_replaced(&self) -> bool {
        read_folder(&self.folder).is_ok_and(|now| now.manifest_sha256 != self.manifest_sha256)
    }

    /// Tells whether the files that the manifest lists are there, of the size they had.
    pub fn has_files(&self) -> bool {
        self.manifest.files.iter().all(|entry| {
            let found = disk::look(&self.folder.join(&entry.name));
            found.is_ok_and(|found| found.is_file() && found.len() == entry.bytes)
        })
    }

    /// Checks sizes and sums of all files; a difference is a `Data` failure naming the file, or
    /// `Temporary` when the partition was published again meanwhile.
    pub fn verify(&self) -> Result<()> {
        self.check_files().map_err(|failure| {
            if failure.kind() != ErrorKind::Data || !self.was_replaced() {
                return failure;
            }
            Error::new(ErrorKind::Temporary, "cannot read a table that was published again")
                .with("path", self.folder.display())
                .hint("run again; it was replaced after its manifest was read")
        })
    }

    fn check_files(&self) -> Result<()> {
        for entry in &self.manifest.files {
            let path = self.folder.join(&entry.name);
            let differs = |message: &str| {
                Error::new(ErrorKind::Data, message)
                    .with("path", path.display())
                    .hint("the file is not what was published; extract the day again")
            };
            disk::exists(&path)?;
            let size = match disk::look(&path) {
                Ok(found) if !found.is_file() => {
                    return Err(differs("cannot trust what is not a file"));
                }
                Ok(found) => found.len(),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                    return Err(differs("cannot find a file that the manifest lists"));
                }
                Err(cause) => return Err(disk::failure("cannot look at the file", &path, cause)),
            };
            if size != entry.bytes {
                return Err(differs("cannot trust a file of another size than published")
                    .with("bytes in the manifest", entry.bytes)
                    .with("bytes found", size));
            }
            let (sha256, _) = data::sum(&path)
                .map_err(|cause| disk::failure("cannot read the data file", &path, cause))?;
            if sha256 != entry.sha256 {
                return Err(differs("cannot trust a file with another checksum than published")
                    .with("sha256 in the manifest", &entry.sha256)
                    .with("sha256 found", sha256));
            }
        }
        Ok(())
    }
}
