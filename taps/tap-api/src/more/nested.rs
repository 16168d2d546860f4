//! Lists within records that say that they have more.
//!
//! The rule: where an object in a record has one list of objects, and beside it a member that says
//! by its words that there is more, the list is cut. Without such a list a record may speak of any
//! pages, and a number of all is one of the list only beside what says where its part begins or
//! ends.

use singer::Stream;
use singer::scan::{Fault, Scanner, Token};

use super::search::is_size;
use super::words::{Says, is_around, meaning};
use crate::reader::each_member;
use crate::stream::StreamSpec;
use crate::template::Fills;
use crate::told::plain;

/// So deep lie such lists in a record.
const DEPTH: u8 = 4;

/// Keeps which members of a record have lists that are cut, and where they say so.
pub fn note(spec: &StreamSpec, record: &[u8]) {
    let Ok(mut known) = spec.warned.nested.lock() else { return };
    if !has_list(record) {
        return;
    }
    let mut list = Part::default();
    let _ = each_member(record, &mut |name, value| {
        list.add(name, &value);
        if let Some(place) = below(name, &value, DEPTH) {
            known.entry(String::from_utf8_lossy(name).into_owned()).or_insert(place);
        }
    });
    if list.count == 1
        && list.is_spoken_of
        && let Some(place) = first_sign(record, false)
    {
        let name = String::from_utf8_lossy(&list.name).into_owned();
        known.entry(name).or_insert(place);
    }
}

/// Warns, once for a stream, of a list in a column that is read, unless a stream that it is the
/// parent of asks for the list.
pub fn warn(specs: &[StreamSpec], at: usize, stream: &Stream) {
    let spec = &specs[at];
    let Ok(known) = spec.warned.nested.lock() else { return };
    let is_read = |member: &String| {
        let flat = spec.rules.flatten.as_ref().map(|(_, separator)| format!("{member}{separator}"));
        let is_its = |name: &str| flat.as_ref().is_some_and(|flat| name.starts_with(flat));
        stream.columns.iter().any(|column| column.name == *member || is_its(&column.name))
    };
    let children = specs.iter().filter(|child| child.parent.as_ref().is_some_and(|it| it.0 == at));
    let words = |child: &StreamSpec| {
        let path = child.path.fill(&Fills::new(), str::to_owned).unwrap_or_default();
        plain(&format!("{} {path} {} {:?}", child.name, child.records, child.body))
    };
    let asked_for: Vec<String> = children.map(words).collect();
    let has_stream = |member: &String| {
        let member = plain(member);
        asked_for.iter().any(|words| words.contains(member.trim_end_matches('s')))
    };
    let mut told = known.iter().filter(|(member, _)| is_read(member) && !has_stream(member));
    if let Some((member, place)) = told.next() {
        singer::warn!(
            "W-MORE-PAGES",
            "stream {}: `{place}` in its records says that a list in them has more elements, and \
             they are not read: read the list as a stream with this stream as its `parent`, \
             request more elements at once, or deselect `{member}`",
            spec.name
        );
    }
}

/// The lists of objects among the members of an object.
#[derive(Default)]
struct Part {
    count: u32,
    name: Vec<u8>,
    /// A member may speak of pages.
    is_spoken_of: bool,
}

impl Part {
    fn add(&mut self, name: &[u8], value: &Token<'_>) {
        self.is_spoken_of |= may_speak(name);
        if let Token::Array(list) = value
            && list.text[1..].trim_ascii_start().starts_with(b"{")
        {
            self.count += 1;
            name.clone_into(&mut self.name);
        }
    }
}

/// Tells whether a name has a part of the words of pages, so that it is worth being read.
fn may_speak(name: &[u8]) -> bool {
    let parts: [&[u8]; 11] = [
        b"more", b"next", b"trunc", b"exceed", b"last", b"total", b"pag", b"meta", b"info",
        b"link", b"cursor",
    ];
    let has = |part: &[u8]| name.windows(part.len()).any(|it| it.eq_ignore_ascii_case(part));
    parts.into_iter().any(has)
}

/// Tells whether a text of JSON has a list of objects, or looks like that.
fn has_list(text: &[u8]) -> bool {
    let mut lists = text.split(|byte| *byte == b'[').skip(1);
    lists.any(|inside| inside.trim_ascii_start().starts_with(b"{"))
}

fn each_element(list: &[u8], take: &mut dyn FnMut(Token<'_>)) -> Result<(), Fault> {
    let mut scanner = Scanner::new(list);
    let mut more = scanner.open(b'[', b']')?;
    while more {
        take(scanner.value()?);
        more = scanner.more(b']')?;
    }
    Ok(())
}

/// Finds the first place in a member at which a list is said to have more.
fn below(name: &[u8], value: &Token<'_>, depth: u8) -> Option<String> {
    let at = match value {
        Token::Object(object) if has_list(object.text) => in_object(object.text, depth),
        Token::Array(list) if has_list(&list.text[1..]) => {
            let mut found = None;
            let _ = each_element(list.text, &mut |element| match element {
                Token::Object(object) if found.is_none() && has_list(object.text) => {
                    found = in_object(object.text, depth);
                }
                _ => {}
            });
            found
        }
        _ => None,
    };
    at.map(|at| format!("{}.{at}", String::from_utf8_lossy(name)))
}

fn in_object(object: &[u8], depth: u8) -> Option<String> {
    let (mut list, mut found) = (Part::default(), None);
    each_member(object, &mut |name, value| {
        list.add(name, &value);
        if found.is_none() && depth > 0 {
            found = below(name, &value, depth - 1);
        }
    })
    .ok()?;
    let own = if list.count == 1 && list.is_spoken_of { said(object, &list.name) } else { None };
    own.or(found)
}

/// Returns how many elements the list of this name has.
fn length_of(object: &[u8], list: &[u8]) -> u64 {
    let mut length = 0;
    let _ = each_member(object, &mut |name, value| match value {
        Token::Array(elements) if name == list => {
            let _ = each_element(elements.text, &mut |_| length += 1);
        }
        _ => {}
    });
    length
}

/// Returns the member of an object with this list that says that there is more.
fn said(object: &[u8], list: &[u8]) -> Option<String> {
    let length = length_of(object, list);
    let (mut sure, mut weak, mut all) = (None, None, None);
    let (mut has_size, mut has_place) = (false, false);
    each_member(object, &mut |name, value| {
        let name = String::from_utf8_lossy(name);
        has_place |= ["startat", "offset", "skip"].contains(&&*plain(&name));
        has_size |= is_size(&name);
        has_place |= is_size(&name) && number(&value) == Some(length);
        let says = || Some(meaning(&name)?.says);
        match &value {
            Token::Object(beside) if is_around(&name) => {
                let at = first_sign(beside.text, true);
                sure = sure.take().or_else(|| at.map(|at| format!("{name}.{at}")));
            }
            Token::String(text) if is_address(text.raw) && says() == Some(Says::Next) => {
                weak = Some(name.to_string());
            }
            Token::Boolean(false) if says() == Some(Says::Last) => weak = Some(name.to_string()),
            Token::Integer(_) if says() == Some(Says::Total) => {
                all = number(&value).filter(|all| *all > length).map(|_| name.to_string());
            }
            _ => {}
        }
        if sure.is_none() && is_sign(&name, &value, true) {
            sure = Some(name.to_string());
        }
    })
    .ok()?;
    let weak = weak.filter(|_| has_size || has_place);
    sure.or(weak).or(all.filter(|_| has_place))
}

/// Returns the first member that says so of what stands beside a list, such as `pageInfo`; or of a
/// record, whose members are data, so that only what says nothing else counts.
fn first_sign(object: &[u8], is_beside: bool) -> Option<String> {
    let mut found = None;
    each_member(object, &mut |name, value| {
        let name = String::from_utf8_lossy(name);
        let says = || meaning(&name).map(|known| known.says);
        let is_it = is_sign(&name, &value, is_beside)
            || is_beside
                && match &value {
                    Token::String(text) => is_address(text.raw) && says() == Some(Says::Next),
                    Token::Boolean(false) => says() == Some(Says::Last),
                    _ => false,
                };
        if is_it && found.is_none() {
            found = Some(name.into_owned());
        }
    })
    .ok()?;
    found
}

/// Tells whether a member says that there is more, and can say nothing else.
fn is_sign(name: &str, value: &Token<'_>, is_of_list: bool) -> bool {
    let is_known = |wanted: &[Says]| {
        meaning(name).is_some_and(|known| {
            let is_sure = known.is_sure || is_of_list && known.says == Says::Cut;
            is_sure && wanted.contains(&known.says)
        })
    };
    match value {
        Token::Boolean(true) if is_of_list => is_known(&[Says::More, Says::Cut, Says::Next]),
        Token::Boolean(true) => is_known(&[Says::More]),
        Token::String(text) if name.ends_with("@odata.nextLink") => !text.raw.is_empty(),
        Token::String(text) if is_of_list => {
            let none = ["", "null", "none", "0", "false"];
            let text = String::from_utf8_lossy(text.raw);
            !none.iter().any(|none| text.eq_ignore_ascii_case(none)) && is_known(&[Says::Next])
        }
        _ => false,
    }
}

fn number(value: &Token<'_>) -> Option<u64> {
    match value {
        Token::Integer(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

fn is_address(text: &[u8]) -> bool {
    text.starts_with(b"http") || text.len() > 1 && text.starts_with(b"/") || text.starts_with(b"?")
}
