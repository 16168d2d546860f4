//! Whether the columns of a file are those of its table.

use std::collections::{BTreeMap, BTreeSet};

use singer::{Error, ErrorKind};
use unicode_normalization::UnicodeNormalization;

use super::form::DELIMITERS;

/// How the names of columns are spelled in the files of a table.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// By what the spellings of a name have in common.
    words: BTreeMap<String, Alike>,
    /// The words of several names that nothing has had together.
    open: BTreeSet<String>,
}

/// Names that differ alone in what `word` leaves out.
#[derive(Debug, Default)]
struct Alike {
    /// Each name, and the first file that has it.
    names: Vec<(String, String)>,
    /// One header or one object has several of them, so that they are columns of their own.
    are_several: bool,
}

impl Spellings {
    /// Takes the header of a file into account.
    pub(super) fn see(&mut self, names: &[String], path: &str) {
        for name in names {
            self.note(name, path);
        }
        let here: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        self.see_together(|name| here.contains(name));
    }

    /// Takes a name into account that a file has.
    pub(super) fn note(&mut self, name: &str, path: &str) {
        let word = word(name);
        let alike = self.words.entry(word.clone()).or_default();
        if alike.names.iter().all(|(known, _)| known != name) {
            alike.names.push((name.to_owned(), path.to_owned()));
            if alike.names.len() > 1 && !alike.are_several && !word.is_empty() {
                self.open.insert(word);
            }
        }
    }

    /// Takes into account which names a header or an object has together.
    pub(super) fn see_together(&mut self, has: impl Fn(&str) -> bool) {
        let Self { words, open } = self;
        open.retain(|word| {
            let Some(alike) = words.get_mut(word) else { return false };
            alike.are_several = alike.names.iter().filter(|(name, _)| has(name)).count() > 1;
            !alike.are_several
        });
    }

    /// Returns a file that has a name in some spelling.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        let alike = self.words.get(&word(name))?;
        alike.names.first().map(|(_, path)| path.as_str())
    }

    /// Returns the names that nothing has together, each with the files of two spellings.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = [&(String, String); 2]> {
        self.open.iter().filter_map(|word| match self.words.get(word)?.names.as_slice() {
            [one, other, ..] => Some([one, other]),
            _ => None,
        })
    }
}

/// Returns what several spellings of a name have in common: what keyboards, editors and case make
/// of one name. Unicode has one form for characters that look the same: letters with marks of their
/// own, and half or full width.
///
/// Letters of one script stay apart: nobody takes `x1` for `xl`, as a skeleton by UTS 39 does.
fn word(name: &str) -> String {
    let one_form: String = name.chars().map(plain_quote).nfkc().collect();
    let letters = one_form.split_inclusive(|c: char| !c.is_alphabetic());
    let latin: String = letters.map(with_latin_capitals).collect();
    let counts = |c: &char| !c.is_whitespace() && !matches!(c, '_' | '.') && !is_dash(*c);
    let folded = latin.chars().filter(|c| counts(c) && !is_unseen(*c));
    let folded = folded.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let folded: String = folded.map(latin_for).nfkc().collect();
    // The dot of a Turkish capital is that of the small letter.
    folded.replace("i\u{307}", "i")
}

/// Returns the quote of keyboards for those that editors make of it.
fn plain_quote(c: char) -> char {
    match c {
        '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | '‘' | '’' | '‛' | '′' => '\'',
        '“' | '”' | '„' | '‟' | '″' => '"',
        c => c,
    }
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Takes Greek capitals beside Latin letters for the Latin ones that they look like. Small letters
/// are symbols there, as in `µm` and `ρ_max`, and words in Greek alone stay as they are.
fn with_latin_capitals(letters: &str) -> String {
    const ALIKE: [(char, char); 14] = [
        ('Α', 'A'),
        ('Β', 'B'),
        ('Ε', 'E'),
        ('Ζ', 'Z'),
        ('Η', 'H'),
        ('Ι', 'I'),
        ('Κ', 'K'),
        ('Μ', 'M'),
        ('Ν', 'N'),
        ('Ο', 'O'),
        ('Ρ', 'P'),
        ('Τ', 'T'),
        ('Υ', 'Y'),
        ('Χ', 'X'),
    ];
    if letters.is_ascii() || !letters.contains(|c: char| c.is_ascii_alphabetic()) {
        return letters.to_owned();
    }
    let latin = |c| ALIKE.iter().find(|(greek, _)| *greek == c).map_or(c, |(_, latin)| *latin);
    letters.chars().map(latin).collect()
}

/// Returns the Latin letter that a small Cyrillic one looks like, as such or as a capital. Each is
/// that of one letter, so that words in Cyrillic stay apart.
fn latin_for(c: char) -> char {
    match c {
        'а' => 'a',
        'в' => 'b',
        'с' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'н' => 'h',
        'і' => 'i',
        'ј' => 'j',
        'к' => 'k',
        'м' => 'm',
        'о' | 'ο' => 'o',
        'р' => 'p',
        'ѕ' => 's',
        'т' => 't',
        'х' => 'x',
        'у' => 'y',
        c => c,
    }
}

/// Returns a name in quotes, with codes for what cannot be seen, for marks apart from letters, and
/// for characters that look like others, where those are in the other name.
pub(super) fn shown(name: &str, other: &str) -> String {
    let other = other.to_lowercase();
    let mut shown = String::from("\"");
    for c in name.chars() {
        match c {
            '\'' => shown.push(c),
            _ if looks_plain(c) && !c.to_lowercase().all(|c| other.contains(c)) => {
                shown.extend(c.escape_unicode());
            }
            // One character alone has its mark escaped too.
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown + "\""
}

/// Tells whether a character counts as one of ASCII beside Latin letters.
fn looks_plain(c: char) -> bool {
    let word = word(&format!("z{c}"));
    !c.is_ascii() && word.is_ascii() && word.len() <= 2
}

/// Tells whether a character has neither width nor ink.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// The failure of a file that has no column of its table: its rows would have none of the values
/// that the table is made of, and often its first line is a row, not a header.
pub(super) fn apart(line: u64, names: &[String], spellings: &Spellings, has_header: bool) -> Error {
    let failure = Error::new(ErrorKind::Data, "cannot find a column of the table in a file")
        .with("line", line);
    if let Some(path) = names.iter().find_map(|name| spellings.of(name)) {
        return failure.with("names with another spelling in", path).hint(
            "correct the header, or give the file an entry of its own with `header: false`, \
             `skip_rows: 1` and the names in `columns`",
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
         and the names in `columns`; if it is another table, also give it an entry of its own"
    } else {
        "give files of another table an entry of their own"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the doubtful pairs of files with these headers, and where each second one was.
    fn found(files: &[&str]) -> Vec<String> {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut spellings = Spellings::default();
        for (at, header) in files.iter().enumerate() {
            spellings.see(&names(header), &at.to_string());
        }
        let pairs =
            spellings.doubtful().map(|[(one, _), (other, at)]| format!("{one}|{other}|{at}"));
        pairs.collect()
    }

    #[test]
    fn names_alike_are_doubtful_unless_one_file_has_both() {
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
            ("Số lượng", "So\u{302}\u{301} lượng"),
            ("Đơn giá", "đơn_gia\u{301}"),
            ("ｶﾞｸ ﾈﾝ", "ガクネン"),
            ("ＩＤ１", "id1"),
            ("İl", "I\u{307}L"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
        ] {
            assert_eq!(found(&[one, other]), [format!("{one}|{other}|1")]);
        }
        for (one, other) in [
            ("price", "рriсe"),
            ("CODE", "СОDЕ"),
            ("ТОМ", "tom"),
            ("MHz", "ΜHz"),
            ("total", "tοtal"),
            ("e-mail", "e–mail"),
            ("x-y", "x−y"),
            ("customer's", "CUSTOMER’S"),
            ("O'Brien", "O´Brien"),
            ("the \"best\"", "the “best”"),
            ("STRASSE", "Straße"),
            ("ﬁle", "FILE"),
            ("ΟΔΟΣ", "οδος"),
            ("Id", "İd"),
            ("kimlik", "KIMLİK"),
        ] {
            let (one, other) = (format!("{one},x"), format!("{other},x"));
            assert_eq!(found(&[&one, &other]).len(), 1, "{one} {other}");
            assert_eq!(found(&[&one, &other, &format!("{one},{other}")]), [""; 0]);
        }
        // What differs within one script, or in symbols, is no slip.
        for (one, other) in [
            ("x1", "xl"),
            ("id0", "ido"),
            ("corner", "comer"),
            ("size_µm", "size_mm"),
            ("ρ", "p"),
            ("нос", "пос"),
            ("рос", "рок"),
            ("ΤΑΧ", "ΤΑΡ"),
            ("it's", "its"),
            ("masse", "maß"),
        ] {
            assert_eq!(found(&[one, other]), [""; 0], "{one} {other}");
        }
        assert_eq!(found(&["resume,x", "resumé,x"]), [""; 0]);
        assert_eq!(found(&["ma,x", "mã,x", "mả,x"]), [""; 0]);
        assert_eq!(found(&["a,A", "a"]), [""; 0]);
        assert_eq!(found(&["a", "A", "a,A"]), [""; 0]);
        assert_eq!(found(&["rate,x", "rate %,x"]), [""; 0]);
        assert_eq!(found(&["_,x", "-,x"]), [""; 0]);
    }

    #[test]
    fn letters_that_look_alike_are_shown_by_their_codes() {
        assert_eq!(shown("é'\"x", ""), "\"é'\\\"x\"");
        assert_eq!(shown("e\u{301}\u{200b}", "é"), "\"e\\u{301}\\u{200b}\"");
        assert_eq!(shown("рrice", "price"), "\"\\u{440}rice\"");
        assert_eq!(shown("a–b’s Straße", "a-b's STRASSE"), "\"a\\u{2013}b\\u{2019}s Straße\"");
        assert_eq!(shown("Имя-р", "имя_р"), "\"Имя-р\"");
    }
}
