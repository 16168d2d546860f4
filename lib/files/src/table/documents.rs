//! JSON files of a table: arrays of objects, single objects, and an object on each line.

use std::io::{Chain, Cursor, Read};

use singer::scan::Scanner;
use singer::{Error, ErrorKind, Result, Rows, Stream, quote};

use super::columns::Columns;
use super::{Place, Table};
use crate::format::Format;
use crate::json::{Records, RecordsPath};
use crate::open::{Identity, OpenFile, read_failure};
use crate::settings::Metadata;

/// How much of a file is looked at to tell an array from objects on lines.
const HEAD_BYTES: usize = 64 << 10;

type Input = Records<Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>>;

impl Table {
    /// Takes the columns of one file, and the types of its values, into account; returns what the
    /// file was.
    pub(super) fn survey_documents(&self, path: &str, columns: &mut Columns) -> Result<Identity> {
        let (file, records) = self.open_documents(path, false)?;
        let identity = file.identity();
        let Some(mut records) = records else { return Ok(identity) };
        while let Some(record) = records.next().map_err(|failure| file.explain(failure))? {
            // What is no object is not for this pass to refuse.
            let _ = columns.shape.see(record.text);
        }
        file.finish()?;
        Ok(identity)
    }

    /// Writes the rows of one file; returns what the file was, and its sum if asked for.
    pub(super) fn read_documents(
        &self,
        stream: &Stream,
        path: &str,
        summed: bool,
        rows: &mut Rows,
    ) -> Result<(Identity, Option<String>)> {
        let (file, records) = self.open_documents(path, summed)?;
        let identity = file.identity();
        let place = Place::new(path, identity)?;
        let Some(mut records) = records else { return Ok((identity, None)) };
        let metadata: Vec<Metadata> = self.metadata(stream);
        let mut row = Vec::new();
        loop {
            let next = records.next().map_err(|failure| file.explain(failure))?;
            let Some(record) = next else { break };
            with_metadata(record.text, record.line, &metadata, &place, &mut row);
            rows.json(stream, &row, (path, Some(record.line)))?;
        }
        Ok((identity, file.finish()?))
    }

    /// Returns the columns that the tap adds, those that are selected.
    fn metadata(&self, stream: &Stream) -> Vec<Metadata> {
        let wanted = |column: &&Metadata| stream.column(column.name()).is_some();
        self.settings.metadata.iter().filter(wanted).copied().collect()
    }

    /// Opens a file; no records where it is empty and may be.
    fn open_documents(&self, path: &str, summed: bool) -> Result<(OpenFile, Option<Input>)> {
        let file = self.open(path, summed)?;
        let mut text = file.text(self.encoding, self.limits)?;
        let mut head = vec![0; HEAD_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            match text.read(&mut head[filled..]).map_err(read_failure)? {
                0 => break,
                bytes => filled += bytes,
            }
        }
        head.truncate(filled);
        if head.trim_ascii().is_empty() {
            self.check_empty(path)?;
            return Ok((file, None));
        }
        let bytes_max = self.settings.record_bytes_max;
        let lines = self.format(path) == Format::Jsonl || is_object_on_line(&head);
        let input = Cursor::new(head).chain(text);
        let records = if lines {
            Records::lines(input, bytes_max)
        } else {
            Records::new(input, &RecordsPath::parse("$[*]")?, bytes_max)
        };
        Ok((file, Some(records)))
    }
}

/// Tells whether the first line is a whole object: then each line is one, as in many a .json.
fn is_object_on_line(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else { return false };
    let mut scanner = Scanner::new(head[..end].trim_ascii_end());
    head.first() == Some(&b'{') && scanner.value().is_ok() && scanner.end().is_ok()
}

/// Makes the text of a row: that of an object, with the tap's own columns as its last members.
fn with_metadata(
    object: &[u8],
    line: u64,
    metadata: &[Metadata],
    place: &Place<'_>,
    row: &mut Vec<u8>,
) {
    row.clear();
    let Some(members) = object.trim_ascii().strip_suffix(b"}").filter(|_| !metadata.is_empty())
    else {
        // What is no object is for the reader of the row to refuse.
        row.extend_from_slice(object);
        return;
    };
    row.extend_from_slice(members);
    let mut first = members.trim_ascii_end().ends_with(b"{");
    for column in metadata {
        if !std::mem::take(&mut first) {
            row.push(b',');
        }
        quote::string_into(column.name().as_bytes(), row);
        row.push(b':');
        match column {
            Metadata::File => quote::string_into(place.path.as_bytes(), row),
            Metadata::Modified => quote::string_into(place.modified.as_bytes(), row),
            Metadata::Line => row.extend_from_slice(line.to_string().as_bytes()),
            Metadata::Extra => row.extend_from_slice(b"null"),
        }
    }
    row.push(b'}');
}

/// The failure of a table that is neither.
pub(super) fn mixed() -> Error {
    Error::new(ErrorKind::Config, "cannot read JSON and delimited files as one table")
        .hint("make two tables of them, or set `format`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_objects_on_lines_from_one_object() {
        for (head, expected) in [
            ("{\"a\":1}\n{\"a\":2}\n", true),
            ("\u{feff} {\"a\": {\"b\": [1]}} \r\n", true),
            ("{\"a\":1}", false),
            ("{\n\"a\":1}\n", false),
            ("[{\"a\":1}]\n", false),
            ("{\"a\":1},\n", false),
            ("1\n2\n", false),
        ] {
            assert_eq!(is_object_on_line(head.as_bytes()), expected, "{head}");
        }
    }

    #[test]
    fn rows_have_the_columns_of_the_tap_behind_their_own() {
        let identity = Identity::far(1, std::time::SystemTime::UNIX_EPOCH);
        let place = Place::new("in/\"a\".json", identity).unwrap();
        let both = [Metadata::File, Metadata::Line];
        for (object, metadata, expected) in [
            (
                "{\"a\":1}",
                &both[..],
                r#"{"a":1,"_sdc_source_file":"in/\"a\".json","_sdc_source_lineno":7}"#,
            ),
            (" { } ", &both[1..], "{ \"_sdc_source_lineno\":7}"),
            ("{\"a\":1}", &[], "{\"a\":1}"),
            ("7", &both, "7"),
        ] {
            let mut row = b"old".to_vec();
            with_metadata(object.as_bytes(), 7, metadata, &place, &mut row);
            assert_eq!(String::from_utf8(row).unwrap(), expected);
        }
    }
}
