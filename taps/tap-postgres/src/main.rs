//! tap-postgres.

fn main() {}
