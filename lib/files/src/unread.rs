//! Files of a folder that are not read, as their endings tell no format: they are reported.
//!
//! The rule: a file that somebody may take for rows is not skipped in silence. What programs
//! leave beside data (marks, sums, notes, files that are still being written) is.

use std::collections::BTreeSet;

/// How many names are reported.
const NAMES_TOLD: usize = 5;

/// Beginnings of names, in lower case, of files that are beside data.
const BEGINNINGS: [&str; 12] = [
    ".",
    "_",
    "~",
    "#",
    "readme",
    "license",
    "licence",
    "copying",
    "notice",
    "changelog",
    "thumbs.",
    "desktop.",
];

/// Endings, in lower case, of files that are beside data: sums and signatures, marks of what is
/// done, locks, and files that are still being written.
const ENDINGS: [&str; 28] = [
    "crc",
    "md5",
    "md5sum",
    "sha1",
    "sha256",
    "sha512",
    "sfv",
    "asc",
    "sig",
    "done",
    "ok",
    "ready",
    "success",
    "trg",
    "trigger",
    "flag",
    "ctl",
    "lock",
    "lck",
    "md",
    "tmp",
    "temp",
    "part",
    "partial",
    "filepart",
    "crdownload",
    "swp",
    "swo",
];

/// The files of a folder, or of an archive, that are not read.
#[derive(Debug, Default)]
pub struct Unread {
    count: usize,
    /// The first of their names.
    names: BTreeSet<String>,
}

impl Unread {
    /// Takes a file that is not read, unless it is beside data.
    pub fn note(&mut self, path: &str) {
        if is_beside_data(path) {
            return;
        }
        self.count += 1;
        self.names.insert(path.to_owned());
        if self.names.len() > NAMES_TOLD {
            self.names.pop_last();
        }
    }

    /// Warns of them, once for the place that they are in.
    pub fn tell(&self, place: &str, what_to_do: &str) {
        if self.count > 0 {
            let names: Vec<_> = self.names.iter().map(String::as_str).collect();
            let more = if self.count > self.names.len() { ", ..." } else { "" };
            singer::warn!(
                "W-FILE-NOT-READ",
                "skipping {} files in {place}, because their endings are not known: {}{more}; \
                 {what_to_do}",
                self.count,
                names.join(", "),
            );
        }
    }
}

/// Tells whether a file is one of those that programs and people leave beside data.
fn is_beside_data(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name.ends_with('~')
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDINGS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_rows_is_told_and_what_is_beside_data_is_not() {
        for name in [
            "a.xlsx",
            "in/b.parquet",
            "c.csv.bak",
            "d.dat.gz",
            "e",
            "f.csv.1",
            "G.XML",
            "h.zip",
            "done/a.old",
            "i.sql",
        ] {
            assert!(!is_beside_data(name), "{name}");
        }
        for name in [
            "_SUCCESS",
            "in/.a.csv.crc",
            "a.csv.md5",
            "A.SHA256",
            "README",
            "Readme.txt",
            "notes.md",
            "x.done",
            "y.tmp",
            "a.csv.filepart",
            "~$book.xlsx",
            "a.csv~",
            "Thumbs.db",
        ] {
            assert!(is_beside_data(name), "{name}");
        }
    }
}
