//! One answer: status, headers, and the decompressed body, kept out of memory when it is large.

use std::io::{self, BufReader, Read, Seek, Write};

use files::compress::{Counted, Limits};
use singer::{Error, ErrorKind, Result, ResultExt};
use tempfile::SpooledTempFile;

use crate::address::Address;
use crate::failure::Hints;

/// Bodies up to here stay in memory.
const MEMORY_BYTES: usize = 4 << 20;
/// A compressed body may give so much whatever its size.
const FREE_BYTES: u64 = 16 << 20;
/// So much of a body is looked at for people.
const EXCERPT_BYTES: u64 = 4096;

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values that are text.
    pub headers: Vec<(String, String)>,
    /// Where it came from, behind all redirects.
    pub address: Address,
    /// How many bytes the body has.
    pub length: u64,
    body: SpooledTempFile,
}

/// How much a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Bytes, decompressed.
    pub bytes_max: u64,
    /// Bytes out for each byte in, beyond the first 16 MiB.
    pub ratio_max: u64,
}

impl Answer {
    /// Receives the body to its end.
    ///
    /// Fails with `Temporary` when it breaks off or its compression is broken, and with `Data`
    /// beyond the limits.
    pub(crate) fn receive(
        parts: &ureq::http::response::Parts,
        body: impl Read,
        address: Address,
        limits: BodyLimits,
        hints: &Hints,
    ) -> Result<Self> {
        let text = |value: &ureq::http::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let mut this = Self {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            address,
            length: 0,
            body: tempfile::spooled_tempfile(MEMORY_BYTES),
        };
        let counted = Counted::new(body);
        let bytes_in = counted.count();
        let mut input = decoder(this.header("content-encoding").unwrap_or_default(), counted)?;
        let mut block = vec![0; 64 << 10];
        loop {
            let bytes = match input.read(&mut block) {
                Ok(0) => break,
                Ok(bytes) => bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(hints.broken_off(cause)),
            };
            this.length += bytes as u64;
            limits.check(this.length, bytes_in.get())?;
            this.body.write_all(&block[..bytes]).or_kind(ErrorKind::Io, SPOOL)?;
        }
        this.body.rewind().or_kind(ErrorKind::Io, SPOOL)?;
        Ok(this)
    }

    /// Returns the value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Returns all values of a header, by its name in lower case.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Reads the body from its start.
    pub fn body(&mut self) -> Result<BufReader<&mut SpooledTempFile>> {
        self.body.rewind().or_kind(ErrorKind::Io, SPOOL)?;
        Ok(BufReader::with_capacity(64 << 10, &mut self.body))
    }

    /// Returns the first part of the body as text.
    pub fn excerpt(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Ok(body) = self.body() {
            let _ = body.take(EXCERPT_BYTES).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

const SPOOL: &str = "cannot keep an answer in the folder for temporary files";

impl BodyLimits {
    fn check(self, bytes_out: u64, bytes_in: u64) -> Result<()> {
        if bytes_out > self.bytes_max {
            return Err(Error::new(ErrorKind::Data, "an answer is larger than the limit")
                .with("limit in bytes", self.bytes_max)
                .hint("ask for smaller pages, or raise `max_response_bytes`"));
        }
        let limits = Limits { ratio_max: self.ratio_max, free_bytes: FREE_BYTES };
        if !limits.allow(bytes_out, bytes_in) {
            return Err(Error::new(ErrorKind::Data, "an answer has a too high compression ratio")
                .with("bytes in", bytes_in)
                .with("bytes out", bytes_out)
                .hint("if the answer is what you expect, raise `decompression_ratio_max`"));
        }
        Ok(())
    }
}

/// Undoes what Content-Encoding names.
fn decoder<'a>(encoding: &str, input: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let buffered = BufReader::with_capacity(64 << 10, input);
    Ok(match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Box::new(buffered),
        "gzip" | "x-gzip" => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        "br" => Box::new(brotli_decompressor::Decompressor::new(buffered, 64 << 10)),
        "zstd" => {
            let decoder = zstd::stream::read::Decoder::with_buffer(buffered);
            Box::new(decoder.or_kind(ErrorKind::Internal, "cannot start the decompression")?)
        }
        other => {
            return Err(Error::new(ErrorKind::Data, "cannot decompress the answer")
                .with("content-encoding", other)
                .hint("supported are gzip, br and zstd"));
        }
    })
}
