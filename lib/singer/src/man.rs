//! Man pages: what clap knows of a command, and sections of our own.

use std::io::Write;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::error::ErrorKind;

/// A file that packages install: its usual name, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `tap-csv.1`, or `_tap-csv`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// A section that lists words and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading, in capitals.
    pub title: &'static str,
    /// What stands between the heading and the list.
    pub intro: String,
    /// The list.
    pub entries: Vec<Entry>,
}

/// A word, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How many others it lies in.
    pub depth: usize,
    /// The word, shown in bold.
    pub word: String,
    /// What stands behind the word.
    pub note: String,
    /// What it means; text between backticks is shown in bold.
    pub meaning: String,
}

/// What the exit codes mean.
const EXIT_CODES: [(ErrorKind, &str); 11] = [
    (ErrorKind::Usage, "A flag on the command line is wrong."),
    (ErrorKind::Data, "A record or a file does not fit its schema, or a denied warning came."),
    (ErrorKind::NoInput, "A file, a table, a day or a partition is missing."),
    (ErrorKind::Unavailable, "The other side refused for good."),
    (ErrorKind::Internal, "The program has a bug."),
    (ErrorKind::Io, "The local disk or a pipe failed."),
    (ErrorKind::Temporary, "The failure may pass: run the same command again."),
    (ErrorKind::Protocol, "The other side broke the Singer protocol, or its output ended early."),
    (ErrorKind::Denied, "Credentials, rights, TLS or a host key failed."),
    (ErrorKind::Config, "A setting is missing or wrong."),
    (ErrorKind::ReaderGone, "The reader of the output ended first."),
];

/// Returns the section about exit codes.
#[must_use]
pub fn exit_status() -> Section {
    let entry = |word: String, meaning: &str| Entry {
        depth: 0,
        word,
        note: String::new(),
        meaning: meaning.to_owned(),
    };
    let codes = EXIT_CODES.iter().map(|(kind, text)| entry(kind.exit_code().to_string(), text));
    let done = entry("0".to_owned(), "Everything is done.");
    let entries = [done].into_iter().chain(codes).collect();
    Section { title: "EXIT STATUS", intro: String::new(), entries }
}

/// Writes the page of a command that was built.
pub(crate) fn page(command: &Command, version: &str, sections: &[Section]) -> File {
    let man = Man::new(command.clone()).manual("Chorus").source(format!("Chorus {version}"));
    let mut page = PREAMBLE.to_owned();
    let mut add = |part: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = part(&mut text);
        let text = String::from_utf8_lossy(&text);
        page += text.strip_prefix(PREAMBLE).unwrap_or(&text);
    };
    add(&|text| man.render_title(text));
    // Words are not divided, as some are flags, and lines end where their last word ends.
    add(&|text| text.write_all(b".nh\n.ad l\n"));
    add(&|text| man.render_name_section(text));
    add(&|text| man.render_synopsis_section(text));
    add(&|text| man.render_description_section(text));
    add(&|text| man.render_options_section(text));
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        add(&|text| man.render_subcommands_section(text));
    }
    let mut more = Roff::new();
    for section in sections {
        list(&mut more, section);
    }
    if let Some(help) = command.get_after_help() {
        as_it_is(&mut more, &help.to_string());
    }
    add(&|text| more.to_writer(text));
    File { name: man.get_filename(), text: page }
}

/// How each part begins: it has `'` printed as it is.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Writes a section that lists words.
fn list(page: &mut Roff, section: &Section) {
    page.control("SH", [section.title]);
    if !section.intro.is_empty() {
        page.text(marked(&section.intro));
    }
    let mut depth = 0;
    for entry in &section.entries {
        while depth < entry.depth {
            page.control("RS", []);
            depth += 1;
        }
        while depth > entry.depth {
            page.control("RE", []);
            depth -= 1;
        }
        page.control("TP", []);
        page.text([bold(entry.word.as_str()), roman(entry.note.as_str())]);
        page.text(marked(&entry.meaning));
    }
    (0..depth).for_each(|_| {
        page.control("RE", []);
    });
}

/// Writes the text below the options, line by line: what ends with a colon is a heading.
fn as_it_is(page: &mut Roff, text: &str) {
    let mut open = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            Some(heading) => {
                if open {
                    page.control("fi", []);
                }
                page.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
                open = true;
            }
            None => {
                page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
        }
    }
    if open {
        page.control("fi", []);
    }
}

/// Has text between backticks printed in bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_our_sections_and_the_examples_as_they_are() {
        let below = "Examples:\n  # It's 'so'\n  x -a '.b' \\\n    | y";
        let mut command = Command::new("x").version("1").about("Does it").after_help(below);
        let entry = |depth: usize, word: &str| Entry {
            depth,
            word: word.to_owned(),
            note: " (string)".to_owned(),
            meaning: "Is `bold`.".to_owned(),
        };
        let entries = vec![entry(0, "one"), entry(1, ".two"), entry(0, "three")];
        let section = Section { title: "SETTINGS", intro: "They are these.".to_owned(), entries };
        command.build();
        let File { name, text } = page(&command, "1", &[section]);
        assert_eq!(name, "x.1");
        assert_eq!(text.matches(PREAMBLE).count(), 1, "{text}");
        assert!(text.contains("\n.SH NAME\nx \\- Does it\n"), "{text}");
        let nested = ".RS\n.TP\n\\fB.two\\fR (string)\nIs \\fBbold\\fR.\n.RE\n.TP\n\\fBthree\\fR";
        assert!(text.contains(nested), "{text}");
        let examples = ".SH EXAMPLES\n.nf\n# It\\*(Aqs \\*(Aqso\\*(Aq\n\
                        x \\-a \\*(Aq.b\\*(Aq \\\\\n  | y\n.fi\n";
        assert!(text.ends_with(examples), "{text}");
    }
}
