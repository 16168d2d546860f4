//! The secret of all tests, and where it must never show.

use crate::run::Outcome;

/// What every password, key and token of the tests contains.
pub const CANARY: &str = "CANARY-5f3a";

/// The canary as it may be written: as it is, lower case, backwards, in hexadecimal, and in Base64
/// at each of its three offsets. It has no character that URLs or JSON would change.
pub const FORMS: [&str; 7] = [
    CANARY,
    "canary-5f3a",
    "a3f5-YRANAC",
    "43414e4152592d35663361",
    "Q0FOQVJZLTVmM2",
    "NBTkFSWS01ZjNh",
    "DQU5BUlktNWYzY",
];

/// Asserts that text holds the canary in no form; `what` tells whose text it is.
#[track_caller]
pub fn hidden(what: &str, text: &str) {
    for form in FORMS {
        let at = text.find(form);
        assert!(at.is_none(), "{what} shows the secret as {form}: {text}");
    }
}

/// Asserts that neither what a process wrote to standard error nor its messages have the secret.
/// Data passes as it is: records are not looked at.
#[track_caller]
pub fn hides(name: &str, outcome: &Outcome) {
    hidden(name, &outcome.stderr);
    let records = "{\"type\":\"RECORD\"";
    for line in String::from_utf8_lossy(&outcome.stdout).lines() {
        if !line.starts_with(records) {
            hidden(name, line);
        }
    }
}
