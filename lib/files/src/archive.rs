//! The members of a zip archive, each read as a file of its own straight out of the archive.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use singer::{Error, ErrorKind, Result};
use zip::CompressionMethod;
use zip::result::ZipError;

use crate::compress::Limits;
use crate::failure::read_failure;
use crate::format::Format;
use crate::identity::Identity;
use crate::unread::Unread;

/// A member of an archive.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path within the archive.
    pub name: String,
    /// Its size when it is no longer compressed.
    pub size: u64,
    compressed: u64,
    header_start: u64,
    method: CompressionMethod,
    encrypted: bool,
    sum: u32,
    ratio_max: u64,
}

/// A file of an archive, of which parts are read.
pub trait Parts: Read + Send {
    /// Reads a part of the file alone, from here on.
    fn seek_to(&mut self, start: u64, bytes: u64) -> io::Result<()>;
}

/// Which members of an archive count.
pub struct Rules<'a> {
    /// How many members there may be.
    pub members_max: usize,
    /// How many bytes a member may give for each of its own.
    pub ratio_max: u64,
    /// Files of any ending count, for the settings say how they are written.
    pub any_ending: bool,
    /// Tells whether a part of a path is skipped.
    pub ignores: &'a dyn Fn(&str) -> bool,
}

/// What may be read to list the members: some at least, and so much for each that is allowed.
const LISTING_BYTES: usize = 16 << 20;
const LISTING_BYTES_EACH: usize = 1 << 10;
/// The bytes before a member: a header of fixed length, then a name and more.
const HEADER_BYTES: usize = 30;
const HEADER_MAGIC: [u8; 4] = *b"PK\x03\x04";
/// An entry of the directory: fields of fixed length, then a name and more.
const ENTRY_BYTES: usize = 46;
const ENTRY_MAGIC: [u8; 4] = *b"PK\x01\x02";

/// Tells whether a path is that of an archive.
pub fn is_archive(path: &str) -> bool {
    path.len() > 4 && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(b".zip")
}

/// Tells whether a path is that of a member of an archive.
pub(crate) fn is_member(path: &str) -> bool {
    path.match_indices('/').any(|(at, _)| is_archive(&path[..at]))
}

/// Returns a name that can be a part of a path.
pub fn plain(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    let bad = text.is_empty() || matches!(text, "." | "..") || text.contains('/');
    (!bad && !text.chars().any(char::is_control)).then_some(text)
}

/// Lists the members that count: those with known endings, else all; none that is to be ignored.
/// `path` and `size` are those of the archive.
///
/// Fails with `Data` for what is no archive.
pub fn members(
    path: &str,
    file: &mut dyn Parts,
    size: u64,
    rules: &Rules<'_>,
) -> Result<Vec<Member>> {
    let budget = LISTING_BYTES + rules.members_max.saturating_mul(LISTING_BYTES_EACH);
    let input = Seeking { file, size, at: 0, moved: true, budget };
    let archive = zip::ZipArchive::new(input).map_err(failure)?;
    if archive.len() > rules.members_max {
        return Err(Error::new(ErrorKind::Config, "cannot list an archive with this many members")
            .with("max_files", rules.members_max));
    }
    let mut members = Vec::new();
    let mut begins_with_member = false;
    for at in 0..archive.len() {
        let entry = archive.by_index_data(at).map_err(failure)?;
        begins_with_member |= entry.header_start() == 0;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(failure)?.into_owned();
        if !name.split('/').all(|part| plain(part.as_bytes()).is_some()) {
            singer::warn!("W-FILE-NOT-READ", "skipping a member of {}: its name is {name:?}", path);
            continue;
        }
        if entry.is_symlink() || name.split('/').any(|part| (rules.ignores)(part)) {
            tracing::debug!("skipping {name} in {}", path);
            continue;
        }
        members.push(Member {
            name,
            size: entry.size(),
            compressed: entry.compressed_size(),
            header_start: entry.header_start(),
            method: entry.compression(),
            encrypted: entry.encrypted(),
            sum: entry.crc32(),
            ratio_max: rules.ratio_max,
        });
    }
    let (has_repeated, start) = (archive.has_duplicate_names(), archive.central_directory_start());
    let mut input = archive.into_inner();
    if has_repeated {
        refuse_repeated(&mut input, start, rules)?;
    } else if !begins_with_member {
        refuse_unlisted(&mut input)?;
    }
    refuse_alike(&members)?;
    // An archive of a table often holds a note besides; one without known endings is all table.
    if !rules.any_ending && members.iter().any(|member| Format::of(&member.name).is_some()) {
        let mut unread = Unread::default();
        members.retain(|member| {
            let counts = Format::of(&member.name).is_some();
            if !counts {
                unread.note(&member.name);
            }
            counts
        });
        unread.tell(path, "to read all members, set `format`");
    }
    Ok(members)
}

/// Refuses an archive in which several members have one name, but for those that are ignored: only
/// one of them can be read by it.
fn refuse_repeated(input: &mut Seeking<'_>, start: u64, rules: &Rules<'_>) -> Result<()> {
    let mut names = BTreeSet::new();
    input.seek(SeekFrom::Start(start)).map_err(read_failure)?;
    loop {
        let mut entry = [0; ENTRY_BYTES];
        input.read_exact(&mut entry[..4]).map_err(read_failure)?;
        if entry[..4] != ENTRY_MAGIC {
            return Ok(());
        }
        input.read_exact(&mut entry[4..]).map_err(read_failure)?;
        let length = |at: usize| usize::from(entry[at]) | usize::from(entry[at + 1]) << 8;
        let mut name = vec![0; length(28)];
        input.read_exact(&mut name).map_err(read_failure)?;
        let rest = i64::try_from(length(30) + length(32)).unwrap_or_default();
        input.seek(SeekFrom::Current(rest)).map_err(read_failure)?;
        let text = String::from_utf8_lossy(&name).into_owned();
        let counts = !text.ends_with('/') && !text.split('/').any(|part| (rules.ignores)(part));
        if counts && !names.insert(name) {
            return Err(twice(&text));
        }
    }
}

/// Refuses an archive that begins with a member which its directory does not list, as archives do
/// that were put together: only the last directory counts, so the rows of the others would be lost.
/// Other bytes before the first member, such as a program that unpacks it, are none of it.
fn refuse_unlisted(input: &mut Seeking<'_>) -> Result<()> {
    let mut begin = Vec::new();
    input.seek(SeekFrom::Start(0)).map_err(read_failure)?;
    let magic = HEADER_MAGIC.len() as u64;
    input.take(magic).read_to_end(&mut begin).map_err(read_failure)?;
    if begin != HEADER_MAGIC {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Data,
        "cannot read an archive whose first member is not in its directory",
    )
    .hint(
        "if several archives were joined into one file, write each archive into a file of its own, \
          or all members into one archive",
    ))
}

/// Refuses members whose names are one when they are read as text.
fn refuse_alike(members: &[Member]) -> Result<()> {
    let mut names = BTreeSet::new();
    let again = members.iter().find(|member| !names.insert(member.name.as_str()));
    again.map_or(Ok(()), |member| Err(twice(&member.name)))
}

fn twice(name: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot read an archive with several members of one name")
        .with("member", name)
        .hint("write the archive with a different name for each member")
}

impl Member {
    /// Returns what it is within an archive: its size, and the archive's place and times.
    pub fn within(&self, archive: Identity) -> Identity {
        Identity { size: self.size, ..archive }
    }

    /// Returns the bytes of the member, which end in a failure unless they are whole.
    ///
    /// Fails with `Data` for members that are encrypted, compressed otherwise, or far larger than
    /// their archive.
    pub fn inflate(&self, mut file: Box<dyn Parts>) -> Result<Box<dyn Read + Send>> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Data, message));
        if self.encrypted {
            return refuse("cannot read an encrypted member of an archive");
        }
        let free = Limits::default().free_bytes;
        if self.size > free && self.size > self.compressed.saturating_mul(self.ratio_max) {
            return refuse("cannot decompress a file with this compression ratio").map_err(
                |failure| {
                    failure.hint("if the file is what you expect, raise `decompression_ratio_max`")
                },
            );
        }
        let mut header = [0; HEADER_BYTES];
        file.seek_to(self.header_start, HEADER_BYTES as u64).map_err(read_failure)?;
        file.read_exact(&mut header).map_err(read_failure)?;
        if header[..4] != HEADER_MAGIC {
            return Err(damaged("a member does not begin at its place in the directory"));
        }
        let length = |at: usize| u64::from(header[at]) | u64::from(header[at + 1]) << 8;
        let start = self.header_start + HEADER_BYTES as u64 + length(26) + length(28);
        file.seek_to(start, self.compressed).map_err(read_failure)?;
        let inner: Box<dyn Read + Send> = match self.method {
            CompressionMethod::Stored => Box::new(file),
            CompressionMethod::Deflated => {
                Box::new(DeflateDecoder::new(BufReader::with_capacity(64 << 10, file)))
            }
            method => {
                return Err(Error::new(
                    ErrorKind::Data,
                    "cannot read a member with this compression method",
                )
                .with("method", method)
                .hint("members may be stored or deflated"));
            }
        };
        Ok(Box::new(Inflated { inner, sum: Crc::new(), left: self.size, wanted: self.sum }))
    }
}

/// What a member gives, checked against what the archive says of it.
struct Inflated {
    inner: Box<dyn Read + Send>,
    sum: Crc,
    left: u64,
    wanted: u32,
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let bytes = self.inner.read(buffer).map_err(|cause| match cause.kind() {
            io::ErrorKind::Interrupted => cause,
            // What the connection fails with passes as it is.
            _ if is_ours(&cause) => cause,
            _ => io::Error::other(damaged("it cannot be decompressed").caused_by(cause)),
        })?;
        let whole = bytes > 0 || (self.left == 0 && self.sum.sum() == self.wanted);
        self.left = match self.left.checked_sub(bytes as u64) {
            Some(left) if whole => left,
            _ => return Err(io::Error::other(damaged("its checksum or size is wrong"))),
        };
        self.sum.update(&buffer[..bytes]);
        Ok(bytes)
    }
}

fn is_ours(cause: &io::Error) -> bool {
    cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
}

fn damaged(how: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot read the archive, or a member of it")
        .with("reason", how)
        .hint("the archive is damaged or incomplete: write it again")
}

fn failure(cause: ZipError) -> Error {
    match cause {
        ZipError::Io(cause) if is_ours(&cause) => read_failure(cause),
        cause => Error::new(ErrorKind::Data, "cannot read the file as a zip archive")
            .caused_by(cause)
            .hint("the archive is damaged or incomplete: write it again"),
    }
}

/// The file of an archive, read at any place.
struct Seeking<'a> {
    file: &'a mut dyn Parts,
    size: u64,
    at: u64,
    moved: bool,
    /// How much may still be read.
    budget: usize,
}

impl Read for Seeking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.moved {
            self.file.seek_to(self.at, u64::MAX)?;
            self.moved = false;
        }
        let bytes = self.file.read(buffer)?;
        self.at += bytes as u64;
        let Some(budget) = self.budget.checked_sub(bytes) else {
            return Err(io::Error::other(damaged("the end of its directory was not found")));
        };
        self.budget = budget;
        Ok(bytes)
    }
}

impl Seek for Seeking<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.moved |= at != self.at;
        self.at = at;
        Ok(at)
    }
}
