//! One request: method, address, headers, body.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;
use singer::{Error, ErrorKind, Result, ResultExt, Secret};

use crate::http::address::{Address, encoded};
use crate::options::Method;
use crate::plan::Plan;
use crate::template::{Fills, Template, fill_in, put};

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
}

impl Request {
    /// Sends a form.
    pub fn form(address: Address, fields: &[(String, Secret)]) -> Self {
        let field =
            |(name, value): &(String, Secret)| encoded(name) + "=" + &encoded(value.reveal());
        let form = fields.iter().map(field).collect::<Vec<_>>().join("&");
        let body = Some((form.into_bytes(), "application/x-www-form-urlencoded"));
        Self { method: Method::Post, address, headers: Vec::new(), body }
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
    let mut request = Request { method: plan.method, address, headers, body: None };
    let mut params = Vec::new();
    let mut body = plan.body.as_ref().and_then(|body| fill_in(body, fills)).unwrap_or_default();
    for (name, value) in &plan.params {
        let Some(value) = fill_in(value, fills) else { continue };
        if plan.in_body {
            put(&mut body, name, nested(value));
        } else {
            add_params(&mut params, name, &value);
        }
    }
    request.address = request.address.with_params(&params)?;
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

    /// Returns the same request with these parameters, in the query or the body.
    pub fn with_params(&self, plan: &Plan, params: &[(String, String)]) -> Result<Self> {
        let mut request = self.clone();
        if plan.in_body {
            let sent = self.body.as_ref().map_or(&b"null"[..], |(body, _)| body.as_slice());
            let mut body: Value = serde_json::from_slice(sent)
                .or_kind(ErrorKind::Internal, "cannot read the body of a request")?;
            for (name, value) in params {
                put(&mut body, name, number_or_text(value));
            }
            request.set_body(&body);
        } else {
            request.address = request.address.with_params(params)?;
        }
        Ok(request)
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

/// Offsets and page numbers are numbers in a body; tokens are texts unless they are plain digits.
fn number_or_text(value: &str) -> Value {
    value.parse::<u64>().map_or_else(|_| value.into(), Value::from)
}
