//! The Link header (RFC 8288): which address is the next. Pure.

/// Returns the address with `rel=next` in the values of Link headers.
pub fn next<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    related(values, &["next"])
}

/// Returns the address with one of these relations in the values of Link headers.
pub fn related<'a>(values: impl Iterator<Item = &'a str>, relations: &[&str]) -> Option<String> {
    let mut links = values.flat_map(links);
    links.find(|(_, relation)| is_among(relation, relations)).map(|(address, _)| address)
}

/// Tells whether one of the words of a relation is one of these.
pub fn is_among(relation: &str, words: &[&str]) -> bool {
    let is = |word: &str| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    relation.split_ascii_whitespace().any(is)
}

/// Returns the links of one value, and the relation of each.
fn links(value: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = value;
    if !value.contains('<') {
        // Some servers forget the brackets.
        let (address, behind) = value.split_at(value.find(';').unwrap_or(value.len()));
        return vec![(address.trim().to_owned(), params(behind).0)];
    }
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start..].find('>') else { break };
        let address = rest[start + 1..start + length].trim().to_owned();
        let (relation, behind) = params(&rest[start + length + 1..]);
        links.push((address, relation));
        rest = behind;
    }
    links
}

/// Reads the parameters of a link; returns its relation, and what follows.
fn params(text: &str) -> (String, &str) {
    let mut relation = String::new();
    let mut seen = false;
    let mut rest = text.trim_start();
    while let Some(param) = rest.strip_prefix(';') {
        let (name, behind) = param.split_at(param.find(['=', ';', ',']).unwrap_or(param.len()));
        let (value, behind) = match behind.strip_prefix('=') {
            Some(behind) => value(behind.trim_start()),
            None => (String::new(), behind),
        };
        // Only the first `rel` of a link counts.
        if name.trim().eq_ignore_ascii_case("rel") && !std::mem::replace(&mut seen, true) {
            relation = value;
        }
        rest = behind.trim_start();
    }
    (relation, rest)
}

/// Reads a value, in quotes or not; returns it and what follows. Quotes may be single ones, which
/// the standard does not know and servers write.
fn value(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('\'')
        && let Some((value, rest)) = quoted.split_once('\'')
        && (rest.trim().is_empty() || rest.trim_start().starts_with([';', ',']))
    {
        return (value.to_owned(), rest);
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([';', ',']).unwrap_or(text.len()));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_in_all_forms() {
        let check = |values: &[&str], expected: Option<&str>| {
            assert_eq!(next(values.iter().copied()).as_deref(), expected, "{values:?}");
        };
        check(&["<http://a/?p=2>; rel=\"next\""], Some("http://a/?p=2"));
        check(
            &["<http://a/?p=1>; rel=\"prev\", <http://a/?p=2>; rel=\"next\""],
            Some("http://a/?p=2"),
        );
        check(&["<?p=1>;rel=first,<?p=2>;rel=next"], Some("?p=2"));
        check(&["</a>; title=\"x, y; rel=next\"; rel=\"last\""], None);
        check(&["</a>; title=\"\\\"\"; REL = \"prev Next\" ; foo"], Some("/a"));
        check(&["</a?x=1,2;3>; rel=next"], Some("/a?x=1,2;3"));
        check(&["</a>; rel=prev; rel=next"], None);
        check(&["</a>; rel=prev", "</b> ;rel='next'; results=\"true\""], Some("/b"));
        check(&["</a>; rel='prev', </b>; title='x, y'; rel='next last'"], Some("/b"));
        check(&["</a>; title='a; rel=next', </b>; Rel = 'NEXT' "], Some("/b"));
        check(&["</a>; title='open; rel=next"], Some("/a"));
        check(&["</a>; rel='http://x/next'; foo='next'"], None);
        check(&["</a>;rel=\"last next\"", "</b>;rel=next"], Some("/a"));
        check(&["/a?p=2; rel=next"], Some("/a?p=2"));
        check(&["/a?p=2; rel=prev"], None);
        check(&["</a>; rel=prev", "</b> ; rel=next ; results=\"true\""], Some("/b"));
        check(&["nonsense", "", "<unclosed; rel=next"], None);
    }
}
