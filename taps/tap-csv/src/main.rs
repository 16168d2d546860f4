//! tap-csv.

fn main() {}
