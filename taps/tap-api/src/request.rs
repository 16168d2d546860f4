//! One request: method, address, headers, body.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;
use singer::{Error, ErrorKind, Result, ResultExt, Secret};

use crate::http::address::{Address, encoded};
use crate::options::Method;
use crate::plan::Plan;
use crate::template::{Fills, Template, fill_in, fill_texts, put, text_of};

/// By these an API may refuse parameters beside those of an address that it named or signed.
pub const MAY_REFUSE: [u16; 4] = [400, 403, 404, 422];

/// A request without what signs it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: Method,
    /// Where to.
    pub address: Address,
    /// Headers of the settings, for trusted origins alone.
    pub headers: Vec<(String, Secret)>,
    /// What `POST` sends, and its content type.
    pub body: Option<(Vec<u8>, &'static str)>,
    /// The address with the parameters of the settings alone.
    asked: Option<Address>,
    /// The address that an answer named, where it lacks some of those parameters.
    pub named: Option<Address>,
}

impl Request {
    /// Sends a form.
    pub fn form(address: Address, fields: &[(String, Secret)]) -> Self {
        let field =
            |(name, value): &(String, Secret)| encoded(name) + "=" + &encoded(value.reveal());
        let form = fields.iter().map(field).collect::<Vec<_>>().join("&");
        let body = Some((form.into_bytes(), "application/x-www-form-urlencoded"));
        let headers = Vec::new();
        Self { method: Method::Post, address, headers, body, asked: None, named: None }
    }

    /// Returns method and address for people.
    pub fn shown(&self) -> String {
        format!("{} {}", method_name(self.method), self.address)
    }

    /// Makes the request of the HTTP library, without body.
    pub fn build(&self, headers: &[(String, Secret)]) -> Result<ureq::http::request::Builder> {
        let mut builder = ureq::http::Request::builder()
            .method(method_name(self.method))
            .uri(self.address.as_str());
        for (name, value) in headers {
            let value = ureq::http::HeaderValue::try_from(value.reveal().trim());
            let Ok(value) = value else { return Err(bad_header(name)) };
            let Ok(name) = ureq::http::HeaderName::try_from(name.as_str()) else {
                return Err(bad_header(name));
            };
            if let Some(headers) = builder.headers_mut() {
                headers.insert(name, value);
            }
        }
        Ok(builder)
    }
}

fn bad_header(name: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot send a header")
        .with("header", name)
        .hint("name and value are one line of plain characters")
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
    }
}

/// Makes the first request of a stream for a context and a slice.
///
/// Fails with `Config` when the path needs a time that is not known.
pub fn first(api: &Address, plan: &Plan, fills: &Fills) -> Result<Request> {
    for value in plan.path.names().filter_map(|name| fills.get(name)) {
        if value.is_array() || value.is_object() {
            return Err(Error::new(ErrorKind::Data, "cannot put a value into the path")
                .with("reason", "it is an array or object")
                .hint("check `inputs` and `parent_keys`; such values can be sent in a `body`"));
        }
        let value = text_of(value);
        if value.is_empty() || value.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Error::new(ErrorKind::Data, "cannot put a value into the path")
                .with("value", value)
                .hint("it is empty, or would lead to another path: check `parent_keys`"));
        }
    }
    let Some(path) = plan.path.fill(fills, encoded) else {
        return Err(Error::new(ErrorKind::Config, "cannot fill all placeholders")
            .with("path", "{start}")
            .hint("set a `start_date`"));
    };
    let address = api.with_path(&path)?;
    let mut headers = Vec::new();
    for (name, value) in &plan.headers {
        let filled = Template::new(value.reveal()).fill(fills, str::to_owned);
        headers.extend(filled.map(|value| (name.clone(), Secret::new(value))));
    }
    let method = plan.method;
    let mut request = Request { method, address, headers, body: None, asked: None, named: None };
    let mut params = Vec::new();
    let mut body = plan.body.as_ref().and_then(|body| fill_in(body, fills)).unwrap_or_default();
    for (name, value) in &plan.params {
        if plan.in_body {
            let is_whole = value.as_str().is_some_and(|text| Template::new(text).whole().is_some());
            let Some(value) = fill_in(value, fills) else { continue };
            put(&mut body, name, if is_whole { value } else { nested(value) });
        } else if let Some(value) = fill_texts(value, fills) {
            add_params(&mut params, name, &value);
        }
    }
    request.address = request.address.with_params(&params)?;
    request.asked = Some(request.address.clone());
    if plan.method == Method::Post {
        request.set_body(&body);
    }
    Ok(request)
}

impl Request {
    /// Sends this JSON.
    pub fn set_body(&mut self, body: &Value) {
        if !body.is_null() {
            self.body = Some((body.to_string().into_bytes(), "application/json"));
        }
    }

    /// Returns the same request with these parameters: in the body as they are, in the query as
    /// texts.
    ///
    /// Fails with `Data` for an array or object that a query cannot hold.
    pub fn with_params(&self, plan: &Plan, params: &[(String, Value)]) -> Result<Self> {
        let mut request = self.clone();
        if plan.in_body {
            let sent = self.body.as_ref().map_or(&b"null"[..], |(body, _)| body.as_slice());
            let mut body: Value = serde_json::from_slice(sent)
                .or_kind(ErrorKind::Internal, "cannot read the body of a request")?;
            for (name, value) in params {
                put(&mut body, name, value.clone());
            }
            request.set_body(&body);
        } else {
            let mut texts = Vec::new();
            for (name, value) in params {
                let nested = value.is_array() || value.is_object();
                if nested && !plan.paging.token_as_json {
                    return Err(unsendable(name));
                }
                texts.push((name.clone(), text_of(value).into_owned()));
            }
            request.address = request.address.with_params(&texts)?;
        }
        Ok(request)
    }

    /// Returns the request for the page at an address that an answer has named.
    ///
    /// The rule: what is asked for stays the same from page to page. An address with parameters
    /// that lacks some of ours gets them, as it names the page and not the rows, and so does one
    /// without any that ends with the number of the page. One that has them all, or ends with a
    /// token, stays as it is.
    pub fn follow(self, named: Address) -> Result<Self> {
        let gets = |asked: &&Address| named.has_params() || named.names_page_of(asked);
        let asked = self.asked.as_ref().filter(gets);
        let address = match asked {
            Some(asked) => named.with_missing_of(asked)?,
            None => named.clone(),
        };
        let named = (address != named).then_some(named);
        Ok(Self { address, named, ..self })
    }

    /// Goes back to the address that an answer named, where the API refuses it with our parameters;
    /// tells whether it does.
    pub fn falls_back(&mut self, status: u16) -> bool {
        let named = self.named.take_if(|_| MAY_REFUSE.contains(&status));
        let is_other = named.is_some();
        self.address = named.unwrap_or_else(|| self.address.clone());
        is_other
    }

    /// Returns a number that tells this request from others.
    pub fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.address.as_str().hash(&mut hasher);
        self.body.as_ref().map(|(body, _)| body).hash(&mut hasher);
        hasher.finish()
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
        .with("reason", "it is an array or object, and a query holds texts")
        .hint(
            "set `use_request_body_not_params: true` if the API takes it in a body, or \
             `pagination_token_as_json: true` if it takes JSON text in the query; or let \
             `next_page_token_path` lead to one value of it",
        )
}
