//! JSON files of a table: arrays of objects, single objects, and an object on each line.

use std::io::{Chain, Cursor, Read};

use singer::scan::{Fault, Scanner, Token};
use singer::{Error, ErrorKind, Result, Rows, Stream, quote};

use super::columns::Columns;
use super::form::{Form, is_object_on_line};
use super::{Place, Table};
use crate::identity::Identity;
use crate::json::{Records, RecordsPath, Shape};
use crate::open::{self, OpenFile};
use crate::settings::Metadata;

type Input = Records<Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>>;

impl Table {
    /// Takes the columns of one file, and the types of its values, into account; returns what the
    /// file was, or `None` when it is skipped, as in [`Table::is_foreign`].
    pub(super) fn survey_documents(
        &self,
        path: &str,
        lines: bool,
        columns: &mut Columns,
    ) -> Result<Option<Identity>> {
        let (file, records) = self.open_documents((path, lines), false)?;
        let identity = file.identity();
        let Some(mut records) = records else { return Ok(Some(identity)) };
        let (mut is_first, mut row) = (true, Vec::new());
        while let Some(record) = records.next().map_err(|failure| file.explain(failure))? {
            if std::mem::take(&mut is_first) {
                if self.is_foreign(path, record.text, |name| columns.has(name)) {
                    return Ok(None);
                }
                self.tell_apart(path, record.text, columns);
            }
            let is_object = columns.see(self.with_nulls(record.text, &mut row), path)?;
            if !is_object && columns.no_object.is_none() {
                columns.no_object = Some(no_object(path, record.line, record.text, lines));
            }
        }
        file.finish()?;
        Ok(Some(identity))
    }

    /// Tells whether a JSON file beside delimited ones is none of the table: programs leave their
    /// own JSON files beside data, and these have no column of it. That is reported.
    fn is_foreign(&self, path: &str, first: &[u8], has: impl Fn(&str) -> bool) -> bool {
        if !self.forms.values().any(|form| matches!(form, Form::Records(_))) {
            return false;
        }
        let mut shape = Shape::default();
        // What is no object is not for here to refuse.
        let is_table = shape.see(first).is_err() || shape.is_empty() || shape.names().any(has);
        if !is_table {
            singer::warn!(
                "W-FILE-NOT-READ",
                "skipping {path}: it has no column of the delimited files beside it; if its \
                 objects are rows, give it a table of its own"
            );
        }
        !is_table
    }

    /// Tells of a JSON file beside others whose first object has no column of theirs: it may be of
    /// another table.
    fn tell_apart(&self, path: &str, first: &[u8], columns: &Columns) {
        let mut shape = Shape::default();
        let is_object = shape.see(first).is_ok() && !shape.is_empty();
        if is_object && !columns.is_empty() && !shape.names().any(|name| columns.has_any(name)) {
            singer::warn!(
                "W-FILE-APART",
                "{path} has no column of the files before it in stream {}: if its objects are rows \
                 of another table, give it one of its own",
                self.name()
            );
        }
    }

    /// Writes the rows of one file; returns what the file was, and its sum.
    pub(super) fn read_documents(
        &self,
        stream: &Stream,
        (path, lines): (&str, bool),
        rows: &mut Rows<'_>,
    ) -> Result<(Identity, Option<String>)> {
        let (file, records) = self.open_documents((path, lines), true)?;
        let identity = file.identity();
        let place = Place::new(path, identity)?;
        let Some(mut records) = records else { return Ok((identity, None)) };
        self.had_documents.set(true);
        let metadata: Vec<Metadata> = self.metadata(stream);
        let mut known = Self::deselected(stream);
        known.extend(stream.columns.iter().map(|column| column.name.clone()));
        let has = |name: &str| known.contains(name);
        let (mut row, mut nulled) = (Vec::new(), Vec::new());
        let mut is_first = true;
        while !rows.has_enough() {
            let next = records.next().map_err(|failure| file.explain(failure))?;
            let Some(record) = next else { break };
            if std::mem::take(&mut is_first) && self.is_foreign(path, record.text, has) {
                return Ok((identity, None));
            }
            let object = self.with_nulls(record.text, &mut nulled);
            with_metadata(object, record.line, &metadata, &place, &mut row);
            rows.json(stream, &row, (path, Some(record.line)))?;
        }
        if records.loses_keys() && !self.doubted_keys.replace(true) {
            singer::warn!(
                "W-PROPERTY-LOST",
                "{path} is an object whose members are read as rows, and the numbers that are its \
                 keys are not in the rows: if these numbers are more than places in a list, write \
                 each object with its key as a member"
            );
        }
        self.held.set(file.held());
        let sum = if rows.has_enough() { None } else { file.finish()? };
        Ok((identity, sum))
    }

    /// Returns an object with null in place of strings that mean it: those of its columns alone.
    fn with_nulls<'a>(&self, object: &'a [u8], out: &'a mut Vec<u8>) -> &'a [u8] {
        let nulls = &self.settings.text.null_values;
        // What is no object is for the reader of the row to refuse.
        if nulls.is_empty() || nulled(object, nulls, out).is_err() { object } else { out }
    }

    /// Returns the columns that the tap adds, those that are selected.
    fn metadata(&self, stream: &Stream) -> Vec<Metadata> {
        let wanted = |column: &&Metadata| stream.column(column.name()).is_some();
        self.settings.metadata.iter().filter(wanted).copied().collect()
    }

    /// Opens a file; no records where it is empty and may be.
    fn open_documents(
        &self,
        (path, lines): (&str, bool),
        summed: bool,
    ) -> Result<(OpenFile, Option<Input>)> {
        let file = self.open(path, summed)?;
        let mut text = self.text(&file)?;
        let head = open::head(&mut text)?;
        if head.trim_ascii().is_empty() {
            self.check_empty(path, file.identity().size)?;
            return Ok((file, None));
        }
        let bytes_max = self.settings.record_bytes_max;
        let lines = lines || is_object_on_line(&head);
        let input = Cursor::new(head).chain(text);
        let records = if lines {
            Records::lines(input, bytes_max)
        } else {
            Records::new(input, &RecordsPath::parse("$[*]")?, bytes_max)
        };
        Ok((file, Some(records)))
    }
}

/// The failure of a record that is no object, and so has no columns.
fn no_object(path: &str, line: u64, record: &[u8], lines: bool) -> Error {
    let failure = Error::new(ErrorKind::Data, "cannot read a record that is not an object")
        .with("path", path)
        .with("line", line);
    let is_array = record.trim_ascii_start().starts_with(b"[");
    failure.hint(match (lines, is_array) {
        (true, true) => {
            "if the whole file is one array of objects, set `format` to json; else write one \
             object on each line"
        }
        (true, false) => {
            "write one object on each line; if the whole file is one object or an array of \
             objects, set `format` to json"
        }
        (false, _) => {
            "write the file as an array of objects, as one object, or as one object on each line"
        }
    })
}

/// Writes an object with null in place of members that are one of these strings.
fn nulled(object: &[u8], nulls: &[String], out: &mut Vec<u8>) -> std::result::Result<(), Fault> {
    out.clear();
    let mut text = Vec::new();
    let mut scanner = Scanner::new(object);
    scanner.space();
    let mut copied = 0;
    let mut more = scanner.open(b'{', b'}')?;
    while more {
        scanner.key()?;
        scanner.space();
        let start = scanner.at();
        if let Token::String(quoted) = scanner.value()? {
            text.clear();
            quoted.unescape_into(&mut text);
            if nulls.iter().any(|null| null.as_bytes() == text) {
                out.extend_from_slice(&object[copied..start]);
                out.extend_from_slice(b"null");
                copied = scanner.at();
            }
        }
        more = scanner.more(b'}')?;
    }
    out.extend_from_slice(&object[copied..]);
    scanner.end()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_mean_null_are_null() {
        let nulls = ["NA".to_owned(), String::new(), "1".to_owned(), "é\"".to_owned()];
        for (object, expected) in [
            ("{\"a\":\"NA\",\"NA\":1}", "{\"a\":null,\"NA\":1}"),
            (" { \"a\" : \"\" , \"b\" : \"1\" } ", " { \"a\" : null , \"b\" : null } "),
            ("{\"a\":1,\"b\":[\"NA\"],\"c\":{\"d\":\"NA\"}}", ""),
            (r#"{"a":"\u00e9\"","b":"na"}"#, r#"{"a":null,"b":"na"}"#),
            ("{}", ""),
        ] {
            let mut out = Vec::new();
            nulled(object.as_bytes(), &nulls, &mut out).unwrap();
            let expected = if expected.is_empty() { object } else { expected };
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert!(nulled(b"[1]", &nulls, &mut Vec::new()).is_err());
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
