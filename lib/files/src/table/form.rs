//! How a file is written: by the settings, by the ending of its name, or by its first lines.

use std::collections::BTreeMap;

use singer::scan::Scanner;
use singer::{Error, ErrorKind, Result};

use super::Table;
use crate::format::Format;
use crate::open;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON: an array of objects or one object; or an object on each line.
    Documents {
        /// Whether each line is an object.
        lines: bool,
    },
    /// Records with this byte between their fields.
    Records(u8),
}

/// What may stand between the fields of a text whose ending does not tell it.
pub(super) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// The bytes that are hardly part of the only name of a file: these and rarer delimiters.
pub(super) const DELIMITERS_DOUBTED: [u8; 9] = [b',', b';', b'\t', b'|', b'~', b'^', 1, 0x1e, 0x1f];

impl Table {
    /// Tells how a file is written; `None` for a text whose first lines are no table.
    pub(super) fn form(&self, path: &str) -> Result<Option<Form>> {
        let format = self.settings.format.or_else(|| Format::of(path));
        if format.is_none() && Format::is_text(path) {
            let file = self.open(path, false)?;
            let (mut text, _) = file.checked_text(self.encoding, self.limits)?;
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
        let comma = Form::Records(self.settings.delimiter.unwrap_or(b','));
        let all_are_texts = formed.iter().all(|(form, _)| form.is_none());
        let kept = formed.into_iter().filter_map(|(form, path)| {
            if form.is_none() && !all_are_texts {
                singer::warn!(
                    "W-FILE-NOT-READ",
                    "passing over {path}: its first lines are no table that has one of `, ; | tab` \
                     between its fields; if it is one, give it a table of its own"
                );
                return None;
            }
            Some((path, form.unwrap_or(comma)))
        });
        let kept: BTreeMap<_, _> = kept.collect();
        self.check_forms(&kept, all_are_texts)?;
        self.tell_unused(&kept);
        Self::tell_copies(kept.keys());
        Ok(kept)
    }

    /// Tells of settings that say how delimited text is written, where there is none.
    fn tell_unused(&self, kept: &BTreeMap<String, Form>) {
        let of_text = [
            "columns",
            "delimiter",
            "doublequote",
            "escapechar",
            "header",
            "infer_types",
            "quotechar",
            "rename_headers",
            "skip_rows",
            "skipinitialspace",
            "strict",
        ];
        let all_are_json = kept.values().all(|form| matches!(form, Form::Documents { .. }));
        if kept.is_empty() || !all_are_json {
            return;
        }
        for name in self.row_settings().keys().filter(|name| of_text.contains(&name.as_str())) {
            singer::warn!(
                "W-SETTING-UNUSED",
                "`{name}` has no effect on stream {}: all of its files are JSON",
                self.name()
            );
        }
    }

    /// Refuses texts that are all there is, but have several bytes that may be their delimiter.
    fn check_forms(&self, kept: &BTreeMap<String, Form>, all_are_texts: bool) -> Result<()> {
        if !all_are_texts || self.settings.delimiter.is_some() {
            return Ok(());
        }
        for path in kept.keys().filter(|path| Format::is_text(path)) {
            let file = self.open(path, false)?;
            let (mut text, _) = file.checked_text(self.encoding, self.limits)?;
            let head = open::head(&mut text)?;
            let (first, _) = self.first_lines(&head);
            let found = DELIMITERS.into_iter().filter(|byte| first[usize::from(*byte)] > 0);
            let found: Vec<_> = found.map(|byte| format!("{:?}", char::from(byte))).collect();
            if !found.is_empty() {
                return Err(Error::new(ErrorKind::Data, "cannot tell what separates the fields")
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
        let fits = |byte: &u8| {
            let count = first[usize::from(*byte)];
            count > 0 && second.as_ref().is_none_or(|second| second[usize::from(*byte)] == count)
        };
        let given = self.settings.delimiter;
        let may_be = given.map_or_else(|| DELIMITERS.to_vec(), |given| vec![given]);
        let mut found = may_be.into_iter().filter(fits);
        let one = found.next()?;
        found.next().is_none().then_some(Form::Records(one))
    }

    /// Counts the ASCII characters outside of quotes in the header, and in the line behind it.
    fn first_lines(&self, head: &[u8]) -> ([usize; 128], Option<[usize; 128]>) {
        let quote = self.settings.text.quotechar.bytes().next();
        let mut lines = head;
        for _ in 0..self.settings.text.skip_rows {
            let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            lines = &lines[end..];
        }
        let mut next = || {
            let mut counts = [0; 128];
            let mut quoted = false;
            let mut bytes = 0;
            for byte in lines {
                bytes += 1;
                if Some(*byte) == quote {
                    quoted = !quoted;
                } else if *byte == b'\n' && !quoted {
                    break;
                } else if byte.is_ascii() && !quoted {
                    counts[usize::from(*byte)] += 1;
                }
            }
            lines = &lines[bytes..];
            (bytes > 0).then_some(counts)
        };
        (next().unwrap_or([0; 128]), next())
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
