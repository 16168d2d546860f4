//! How hard fault tests try, the random numbers they draw, and the figures that come of them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "who runs the tests reads it")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

/// Returns how often to try: the first number in `make test`, the second in `make test-faults`.
pub fn tries(short: usize, long: usize) -> usize {
    if std::env::var_os("FAULTS").is_some_and(|value| value == "long") { long } else { short }
}

/// Prints a figure of this test; `make test-faults` collects them for `tests/RELIABILITY.md`.
pub fn figure(what: &str, number: impl std::fmt::Display) {
    println!("FIGURE {} | {what} | {number}", test());
}

/// Numbers that look random. When the test fails they say how to have them again.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Starts from `SEED`, or from the time.
    pub fn new() -> Self {
        let seed = std::env::var("SEED").map_or_else(
            |_| u64::from(UNIX_EPOCH.elapsed().unwrap().subsec_nanos()),
            |seed| seed.parse().expect("SEED is a number"),
        );
        Self { seed, state: seed }
    }

    /// Returns what the numbers come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a number from 0 up to, but not, this one.
    pub fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same again: SEED={} cargo test -p tests -- {}", self.seed, test());
        }
    }
}

/// Does this with each case, some at once; a panic names its case.
pub fn each<T: std::fmt::Debug + Sync>(at_once: usize, cases: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let turn = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let named = Named(case);
            work(case);
            drop(named);
        }
    };
    let name = test();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            std::thread::Builder::new().name(name.clone()).spawn_scoped(scope, turn).unwrap();
        }
    });
}

struct Named<'a, T: std::fmt::Debug>(&'a T);

impl<T: std::fmt::Debug> Drop for Named<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the case {:?}", self.0);
        }
    }
}

/// Returns the name of the running test; its threads are named alike to be told apart from others.
pub fn test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}
