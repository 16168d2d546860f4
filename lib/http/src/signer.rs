//! What signs requests, as the client sees it.

use std::fmt::Debug;

use singer::{Result, Secret};

use crate::answer::Answer;
use crate::request::Request;

/// What is added to a request.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Headers.
    pub headers: Vec<(String, Secret)>,
    /// Parameters of the query.
    pub params: Vec<(String, Secret)>,
}

impl Signature {
    /// Signs by the Authorization header.
    pub fn authorization(value: impl Into<String>) -> Self {
        let header = ("authorization".to_owned(), Secret::new(value));
        Self { headers: vec![header], params: Vec::new() }
    }
}

/// Sends requests that nobody signs.
pub trait Sender {
    /// Sends a request without following redirects, with retries.
    fn send_unsigned(&self, request: &Request) -> Result<Answer>;
}

/// Signs requests.
pub trait Signer: Debug + Send + Sync {
    /// Returns what is added to a request, which may have to be asked for.
    fn signature(&self, sender: &dyn Sender) -> Result<Signature>;

    /// Takes note that the API has refused the signature; tells whether another one may do.
    fn refused(&self) -> bool {
        false
    }
}
