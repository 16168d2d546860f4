//! The names and words by which answers about failures are known. Pure.

/// Members that hold a failure, unless they are empty, false or zero. Names are compared without
/// case and marks.
pub(super) const ERRORS: [&str; 17] = [
    "error",
    "errors",
    "exception",
    "exceptions",
    "errorcode",
    "errcode",
    "errormessage",
    "errormessages",
    "errormsg",
    "errmsg",
    "errordescription",
    "errordetail",
    "errordetails",
    "errortype",
    "errorinfo",
    "odataerror",
    "errno",
];
/// Members that are false when the request failed.
pub(super) const GOOD: [&str; 7] =
    ["success", "successful", "succeeded", "issuccess", "issuccessful", "ok", "isok"];
/// Members that are true when the request failed.
pub(super) const BAD: [&str; 7] =
    ["failed", "failure", "iserror", "haserror", "haserrors", "isfault", "fail"];
/// Members whose word may say that the request failed.
pub(super) const WORDS: [&str; 7] =
    ["status", "result", "state", "stat", "outcome", "responsestatus", "type"];
/// Members whose number may be a status of HTTP.
pub(super) const CODES: [&str; 11] = [
    "code",
    "cod",
    "status",
    "statuscode",
    "httpstatus",
    "httpcode",
    "httpstatuscode",
    "responsecode",
    "returncode",
    "resultcode",
    "errorcode",
];
/// Members that say in words what happened.
pub(super) const MESSAGES: [&str; 9] =
    ["message", "messages", "msg", "detail", "details", "title", "reason", "description", "info"];
/// Members that an answer about a failure has besides.
pub(super) const BESIDE: [&str; 18] = [
    "timestamp",
    "time",
    "path",
    "requestid",
    "traceid",
    "correlationid",
    "id",
    "instance",
    "data",
    "jsonrpc",
    "version",
    "documentationurl",
    "helpurl",
    "moreinfo",
    "meta",
    "method",
    "extensions",
    "trace",
];
/// Members that hold what is said about the answer.
pub(super) const AROUND: [&str; 12] = [
    "meta",
    "metadata",
    "status",
    "response",
    "result",
    "header",
    "head",
    "responseheader",
    "responsestatus",
    "envelope",
    "body",
    "outcome",
];
/// Words of failures that pass.
pub(super) const PASSING: &[&str] = &[
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many",
    "too_many",
    "toomany",
    "throttl",
    "over_query_limit",
    "slow down",
    "slowdown",
    "try again",
    "retry",
    "temporar",
    "unavailable",
    "timeout",
    "timed out",
    "overload",
    "busy",
    "internal server error",
    "internal_server_error",
    "server_error",
];
/// Words of failures that have to do with credentials or rights.
pub(super) const REFUSING: &[&str] = &[
    "unauthor",
    "unauthenticated",
    "not authenticated",
    "forbidden",
    "denied",
    "permission",
    "credential",
    "invalid token",
    "invalid_token",
    "token expired",
    "invalid api key",
    "invalid_auth",
    "missing authentication",
    "authentication required",
    "not logged in",
];
/// Words by which a text without records is a complaint.
pub(super) const COMPLAINTS: &[&str] =
    &["error", "exception", "fail", "invalid", "expired", "exceeded", "quota"];

/// Tells whether a message is one of success, or of an end.
pub fn is_good(message: &str) -> bool {
    let words = message.to_lowercase();
    let good = ["success", "succe", "no record", "no data", "no result", "no more", "not found"];
    let is_word = |known: &str| words.split(|c: char| !c.is_alphanumeric()).any(|it| it == known);
    words.trim().is_empty()
        || good.iter().any(|word| words.contains(word))
        || ["ok", "empty", "end"].into_iter().any(is_word)
}

/// Tells whether a text has words of failures.
pub fn is_complaint(text: &str) -> bool {
    let words = text.to_lowercase();
    [PASSING, REFUSING, COMPLAINTS].iter().any(|all| all.iter().any(|part| words.contains(part)))
}

/// Tells whether a member of this name says in words what happened.
pub fn is_message(name: &str) -> bool {
    is_one_of(&MESSAGES, name) || name.ends_with("msg") || name.ends_with("message")
}

/// Tells whether the number of a member of this name is a status or a code.
pub fn is_code(name: &str) -> bool {
    is_one_of(&CODES, name) || ["ret", "retcode", "errcode", "rc"].contains(&name)
}

/// Tells whether an answer about a failure may have a member of this name.
pub(super) fn is_beside(name: &str) -> bool {
    is_failing(name)
        || is_message(name)
        || [&CODES[..], &WORDS, &BESIDE].iter().any(|names| is_one_of(names, name))
}

/// Returns a name without case and marks.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Tells whether a member of this name holds what is said about the answer.
pub fn is_around(name: &str) -> bool {
    AROUND.contains(&name) || name.ends_with("envelope") || name.ends_with("body")
}

pub(super) fn is_one_of(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

pub(super) fn is_failing(name: &str) -> bool {
    ERRORS.contains(&name)
        || name.ends_with("fault") && !name.ends_with("default")
        || name == "faultstring"
        || name == "faultcode"
}

/// Tells whether a word in place of a status is one of failure.
pub(super) fn is_bad(name: &str, word: &str) -> bool {
    let word = plain(word);
    if name == "type" {
        return word == "error" || word == "errorlist";
    }
    let bad = ["error", "fail", "exception", "fatal", "denied", "unauthor", "forbidden", "throttl"];
    let bad = bad.iter().chain(&["ratelimit", "overquerylimit", "invalidrequest", "unavailable"]);
    let whole = ["ko", "nok", "notok", "abort", "aborted", "timeout"];
    let good = ["noerror", "withouterror"].iter().any(|good| word.contains(good));
    !good && (bad.copied().any(|bad| word.contains(bad)) || whole.contains(&word.as_str()))
}
