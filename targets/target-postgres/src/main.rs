//! target-postgres.

fn main() {}
