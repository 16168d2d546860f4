//! Undoes gzip, zstd, bzip2 and xz, within limits that a decompression bomb runs into.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use singer::{Error, ErrorKind, Result};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// `.gz`, of one member or several.
    Gzip,
    /// `.zst`, of one frame or several.
    Zstd,
    /// `.bz2`, of one stream or several.
    Bzip2,
    /// `.xz`, of one stream or several.
    Xz,
}

/// What archives begin with, and spreadsheets that are archives; and older spreadsheets.
const ZIP: &[u8] = b"PK\x03\x04";
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";

/// How much memory a file of xz may ask for: `xz -9` takes 64 MiB and a little.
const XZ_MEMORY_KB: u32 = 80 << 10;

/// How far a file may expand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes out for each byte in, beyond `free_bytes`.
    pub ratio_max: u64,
    /// Output up to here is not looked at.
    pub free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ratio_max: 200, free_bytes: 64 << 20 }
    }
}

impl Limits {
    /// Tells whether so much may have come out of so much.
    pub fn allow(self, bytes_out: u64, bytes_in: u64) -> bool {
        bytes_out <= self.free_bytes || bytes_out <= bytes_in.saturating_mul(self.ratio_max)
    }
}

impl Codec {
    const COMPRESSED: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Xz];

    /// Tells the codec by the extension of the name.
    pub fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let is_it = |codec: &Self| codec.extension().eq_ignore_ascii_case(extension);
        Self::COMPRESSED.into_iter().find(is_it).unwrap_or(Self::Plain)
    }

    /// Returns a name without the ending that says how the file is compressed.
    pub(crate) fn without_ending(name: &str) -> &str {
        let Some((rest, extension)) = name.rsplit_once('.') else { return name };
        let is_it = |codec: Self| codec.extension().eq_ignore_ascii_case(extension);
        if Self::COMPRESSED.into_iter().any(is_it) { rest } else { name }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::Bzip2 => "bz2",
            Self::Xz => "xz",
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Gzip => b"\x1f\x8b",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
            Self::Bzip2 => b"BZh",
            Self::Xz => b"\xfd7zX",
        }
    }

    /// Wraps the input. What it reads fails with `Data` when it is cut short, damaged, followed by
    /// other bytes, or beyond the limits.
    ///
    /// Fails with `Data` when the first bytes are not those of the codec.
    pub fn decompress<'a>(
        self,
        mut input: impl Read + Send + 'a,
        limits: Limits,
    ) -> Result<Box<dyn Read + Send + 'a>> {
        let mut head = [0; 4];
        let magic = self.magic();
        let mut filled = 0;
        while filled < head.len() {
            match input.read(&mut head[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(crate::failure::read_failure(cause)),
            }
        }
        let head_read = io::Cursor::new(head).take(filled as u64);
        if !head[..filled].starts_with(magic) {
            return Err(Error::new(ErrorKind::Data, "cannot decompress the file")
                .with("codec", self.name())
                .hint("the first bytes of the file do not fit the ending of its name"));
        }
        if self == Self::Plain {
            // `BZh` and a digit: a word of three letters may begin a text.
            let is_it = |codec: &Self| {
                let begins = head[..filled].starts_with(codec.magic());
                begins && (*codec != Self::Bzip2 || matches!(head[3], b'1'..=b'9'))
            };
            if let Some(codec) = Self::COMPRESSED.into_iter().find(is_it) {
                return Err(Error::new(ErrorKind::Data, "cannot read a compressed file as text")
                    .with("codec", codec.name())
                    .hint(format!("let its name end in .{}", codec.extension())));
            }
            if [ZIP, OLE].iter().any(|magic| head[..filled].starts_with(magic)) {
                return Err(Error::new(ErrorKind::Data, "cannot read the file as text")
                    .with("the first bytes are", "those of a spreadsheet or an archive")
                    .hint("save a spreadsheet as CSV, and unpack an archive"));
            }
            return Ok(Box::new(head_read.chain(input)));
        }
        let counted = Counted::new(head_read.chain(input));
        let bytes_in = counted.count();
        let buffered = |input| BufReader::with_capacity(64 << 10, input);
        let inner: Box<dyn Read + Send + 'a> = match self {
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(counted);
                Box::new(decoder.map_err(crate::failure::read_failure)?)
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(counted))),
            Self::Xz => {
                let input = buffered(counted);
                Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, XZ_MEMORY_KB))
            }
            Self::Gzip | Self::Plain => {
                Box::new(flate2::bufread::MultiGzDecoder::new(buffered(counted)))
            }
        };
        Ok(Box::new(Bounded { inner, codec: self, limits, bytes_in, bytes_out: 0 }))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }
}

/// An input that counts what is read of it.
#[derive(Debug)]
pub struct Counted<R> {
    input: R,
    bytes: Count,
}

/// How many bytes a [`Counted`] input has given.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<R: Read> Counted<R> {
    /// Counts from here on.
    pub fn new(input: R) -> Self {
        Self { input, bytes: Count::default() }
    }

    /// Returns the count, which goes on.
    pub fn count(&self) -> Count {
        self.bytes.clone()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.bytes.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

struct Bounded<'a> {
    inner: Box<dyn Read + Send + 'a>,
    codec: Codec,
    limits: Limits,
    bytes_in: Count,
    bytes_out: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = match self.inner.read(buffer) {
            Ok(bytes) => bytes,
            Err(cause) if is_of_device(&cause) => return Err(cause),
            Err(cause) => {
                return Err(io::Error::other(
                    Error::new(ErrorKind::Data, "cannot decompress the file")
                        .with("codec", self.codec.name())
                        .with("byte", self.bytes_out)
                        .caused_by(cause)
                        .hint("the file is damaged or incomplete, or other bytes follow it"),
                ));
            }
        };
        self.bytes_out += bytes as u64;
        if !self.limits.allow(self.bytes_out, self.bytes_in.get()) {
            return Err(io::Error::other(
                Error::new(ErrorKind::Data, "cannot decompress a file with this compression ratio")
                    .with("codec", self.codec.name())
                    .with("bytes out", self.bytes_out)
                    .with("ratio_max", self.limits.ratio_max)
                    .hint("if the file is what you expect, raise `decompression_ratio_max`"),
            ));
        }
        Ok(bytes)
    }
}

/// Tells the failures of a disk or connection from those of the codec.
fn is_of_device(cause: &io::Error) -> bool {
    cause.raw_os_error().is_some()
        || cause.kind() == io::ErrorKind::Interrupted
        || cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn zst(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 1).unwrap()
    }

    fn bz2(text: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn all(text: &[u8]) -> [(Codec, Vec<u8>); 4] {
        [
            (Codec::Gzip, gzip(text)),
            (Codec::Zstd, zst(text)),
            (Codec::Bzip2, bz2(text)),
            (Codec::Xz, xz(text)),
        ]
    }

    fn read(codec: Codec, bytes: &[u8], limits: Limits) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut input = codec.decompress(bytes, limits)?;
        input.read_to_end(&mut out).map_err(crate::failure::read_failure)?;
        Ok(out)
    }

    #[test]
    fn reads_all_members_and_frames() {
        let limits = Limits::default();
        for ((codec, one), (_, two)) in all(b"a,b\n").into_iter().zip(all(b"1,2\n")) {
            let both = [one.clone(), two].concat();
            assert_eq!(read(codec, &both, limits).unwrap(), b"a,b\n1,2\n", "{codec:?}");
            assert_eq!(read(codec, &one, limits).unwrap(), b"a,b\n");
        }
        assert_eq!(read(Codec::Gzip, &gzip(b""), limits).unwrap(), b"");
        assert_eq!(read(Codec::Plain, b"a", limits).unwrap(), b"a");
    }

    #[test]
    fn refuses_what_is_cut_damaged_followed_or_of_another_kind() {
        let text = b"some text, long enough to be cut anywhere".repeat(20);
        for (codec, whole) in all(&text) {
            let mut bad = vec![b"plain text".to_vec(), Vec::new(), [&whole[..], b"junk"].concat()];
            bad.extend((1..whole.len()).map(|length| whole[..length].to_vec()));
            let mut flipped = whole.clone();
            let at = whole.len() - 6;
            flipped[at] ^= 0x40;
            // The others of these have a sum of their own where the byte is.
            if codec != Codec::Zstd {
                bad.push(flipped);
            }
            for bytes in bad {
                let failure = read(codec, &bytes, Limits::default()).unwrap_err();
                assert_eq!(failure.kind(), ErrorKind::Data, "{codec:?} {}", bytes.len());
            }
        }
        for (codec, whole) in all(b"x") {
            let failure = read(Codec::Plain, &whole, Limits::default()).unwrap_err();
            assert_eq!(failure.context("codec"), Some(codec.name()));
        }
        assert_eq!(read(Codec::Plain, b"BZhang,1", Limits::default()).unwrap(), b"BZhang,1");
    }

    #[test]
    fn stops_at_a_file_that_expands_too_much() {
        let limits = Limits { ratio_max: 200, free_bytes: 1 << 20 };
        let zeros = vec![0; 4 << 20];
        for (codec, bomb) in all(&zeros) {
            let failure = read(codec, &bomb, limits).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Data, "{codec:?}");
            assert!(failure.message().contains("compression ratio"), "{failure}");
            let wide = Limits { ratio_max: 1 << 20, ..limits };
            assert_eq!(read(codec, &bomb, wide).unwrap().len(), zeros.len());
        }
    }

    #[test]
    fn xz_that_asks_for_much_memory_is_refused() {
        let mut options = lzma_rust2::XzOptions::with_preset(1);
        options.lzma_options.dict_size = 512 << 20;
        let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        out.write_all(b"id\n1\n").unwrap();
        let bytes = out.finish().unwrap();
        let failure = read(Codec::Xz, &bytes, Limits::default()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data, "{failure}");
    }

    #[test]
    fn names_tell_the_codec() {
        for (name, codec, rest) in [
            ("a.csv.gz", Codec::Gzip, "a.csv"),
            ("a.ZST", Codec::Zstd, "a"),
            ("x/a.csv.bz2", Codec::Bzip2, "x/a.csv"),
            ("a.xz", Codec::Xz, "a"),
            ("a.csv", Codec::Plain, "a.csv"),
            ("a", Codec::Plain, "a"),
        ] {
            assert_eq!(Codec::of(Path::new(name)), codec, "{name}");
            assert_eq!(Codec::without_ending(name), rest);
        }
    }
}
