//! What the name of a member or header may say of further pages, by its words. Pure.
//!
//! The rule: a name is read word by word, however it joins them (`hasMoreItems`, `has_more_items`,
//! `HASMOREITEMS`). It speaks of pages where all its words do; what its value says is checked
//! where it is met.

/// What a name may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Where the next page is: an address, a token, or that there is one.
    Next,
    /// Where the next of something is, which is a page if it is an address like that of this one.
    NextAddress,
    /// Where the page before is, or that there is one.
    Before,
    /// Whether it is the first.
    First,
    /// A token, which may be given behind the last page too.
    Token,
    /// Whether there is more.
    More,
    /// That there is more; where it is false, there may be more pages.
    Cut,
    /// How much is left.
    Left,
    /// Whether it is the last; or, as a number, which page is.
    Last,
    /// Whether it is done; true may mean the page alone.
    Done,
    /// How many pages there are.
    Pages,
    /// Which page it is.
    Page,
    /// How many records there are.
    Total,
    /// About how many records there are.
    Estimate,
    /// How many records there are, or are on the page.
    Count,
}

/// A name that speaks of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it says.
    pub says: Says,
    /// It has several words for it, and says so wherever it stands.
    pub is_sure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Next,
    Before,
    First,
    More,
    Cut,
    Left,
    Last,
    Done,
    Total,
    Guess,
    Count,
    Size,
    Number,
    Found,
    Page,
    Pages,
    Rows,
    Cursor,
    Token,
    After,
    Paging,
    Part,
    Index,
    Id,
    Address,
    Limit,
    Has,
    Glue,
    /// What holds such members.
    Around,
    /// It has nothing to do with them, or says the opposite.
    Else,
}

const WORDS: [(Word, &[&str]); 29] = [
    (Word::Next, &["next", "following"]),
    (Word::Before, &["previous", "prev"]),
    (Word::First, &["first"]),
    (Word::More, &["more"]),
    (Word::Cut, &["truncated", "exceeded"]),
    (Word::Left, &["remaining", "left"]),
    (Word::Last, &["last", "end", "final", "eof"]),
    (Word::Done, &["done", "finished"]),
    (Word::Total, &["total", "totals"]),
    (Word::Guess, &["estimated", "approximate", "approx"]),
    (Word::Count, &["count", "cnt", "counts"]),
    (Word::Size, &["size", "length"]),
    (Word::Number, &["num", "nb", "number", "no", "nr", "current"]),
    (Word::Found, &["found", "matched", "matches", "matching", "hits", "filtered"]),
    (Word::Page, &["page"]),
    (Word::Pages, &["pages"]),
    (
        Word::Rows,
        &[
            "result",
            "results",
            "record",
            "records",
            "item",
            "items",
            "element",
            "elements",
            "row",
            "rows",
            "entry",
            "entries",
            "object",
            "objects",
            "document",
            "documents",
            "docs",
            "data",
            "list",
            "collection",
            "set",
            "resultset",
            "entities",
            "content",
        ],
    ),
    (
        Word::Cursor,
        &[
            "cursor",
            "continuation",
            "continue",
            "marker",
            "bookmark",
            "scroll",
            "resume",
            "resumption",
            "evaluated",
        ],
    ),
    (Word::Token, &["token", "key"]),
    (Word::After, &["after", "offset"]),
    (Word::Paging, &["paging", "pagination"]),
    (Word::Part, &["start", "from", "skip", "position", "starting"]),
    (Word::Index, &["index"]),
    (Word::Id, &["id"]),
    (Word::Address, &["url", "uri", "link", "links", "href", "path", "ref", "address"]),
    (Word::Limit, &["limit", "max", "maximum", "transfer"]),
    (Word::Has, &["has", "have", "is", "are", "was", "any"]),
    (
        Word::Glue,
        &[
            "in",
            "of",
            "the",
            "there",
            "to",
            "at",
            "get",
            "load",
            "fetch",
            "exist",
            "exists",
            "available",
            "response",
            "odata",
            "stream",
            "reached",
            "str",
        ],
    ),
    (
        Word::Around,
        &[
            "meta",
            "metadata",
            "info",
            "cursors",
            "paginator",
            "pager",
            "context",
            "additional",
            "query",
            "search",
            "summary",
            "request",
            "header",
            "body",
            "envelope",
        ],
    ),
];
/// No name that speaks of pages is longer.
const BYTES_MAX: usize = 60;

/// Returns what a name may say. It may begin with that of what holds such members.
pub fn meaning(name: &str) -> Option<Meaning> {
    let words = words(name);
    let is_sure = words.len() > 1;
    let said = says(&words).or_else(|| {
        let is_holder = |word: &&Word| matches!(word, Word::Around | Word::Paging);
        let holders = words.iter().take_while(is_holder).count();
        says(&words[holders..]).filter(|says| *says != Says::Count)
    });
    said.map(|says| Meaning { says, is_sure })
}

/// Returns what the name of a header may say: `X-` and the name of a maker stand before it.
pub fn of_header(name: &str) -> Option<Meaning> {
    let Some(rest) = name.strip_prefix("x-") else {
        return meaning(name).filter(|meaning| meaning.is_sure);
    };
    meaning(rest).or_else(|| {
        let (maker, behind) = rest.split_once('-')?;
        words(maker).contains(&Word::Else).then(|| meaning(behind)).flatten()
    })
}

/// Tells whether a member of this name holds what is said about the pages.
pub fn is_around(name: &str) -> bool {
    let words = words(name);
    let no = |word: &Word| matches!(word, Word::Else | Word::Limit | Word::Left | Word::First);
    !words.is_empty() && !words.iter().any(no)
}

fn says(words: &[Word]) -> Option<Says> {
    let has = |word: Word| words.contains(&word);
    let all = |known: &[Word]| words.iter().all(|word| *word == Word::Glue || known.contains(word));
    if has(Word::Next) {
        return says_next(words);
    }
    if has(Word::Before) || has(Word::First) {
        return says_before(words);
    }
    if has(Word::Else) || has(Word::Around) {
        return None;
    }
    if has(Word::More) {
        let is_address = has(Word::Address);
        let known = [Word::More, Word::Has, Word::Rows, Word::Page, Word::Pages, Word::Found];
        if is_address {
            return Some(Says::NextAddress);
        }
        return all(&known).then_some(Says::More);
    }
    if has(Word::Cut) {
        let known = [Word::Cut, Word::Has, Word::Rows, Word::Limit, Word::Size, Word::Page];
        return all(&known).then_some(Says::Cut);
    }
    if has(Word::Left) {
        let known = [Word::Left, Word::Rows, Word::Page, Word::Pages, Word::Count, Word::Number];
        let of = has(Word::Rows) || has(Word::Page) || has(Word::Pages);
        return (of && all(&known)).then_some(Says::Left);
    }
    if has(Word::Cursor) || has(Word::Token) || has(Word::After) {
        return is_token(words).then_some(Says::Token);
    }
    if has(Word::Last) {
        let known = [Word::Last, Word::Has, Word::Page, Word::Pages, Word::Rows];
        return all(&known).then_some(Says::Last);
    }
    if has(Word::Done) {
        let known = [Word::Done, Word::Has, Word::Rows];
        return all(&known).then_some(Says::Done);
    }
    says_number(words)
}

fn says_next(words: &[Word]) -> Option<Says> {
    let has = |word: Word| words.contains(&word);
    let no = |word: &Word| {
        matches!(word, Word::Else | Word::Limit | Word::Around | Word::Left | Word::Before)
    };
    // An `id` or number alone may be the next free one.
    let names_page = |word: &Word| {
        matches!(
            word,
            Word::Page | Word::Pages | Word::Cursor | Word::Token | Word::After | Word::Paging
        ) || matches!(word, Word::Part | Word::Index | Word::Address | Word::Has | Word::More)
    };
    let is_plain = words.iter().all(|word| matches!(word, Word::Next | Word::Glue));
    if !words.iter().any(no) && (is_plain || words.iter().any(names_page)) {
        return Some(Says::Next);
    }
    has(Word::Address).then_some(Says::NextAddress)
}

fn says_before(words: &[Word]) -> Option<Says> {
    let all = |known: &[Word]| words.iter().all(|word| *word == Word::Glue || known.contains(word));
    let names = [Word::Before, Word::Page, Word::Address, Word::Has, Word::Cursor, Word::Token];
    if all(&names) {
        return Some(Says::Before);
    }
    all(&[Word::First, Word::Page, Word::Has]).then_some(Says::First)
}

/// A token without `next`: a word that means nothing else, `after`, or a token of pages.
fn is_token(words: &[Word]) -> bool {
    let has = |word: Word| words.contains(&word);
    let all = |known: &[Word]| words.iter().all(|word| *word == Word::Glue || known.contains(word));
    let cursor = [Word::Cursor, Word::Token, Word::Id, Word::Last, Word::Page, Word::Paging];
    has(Word::Cursor) && all(&cursor)
        || words == [Word::After]
        || (has(Word::Page) || has(Word::Paging)) && all(&[Word::Page, Word::Paging, Word::Token])
}

/// Tells whether a member of what is named the next may be its token.
pub fn is_part(name: &str) -> bool {
    let words = words(name);
    let part = |word: &Word| {
        matches!(
            word,
            Word::Page | Word::Number | Word::Cursor | Word::Token | Word::After | Word::Paging
        ) || matches!(word, Word::Part | Word::Index)
    };
    !words.is_empty() && words.iter().all(part)
}

/// Tells whether a member may be the address of what it stands in.
pub fn is_address(name: &str) -> bool {
    matches!(words(name)[..], [Word::Address])
}

fn says_number(words: &[Word]) -> Option<Says> {
    let has = |word: Word| words.contains(&word);
    let counts = [Word::Count, Word::Number, Word::Size, Word::Found, Word::Rows];
    let all = |known: &[Word]| {
        words
            .iter()
            .all(|word| *word == Word::Glue || known.contains(word) || counts.contains(word))
    };
    if has(Word::Pages) {
        let known = [Word::Pages, Word::Total];
        return (all(&known) && !has(Word::Size)).then_some(Says::Pages);
    }
    if has(Word::Page) {
        let is_count = matches!(words, [Word::Total, Word::Page, ..])
            || has(Word::Count) && (has(Word::Total) || words.first() == Some(&Word::Page));
        let is_number =
            words.iter().all(|word| matches!(word, Word::Page | Word::Number | Word::Index));
        if is_count && all(&[Word::Page, Word::Total]) {
            return Some(Says::Pages);
        }
        return is_number.then_some(Says::Page);
    }
    let is_guess = has(Word::Guess);
    if has(Word::Total) || has(Word::Found) {
        let says = if is_guess { Says::Estimate } else { Says::Total };
        return all(&[Word::Total, Word::Guess]).then_some(says);
    }
    let is_count = has(Word::Count) || has(Word::Number) && has(Word::Rows);
    (is_count && all(&[])).then_some(Says::Count)
}

/// Splits a name into words: at marks, at capitals, and within small letters where all of a part
/// are known words.
fn words(name: &str) -> Vec<Word> {
    if name.len() > BYTES_MAX {
        return vec![Word::Else];
    }
    let mut words = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
        for piece in pieces(part) {
            if !segment(&piece, &mut words) {
                words.push(Word::Else);
            }
        }
    }
    words
}

/// Splits at capitals: `nextURLPath` is `next`, `url`, `path`.
fn pieces(part: &str) -> Vec<String> {
    let chars: Vec<char> = part.chars().collect();
    let mut pieces: Vec<String> = Vec::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        let is_low = |c: Option<&char>| c.is_some_and(|c| c.is_lowercase());
        let starts = c.is_uppercase() && (is_low(before) || is_low(chars.get(at + 1)));
        match pieces.last_mut().filter(|_| !starts) {
            Some(piece) => piece.extend(c.to_lowercase()),
            None => pieces.push(c.to_lowercase().collect()),
        }
    }
    pieces
}

/// Reads a text as known words without anything between; tells whether it is that.
fn segment(text: &str, words: &mut Vec<Word>) -> bool {
    if text.is_empty() {
        return true;
    }
    let known = WORDS.iter().flat_map(|(word, texts)| texts.iter().map(move |text| (*word, *text)));
    for (word, known) in known {
        if let Some(rest) = text.strip_prefix(known) {
            words.push(word);
            if segment(rest, words) {
                return true;
            }
            words.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_same_however_its_words_are_joined() {
        let check = |names: &str, expected: Option<Says>| {
            for name in names.split(' ') {
                assert_eq!(meaning(name).map(|meaning| meaning.says), expected, "{name}");
            }
        };
        check(
            "next nextPage next_page_token NextToken next-cursor nexturl nextLink",
            Some(Says::Next),
        );
        check(
            "nextRecordsUrl @odata.nextLink odata.nextLink nextPageStart hasNext",
            Some(Says::Next),
        );
        check("next_start nextKey has_next_page HASNEXTPAGE next_cursor_str", Some(Says::Next));
        check("nextOrdersUrl next_invoice_link moreUrl", Some(Says::NextAddress));
        check("cursor endCursor end_cursor LastEvaluatedKey continuationToken", Some(Says::Token));
        check(
            "scroll_id _scroll_id marker pageToken paginationToken offset after",
            Some(Says::Token),
        );
        check("resumptionToken search_after continue bookmark", Some(Says::Token));
        check("more hasMore has_more_items more_items_in_collection moreresults", Some(Says::More));
        check("moreRecords hasMorePages more_available pagination_has_more", Some(Says::More));
        check("truncated isTruncated exceededTransferLimit limit_exceeded", Some(Says::Cut));
        check("remainingItemCount pages_left remaining_records", Some(Says::Left));
        check("last isLast is_last_page lastPage endOfRecords end_of_stream eof", Some(Says::Last));
        check("done is_finished", Some(Says::Done));
        check(
            "totalPages total_pages pageCount nbPages num_pages pages totalpage",
            Some(Says::Pages),
        );
        check("number_of_pages TotalPageCount pagesTotal", Some(Says::Pages));
        check("page currentPage page_number pageNum page_index pageNo", Some(Says::Page));
        check(
            "total totalCount total_results recordsTotal numFound nbHits hits",
            Some(Says::Total),
        );
        check(
            "numberMatched matched total_size totalElements @odata.totalCount",
            Some(Says::Total),
        );
        check("meta_total pagination_total recordsFiltered", Some(Says::Total));
        check("estimatedTotalHits", Some(Says::Estimate));
        check("count num_results resultCount numberOfElements", Some(Says::Count));
        check("nextSyncToken next_run_at nextInvoice next_id deltaLink next_value", None);
        check("previous prev_page hasPreviousPage prevLink", Some(Says::Before));
        check("first isFirst first_page", Some(Says::First));
        check("startCursor page_size next_previous firstName", None);
        check("perPage numberReturned total_price totalTime grand_total more_info", None);
        check("moreDetails rate_limit_exceeded quotaExceeded remaining requests_left", None);
        check("access_token token id key last_id limit offset_limit maxPages nations", None);
        check("page_total available start_index total_limit end_date lastModified", None);
    }

    #[test]
    fn a_header_may_have_its_maker_before_its_words() {
        let says = |name: &str| of_header(name).map(|meaning| meaning.says);
        assert_eq!(says("x-wp-total"), Some(Says::Total));
        assert_eq!(says("x-wp-totalpages"), Some(Says::Pages));
        assert_eq!(says("x-pagination-total-count"), Some(Says::Total));
        assert_eq!(says("x-ms-continuation"), Some(Says::Token));
        assert_eq!(says("x-total"), Some(Says::Total));
        assert_eq!(says("total-pages"), Some(Says::Pages));
        assert_eq!(says("x-acme-has-more"), Some(Says::More));
        for name in [
            "total",
            "link",
            "retry-after",
            "x-ratelimit-remaining",
            "content-length",
            "x-rate-limit-limit",
            "x-request-id",
            "x-acme-runtime",
            "x-acme-total-time",
        ] {
            assert_eq!(says(name), None, "{name}");
        }
    }
}
