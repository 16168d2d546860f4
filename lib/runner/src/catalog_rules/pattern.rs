//! Patterns of streams and properties.

use globset::{Glob, GlobMatcher};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// A pattern of streams, and of properties where it has one: `public-*.address.city`.
pub(super) struct Pattern {
    pub stream: GlobMatcher,
    pub property: Option<GlobMatcher>,
    pub excludes: bool,
}

pub(super) fn id(stream: &Value) -> String {
    let id = stream["tap_stream_id"].as_str().or_else(|| stream["stream"].as_str());
    id.unwrap_or_default().to_owned()
}

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Self> {
        let (excludes, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (stream, property) = split(rest);
        Ok(Self {
            stream: matcher(stream)?,
            property: property.map(matcher).transpose()?,
            excludes,
        })
    }
}

/// Tells whether patterns select a stream; a pattern that leaves out all of it wins.
pub(super) fn is_selected(id: &str, patterns: &[Pattern]) -> bool {
    let here = || patterns.iter().filter(|pattern| pattern.stream.is_match(id));
    let all =
        |pattern: &Pattern| pattern.property.as_ref().is_none_or(|all| all.glob().glob() == "*");
    let is_out = here().any(|pattern| pattern.excludes && all(pattern));
    here().any(|pattern| !pattern.excludes) && !is_out
}

/// Splits at the first dot that no backslash precedes.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    let dot = text.match_indices('.').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'));
    dot.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

pub(super) fn matcher(text: &str) -> Result<GlobMatcher> {
    let glob = Glob::new(&text.replace('{', "[{]").replace('}', "[}]")).map_err(|cause| {
        Error::new(ErrorKind::Config, "cannot read a pattern of streams and properties")
            .with("pattern", text)
            .caused_by(cause)
    })?;
    Ok(glob.compile_matcher())
}

/// Returns the names on the way to a property: `["address", "city"]`.
pub(super) fn names(breadcrumb: &Value) -> Vec<&str> {
    let parts = breadcrumb.as_array().into_iter().flatten().filter_map(Value::as_str);
    parts.filter(|part| !matches!(*part, "properties" | "items")).collect()
}
