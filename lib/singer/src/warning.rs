//! Warnings with stable codes: logged, counted, and denied where the user asks for it.

mod codes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use codes::CODES;

use crate::error::{Error, ErrorKind, Result};
use crate::near::nearest;

/// What this process has warned of.
static WARNINGS: Mutex<Warnings> = Mutex::new(Warnings::new());

struct Warnings {
    counts: BTreeMap<&'static str, u64>,
    denied: BTreeSet<&'static str>,
    /// The first warning that was denied: its code and its text.
    first_denied: Option<(&'static str, String)>,
}

impl Warnings {
    const fn new() -> Self {
        Self { counts: BTreeMap::new(), denied: BTreeSet::new(), first_denied: None }
    }

    fn lock() -> MutexGuard<'static, Self> {
        WARNINGS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&mut self, code: &'static str, text: &fmt::Arguments<'_>) {
        *self.counts.entry(code).or_default() += 1;
        if self.denied.contains(code) && self.first_denied.is_none() {
            self.first_denied = Some((code, text.to_string()));
        }
    }

    fn check(&self) -> Result<()> {
        self.first_denied.as_ref().map_or(Ok(()), |(code, text)| Err(denied(code, text)))
    }

    fn summary(&self) -> Option<String> {
        let counts = self.counts.iter().map(|(code, count)| format!("{code} {count}"));
        let counts: Vec<String> = counts.collect();
        (!counts.is_empty()).then(|| counts.join(", "))
    }
}

/// Logs a warning under its code, and counts it: `warn!("W-NO-KEYS", "stream {name} has no keys")`.
///
/// The code must be one of [`CODES`]; the compiler checks it.
#[macro_export]
macro_rules! warn {
    ($code:literal, $($text:tt)+) => {{
        const { assert!($crate::warning::is_code($code), "add the code to warning/codes/") };
        $crate::warning::log($code, module_path!(), format_args!($($text)+));
    }};
}

/// Tells whether this is the code of a warning.
pub const fn is_code(code: &str) -> bool {
    let mut at = 0;
    while at < CODES.len() {
        if same(CODES[at].0.as_bytes(), code.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Logs and counts a warning; [`warn!`](crate::warn) calls this.
pub fn log(code: &'static str, module: &str, text: fmt::Arguments<'_>) {
    Warnings::lock().add(code, &text);
    tracing::warn!(code, logger_name = module, "{text}");
}

/// Makes warnings of these codes end the run; `all` stands for every code.
///
/// # Errors
/// `Usage` for a code that does not exist.
pub fn deny<'a>(codes: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let codes = known(codes)?;
    Warnings::lock().denied.extend(codes);
    Ok(())
}

/// Returns the codes that a user names, in whatever case; `all` stands for every code.
///
/// # Errors
/// `Usage` for a code that does not exist.
pub fn known<'a>(codes: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<&'static str>> {
    let mut denied = BTreeSet::new();
    for code in codes {
        if code.eq_ignore_ascii_case("all") {
            denied.extend(CODES.iter().map(|(known, _)| *known));
            continue;
        }
        let upper = code.to_uppercase();
        let Some((known, _)) = CODES.iter().find(|(known, _)| *known == upper) else {
            return Err(unknown(code));
        };
        denied.insert(*known);
    }
    Ok(denied)
}

/// Makes the failure of a run that a denied warning ends.
pub fn denied(code: &str, text: &str) -> Error {
    Error::new(ErrorKind::Data, "a warning ends the run, as `--deny-warnings` asks")
        .with("code", code)
        .with("warning", text)
        .hint("remove the cause of the warning, or its code from `--deny-warnings`")
}

fn unknown(code: &str) -> Error {
    let known = CODES.iter().map(|(known, _)| *known);
    let hint = match nearest(&code.to_uppercase(), known, 0.85) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "docs/reference/warnings.md lists the codes; `all` denies every warning".to_owned(),
    };
    Error::new(ErrorKind::Usage, "unknown warning in `--deny-warnings`")
        .with("code", code)
        .hint(hint)
}

/// Fails once a denied warning was logged.
///
/// Taps call this before rows are handed on, targets before anything is committed or published.
///
/// # Errors
/// `Data`, with the code and the text of the first denied warning.
pub fn check() -> Result<()> {
    Warnings::lock().check()
}

/// Tells whether a warning of this code ends the run. What a run sums up at its end must ask when
/// the first of it happens: by then rows were handed on, and committed.
pub fn denies(code: &str) -> bool {
    Warnings::lock().denied.contains(code)
}

/// Returns each code that was logged with its count.
pub fn counts() -> BTreeMap<&'static str, u64> {
    Warnings::lock().counts.clone()
}

/// Returns each code that was logged with its count: `W-LINK-DEAD 2, W-NO-KEYS 1`.
pub fn summary() -> Option<String> {
    Warnings::lock().summary()
}

/// Returns the code that a logged message begins with.
pub fn code_of(message: &str) -> Option<&str> {
    let (code, _) = message.split_once(": ")?;
    is_code(code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_words_in_capitals() {
        for (code, meaning) in CODES {
            let words = code.strip_prefix("W-").unwrap_or_default();
            let capitals =
                |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
            assert!((1..=4).contains(&words.split('-').count()), "{code}");
            assert!(words.split('-').all(capitals), "{code}");
            assert!(meaning.ends_with('.') && !meaning.contains('|'), "{code}: {meaning}");
        }
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0), "sort warning/codes/ by code");
    }

    #[test]
    fn a_denied_warning_fails_the_next_check_with_its_text() {
        let mut warnings = Warnings::new();
        warnings.denied.insert("W-NO-KEYS");
        warnings.add("W-LINK-DEAD", &format_args!("one"));
        assert!(warnings.check().is_ok());
        warnings.add("W-NO-KEYS", &format_args!("two"));
        warnings.add("W-NO-KEYS", &format_args!("three"));
        let failure =
            warnings.check().map_or_else(|failure| failure.to_string(), |()| String::new());
        assert!(failure.contains("code: W-NO-KEYS\n  warning: two"), "{failure}");
        assert_eq!(warnings.summary().as_deref(), Some("W-LINK-DEAD 1, W-NO-KEYS 2"));
    }

    #[test]
    fn an_unknown_code_is_refused_with_its_neighbour() {
        let hint = |code| unknown(code).to_string();
        assert!(hint("W-NO-KEY").contains("did you mean `W-NO-KEYS`?"));
        assert!(hint("x").contains("docs/reference/warnings.md"));
    }
}
