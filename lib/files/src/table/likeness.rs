//! Whether the columns of a file are those of its table.

use std::collections::BTreeMap;

use singer::{Error, ErrorKind};

use super::form::DELIMITERS;

/// How the names of columns are spelled in the files of a table.
#[derive(Debug, Default)]
pub(super) struct Spellings(BTreeMap<String, Alike>);

/// Names that differ in case, spaces, `_`, `-`, `.` and what cannot be seen alone.
#[derive(Debug, Default)]
struct Alike {
    /// Each name, and the first file that has it.
    names: Vec<(String, String)>,
    /// One file has several of them, so that they are columns of their own.
    are_several: bool,
}

impl Spellings {
    /// Takes the names of a file into account.
    pub(super) fn see(&mut self, names: &[String], path: &str) {
        let mut here: BTreeMap<String, usize> = BTreeMap::new();
        for name in names {
            let word = word(name);
            let alike = self.0.entry(word.clone()).or_default();
            if alike.names.iter().all(|(known, _)| known != name) {
                alike.names.push((name.clone(), path.to_owned()));
            }
            let count = here.entry(word).or_default();
            *count += 1;
            alike.are_several |= *count > 1;
        }
    }

    /// Returns a file that has a name in some spelling.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        let alike = self.0.get(&word(name))?;
        alike.names.first().map(|(_, path)| path.as_str())
    }

    /// Returns the names that no file has together, each with the files of two spellings.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = [&(String, String); 2]> {
        self.0.iter().filter_map(|(word, alike)| match alike.names.as_slice() {
            [one, other, ..] if !alike.are_several && !word.is_empty() => Some([one, other]),
            _ => None,
        })
    }
}

/// Returns what several spellings of a name have in common.
fn word(name: &str) -> String {
    let counts = |c: &char| !c.is_whitespace() && !matches!(c, '_' | '-' | '.') && !is_unseen(*c);
    let mut word = String::with_capacity(name.len());
    for c in name.chars().filter(counts).flat_map(char::to_lowercase) {
        match apart_from_mark(c) {
            Some((letter, mark)) => word.extend([letter, mark]),
            None => word.push(c),
        }
    }
    word
}

/// Returns a name in quotes, with codes for what cannot be seen and for marks apart from letters.
pub(super) fn shown(name: &str) -> String {
    let mut shown = String::from("\"");
    for c in name.chars() {
        match c {
            '\'' => shown.push(c),
            // One character alone has its mark escaped too.
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown + "\""
}

/// Tells whether a character has neither width nor ink.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Small letters with a mark: the mark, the letters as single characters, and without it. Unicode
/// has many more; these are those of Europe's languages, and looking at names needs no table of
/// all.
const MARKED: [(char, &str, &str); 13] = [
    ('\u{300}', "àèìòùǹ", "aeioun"),
    ('\u{301}', "áéíóúýćĺńŕśźѓќ", "aeiouyclnrszгк"),
    ('\u{302}', "âêîôûĉĝĥĵŝŵŷ", "aeioucghjswy"),
    ('\u{303}', "ãñõĩũ", "anoiu"),
    ('\u{304}', "āēīōū", "aeiou"),
    ('\u{306}', "ăĕğĭŏŭйў", "aegiouиу"),
    ('\u{307}', "ċėġż", "cegz"),
    ('\u{308}', "äëïöüÿёї", "aeiouyеі"),
    ('\u{30a}', "åů", "au"),
    ('\u{30b}', "őű", "ou"),
    ('\u{30c}', "čďěľňřšťž", "cdelnrstz"),
    ('\u{327}', "çģķļņŗşţ", "cgklnrst"),
    ('\u{328}', "ąęįų", "aeiu"),
];

/// Returns a letter and its mark as two characters, which look the same as one.
fn apart_from_mark(c: char) -> Option<(char, char)> {
    if c.is_ascii() {
        return None;
    }
    let found = |(mark, marked, plain): &(char, &str, &str)| {
        let at = marked.chars().position(|other| other == c)?;
        plain.chars().nth(at).map(|letter| (letter, *mark))
    };
    MARKED.iter().find_map(found)
}

/// The failure of a file that has no column of its table: its rows would have none of the values
/// that the table is made of, and often its first line is a row, not a header.
pub(super) fn apart(line: u64, names: &[String], spellings: &Spellings, has_header: bool) -> Error {
    let failure = Error::new(ErrorKind::Data, "cannot find a column of the table in a file")
        .with("line", line);
    if let Some(path) = names.iter().find_map(|name| spellings.of(name)) {
        return failure.with("names are spelled otherwise in", path).hint(
            "correct the header, or give the file an entry of its own, whose columns are named by \
             `columns` with `header: false` and `skip_rows: 1`",
        );
    }
    if let [name] = names
        && let Some(other) = DELIMITERS.into_iter().map(char::from).find(|c| name.contains(*c))
    {
        return failure.hint(format!(
            "its only column has a {other:?} in its name: give the file an entry of its own with \
             this `delimiter`"
        ));
    }
    failure.hint(if has_header {
        "if its first line is a row, give such files an entry of their own, with `header: false` \
         and their names in `columns`; if it is another table, too"
    } else {
        "give files of another table an entry of their own"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_alike_are_doubtful_unless_one_file_has_both() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let found = |files: &[&str]| {
            let mut spellings = Spellings::default();
            for (at, header) in files.iter().enumerate() {
                spellings.see(&names(header), &at.to_string());
            }
            let pairs =
                spellings.doubtful().map(|[(one, _), (other, at)]| format!("{one}|{other}|{at}"));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(found(&["id,n", "n,id", "ID,n"]), ["id|ID|2"]);
        assert_eq!(found(&["Order ID,n", "order_id,n"]), ["Order ID|order_id|1"]);
        for (one, other) in [
            ("café", "cafe\u{301}"),
            ("Größe", "gro\u{308}ße"),
            ("Příjem", "Pr\u{30c}i\u{301}jem"),
            ("Имя Файл й", "имя файл и\u{306}"),
            ("name", "name\u{200b}"),
            ("soft", "so\u{ad}ft"),
            ("\u{2068}x\u{2069}", "x"),
        ] {
            assert_eq!(found(&[one, other]), [format!("{one}|{other}|1")]);
        }
        assert_eq!(shown("é'\"x"), "\"é'\\\"x\"");
        assert_eq!(shown("e\u{301}\u{200b}"), "\"e\\u{301}\\u{200b}\"");
        assert_eq!(found(&["resume,x", "resumé,x"]), [""; 0]);
        assert!(MARKED.iter().all(|(_, one, other)| one.chars().count() == other.chars().count()));
        assert_eq!(found(&["a,A", "a"]), [""; 0]);
        assert_eq!(found(&["a", "A", "a,A"]), [""; 0]);
        assert_eq!(found(&["rate,x", "rate %,x"]), [""; 0]);
        assert_eq!(found(&["_,x", "-,x"]), [""; 0]);
    }
}
