//! How an API hands out its pages, from the words of the settings. Pure.

pub mod drift;
pub mod facts;
pub mod link;
pub mod pager;

use serde_json::Value;
use serde_json_path::JsonPath;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::options::StreamOptions;
use crate::paging::facts::PageFacts;

/// How further pages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    None,
    /// By number.
    PageNumber,
    /// By how many records were read.
    Offset,
    /// By a token in the answer.
    Token,
    /// By a token in a header.
    HeaderToken,
    /// By an address in the answer.
    NextUrl,
    /// By an address in the Link header.
    LinkHeader,
}

/// What is needed to ask for further pages.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The kind of it.
    pub style: Style,
    /// The style was not chosen by the settings.
    pub by_default: bool,
    /// Parameter of the page, offset or token.
    pub param: String,
    /// Parameter of the page size and its value.
    pub size: Option<(String, u64)>,
    /// Number of the first page or offset.
    pub first: u64,
    /// That number was not chosen by the settings.
    pub first_by_default: bool,
    /// Where the token, address or "there is more" is in an answer.
    pub path: Option<JsonPath>,
    /// Parameters and places of further tokens.
    pub tokens: Vec<(String, JsonPath)>,
    /// A token that is an array or object is JSON text in a query.
    pub token_as_json: bool,
    /// The header of the token, in lower case.
    pub header: String,
    /// Where the number of all records is in an answer.
    pub total: Option<JsonPath>,
    /// The name of that number.
    pub total_name: String,
}

/// The words for each style, those of other taps behind ours.
const WORDS: [(Style, &[&str]); 7] = [
    (Style::None, &["none", "single_page_paginator"]),
    (Style::PageNumber, &["page_number", "page_number_paginator"]),
    (Style::Offset, &["offset", "offset_paginator", "simple_offset_paginator", "style1"]),
    (Style::Token, &["token", "default", "jsonpath_paginator"]),
    (Style::HeaderToken, &["header_token", "simple_header_paginator"]),
    (Style::NextUrl, &["next_url", "hateoas_paginator"]),
    (Style::LinkHeader, &["link_header", "header_link_paginator", "restapi_header_link_paginator"]),
];

impl Paging {
    /// Takes what the style needs from the settings.
    ///
    /// Fails with `Config`.
    pub fn new(options: &StreamOptions) -> Result<Self> {
        let word = options.pagination_request_style.as_deref();
        let style = match word {
            None => Style::Token,
            Some(word) => style_of(word)?,
        };
        let given = options.next_page_token_path.as_deref();
        let by_default = match style {
            Style::Token => Some("$.next_page"),
            Style::NextUrl => Some("$.next"),
            _ => None,
        };
        let path = match style {
            Style::HeaderToken | Style::None | Style::LinkHeader => None,
            _ => given.or(by_default).map(|path| json_path(path, "next_page_token_path")),
        };
        let param = if style == Style::Offset { "offset" } else { "page" };
        let size_param = options.pagination_limit_per_page_param.as_deref().unwrap_or("limit");
        let total = options.pagination_total_limit_param.as_deref();
        let tokens = options.next_page_tokens.iter().flatten();
        let tokens =
            tokens.map(|(name, path)| Ok((name.clone(), json_path(path, "next_page_tokens")?)));
        let tokens = tokens.collect::<Result<Vec<_>>>()?;
        if !tokens.is_empty() && (style != Style::Token || given.is_none()) {
            return Err(Error::new(ErrorKind::Config, "cannot use `next_page_tokens`")
                .with("pagination_request_style", style.word())
                .hint(
                    "use them with the style `token`, and with `next_page_token_path` for the \
                     first token",
                ));
        }
        let first = u64::from(style == Style::PageNumber);
        let given_param = options.pagination_next_page_param.as_deref();
        Ok(Self {
            style,
            by_default: word.is_none() && given.is_none(),
            param: given_param.unwrap_or(param).to_owned(),
            size: options.pagination_page_size.map(|size| (size_param.to_owned(), size)),
            first: options.pagination_initial_offset.unwrap_or(first),
            first_by_default: options.pagination_initial_offset.is_none(),
            path: path.transpose()?,
            tokens,
            token_as_json: options.pagination_token_as_json.unwrap_or(false),
            header: given.unwrap_or("x-next-page").to_ascii_lowercase(),
            total: total.map(total_path).transpose()?,
            total_name: total.unwrap_or("total").to_owned(),
        })
    }

    /// Tells whether pages are asked for by where they lie, which moves as the data changes.
    pub fn is_numbered(&self) -> bool {
        matches!(self.style, Style::PageNumber | Style::Offset)
    }

    /// Returns what the path leads to, of the kind that it has.
    ///
    /// The rule: null, `false`, and an empty text, array or object are the end, as a missing place
    /// is; anything else, 0 included, is a token.
    pub fn found(&self, envelope: &Value) -> Option<Value> {
        let found = self.path.as_ref()?.query(envelope).first()?;
        (!is_end(found)).then(|| found.clone())
    }

    /// Tells whether the place that says what comes next is not there at all, so that it may be
    /// another one.
    pub fn lacks_place(&self, page: PageFacts<'_>) -> bool {
        match self.style {
            Style::HeaderToken => page.answer.header(&self.header).is_none(),
            Style::LinkHeader => page.answer.header("link").is_none(),
            _ => self.path.as_ref().is_some_and(|path| path.query(page.envelope).first().is_none()),
        }
    }

    /// Tells whether the answer has something at the place of the total that is no number.
    pub fn has_odd_total(&self, envelope: &Value) -> bool {
        let found = self.total.as_ref().and_then(|path| path.query(envelope).first());
        found.is_some_and(|found| !found.is_null()) && self.total(envelope).is_none()
    }

    /// Returns how many records the answer says there are.
    pub fn total(&self, envelope: &Value) -> Option<u64> {
        let number = |found: &Value| found.as_u64().or_else(|| found.as_str()?.parse().ok());
        if let Some(found) = self.total.as_ref().and_then(|path| path.query(envelope).first()) {
            return number(found);
        }
        // Other taps name the object that holds it.
        let holder = self.path.as_ref()?.query(envelope).first()?;
        number(holder.get(&self.total_name)?)
    }
}

impl Style {
    /// Returns our word for it.
    pub fn word(self) -> &'static str {
        let found = WORDS.iter().find(|(style, _)| *style == self);
        found.and_then(|(_, words)| words.first()).copied().unwrap_or_default()
    }
}

fn style_of(word: &str) -> Result<Style> {
    let found = WORDS.iter().find(|(_, words)| words.contains(&word));
    found.map(|(style, _)| *style).ok_or_else(|| {
        let ours = WORDS.iter().map(|(_, words)| words[0]).collect::<Vec<_>>().join("`, `");
        Error::new(ErrorKind::Config, "cannot use the pagination style")
            .with("pagination_request_style", word)
            .hint(format!("write one of `{ours}`"))
    })
}

/// A name stands for a member at the top of the answer.
fn total_path(text: &str) -> Result<JsonPath> {
    let path = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
    json_path(&path, "pagination_total_limit_param")
}

fn json_path(text: &str, setting: &str) -> Result<JsonPath> {
    JsonPath::parse(text)
        .or_kind(ErrorKind::Config, "cannot read the JSONPath")
        .map_err(|failure| failure.with("setting", setting).with("path", text))
}

fn is_end(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paging(options: Value) -> Result<Paging> {
        Paging::new(&serde_json::from_value(options).unwrap())
    }

    #[test]
    fn knows_the_words_of_other_taps() {
        let check = |word: &str, expected: Style| {
            let found = paging(json!({"pagination_request_style": word})).unwrap();
            assert_eq!(found.style, expected, "{word}");
        };
        check("default", Style::Token);
        check("jsonpath_paginator", Style::Token);
        check("hateoas_paginator", Style::NextUrl);
        check("restapi_header_link_paginator", Style::LinkHeader);
        check("simple_header_paginator", Style::HeaderToken);
        check("style1", Style::Offset);
        check("page_number", Style::PageNumber);
        let failure = paging(json!({"pagination_request_style": "pages"})).unwrap_err();
        assert!(failure.to_string().contains("`page_number`"), "{failure}");
        assert!(paging(json!({"next_page_token_path": "next"})).is_err());
    }

    #[test]
    fn finds_tokens_and_totals() {
        let answer = json!({
            "next_page": "",
            "link": [{"relation": "self", "url": "a"}, {"relation": "next", "url": "b"}],
            "meta": {"total": "12", "more": false, "zero": 0, "yes": true, "none": {}, "list": []},
            "hits": [{"sort": [1.50, "a"]}],
        });
        let check = |path: &str, expected: Option<Value>| {
            let found = paging(json!({"next_page_token_path": path})).unwrap().found(&answer);
            assert_eq!(found, expected, "{path}");
        };
        check("$.link[?(@.relation=='next')].url", Some("b".into()));
        for end in ["next_page", "meta.more", "meta.none", "meta.list", "nothing"] {
            check(&format!("$.{end}"), None);
        }
        check("$.meta.zero", Some(0.into()));
        check("$.meta.yes", Some(true.into()));
        check("$.hits[-1].sort", Some(answer["hits"][0]["sort"].clone()));
        let total = paging(json!({"pagination_total_limit_param": "meta.total"})).unwrap();
        assert_eq!(total.total(&answer), Some(12));
    }
}
