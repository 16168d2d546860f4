//! `.env` as python-dotenv reads it: what Meltano reads from it is what is read here.
//!
//! The rule: an unquoted value is what stands there up to a comment, quotes have escapes and may
//! hold lines, and only `${NAME}` and `${NAME:-default}` are replaced, in quotes, too.

use std::ops::Range;

/// What a text of variables holds.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// Names and values in their order; a name without `=` has none.
    pub variables: Vec<Variable>,
    /// The lines where something begins that is no statement.
    pub odd: Vec<usize>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The name.
    pub name: String,
    /// What stands behind `=`, names not yet replaced.
    pub value: Option<String>,
    /// The line of the name.
    pub line: usize,
    /// The bytes of the statement, from its first character to the end of its comment.
    span: Range<usize>,
    /// The bytes of the value as it is written.
    written: Range<usize>,
}

/// Writes a value as a text of variables has it.
pub fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Sets a variable in a text, and keeps all other lines; `None` where no text can say the value.
pub(crate) fn set(text: &str, name: &str, value: &str) -> Option<String> {
    let quoted = quoted(value);
    let mut out = text.to_owned();
    let offset = text.len() - text.trim_start_matches('\u{feff}').len();
    let all = read(text).variables;
    let mut found = all.iter().filter(|variable| variable.name == name).rev().peekable();
    if found.peek().is_none() {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !out.is_empty() && !out.ends_with('\n') {
            out += end;
        }
        out.extend([name, "=", quoted.as_str(), end]);
    }
    for variable in found {
        let sign = if variable.value.is_none() { "=" } else { "" };
        let written = variable.written.start + offset..variable.written.end + offset;
        out.replace_range(written, &format!("{sign}{quoted}"));
    }
    let set = read(&out);
    let last = set.variables.iter().rev().find(|variable| variable.name == name)?;
    let says = last.value.as_deref() == Some(value) && !value.contains("${");
    (says && set.odd == read(text).odd).then_some(out)
}

/// Removes a variable from a text, and keeps all other lines; `None` where it is not there.
pub(crate) fn unset(text: &str, name: &str) -> Option<String> {
    let offset = text.len() - text.trim_start_matches('\u{feff}').len();
    let all = read(text).variables;
    let mut out = text.to_owned();
    for variable in all.iter().filter(|variable| variable.name == name).rev() {
        let (start, end) = (variable.span.start + offset, variable.span.end + offset);
        let start = out[..start].rfind('\n').map_or(offset, |line| line + 1);
        let end = out[end..].find('\n').map_or(out.len(), |line| end + line + 1);
        out.replace_range(start..end, "");
    }
    (out.len() < text.len()).then_some(out)
}

/// Reads all statements of a text.
pub(crate) fn read(text: &str) -> Statements {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader { text, at: 0, written: 0..0 };
    let mut read = Statements::default();
    loop {
        reader.skip(is_space);
        if reader.rest().is_empty() {
            return read;
        }
        let start = reader.at;
        match reader.statement() {
            Some((None, _)) => {}
            Some((Some(name), value)) => {
                let line = reader.line_of(start);
                // No variable of a process has such a name or value.
                let no_value = value.as_ref().is_some_and(|value| value.contains('\0'));
                if no_value || name.contains(['\0', '=']) {
                    read.odd.push(line);
                } else {
                    let (span, written) = (start..reader.at, reader.written.clone());
                    read.variables.push(Variable { name, value, line, span, written });
                }
            }
            None => {
                read.odd.push(reader.line_of(start));
                reader.skip(|c| !is_line_end(c));
            }
        }
    }
}

/// Puts values in place of `${NAME}` and `${NAME:-default}`.
pub(crate) fn expand<'a>(text: &str, value_of: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find(['}', ':']).unwrap_or(inner.len());
        let (name, behind) = inner.split_at(end);
        let default = behind.strip_prefix(":-").and_then(|text| text.split_once('}'));
        match (behind.strip_prefix('}'), default) {
            (Some(after), _) => {
                out.push_str(value_of(name).unwrap_or_default());
                rest = after;
            }
            (None, Some((default, after))) => {
                out.push_str(value_of(name).unwrap_or(default));
                rest = after;
            }
            (None, None) => {
                out.push_str("${");
                rest = inner;
            }
        }
    }
    out + rest
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The bytes of the last value.
    written: Range<usize>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes over characters, and returns them.
    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        self.at += if is_there { text.len() } else { 0 };
        is_there
    }

    fn line_of(&self, at: usize) -> usize {
        let before = &self.text[..at];
        let ends = before.matches('\n').count() + before.matches('\r').count();
        1 + ends - before.matches("\r\n").count()
    }

    /// Reads up to the end of a statement; `None` where it is none, with what was read behind it.
    fn statement(&mut self) -> Option<(Option<String>, Option<String>)> {
        if self.rest().strip_prefix("export").is_some_and(|rest| rest.starts_with(is_blank)) {
            self.at += "export".len();
            self.skip(is_blank);
        }
        let name = match self.rest().chars().next() {
            Some('#') => None,
            Some('\'') => Some(self.quoted_name()?),
            _ => Some(self.skip(|c| !is_space(c) && !matches!(c, '=' | '#'))),
        };
        if name == Some("") {
            return None;
        }
        self.written = self.at..self.at;
        self.skip(is_blank);
        let value = if self.take("=") {
            self.written = self.at..self.at;
            // Behind a space, `#` begins a comment; right behind `=` it is part of the value.
            let is_comment = !self.skip(is_blank).is_empty() && self.rest().starts_with('#');
            let start = self.at;
            let value = if is_comment { String::new() } else { self.value()? };
            if !is_comment {
                let end = start + before_comment(&self.text[start..self.at]).len();
                let is_quoted = self.text[start..].starts_with(['\'', '"']);
                self.written = start..if is_quoted { self.at } else { end };
            }
            Some(value)
        } else {
            None
        };
        let behind = self.rest().trim_start_matches(is_blank);
        if behind.starts_with('#') {
            self.skip(|c| !is_line_end(c));
        } else if !behind.is_empty() && !behind.starts_with(is_line_end) {
            return None;
        }
        Some((name.map(str::to_owned), value))
    }

    fn quoted_name(&mut self) -> Option<&'a str> {
        let (name, _) = self.rest()[1..].split_once('\'')?;
        self.at += name.len() + 2;
        Some(name)
    }

    fn value(&mut self) -> Option<String> {
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(|text| unescaped(text, quote)),
            _ => Some(before_comment(self.skip(|c| !is_line_end(c))).to_owned()),
        }
    }

    /// Reads up to the first quote that no backslash escapes.
    fn quoted(&mut self, quote: char) -> Option<&'a str> {
        let inner = &self.rest()[1..];
        let mut is_escaped = false;
        let end = inner.find(|c| {
            let is_end = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        })?;
        self.at += end + 2;
        Some(&inner[..end])
    }
}

/// Leaves out a `#` behind a space, and what follows it.
fn before_comment(text: &str) -> &str {
    let is_comment = |at: &usize| text[..*at].ends_with(is_space);
    let comment = text.match_indices('#').map(|(at, _)| at).find(is_comment);
    text[..comment.unwrap_or(text.len())].trim_end_matches(is_space)
}

/// Replaces escapes: in single quotes those of a quote and of a backslash, in double quotes those
/// of control characters, too; any other backslash stands for itself.
fn unescaped(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = rest[at + 1..].chars().next();
        let meant = match escaped {
            Some(c @ ('\\' | '\'')) => Some(c),
            _ if quote == '\'' => None,
            Some('"') => Some('"'),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            _ => None,
        };
        out.push(meant.unwrap_or('\\'));
        rest = &rest[at + 1 + meant.map_or(0, |_| 1)..];
    }
    out + rest
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// Tells whether Python takes a character for white space: four separators more than Unicode.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_blank(c: char) -> bool {
    is_space(c) && !is_line_end(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_stands_there() {
        let check = |line: &str, expected: Option<&str>| {
            let read = read(line);
            assert!(read.odd.is_empty(), "{line}");
            let [variable] = &read.variables[..] else { panic!("{line}: {read:?}") };
            assert_eq!((variable.name.as_str(), variable.value.as_deref()), ("V", expected));
        };
        check("V=Tr0ub4dor$3", Some("Tr0ub4dor$3"));
        check("V=pa$$word", Some("pa$$word"));
        check("V=[\"x\",\"y\"]", Some("[\"x\",\"y\"]"));
        check("V={\"a\": 1, \"b\": \"c d\"}", Some("{\"a\": 1, \"b\": \"c d\"}"));
        check("V=a b", Some("a b"));
        check("V=it's", Some("it's"));
        check("V=a\\nb", Some("a\\nb"));
        check("V=a#b", Some("a#b"));
        check("V=a  # b", Some("a"));
        check("V= # b", Some(""));
        check("V=#b", Some("#b"));
        check("V=", Some(""));
        check("V", None);
        check("export V # a name alone", None);
        check("  export\tV = a ", Some("a"));
        check("'V'='a\\'b\\\\c\\n'", Some("a'b\\c\\n"));
        check("V=\"a\\\"b\\\\c\\n\\t\\q\" # more", Some("a\"b\\c\n\t\\q"));
        check("V=\"-----BEGIN KEY-----\nabc=\n-----END KEY-----\"", {
            Some("-----BEGIN KEY-----\nabc=\n-----END KEY-----")
        });
        check("\u{feff}V=é", Some("é"));
        check("V=a\r\n", Some("a"));
    }

    #[test]
    fn a_variable_is_set_or_removed_and_other_lines_stay() {
        let check = |text: &str, value: &str, expected: &str| {
            assert_eq!(set(text, "V", value).as_deref(), Some(expected), "{text:?}");
        };
        check("", "x", "V='x'\n");
        check("A=1", "x", "A=1\nV='x'\n");
        check("A=1\r\n", "x", "A=1\r\nV='x'\r\n");
        check("# c\nexport V=old # why\nB=2\n", "n#w", "# c\nexport V='n#w' # why\nB=2\n");
        check("V=\"a\nb\" # c\nB=2", "it's \\", "V='it\\'s \\\\' # c\nB=2");
        check("V\nB=2\n", "x", "V='x'\nB=2\n");
        check("V= # c\n", "x", "V='x' # c\n");
        check("\u{feff}V=1\nA=1\nV=2\n", "$3", "\u{feff}V='$3'\nA=1\nV='$3'\n");
        assert_eq!(set("A=1\n", "V", "${A}"), None);
        assert_eq!(set("A=1\n", "V", "a\0"), None);
        let removed = |text: &str| unset(text, "V");
        assert_eq!(removed("A=1\nV='x\ny' # c\nB=2\n").as_deref(), Some("A=1\nB=2\n"));
        assert_eq!(removed("\u{feff}V=1\nV=2").as_deref(), Some("\u{feff}"));
        assert_eq!(removed("A=1\n"), None);
    }

    #[test]
    fn what_is_no_statement_is_left_out_with_its_line() {
        let check = |text: &str, names: &[&str], odd: &[usize]| {
            let read = read(text);
            let found: Vec<_> = read.variables.iter().map(|found| found.name.as_str()).collect();
            assert_eq!((found.as_slice(), read.odd.as_slice()), (names, odd), "{text:?}");
        };
        check("A=1\n# B=2\n\nC=3\n", &["A", "C"], &[]);
        check("A=\"x\nB=2\n", &["B"], &[1]);
        check("A=1\r\n\r\nS3 cret=1\r\nB=2", &["A", "B"], &[3]);
        check("A='x' 'y\nB=2\n=3\n", &["B"], &[1, 3]);
        check("A=x\0y\nB=1", &["B"], &[1]);
        check("'A=B'=x\nB=1", &["B"], &[1]);
    }

    #[test]
    fn only_names_in_braces_are_replaced() {
        let value_of = |name: &str| match name {
            "A" => Some("a"),
            "EMPTY" => Some(""),
            _ => None,
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(expand(text, value_of), expected, "{text}");
        };
        check("${A}$A$$A\\${A}", "a$A$$A\\a");
        check("${NO}|${NO:-x y}|${EMPTY:-x}|${A:-}", "|x y||a");
        check("${A:x}${A", "${A:x}${A");
        check("${a${A}${A", "${A");
    }
}
