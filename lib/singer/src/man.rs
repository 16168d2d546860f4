//! Man pages: what clap knows of a command, and sections of our own.

use std::io::Write;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

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

/// What the exit codes mean, for the man pages and the book.
pub const EXIT_CODES: [(u8, &str); 14] = [
    (0, "The run is done. What a target wrote is durable."),
    (64, "The command line is wrong: a flag, an argument, or `--set` of an unknown setting."),
    (
        65,
        "A record, a file or a table does not fit: its data, its schema or its type. Also: a data \
         file of a day that is damaged or missing, or a warning that `--deny-warnings` names.",
    ),
    (
        66,
        "Something to read is not there: a file, a table, a day, a run or a state. Also: a day \
         that no run has finished.",
    ),
    (
        69,
        "The other side refused for good. Examples: a table or column of the catalog is gone from \
         the database, or the server is of a kind that is not supported.",
    ),
    (70, "A bug of Chorus. Please report it."),
    (74, "The local disk or a pipe failed."),
    (
        75,
        "A temporary failure: the network, a timeout, a server that restarts, or another run that \
         holds the partition or the state. Run the same command again.",
    ),
    (76, "The other side broke the Singer protocol, or its output ended early."),
    (77, "Credentials, rights, TLS or host keys."),
    (
        78,
        "A setting is missing or wrong. Also: the file of `--config`, `--catalog` or `--state` is \
         missing or wrong, or a table belongs to another stream.",
    ),
    (130, "Interrupted (Ctrl-C, SIGINT)."),
    (141, "The reader of the output has gone. No message is printed."),
    (143, "Terminated (SIGTERM)."),
];

/// Returns the section about exit codes.
#[must_use]
pub fn exit_status() -> Section {
    let entry = |(code, meaning): &(u8, &str)| Entry {
        depth: 0,
        word: code.to_string(),
        note: String::new(),
        meaning: (*meaning).to_owned(),
    };
    let entries = EXIT_CODES.iter().map(entry).collect();
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
    use crate::error::ErrorKind;

    #[test]
    fn each_kind_of_error_has_a_code_that_is_explained() {
        for kind in ErrorKind::ALL {
            let code = kind.exit_code();
            assert!(EXIT_CODES.iter().any(|(known, _)| *known == code), "{code}");
        }
    }

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
