//! What is said of answers, pages and records that are of no use.

use std::sync::atomic::Ordering;

use http_client::{Answer, Client, Request};
use singer::{Error, ErrorKind};

use crate::partial;
use crate::row::{Context, Unusable};
use crate::stream::StreamSpec;
use crate::told;

/// How what is compressed with gzip begins, as an excerpt shows it.
const GZIP: &str = "\u{1f}\u{fffd}\u{8}";

/// Adds to a failure of an answer which request it was, and what stood there.
///
/// The rule: bytes that are no text are told by what they are, and a hint names what reads them.
pub(super) fn explain(
    failure: Error,
    client: &Client,
    request: &Request,
    answer: &mut Answer,
) -> Error {
    let of_answer = failure.kind() == ErrorKind::Data
        || [told::MESSAGE, partial::MESSAGE].contains(&failure.message());
    if !of_answer || failure.context("request").is_some() {
        return failure;
    }
    let hinted = failure.has_hint();
    let mut failure = failure.with("request", client.shown(request));
    failure = failure.with("status", answer.status);
    let seen = answer.excerpt();
    if seen.starts_with(GZIP) {
        return failure.with("answer", "(compressed with gzip)").hint(
            "the answer is compressed, and its headers do not say so: have the API send \
             `Content-Encoding: gzip`, or an answer that is not compressed",
        );
    }
    if let Some(excerpt) = client.excerpt(&seen) {
        failure = failure.with("answer", excerpt);
    }
    if failure.context("reason").is_some_and(|reason| reason.contains("not UTF-8")) {
        return failure.hint(
            "set `encoding` of the stream to the encoding of its answers, such as `latin-1` or \
             `utf-16`",
        );
    }
    if hinted {
        failure
    } else {
        failure.hint("run again; if this does not help, ask the provider of the API")
    }
}

/// Warns of a page that was refused, which is treated as the end.
pub(super) fn warn_of_end(
    client: &Client,
    spec: &StreamSpec,
    request: &Request,
    answer: &mut Answer,
) {
    let said = client.excerpt(&answer.excerpt()).unwrap_or_default();
    let (request, status) = (client.shown(request), answer.status);
    singer::warn!(
        "W-END-BY-REFUSAL",
        "stream {}: {request}: the API refused a page with status {status}, and the tap treats \
         this as the end: {said}",
        spec.name,
    );
}

/// Refuses a replication key by which nobody can tell the day of its record.
pub(super) fn no_moment(spec: &StreamSpec, key: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot read the replication key of a record as a time")
        .with("replication_key", spec.replication_key.as_deref().unwrap_or_default())
        .with("value", key)
        .hint(
            "set `time_format` to the format of the API; without a `replication_key` all records \
             that the API gives for the day are read",
        )
}

/// Refuses a record of which no row can be made.
pub(super) fn no_row(spec: &StreamSpec, context: &Context, unusable: Unusable) -> Error {
    let failure = Error::new(ErrorKind::Data, "cannot make a row of a record");
    let at = match unusable {
        Unusable::Fault(fault) => {
            return failure.with("reason", fault.what).hint("`records_path` must lead to objects");
        }
        Unusable::Differs(at) => at,
    };
    let name = context.members.get(at).map(|(name, _)| name.as_str()).unwrap_or_default();
    let recurse = spec.recurse.as_ref();
    if recurse.is_some_and(|it| it.level_column == name || it.parent_keys.contains_key(name)) {
        return failure
            .with("stream", &spec.name)
            .with("member of the record", name)
            .with("reason", "the record has another value for a column of `recurse`")
            .hint(
                "choose another name for the column in the `parent_keys` of `recurse`, or in its \
                 `level_column`, and use it in `path`, `params` and `primary_keys`",
            );
    }
    let mut keys = spec.parent.iter().flat_map(|(_, keys)| keys);
    let failure = failure.with("stream", &spec.name).with("member of the record", name);
    match keys.find(|(to, _)| to == name) {
        Some((_, from)) => failure
            .with("property of the parent", from)
            .with("reason", "the record and its parent have different values for one column")
            .hint(
                "choose another name for the parent's value in `parent_keys`, as in \
                 {\"parent_id\": \"id\"}, and use it in `path`, `params` and `primary_keys`",
            ),
        None => failure
            .with("reason", "the record and its input have different values for one column")
            .hint(
                "choose another name for the member of `inputs`, and use it in `path`, `params` \
                 and `primary_keys`",
            ),
    }
}

/// Warns of CSV whose only column is probably several.
pub(super) fn warn_of_delimiter(spec: &StreamSpec, other: Option<char>) {
    if let Some(other) = other.filter(|_| !spec.warned.delimiter.swap(true, Ordering::Relaxed)) {
        singer::warn!(
            "W-DELIMITER-DOUBTFUL",
            "stream {}: the only column of the answer has a {other:?} in its name: check \
             `delimiter`",
            spec.name
        );
    }
}
