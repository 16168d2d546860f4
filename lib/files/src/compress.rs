//! Undoes gzip and zstd, within limits that a decompression bomb runs into.

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
}

/// What archives begin with, and spreadsheets that are archives; and older spreadsheets.
const ZIP: &[u8] = b"PK\x03\x04";
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";

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
    /// Tells the codec by the extension of the name.
    pub fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "gz" => Self::Gzip,
            "zst" => Self::Zstd,
            _ => Self::Plain,
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Gzip => b"\x1f\x8b",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
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
                .hint("its first bytes are not those of the format its name ends in"));
        }
        if self == Self::Plain {
            if head[..filled].starts_with(Self::Gzip.magic())
                || head[..filled] == *Self::Zstd.magic()
            {
                return Err(Error::new(ErrorKind::Data, "cannot read a compressed file as text")
                    .hint("let its name end in .gz or .zst"));
            }
            if [ZIP, OLE].iter().any(|magic| head[..filled].starts_with(magic)) {
                return Err(Error::new(ErrorKind::Data, "cannot read the file as text")
                    .with("the first bytes are", "those of a spreadsheet or an archive")
                    .hint("have a spreadsheet saved as CSV, and what an archive holds unpacked"));
            }
            return Ok(Box::new(head_read.chain(input)));
        }
        let counted = Counted::new(head_read.chain(input));
        let bytes_in = counted.count();
        let inner: Box<dyn Read + Send + 'a> = if self == Self::Zstd {
            let decoder = zstd::stream::read::Decoder::new(counted);
            Box::new(decoder.map_err(crate::failure::read_failure)?)
        } else {
            let buffered = BufReader::with_capacity(64 << 10, counted);
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered))
        };
        Ok(Box::new(Bounded { inner, codec: self, limits, bytes_in, bytes_out: 0 }))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
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
                        .hint("the file is damaged, cut short, or followed by other bytes"),
                ));
            }
        };
        self.bytes_out += bytes as u64;
        if !self.limits.allow(self.bytes_out, self.bytes_in.get()) {
            return Err(io::Error::other(
                Error::new(ErrorKind::Data, "cannot decompress a file that expands this much")
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

    fn read(codec: Codec, bytes: &[u8], limits: Limits) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut input = codec.decompress(bytes, limits)?;
        input.read_to_end(&mut out).map_err(crate::failure::read_failure)?;
        Ok(out)
    }

    #[test]
    fn reads_all_members_and_frames() {
        let limits = Limits::default();
        for (codec, one, two) in [
            (Codec::Gzip, gzip(b"a,b\n"), gzip(b"1,2\n")),
            (Codec::Zstd, zst(b"a,b\n"), zst(b"1,2\n")),
        ] {
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
        for (codec, whole) in [(Codec::Gzip, gzip(&text)), (Codec::Zstd, zst(&text))] {
            let mut bad = vec![b"plain text".to_vec(), Vec::new(), [&whole[..], b"junk"].concat()];
            bad.extend((1..whole.len()).map(|length| whole[..length].to_vec()));
            let mut flipped = whole.clone();
            let at = whole.len() - 6;
            flipped[at] ^= 0x40;
            if codec == Codec::Gzip {
                bad.push(flipped);
            }
            for bytes in bad {
                let failure = read(codec, &bytes, Limits::default()).unwrap_err();
                assert_eq!(failure.kind(), ErrorKind::Data, "{codec:?} {}", bytes.len());
            }
        }
        let failure = read(Codec::Plain, &gzip(b"x"), Limits::default()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
    }

    #[test]
    fn stops_at_a_file_that_expands_too_much() {
        let limits = Limits { ratio_max: 200, free_bytes: 1 << 20 };
        let zeros = vec![0; 4 << 20];
        for (codec, bomb) in [(Codec::Gzip, gzip(&zeros)), (Codec::Zstd, zst(&zeros))] {
            let failure = read(codec, &bomb, limits).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Data, "{codec:?}");
            assert!(failure.message().contains("expands"), "{failure}");
            let wide = Limits { ratio_max: 1 << 20, ..limits };
            assert_eq!(read(codec, &bomb, wide).unwrap().len(), zeros.len());
        }
    }
}
