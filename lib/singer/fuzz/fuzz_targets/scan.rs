//! `cargo fuzz run scan`: any text through the scanner and serde_json.
#![no_main]

#[path = "../judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|text: &str| judge::judge(text));
