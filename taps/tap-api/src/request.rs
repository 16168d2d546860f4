//! What is asked for: the first page of a stream, and the pages that answers name.

use http_client::{Address, Method, Request, address::encoded};
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result, ResultExt, Secret};

use crate::stream::StreamSpec;
use crate::template::{Fills, Template, fill_in, fill_texts, put, text_of};

/// By these an API may refuse parameters beside those of an address that it named or signed.
pub const MAY_REFUSE: [u16; 4] = [400, 403, 404, 422];

/// A request for a page of a stream.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// What is sent.
    pub sent: Request,
    /// The address with the parameters of the settings alone.
    asked: Address,
    /// The address that an answer named, where it lacks some of those parameters.
    pub named: Option<Address>,
    /// The request without the parameters of the first page alone.
    later: Option<Request>,
}

/// Makes the first request of a stream for a context and a slice.
///
/// Fails with `Config` when the path needs a time that is not known.
pub fn first(api: &Address, spec: &StreamSpec, fills: &Fills) -> Result<PageRequest> {
    for value in spec.path.names().filter_map(|name| fills.get(name)) {
        if value.is_array() || value.is_object() {
            return Err(Error::new(ErrorKind::Data, "cannot put a value into the path")
                .with("reason", "it is an array or object")
                .hint(
                    "check `inputs` and `parent_keys`; an array or object can only be sent in a \
                       `body`",
                ));
        }
        if value.is_null() {
            return Err(Error::new(ErrorKind::Data, "cannot put a value into the path")
                .with("reason", "it is null")
                .hint(
                    "check `inputs` and `parent_keys`; if `recurse` fills the path, `inputs` or a \
                     `parent` must give the values of the first level",
                ));
        }
        let value = text_of(value);
        if value.is_empty() || value.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Error::new(ErrorKind::Data, "cannot put a value into the path")
                .with("value", value)
                .hint("the value is empty or would lead to another path: check `parent_keys`"));
        }
    }
    let Some(path) = spec.path.fill(fills, encoded) else {
        return Err(Error::new(ErrorKind::Config, "cannot fill all placeholders")
            .with("path", "{start}")
            .hint("set a `start_date`"));
    };
    let address = api.with_path(&path)?;
    let mut headers = Vec::new();
    for (name, value) in &spec.headers {
        let filled = Template::new(value.reveal()).fill(fills, str::to_owned);
        headers.extend(filled.map(|value| (name.clone(), Secret::new(value))));
    }
    let mut body = spec.body.as_ref().and_then(|body| fill_in(body, fills)).unwrap_or_default();
    let mut with = |address: &Address, params: &Map<String, Value>| {
        let mut texts = Vec::new();
        for (name, value) in params {
            if spec.in_body {
                let text = value.as_str().map(Template::new);
                let is_whole = text.is_some_and(|text| text.whole().is_some());
                let Some(value) = fill_in(value, fills) else { continue };
                put(&mut body, name, if is_whole { value } else { nested(value) });
            } else if let Some(value) = fill_texts(value, fills) {
                add_params(&mut texts, name, &value);
            }
        }
        let address = address.with_params(&texts)?;
        let mut sent =
            Request { method: spec.method, address, headers: headers.clone(), body: None };
        if spec.method == Method::Post {
            sent.set_body(&body);
        }
        Ok::<_, Error>(sent)
    };
    let mut sent = with(&address, &spec.params)?;
    let asked = sent.address.clone();
    let mut later = None;
    if !spec.first_params.is_empty() {
        let first = with(&sent.address, &spec.first_params)?;
        later = Some(std::mem::replace(&mut sent, first));
    }
    Ok(PageRequest { sent, asked, named: None, later })
}

impl PageRequest {
    /// Returns the same request with these parameters: in the body as they are, in the query as
    /// texts.
    ///
    /// Fails with `Data` for an array or object that a query cannot hold.
    pub fn with_params(&self, spec: &StreamSpec, params: &[(String, Value)]) -> Result<Self> {
        let mut request = self.clone();
        if spec.in_body {
            let sent = self.sent.body.as_ref().map_or(&b"null"[..], |(body, _)| body.as_slice());
            let mut body: Value = serde_json::from_slice(sent)
                .or_kind(ErrorKind::Internal, "cannot read the body of a request")?;
            for (name, value) in params {
                put(&mut body, name, value.clone());
            }
            request.sent.set_body(&body);
        } else {
            let mut texts = Vec::new();
            for (name, value) in params {
                let nested = value.is_array() || value.is_object();
                if nested && !spec.paging.token_as_json {
                    return Err(unsendable(name));
                }
                texts.push((name.clone(), text_of(value).into_owned()));
            }
            request.sent.address = request.sent.address.with_params(&texts)?;
        }
        Ok(request)
    }

    /// Leaves out the parameters of the first page alone.
    pub fn behind_first(mut self) -> Self {
        self.sent = self.later.take().unwrap_or(self.sent);
        self
    }

    /// Returns the request for the page at an address that an answer has named.
    ///
    /// The rule: what is asked for stays the same from page to page. An address with parameters
    /// that lacks some of ours gets them, as it names the page and not the rows, and so does one
    /// without any that ends with the number of the page. One that has them all, or ends with a
    /// token, stays as it is.
    pub fn follow(mut self, named: Address) -> Result<Self> {
        let gets = named.has_params() || named.names_page_of(&self.asked);
        let address = if gets { named.with_missing_of(&self.asked)? } else { named.clone() };
        self.named = (address != named).then_some(named);
        self.sent.address = address;
        Ok(self)
    }

    /// Goes back to the address that an answer named, where the API refuses it with our parameters;
    /// tells whether it does.
    pub fn falls_back(&mut self, status: u16) -> bool {
        let named = self.named.take_if(|_| MAY_REFUSE.contains(&status));
        let is_other = named.is_some();
        if let Some(named) = named {
            self.sent.address = named;
        }
        is_other
    }
}

/// A parameter with a list is repeated.
fn add_params(params: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(values) => values.iter().for_each(|value| add_params(params, name, value)),
        Value::String(text) => params.push((name.to_owned(), text.clone())),
        other => params.push((name.to_owned(), other.to_string())),
    }
}

/// A text that holds an object or array is meant as one in a body.
fn nested(value: Value) -> Value {
    let parsed = value.as_str().filter(|text| text.trim_start().starts_with(['{', '[']));
    parsed.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(value)
}

fn unsendable(name: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot send the token of the next page")
        .with("parameter", name)
        .with("reason", "it is an array or object, but a query can only hold text")
        .hint(
            "set `use_request_body_not_params: true` if the API expects it in a body, or \
             `pagination_token_as_json: true` if the API expects JSON text in the query; or let \
             `next_page_token_path` lead to one value of it",
        )
}
