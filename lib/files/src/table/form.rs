//! How a file is written: by the settings, by the ending of its name, or by its first lines.

use std::collections::BTreeMap;
use std::io::Read;

use memchr::{memchr, memmem};
use singer::convert::Conversion;
use singer::scan::Scanner;
use singer::{Error, ErrorKind, Kind, Result};

use super::Table;
use crate::column::ColumnSetting;
use crate::footer::WithoutFooter;
use crate::format::Format;
use crate::open;
use crate::short_text::ShortText;
use crate::written::unused;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON: an array of objects or one object; or an object on each line.
    Documents {
        /// Whether each line is an object.
        lines: bool,
    },
    /// Records with this between their fields.
    Records(ShortText),
}

/// What may stand between the fields of a text whose ending does not tell it.
pub(super) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The settings that say how delimited text is written.
const OF_TEXT: [&str; 23] = [
    "columns",
    "comment",
    "date_format",
    "datetime_format",
    "datetime_zone",
    "decimal",
    "delimiter",
    "doublequote",
    "escapechar",
    "false_values",
    "header",
    "infer_types",
    "on_ragged",
    "quotechar",
    "rename_headers",
    "skip_footer",
    "skip_rows",
    "skipinitialspace",
    "strict",
    "thousands",
    "time_format",
    "true_values",
    "two_digit_century_start",
];

impl Table {
    /// Tells how a file is written; `None` for a text whose first lines are no table.
    pub(super) fn form(&self, path: &str) -> Result<Option<Form>> {
        let format = self.settings.format.or_else(|| Format::of(path));
        if format.is_none() && Format::is_text(path) {
            let file = self.open(path, false)?;
            let text = self.text(&file)?;
            let mut text = self.without_footer(text);
            let head = open::head(&mut text).map_err(|failure| file.explain(failure))?;
            return Ok(self.told_by(&head));
        }
        let format = format.unwrap_or(Format::Csv);
        Ok(Some(match format {
            Format::Json | Format::Jsonl => Form::Documents { lines: format == Format::Jsonl },
            _ => Form::Records(self.settings.delimiter.unwrap_or(format.delimiter())),
        }))
    }

    /// Leaves out texts that are no tables, as people put notes beside data; where there is nothing
    /// else, each line of them is a row of one column.
    pub(super) fn with_forms(&self, paths: Vec<String>) -> Result<BTreeMap<String, Form>> {
        let formed = |path: String| Ok((self.form(&path)?, path));
        let formed = paths.into_iter().map(formed).collect::<Result<Vec<_>>>()?;
        let comma = Form::Records(self.settings.delimiter.unwrap_or(ShortText::from(b',')));
        let all_are_texts = formed.iter().all(|(form, _)| form.is_none());
        let kept = formed.into_iter().filter_map(|(form, path)| {
            if form.is_none() && !all_are_texts {
                singer::warn!(
                    "W-FILE-NOT-READ",
                    "skipping {path}: its first lines are not a table with `,`, `;`, `|` or tab \
                     between the fields; if it is a table, give it an entry of its own"
                );
                return None;
            }
            Some((path, form.unwrap_or(comma)))
        });
        let kept: BTreeMap<_, _> = kept.collect();
        self.check_forms(&kept, all_are_texts)?;
        self.tell_unused(&kept);
        self.tell_untyped();
        Self::tell_copies(kept.keys());
        Ok(kept)
    }

    /// Tells of settings that say how delimited text is written, where there is none.
    fn tell_unused(&self, kept: &BTreeMap<String, Form>) {
        let all_are_json = kept.values().all(|form| matches!(form, Form::Documents { .. }));
        if kept.is_empty() || !all_are_json {
            return;
        }
        for name in self.row_settings().keys().filter(|name| OF_TEXT.contains(&name.as_str())) {
            singer::warn!(
                "W-SETTING-UNUSED",
                "`{name}` has no effect on stream {}: all of its files are JSON",
                self.name()
            );
        }
    }

    /// Tells of settings that say how the values of a type are written, where no column has it.
    fn tell_untyped(&self) {
        let text = &self.settings.text;
        let kinds: Vec<Kind> = text.types.values().map(ColumnSetting::kind).collect();
        for (name, of) in unused(text, &kinds) {
            singer::warn!(
                "W-SETTING-UNUSED",
                "`{name}` has no effect on {} {}: `types` says of no column that it is {of}",
                self.settings.words.table,
                self.name()
            );
        }
        for (column, writing) in &self.writings {
            if let Some(Conversion::Time(format)) = &writing.conversion
                && format.kind() == Kind::DateTime
                && !format.has_offset()
            {
                self.tell_unzoned(column, "its format has no `%z`");
            }
        }
    }

    /// Tells of date-times whose zone nobody has named.
    pub(super) fn tell_unzoned(&self, column: &str, why: &str) {
        singer::warn!(
            "W-TIME-UNZONED",
            "{} {}: the date-times of column {column} have no offset ({why}), and a target takes \
             them as UTC. Set `datetime_zone` to their zone, `UTC` if they are, or read the column \
             as string",
            self.settings.words.table,
            self.name()
        );
    }

    /// Refuses texts that are all there is, but have several bytes that may be their delimiter.
    fn check_forms(&self, kept: &BTreeMap<String, Form>, all_are_texts: bool) -> Result<()> {
        if !all_are_texts || self.settings.delimiter.is_some() {
            return Ok(());
        }
        for path in kept.keys().filter(|path| Format::is_text(path)) {
            let file = self.open(path, false)?;
            let text = self.text(&file)?;
            let head = open::head(&mut self.without_footer(text))?;
            let (first, _) = self.first_lines(&head);
            let found = DELIMITERS.into_iter().filter(|byte| first.contains(byte));
            let found: Vec<_> = found.map(|byte| format!("{:?}", char::from(byte))).collect();
            if !found.is_empty() {
                return Err(Error::new(ErrorKind::Data, "cannot find the delimiter of the fields")
                    .with(self.settings.words.table, self.name())
                    .with("path", path)
                    .with("the first line has", found.join(", "))
                    .hint("set `delimiter`"));
            }
        }
        Ok(())
    }

    /// Tells by the first bytes how a text is written; `None` when they are no table: its first
    /// line has a delimiter, and the second one has it as often.
    fn told_by(&self, head: &[u8]) -> Option<Form> {
        if let Some(lines) = is_json(head) {
            return Some(Form::Documents { lines });
        }
        let (first, second) = self.first_lines(head);
        let fits = |delimiter: &ShortText| {
            let count = |line: &[u8]| memmem::find_iter(line, delimiter.as_bytes()).count();
            let found = count(&first);
            found > 0 && second.as_ref().is_none_or(|second| count(second) == found)
        };
        let given = self.settings.delimiter;
        let may_be =
            given.map_or_else(|| DELIMITERS.map(ShortText::from).to_vec(), |one| vec![one]);
        let mut found = may_be.into_iter().filter(fits);
        let one = found.next()?;
        found.next().is_none().then_some(Form::Records(one))
    }

    /// Returns the header, and the line behind it, without what is in quotes.
    fn first_lines(&self, head: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let text = &self.settings.text;
        let quote = text.quotechar.bytes().next();
        let comment = text.comment.as_deref().filter(|text| !text.is_empty());
        let mut lines = head;
        let past = |lines: &[u8]| memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        for _ in 0..text.skip_rows {
            lines = &lines[past(lines)..];
        }
        let mut next = || {
            let is_passed = |lines: &[u8]| {
                let is_comment =
                    comment.is_some_and(|comment| lines.starts_with(comment.as_bytes()));
                is_comment || !lines.is_empty() && lines[..past(lines)].trim_ascii().is_empty()
            };
            while is_passed(lines) {
                lines = &lines[past(lines)..];
            }
            let (mut line, mut quoted, mut bytes) = (Vec::new(), false, 0);
            for byte in lines {
                bytes += 1;
                if Some(*byte) == quote {
                    quoted = !quoted;
                    // What is left and right of it does not meet.
                    line.push(0);
                } else if *byte == b'\n' && !quoted {
                    break;
                } else if !quoted {
                    line.push(*byte);
                }
            }
            lines = &lines[bytes..];
            (bytes > 0).then_some(line)
        };
        (next().unwrap_or_default(), next())
    }

    /// Leaves out the last lines of the text of a delimited file.
    pub(super) fn without_footer(&self, text: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match self.settings.text.skip_footer {
            0 => text,
            lines => Box::new(WithoutFooter::new(text, lines, self.settings.record_bytes_max)),
        }
    }
}

/// Tells whether a text is JSON, and if so whether each line is an object.
pub(super) fn is_json(head: &[u8]) -> Option<bool> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if is_object_on_line(text) {
        return Some(true);
    }
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start().first();
    let begins =
        matches!((text.first(), inner), (Some(b'{'), Some(b'"')) | (Some(b'['), Some(b'{')));
    begins.then_some(false)
}

/// Tells whether the first line is a whole object: then each line is one, as in many a .json.
pub(super) fn is_object_on_line(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else { return false };
    let mut scanner = Scanner::new(head[..end].trim_ascii_end());
    head.first() == Some(&b'{') && scanner.value().is_ok() && scanner.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_objects_on_lines_from_one_object() {
        for (head, lines, expected) in [
            ("{\"a\":1}\n{\"a\":2}\n", true, Some(true)),
            ("\u{feff} {\"a\": {\"b\": [1]}} \r\n", true, Some(true)),
            ("{\"a\":1}", false, Some(false)),
            ("{\n\"a\":1}\n", false, Some(false)),
            ("[{\"a\":1}]\n", false, Some(false)),
            ("[\n  {\"a\":1}]\n", false, Some(false)),
            ("{\"a\":1},\n", false, Some(false)),
            ("1\n2\n", false, None),
            ("[draft] Notes, first part\n", false, None),
            ("{id},n\n", false, None),
        ] {
            assert_eq!(is_object_on_line(head.as_bytes()), lines, "{head}");
            assert_eq!(is_json(head.as_bytes()), expected, "{head}");
        }
    }
}
