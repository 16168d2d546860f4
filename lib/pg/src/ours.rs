//! The table of ours in a schema that target-postgres loads into: which stream fills which table.

/// Its name.
pub const TABLE: &str = "_sdc_tables";
/// Its comment: a table of this name without it is somebody else's.
pub const COMMENT: &str = "Which stream fills which table of this schema, kept by target-postgres";
