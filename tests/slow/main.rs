//! Tests that need packages the ordinary run does without; `make test-slow` runs them.

#[expect(dead_code, reason = "these tests need a part of it")]
mod extensions;
