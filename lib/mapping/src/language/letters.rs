//! Letters as Python sees them: their case, and which characters are letters or digits.

use unicode_case_mapping::to_titlecase;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::call::Method;

/// What Python takes for white space.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Tells whether `repr` shows it as it is.
pub(crate) fn is_printable(c: char) -> bool {
    use GeneralCategoryGroup::{Other, Separator};
    c == ' ' || !matches!(c.general_category_group(), Other | Separator)
}

/// What ends a line for `splitlines`.
fn ends_line(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns the lines of a text.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends_line) {
        lines.push(&rest[..at]);
        rest = &rest[at..];
        let end = rest.chars().next().map_or(0, char::len_utf8);
        rest = rest.strip_prefix("\r\n").unwrap_or(&rest[end..]);
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Returns each character with its small form. That of a sigma depends on what surrounds it, so
/// the whole text is made small first.
fn with_small(text: &str) -> impl Iterator<Item = (char, String)> {
    let small: Vec<char> = text.to_lowercase().chars().collect();
    let mut at = 0;
    text.chars().map(move |c| {
        let start = at;
        at += c.to_lowercase().count();
        (c, small.get(start..at).unwrap_or_default().iter().collect())
    })
}

/// A capital letter at the start of a word: `Ǆ` is `ǅ` there.
fn push_title(c: char, out: &mut String) {
    let title = to_titlecase(c);
    if title[0] == 0 {
        return out.push(c);
    }
    out.extend(title.into_iter().filter(|code| *code != 0).filter_map(char::from_u32));
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || is_upper(c) || c.general_category() == GeneralCategory::TitlecaseLetter
}

fn is_upper(c: char) -> bool {
    c.is_uppercase()
}

/// `title()`
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for (c, small) in with_small(text) {
        if inside {
            out.push_str(&small);
        } else {
            push_title(c, &mut out);
        }
        inside = is_cased(c);
    }
    out
}

/// `capitalize()`
pub(crate) fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, (c, small)) in with_small(text).enumerate() {
        if at == 0 {
            push_title(c, &mut out);
        } else {
            out.push_str(&small);
        }
    }
    out
}

/// `swapcase()`
pub(crate) fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (c, small) in with_small(text) {
        if is_upper(c) {
            out.push_str(&small);
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// `casefold()`: texts that differ only in case become the same.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Cherokee is folded into its capitals.
            'ı' | '\u{13a0}'..='\u{13f5}' => out.push(c),
            '\u{13f8}'..='\u{13fd}' | '\u{ab70}'..='\u{abbf}' => out.extend(c.to_uppercase()),
            _ => {
                let big = c.to_lowercase().flat_map(char::to_uppercase);
                out.extend(big.flat_map(char::to_lowercase));
            }
        }
    }
    out
}

/// Answers `isdigit()` and its like.
pub(crate) fn is(text: &str, method: Method) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match method {
        Method::IsDecimal => all(is_decimal),
        Method::IsDigit => all(is_digit),
        Method::IsNumeric => all(is_numeric),
        Method::IsAlpha => all(is_letter),
        Method::IsAlnum => all(|c| is_letter(c) || is_numeric(c)),
        Method::IsSpace => all(is_space),
        Method::IsTitle => is_title(text),
        Method::IsLower => {
            text.chars().any(char::is_lowercase)
                && !text.chars().any(|c| is_cased(c) && !c.is_lowercase())
        }
        _ => text.chars().any(is_upper) && !text.chars().any(|c| is_cased(c) && !is_upper(c)),
    }
}

fn is_title(text: &str) -> bool {
    let (mut inside, mut found) = (false, false);
    for c in text.chars() {
        let small = c.is_lowercase();
        let cased = is_cased(c);
        if cased && small != inside {
            return false;
        }
        found |= cased;
        inside = cased;
    }
    found
}

fn is_letter(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
}

fn is_decimal(c: char) -> bool {
    c.is_ascii_digit() || c.general_category() == GeneralCategory::DecimalNumber
}

/// Decimal digits, and those that stand in circles, brackets or above the line.
fn is_digit(c: char) -> bool {
    let special = matches!(c,
        '²' | '³' | '¹' | '\u{1369}'..='\u{1371}' | '\u{19da}' | '\u{2070}'
        | '\u{2074}'..='\u{2079}' | '\u{2080}'..='\u{2089}' | '\u{2460}'..='\u{2468}'
        | '\u{2474}'..='\u{247c}' | '\u{2488}'..='\u{2490}' | '\u{24ea}'
        | '\u{24f5}'..='\u{24fd}' | '\u{24ff}' | '\u{2776}'..='\u{277e}'
        | '\u{2780}'..='\u{2788}' | '\u{278a}'..='\u{2792}' | '\u{10a40}'..='\u{10a43}'
        | '\u{10e60}'..='\u{10e68}' | '\u{11052}'..='\u{1105a}' | '\u{1f100}'..='\u{1f10a}');
    special || is_decimal(c)
}

/// Numbers of all kinds, and the ideographs that are numbers.
fn is_numeric(c: char) -> bool {
    const IDEOGRAPHS: &str = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅\
        卌叁参\
        參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\
        \u{f96b}\u{f973}\u{f978}\u{f9b2}\u{f9d1}\u{f9d3}\u{f9fd}\
        \u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\
        \u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\
        \u{2626d}\u{2f890}";
    c.is_numeric() || IDEOGRAPHS.contains(c)
}

/// Returns the value of a decimal digit of any script. Each script has its ten in a row.
pub(crate) fn digit(c: char) -> Option<u8> {
    if c.is_ascii_digit() {
        return u8::try_from(c).ok().map(|digit| digit - b'0');
    }
    if !is_decimal(c) {
        return None;
    }
    // Of the digits for mathematics there are several tens in a row.
    let before = (1..).take_while(|back| {
        let code = u32::from(c).checked_sub(*back).and_then(char::from_u32);
        code.is_some_and(is_decimal)
    });
    u8::try_from(before.count() % 10).ok()
}
