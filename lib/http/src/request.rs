//! One request: method, address, headers, body.

use std::hash::{DefaultHasher, Hash, Hasher};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use singer::{Error, ErrorKind, Result, Secret};

use crate::address::{Address, encoded};

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Method {
    Get,
    Post,
}

impl Method {
    /// Returns the word of the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

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

    /// Sends this JSON.
    pub fn set_body(&mut self, body: &Value) {
        if !body.is_null() {
            self.body = Some((body.to_string().into_bytes(), "application/json"));
        }
    }

    /// Returns method and address for people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method.word(), self.address)
    }

    /// Returns a number that tells this request from others.
    pub fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.address.as_str().hash(&mut hasher);
        self.body.as_ref().map(|(body, _)| body).hash(&mut hasher);
        hasher.finish()
    }

    /// Makes the request of the HTTP library, without body.
    pub(crate) fn build(
        &self,
        headers: &[(String, Secret)],
    ) -> Result<ureq::http::request::Builder> {
        let mut builder =
            ureq::http::Request::builder().method(self.method.word()).uri(self.address.as_str());
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
        .hint("name and value must each be one line of ASCII characters")
}
