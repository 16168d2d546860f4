//! Property tests that go as deep as asked, and that say how to have a failure again.
//!
//! `FAULTS=long` tries a hundred times as much, `CASES=n` as many as one likes, `SEED=n` the same
//! values again.

use std::panic::Location;
use std::path::Path;
use std::time::UNIX_EPOCH;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Asserts that what is drawn has a property; `cases` are tried in `make test`.
#[track_caller]
pub fn holds<S: Strategy>(
    what: &str,
    cases: u32,
    values: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let long = std::env::var_os("FAULTS").is_some_and(|value| value == "long");
    let asked = number("CASES").map(|cases| u32::try_from(cases).unwrap_or(u32::MAX));
    let cases = asked.unwrap_or(if long { cases * 100 } else { cases });
    let seed =
        number("SEED").unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let done = TestRunner::new_with_rng(config, rng).run(&values, property);
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let file = Path::new(Location::caller().file()).file_stem().unwrap_or_default();
    let file = file.to_string_lossy();
    let named = if test.contains("::") { test.clone() } else { format!("{file}::{test}") };
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    if let Err(failure) = done {
        panic!(
            "{failure}\nthe same again: SEED={seed} CASES={cases} cargo test -p {package} {test}"
        );
    }
    println!("FIGURE {named} | {what} | {cases}");
}
