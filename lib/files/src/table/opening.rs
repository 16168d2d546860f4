//! Opens a delimited file and reads its header.

use std::io::Read;

use singer::{Context, Error, ErrorKind, Result};

use super::form::is_json;
use super::heading::Heading;
use super::{Table, header};
use crate::dialect::other_delimiter;
use crate::open::OpenFile;
use crate::reader::{Reader, Record};
use crate::short_text::ShortText;

pub(super) type Input = Reader<Box<dyn Read + Send>>;

/// A file with its header read.
pub(super) struct Opened {
    pub(super) file: OpenFile,
    pub(super) reader: Input,
    pub(super) header: Heading,
}

impl Table {
    /// Opens a file and reads its column names.
    pub(super) fn open_records(
        &self,
        (path, delimiter): (&str, ShortText),
        summed: bool,
    ) -> Result<Opened> {
        let (file, mut reader) = self.reader(path, delimiter, summed)?;
        let text = &self.settings.text;
        let header = if let Some(names) = &text.columns {
            Some(Heading::named(names.clone()))
        } else if text.header {
            self.header(path, delimiter, &mut reader)?
        } else {
            // The first row has rows' values: another reader looks at it for its width. Blank lines
            // are no rows where rows are wider.
            let (_, mut other) = self.reader(path, delimiter, false)?;
            let mut width = None;
            while let Some(record) = other.record()? {
                width = Some(record.len());
                if !is_space(record.raw()) {
                    break;
                }
            }
            self.check_width(width.unwrap_or_default())?;
            width.map(header::numbered).map(Heading::named)
        };
        if file.identity().size == 0 || header.is_none() {
            self.check_empty(path, file.identity().size)?;
        }
        Ok(Opened { file, reader, header: header.unwrap_or_default() })
    }

    fn reader(&self, path: &str, delimiter: ShortText, summed: bool) -> Result<(OpenFile, Input)> {
        let file = self.open(path, summed)?;
        let dialect = self.dialect(delimiter)?;
        let text = self.without_footer(self.text(&file)?);
        let mut reader = Reader::new(text, &dialect);
        reader.skip_lines(self.settings.text.skip_rows)?;
        Ok((file, reader))
    }

    /// Reads the header. Blank lines before one of several names are skipped; before a single
    /// name one may be a header without a name.
    fn header(
        &self,
        path: &str,
        delimiter: ShortText,
        reader: &mut Input,
    ) -> Result<Option<Heading>> {
        let mut blank = None;
        while let Some(record) = reader.record()? {
            let is_header = !is_space(record.raw()) || self.settings.text.rename_headers;
            if is_header && (blank.is_none() || record.len() > 1) {
                return self.heading(path, delimiter, &record).map(Some);
            }
            blank.get_or_insert(record.line());
            if is_header {
                break;
            }
        }
        let Some(line) = blank else { return Ok(None) };
        Err(Error::new(ErrorKind::Data, "cannot use an empty line as the header")
            .with("line", line)
            .hint("set `skip_rows` to the number of lines before the header"))
    }

    fn heading(&self, path: &str, delimiter: ShortText, record: &Record<'_>) -> Result<Heading> {
        let line = record.line();
        self.check_header(record).with("line", line)?;
        if let Some([delimiter]) = record.raw().strip_prefix(b"sep=") {
            let delimiter = char::from(*delimiter);
            let message = "cannot use a `sep=` line as the header";
            return Err(Error::new(ErrorKind::Data, message)
                .with("line", record.line())
                .hint(format!("set `delimiter` to `{delimiter}` and `skip_rows` to 1")));
        }
        self.check_width(record.len())?;
        let name = |(text, _): (&[u8], bool)| String::from_utf8_lossy(text).into_owned();
        let names: Vec<String> = record.fields().map(name).collect();
        let only = record.field(0).filter(|_| names.len() == 1);
        let other = only.and_then(|(text, _)| other_delimiter(text));
        if let Some(other) = other.filter(|_| !self.doubted_delimiter.replace(true)) {
            // Its own delimiter can be there in quotes alone.
            let is_own = other.to_string() == delimiter.to_string();
            let doubt = if is_own {
                "check whether whole lines are in quotes"
            } else {
                "check `delimiter`"
            };
            singer::warn!(
                "W-DELIMITER-DOUBTFUL",
                "the only column of {path} has a {other:?} in its name: {doubt}"
            );
        }
        let is_spaced = |(text, quoted): (&[u8], bool)| !quoted && text.first() == Some(&b' ');
        if names.len() > 1
            && record.fields().skip(1).all(is_spaced)
            && !self.doubted_delimiter.replace(true)
        {
            singer::warn!(
                "W-DELIMITER-DOUBTFUL",
                "the column names of {path} begin with a space, which is part of the names and of \
                 the values: if this is not intended, set `skipinitialspace`"
            );
        }
        let rename = self.settings.text.rename_headers;
        let heading = Heading::of_line(&names, line);
        let names = header::checked(names, rename).with("line", line)?;
        Ok(heading.renamed(names))
    }

    /// Refuses a first line that is no header of delimited text.
    fn check_header(&self, record: &Record<'_>) -> Result<()> {
        if self.settings.format.is_some() {
            return Ok(());
        }
        let raw = record.raw();
        if is_json(raw).is_some() || raw.trim_ascii() == b"[" || starts(raw, b"{\"") {
            return Err(Error::new(ErrorKind::Data, "cannot use JSON as the header")
                .hint("set `format` to json or jsonl; if this line is a header, set it to csv"));
        }
        if [&b"<!doctype"[..], b"<html", b"<?xml"].iter().any(|begin| starts(raw, begin)) {
            return Err(Error::new(ErrorKind::Data, "cannot use HTML or XML as the header").hint(
                "check whether the file is an error page of a server; if this line is a \
                     header, set `format` to csv",
            ));
        }
        Ok(())
    }
}

/// Tells whether a line begins so, in any case.
fn starts(line: &[u8], begin: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin))
}

/// Tells whether a line is one of white space.
pub(super) fn is_space(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}
