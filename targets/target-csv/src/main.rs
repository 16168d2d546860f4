//! target-csv.

fn main() {}
