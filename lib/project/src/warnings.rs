//! Warnings as values: what there is to look at, which ends nothing unless somebody says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use singer::Result;
pub use singer::warning::is_code;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// One of [`singer::warning::CODES`].
    pub code: &'static str,
    /// What is to be looked at, in a sentence.
    pub text: String,
}

/// Makes a warning: `warning!("W-PROJECT-UNUSED", "key {key} has no effect")`; the compiler checks
/// that the code is known.
#[macro_export]
macro_rules! warning {
    ($code:literal, $($text:tt)+) => {{
        const {
            assert!($crate::warnings::is_code($code), "add the code to singer's warning/codes.rs")
        };
        $crate::warnings::Warning { code: $code, text: format!($($text)+) }
    }};
}

/// Counts by codes.
pub type Counts = BTreeMap<String, u64>;

/// What was warned of for one purpose, such as a command or a request, and who receives it.
pub struct Warnings {
    noted: Mutex<Noted>,
    listener: Box<dyn Fn(&Warning) + Send + Sync>,
}

#[derive(Default)]
struct Noted {
    /// What is not told again.
    once: BTreeSet<String>,
    counts: Counts,
    denied: BTreeSet<&'static str>,
    first_denied: Option<Warning>,
}

impl Warnings {
    /// Has a listener told of each warning.
    pub fn new(listener: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        Self { noted: Mutex::default(), listener: Box::new(listener) }
    }

    /// Makes warnings of these codes end what is being done; `all` stands for every code.
    ///
    /// # Errors
    /// `Usage` for a code that does not exist.
    pub fn deny(&self, codes: &[String]) -> Result<()> {
        let codes = singer::warning::known(codes.iter().map(String::as_str))?;
        self.noted().denied.extend(codes);
        Ok(())
    }

    /// Tells of a warning.
    pub fn warn(&self, warning: Warning) {
        (self.listener)(&warning);
        let mut noted = self.noted();
        *noted.counts.entry(warning.code.to_owned()).or_default() += 1;
        if noted.first_denied.is_none() && noted.denied.contains(warning.code) {
            noted.first_denied = Some(warning);
        }
    }

    /// Tells of a warning that ends nothing, whatever is denied.
    pub fn tell(&self, warning: &Warning) {
        (self.listener)(warning);
        *self.noted().counts.entry(warning.code.to_owned()).or_default() += 1;
    }

    /// Tells of a warning that is of no run: nobody counts it, and it ends nothing.
    pub fn tell_of_none(&self, warning: &Warning) {
        (self.listener)(warning);
    }

    /// Tells of a warning, unless the same words were told before: a backfill opens the project for
    /// each day.
    pub fn warn_once(&self, warning: Warning) {
        if self.is_news(&warning.text) {
            self.warn(warning);
        }
    }

    /// Tells whether this was not asked for the same words before.
    pub fn is_news(&self, words: &str) -> bool {
        self.noted().once.insert(words.to_owned())
    }

    /// Fails once a denied warning was told.
    ///
    /// # Errors
    /// `Data`, with the code and the text of the first denied warning.
    pub fn check(&self) -> Result<()> {
        match &self.noted().first_denied {
            Some(Warning { code, text }) => Err(singer::warning::denied(code, text)),
            None => Ok(()),
        }
    }

    /// Forgets the warning that ended one run, before the next one.
    pub fn forgive(&self) {
        self.noted().first_denied = None;
    }

    /// Returns how often was warned since this was last asked.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.noted().counts)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Warnings {
    /// Tells nobody: warnings are counted, and end what is being done where they are denied.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warnings").field("counts", &self.noted().counts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn each_listener_hears_its_own_warnings_once() {
        let check = |denied: &[&str], expected: &[&str]| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let listener = Arc::clone(&heard);
            let warnings = Warnings::new(move |warning| {
                listener.lock().unwrap().push(warning.text.clone());
            });
            warnings.deny(&denied.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
            for text in ["a", "b", "a"] {
                warnings.warn_once(warning!("W-PROJECT-UNUSED", "{text}"));
            }
            warnings.warn(warning!("W-ROWS-AGAIN", "a"));
            assert_eq!(*heard.lock().unwrap(), ["a", "b", "a"]);
            let failure = warnings.check().map_or_else(|one| one.to_string(), |()| String::new());
            assert!(expected.iter().all(|part| failure.contains(part)), "{denied:?} {failure}");
            assert_eq!(failure.is_empty(), expected.is_empty(), "{denied:?}");
            let counts = warnings.take_counts();
            let counts: Vec<_> = counts.iter().map(|(code, n)| (code.as_str(), *n)).collect();
            assert_eq!(counts, [("W-PROJECT-UNUSED", 2), ("W-ROWS-AGAIN", 1)]);
            warnings.forgive();
            assert!(warnings.check().is_ok() && warnings.take_counts().is_empty());
        };
        // What one has heard, the next one hears, too.
        check(&[], &[]);
        check(&["W-DAY-OLDER"], &[]);
        check(&["w-rows-again"], &["code: W-ROWS-AGAIN", "warning: a"]);
        check(&["all"], &["code: W-PROJECT-UNUSED"]);
        assert!(Warnings::default().deny(&["W-NO".to_owned()]).is_err());
    }
}
